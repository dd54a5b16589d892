//! The syntax tree. Every node knows the character offset that an error about it points at.

use std::sync::Arc;

use super::builtins::Builtin;

/// A node of the tree.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Character offset into the source.
    pub(super) at: u32,
    /// Height of the tree below, itself included; bounds every recursion over it.
    pub(super) height: u16,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    Bytes(Arc<[u8]>),
    Name(Arc<str>),
    Unary(Unary, Box<Node>),
    Binary(Binary, Box<Node>, Box<Node>),
    /// The end of an optional chain: a `?.` inside that meets nil makes the whole nil.
    Chain(Box<Node>),
    Member {
        base: Box<Node>,
        property: Box<Node>,
        optional: bool,
        /// Whether a call follows.
        method: bool,
    },
    Slice {
        base: Box<Node>,
        from: Option<Box<Node>>,
        to: Option<Box<Node>>,
    },
    Call {
        callee: Box<Node>,
        arguments: Vec<Node>,
    },
    Builtin {
        builtin: &'static Builtin,
        arguments: Vec<Node>,
    },
    Predicate(Box<Node>),
    Pointer(Pointer),
    Let {
        name: Arc<str>,
        value: Box<Node>,
        body: Box<Node>,
    },
    Sequence(Vec<Node>),
    Conditional {
        condition: Box<Node>,
        then: Box<Node>,
        otherwise: Box<Node>,
    },
    Array(Vec<Node>),
    Map(Vec<(Node, Node)>),
    /// Made by folding: `count(list, predicate)` that may stop at a number of hits.
    CountUpTo {
        arguments: Vec<Node>,
        limit: i64,
    },
    /// Made by folding: `text matches 'pattern'`, compiled once.
    MatchesPattern(Box<Node>, Arc<regex::bytes::Regex>),
    /// Made by folding: `filter(list, predicate)[0]`, an error when nothing is found.
    FirstHit {
        arguments: Vec<Node>,
        last: bool,
    },
}

/// `#`, `#index`, `#acc` or an unknown one.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Pointer {
    Item,
    Index,
    Accumulator,
    Unknown(String),
}

/// Operators with one operand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unary {
    Not,
    Minus,
    Plus,
}

/// Operators with two operands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
    In,
    Matches,
    Contains,
    StartsWith,
    EndsWith,
    Range,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Coalesce,
}

impl Binary {
    /// The operator as it is written.
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::Greater => ">",
            Self::LessOrEqual => "<=",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
            Self::Matches => "matches",
            Self::Contains => "contains",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Range => "..",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Power => "**",
            Self::Coalesce => "??",
        }
    }

    /// Whether it belongs to `< <= > >=`, which chain.
    pub(super) fn is_comparison(self) -> bool {
        matches!(self, Self::Less | Self::Greater | Self::LessOrEqual | Self::GreaterOrEqual)
    }
}

impl Node {
    /// The nodes directly below.
    pub(super) fn children(&self) -> Vec<&Node> {
        match &self.kind {
            Kind::Nil | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) | Kind::Bytes(_) | Kind::Name(_) | Kind::Pointer(_) => {
                Vec::new()
            }
            Kind::Unary(_, node) | Kind::Chain(node) | Kind::Predicate(node) | Kind::MatchesPattern(node, _) => vec![node],
            Kind::Binary(_, left, right) => vec![left, right],
            Kind::Member { base, property, .. } => vec![base, property],
            Kind::Slice { base, from, to } => [Some(base), from.as_ref(), to.as_ref()].into_iter().flatten().map(AsRef::as_ref).collect(),
            Kind::Call { callee, arguments } => std::iter::once(callee.as_ref()).chain(arguments).collect(),
            Kind::Builtin { arguments, .. } | Kind::CountUpTo { arguments, .. } | Kind::FirstHit { arguments, .. } => arguments.iter().collect(),
            Kind::Let { value, body, .. } => vec![value, body],
            Kind::Sequence(nodes) | Kind::Array(nodes) => nodes.iter().collect(),
            Kind::Conditional { condition, then, otherwise } => vec![condition, then, otherwise],
            Kind::Map(pairs) => pairs.iter().flat_map(|(key, value)| [key, value]).collect(),
        }
    }
}
