//! Freight written by hand: its contents must be what its warehouse subscribes to; name and alias are given to it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::warehouse::field_text;
use super::{Admitted, Class, Finding, World, items, metadata, text};
use crate::config::RepositoryKind;
use crate::config::yaml::FieldPath;

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
    let artifacts: usize = ["/commits", "/images", "/charts", "/artifacts"].iter().map(|list| items(object, list).len()).sum();
    if artifacts == 0 {
        refused.push(
            Finding::webhook(Class::Invalid, FieldPath::root(), "freight holds at least one commit, image or chart")
                .help("list what it holds under `commits`, `images` or `charts`"),
        );
    }
    for (list, field, needs) in [("commits", "id", "a commit id"), ("charts", "version", "a version")] {
        for (n, artifact) in items(object, &format!("/{list}")).iter().enumerate() {
            if text(artifact, &format!("/{field}")).is_empty() {
                refused.push(Finding::webhook(Class::Required, at(list).index(n).field(field), format!("{needs} is missing")).help(format!("add `{field}:`")));
            }
        }
    }
    for (n, image) in items(object, "/images").iter().enumerate() {
        if text(image, "/tag").is_empty() && text(image, "/digest").is_empty() {
            refused.push(Finding::webhook(Class::Required, at("images").index(n), "an image needs a tag or a digest").help("add `tag:` and `digest:`"));
        }
    }
    match world.warehouses.get(&(namespace.clone(), warehouse_name.to_owned())) {
        None => refused.push(
            Finding::webhook(Class::Invalid, at("origin").field("name"), format!("there is no warehouse `{warehouse_name}`"))
                .help("`origin.name` is the name of a Warehouse of the same project"),
        ),
        Some(warehouse) => match_subscriptions(object, warehouse, warehouse_name, world, &mut refused),
    }
    let alias = text(object, "/alias").to_owned();
    if !alias.is_empty() {
        if !metadata::is_label_value(&alias) {
            refused.push(Finding::webhook(Class::Invalid, at("alias"), format!("`{alias}` is not an alias: at most 63 letters, digits, `-`, `_` and `.`")));
        } else if world.aliases.contains(&(namespace, alias.clone())) {
            refused.push(Finding::webhook(Class::Invalid, at("alias"), format!("the alias `{alias}` is taken by another freight")).help("choose another alias"));
        }
    }
    admitted.refused.extend(refused);
    if !admitted.refused.is_empty() {
        return;
    }
    let name = (world.knowledge.freight_name)(&admitted.object);
    admitted.object["metadata"]["name"] = name.clone().into();
    let alias = if alias.is_empty() { (world.knowledge.freight_alias)(&name) } else { alias };
    metadata::set_label(&mut admitted.object, "kargo.akuity.io/alias", &alias);
    admitted.object["alias"] = alias.into();
    if admitted.object.get("discoveredAt").is_none() {
        admitted.object["discoveredAt"] = world.now.to_string().into();
    }
}

/// Every subscription has exactly one artifact, and every artifact a subscription. URLs are compared normalised.
fn match_subscriptions(freight: &Value, warehouse: &Value, warehouse_name: &str, world: &World<'_>, refused: &mut Vec<Finding>) {
    for (list, kind, repository, what) in [
        ("commits", "git", RepositoryKind::Git, "Git repository"),
        ("images", "image", RepositoryKind::Image, "image repository"),
        ("charts", "chart", RepositoryKind::Chart, "chart"),
    ] {
        let key = |url: &str, chart: &str| {
            let chart = if kind == "chart" && !url.starts_with("oci://") { chart } else { "" };
            ((world.knowledge.normalize)(repository, url), chart.to_owned())
        };
        // Subscriptions wait for their one artifact.
        let mut wanted: BTreeMap<(String, String), (String, usize)> = items(warehouse, "/spec/subscriptions")
            .iter()
            .filter_map(|subscription| subscription.get(kind))
            .map(|body| (field_text(body, "repoURL"), field_text(body, "name")))
            .map(|(url, name)| (key(url, name), (if name.is_empty() { url.to_owned() } else { format!("{url}` `{name}") }, 0)))
            .collect();
        let path = FieldPath::root().field(list);
        for (n, artifact) in items(freight, &format!("/{list}")).iter().enumerate() {
            let url = text(artifact, "/repoURL");
            match wanted.get_mut(&key(url, text(artifact, "/name"))) {
                Some((_, found)) => *found += 1,
                None => refused.push(
                    Finding::webhook(Class::Invalid, path.index(n), format!("the warehouse `{warehouse_name}` does not watch the {what} `{url}`"))
                        .help("take it away, or subscribe to it in the warehouse"),
                ),
            }
        }
        for (shown, found) in wanted.into_values() {
            match found {
                1 => {}
                0 => refused.push(
                    Finding::webhook(Class::Invalid, path.clone(), format!("nothing is given for the subscription to `{shown}`"))
                        .help(format!("add an entry to `{list}`: freight holds one artifact of each subscription")),
                ),
                _ => refused.push(
                    Finding::webhook(Class::Invalid, path.clone(), format!("several artifacts are given for the subscription to `{shown}`"))
                        .help("keep one of them"),
                ),
            }
        }
    }
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
