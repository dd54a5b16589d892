//! What happens when tasks are put in place of their references: missing inputs, aliases that meet.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Context, steps_path};
use crate::config::admission::{items, text};
use crate::config::document::Document;
use crate::config::yaml::FieldPath;
use crate::diagnostic::Diagnostic;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for stage in context.of_kind("Stage") {
        let path = steps_path(stage);
        // Alias -> the step of the template that brings it.
        let mut aliases: BTreeMap<String, FieldPath> = BTreeMap::new();
        for (at, step) in items(&stage.object, &path.pointer()).iter().enumerate() {
            let here = path.index(at);
            let own = text(step, "/as");
            let is_task = step.get("task").is_some();
            let alias = if own.is_empty() { format!("{}-{}", if is_task { "task" } else { "step" }, at + 1) } else { own.to_owned() };
            let inflated: Vec<String> = if is_task {
                let Some(task) = task_of(context, stage, step) else { continue };
                inputs(stage, &here, step, task, found);
                items(&task.object, "/spec/steps")
                    .iter()
                    .enumerate()
                    .map(|(at, step)| match text(step, "/as") {
                        "" => format!("{alias}::step-{}", at + 1),
                        inner => format!("{alias}::{inner}"),
                    })
                    .collect()
            } else {
                vec![alias]
            };
            for alias in inflated {
                if let Some(first) = aliases.get(&alias) {
                    found.push(
                        Diagnostic::error("config/duplicate-alias", format!("two steps end up with the alias `{alias}`"))
                            .at(stage.place(&here.field("as")), "second")
                            .related(stage.place(&first.field("as")), "first")
                            .help("rename one: their outputs and results would be taken for each other's"),
                    );
                } else {
                    aliases.insert(alias, here.clone());
                }
            }
        }
    }
}

fn task_of<'a>(context: &Context<'a>, stage: &Document, step: &Value) -> Option<&'a Document> {
    let name = text(step, "/task/name");
    match text(step, "/task/kind") {
        "ClusterPromotionTask" => context.find("ClusterPromotionTask", "", name),
        _ => context.find("PromotionTask", &stage.namespace, name),
    }
}

/// A variable of a task without a default needs a value from the promotion or from the reference.
fn inputs(stage: &Document, path: &FieldPath, step: &Value, task: &Document, found: &mut Vec<Diagnostic>) {
    let mut given: Vec<&Value> = Vec::new();
    for list in [items(&stage.object, "/spec/vars"), items(&stage.object, "/spec/promotionTemplate/spec/vars"), items(step, "/vars")] {
        given.extend(list);
    }
    let has_value = |name: &str| given.iter().any(|var| text(var, "/name") == name && !text(var, "/value").is_empty());
    let missing: Vec<(usize, &str)> = items(&task.object, "/spec/vars")
        .iter()
        .enumerate()
        .filter(|(_, var)| text(var, "/value").is_empty())
        .map(|(at, var)| (at, text(var, "/name")))
        .filter(|(_, name)| !has_value(name))
        .collect();
    for (at, name) in missing {
        let mut diagnostic = Diagnostic::error("config/missing-input", format!("the task `{}` needs a value for `{name}`", task.name))
            .at(stage.place(&path.fields("task.name")), format!("`{name}` is missing"))
            .help(format!("add `- {{name: {name}, value: ...}}` to the `vars` of this step"));
        if !task.built_in {
            diagnostic = diagnostic.related(task.place(&FieldPath::root().fields("spec.vars").index(at).field("name")), "required here");
        }
        found.push(diagnostic);
    }
}
