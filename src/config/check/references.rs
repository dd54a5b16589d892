//! Names that lead nowhere: warehouses, stages, tasks, analysis templates.

use serde_json::Value;

use super::{Context, listed, suggest};
use crate::config::admission::{items, text};
use crate::config::document::Document;
use crate::config::yaml::FieldPath;
use crate::diagnostic::Diagnostic;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for stage in context.of_kind("Stage") {
        let requests = FieldPath::root().fields("spec.requestedFreight");
        for (at, request) in items(&stage.object, &requests.pointer()).iter().enumerate() {
            let path = requests.index(at);
            let warehouse = text(request, "/origin/name");
            let known = context.names("Warehouse", &stage.namespace);
            if !known.contains(&warehouse) {
                found.push(unknown(stage, &path.fields("origin.name"), "config/unknown-warehouse", "warehouse", warehouse, &known));
            }
            let known = context.names("Stage", &stage.namespace);
            for (at, upstream) in items(request, "/sources/stages").iter().filter_map(Value::as_str).enumerate() {
                if !known.contains(&upstream) {
                    found.push(unknown(stage, &path.fields("sources.stages").index(at), "config/unknown-stage", "stage", upstream, &known));
                }
            }
        }
        let templates = FieldPath::root().fields("spec.verification.analysisTemplates");
        for (at, template) in items(&stage.object, &templates.pointer()).iter().enumerate() {
            let (kind, namespace) = match text(template, "/kind") {
                "ClusterAnalysisTemplate" => ("ClusterAnalysisTemplate", ""),
                _ => ("AnalysisTemplate", stage.namespace.as_str()),
            };
            let known = context.names(kind, namespace);
            let name = text(template, "/name");
            if !known.contains(&name) {
                found.push(unknown(stage, &templates.index(at).field("name"), "config/unknown-template", kind, name, &known));
            }
        }
    }
    for (document, path, step) in context.steps() {
        if step.get("task").is_none() {
            continue;
        }
        let name = text(step, "/task/name");
        let (kind, namespace) = match text(step, "/task/kind") {
            "ClusterPromotionTask" => ("ClusterPromotionTask", ""),
            _ => ("PromotionTask", document.namespace.as_str()),
        };
        let known = context.names(kind, namespace);
        if known.contains(&name) {
            continue;
        }
        let mut diagnostic = unknown(document, &path.fields("task.name"), "config/unknown-task", kind, name, &known);
        if kind == "PromotionTask" && context.names("ClusterPromotionTask", "").contains(&name) {
            diagnostic = diagnostic.help(format!("`{name}` is a ClusterPromotionTask; add `kind: ClusterPromotionTask` below `task`"));
        }
        found.push(diagnostic);
    }
}

fn unknown(document: &Document, path: &FieldPath, code: &'static str, what: &str, name: &str, known: &[&str]) -> Diagnostic {
    let help =
        suggest(name, known, || if known.is_empty() { format!("no {what} is defined in this project") } else { format!("known: {}", listed(known)) });
    Diagnostic::warning(code, format!("there is no {what} `{name}`")).at(document.place(path), format!("unknown {}", what.to_lowercase())).help(help)
}
