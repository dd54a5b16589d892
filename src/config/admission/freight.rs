//! Freight written by hand: its contents must be what its warehouse subscribes to; name and alias are given to it.

use serde_json::{Value, json};

use super::{Admitted, Class, Finding, World, items, metadata, text, warehouse};
use crate::config::yaml::FieldPath;
use crate::model::{Freight, Warehouse};

/// What Kargo's mutating webhook writes before the structure is checked: absent parts become empty ones, and are then found wanting.
pub(super) fn prepare(object: &mut Value) {
    let Some(map) = object.as_object_mut() else { return };
    if map.get("origin").is_none_or(Value::is_null) {
        map.insert("origin".into(), json!({"kind": "", "name": ""}));
    }
    if let Some(Value::Array(artifacts)) = map.get_mut("artifacts") {
        for artifact in artifacts.iter_mut().filter_map(Value::as_object_mut) {
            for field in ["subscriptionName", "version"] {
                let entry = artifact.entry(field).or_insert(Value::Null);
                if entry.is_null() {
                    *entry = "".into();
                }
            }
        }
    }
}

/// Checks the contents; writes name, alias and time.
pub(super) fn admit(admitted: &mut Admitted, world: &World<'_>) {
    let object = &admitted.object;
    let namespace = text(object, "/metadata/namespace").to_owned();
    let warehouse_name = text(object, "/origin/name");
    let at = |field: &str| FieldPath::root().field(field);
    let mut refused = Vec::new();
    for (list, field, needs) in [("commits", "id", "a commit id"), ("charts", "version", "a version")] {
        for (n, artifact) in items(object, &format!("/{list}")).iter().enumerate() {
            if text(artifact, &format!("/{field}")).is_empty() {
                refused.push(
                    Finding::webhook(Class::Required, at(list).index(n).field(field), format!("{needs} is missing")).help(format!("add `{field}:`")),
                );
            }
        }
    }
    for (n, image) in items(object, "/images").iter().enumerate() {
        if text(image, "/tag").is_empty() && text(image, "/digest").is_empty() {
            refused
                .push(Finding::webhook(Class::Required, at("images").index(n), "an image needs a tag or a digest").help("add `tag:` and `digest:`"));
        }
    }
    let warehouse = world
        .warehouses
        .get(&(namespace.clone(), warehouse_name.to_owned()))
        .and_then(|object| serde_json::from_value::<Warehouse>(warehouse::canonical(object)).ok());
    let freight = serde_json::from_value::<Freight>(object.clone());
    let mut made = None;
    match (warehouse, freight) {
        (None, _) => refused.push(
            Finding::webhook(Class::Invalid, at("origin").field("name"), format!("there is no warehouse `{warehouse_name}`"))
                .help("`origin.name` is the name of a Warehouse of the same project"),
        ),
        (_, Err(error)) => refused.push(Finding::webhook(Class::Invalid, FieldPath::root(), format!("the freight cannot be read: {error}"))),
        (Some(warehouse), Ok(freight)) => {
            let taken = |alias: &str| world.aliases.contains(&(namespace.clone(), alias.to_owned()));
            match (world.knowledge.freight_by_hand)(&warehouse, freight, &taken) {
                Ok(freight) => made = Some(freight),
                Err(violations) => refused.extend(violations.into_iter().map(|(field, message)| {
                    let path = if object.get(&field).is_some() || known_field(&field) { FieldPath::root().fields(&field) } else { FieldPath::root() };
                    Finding::webhook(Class::Invalid, path, message).help("freight holds exactly one artifact for each subscription of its warehouse")
                })),
            }
        }
    }
    admitted.refused.extend(refused);
    let Some(freight) = made.filter(|_| admitted.refused.is_empty()) else { return };
    let alias = if freight.alias.is_empty() { (world.knowledge.freight_alias)(&freight.name()) } else { freight.alias };
    admitted.object["metadata"]["name"] = freight.metadata.name.into();
    metadata::set_label(&mut admitted.object, "kargo.akuity.io/alias", &alias);
    admitted.object["alias"] = alias.into();
    if admitted.object.get("discoveredAt").is_none() {
        admitted.object["discoveredAt"] = world.now.to_string().into();
    }
}

fn known_field(field: &str) -> bool {
    matches!(field.split('.').next(), Some("alias" | "origin" | "commits" | "images" | "charts" | "artifacts" | "metadata"))
}

/// What may not change: origin and artifacts, item by item.
pub(super) fn update(old: &Value, new: &Value) -> Vec<Finding> {
    let immutable = |path: FieldPath| {
        Finding::webhook(Class::Invalid, path, "freight never changes").help("make new freight instead; only its alias and labels may change")
    };
    let mut found = Vec::new();
    if old.get("origin") != new.get("origin") {
        found.push(immutable(FieldPath::root().field("origin")));
    }
    for list in ["commits", "images", "charts", "artifacts"] {
        let (before, after) = (items(old, &format!("/{list}")), items(new, &format!("/{list}")));
        let path = FieldPath::root().field(list);
        if before.len() != after.len() {
            found.push(immutable(path));
        } else if let Some(n) = (0..before.len()).find(|&n| before[n] != after[n]) {
            found.push(immutable(path.index(n)));
        }
    }
    found
}
