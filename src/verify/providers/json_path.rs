//! JSON paths in kubectl's template form, as `jsonPath` of web metrics has them: text, `{.a.b[0]}`, `{range .items[*]}{.v}{end}`. Pure.
//!
//! RFC 9535 is another language (no templates, no dashes in bare names, a missing field is no error), so its libraries do not fit.

use serde_json::Value;

/// Deeper nesting of ranges and filters than this is refused.
const MAX_DEPTH: usize = 32;
/// More results than this are refused.
const MAX_RESULTS: usize = 100_000;

/// A compiled template.
#[derive(Clone, Debug, PartialEq)]
pub struct Template(Vec<Node>);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Text(String),
    Path(Vec<Step>),
    Range(Vec<Step>, Vec<Node>),
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// `$`: from the root again.
    Root,
    Field(String),
    Index(i64),
    Slice {
        from: Option<i64>,
        to: Option<i64>,
        step: Option<i64>,
    },
    Wildcard,
    Recursive,
    Union(Vec<Step>),
    Filter(Box<Filter>),
    Literal(Value),
}

#[derive(Clone, Debug, PartialEq)]
struct Filter {
    left: Vec<Step>,
    /// None: whether `left` finds anything.
    comparison: Option<(Comparison, Vec<Step>)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Template {
    /// Compiles a template. A text without braces is read as a path.
    ///
    /// # Errors
    /// What is wrong, lowercase.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrapped = if text.contains('{') { text.to_owned() } else { format!("{{{text}}}") };
        let mut parser = Parser { text: &wrapped, at: 0 };
        let nodes = parser.nodes(0)?;
        if parser.at < wrapped.len() {
            return Err("`{end}` without `{range}`".into());
        }
        Ok(Self(nodes))
    }

    /// All values the template finds, in order. Text in it is found as text.
    ///
    /// # Errors
    /// A field or element that is not there, a filter that cannot be applied.
    pub fn find(&self, document: &Value) -> Result<Vec<Value>, String> {
        let mut found = Vec::new();
        find(&self.0, document, document, &mut found)?;
        Ok(found)
    }
}

fn find(nodes: &[Node], root: &Value, current: &Value, found: &mut Vec<Value>) -> Result<(), String> {
    for node in nodes {
        match node {
            Node::Text(text) => found.push(Value::String(text.clone())),
            Node::Path(steps) => found.extend(walk(steps, root, current)?),
            Node::Range(steps, body) => {
                for item in walk(steps, root, current)? {
                    find(body, root, &item, found)?;
                }
            }
        }
        if found.len() > MAX_RESULTS {
            return Err(format!("it finds more than {MAX_RESULTS} values"));
        }
    }
    Ok(())
}

fn walk(steps: &[Step], root: &Value, current: &Value) -> Result<Vec<Value>, String> {
    let mut values = vec![current.clone()];
    for step in steps {
        values = apply(step, root, &values)?;
        if values.len() > MAX_RESULTS {
            return Err(format!("it finds more than {MAX_RESULTS} values"));
        }
    }
    Ok(values)
}

fn apply(step: &Step, root: &Value, values: &[Value]) -> Result<Vec<Value>, String> {
    let present = values.iter().filter(|value| !value.is_null());
    Ok(match step {
        Step::Root => vec![root.clone()],
        Step::Literal(value) => vec![value.clone()],
        Step::Field(name) => {
            let found: Vec<Value> = present.filter_map(|value| value.as_object()?.get(name).cloned()).collect();
            if found.is_empty() && !values.is_empty() {
                return Err(format!("`{name}` is not found"));
            }
            found
        }
        Step::Index(_) | Step::Slice { .. } => {
            let mut found = Vec::new();
            for value in present {
                let items = value.as_array().ok_or("a value that is no array has no elements")?;
                found.extend(elements(step, items)?);
            }
            found
        }
        Step::Wildcard => present.flat_map(children).collect(),
        Step::Recursive => {
            let mut found = Vec::new();
            for value in present {
                descend(value, &mut found);
            }
            found
        }
        Step::Union(steps) => {
            let mut found = Vec::new();
            for step in steps {
                found.extend(apply(step, root, values)?);
            }
            found
        }
        Step::Filter(filter) => {
            let mut found = Vec::new();
            for value in present {
                let items = value.as_array().ok_or("a value that is no array cannot be filtered")?;
                for item in items {
                    if filter.keeps(root, item)? {
                        found.push(item.clone());
                    }
                }
            }
            found
        }
    })
}

fn children(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::Object(fields) => fields.values().cloned().collect(),
        _ => Vec::new(),
    }
}

/// A value that has children, and all such below it.
fn descend(value: &Value, found: &mut Vec<Value>) {
    let below = children(value);
    if below.is_empty() {
        return;
    }
    found.push(value.clone());
    for child in &below {
        descend(child, found);
    }
}

fn elements(step: &Step, items: &[Value]) -> Result<Vec<Value>, String> {
    let length = i64::try_from(items.len()).map_err(|_| "the array is too long")?;
    let from_start = |index: i64| if index < 0 { index.saturating_add(length) } else { index };
    let outside = |index: i64| format!("array index out of bounds: index {index}, length {length}");
    let (from, to, by) = match step {
        Step::Index(index) => {
            let index = from_start(*index);
            (index, index.saturating_add(1), 1)
        }
        Step::Slice { from, to, step } => (from_start(from.unwrap_or(0)), from_start(to.unwrap_or(length)), step.unwrap_or(1)),
        _ => return Ok(Vec::new()),
    };
    if from == to {
        return Ok(Vec::new());
    }
    if from < 0 || from >= length {
        return Err(outside(from));
    }
    if to < 0 || to > length {
        return Err(outside(to - 1));
    }
    if from > to {
        return Err(format!("the slice starts at {from}, after its end at {to}"));
    }
    let by = usize::try_from(by).ok().filter(|by| *by > 0).ok_or("the step of a slice must be greater than 0")?;
    let index = |number: i64| usize::try_from(number).unwrap_or(0);
    Ok(items[index(from)..index(to)].iter().step_by(by).cloned().collect())
}

impl Filter {
    fn keeps(&self, root: &Value, item: &Value) -> Result<bool, String> {
        let Some((comparison, right)) = &self.comparison else {
            return Ok(walk(&self.left, root, item).is_ok_and(|found| !found.is_empty()));
        };
        let one = |steps| -> Result<Option<Value>, String> {
            let mut found = walk(steps, root, item)?.into_iter();
            let first = found.next();
            if found.next().is_some() { Err("can only compare one element at a time".into()) } else { Ok(first) }
        };
        let (Some(left), Some(right)) = (one(&self.left)?, one(right)?) else { return Ok(false) };
        comparison.holds(&left, &right)
    }
}

impl Comparison {
    fn holds(self, left: &Value, right: &Value) -> Result<bool, String> {
        let order = match (left, right) {
            (Value::Number(left), Value::Number(right)) => left.as_f64().partial_cmp(&right.as_f64()),
            (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
            (Value::Bool(left), Value::Bool(right)) if matches!(self, Self::Equal | Self::NotEqual) => Some(left.cmp(right)),
            _ => return Err("a filter compares values of different types".into()),
        };
        let Some(order) = order else { return Ok(false) };
        Ok(match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        })
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    fn spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let end = self.rest().find(|character| !wanted(character)).unwrap_or(self.rest().len());
        let text = self.rest()[..end].to_owned();
        self.at += end;
        text
    }

    /// Nodes up to the end, or up to the `{end}` of this range.
    fn nodes(&mut self, depth: usize) -> Result<Vec<Node>, String> {
        if depth > MAX_DEPTH {
            return Err("it is nested too deeply".into());
        }
        let mut nodes = Vec::new();
        while self.peek().is_some() {
            if !self.take("{") {
                nodes.push(Node::Text(self.take_while(|character| character != '{')));
                continue;
            }
            self.spaces();
            if self.rest().starts_with("end") && self.rest()[3..].trim_start().starts_with('}') {
                if depth == 0 {
                    return Err("`{end}` without `{range}`".into());
                }
                self.at += 3;
                self.close()?;
                return Ok(nodes);
            }
            let is_range = self.rest().strip_prefix("range").is_some_and(|rest| rest.starts_with(char::is_whitespace));
            if is_range {
                self.at += "range".len();
            }
            let steps = self.steps(depth, &['}'])?;
            self.close()?;
            nodes.push(if is_range { Node::Range(steps, self.nodes(depth + 1)?) } else { Node::Path(steps) });
        }
        if depth > 0 { Err("`{range}` without `{end}`".into()) } else { Ok(nodes) }
    }

    fn close(&mut self) -> Result<(), String> {
        self.spaces();
        if self.take("}") { Ok(()) } else { Err("unclosed action: a `}` is missing".into()) }
    }

    /// Steps up to one of `ends`, which stays unread.
    fn steps(&mut self, depth: usize, ends: &[char]) -> Result<Vec<Step>, String> {
        if depth > MAX_DEPTH {
            return Err("it is nested too deeply".into());
        }
        let mut steps = Vec::new();
        loop {
            self.spaces();
            match self.peek() {
                None => return Ok(steps),
                Some(end) if ends.contains(&end) => return Ok(steps),
                Some('$') => {
                    self.at += 1;
                    steps.push(Step::Root);
                }
                Some('@') => self.at += 1,
                Some('[') => {
                    self.at += 1;
                    steps.push(self.brackets(depth)?);
                }
                Some('"' | '\'') => steps.push(Step::Literal(Value::String(self.quoted()?))),
                Some('*') => {
                    self.at += 1;
                    steps.push(Step::Wildcard);
                }
                Some('.') => {
                    self.at += 1;
                    if self.take(".") {
                        steps.push(Step::Recursive);
                    }
                    match self.peek() {
                        Some('*') => {
                            self.at += 1;
                            steps.push(Step::Wildcard);
                        }
                        Some('[') | None => {}
                        Some(end) if ends.contains(&end) => {}
                        _ => steps.push(self.field()?),
                    }
                }
                Some(character) if character == '-' || character == '+' || character.is_ascii_digit() => {
                    let number = self.take_while(|character| character.is_ascii_alphanumeric() || "+-.".contains(character));
                    let value: f64 = number.parse().map_err(|_| format!("`{number}` is not a number"))?;
                    steps.push(Step::Literal(value.into()));
                }
                Some(character) if character.is_alphabetic() || character == '_' => {
                    let word = self.take_while(|character| character.is_alphanumeric() || character == '_');
                    steps.push(match word.as_str() {
                        "true" => Step::Literal(true.into()),
                        "false" => Step::Literal(false.into()),
                        // `{status}` reads as `{.status}`
                        _ => Step::Field(word),
                    });
                }
                Some(character) => return Err(format!("unrecognized character `{character}`")),
            }
        }
    }

    fn field(&mut self) -> Result<Step, String> {
        let mut name = String::new();
        while let Some(character) = self.peek() {
            if character.is_whitespace() || ".[]{},|&<>=!()$@'\"*?:".contains(character) {
                break;
            }
            self.at += character.len_utf8();
            if character == '\\' {
                let Some(escaped) = self.peek() else { return Err("nothing follows the `\\`".into()) };
                self.at += escaped.len_utf8();
                name.push(escaped);
            } else {
                name.push(character);
            }
        }
        if name.is_empty() { Err("a name is missing after `.`".into()) } else { Ok(Step::Field(name)) }
    }

    fn quoted(&mut self) -> Result<String, String> {
        let quote = self.peek().filter(|character| matches!(character, '"' | '\'')).ok_or("a quote is missing")?;
        self.at += 1;
        let mut text = String::new();
        while let Some(character) = self.peek() {
            self.at += character.len_utf8();
            match character {
                end if end == quote => return Ok(text),
                '\\' => {
                    let Some(escaped) = self.peek() else { break };
                    self.at += escaped.len_utf8();
                    text.push(match escaped {
                        'n' => '\n',
                        't' => '\t',
                        other => other,
                    });
                }
                other => text.push(other),
            }
        }
        Err("unterminated quoted text".into())
    }

    /// What stands in brackets; the opening one is read.
    fn brackets(&mut self, depth: usize) -> Result<Step, String> {
        self.spaces();
        if self.take("?(") {
            let filter = self.filter(depth)?;
            self.spaces();
            return if self.take("]") { Ok(Step::Filter(Box::new(filter))) } else { Err("unterminated filter".into()) };
        }
        let mut parts = Vec::new();
        loop {
            self.spaces();
            parts.push(match self.peek() {
                Some('*') => {
                    self.at += 1;
                    Step::Wildcard
                }
                Some('"' | '\'') => Step::Field(self.quoted()?),
                _ => self.index()?,
            });
            self.spaces();
            if self.take("]") {
                break;
            }
            if !self.take(",") {
                return Err("unterminated array".into());
            }
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Step::Union(parts) })
    }

    fn index(&mut self) -> Result<Step, String> {
        let text = self.take_while(|character| character.is_ascii_digit() || "-+:".contains(character));
        if text.is_empty() {
            return Err("unterminated array".into());
        }
        let number = |part: &str| part.parse::<i64>().map_err(|_| format!("`{text}` is not an array index"));
        let optional = |part: Option<&&str>| part.filter(|part| !part.is_empty()).map(|part| number(part)).transpose();
        match text.split(':').collect::<Vec<_>>().as_slice() {
            [index] => number(index).map(Step::Index),
            parts if parts.len() <= 3 => {
                Ok(Step::Slice { from: optional(parts.first())?, to: optional(parts.get(1))?, step: optional(parts.get(2))? })
            }
            _ => Err(format!("`{text}` is not an array index")),
        }
    }

    /// A filter up to its closing parenthesis, which is read.
    fn filter(&mut self, depth: usize) -> Result<Filter, String> {
        const OPERATORS: [(&str, Comparison); 6] = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        let left = self.steps(depth + 1, &[')', '=', '!', '<', '>'])?;
        if left.is_empty() && !self.text[..self.at].trim_end().ends_with('@') {
            return Err("a filter has nothing to compare".into());
        }
        let found = OPERATORS.iter().find(|(operator, _)| self.take(operator)).map(|(_, comparison)| *comparison);
        let comparison = match found {
            Some(comparison) => Some((comparison, self.steps(depth + 1, &[')'])?)),
            None => None,
        };
        if self.take(")") { Ok(Filter { left, comparison }) } else { Err("unterminated filter".into()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn found(template: &str, document: &Value) -> Vec<Value> {
        Template::parse(template).unwrap().find(document).unwrap()
    }

    #[test]
    fn paths_find_what_kubectl_finds() {
        let document = json!({"a": {"b-c": [1, 2, 3], "d.e": true}, "items": [{"n": "x", "v": 1}, {"n": "y", "v": 2, "w": 0}]});
        assert_eq!(found("{.a.b-c[1]}", &document), [json!(2)]);
        assert_eq!(found("{$.a['b-c'][-1]}", &document), [json!(3)]);
        assert_eq!(found("{$.a.d\\.e}", &document), [json!(true)]);
        assert_eq!(found("{.items[?(@.v>1)].n}", &document), [json!("y")]);
        assert_eq!(found("{.items[?(@.w)].n}", &document), [json!("y")]);
        assert_eq!(found("{.items[?(@.n==\"x\")].v}", &document), [json!(1)]);
        assert_eq!(found("{..v}", &document), [json!(1), json!(2)]);
        assert_eq!(found("{.items[0,1].v}", &document), [json!(1), json!(2)]);
        assert_eq!(found("{.a.b-c[0:3:2]}", &document), [json!(1), json!(3)]);
        assert_eq!(found("{range .items[*]}{.n}={.v} {end}", &document).len(), 8);
        assert_eq!(found("n: {.items[0].n}", &document), [json!("n: "), json!("x")]);
        assert_eq!(found(".items[0].n", &document), [json!("x")]);
    }

    #[test]
    fn what_is_missing_or_broken_is_an_error() {
        let document = json!({"a": [1], "b": 1});
        for path in ["{.c}", "{.a[1]}", "{.b[0]}", "{.a[0:5]}", "{.b[?(@.x==1)]}", "{.a[0:1:0]}"] {
            assert!(Template::parse(path).unwrap().find(&document).is_err(), "{path}");
        }
        for path in ["{.a[}", "{.a", "{range .a}{.x}", "{end}", "{.a[?(@.x==1]}", "{.a[?()]}", "{.a['x]}", "{^}"] {
            assert!(Template::parse(path).is_err(), "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_template_panics(text in "[{}.$@\\[\\]?()'\"a-c0-9*:,<=! -]{0,24}") {
            if let Ok(template) = Template::parse(&text) {
                let _ = template.find(&json!({"a": [1, {"b": "c"}], "b": {"a": null}}));
            }
        }
    }
}
