//! The tree walk.

use std::sync::Arc;

use super::ast::{Binary, Kind, Node, Pointer, Unary};
use super::budget::Budget;
use super::builtins::{self, Run};
use super::error::Fault;
use super::functions;
use super::ops;
use super::sites::Scope;
use super::value::Value;

/// Deepest nesting of a value; bounds every recursion over it.
const MAX_VALUE_DEPTH: u16 = 200;

/// Evaluates a checked tree.
pub(super) fn evaluate(node: &Node, scope: &Scope<'_>) -> Result<Value, Fault> {
    let mut machine = Machine { scope, budget: Budget::default(), frames: Vec::new(), variables: Vec::new() };
    match machine.eval(node) {
        Ok(value) => Ok(value),
        Err(Stop::Fault(fault)) => Err(fault),
        Err(Stop::Chain) => Ok(Value::Nil),
    }
}

/// What ends an evaluation early.
enum Stop {
    Fault(Fault),
    /// A `?.` met nil: the chain around it is nil.
    Chain,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// The element that a predicate is looking at.
struct Frame {
    collection: Collection,
    index: usize,
    accumulator: Value,
}

/// What predicates run over.
#[derive(Clone)]
enum Collection {
    List(Arc<super::value::List>),
    Bytes(Arc<[u8]>),
    /// A map: it has a length, but no elements.
    Opaque(usize, &'static str),
}

impl Collection {
    fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::List(list) => Self::List(list.clone()),
            Value::Bytes(bytes) => Self::Bytes(bytes.clone()),
            Value::Str(_) | Value::Quoted(_) => Self::Bytes(value.as_text()?.as_bytes().into()),
            Value::Map(map) => Self::Opaque(map.entries.len(), "map"),
            Value::Texts(texts) => Self::Opaque(texts.entries.len(), "map"),
            Value::Table(table) => Self::Opaque(table.entries.len(), "map"),
            _ => return None,
        })
    }

    fn len(&self) -> usize {
        match self {
            Self::List(list) => list.items.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Opaque(length, _) => *length,
        }
    }

    fn item(&self, index: usize) -> Result<Value, String> {
        match self {
            Self::List(list) => list.items.get(index).cloned().ok_or_else(|| "index out of range".into()),
            Self::Bytes(bytes) => bytes.get(index).map(|byte| Value::Int((*byte).into())).ok_or_else(|| "index out of range".into()),
            Self::Opaque(_, name) => Err(format!("a {name} has no elements to go through; use `keys()`, `values()` or `toPairs()`")),
        }
    }
}

struct Machine<'a> {
    scope: &'a Scope<'a>,
    budget: Budget,
    frames: Vec<Frame>,
    variables: Vec<(Arc<str>, Value)>,
}

impl Machine<'_> {
    /// Evaluates a node. Every kind has a function of its own, so that the frame of this one, which nests as deep as the tree, stays small.
    fn eval(&mut self, node: &Node) -> Result<Value, Stop> {
        self.spend(node)?;
        let value = match &node.kind {
            Kind::Unary(operator, operand) => self.unary(node, *operator, operand)?,
            Kind::Binary(operator, left, right) => self.binary(node, *operator, left, right)?,
            Kind::Chain(inner) => self.chain(inner)?,
            Kind::Member { base, property, optional, .. } => self.member(node, base, property, *optional)?,
            Kind::Slice { base, from, to } => self.slice(node, base, from.as_deref(), to.as_deref())?,
            Kind::Call { callee, arguments } => self.call(node, callee, arguments)?,
            Kind::Builtin { builtin, arguments } => self.builtin(node, builtin, arguments)?,
            Kind::Predicate(inner) => self.eval(inner)?,
            Kind::Let { name, value, body } => self.variable(name, value, body)?,
            Kind::Sequence(nodes) => self.sequence(nodes)?,
            Kind::Conditional { condition, then, otherwise } => self.conditional(node, condition, then, otherwise)?,
            Kind::Array(nodes) => self.array(node, nodes)?,
            Kind::Map(pairs) => self.map(node, pairs)?,
            Kind::CountUpTo { arguments, limit } => self.count_up_to(node, arguments, *limit)?,
            Kind::MatchesPattern(left, pattern) => self.matches(node, left, pattern)?,
            Kind::FirstHit { arguments, last } => self.first_hit(node, arguments, *last)?,
            _ => self.leaf(node)?,
        };
        Self::bounded(node, value)
    }

    #[inline(never)]
    fn spend(&self, node: &Node) -> Result<(), Stop> {
        self.budget.spend(1).map_err(|message| Stop::Fault(Fault::new(node.at, message)))
    }

    #[inline(never)]
    fn bounded(node: &Node, value: Value) -> Result<Value, Stop> {
        if value.size().depth > MAX_VALUE_DEPTH {
            return Err(Stop::Fault(Fault::new(node.at, "the value is nested too deeply")));
        }
        Ok(value)
    }

    #[inline(never)]
    fn leaf(&self, node: &Node) -> Result<Value, Stop> {
        let fault = |message: String| Stop::Fault(Fault::new(node.at, message));
        Ok(match &node.kind {
            Kind::Bool(bool) => Value::Bool(*bool),
            Kind::Int(int) => Value::Int(*int),
            Kind::Float(float) => Value::Float(*float),
            Kind::Str(text) => Value::Str(text.clone()),
            Kind::Bytes(bytes) => Value::Bytes(bytes.clone()),
            Kind::Name(name) => self.name(name).map_err(fault)?,
            Kind::Pointer(pointer) => self.pointer(pointer).map_err(fault)?,
            _ => Value::Nil,
        })
    }

    #[inline(never)]
    fn chain(&mut self, inner: &Node) -> Result<Value, Stop> {
        match self.eval(inner) {
            Err(Stop::Chain) => Ok(Value::Nil),
            other => other,
        }
    }

    #[inline(never)]
    fn builtin(&mut self, node: &Node, builtin: &'static builtins::Builtin, arguments: &[Node]) -> Result<Value, Stop> {
        match builtin.run {
            Run::Plain(run) => {
                let arguments = self.all(arguments)?;
                let mut machinery = builtins::Machinery { budget: &self.budget, now: self.scope.now() };
                run(&arguments, &mut machinery).map_err(|message| Stop::Fault(Fault::new(node.at, message)))
            }
            Run::Predicate => self.predicate(node, builtin.name, arguments),
        }
    }

    #[inline(never)]
    fn variable(&mut self, name: &Arc<str>, value: &Node, body: &Node) -> Result<Value, Stop> {
        let value = self.eval(value)?;
        self.variables.push((name.clone(), value));
        let result = self.eval(body);
        self.variables.pop();
        result
    }

    #[inline(never)]
    fn sequence(&mut self, nodes: &[Node]) -> Result<Value, Stop> {
        let mut last = Value::Nil;
        for node in nodes {
            last = self.eval(node)?;
        }
        Ok(last)
    }

    #[inline(never)]
    fn conditional(&mut self, node: &Node, condition: &Node, then: &Node, otherwise: &Node) -> Result<Value, Stop> {
        match self.eval(condition)? {
            Value::Bool(true) => self.eval(then),
            Value::Bool(false) => self.eval(otherwise),
            other => Err(Stop::Fault(Fault::new(node.at, format!("a condition must be a boolean, got {}", other.type_name())))),
        }
    }

    #[inline(never)]
    fn array(&mut self, node: &Node, nodes: &[Node]) -> Result<Value, Stop> {
        self.budget.elements(nodes.len()).map_err(|message| Stop::Fault(Fault::new(node.at, message)))?;
        Ok(Value::list(self.all(nodes)?))
    }

    #[inline(never)]
    fn matches(&mut self, node: &Node, left: &Node, pattern: &regex::bytes::Regex) -> Result<Value, Stop> {
        let fault = |message: String| Stop::Fault(Fault::new(node.at, message));
        match self.eval(left)? {
            Value::Nil => Ok(Value::Bool(false)),
            Value::Bytes(bytes) => Ok(Value::Bool(pattern.is_match(&bytes))),
            other => {
                let text = other.as_text().ok_or_else(|| fault(format!("`matches` takes text, got {}", other.type_name())))?;
                self.budget.spend(text.len() as u64 / 16).map_err(fault)?;
                Ok(Value::Bool(pattern.is_match(text.as_bytes())))
            }
        }
    }

    fn all(&mut self, nodes: &[Node]) -> Result<Vec<Value>, Stop> {
        nodes.iter().map(|node| self.eval(node)).collect()
    }

    fn name(&self, name: &str) -> Result<Value, String> {
        if let Some((_, value)) = self.variables.iter().rev().find(|(variable, _)| variable.as_ref() == name) {
            return Ok(value.clone());
        }
        if name == "$env" {
            return Ok(self.scope.whole());
        }
        self.scope.name(name)
    }

    #[inline(never)]
    fn unary(&mut self, node: &Node, operator: Unary, operand: &Node) -> Result<Value, Stop> {
        let fault = |message: String| Stop::Fault(Fault::new(node.at, message));
        let value = self.eval(operand)?;
        match (operator, value) {
            (Unary::Not, Value::Bool(bool)) => Ok(Value::Bool(!bool)),
            (Unary::Not, other) => Err(fault(format!("`not` takes a boolean, got {}", other.type_name()))),
            (Unary::Plus, value) => Ok(value),
            (Unary::Minus, Value::Int(int)) => Ok(Value::Int(int.wrapping_neg())),
            (Unary::Minus, Value::Float(float)) => Ok(Value::Float(-float)),
            (Unary::Minus, other) => Err(fault(format!("invalid operation: - {}", other.type_name()))),
        }
    }

    #[inline(never)]
    fn binary(&mut self, node: &Node, operator: Binary, left_node: &Node, right_node: &Node) -> Result<Value, Stop> {
        let fault = |message: String| Stop::Fault(Fault::new(node.at, message));
        let left = self.eval(left_node)?;
        match operator {
            Binary::And | Binary::Or => {
                return match left {
                    Value::Bool(bool) if bool == (operator == Binary::Or) => Ok(left),
                    Value::Bool(_) => self.eval(right_node),
                    other => Err(fault(format!("`{}` takes booleans, got {} on its left", operator.symbol(), other.type_name()))),
                };
            }
            Binary::Coalesce => return if left.is_nil() { self.eval(right_node) } else { Ok(left) },
            _ => {}
        }
        let right = self.eval(right_node)?;
        operate(operator, &left, &right, &self.budget).map_err(fault)
    }

    #[inline(never)]
    fn member(&mut self, node: &Node, base_node: &Node, property_node: &Node, optional: bool) -> Result<Value, Stop> {
        let base = self.eval(base_node)?;
        if optional && base.is_nil() {
            return Err(Stop::Chain);
        }
        let property = self.eval(property_node)?;
        ops::fetch(&base, &property).map_err(|message| Stop::Fault(Fault::new(node.at, message)))
    }

    #[inline(never)]
    fn slice(&mut self, node: &Node, base: &Node, from: Option<&Node>, to: Option<&Node>) -> Result<Value, Stop> {
        let base = self.eval(base)?;
        let to = to.map(|node| self.eval(node)).transpose()?;
        let from = from.map(|node| self.eval(node)).transpose()?;
        ops::slice(&base, from.as_ref(), to.as_ref(), &self.budget).map_err(|message| Stop::Fault(Fault::new(node.at, message)))
    }

    #[inline(never)]
    fn call(&mut self, node: &Node, callee: &Node, arguments: &[Node]) -> Result<Value, Stop> {
        let fault = |message: String| Stop::Fault(Fault::new(node.at, message));
        let arguments = self.all(arguments)?;
        if let Kind::Name(name) = &callee.kind
            && !self.variables.iter().any(|(variable, _)| variable == name)
            && let Some(function) = self.scope.site.types().function(name)
        {
            return functions::call(function, &arguments, self.scope, &self.budget).map_err(fault);
        }
        match self.eval(callee)? {
            Value::Function(function) => function.call(&arguments).map_err(fault),
            Value::Nil => {
                let hint = match &callee.kind {
                    Kind::Name(name) => format!("; there is no function `{name}` here{}", self.scope.site.types().suggestion(name)),
                    _ => String::new(),
                };
                Err(fault(format!("invalid operation: cannot call nil{hint}")))
            }
            other => Err(fault(format!("invalid operation: cannot call a value of type {}", other.type_name()))),
        }
    }

    #[inline(never)]
    fn map(&mut self, node: &Node, pairs: &[(Node, Node)]) -> Result<Value, Stop> {
        let fault = |message: String| Stop::Fault(Fault::new(node.at, message));
        self.budget.elements(pairs.len()).map_err(fault)?;
        let mut evaluated = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            evaluated.push((self.eval(key)?, self.eval(value)?));
        }
        let mut entries = std::collections::BTreeMap::new();
        for (key, value) in evaluated {
            let key = key.as_text().cloned().ok_or_else(|| fault(format!("a map key must be text, got {}", key.type_name())))?;
            entries.insert(key, value);
        }
        Ok(Value::map(entries))
    }

    fn pointer(&self, pointer: &Pointer) -> Result<Value, String> {
        let frame = self.frames.last().ok_or("`#` has a meaning only inside a predicate")?;
        match pointer {
            Pointer::Item => frame.collection.item(frame.index),
            #[allow(clippy::cast_possible_wrap)]
            Pointer::Index => Ok(Value::Int(frame.index as i64)),
            Pointer::Accumulator => Ok(frame.accumulator.clone()),
            Pointer::Unknown(name) => Err(format!("unknown pointer #{name}")),
        }
    }

    fn collection(&mut self, node: &Node, name: &str, arguments: &[Node]) -> Result<Collection, Stop> {
        let value = match arguments.first() {
            Some(list) => self.eval(list)?,
            None => Value::Nil,
        };
        Collection::of(&value).ok_or_else(|| Stop::Fault(Fault::new(node.at, format!("`{name}` goes through a list, got {}", value.type_name()))))
    }

    /// Evaluates a predicate for one element; without one, the element itself.
    fn at(&mut self, node: &Node, predicate: Option<&Node>, collection: &Collection, index: usize) -> Result<Value, Stop> {
        let Some(predicate) = predicate else {
            return collection.item(index).map_err(|message| Stop::Fault(Fault::new(node.at, message)));
        };
        self.frames.push(Frame { collection: collection.clone(), index, accumulator: Value::Nil });
        let result = self.eval(predicate);
        self.frames.pop();
        result
    }

    fn holds(&mut self, node: &Node, predicate: Option<&Node>, collection: &Collection, index: usize) -> Result<bool, Stop> {
        match self.at(node, predicate, collection, index)? {
            Value::Bool(bool) => Ok(bool),
            other => Err(Stop::Fault(Fault::new(node.at, format!("the predicate must give a boolean, got {}", other.type_name())))),
        }
    }

    fn predicate(&mut self, node: &Node, name: &str, arguments: &[Node]) -> Result<Value, Stop> {
        let fault = |message: String| Stop::Fault(Fault::new(node.at, message));
        let collection = self.collection(node, name, arguments)?;
        let length = collection.len();
        let predicate = arguments.get(1);
        #[allow(clippy::cast_possible_wrap)]
        let position = |index: usize| Value::Int(index as i64);
        match name {
            "all" | "any" | "none" => {
                for index in 0..length {
                    if self.holds(node, predicate, &collection, index)? != (name == "all") {
                        return Ok(Value::Bool(name == "any"));
                    }
                }
                Ok(Value::Bool(name != "any"))
            }
            "one" | "count" => {
                let mut hits = 0_usize;
                for index in 0..length {
                    hits += usize::from(self.holds(node, predicate, &collection, index)?);
                }
                Ok(if name == "one" { Value::Bool(hits == 1) } else { position(hits) })
            }
            "filter" => {
                let mut items = Vec::new();
                for index in 0..length {
                    if self.holds(node, predicate, &collection, index)? {
                        items.push(collection.item(index).map_err(fault)?);
                    }
                }
                self.budget.elements(items.len()).map_err(fault)?;
                Ok(Value::list(items))
            }
            "map" => {
                self.budget.elements(length).map_err(fault)?;
                let mut items = Vec::with_capacity(length);
                for index in 0..length {
                    items.push(self.at(node, predicate, &collection, index)?);
                }
                Ok(Value::list(items))
            }
            "sum" => {
                let mut total = Value::Int(0);
                for index in 0..length {
                    let value = self.at(node, predicate, &collection, index)?;
                    total = ops::add(&value, &total, &self.budget).map_err(fault)?;
                }
                Ok(total)
            }
            "find" | "findIndex" | "findLast" | "findLastIndex" => {
                let backwards = name.starts_with("findLast");
                for step in 0..length {
                    let index = if backwards { length - 1 - step } else { step };
                    if self.holds(node, predicate, &collection, index)? {
                        return if name.ends_with("Index") { Ok(position(index)) } else { collection.item(index).map_err(fault) };
                    }
                }
                Ok(Value::Nil)
            }
            "groupBy" => self.group_by(node, predicate, &collection),
            "sortBy" => self.sort_by(node, arguments, &collection),
            _ => self.reduce(node, arguments, &collection),
        }
    }

    #[inline(never)]
    fn group_by(&mut self, node: &Node, predicate: Option<&Node>, collection: &Collection) -> Result<Value, Stop> {
        let fault = |message: String| Stop::Fault(Fault::new(node.at, message));
        let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
        for index in 0..collection.len() {
            let key = self.at(node, predicate, collection, index)?;
            if matches!(key, Value::List(_) | Value::Map(_) | Value::Texts(_) | Value::Table(_) | Value::Bytes(_) | Value::Function(_)) {
                return Err(fault(format!("cannot group by a value of type {}", key.type_name())));
            }
            let item = collection.item(index).map_err(fault)?;
            self.budget.spend(groups.len() as u64).map_err(fault)?;
            match groups.iter_mut().find(|(there, _)| ops::identical_key(there, &key)) {
                Some((_, items)) => items.push(item),
                None => groups.push((key, vec![item])),
            }
        }
        Ok(Value::table(groups.into_iter().map(|(key, items)| (key, Value::list(items))).collect(), false))
    }

    #[inline(never)]
    fn sort_by(&mut self, node: &Node, arguments: &[Node], collection: &Collection) -> Result<Value, Stop> {
        let fault = |message: String| Stop::Fault(Fault::new(node.at, message));
        let order = match arguments.get(2) {
            Some(order) => self.eval(order)?,
            None => "asc".into(),
        };
        let descending = builtins::descending(&order).map_err(fault)?;
        let mut items = Vec::with_capacity(collection.len());
        for index in 0..collection.len() {
            let key = self.at(node, arguments.get(1), collection, index)?;
            items.push((key, collection.item(index).map_err(fault)?));
        }
        self.budget.elements(items.len()).map_err(fault)?;
        let items = builtins::sorted(items, descending, &self.budget, |(key, _)| key).map_err(fault)?;
        Ok(Value::list(items.into_iter().map(|(_, item)| item).collect()))
    }

    #[inline(never)]
    fn reduce(&mut self, node: &Node, arguments: &[Node], collection: &Collection) -> Result<Value, Stop> {
        let fault = |message: String| Stop::Fault(Fault::new(node.at, message));
        let (mut accumulator, start) = match arguments.get(2) {
            Some(initial) => (self.eval(initial)?, 0),
            None if collection.len() == 0 => return Err(fault("reduce of empty array with no initial value".into())),
            None => (collection.item(0).map_err(fault)?, 1),
        };
        for index in start..collection.len() {
            self.frames.push(Frame { collection: collection.clone(), index, accumulator });
            let result = match arguments.get(1) {
                Some(predicate) => self.eval(predicate),
                None => Ok(Value::Nil),
            };
            self.frames.pop();
            accumulator = result?;
        }
        Ok(accumulator)
    }

    #[inline(never)]
    fn count_up_to(&mut self, node: &Node, arguments: &[Node], limit: i64) -> Result<Value, Stop> {
        let collection = self.collection(node, "count", arguments)?;
        let mut hits = 0;
        for index in 0..collection.len() {
            hits += i64::from(self.holds(node, arguments.get(1), &collection, index)?);
            if hits >= limit {
                break;
            }
        }
        Ok(Value::Int(hits))
    }

    #[inline(never)]
    fn first_hit(&mut self, node: &Node, arguments: &[Node], last: bool) -> Result<Value, Stop> {
        let fault = |message: String| Stop::Fault(Fault::new(node.at, message));
        let collection = self.collection(node, "filter", arguments)?;
        let length = collection.len();
        for step in 0..length {
            let index = if last { length - 1 - step } else { step };
            if self.holds(node, arguments.get(1), &collection, index)? {
                return collection.item(index).map_err(fault);
            }
        }
        Err(fault("index out of range: nothing was found; `find(...)` gives nil instead".into()))
    }
}

/// Operators whose both sides are always evaluated.
fn operate(operator: Binary, left: &Value, right: &Value, budget: &Budget) -> Result<Value, String> {
    let order = |test: fn(std::cmp::Ordering) -> bool| Ok(Value::Bool(ops::order(operator.symbol(), left, right)?.is_some_and(test)));
    match operator {
        Binary::Equal => ops::equal(left, right, budget).map(Value::Bool),
        Binary::NotEqual => ops::equal(left, right, budget).map(|equal| Value::Bool(!equal)),
        Binary::Less => order(std::cmp::Ordering::is_lt),
        Binary::Greater => order(std::cmp::Ordering::is_gt),
        Binary::LessOrEqual => order(std::cmp::Ordering::is_le),
        Binary::GreaterOrEqual => order(std::cmp::Ordering::is_ge),
        Binary::In => ops::contains(left, right, budget).map(Value::Bool),
        Binary::Matches | Binary::Contains | Binary::StartsWith | Binary::EndsWith => texts(operator, left, right, budget),
        Binary::Range => range(left, right, budget),
        Binary::Add => ops::add(left, right, budget),
        Binary::Subtract => ops::subtract(left, right),
        Binary::Multiply => ops::multiply(left, right),
        Binary::Divide => ops::divide(left, right),
        Binary::Modulo => ops::modulo(left, right),
        Binary::Power => ops::power(left, right),
        Binary::Or | Binary::And | Binary::Coalesce => Err("the operator decides by its left side".into()),
    }
}

fn texts(operator: Binary, left: &Value, right: &Value, budget: &Budget) -> Result<Value, String> {
    if left.is_nil() || right.is_nil() {
        return Ok(Value::Bool(false));
    }
    let symbol = operator.symbol();
    let text = |value: &Value| match value {
        Value::Bytes(bytes) if operator == Binary::Matches => Ok(bytes.clone()),
        _ => value.as_text().map(|text| Arc::from(text.as_bytes())).ok_or_else(|| format!("`{symbol}` takes text, got {}", value.type_name())),
    };
    let (haystack, needle) = (text(left)?, right.as_text().ok_or_else(|| format!("`{symbol}` takes text, got {}", right.type_name()))?);
    budget.spend((haystack.len() + needle.len()) as u64 / 16)?;
    Ok(Value::Bool(match operator {
        Binary::Matches => {
            // compiling costs far more than looking
            budget.spend(2_000 + 10 * needle.len() as u64)?;
            super::regex::compile(needle)?.is_match(&haystack)
        }
        Binary::StartsWith => haystack.starts_with(needle.as_bytes()),
        Binary::EndsWith => haystack.ends_with(needle.as_bytes()),
        _ => left.as_text().is_some_and(|text| text.contains(needle.as_ref())),
    }))
}

fn range(left: &Value, right: &Value, budget: &Budget) -> Result<Value, String> {
    let bound = |value: &Value| value.as_integer().ok_or_else(|| format!("invalid operation: int({}); a range takes numbers", value.type_name()));
    let (from, to) = (bound(left)?, bound(right)?);
    let length = i128::from(to) - i128::from(from) + 1;
    let length = usize::try_from(length.max(0)).unwrap_or(usize::MAX);
    budget.elements(length)?;
    Ok(Value::list((from..=to).map(Value::Int).collect()))
}
