//! Expressions and templates that do not compile.

use serde_json::Value;

use super::Context;
use crate::config::ExpressionSite;
use crate::config::admission::warehouse::field_text;
use crate::config::admission::{items, text};
use crate::config::document::Document;
use crate::config::yaml::FieldPath;
use crate::diagnostic::{Diagnostic, Place};

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    let mut look = Look { context, found };
    for warehouse in context.of_kind("Warehouse") {
        for (at, subscription) in items(&warehouse.object, "/spec/subscriptions").iter().enumerate() {
            let Some(git) = subscription.get("git") else { continue };
            let site = match field_text(git, "commitSelectionStrategy") {
                "NewestFromBranch" => ExpressionSite::CommitFilter,
                _ => ExpressionSite::TagFilter,
            };
            let path = FieldPath::root().fields("spec.subscriptions").index(at).fields("git.expressionFilter");
            look.at(warehouse, site, &path, field_text(git, "expressionFilter"));
        }
        let path = FieldPath::root().fields("spec.freightCreationCriteria.expression");
        look.at(warehouse, ExpressionSite::FreightCreation, &path, text(&warehouse.object, "/spec/freightCreationCriteria/expression"));
    }
    for document in context.documents.iter().filter(|document| !document.built_in) {
        for list in ["spec.vars", "spec.promotionTemplate.spec.vars"] {
            look.variables(document, &FieldPath::root().fields(list));
        }
        let args = FieldPath::root().fields("spec.verification.args");
        for (at, arg) in items(&document.object, &args.pointer()).iter().enumerate() {
            look.at(document, ExpressionSite::VerificationArgument, &args.index(at).field("value"), text(arg, "/value"));
        }
        for links in ["freightLinks", "stageLinks"] {
            let path = FieldPath::root().field("spec").field(links);
            for (at, link) in items(&document.object, &path.pointer()).iter().enumerate() {
                look.at(document, ExpressionSite::LinkCondition, &path.index(at).field("if"), text(link, "/if"));
            }
        }
    }
    for (document, path, step) in context.steps() {
        look.at(document, ExpressionSite::StepIf, &path.field("if"), text(step, "/if"));
        look.variables(document, &path.field("vars"));
        if let Some(config) = step.get("config") {
            look.templates(document, &path.field("config"), config);
        }
    }
}

struct Look<'a, 'c> {
    context: &'a Context<'c>,
    found: &'a mut Vec<Diagnostic>,
}

impl Look<'_, '_> {
    fn variables(&mut self, document: &Document, path: &FieldPath) {
        for (at, variable) in items(&document.object, &path.pointer()).iter().enumerate() {
            self.at(document, ExpressionSite::Variable, &path.index(at).field("value"), text(variable, "/value"));
        }
    }

    fn templates(&mut self, document: &Document, path: &FieldPath, value: &Value) {
        match value {
            Value::String(text) => self.at(document, ExpressionSite::StepConfig, path, text),
            Value::Array(items) => items.iter().enumerate().for_each(|(at, item)| self.templates(document, &path.index(at), item)),
            Value::Object(map) => map.iter().for_each(|(key, value)| self.templates(document, &path.field(key), value)),
            _ => {}
        }
    }

    fn at(&mut self, document: &Document, site: ExpressionSite, path: &FieldPath, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        let Err(error) = (self.context.knowledge.expression)(site, text) else { return };
        let whole = document.place(path);
        // Inside the text only where it stands in the file as it is: quotes and folding move everything.
        let place = match error.offset {
            Some(offset) if self.context.sources.slice(&whole) == text && text.is_char_boundary(offset) => {
                let start = whole.span.start + offset;
                let length = text[offset..].chars().next().map_or(0, char::len_utf8);
                Place { file: whole.file, span: start..start + length }
            }
            _ => whole,
        };
        let (severity, help) = match site {
            ExpressionSite::LinkCondition => {
                (Diagnostic::warning as fn(&'static str, String) -> Diagnostic, "the link is hidden until its condition compiles")
            }
            ExpressionSite::CommitFilter | ExpressionSite::TagFilter | ExpressionSite::FreightCreation => (
                Diagnostic::error as fn(&'static str, String) -> Diagnostic,
                "write the expression without `${{ }}`; try it with `consign eval --site`",
            ),
            _ => (Diagnostic::error as fn(&'static str, String) -> Diagnostic, "try it with `consign eval`"),
        };
        self.found
            .push(severity("config/bad-expression", format!("the expression does not compile: {}", error.message)).at(place, "here").help(help));
    }
}
