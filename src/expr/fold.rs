//! What expr-lang's optimiser does to an expression, as far as it shows: constants in `and` and `or` decide before anything runs, counting
//! and finding stop early, `sum` of a literal list is a chain of additions. Patterns of `matches` are compiled here, once.

use std::sync::Arc;

use super::ast::{Binary, Kind, Node, Unary};
use super::error::Fault;

/// Folds a checked tree.
pub(super) fn fold(mut node: Node) -> Result<Node, Fault> {
    node.kind = children(node.kind)?;
    rewrite(node)
}

fn boxed(node: Node) -> Result<Box<Node>, Fault> {
    fold(node).map(Box::new)
}

fn list(nodes: Vec<Node>) -> Result<Vec<Node>, Fault> {
    nodes.into_iter().map(fold).collect()
}

fn children(kind: Kind) -> Result<Kind, Fault> {
    Ok(match kind {
        Kind::Unary(operator, node) => Kind::Unary(operator, boxed(*node)?),
        Kind::Binary(operator, left, right) => Kind::Binary(operator, boxed(*left)?, boxed(*right)?),
        Kind::Chain(node) => Kind::Chain(boxed(*node)?),
        Kind::Member { base, property, optional, method } => Kind::Member { base: boxed(*base)?, property: boxed(*property)?, optional, method },
        Kind::Slice { base, from, to } => {
            Kind::Slice { base: boxed(*base)?, from: from.map(|node| boxed(*node)).transpose()?, to: to.map(|node| boxed(*node)).transpose()? }
        }
        Kind::Call { callee, arguments } => Kind::Call { callee: boxed(*callee)?, arguments: list(arguments)? },
        Kind::Builtin { builtin, arguments } => Kind::Builtin { builtin, arguments: list(arguments)? },
        Kind::Predicate(node) => Kind::Predicate(boxed(*node)?),
        Kind::Let { name, value, body } => Kind::Let { name, value: boxed(*value)?, body: boxed(*body)? },
        Kind::Sequence(nodes) => Kind::Sequence(list(nodes)?),
        Kind::Conditional { condition, then, otherwise } => {
            Kind::Conditional { condition: boxed(*condition)?, then: boxed(*then)?, otherwise: boxed(*otherwise)? }
        }
        Kind::Array(nodes) => Kind::Array(list(nodes)?),
        Kind::Map(pairs) => Kind::Map(pairs.into_iter().map(|(key, value)| Ok((fold(key)?, fold(value)?))).collect::<Result<_, Fault>>()?),
        other => other,
    })
}

fn rewrite(node: Node) -> Result<Node, Fault> {
    let at = node.at;
    let height = node.height;
    let same_place = |kind| Node { kind, at, height };
    Ok(match node.kind {
        Kind::Unary(operator, operand) => match (operator, &operand.kind) {
            (Unary::Not, Kind::Bool(bool)) => same_place(Kind::Bool(!bool)),
            (Unary::Minus, Kind::Int(int)) => same_place(Kind::Int(int.wrapping_neg())),
            (Unary::Plus, Kind::Int(int)) => same_place(Kind::Int(*int)),
            _ => same_place(Kind::Unary(operator, operand)),
        },
        Kind::Binary(operator, left, right) => binary(at, height, operator, left, right)?,
        Kind::Builtin { builtin, mut arguments } => match (builtin.name, arguments.as_mut_slice()) {
            // expr-lang folds lists of constants first, and those are summed like any list
            ("sum", [Node { kind: Kind::Array(items), .. }]) if items.len() >= 2 && !items.iter().all(is_constant) => {
                let mut items = std::mem::take(items).into_iter().rev();
                let last = items.next();
                let chain = items.fold(last, |chain, item| {
                    Some(match chain {
                        Some(chain) => same_place(Kind::Binary(Binary::Add, Box::new(item), Box::new(chain))),
                        None => item,
                    })
                });
                chain.unwrap_or_else(|| same_place(Kind::Nil))
            }
            ("len", [Node { kind: Kind::Builtin { builtin: inner, arguments: filtered }, .. }]) if inner.name == "filter" && filtered.len() == 2 => {
                same_place(Kind::CountUpTo { arguments: std::mem::take(filtered), limit: i64::MAX })
            }
            ("first" | "last", [Node { kind: Kind::Builtin { builtin: inner, arguments: filtered }, .. }])
                if inner.name == "filter" && filtered.len() == 2 =>
            {
                let find = super::builtins::find(if builtin.name == "first" { "find" } else { "findLast" }).unwrap_or(builtin);
                same_place(Kind::Builtin { builtin: find, arguments: std::mem::take(filtered) })
            }
            _ => same_place(Kind::Builtin { builtin, arguments }),
        },
        Kind::Member { base, property, optional: false, method } => {
            let hit = match property.kind {
                Kind::Int(0) => Some(false),
                Kind::Int(-1) => Some(true),
                _ => None,
            };
            match (hit, base.kind) {
                (Some(last), Kind::Builtin { builtin, arguments }) if builtin.name == "filter" && arguments.len() == 2 => {
                    same_place(Kind::FirstHit { arguments, last })
                }
                (_, kind) => {
                    let base = Box::new(Node { kind, at: base.at, height: base.height });
                    same_place(Kind::Member { base, property, optional: false, method })
                }
            }
        }
        kind => same_place(kind),
    })
}

fn is_constant(node: &Node) -> bool {
    matches!(node.kind, Kind::Int(_) | Kind::Float(_) | Kind::Str(_) | Kind::Bool(_))
}

fn binary(at: u32, height: u16, operator: Binary, left: Box<Node>, right: Box<Node>) -> Result<Node, Fault> {
    let node = |kind| Node { kind, at, height };
    Ok(match (operator, &left.kind, &right.kind) {
        (Binary::And, Kind::Bool(true), _) | (Binary::Or, Kind::Bool(false), _) => *right,
        (Binary::And, _, Kind::Bool(true)) | (Binary::Or, _, Kind::Bool(false)) => *left,
        (Binary::And, Kind::Bool(false), _) | (Binary::And, _, Kind::Bool(false)) => node(Kind::Bool(false)),
        (Binary::Or, Kind::Bool(true), _) | (Binary::Or, _, Kind::Bool(true)) => node(Kind::Bool(true)),
        (Binary::Equal, Kind::Int(l), Kind::Int(r)) => node(Kind::Bool(l == r)),
        (Binary::Equal, Kind::Str(l), Kind::Str(r)) => node(Kind::Bool(l == r)),
        (Binary::Equal, Kind::Bool(l), Kind::Bool(r)) => node(Kind::Bool(l == r)),
        (Binary::Add, Kind::Int(l), Kind::Int(r)) => node(Kind::Int(l.wrapping_add(*r))),
        (Binary::Subtract, Kind::Int(l), Kind::Int(r)) => node(Kind::Int(l.wrapping_sub(*r))),
        (Binary::Multiply, Kind::Int(l), Kind::Int(r)) => node(Kind::Int(l.wrapping_mul(*r))),
        (Binary::Add, Kind::Str(l), Kind::Str(r)) if l.len() + r.len() < 100_000 => node(Kind::Str(format!("{l}{r}").into())),
        (Binary::Modulo, Kind::Int(_), Kind::Int(0)) => return Err(Fault::new(at, "integer divide by zero")),
        (Binary::Modulo, Kind::Int(l), Kind::Int(r)) => node(Kind::Int(l.wrapping_rem(*r))),
        (Binary::Matches, _, Kind::Str(pattern)) => {
            let pattern = super::regex::compile(pattern).map_err(|message| Fault::new(at, message))?;
            node(Kind::MatchesPattern(left, Arc::new(pattern)))
        }
        (Binary::Greater | Binary::GreaterOrEqual | Binary::Less | Binary::LessOrEqual, Kind::Builtin { builtin, arguments }, Kind::Int(limit))
            if builtin.name == "count" && arguments.len() == 2 && *limit >= 0 =>
        {
            count_limit(at, height, operator, left, right)
        }
        (Binary::Greater | Binary::GreaterOrEqual | Binary::Less | Binary::LessOrEqual, Kind::CountUpTo { .. }, Kind::Int(limit)) if *limit >= 0 => {
            count_limit(at, height, operator, left, right)
        }
        _ => node(Kind::Binary(operator, left, right)),
    })
}

/// `count(...) > 3` needs no more than four hits.
fn count_limit(at: u32, height: u16, operator: Binary, left: Box<Node>, right: Box<Node>) -> Node {
    let Kind::Int(bound) = right.kind else {
        return Node { kind: Kind::Binary(operator, left, right), at, height };
    };
    let limit = match operator {
        Binary::Greater | Binary::LessOrEqual => bound.saturating_add(1),
        _ => bound,
    };
    // expr-lang stops early for `>= 1` but not for `< 1`
    let limit = if limit <= 1 && !matches!(operator, Binary::Greater | Binary::GreaterOrEqual) { i64::MAX } else { limit.max(1) };
    let (counted_at, counted_height) = (left.at, left.height);
    let left = match left.kind {
        Kind::Builtin { arguments, .. } | Kind::CountUpTo { arguments, .. } => Kind::CountUpTo { arguments, limit },
        other => other,
    };
    let left = Box::new(Node { kind: left, at: counted_at, height: counted_height });
    Node { kind: Kind::Binary(operator, left, right), at, height }
}
