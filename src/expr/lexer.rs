//! Text -> tokens.

use std::sync::Arc;

use super::error::Fault;

/// A token and the character offset where it starts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) at: u32,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// A word that is no operator.
    Identifier(Arc<str>),
    /// Digits as written.
    Number(String),
    Text(Arc<str>),
    Bytes(Arc<[u8]>),
    /// Punctuation and the words `in`, `or`, `and`, `not`, `matches`, `contains`, `startsWith`, `endsWith`, `let`, `if`, `else`.
    Operator(String),
    /// One of `( ) [ ] { }`.
    Bracket(char),
    End,
}

impl std::fmt::Display for TokenKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Identifier(text) => write!(f, "`{text}`"),
            Self::Number(text) | Self::Operator(text) => write!(f, "`{text}`"),
            Self::Text(_) | Self::Bytes(_) => f.write_str("text"),
            Self::Bracket(bracket) => write!(f, "`{bracket}`"),
            Self::End => f.write_str("end of the expression"),
        }
    }
}

/// All tokens up to the end or the first mistake. The mistake counts only when the parser gets there.
pub(super) fn lex(source: &str) -> (Vec<Token>, Option<Fault>) {
    let mut lexer = Lexer { characters: source.chars().collect(), position: 0, tokens: Vec::new() };
    let fault = loop {
        match lexer.token() {
            Ok(true) => {}
            Ok(false) => break None,
            Err(fault) => break Some(fault),
        }
    };
    (lexer.tokens, fault)
}

/// Letters, digits, `_` and `$`: what names are made of.
pub(super) fn is_word(character: char) -> bool {
    character == '_' || character == '$' || character.is_alphabetic() || character.is_numeric()
}

struct Lexer {
    characters: Vec<char>,
    position: usize,
    tokens: Vec<Token>,
}

impl Lexer {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.position).copied()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek();
        self.position += usize::from(character.is_some());
        character
    }

    fn accept(&mut self, valid: &str) -> bool {
        let found = self.peek().is_some_and(|character| valid.contains(character));
        self.position += usize::from(found);
        found
    }

    fn emit(&mut self, start: usize, kind: TokenKind) {
        self.tokens.push(Token { kind, at: offset(start) });
    }

    fn word(&self, start: usize) -> String {
        self.characters[start..self.position].iter().collect()
    }

    /// A mistake at the last character read; past the end, at the end.
    fn fault(&self, at_end: bool, message: impl Into<String>) -> Fault {
        Fault::new(offset(if at_end { self.position } else { self.position.saturating_sub(1) }), message)
    }

    /// Reads one token; false after the end.
    fn token(&mut self) -> Result<bool, Fault> {
        let start = self.position;
        let Some(character) = self.next() else {
            self.emit(start.saturating_sub(1), TokenKind::End);
            return Ok(false);
        };
        match character {
            _ if character.is_whitespace() => {}
            '\'' | '"' => {
                let text = self.quoted(character)?;
                self.emit(start, TokenKind::Text(text.into()));
            }
            '`' => {
                let text = self.raw()?;
                self.emit(start, TokenKind::Text(text.into()));
            }
            'b' | 'B' if matches!(self.peek(), Some('\'' | '"')) => {
                let quote = self.next().expect("peeked");
                let bytes = self.quoted_bytes(quote)?;
                self.emit(start, TokenKind::Bytes(bytes.into()));
            }
            '0'..='9' => {
                self.position = start;
                self.number(start)?;
            }
            '.' => {
                if self.peek().is_some_and(|next| next.is_ascii_digit()) {
                    self.position = start;
                    self.number(start)?;
                } else {
                    self.accept(".");
                    self.emit(start, TokenKind::Operator(self.word(start)));
                }
            }
            '/' if self.accept("/") => while self.next().is_some_and(|character| character != '\n') {},
            '/' if self.accept("*") => loop {
                match self.next() {
                    None => return Err(self.fault(true, "the comment is not closed; end it with `*/`")),
                    Some('*') if self.accept("/") => break,
                    Some(_) => {}
                }
            },
            '#' => {
                self.accept("#");
                self.emit(start, TokenKind::Operator(self.word(start)));
                let name = self.position;
                while self.peek().is_some_and(is_word) {
                    self.position += 1;
                }
                if self.position > name {
                    self.emit(name, TokenKind::Identifier(self.word(name).into()));
                }
            }
            '?' => self.operator(start, ".?"),
            '|' => self.operator(start, "|"),
            ':' => self.operator(start, ":"),
            '(' | ')' | '[' | ']' | '{' | '}' => self.emit(start, TokenKind::Bracket(character)),
            '/' | ',' | ';' | '%' | '+' | '-' | '^' => self.operator(start, ""),
            '&' | '!' | '=' | '*' | '<' | '>' => self.operator(start, "&=*"),
            _ if is_word(character) => {
                while self.peek().is_some_and(is_word) {
                    self.position += 1;
                }
                let word = self.word(start);
                match word.as_str() {
                    "in" | "or" | "and" | "not" | "matches" | "contains" | "startsWith" | "endsWith" | "let" | "if" | "else" => {
                        self.emit(start, TokenKind::Operator(word));
                    }
                    _ => self.emit(start, TokenKind::Identifier(word.into())),
                }
            }
            _ => return Err(self.fault(false, format!("unrecognized character `{character}`"))),
        }
        Ok(true)
    }

    fn operator(&mut self, start: usize, second: &str) {
        self.accept(second);
        self.emit(start, TokenKind::Operator(self.word(start)));
    }

    fn number(&mut self, start: usize) -> Result<(), Fault> {
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        while self.accept(digits) {}
        let whole = self.position;
        if self.accept(".") {
            if self.peek() == Some('.') {
                // `1..5` is a range
                self.position = whole;
                self.emit(start, TokenKind::Number(self.word(start)));
                return Ok(());
            }
            while self.accept(digits) {}
        }
        if self.accept("eE") {
            self.accept("+-");
            while self.accept(digits) {}
        }
        if self.peek().is_some_and(is_word) {
            self.position += 1;
            return Err(self.fault(false, format!("bad number syntax: `{}`", self.word(start))));
        }
        self.emit(start, TokenKind::Number(self.word(start)));
        Ok(())
    }

    fn raw(&mut self) -> Result<String, Fault> {
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(self.fault(true, "literal not terminated; close it with a backtick")),
                Some('`') if self.accept("`") => text.push('`'),
                Some('`') => return Ok(text),
                Some(character) => text.push(character),
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, Fault> {
        let mut text = String::new();
        while let Some(escape) = self.quoted_character(quote)? {
            match escape {
                Escape::Character(character) | Escape::Code(character) => text.push(character),
            }
        }
        Ok(text)
    }

    fn quoted_bytes(&mut self, quote: char) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        while let Some(escape) = self.quoted_character(quote)? {
            match escape {
                Escape::Character(character) => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
                Escape::Code(code) => {
                    bytes.push(u8::try_from(u32::from(code)).map_err(|_| self.fault(false, "invalid char escape: a byte goes up to `\\xff`"))?);
                }
            }
        }
        Ok(bytes)
    }

    /// The next character of a quoted literal; None at its closing quote.
    fn quoted_character(&mut self, quote: char) -> Result<Option<Escape>, Fault> {
        match self.next() {
            None => Err(self.fault(true, "literal not terminated; the closing quote is missing")),
            Some('\n') => Err(self.fault(false, "literal not terminated; write a line break as `\\n`, or use backticks")),
            Some('\\') => self.escape(quote).map(Some),
            Some(character) if character == quote => Ok(None),
            Some(character) => Ok(Some(Escape::Character(character))),
        }
    }

    fn escape(&mut self, quote: char) -> Result<Escape, Fault> {
        let invalid = |lexer: &Self, ahead: usize| {
            Fault::new(offset(lexer.position - 1 + ahead), "invalid char escape; write a backslash as `\\\\`, or use backticks")
        };
        let Some(character) = self.next() else { return Err(self.fault(true, "literal not terminated; the closing quote is missing")) };
        Ok(Escape::Character(match character {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '\\' => '\\',
            _ if character == quote => quote,
            '0'..='7' => {
                self.position -= 1;
                return self.digits(8, 3).and_then(char::from_u32).map(Escape::Code).ok_or_else(|| invalid(self, 1));
            }
            'x' => return self.digits(16, 2).and_then(char::from_u32).map(Escape::Code).ok_or_else(|| invalid(self, 1)),
            'u' if self.accept("{") => {
                let start = self.position;
                while self.position - start < 6 && self.peek().is_some_and(|digit| digit.is_ascii_hexdigit()) {
                    self.position += 1;
                }
                let code = u32::from_str_radix(&self.word(start), 16).ok();
                if !self.accept("}") {
                    return Err(invalid(self, 0));
                }
                code.and_then(char::from_u32).ok_or_else(|| invalid(self, 0))?
            }
            'u' => self.digits(16, 4).and_then(char::from_u32).ok_or_else(|| invalid(self, 1))?,
            'U' => self.digits(16, 8).and_then(char::from_u32).ok_or_else(|| invalid(self, 1))?,
            _ => return Err(invalid(self, 0)),
        }))
    }

    /// Exactly `count` digits.
    fn digits(&mut self, base: u32, count: usize) -> Option<u32> {
        let mut value: u32 = 0;
        for _ in 0..count {
            let digit = self.peek()?.to_digit(base)?;
            value = value.checked_mul(base)?.checked_add(digit)?;
            self.position += 1;
        }
        Some(value)
    }
}

enum Escape {
    Character(char),
    /// `\x41` or `\101`: a character in text, a byte in bytes.
    Code(char),
}

fn offset(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}
