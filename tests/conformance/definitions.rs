//! `definitions.json`: what Kargo's API server makes of a definition.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use consign::config::admission::kinds::Kind;
use consign::config::admission::{Admitted, Class, Finding, Layer, NamespaceState, World, admit, freight_update};
use consign::config::yaml::FieldPath;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::harness::{Runner, judge};

#[path = "definitions/promotion.rs"]
mod promotion;

/// Prepares the runner.
pub fn prepare(_document: &Value) -> Runner {
    Box::new(|case| {
        let got = run(case);
        judge(case, &got, same)
    })
}

/// The resources that are there before the document under test.
#[derive(Default)]
pub struct There {
    /// Admitted objects by kind, namespace and name.
    pub objects: BTreeMap<(String, String, String), Value>,
}

impl There {
    /// A resource as its type.
    pub fn read<T: DeserializeOwned>(&self, kind: &str, namespace: &str, name: &str) -> Option<T> {
        let object = self.objects.get(&(kind.to_owned(), namespace.to_owned(), name.to_owned()))?;
        Some(serde_json::from_value(object.clone()).expect("an admitted resource has its type"))
    }

    /// All resources of a kind in a namespace.
    pub fn all<T: DeserializeOwned>(&self, kind: &str, namespace: &str) -> Vec<T> {
        let of_kind = self.objects.keys().filter(|(known, there, _)| known == kind && there == namespace);
        of_kind.filter_map(|(_, _, name)| self.read(kind, namespace, name)).collect()
    }
}

fn run(case: &Value) -> Value {
    let docs = case["docs"].as_array().expect("docs");
    let foreign: BTreeSet<&str> = docs
        .iter()
        .filter(|doc| doc["kind"] == "Namespace" && doc.pointer("/metadata/labels/kargo.akuity.io~1project") != Some(&json!("true")))
        .filter_map(|doc| doc["metadata"]["name"].as_str())
        .collect();
    let no_namespace = case["noNamespace"] == true;
    let namespace = |name: &str| match name {
        _ if no_namespace => NamespaceState::Missing,
        name if foreign.contains(name) => NamespaceState::Foreign,
        _ => NamespaceState::Project,
    };
    let knowledge = consign::tick::knowledge::knowledge(false);
    let mut there = There::default();
    let admitted = RefCell::new(None);
    for (at, doc) in docs.iter().enumerate() {
        let last = at + 1 == docs.len();
        let kind_name = doc["kind"].as_str().unwrap_or_default();
        let key = |object: &Value| (kind_name.to_owned(), text(object, "/metadata/namespace").to_owned(), text(object, "/metadata/name").to_owned());
        if last && case["op"] == "delete" {
            return promotion::delete(doc, &there);
        }
        let warehouses: BTreeMap<(String, String), Value> = there
            .objects
            .iter()
            .filter(|((kind, _, _), _)| kind == "Warehouse")
            .map(|((_, namespace, name), object)| ((namespace.clone(), name.clone()), object.clone()))
            .collect();
        let aliases: BTreeSet<(String, String)> = there
            .objects
            .iter()
            .filter(|(known, _)| known.0 == "Freight" && **known != key(doc))
            .map(|((_, namespace, _), object)| (namespace.clone(), text(object, "/alias").to_owned()))
            .collect();
        let world = World {
            namespace: &namespace,
            warehouses: &warehouses,
            aliases: &aliases,
            now: "2026-03-02T09:00:00Z".parse().expect("a time"),
            knowledge: &knowledge,
        };
        let mut outcome = match Kind::find(kind_name) {
            Some(kind) => admit(kind, doc, &world),
            None => Admitted { object: doc.clone(), refused: Vec::new(), unknown: Vec::new(), respelled: Vec::new() },
        };
        if kind_name == "Promotion" {
            promotion::admit(&mut outcome, doc, &there);
        }
        if kind_name == "Freight" {
            update_of_freight(doc, there.objects.get(&key(doc)), &mut outcome);
        }
        if !last {
            let kind_of_namespace = kind_name == "Namespace";
            assert!(kind_of_namespace || outcome.refused.is_empty(), "a document that exists already is refused: {:?}", outcome.refused);
            let mut object = outcome.object.clone();
            if let Some(status) = doc.get("status") {
                object["status"] = status.clone();
            }
            there.objects.insert(key(&outcome.object), object);
        } else {
            admitted.replace(Some(outcome));
        }
    }
    let admitted = admitted.into_inner().expect("a case has documents");
    describe(docs.last().expect("a document"), &admitted)
}

/// An update of a freight: contents stay, the alias moves label and field together.
fn update_of_freight(written: &Value, old: Option<&Value>, outcome: &mut Admitted) {
    let Some(old) = old else { return };
    let changed = freight_update(old, &outcome.object);
    if !changed.is_empty() {
        outcome.refused = changed;
        return;
    }
    if let Some(taken) = outcome.refused.iter_mut().find(|finding| finding.path.to_string() == "alias") {
        // Taken aliases are a conflict once the freight exists.
        taken.class = Class::Conflict;
    }
    if text(written, "/alias").is_empty() {
        outcome.object.as_object_mut().expect("an object").remove("alias");
        if let Some(labels) = outcome.object.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
            labels.remove("kargo.akuity.io/alias");
        }
    }
}

/// What came out, in the form of `want`.
fn describe(written: &Value, admitted: &Admitted) -> Value {
    if !admitted.refused.is_empty() {
        let layer = admitted.refused.iter().map(|finding| finding.layer).min().expect("a finding");
        let by = match layer {
            Layer::Schema => "schema",
            Layer::Rule => "cel",
            Layer::Webhook => "webhook",
        };
        let errors: Vec<Value> = admitted
            .refused
            .iter()
            .map(|finding| json!({"path": finding.path.to_string(), "type": class(finding), "message": finding.message}))
            .collect();
        return json!({"valid": false, "by": by, "errors": errors});
    }
    let (mut defaulted, mut changed) = (Map::new(), Map::new());
    difference(written, &admitted.object, &FieldPath::root(), &mut defaulted, &mut changed);
    let mut got = json!({"valid": true});
    for (field, map) in [("defaulted", defaulted), ("changed", changed)] {
        if !map.is_empty() {
            got[field] = Value::Object(map);
        }
    }
    for (field, kept) in [("pruned", false), ("ignored", true)] {
        let mut paths: Vec<String> = admitted.unknown.iter().filter(|unknown| unknown.kept == kept).map(|unknown| unknown.path.pointer()).collect();
        paths.sort();
        if !paths.is_empty() {
            got[field] = paths.into();
        }
    }
    got
}

fn class(finding: &Finding) -> &'static str {
    match finding.class {
        Class::Required => "FieldValueRequired",
        Class::Invalid => "FieldValueInvalid",
        Class::NotSupported => "FieldValueNotSupported",
        Class::TypeInvalid => "FieldValueTypeInvalid",
        Class::Duplicate => "FieldValueDuplicate",
        Class::Forbidden => "FieldValueForbidden",
        Class::NotFound => "NotFound",
        Class::Conflict => "Conflict",
    }
}

fn difference(written: &Value, stored: &Value, path: &FieldPath, defaulted: &mut Map<String, Value>, changed: &mut Map<String, Value>) {
    match (written, stored) {
        (Value::Object(written), Value::Object(stored)) => {
            for (key, value) in stored {
                match written.get(key).filter(|value| !value.is_null()) {
                    Some(before) => difference(before, value, &path.field(key), defaulted, changed),
                    None => {
                        defaulted.insert(path.field(key).pointer(), value.clone());
                    }
                }
            }
        }
        (Value::Array(written), Value::Array(stored)) if written.len() == stored.len() => {
            for (at, (before, value)) in written.iter().zip(stored).enumerate() {
                difference(before, value, &path.index(at), defaulted, changed);
            }
        }
        (written, stored) if written != stored => {
            changed.insert(path.pointer(), stored.clone());
        }
        _ => {}
    }
}

/// Whether what came out is what is wanted: the same verdict, and the same places with the same kind of mistake, or the same stored object.
fn same(want: &Value, got: &Value) -> bool {
    if want["valid"] != got["valid"] {
        return false;
    }
    if want.as_object().is_some_and(|want| want.len() == 1) {
        // `sane` says only the verdict, and a bare `valid: true` that nothing was added.
        return want["valid"] == false || got.as_object().is_some_and(|got| got.len() == 1);
    }
    if want["valid"] == true {
        return ["pruned", "ignored"].iter().all(|field| want.get(*field) == got.get(*field))
            && ["defaulted", "changed"].iter().all(|field| same_values(want.get(*field), got.get(*field)));
    }
    let errors = |value: &Value| value["errors"].as_array().cloned().unwrap_or_default();
    let (wanted, found) = (errors(want), errors(got));
    // A place we do not name the same way must still be one of ours, and every one of ours must be wanted.
    want["by"] == got["by"]
        && wanted.iter().all(|wanted| found.iter().any(|found| same_error(wanted, found)))
        && found.iter().all(|found| wanted.iter().any(|wanted| same_error(wanted, found)))
}

fn same_values(want: Option<&Value>, got: Option<&Value>) -> bool {
    match (want, got) {
        (Some(Value::Object(want)), Some(Value::Object(got))) => {
            want.len() == got.len() && want.iter().all(|(key, want)| same_values(Some(want), got.get(key)))
        }
        (Some(Value::String(want)), Some(Value::String(got))) => {
            want == got
                || (want == "<generated>" && !got.is_empty())
                || want
                    .split_once("<ulid>")
                    .is_some_and(|(start, end)| got.starts_with(start) && got.ends_with(end) && got.len() == want.len() - 6 + 26)
        }
        (want, got) => want == got,
    }
}

fn same_error(want: &Value, got: &Value) -> bool {
    let (wanted, found) = (text(want, "/path"), text(got, "/path"));
    // Errors of the decoder and of whole requests have no path in Kargo; ours say where.
    if wanted.is_empty() {
        return true;
    }
    // Kargo names the type of a doubled subscription twice, and calls the origin's warehouse `warehouse`.
    let wanted = match wanted.rsplit_once('.') {
        Some((rest, last)) if rest.ends_with(&format!(".{last}")) => rest,
        _ if wanted == "warehouse" => "origin.name",
        _ => wanted,
    };
    // One of ours may be more precise: `metadata.labels` is `metadata.labels.team`.
    let place = found == wanted || found.strip_prefix(wanted).is_some_and(|rest| rest.starts_with(['.', '[']));
    place && (want.get("type").is_none() || want["type"] == got["type"])
}

/// The text of a field, empty where there is none.
pub fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
