//! Admission: what Kargo's API server does with a definition before anything reads it.
//!
//! Structure, defaults, rules and webhooks, in that order and each only if the one before found nothing, as measured in
//! `conformance/definitions.json`. Where Kargo lets something pass that can never work and the measured case calls refusing it sane, it is
//! refused here; other opinions are [`super::check`]'s.

mod freight;
pub mod kinds;
mod metadata;
mod patterns;
mod rules;
pub(crate) mod schema;
pub(crate) mod warehouse;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Knowledge;
use super::yaml::FieldPath;
use kinds::Kind;
pub(crate) use patterns::{NamePattern, go_regex};

/// Who refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// Types, required fields, patterns.
    Schema,
    /// Rules between fields of one value.
    Rule,
    /// What Kargo's webhooks check.
    Webhook,
}

/// What kind of mistake it is, in the classes of the Kubernetes API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A field is missing.
    Required,
    /// A value is wrong.
    Invalid,
    /// A value is not one of the known ones.
    NotSupported,
    /// A value has the wrong type or format.
    TypeInvalid,
    /// A value is given twice.
    Duplicate,
    /// A field may not be there.
    Forbidden,
    /// Something that is referred to is not there.
    NotFound,
    /// Something else is in the way.
    Conflict,
}

/// A reason to refuse.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Who refuses.
    pub layer: Layer,
    /// What kind of mistake.
    pub class: Class,
    /// Where.
    pub path: FieldPath,
    /// What is wrong, in words.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Where else to look: the first of two.
    pub related: Option<FieldPath>,
}

impl Finding {
    pub(crate) fn new(layer: Layer, class: Class, path: FieldPath, message: impl Into<String>) -> Self {
        Self { layer, class, path, message: message.into(), help: None, related: None }
    }

    pub(crate) fn webhook(class: Class, path: FieldPath, message: impl Into<String>) -> Self {
        Self::new(Layer::Webhook, class, path, message)
    }

    pub(crate) fn rule(path: FieldPath, message: impl Into<String>) -> Self {
        Self::new(Layer::Rule, Class::Invalid, path, message)
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn related(mut self, path: FieldPath) -> Self {
        self.related = Some(path);
        self
    }
}

/// A field that has no meaning where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownField {
    /// Where.
    pub path: FieldPath,
    /// The names that are known there.
    pub known: Vec<&'static str>,
    /// Whether the field stays in the object (inside a subscription) or is taken out.
    pub kept: bool,
}

/// A document after admission.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// The object with defaults, without unknown fields.
    pub object: Value,
    /// Why it is refused; empty: accepted.
    pub refused: Vec<Finding>,
    /// Fields that nobody reads.
    pub unknown: Vec<UnknownField>,
    /// Fields whose name is spelled in another case than the known one: where, and the known name.
    pub respelled: Vec<(FieldPath, &'static str)>,
}

/// What is known of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamespaceState {
    /// It belongs to a project.
    Project,
    /// It is there, but belongs to no project.
    Foreign,
    /// It is not there.
    Missing,
}

/// What exists beside the document under admission.
pub struct World<'a> {
    /// The state of a namespace.
    pub namespace: &'a dyn Fn(&str) -> NamespaceState,
    /// Admitted warehouses by namespace and name.
    pub warehouses: &'a BTreeMap<(String, String), Value>,
    /// Aliases of other freight, with their namespace.
    pub aliases: &'a BTreeSet<(String, String)>,
    /// Now, for `discoveredAt`.
    pub now: jiff::Timestamp,
    /// What other rooms know.
    pub knowledge: &'a Knowledge<'a>,
}

/// Admits a new document of a known kind.
pub fn admit(kind: &Kind, document: &Value, world: &World<'_>) -> Admitted {
    let mut object = document.clone();
    match kind.name {
        "Warehouse" => warehouse::prepare(&mut object),
        "Freight" => freight::prepare(&mut object),
        _ => {}
    }
    let mut found = schema::Findings::default();
    kind.schema.apply(&mut object, &FieldPath::root(), &mut found);
    let mut admitted = Admitted {
        object,
        refused: found.errors,
        unknown: found.unknown.into_iter().map(|(path, known)| UnknownField { path, known, kept: false }).collect(),
        respelled: Vec::new(),
    };
    metadata::check(kind, &mut admitted);
    if !admitted.refused.is_empty() {
        return admitted;
    }
    admitted.refused = rules::rules(kind, &admitted.object);
    if !admitted.refused.is_empty() {
        return admitted;
    }
    if !kind.cluster_scoped && kind.api_version == kinds::KARGO {
        metadata::check_namespace(&mut admitted, world);
    }
    if admitted.refused.is_empty() {
        match kind.name {
            "Warehouse" => warehouse::admit(&mut admitted, world.knowledge),
            "Freight" => freight::admit(&mut admitted, world),
            _ => admitted.refused.extend(rules::webhooks(kind, &admitted.object, world)),
        }
    }
    admitted
}

/// What may not change in a freight that exists: its origin and its artifacts, down to the texts.
pub fn freight_update(old: &Value, new: &Value) -> Vec<Finding> {
    freight::update(old, new)
}

/// The text of a field, empty where there is none.
pub(crate) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The items of a list, none where there is none.
pub(crate) fn items<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
