//! `metadata`: names, namespaces, labels, annotations.

use serde_json::Value;

use super::kinds::Kind;
use super::schema::{K8S_NAME, type_of};
use super::{Admitted, Class, Finding, Layer, NamespaceState, World, text};
use crate::config::yaml::FieldPath;

/// The structure of `metadata`.
pub(super) fn check(kind: &Kind, admitted: &mut Admitted) {
    let Some(metadata) = admitted.object.get("metadata").and_then(Value::as_object) else { return };
    let path = FieldPath::root().field("metadata");
    let refuse = |class, path, message: String| Finding::new(Layer::Schema, class, path, message);
    let mut found = Vec::new();
    let name_path = path.field("name");
    match metadata.get("name") {
        None | Some(Value::Null) => found.push(refuse(Class::Required, name_path, "`name` is required".into())),
        Some(Value::String(name)) if name.is_empty() => found.push(refuse(Class::Required, name_path, "`name` is required".into())),
        Some(Value::String(name)) => {
            if name.len() > 253 {
                found.push(refuse(Class::Invalid, name_path.clone(), "a name has at most 253 characters".into()));
            }
            if !K8S_NAME.regex.is_match(name) {
                found.push(refuse(Class::Invalid, name_path, format!("`{name}` is not a name: {}", K8S_NAME.words)));
            }
        }
        Some(other) => found.push(
            refuse(Class::TypeInvalid, name_path, format!("expected text, found {}", type_of(other)))
                .help(format!("quote it: `\"{}\"`", other.to_string().trim_matches('"'))),
        ),
    }
    if kind.cluster_scoped && metadata.get("namespace").is_some_and(|namespace| namespace != "") {
        found.push(
            refuse(Class::Forbidden, path.field("namespace"), format!("a {} belongs to no namespace", kind.name)).help("take the line away"),
        );
    }
    for field in ["labels", "annotations"] {
        let map = match metadata.get(field) {
            None | Some(Value::Null) => continue,
            Some(Value::Object(map)) => map,
            Some(other) => {
                found.push(refuse(Class::TypeInvalid, path.field(field), format!("expected a mapping, found {}", type_of(other))));
                continue;
            }
        };
        for (key, value) in map {
            let here = path.field(field).field(key);
            match value {
                Value::String(value) if field == "labels" && !is_label_value(value) => {
                    found.push(refuse(Class::Invalid, here, format!("`{value}` is not a label value: {LABEL_WORDS}")));
                }
                Value::String(_) | Value::Null => {}
                other => found.push(
                    refuse(Class::TypeInvalid, here, format!("expected text, found {}", type_of(other))).help(format!("quote it: `\"{other}\"`")),
                ),
            }
        }
    }
    // A shard becomes a label, so it obeys the rules of labels.
    let shard = text(&admitted.object, "/spec/shard").to_owned();
    if !shard.is_empty() && matches!(kind.name, "Warehouse" | "Stage") {
        if is_label_value(&shard) {
            set_label(&mut admitted.object, "kargo.akuity.io/shard", &shard);
        } else {
            found.push(
                refuse(Class::Invalid, path.field("labels"), format!("`shard` becomes a label, and `{shard}` is not a label value: {LABEL_WORDS}")),
            );
        }
    }
    admitted.refused.extend(found);
}

const LABEL_WORDS: &str = "at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends";

pub(super) fn is_label_value(value: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    value.is_empty()
        || (value.len() <= 63
            && value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            && ends(value.chars().next())
            && ends(value.chars().last()))
}

pub(super) fn set_label(object: &mut Value, label: &str, value: &str) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        let labels = metadata.entry("labels").or_insert_with(|| Value::Object(serde_json::Map::new()));
        if labels.is_null() {
            *labels = Value::Object(serde_json::Map::new());
        }
        labels[label] = value.into();
    }
}

/// Project resources live in namespaces of projects.
pub(super) fn check_namespace(admitted: &mut Admitted, world: &World<'_>) {
    let namespace = text(&admitted.object, "/metadata/namespace");
    let path = FieldPath::root().fields("metadata.namespace");
    let (class, message) = match (world.namespace)(namespace) {
        NamespaceState::Project => return,
        // A ProjectConfig is turned away at the door of the namespace, not for its field.
        NamespaceState::Foreign if text(&admitted.object, "/kind") == "ProjectConfig" => {
            (Class::Forbidden, format!("namespace `{namespace}` belongs to no project"))
        }
        NamespaceState::Foreign => (Class::Invalid, format!("namespace `{namespace}` belongs to no project")),
        NamespaceState::Missing => (Class::NotFound, format!("there is no project `{namespace}`")),
    };
    admitted.refused.push(Finding::webhook(class, path, message));
}
