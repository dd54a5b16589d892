//! YAML text -> document trees that know where each value stands.
//!
//! Nothing here knows about definitions: settings, values files and whatever a step reads go through the same reader.
//!
//! - Scalars mean what go-yaml v2 makes of them, since that is what Kargo's users get (`on` is true, `0755` is 493).
//! - Explicit keys win over merged ones wherever the `<<` stands.
//! - Everything read from outside is bounded: size, nesting, and what aliases may grow to.

mod path;
mod reader;
mod scalar;

use std::ops::Range;

use serde_json::{Map, Number, Value};

pub use path::{FieldPath, Segment};
pub use reader::{Documents, DuplicateKeys, Limits, Options, YamlError, parse_documents};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its bytes in the text; for a merged or aliased value, the bytes of the alias.
    pub span: Range<usize>,
    /// The value.
    pub content: Content,
    /// Whether it is a scalar written bare: without quotes, block indicator or tag.
    pub bare: bool,
}

/// What a [`Node`] holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Null, or nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order written; keys are unique.
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key as text.
    pub key: String,
    /// The key's bytes.
    pub key_span: Range<usize>,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The value as JSON.
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(value) => Value::Bool(*value),
            Content::Number(value) => Value::Number(value.clone()),
            Content::Text(value) => Value::String(value.clone()),
            Content::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Content::Mapping(entries) => {
                Value::Object(entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect::<Map<_, _>>())
            }
        }
    }

    /// The entry of a mapping.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.content {
            Content::Mapping(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The text of a scalar that is text.
    pub fn as_str(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The node a path leads to.
    pub fn find(&self, path: &FieldPath) -> Option<&Node> {
        path.0.iter().try_fold(self, |node, segment| node.step(segment).map(|(node, _)| node))
    }

    /// The bytes of the value a path leads to; where the path leads nowhere, those of the key of the nearest value above it that is there.
    pub fn locate(&self, path: &FieldPath) -> Range<usize> {
        self.locate_by(path, |_, value| value.clone())
    }

    /// The bytes of the key (or list item) a path leads to, else of the nearest key above it.
    pub fn locate_key(&self, path: &FieldPath) -> Range<usize> {
        self.locate_by(path, |key, value| key.unwrap_or_else(|| value.clone()))
    }

    fn locate_by(&self, path: &FieldPath, choose: impl Fn(Option<Range<usize>>, &Range<usize>) -> Range<usize>) -> Range<usize> {
        let mut node = self;
        let mut key = None;
        for segment in &path.0 {
            match node.step(segment) {
                Some((below, key_span)) => (node, key) = (below, key_span),
                // Not there: the key above is where it belongs. A list item has none; its own start must do.
                None => return key.unwrap_or_else(|| node.head()),
            }
        }
        choose(key, &node.span)
    }

    /// Where a node begins to be itself: the first key of a mapping, the scalar as a whole.
    fn head(&self) -> Range<usize> {
        match &self.content {
            Content::Mapping(entries) => entries.first().map_or(self.span.clone(), |entry| entry.key_span.clone()),
            Content::List(items) => items.first().map_or(self.span.clone(), Self::head),
            _ => self.span.clone(),
        }
    }

    fn step(&self, segment: &Segment) -> Option<(&Node, Option<Range<usize>>)> {
        match (&self.content, segment) {
            (Content::Mapping(_), Segment::Field(name)) => self.entry(name).map(|entry| (&entry.value, Some(entry.key_span.clone()))),
            (Content::List(items), Segment::Index(index)) => items.get(*index).map(|item| (item, None)),
            _ => None,
        }
    }
}
