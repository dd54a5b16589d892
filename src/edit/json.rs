//! `json-update`: sets values by key paths as sjson reads them, in JSON and in JSON with comments.
//!
//! `.` separates parts and `\` takes the next character as itself. On an array a part is an index, `-1` appends. A `:` before a number makes
//! it the key of an object. What is missing is created. `#` stands for all items, `#(name=="api")` for the first that matches, `#(…)#` for
//! all that match; paths with these, with `?` or with `@` change what exists and create nothing.

use std::fmt::Write as _;
use std::ops::Range;

use serde_json::Value;

use super::{EditError, Update, number};

/// An index this far behind the end of an array is taken for a mistake.
const MAX_PADDING: usize = 10_000;
const MAX_DEPTH: usize = 500;

/// Sets the values at the updates' keys, one after the other. An empty text is a new document.
///
/// # Errors
/// The text is not JSON; a key is not usable on it; a value is not a string, number or boolean.
///
/// ```
/// use consign::edit::{Update, json::update};
/// let updates = [Update { key: "image.tag".into(), value: "v2".into() }];
/// assert_eq!(update("{ \"image\": {} }\n", &updates).unwrap(), "{ \"image\": {\"tag\":\"v2\"} }\n");
/// ```
pub fn update(text: &str, updates: &[Update]) -> Result<String, EditError> {
    let mut text = text.to_owned();
    for update in updates {
        let value = write(&update.value).ok_or_else(|| EditError::NotScalarValue { key: update.key.clone() })?;
        text = set(&text, &update.key, &value)?;
    }
    Ok(text)
}

/// A value as the commit message shows it.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Number(number) => number::general(number::as_float(number)),
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

/// A scalar as JSON; numbers as the 64-bit floats they are in Kargo, in full digits. None: no scalar.
fn write(value: &Value) -> Option<String> {
    match value {
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number::in_full(number::as_float(number))),
        Value::String(text) => Some(quoted(text)),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn quoted(text: &str) -> String {
    // The two line separators are escaped for readers that take JSON for JavaScript.
    Value::from(text).to_string().replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

fn set(text: &str, key: &str, value: &str) -> Result<String, EditError> {
    let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let root = Scanner { text, at: start }.document()?;
    match split(key)? {
        Path::Plain(parts) => {
            let Some(root) = root else { return Ok(format!("{}{}", &text[..start], container(&parts, value, key)?)) };
            let (range, new) = place(text, &root, &parts, value, key)?;
            Ok(format!("{}{new}{}", &text[..range.start], &text[range.end..]))
        }
        Path::Query(parts) => {
            let mut found = Vec::new();
            if let Some(root) = &root {
                matches(text, root, &parts, &mut found);
            }
            found.sort_by_key(|range: &Range<usize>| range.start);
            let mut out = String::with_capacity(text.len());
            let mut done = 0;
            for range in found {
                out.push_str(&text[done..range.start]);
                out.push_str(value);
                done = range.end;
            }
            out.push_str(&text[done..]);
            Ok(out)
        }
    }
}

/// A part of a plain path.
struct Part {
    text: String,
    /// Marked as a key by a `:`.
    is_key: bool,
}

impl Part {
    /// The index the part is on an array. An empty part counts as 0, as in sjson.
    fn index(&self) -> Option<usize> {
        if self.is_key || !self.text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        if self.text.is_empty() { Some(0) } else { self.text.parse().ok() }
    }

    fn appends(&self) -> bool {
        !self.is_key && self.text == "-1"
    }
}

/// A part of a path that searches.
enum Step {
    /// A key, in which `?` stands for any character, or an index.
    Name(String),
    /// `#`: all items.
    All,
    /// `#(…)`, and with `all` `#(…)#`.
    Where { query: Query, all: bool },
}

enum Path {
    Plain(Vec<Part>),
    Query(Vec<Step>),
}

fn split(key: &str) -> Result<Path, EditError> {
    let refuse = |reason: &str| EditError::Key { key: key.to_owned(), reason: reason.to_owned() };
    if key.is_empty() {
        return Err(refuse("it is empty"));
    }
    let mut parts = Vec::new();
    let mut steps = Vec::new();
    let mut searches = false;
    let mut rest = key;
    loop {
        let marked = rest.strip_prefix(':');
        let mut part = String::new();
        let mut chars = marked.unwrap_or(rest).char_indices();
        let body = marked.unwrap_or(rest);
        let mut end = body.len();
        let mut more = false;
        let mut step = None;
        while let Some((at, char)) = chars.next() {
            match char {
                '.' => {
                    (end, more) = (at, true);
                    break;
                }
                '\\' => part.extend(chars.next().map(|(_, escaped)| escaped)),
                '*' | '|' => return Err(refuse("`*` and `|` search without changing anything; write `\\*` or `\\|` for the character itself")),
                '#' if at == 0 && marked.is_none() => {
                    searches = true;
                    let (found, length) = search(body).ok_or_else(|| refuse("the query after `#` is not closed or not understood"))?;
                    let after = &body[length..];
                    if !after.is_empty() && !after.starts_with('.') {
                        return Err(refuse("a query is followed by a `.` or by nothing"));
                    }
                    step = Some(found);
                    (end, more) = (length, !after.is_empty());
                    break;
                }
                '?' | '@' | '#' => {
                    searches = true;
                    part.push(char);
                }
                other => part.push(other),
            }
        }
        steps.push(step.unwrap_or_else(|| Step::Name(part.clone())));
        parts.push(Part { text: part, is_key: marked.is_some() });
        if !more {
            break;
        }
        rest = &body[end + 1..];
    }
    Ok(if searches { Path::Query(steps) } else { Path::Plain(parts) })
}

/// A condition on an item.
struct Query {
    path: Vec<String>,
    test: Option<(Comparison, Value)>,
}

#[derive(Clone, Copy)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
    NotLike,
}

/// Reads `#`, `#(…)` or `#(…)#`; what it is and how long.
fn search(text: &str) -> Option<(Step, usize)> {
    let Some(inner) = text.strip_prefix("#(") else { return Some((Step::All, 1)) };
    let mut in_string = false;
    let mut escaped = false;
    let mut depth = 0;
    let close = inner.char_indices().find_map(|(at, char)| {
        if escaped {
            escaped = false;
            return None;
        }
        match char {
            '\\' => escaped = true,
            '"' => in_string = !in_string,
            '(' if !in_string => depth += 1,
            ')' if !in_string && depth == 0 => return Some(at),
            ')' if !in_string => depth -= 1,
            _ => {}
        }
        None
    })?;
    let query = query(&inner[..close])?;
    let all = inner[close + 1..].starts_with('#');
    Some((Step::Where { query, all }, "#(".len() + close + 1 + usize::from(all)))
}

fn query(text: &str) -> Option<Query> {
    const OPERATORS: [(&str, Comparison); 9] = [
        ("==", Comparison::Equal),
        ("!=", Comparison::NotEqual),
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("!%", Comparison::NotLike),
        ("=", Comparison::Equal),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
        ("%", Comparison::Like),
    ];
    if text.contains("#(") {
        return None;
    }
    let at = text.find(['=', '!', '<', '>', '%']);
    let (path, test) = match at {
        None => (text, None),
        Some(at) => {
            let (operator, comparison) = OPERATORS.into_iter().find(|(operator, _)| text[at..].starts_with(operator))?;
            let value = text[at + operator.len()..].trim();
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value.trim_matches('"')));
            (&text[..at], Some((comparison, value)))
        }
    };
    let path = path.trim();
    Some(Query { path: if path.is_empty() { Vec::new() } else { path.split('.').map(str::to_owned).collect() }, test })
}

impl Query {
    fn holds(&self, text: &str, item: &Node) -> bool {
        let mut node = item;
        for part in &self.path {
            let Some(next) = node.child(part) else { return false };
            node = next;
        }
        let Some((comparison, wanted)) = &self.test else { return true };
        let Ok(found) = serde_json::from_str::<Value>(&text[node.span.clone()]) else { return false };
        let order = match (&found, wanted) {
            (Value::Number(a), Value::Number(b)) => number::as_float(a).partial_cmp(&number::as_float(b)),
            (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
            (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            (Value::Null, Value::Null) => Some(std::cmp::Ordering::Equal),
            _ => None,
        };
        let like = || match (&found, wanted) {
            (Value::String(text), Value::String(pattern)) => globset::GlobBuilder::new(pattern).build().is_ok_and(|glob| glob.compile_matcher().is_match(text)),
            _ => false,
        };
        match comparison {
            Comparison::Equal => order.is_some_and(std::cmp::Ordering::is_eq),
            Comparison::NotEqual => !order.is_some_and(std::cmp::Ordering::is_eq),
            Comparison::Less => order.is_some_and(std::cmp::Ordering::is_lt),
            Comparison::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
            Comparison::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
            Comparison::GreaterOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
            Comparison::Like => like(),
            Comparison::NotLike => matches!(found, Value::String(_)) && !like(),
        }
    }
}

/// Collects where the values of a searching path stand.
fn matches(text: &str, node: &Node, steps: &[Step], found: &mut Vec<Range<usize>>) {
    let Some((step, rest)) = steps.split_first() else { return found.push(node.span.clone()) };
    match (step, &node.kind) {
        (Step::Name(name), _) => {
            if let Some(child) = node.child(name) {
                matches(text, child, rest, found);
            }
        }
        // A final `#` counts the items in gjson; there is nothing to set.
        (Step::All, Kind::Array(items)) if !rest.is_empty() => items.iter().for_each(|item| matches(text, item, rest, found)),
        (Step::Where { query, all }, Kind::Array(items)) => {
            let mut hits = items.iter().filter(|item| query.holds(text, item));
            if *all {
                hits.for_each(|item| matches(text, item, rest, found));
            } else if let Some(item) = hits.next() {
                matches(text, item, rest, found);
            }
        }
        _ => {}
    }
}

/// What to replace by what so that `value` stands at the path below `node`.
fn place(text: &str, node: &Node, parts: &[Part], value: &str, key: &str) -> Result<(Range<usize>, String), EditError> {
    let Some((part, rest)) = parts.split_first() else { return Ok((node.span.clone(), value.to_owned())) };
    match &node.kind {
        Kind::Scalar => Ok((node.span.clone(), container(parts, value, key)?)),
        Kind::Object(members) => {
            if let Some(member) = members.iter().find(|member| member.name == part.text) {
                return place(text, &member.value, rest, value, key);
            }
            let close = node.span.end - 1;
            let comma = if members.is_empty() || node.trailing_comma { "" } else { "," };
            Ok((close..close, format!("{comma}{}:{}", quoted(&part.text), below(rest, value, key)?)))
        }
        Kind::Array(items) => {
            let close = node.span.end - 1;
            let comma = if items.is_empty() || node.trailing_comma { "" } else { "," };
            if part.appends() {
                return Ok((close..close, format!("{comma}{}", below(rest, value, key)?)));
            }
            let index = part.index().filter(|_| !part.text.is_empty());
            let index = index.ok_or_else(|| EditError::NotAnIndex { key: key.to_owned(), part: part.text.clone() })?;
            if let Some(item) = items.get(index) {
                return place(text, item, rest, value, key);
            }
            let new = format!("{}{}", padding(index - items.len(), key)?, below(rest, value, key)?);
            // The array is written anew (measured), unless that would lose a comment.
            let between = items.windows(2).map(|pair| &text[pair[0].span.end..pair[1].span.start]);
            let edges = [node.span.start + 1..items.first().map_or(close, |item| item.span.start), items.last().map_or(close, |item| item.span.end)..close];
            if between.chain(edges.into_iter().map(|edge| &text[edge])).any(|gap| gap.contains('/')) {
                return Ok((close..close, format!("{comma}{new}")));
            }
            let mut array = String::from("[");
            for item in items {
                let _ = write!(array, "{},", &text[item.span.clone()]);
            }
            let _ = write!(array, "{new}]");
            Ok((node.span.clone(), array))
        }
    }
}

fn padding(count: usize, key: &str) -> Result<String, EditError> {
    if count > MAX_PADDING {
        return Err(EditError::Key { key: key.to_owned(), reason: format!("its index is more than {MAX_PADDING} behind the end of the array") });
    }
    Ok("null,".repeat(count))
}

/// A new value at the rest of a path.
fn below(parts: &[Part], value: &str, key: &str) -> Result<String, EditError> {
    if parts.is_empty() { Ok(value.to_owned()) } else { container(parts, value, key) }
}

/// A new object or array that holds the path.
fn container(parts: &[Part], value: &str, key: &str) -> Result<String, EditError> {
    let Some((part, rest)) = parts.split_first() else { return Ok(value.to_owned()) };
    let inner = below(rest, value, key)?;
    match part.index() {
        Some(index) if !part.text.is_empty() => Ok(format!("[{}{inner}]", padding(index, key)?)),
        _ if part.appends() => Ok(format!("[{inner}]")),
        _ => Ok(format!("{{{}:{inner}}}", quoted(&part.text))),
    }
}

/// A value and where it stands.
struct Node {
    span: Range<usize>,
    kind: Kind,
    trailing_comma: bool,
}

enum Kind {
    Scalar,
    Array(Vec<Node>),
    Object(Vec<Member>),
}

struct Member {
    name: String,
    value: Node,
}

impl Node {
    /// The member of a name, in which `?` stands for any character, or the item of an index.
    fn child(&self, name: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Object(members) => members.iter().find(|member| is_like(&member.name, name)).map(|member| &member.value),
            Kind::Array(items) => items.get(name.parse::<usize>().ok()?),
            Kind::Scalar => None,
        }
    }
}

fn is_like(name: &str, pattern: &str) -> bool {
    name == pattern || name.chars().count() == pattern.chars().count() && name.chars().zip(pattern.chars()).all(|(a, b)| b == '?' || a == b)
}

/// Reads JSON with comments and trailing commas for its positions.
struct Scanner<'text> {
    text: &'text str,
    at: usize,
}

impl Scanner<'_> {
    /// The document; None: there is nothing but blanks.
    fn document(mut self) -> Result<Option<Node>, EditError> {
        self.blanks()?;
        if self.peek().is_none() {
            return Ok(None);
        }
        let root = self.value(0)?;
        self.blanks()?;
        if self.peek().is_some() { Err(self.error("the end of the file")) } else { Ok(Some(root)) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn error(&self, expected: &str) -> EditError {
        let line = self.text[..self.at].matches('\n').count() + 1;
        let column = self.text[..self.at].rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        EditError::Syntax { format: "JSON", message: format!("line {line}, column {column}: expected {expected}") }
    }

    fn blanks(&mut self) -> Result<(), EditError> {
        loop {
            let rest = &self.text[self.at..];
            if rest.starts_with([' ', '\t', '\n', '\r']) {
                self.at += 1;
            } else if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                self.at += rest.find("*/").ok_or_else(|| self.error("the end of the comment"))? + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, EditError> {
        let start = self.at;
        let (kind, trailing_comma) = match self.peek() {
            Some(_) if depth > MAX_DEPTH => return Err(self.error("less nesting")),
            Some(b'{') => {
                let mut members = Vec::new();
                let trailing = self.list(b'}', |scanner| {
                    if scanner.peek() != Some(b'"') {
                        return Err(scanner.error("a key in double quotes"));
                    }
                    let name = scanner.string()?;
                    scanner.blanks()?;
                    if scanner.peek() != Some(b':') {
                        return Err(scanner.error("`:`"));
                    }
                    scanner.at += 1;
                    scanner.blanks()?;
                    members.push(Member { name, value: scanner.value(depth + 1)? });
                    Ok(())
                })?;
                (Kind::Object(members), trailing)
            }
            Some(b'[') => {
                let mut items = Vec::new();
                let trailing = self.list(b']', |scanner| {
                    items.push(scanner.value(depth + 1)?);
                    Ok(())
                })?;
                (Kind::Array(items), trailing)
            }
            Some(b'"') => {
                self.string()?;
                (Kind::Scalar, false)
            }
            _ => {
                let rest = &self.text[self.at..];
                let length = rest.find(|char: char| !char.is_ascii_alphanumeric() && !matches!(char, '+' | '-' | '.')).unwrap_or(rest.len());
                if serde_json::from_str::<serde::de::IgnoredAny>(&rest[..length]).is_err() {
                    return Err(self.error("a value"));
                }
                self.at += length;
                (Kind::Scalar, false)
            }
        };
        Ok(Node { span: start..self.at, kind, trailing_comma })
    }

    /// Reads from the opening to the closing bracket; whether a comma stands before the latter.
    fn list(&mut self, close: u8, mut item: impl FnMut(&mut Self) -> Result<(), EditError>) -> Result<bool, EditError> {
        self.at += 1;
        let mut comma = false;
        loop {
            self.blanks()?;
            if self.peek() == Some(close) {
                self.at += 1;
                return Ok(comma);
            }
            item(self)?;
            self.blanks()?;
            comma = self.peek() == Some(b',');
            if comma {
                self.at += 1;
            } else if self.peek() != Some(close) {
                return Err(self.error(if close == b'}' { "`,` or `}`" } else { "`,` or `]`" }));
            }
        }
    }

    fn string(&mut self) -> Result<String, EditError> {
        let rest = &self.text[self.at..];
        let mut escaped = false;
        let end = rest.bytes().enumerate().skip(1).find_map(|(at, byte)| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes.then_some(at + 1)
        });
        let end = end.ok_or_else(|| self.error("the end of the string"))?;
        let string = serde_json::from_str(&rest[..end]).map_err(|_| self.error("a string without raw line breaks and with known escapes"))?;
        self.at += end;
        Ok(string)
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
