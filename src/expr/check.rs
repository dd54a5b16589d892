//! What is wrong with an expression whatever the values are: wrong types of literals and of function results, unknown fields of known
//! records, argument counts, redeclared names. expr-lang finds the same mistakes when it compiles, so they count even in a branch that is
//! never taken.

use std::sync::Arc;

use super::ast::{Binary, Kind, Node, Pointer, Unary};
use super::builtins::{self, Builtin, Signature};
use super::error::{Fault, suggestion};
use super::nature::{Nature, Type};
use super::regex::compile;
use super::sites::Types;

/// Checks a tree; gives what is known of the result's type.
pub(super) fn check(node: &Node, types: &Types) -> Result<Nature, Fault> {
    Checker { types, predicates: Vec::new(), variables: Vec::new() }.visit(node)
}

struct Checker<'a> {
    types: &'a Types,
    /// The lists that we are inside predicates of.
    predicates: Vec<Predicate>,
    variables: Vec<(Arc<str>, Nature)>,
}

struct Predicate {
    collection: Nature,
    index: bool,
    accumulator: bool,
}

fn mismatched(node: &Node, operator: &str, left: &Nature, right: &Nature) -> Fault {
    let hint = match (operator, left.is_text(), right.is_text()) {
        ("+", true, false) | ("+", false, true) if left.is_number() || right.is_number() => "; turn the number into text with `string()`",
        ("==" | "!=", _, _) if matches!(left, Nature::Named(_)) || matches!(right, Nature::Named(_)) => "; compare its text: `string(...)`",
        ("==" | "!=" | "<" | ">" | "<=" | ">=", _, _)
            if matches!(left, Nature::Month | Nature::Weekday) || matches!(right, Nature::Month | Nature::Weekday) =>
        {
            "; compare its name with `.String()` or its number with `int()`"
        }
        ("<" | ">" | "<=" | ">=", _, _) if matches!(left, Nature::Version | Nature::VersionCopy) => "; compare with `LessThan()` or `GreaterThan()`",
        ("%", _, _) => "; `%` takes integers, use `int()`",
        _ => "",
    };
    Fault::new(node.at, format!("invalid operation: {operator} (mismatched types {left} and {right}){hint}"))
}

impl Checker<'_> {
    fn visit(&mut self, node: &Node) -> Result<Nature, Fault> {
        Ok(match &node.kind {
            Kind::Nil => Nature::Nil,
            Kind::Bool(_) => Nature::Bool,
            Kind::Int(_) => Nature::Int,
            Kind::Float(_) => Nature::Float,
            Kind::Str(_) => Nature::Text,
            Kind::Bytes(_) => Nature::Bytes,
            Kind::Name(name) => self.name(node, name)?,
            Kind::Unary(operator, operand) => self.unary(node, *operator, operand)?,
            Kind::Binary(operator, left, right) => self.binary(node, *operator, left, right)?,
            Kind::Chain(inner) => self.visit(inner)?,
            Kind::Member { base, property, method, .. } => self.member(node, base, property, *method)?,
            Kind::Slice { base, from, to } => self.slice(node, base, from.as_deref(), to.as_deref())?,
            Kind::Call { callee, arguments } => self.call(node, callee, arguments)?,
            Kind::Builtin { builtin, arguments } => self.builtin(node, builtin, arguments)?,
            Kind::Predicate(inner) => self.visit(inner)?,
            Kind::Pointer(pointer) => self.pointer(node, pointer)?,
            Kind::Let { name, value, body } => self.variable(node, name, value, body)?,
            Kind::Sequence(nodes) => {
                let mut last = Nature::Unknown;
                for node in nodes {
                    last = self.visit(node)?;
                }
                last
            }
            Kind::Conditional { condition, then, otherwise } => self.conditional(condition, then, otherwise)?,
            Kind::Array(nodes) => self.array(nodes)?,
            Kind::Map(pairs) => {
                for (key, value) in pairs {
                    self.visit(key)?;
                    self.visit(value)?;
                }
                Nature::Map
            }
            // made by folding, which comes after the check
            Kind::CountUpTo { .. } | Kind::FirstHit { .. } | Kind::MatchesPattern(..) => Nature::Unknown,
        })
    }

    fn name(&mut self, node: &Node, name: &str) -> Result<Nature, Fault> {
        if let Some((_, nature)) = self.variables.iter().rev().find(|(variable, _)| variable.as_ref() == name) {
            return Ok(nature.clone());
        }
        if name == "$env" {
            return Ok(Nature::Unknown);
        }
        if let Some(nature) = self.types.names.get(name) {
            return Ok(nature.clone());
        }
        if self.types.function(name).is_some() || builtins::find(name).is_some() {
            return Ok(Nature::Function);
        }
        if self.types.strict {
            return Err(Fault::new(node.at, format!("unknown name `{name}`{}", self.types.suggestion(name))));
        }
        Ok(Nature::Unknown)
    }

    fn unary(&mut self, node: &Node, operator: Unary, operand: &Node) -> Result<Nature, Fault> {
        let nature = self.visit(operand)?;
        match operator {
            Unary::Not if matches!(nature, Nature::Bool | Nature::Unknown) => Ok(Nature::Bool),
            Unary::Minus | Unary::Plus if nature.is_number() || nature.is_unknown() => Ok(nature),
            Unary::Not => Err(Fault::new(node.at, format!("invalid operation: not (mismatched type {nature}); `not` takes a boolean"))),
            Unary::Minus => Err(Fault::new(node.at, format!("invalid operation: - (mismatched type {nature})"))),
            Unary::Plus => Err(Fault::new(node.at, format!("invalid operation: + (mismatched type {nature})"))),
        }
    }

    fn binary(&mut self, node: &Node, operator: Binary, left_node: &Node, right_node: &Node) -> Result<Nature, Fault> {
        use Nature as N;
        let left = self.visit(left_node)?;
        let right = self.visit(right_node)?;
        // one side is known and fits, the other may be anything
        let maybe = |fits: &dyn Fn(&Nature) -> bool| {
            (left.is_unknown() && right.is_unknown()) || (left.is_unknown() && fits(&right)) || (right.is_unknown() && fits(&left))
        };
        let numbers = left.is_number() && right.is_number();
        let promoted = || if matches!((&left, &right), (N::Int, N::Int)) { N::Int } else { N::Float };
        let known = match operator {
            Binary::Equal | Binary::NotEqual if left.is_comparable(&right) => Some(N::Bool),
            Binary::Or | Binary::And if matches!((&left, &right), (N::Bool, N::Bool)) || maybe(&|nature| matches!(nature, N::Bool)) => Some(N::Bool),
            Binary::Less | Binary::Greater | Binary::LessOrEqual | Binary::GreaterOrEqual
                if numbers
                    || (left.is_text() && right.is_text())
                    || matches!((&left, &right), (N::Time, N::Time) | (N::Duration, N::Duration))
                    || maybe(&|nature| nature.is_number() || nature.is_text() || matches!(nature, N::Time | N::Duration)) =>
            {
                Some(N::Bool)
            }
            Binary::Subtract => match (&left, &right) {
                _ if numbers => Some(promoted()),
                (N::Time, N::Time) | (N::Duration, N::Duration) => Some(N::Duration),
                (N::Time, N::Duration) => Some(N::Time),
                _ if maybe(&|nature| nature.is_number() || matches!(nature, N::Time | N::Duration)) => Some(N::Unknown),
                _ => None,
            },
            Binary::Multiply => match (&left, &right) {
                _ if numbers => Some(promoted()),
                (N::Duration, N::Duration | N::Int | N::Float) | (N::Int | N::Float, N::Duration) => Some(N::Duration),
                _ if maybe(&|nature| nature.is_number() || matches!(nature, N::Duration)) => Some(N::Unknown),
                _ => None,
            },
            Binary::Divide | Binary::Power if numbers || maybe(&N::is_number) => Some(N::Float),
            Binary::Modulo if matches!((&left, &right), (N::Int, N::Int)) || maybe(&|nature| matches!(nature, N::Int)) => Some(N::Int),
            Binary::Add => match (&left, &right) {
                _ if numbers => Some(promoted()),
                _ if left.is_text() && right.is_text() => Some(N::Text),
                (N::Time, N::Duration) | (N::Duration, N::Time) => Some(N::Time),
                (N::Duration, N::Duration) => Some(N::Duration),
                _ if maybe(&|nature| nature.is_number() || nature.is_text() || matches!(nature, N::Time | N::Duration)) => Some(N::Unknown),
                _ => None,
            },
            Binary::In => {
                let fits_record = (left.is_text() || left.is_unknown()) && matches!(right, N::Record(_) | N::Time | N::Version);
                if right.is_map() {
                    if !matches!(left, N::Unknown) && !left.is_text() && !matches!(right, N::Table(_)) {
                        return Err(Fault::new(node.at, format!("cannot use {left} as type string in map key")));
                    }
                } else if right.is_list() {
                    let element = right.element();
                    if !left.is_comparable(&element) {
                        return Err(Fault::new(node.at, format!("cannot use {left} as type {element} in array")));
                    }
                } else if !(fits_record || right.is_unknown() || (left.is_unknown() && right.is_text())) {
                    return Err(mismatched(node, "in", &left, &right));
                }
                Some(N::Bool)
            }
            Binary::Matches => {
                if let Kind::Str(pattern) = &right_node.kind {
                    compile(pattern).map_err(|message| Fault::new(node.at, message))?;
                }
                ((left.is_text() || matches!(left, N::Bytes)) && right.is_text() || maybe(&N::is_text)).then_some(N::Bool)
            }
            Binary::Contains | Binary::StartsWith | Binary::EndsWith if (left.is_text() && right.is_text()) || maybe(&N::is_text) => Some(N::Bool),
            Binary::Range if matches!((&left, &right), (N::Int, N::Int)) || maybe(&|nature| matches!(nature, N::Int)) => {
                Some(N::Array(Box::new(N::Int)))
            }
            Binary::Coalesce => Some(match (&left, &right) {
                (N::Nil, _) => right.clone(),
                (_, N::Nil) => left.clone(),
                _ if right.is_same(&left) => left.clone(),
                _ => N::Unknown,
            }),
            _ => None,
        };
        known.ok_or_else(|| mismatched(node, operator.symbol(), &left, &right))
    }

    fn member(&mut self, node: &Node, base_node: &Node, property_node: &Node, method: bool) -> Result<Nature, Fault> {
        if let Kind::Name(name) = &base_node.kind
            && name.as_ref() == "$env"
        {
            return Ok(match &property_node.kind {
                Kind::Str(name) => self.types.names.get(name.as_ref()).cloned().unwrap_or(Nature::Unknown),
                _ => Nature::Unknown,
            });
        }
        let base = self.visit(base_node)?;
        let property = self.visit(property_node)?;
        if base.is_unknown() {
            return Ok(Nature::Unknown);
        }
        let name = match &property_node.kind {
            Kind::Str(name) => Some(name.as_ref()),
            _ => None,
        };
        if let Some(name) = name {
            if matches!(base, Nature::Nil) {
                return Err(Fault::new(node.at, format!("type nil has no field `{name}`")));
            }
            if let Some(method) = base.method(name) {
                return Ok(Nature::Method(method));
            }
        }
        match &base {
            Nature::Map | Nature::Texts if !property.is_text() && !property.is_unknown() => {
                return Err(Fault::new(property_node.at, format!("cannot use {property} to get an element from {base}; its keys are text")));
            }
            Nature::Map | Nature::Texts | Nature::Table(_) => return Ok(base.element()),
            Nature::Array(_) | Nature::Bytes => {
                if !matches!(property, Nature::Int | Nature::Float | Nature::Unknown) {
                    return Err(Fault::new(property_node.at, format!("array elements can only be selected using an integer (got {property})")));
                }
                return Ok(base.element());
            }
            _ => {}
        }
        let Some(name) = name else {
            return Err(Fault::new(node.at, format!("type {base}[{property}] is undefined")));
        };
        if let Some(field) = base.field(name) {
            return Ok(field);
        }
        let what = if method { "method" } else { "field" };
        Err(Fault::new(node.at, format!("type {base} has no {what} `{name}`{}", suggestion(name, base.members()))))
    }

    fn slice(&mut self, node: &Node, base: &Node, from: Option<&Node>, to: Option<&Node>) -> Result<Nature, Fault> {
        let nature = self.visit(base)?;
        if nature.is_unknown() {
            return Ok(nature);
        }
        if !nature.is_text() && !nature.is_list() {
            return Err(Fault::new(node.at, format!("cannot slice {nature}")));
        }
        for bound in [from, to].into_iter().flatten() {
            let bound_nature = self.visit(bound)?;
            if !matches!(bound_nature, Nature::Int | Nature::Unknown) {
                return Err(Fault::new(bound.at, format!("non-integer slice index {bound_nature}")));
            }
        }
        Ok(nature)
    }

    fn call(&mut self, node: &Node, callee: &Node, arguments: &[Node]) -> Result<Nature, Fault> {
        if let Kind::Name(name) = &callee.kind
            && !self.variables.iter().any(|(variable, _)| variable == name)
        {
            if name.as_ref() == "$env" {
                return Err(Fault::new(node.at, "`$env` is not callable"));
            }
            if let Some(function) = self.types.function(name) {
                return self.overloads(node, function.name, function.overloads, function.result, arguments);
            }
        }
        match self.visit(callee)? {
            // expr-lang does not look at the arguments of what it does not know
            Nature::Unknown | Nature::Function => Ok(Nature::Unknown),
            Nature::Method(method) => {
                if matches!(method.result, Type::Several) {
                    return Err(Fault::new(node.at, format!("method `{}` returns more than one value, which expressions cannot use", method.name)));
                }
                self.arguments(node, method.name, method.parameters, arguments)??;
                Ok(method.result.into())
            }
            Nature::Nil => Err(Fault::new(node.at, "cannot call nil as function")),
            other => Err(Fault::new(node.at, format!("{other} is not callable"))),
        }
    }

    fn overloads(&mut self, node: &Node, name: &str, overloads: &[&[Type]], result: Type, arguments: &[Node]) -> Result<Nature, Fault> {
        let mut complaint = None;
        for parameters in overloads {
            match self.arguments(node, name, parameters, arguments)? {
                Ok(()) => return Ok(result.into()),
                Err(fault) => complaint = Some(fault),
            }
        }
        complaint.map_or(Ok(result.into()), Err)
    }

    /// Checks arguments against one signature. The outer error is a mistake inside an argument, the inner one that they do not fit.
    fn arguments(&mut self, node: &Node, name: &str, parameters: &[Type], arguments: &[Node]) -> Result<Result<(), Fault>, Fault> {
        if arguments.len() != parameters.len() {
            for argument in arguments {
                self.visit(argument)?;
            }
            let amount = if arguments.len() > parameters.len() { "too many" } else { "not enough" };
            return Ok(Err(Fault::new(
                node.at,
                format!("{amount} arguments to call `{name}` (expected {}, got {})", parameters.len(), arguments.len()),
            )));
        }
        for (argument, parameter) in arguments.iter().zip(parameters) {
            let nature = self.visit(argument)?;
            if !nature.fits(*parameter) {
                let wanted = Nature::from(*parameter);
                return Ok(Err(Fault::new(argument.at, format!("cannot use {nature} as argument (type {wanted}) to call `{name}`"))));
            }
        }
        Ok(Ok(()))
    }

    fn builtin(&mut self, node: &Node, builtin: &'static Builtin, arguments: &[Node]) -> Result<Nature, Fault> {
        match builtin.signature {
            Signature::Overloads(overloads, result) => self.overloads(node, builtin.name, overloads, result, arguments),
            Signature::Rule(rule) => {
                let natures = arguments.iter().map(|argument| self.visit(argument)).collect::<Result<Vec<_>, _>>()?;
                rule(&natures).map_err(|message| Fault::new(node.at, message))
            }
            Signature::Get => self.get(node, arguments),
            Signature::Predicate => self.predicate(builtin, arguments),
        }
    }

    fn get(&mut self, node: &Node, arguments: &[Node]) -> Result<Nature, Fault> {
        let [base_node, property_node] = arguments else {
            return Err(Fault::new(node.at, format!("invalid number of arguments (expected 2, got {})", arguments.len())));
        };
        let base = self.visit(base_node)?;
        let property = self.visit(property_node)?;
        match &base {
            Nature::Unknown => Ok(Nature::Unknown),
            Nature::Array(_) | Nature::Bytes if !matches!(property, Nature::Int | Nature::Unknown) => {
                Err(Fault::new(property_node.at, format!("non-integer slice index {property}")))
            }
            Nature::Map | Nature::Texts if !property.is_text() && !property.is_unknown() => {
                Err(Fault::new(property_node.at, format!("cannot use {property} to get an element from {base}; its keys are text")))
            }
            _ if base.is_list() || base.is_map() => Ok(base.element()),
            _ => Err(Fault::new(base_node.at, format!("type {base} does not support indexing"))),
        }
    }

    fn predicate(&mut self, builtin: &'static Builtin, arguments: &[Node]) -> Result<Nature, Fault> {
        let Some(list) = arguments.first() else { return Ok(Nature::Unknown) };
        let collection = self.visit(list)?;
        if !collection.is_list() && !collection.is_unknown() {
            return Err(Fault::new(list.at, format!("`{}` takes only array (got {collection})", builtin.name)));
        }
        let element = || if collection.is_unknown() { Nature::Unknown } else { collection.element() };
        let mut condition = Nature::Unknown;
        if let Some(predicate) = arguments.get(1) {
            self.predicates.push(Predicate {
                collection: collection.clone(),
                index: matches!(builtin.name, "map" | "reduce"),
                accumulator: builtin.name == "reduce",
            });
            condition = self.visit(predicate)?;
            self.predicates.pop();
            let wants_boolean = !matches!(builtin.name, "map" | "sum" | "groupBy" | "sortBy" | "reduce");
            if matches!(condition, Nature::Nil) {
                return Err(Fault::new(predicate.at, "the predicate gives nothing"));
            }
            if wants_boolean && !matches!(condition, Nature::Bool | Nature::Unknown) {
                return Err(Fault::new(predicate.at, format!("predicate should return boolean (got {condition})")));
            }
        }
        if let Some(third) = arguments.get(2) {
            let nature = self.visit(third)?;
            if builtin.name == "sortBy" && !nature.is_text() && !nature.is_unknown() {
                return Err(Fault::new(third.at, format!("sortBy order argument must be a string (got {nature})")));
            }
        }
        Ok(match builtin.name {
            "all" | "none" | "any" | "one" => Nature::Bool,
            "filter" => Nature::Array(Box::new(element())),
            "map" => Nature::Array(Box::new(condition)),
            "count" | "findIndex" | "findLastIndex" => Nature::Int,
            "find" | "findLast" => element(),
            "sum" => {
                if arguments.len() == 2 {
                    condition
                } else {
                    element()
                }
            }
            "groupBy" => Nature::Table(Box::new(Nature::Array(Box::new(element())))),
            "sortBy" => collection,
            _ => condition,
        })
    }

    fn pointer(&mut self, node: &Node, pointer: &Pointer) -> Result<Nature, Fault> {
        let Some(scope) = self.predicates.last() else {
            return Err(Fault::new(node.at, "`#` stands for an element and has a meaning only inside a predicate"));
        };
        match pointer {
            Pointer::Item if scope.collection.is_unknown() => Ok(Nature::Unknown),
            Pointer::Item => Ok(scope.collection.element()),
            Pointer::Index if scope.index => Ok(Nature::Int),
            Pointer::Accumulator if scope.accumulator => Ok(Nature::Unknown),
            Pointer::Index => Err(Fault::new(node.at, "unknown pointer #index; it exists only in `map` and `reduce`")),
            Pointer::Accumulator => Err(Fault::new(node.at, "unknown pointer #acc; it exists only in `reduce`")),
            Pointer::Unknown(name) => Err(Fault::new(node.at, format!("unknown pointer #{name}; there are `#`, `#index` and `#acc`"))),
        }
    }

    fn variable(&mut self, node: &Node, name: &Arc<str>, value: &Node, body: &Node) -> Result<Nature, Fault> {
        let taken = if self.types.names.contains_key(name.as_ref()) {
            Some("")
        } else if self.types.function(name).is_some() {
            Some("function ")
        } else if builtins::find(name).is_some() {
            Some("builtin ")
        } else if self.variables.iter().any(|(variable, _)| variable == name) {
            Some("variable ")
        } else {
            None
        };
        if let Some(what) = taken {
            return Err(Fault::new(node.at, format!("cannot redeclare {what}`{name}`")));
        }
        let nature = self.visit(value)?;
        self.variables.push((name.clone(), nature));
        let body = self.visit(body);
        self.variables.pop();
        body
    }

    fn conditional(&mut self, condition: &Node, then: &Node, otherwise: &Node) -> Result<Nature, Fault> {
        let nature = self.visit(condition)?;
        if !matches!(nature, Nature::Bool | Nature::Unknown) {
            return Err(Fault::new(condition.at, format!("non-boolean expression (type {nature}) used as condition")));
        }
        let then = self.visit(then)?;
        let otherwise = self.visit(otherwise)?;
        Ok(match (&then, &otherwise) {
            (Nature::Nil, _) => otherwise,
            (_, Nature::Nil) => then,
            (Nature::Array(left), Nature::Array(right)) if !left.is_same(right) => Nature::Array(Box::new(Nature::Unknown)),
            _ if then.is_same(&otherwise) => then,
            _ => Nature::Unknown,
        })
    }

    fn array(&mut self, nodes: &[Node]) -> Result<Nature, Fault> {
        let mut element: Option<Nature> = None;
        let mut same = true;
        for node in nodes {
            let nature = self.visit(node)?;
            same &= element.as_ref().is_none_or(|previous| previous.shape() == nature.shape());
            element = Some(nature);
        }
        Ok(Nature::Array(Box::new(element.filter(|_| same).unwrap_or(Nature::Unknown))))
    }
}
