//! Policies, windows and receivers that never match anything.

use super::{Context, listed, suggest};
use crate::config::admission::kinds::RECEIVERS;
use crate::config::admission::schema::K8S_NAME;
use crate::config::admission::{NamePattern, items, text};
use crate::config::document::Document;
use crate::config::yaml::FieldPath;
use crate::diagnostic::Diagnostic;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for config in context.of_kind("ProjectConfig") {
        let stages = context.names("Stage", &config.namespace);
        let path = FieldPath::root().fields("spec.promotionPolicies");
        for (at, policy) in items(&config.object, &path.pointer()).iter().enumerate() {
            let here = path.index(at);
            exact_stage(config, &here.field("stage"), text(policy, "/stage"), &stages, found);
            exact_stage(config, &here.fields("stageSelector.name"), text(policy, "/stageSelector/name"), &stages, found);
        }
        for (at, window) in items(&config.object, "/spec/promotionWindows").iter().enumerate() {
            let here = FieldPath::root().fields("spec.promotionWindows").index(at);
            exact_stage(config, &here.fields("stageSelector.name"), text(window, "/stageSelector/name"), &stages, found);
            if window.get("projectSelector").is_some() {
                found.push(
                    Diagnostic::warning("config/no-effect", "a window of a project always concerns this project alone")
                        .at(config.key_place(&here.field("projectSelector")), "no effect")
                        .help("take it away, or move the window to the ClusterConfig"),
                );
            }
        }
    }
    for config in context.of_kind("ProjectConfig").chain(context.of_kind("ClusterConfig")) {
        receivers(config, found);
    }
}

fn exact_stage(config: &Document, path: &FieldPath, name: &str, stages: &[&str], found: &mut Vec<Diagnostic>) {
    if name.is_empty() || !matches!(NamePattern::parse(name), Ok(NamePattern::Exact(_))) || stages.contains(&name) {
        return;
    }
    let help = if K8S_NAME.regex.is_match(name) {
        suggest(name, stages, || if stages.is_empty() { "no stage is defined in this project".into() } else { format!("known: {}", listed(stages)) })
    } else {
        "a pattern begins with `glob:` or `regex:`; a name has lower-case letters, digits, `-` and `.`".into()
    };
    found.push(
        Diagnostic::warning("config/unknown-stage", format!("there is no stage `{name}`")).at(config.place(path), "matches nothing").help(help),
    );
}

fn receivers(config: &Document, found: &mut Vec<Diagnostic>) {
    let path = FieldPath::root().fields("spec.webhookReceivers");
    let known = RECEIVERS;
    for (at, receiver) in items(&config.object, &path.pointer()).iter().enumerate() {
        if !known.iter().any(|kind| receiver.get(*kind).is_some()) {
            found.push(
                Diagnostic::warning("config/no-effect", "a receiver without a type receives nothing")
                    .at(config.place(&path.index(at).field("name")), "no type")
                    .help(format!("add one of {}", listed(&known))),
            );
        }
        for (action_at, action) in items(receiver, "/generic/actions").iter().enumerate() {
            for (criterion_at, criterion) in items(action, "/targetSelectionCriteria").iter().enumerate() {
                let criterion_path = path.index(at).fields("generic.actions").index(action_at).field("targetSelectionCriteria").index(criterion_at);
                for (index_at, index) in items(criterion, "/indexSelector/matchIndices").iter().enumerate() {
                    let operator = text(index, "/operator");
                    if !matches!(operator, "Equals" | "NotEquals") {
                        found.push(
                            Diagnostic::warning("config/unknown-value", format!("`{operator}` is not an operator of an index selector"))
                                .at(
                                    config.place(&criterion_path.fields("indexSelector.matchIndices").index(index_at).field("operator")),
                                    "unknown operator",
                                )
                                .help("known: `Equals`, `NotEquals`"),
                        );
                    }
                }
            }
        }
    }
}
