//! A definition between its text and its type: where it stands, what it is, what admission made of it.

use serde_json::Value;

use super::admission::kinds::Kind;
use super::yaml::{FieldPath, Node};
use crate::diagnostic::{FileId, Place};

/// One definition.
pub(crate) struct Document {
    /// The file it stands in.
    pub(crate) file: FileId,
    /// Its tree, with places.
    pub(crate) node: Node,
    /// What it is.
    pub(crate) kind: &'static Kind,
    /// Its name; may be empty while it is wrong.
    pub(crate) name: String,
    /// Its project; empty for what belongs to the cluster.
    pub(crate) namespace: String,
    /// What admission made of it.
    pub(crate) object: Value,
    /// Whether admission accepted it.
    pub(crate) accepted: bool,
    /// Whether it is compiled in.
    pub(crate) built_in: bool,
}

impl Document {
    /// The place of a field's value.
    pub(crate) fn place(&self, path: &FieldPath) -> Place {
        Place { file: self.file, span: self.node.locate(path) }
    }

    /// The place of a field's name.
    pub(crate) fn key_place(&self, path: &FieldPath) -> Place {
        Place { file: self.file, span: self.node.locate_key(path) }
    }

    /// The place that stands for the whole: its name, else its kind.
    pub(crate) fn head(&self) -> Place {
        let name = FieldPath::root().fields("metadata.name");
        if self.node.find(&name).is_some() { self.place(&name) } else { self.place(&FieldPath::root().field("kind")) }
    }

    /// `Stage prod`, as users say it.
    pub(crate) fn title(&self) -> String {
        format!("{} `{}`", self.kind.name, self.name)
    }
}
