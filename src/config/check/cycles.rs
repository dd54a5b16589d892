//! Stages that wait for each other in a circle: no freight ever enters it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Context;
use crate::config::admission::{items, text};
use crate::config::document::Document;
use crate::config::yaml::FieldPath;
use crate::diagnostic::Diagnostic;

/// Namespace, origin and stage -> the stage's definition, where it names its upstream stages, and which they are.
type Upstream<'a> = BTreeMap<(&'a str, &'a str, &'a str), (&'a Document, FieldPath, Vec<&'a str>)>;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    // Origin by origin: freight of another origin may well flow the other way.
    let mut upstream: Upstream<'_> = BTreeMap::new();
    for stage in context.of_kind("Stage") {
        for (at, request) in items(&stage.object, "/spec/requestedFreight").iter().enumerate() {
            let stages = items(request, "/sources/stages").iter().filter_map(Value::as_str).collect();
            let path = FieldPath::root().fields("spec.requestedFreight").index(at).fields("sources.stages");
            upstream.insert((stage.namespace.as_str(), text(request, "/origin/name"), stage.name.as_str()), (stage, path, stages));
        }
    }
    let mut told = BTreeSet::new();
    for (&(namespace, origin, name), (stage, path, _)) in &upstream {
        let Some(circle) = circle_from(namespace, origin, name, &upstream) else { continue };
        let members: BTreeSet<&str> = circle.iter().copied().collect();
        if !told.insert((namespace, members)) {
            continue;
        }
        let mut shown: Vec<&str> = circle.iter().rev().copied().collect();
        shown.push(shown[0]);
        let mut diagnostic = Diagnostic::warning(
            "config/cycle",
            format!("freight of `{origin}` goes in a circle: {}", shown.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" -> ")),
        )
        .at(stage.key_place(path), "part of the circle")
        .help("one stage of it must take freight from elsewhere: `direct: true`, or a stage outside of the circle");
        for other in circle.iter().filter(|other| **other != name) {
            if let Some((stage, path, _)) = upstream.get(&(namespace, origin, *other)) {
                diagnostic = diagnostic.related(stage.key_place(path), "and this");
            }
        }
        found.push(diagnostic);
    }
}

/// The stages on a way from a stage back to itself.
fn circle_from<'a>(namespace: &'a str, origin: &'a str, start: &'a str, upstream: &Upstream<'a>) -> Option<Vec<&'a str>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = vec![start];
    while let Some(name) = queue.pop() {
        let Some((_, _, stages)) = upstream.get(&(namespace, origin, name)) else { continue };
        for &next in stages {
            if next == start {
                let mut way = vec![name];
                let mut at = name;
                while at != start {
                    at = came_from.get(at)?;
                    way.push(at);
                }
                way.reverse();
                return Some(way);
            }
            if !came_from.contains_key(next) {
                came_from.insert(next, name);
                queue.push(next);
            }
        }
    }
    None
}
