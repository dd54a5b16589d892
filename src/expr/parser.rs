//! Tokens -> syntax tree: a Pratt parser with the precedences of expr-lang.

use std::sync::Arc;

use super::ast::{Binary, Kind, Node, Pointer, Unary};
use super::builtins::{self, Shape};
use super::error::Fault;
use super::lexer::{Token, TokenKind, is_word, lex};

/// Most nodes of an expression, as in expr-lang.
const MAX_NODES: usize = 10_000;
/// Highest tree, as a long chain of operators makes it; bounds the recursion of checker and evaluator.
const MAX_HEIGHT: u16 = 200;
/// Deepest nesting of brackets and operators; bounds the recursion of the parser.
const MAX_DEPTH: u16 = 60;

/// Parses one expression.
pub(super) fn parse(source: &str) -> Result<Node, Fault> {
    let (tokens, fault) = lex(source);
    let mut parser = Parser { tokens, fault, position: 0, predicates: 0, nodes: 0, nesting: 0 };
    parser.settle()?;
    let node = parser.sequence()?;
    if *parser.current() != TokenKind::End {
        return Err(parser.unexpected());
    }
    Ok(node)
}

struct Parser {
    tokens: Vec<Token>,
    /// The mistake that ends the tokens.
    fault: Option<Fault>,
    position: usize,
    /// How many predicates we are inside of.
    predicates: usize,
    nodes: usize,
    nesting: u16,
}

fn precedence(operator: &str) -> Option<(u16, Option<Binary>)> {
    Some(match operator {
        "|" => (0, None),
        "or" | "||" => (10, Some(Binary::Or)),
        "and" | "&&" => (15, Some(Binary::And)),
        "==" => (20, Some(Binary::Equal)),
        "!=" => (20, Some(Binary::NotEqual)),
        "<" => (20, Some(Binary::Less)),
        ">" => (20, Some(Binary::Greater)),
        "<=" => (20, Some(Binary::LessOrEqual)),
        ">=" => (20, Some(Binary::GreaterOrEqual)),
        "in" => (20, Some(Binary::In)),
        "matches" => (20, Some(Binary::Matches)),
        "contains" => (20, Some(Binary::Contains)),
        "startsWith" => (20, Some(Binary::StartsWith)),
        "endsWith" => (20, Some(Binary::EndsWith)),
        ".." => (25, Some(Binary::Range)),
        "+" => (30, Some(Binary::Add)),
        "-" => (30, Some(Binary::Subtract)),
        "*" => (60, Some(Binary::Multiply)),
        "/" => (60, Some(Binary::Divide)),
        "%" => (60, Some(Binary::Modulo)),
        "**" | "^" => (100, Some(Binary::Power)),
        "??" => (500, Some(Binary::Coalesce)),
        _ => return None,
    })
}

impl Parser {
    fn current(&self) -> &TokenKind {
        self.tokens.get(self.position).map_or(&TokenKind::End, |token| &token.kind)
    }

    fn at(&self) -> u32 {
        self.tokens.get(self.position).or(self.tokens.last()).map_or(0, |token| token.at)
    }

    /// Fails when the parser has run into the lexer's mistake.
    fn settle(&mut self) -> Result<(), Fault> {
        if self.position >= self.tokens.len()
            && let Some(fault) = self.fault.take()
        {
            return Err(fault);
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<(), Fault> {
        self.position += 1;
        self.settle()
    }

    fn is_operator(&self, operator: &str) -> bool {
        matches!(self.current(), TokenKind::Operator(text) if text == operator)
    }

    fn is_bracket(&self, bracket: char) -> bool {
        *self.current() == TokenKind::Bracket(bracket)
    }

    fn unexpected(&self) -> Fault {
        let hint = match self.current() {
            TokenKind::Operator(text) if text == "=" => "; compare with `==`",
            TokenKind::Identifier(text) if text.starts_with('$') => "; the expression stands here without delimiters",
            _ => "",
        };
        Fault::new(self.at(), format!("unexpected token {}{hint}", self.current()))
    }

    fn expect_operator(&mut self, operator: &str) -> Result<(), Fault> {
        if self.is_operator(operator) { self.advance() } else { Err(self.unexpected()) }
    }

    fn expect_bracket(&mut self, bracket: char) -> Result<(), Fault> {
        if self.is_bracket(bracket) { self.advance() } else { Err(self.unexpected()) }
    }

    fn expect_identifier(&mut self) -> Result<(Arc<str>, u32), Fault> {
        let at = self.at();
        let TokenKind::Identifier(name) = self.current().clone() else { return Err(self.unexpected()) };
        self.advance()?;
        Ok((name, at))
    }

    fn count(&mut self, at: u32) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Fault::new(at, format!("the expression is too large: more than {MAX_NODES} parts")));
        }
        Ok(())
    }

    fn node(&mut self, at: u32, kind: Kind) -> Result<Node, Fault> {
        self.count(at)?;
        let mut node = Node { kind, at, height: 1 };
        node.height = node.children().iter().map(|child| child.height).max().unwrap_or(0) + 1;
        if node.height > MAX_HEIGHT {
            return Err(Fault::new(at, "the expression is nested too deeply; split it with `let`"));
        }
        Ok(node)
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        self.nesting += 1;
        if self.nesting > MAX_DEPTH {
            return Err(Fault::new(self.at(), "the expression is nested too deeply; split it with `let`"));
        }
        let result = parse(self);
        self.nesting -= 1;
        result
    }

    fn sequence(&mut self) -> Result<Node, Fault> {
        let first = self.expression(0)?;
        if !self.is_operator(";") {
            return Ok(first);
        }
        let at = first.at;
        let mut nodes = vec![first];
        while self.is_operator(";") {
            self.advance()?;
            if *self.current() == TokenKind::End {
                break;
            }
            nodes.push(self.expression(0)?);
        }
        if nodes.len() == 1 { Ok(nodes.remove(0)) } else { self.node(at, Kind::Sequence(nodes)) }
    }

    fn expression(&mut self, least: u16) -> Result<Node, Fault> {
        self.nested(|parser| parser.expression_inner(least))
    }

    fn expression_inner(&mut self, least: u16) -> Result<Node, Fault> {
        if least == 0 && self.is_operator("let") {
            return self.variable();
        }
        if least == 0 && self.is_operator("if") {
            return self.if_else();
        }
        let mut left = self.primary()?;
        let mut after_coalesce = false;
        while let TokenKind::Operator(text) = self.current().clone() {
            let mut operator = text;
            let mut at = self.at();
            let negated = operator == "not";
            if negated {
                let back = self.position;
                self.advance()?;
                match self.current().clone() {
                    TokenKind::Operator(text) if matches!(text.as_str(), "in" | "matches" | "contains" | "startsWith" | "endsWith") => {
                        if least > 20 {
                            self.position = back;
                            break;
                        }
                        at = self.at();
                        operator = text;
                    }
                    _ => return Err(self.unexpected()),
                }
            }
            let Some((level, binary)) = precedence(&operator) else { break };
            if level < least {
                break;
            }
            self.advance()?;
            let Some(binary) = binary else {
                let (name, at) = self.expect_identifier()?;
                left = self.call(name, at, vec![left])?;
                after_coalesce = false;
                continue;
            };
            if after_coalesce && binary != Binary::Coalesce {
                return Err(Fault::new(at, format!("operator `{operator}` and coalesce `??` cannot be mixed; wrap either in parentheses")));
            }
            if binary.is_comparison() {
                left = self.comparison(left, binary, at, level)?;
            } else {
                let right = self.expression(if binary == Binary::Power { level } else { level + 1 })?;
                left = self.node(at, Kind::Binary(binary, Box::new(left), Box::new(right)))?;
                if negated {
                    left = self.node(at, Kind::Unary(Unary::Not, Box::new(left)))?;
                }
            }
            after_coalesce = binary == Binary::Coalesce;
        }
        if least == 0 { self.ternary(left) } else { Ok(left) }
    }

    /// `a < b < c` means `a < b && b < c`.
    fn comparison(&mut self, first: Node, operator: Binary, at: u32, level: u16) -> Result<Node, Fault> {
        let (mut left, mut operator, mut at) = (first, operator, at);
        let mut root: Option<Node> = None;
        loop {
            let right = self.expression(level + 1)?;
            let next = match self.current() {
                TokenKind::Operator(text) => precedence(text).and_then(|(_, binary)| binary).filter(|binary| binary.is_comparison()),
                _ => None,
            };
            let shared = if next.is_some() { Some(self.copy(&right)?) } else { None };
            let link = self.node(at, Kind::Binary(operator, Box::new(left), Box::new(right)))?;
            let chain = match root {
                None => link,
                Some(root) => self.node(at, Kind::Binary(Binary::And, Box::new(root), Box::new(link)))?,
            };
            let (Some(next), Some(shared)) = (next, shared) else { return Ok(chain) };
            at = self.at();
            self.advance()?;
            root = Some(chain);
            operator = next;
            left = shared;
        }
    }

    /// A copy of a tree; its nodes count again, or copies of copies would grow without bound.
    fn copy(&mut self, node: &Node) -> Result<Node, Fault> {
        let mut pending = vec![node];
        while let Some(next) = pending.pop() {
            self.count(next.at)?;
            pending.extend(next.children());
        }
        Ok(node.clone())
    }

    fn variable(&mut self) -> Result<Node, Fault> {
        self.advance()?;
        let (name, at) = self.expect_identifier()?;
        self.expect_operator("=")?;
        let value = Box::new(self.expression(0)?);
        self.expect_operator(";")?;
        let body = Box::new(self.sequence()?);
        self.node(at, Kind::Let { name, value, body })
    }

    fn if_else(&mut self) -> Result<Node, Fault> {
        // expr-lang gives this node no place, so errors about it point at the start
        self.advance()?;
        let condition = Box::new(self.expression(0)?);
        let then = Box::new(self.block()?);
        self.expect_operator("else")?;
        let otherwise = Box::new(if self.is_operator("if") { self.nested(Self::if_else)? } else { self.block()? });
        self.node(0, Kind::Conditional { condition, then, otherwise })
    }

    fn block(&mut self) -> Result<Node, Fault> {
        self.expect_bracket('{')?;
        let node = self.sequence()?;
        self.expect_bracket('}')?;
        Ok(node)
    }

    fn ternary(&mut self, mut node: Node) -> Result<Node, Fault> {
        while self.is_operator("?") {
            self.advance()?;
            let condition = node;
            let (then, otherwise) = if self.is_operator(":") {
                // `a ?: b`: where `a` holds, it is true
                let at = condition.at;
                self.advance()?;
                (self.node(at, Kind::Bool(true))?, self.expression(0)?)
            } else {
                let then = self.expression(0)?;
                self.expect_operator(":")?;
                (then, self.expression(0)?)
            };
            let at = self.at();
            node = self.node(at, Kind::Conditional { condition: Box::new(condition), then: Box::new(then), otherwise: Box::new(otherwise) })?;
        }
        Ok(node)
    }

    fn primary(&mut self) -> Result<Node, Fault> {
        let at = self.at();
        match self.current().clone() {
            TokenKind::Operator(text) if matches!(text.as_str(), "not" | "!" | "-" | "+") => {
                self.advance()?;
                let (unary, level) = match text.as_str() {
                    "-" => (Unary::Minus, 90),
                    "+" => (Unary::Plus, 90),
                    _ => (Unary::Not, 50),
                };
                let operand = Box::new(self.expression(level)?);
                let node = self.node(at, Kind::Unary(unary, operand))?;
                self.postfix(node)
            }
            TokenKind::Bracket('(') => {
                self.advance()?;
                let node = self.sequence()?;
                self.expect_bracket(')')?;
                self.postfix(node)
            }
            TokenKind::Operator(text) if self.predicates > 0 && (text == "#" || text == ".") => {
                let mut pointer = Pointer::Item;
                if text == "#" {
                    self.advance()?;
                    if let TokenKind::Identifier(name) = self.current().clone() {
                        pointer = match name.as_ref() {
                            "index" => Pointer::Index,
                            "acc" => Pointer::Accumulator,
                            other => Pointer::Unknown(other.to_owned()),
                        };
                        self.advance()?;
                    }
                }
                let node = self.node(at, Kind::Pointer(pointer))?;
                self.postfix(node)
            }
            TokenKind::Operator(text) if text == "::" => {
                self.advance()?;
                let (name, at) = self.expect_identifier()?;
                let node = self.call(name, at, Vec::new())?;
                self.postfix(node)
            }
            _ => self.secondary(at),
        }
    }

    fn secondary(&mut self, at: u32) -> Result<Node, Fault> {
        let node = match self.current().clone() {
            TokenKind::Identifier(name) => {
                self.advance()?;
                match name.as_ref() {
                    // literals take no postfix: `nil.x` is a mistake
                    "true" => return self.node(at, Kind::Bool(true)),
                    "false" => return self.node(at, Kind::Bool(false)),
                    "nil" => return self.node(at, Kind::Nil),
                    _ if self.is_bracket('(') => self.call(name, at, Vec::new())?,
                    _ => self.node(at, Kind::Name(name))?,
                }
            }
            TokenKind::Number(text) => {
                self.advance()?;
                let kind = number(&text).map_err(|message| Fault::new(self.at(), message))?;
                return self.node(at, kind);
            }
            TokenKind::Text(text) => {
                self.advance()?;
                self.node(at, Kind::Str(text))?
            }
            TokenKind::Bytes(bytes) => {
                self.advance()?;
                self.node(at, Kind::Bytes(bytes))?
            }
            TokenKind::Bracket('[') => self.array(at)?,
            TokenKind::Bracket('{') => self.map(at)?,
            _ => return Err(self.unexpected()),
        };
        self.postfix(node)
    }

    fn call(&mut self, name: Arc<str>, at: u32, mut arguments: Vec<Node>) -> Result<Node, Fault> {
        let Some(builtin) = builtins::find(&name) else {
            self.arguments(&mut arguments)?;
            let callee = Box::new(self.node(at, Kind::Name(name))?);
            return self.node(at, Kind::Call { callee, arguments });
        };
        if let Shape::Predicate { optional_predicate, third } = builtin.shape {
            self.expect_bracket('(')?;
            let piped = arguments.len();
            for index in piped..if third { 3 } else { 2 } {
                let optional = index == 2 || (index == 1 && optional_predicate);
                if self.is_bracket(')') {
                    if optional {
                        break;
                    }
                    return Err(Fault::new(self.at(), format!("expected at least 2 arguments to call `{name}`: a list and a condition")));
                }
                if index > piped {
                    self.expect_operator(",")?;
                    // a trailing comma
                    if optional && self.is_bracket(')') {
                        break;
                    }
                }
                arguments.push(if index == 1 { self.predicate()? } else { self.expression(0)? });
            }
            if self.is_operator(",") {
                self.advance()?;
            }
            self.expect_bracket(')')?;
        } else {
            self.arguments(&mut arguments)?;
        }
        self.node(at, Kind::Builtin { builtin, arguments })
    }

    fn arguments(&mut self, arguments: &mut Vec<Node>) -> Result<(), Fault> {
        let offset = arguments.len();
        self.expect_bracket('(')?;
        while !self.is_bracket(')') {
            if arguments.len() > offset {
                self.expect_operator(",")?;
                if self.is_bracket(')') {
                    break;
                }
            }
            arguments.push(self.expression(0)?);
        }
        self.expect_bracket(')')
    }

    fn predicate(&mut self) -> Result<Node, Fault> {
        let at = self.at();
        self.predicates += 1;
        let node = if self.is_bracket('{') {
            self.advance()?;
            let node = self.sequence()?;
            self.predicates -= 1;
            self.expect_bracket('}')?;
            node
        } else {
            let node = self.expression(0)?;
            if self.is_operator(";") {
                return Err(Fault::new(self.at(), "wrap the predicate in `{` and `}`"));
            }
            self.predicates -= 1;
            node
        };
        self.node(at, Kind::Predicate(Box::new(node)))
    }

    fn array(&mut self, at: u32) -> Result<Node, Fault> {
        self.advance()?;
        let mut nodes = Vec::new();
        while !self.is_bracket(']') {
            if !nodes.is_empty() {
                self.expect_operator(",")?;
                if self.is_bracket(']') {
                    break;
                }
            }
            nodes.push(self.expression(0)?);
        }
        self.expect_bracket(']')?;
        self.node(at, Kind::Array(nodes))
    }

    fn map(&mut self, at: u32) -> Result<Node, Fault> {
        self.advance()?;
        let mut pairs = Vec::new();
        while !self.is_bracket('}') {
            if !pairs.is_empty() {
                self.expect_operator(",")?;
                if self.is_bracket('}') {
                    break;
                }
            }
            let key_at = self.at();
            let key = match self.current().clone() {
                TokenKind::Number(text) => {
                    self.advance()?;
                    self.node(key_at, Kind::Str(text.into()))?
                }
                TokenKind::Text(text) | TokenKind::Identifier(text) => {
                    self.advance()?;
                    self.node(key_at, Kind::Str(text))?
                }
                TokenKind::Bracket('(') => self.expression(0)?,
                other => {
                    return Err(Fault::new(
                        key_at,
                        format!("a map key must be a quoted string, a number, a name, or an expression in parentheses (unexpected token {other})"),
                    ));
                }
            };
            self.expect_operator(":")?;
            let value = self.expression(0)?;
            pairs.push((key, value));
        }
        self.expect_bracket('}')?;
        self.node(at, Kind::Map(pairs))
    }

    fn postfix(&mut self, mut node: Node) -> Result<Node, Fault> {
        loop {
            let mut at = self.at();
            let mut optional = false;
            match self.current() {
                TokenKind::Operator(text) if text == "." || text == "?." => {
                    optional = text == "?.";
                    self.advance()?;
                    if !(optional && self.is_bracket('[')) {
                        node = self.property(node, optional)?;
                        continue;
                    }
                    at = self.at();
                }
                TokenKind::Bracket('[') => {}
                _ => return Ok(node),
            }
            node = self.index(node, at, optional)?;
        }
    }

    fn property(&mut self, node: Node, optional: bool) -> Result<Node, Fault> {
        let at = self.at();
        let name: Arc<str> = match self.current().clone() {
            TokenKind::Identifier(name) => name,
            TokenKind::Operator(text) if text.chars().all(is_word) => text.into(),
            _ => {
                // expr-lang looks one token further before it complains
                self.advance()?;
                return Err(Fault::new(self.at(), "expected a name after the dot"));
            }
        };
        self.advance()?;
        let property = Box::new(self.node(at, Kind::Str(name))?);
        let (base, in_chain) = match node.kind {
            Kind::Chain(inner) => (inner, true),
            _ => (Box::new(node), false),
        };
        let method = self.is_bracket('(');
        let mut node = self.node(at, Kind::Member { base, property, optional, method })?;
        if method {
            let mut arguments = Vec::new();
            self.arguments(&mut arguments)?;
            node = self.node(at, Kind::Call { callee: Box::new(node), arguments })?;
        }
        if in_chain || optional { self.node(at, Kind::Chain(Box::new(node))) } else { Ok(node) }
    }

    fn index(&mut self, node: Node, at: u32, optional: bool) -> Result<Node, Fault> {
        self.advance()?;
        let base = Box::new(node);
        let from = if self.is_operator(":") { None } else { Some(Box::new(self.expression(0)?)) };
        let node = if self.is_operator(":") {
            self.advance()?;
            let to = if self.is_bracket(']') { None } else { Some(Box::new(self.expression(0)?)) };
            self.node(at, Kind::Slice { base, from, to })?
        } else {
            let property = from.ok_or_else(|| self.unexpected())?;
            let node = self.node(at, Kind::Member { base, property, optional, method: false })?;
            if optional { self.node(at, Kind::Chain(Box::new(node)))? } else { node }
        };
        self.expect_bracket(']')?;
        Ok(node)
    }
}

fn number(text: &str) -> Result<Kind, String> {
    let digits = text.replace('_', "").to_lowercase();
    let radix = |digits: &str, base, name| i64::from_str_radix(digits, base).map(Kind::Int).map_err(|_| format!("invalid {name} literal `{text}`"));
    if let Some(hex) = digits.strip_prefix("0x") {
        return radix(hex, 16, "hex");
    }
    if digits.contains(['.', 'e']) {
        return match digits.parse::<f64>() {
            Ok(float) if float.is_finite() => Ok(Kind::Float(float)),
            _ => Err(format!("invalid float literal `{text}`")),
        };
    }
    if let Some(binary) = digits.strip_prefix("0b") {
        return radix(binary, 2, "binary");
    }
    if let Some(octal) = digits.strip_prefix("0o") {
        return radix(octal, 8, "octal");
    }
    digits.parse().map(Kind::Int).map_err(|_| format!("invalid integer literal `{text}`: it does not fit into 64 bits"))
}
