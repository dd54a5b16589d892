//! Steps: kinds that do not exist, fields their configuration does not know.

use serde_json::Value;

use super::{Context, suggest};
use crate::config::admission::text;
use crate::config::document::Document;
use crate::config::yaml::FieldPath;
use crate::diagnostic::Diagnostic;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    let known: Vec<&str> = context.knowledge.step_kinds.iter().map(String::as_str).collect();
    for (document, path, step) in context.steps() {
        let kind = text(step, "/uses");
        if kind.is_empty() {
            continue;
        }
        if !known.is_empty() && !known.contains(&kind) {
            let help = suggest(kind, &known, || "`consign schema --steps` lists the kinds of step there are".into());
            found.push(
                Diagnostic::warning("config/unknown-step", format!("there is no step `{kind}`"))
                    .at(document.place(&path.field("uses")), "unknown step")
                    .help(help),
            );
            continue;
        }
        let Some(schema) = (context.knowledge.step_schema)(kind) else { continue };
        let mut walk = Walk { root: &schema, kind, document, found };
        let empty = Value::Object(serde_json::Map::new());
        walk.value(&schema, step.get("config").unwrap_or(&empty), &path.field("config"), 0);
    }
}

/// Walks a configuration beside its schema. Templates may become anything, so nothing is said about them.
struct Walk<'a> {
    root: &'a Value,
    kind: &'a str,
    document: &'a Document,
    found: &'a mut Vec<Diagnostic>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, schema: &'a Value, value: &Value, path: &FieldPath, depth: usize) {
        if depth > 64 {
            return;
        }
        let root = self.root;
        let schema = resolve(root, schema);
        match value {
            Value::Object(map) => {
                // A choice between forms knows what any of its forms knows.
                let forms = forms(root, schema);
                let properties: Vec<&serde_json::Map<String, Value>> = forms.iter().filter_map(|form| form.get("properties")?.as_object()).collect();
                let known: Vec<&str> = properties.iter().flat_map(|map| map.keys().map(String::as_str)).collect();
                let closed = !known.is_empty() && forms.iter().any(|form| form.get("additionalProperties") == Some(&Value::Bool(false)));
                for (key, value) in map {
                    let here = path.field(key);
                    match properties.iter().find_map(|map| map.get(key)) {
                        Some(below) => self.value(below, value, &here, depth + 1),
                        None if closed => {
                            let listed = super::listed(&known);
                            self.found.push(
                                Diagnostic::error("config/unknown-step-field", format!("`{key}` is not a field of `{}`", self.kind))
                                    .at(self.document.key_place(&here), "unknown field")
                                    .help(suggest(key, &known, || format!("known here: {listed}"))),
                            );
                        }
                        None => {
                            if let Some(below) = schema.get("additionalProperties").filter(|below| below.is_object()) {
                                self.value(below, value, &here, depth + 1);
                            }
                        }
                    }
                }
                for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
                    if !map.contains_key(name) {
                        self.found.push(
                            Diagnostic::error("config/missing-step-field", format!("`{}` needs `{name}`", self.kind))
                                .at(self.document.key_place(path), format!("`{name}` is missing"))
                                .help(format!("add `{name}:` here")),
                        );
                    }
                }
            }
            Value::Array(items) => {
                if let Some(below) = forms(root, schema).iter().find_map(|form| form.get("items")) {
                    for (at, item) in items.iter().enumerate() {
                        self.value(below, item, &path.index(at), depth + 1);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Follows references within the schema.
fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let mut schema = schema;
    for _ in 0..16 {
        match schema.get("$ref").and_then(Value::as_str).and_then(|reference| root.pointer(reference.strip_prefix('#')?)) {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

/// A schema and the forms it lets choose from.
fn forms<'s>(root: &'s Value, schema: &'s Value) -> Vec<&'s Value> {
    let mut forms = vec![schema];
    for choice in ["anyOf", "oneOf", "allOf"] {
        for form in schema.get(choice).and_then(Value::as_array).into_iter().flatten() {
            forms.push(resolve(root, form));
        }
    }
    forms
}
