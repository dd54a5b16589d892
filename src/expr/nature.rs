//! What is known of a value's type before anything runs.

use std::fmt;

use super::methods::{self, Method};
use super::value::{FieldKind, RecordType};

/// A type in a signature.
#[derive(Clone, Copy, Debug)]
pub(super) enum Type {
    Any,
    Bool,
    Int,
    Float,
    Text,
    List,
    Texts,
    Table,
    Time,
    Duration,
    Month,
    Weekday,
    Zone,
    Version,
    /// A version by value: what `IncPatch()` and its like give.
    VersionCopy,
    Record(&'static RecordType),
    /// Methods with three results, which expressions cannot use.
    Several,
}

/// What is known of an expression's type.
#[derive(Clone, Debug)]
pub(super) enum Nature {
    Unknown,
    Nil,
    Bool,
    Int,
    Float,
    Text,
    Named(&'static str),
    Bytes,
    Array(Box<Nature>),
    Map,
    Texts,
    /// From `groupBy`: what the values are.
    Table(Box<Nature>),
    Time,
    Duration,
    Month,
    Weekday,
    Zone,
    Version,
    VersionCopy,
    Record(&'static RecordType),
    /// A function that was named.
    Function,
    Method(&'static Method),
    Several,
}

impl From<Type> for Nature {
    fn from(kind: Type) -> Self {
        match kind {
            Type::Any => Self::Unknown,
            Type::Bool => Self::Bool,
            Type::Int => Self::Int,
            Type::Float => Self::Float,
            Type::Text => Self::Text,
            Type::List => Self::Array(Box::new(Self::Unknown)),
            Type::Texts => Self::Texts,
            Type::Table => Self::Table(Box::new(Self::Unknown)),
            Type::Time => Self::Time,
            Type::Duration => Self::Duration,
            Type::Month => Self::Month,
            Type::Weekday => Self::Weekday,
            Type::Zone => Self::Zone,
            Type::Version => Self::Version,
            Type::VersionCopy => Self::VersionCopy,
            Type::Record(record) => Self::Record(record),
            Type::Several => Self::Several,
        }
    }
}

impl fmt::Display for Nature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "any",
            Self::Nil => "nil",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Text => "string",
            Self::Named(name) => name,
            Self::Bytes => "bytes",
            Self::Array(_) => "array",
            Self::Map | Self::Texts | Self::Table(_) => "map",
            Self::Time => "time",
            Self::Duration => "duration",
            Self::Month => "month",
            Self::Weekday => "weekday",
            Self::Zone => "timezone",
            Self::Version | Self::VersionCopy => "version",
            Self::Record(record) => record.name,
            Self::Function | Self::Method(_) => "function",
            Self::Several => "several values",
        })
    }
}

/// A coarse type; equal for natures that share a representation.
#[derive(PartialEq)]
pub(super) enum Shape {
    None,
    Bool,
    Int,
    Float,
    Text,
    List,
    Map,
    Object,
    Function,
}

impl Nature {
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Float)
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Text | Self::Named(_))
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self, Self::Array(_) | Self::Bytes)
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self, Self::Map | Self::Texts | Self::Table(_))
    }

    pub(super) fn shape(&self) -> Shape {
        match self {
            Self::Unknown | Self::Nil | Self::Several => Shape::None,
            Self::Bool => Shape::Bool,
            Self::Int | Self::Month | Self::Weekday | Self::Duration => Shape::Int,
            Self::Float => Shape::Float,
            Self::Text | Self::Named(_) => Shape::Text,
            Self::Array(_) | Self::Bytes => Shape::List,
            Self::Map | Self::Texts | Self::Table(_) => Shape::Map,
            Self::Time | Self::Zone | Self::Version | Self::VersionCopy | Self::Record(_) => Shape::Object,
            Self::Function | Self::Method(_) => Shape::Function,
        }
    }

    /// What the elements of a list or the values of a map are.
    pub(super) fn element(&self) -> Self {
        match self {
            Self::Array(element) | Self::Table(element) => (**element).clone(),
            Self::Texts => Self::Text,
            Self::Bytes => Self::Int,
            _ => Self::Unknown,
        }
    }

    /// Whether both are known and the same type.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Named(left), Self::Named(right)) => left == right,
            (Self::Record(left), Self::Record(right)) => std::ptr::eq(*left, *right),
            (Self::Unknown | Self::Nil | Self::Function | Self::Method(_) | Self::Several, _) => false,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// Whether `==` between the two makes sense.
    pub(super) fn is_comparable(&self, other: &Self) -> bool {
        let open = |nature: &Self| matches!(nature, Self::Unknown | Self::Nil);
        open(self) || open(other) || (self.is_number() && other.is_number()) || (self.is_list() && other.is_list()) || self.is_same(other)
    }

    /// Whether a value of this nature may be an argument of that type; `Err` says that it may not.
    pub(super) fn fits(&self, parameter: Type) -> bool {
        let wanted = Self::from(parameter);
        match (self, &wanted) {
            (Self::Unknown, _) | (_, Self::Unknown) => true,
            (Self::Nil, Self::Version | Self::Zone) => true,
            (Self::Int, Self::Float) => true,
            _ => self.is_same(&wanted),
        }
    }

    /// The method of this name, if the type has one.
    pub(super) fn method(&self, name: &str) -> Option<&'static Method> {
        methods::table(self)?.iter().find(|method| method.name == name)
    }

    /// The field of this name, if the type has fixed fields.
    pub(super) fn field(&self, name: &str) -> Option<Self> {
        if matches!(self, Self::Time) && name == "Time" {
            return Some(Self::Time);
        }
        let Self::Record(record) = self else { return None };
        let field = record.fields.iter().find(|field| field.name == name)?;
        Some(match field.kind {
            FieldKind::Text => Self::Text,
            FieldKind::Named(name) => Self::Named(name),
            FieldKind::Texts => Self::Texts,
            FieldKind::Map => Self::Map,
            FieldKind::Time => Self::Time,
            FieldKind::Any => Self::Unknown,
        })
    }

    /// Names of fields and methods, for suggestions.
    pub(super) fn members(&self) -> Vec<&'static str> {
        let fields = match self {
            Self::Record(record) => record.fields.iter().map(|field| field.name).collect(),
            _ => Vec::new(),
        };
        fields.into_iter().chain(methods::table(self).into_iter().flatten().map(|method| method.name)).collect()
    }
}
