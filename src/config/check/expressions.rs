//! Expressions and templates that do not compile.

use serde_json::Value;

use super::Context;
use crate::config::admission::warehouse::field_text;
use crate::config::admission::{items, text};
use crate::config::document::Document;
use crate::config::yaml::FieldPath;
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::expr::{self, ExprError, Site};

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    let mut look = Look { context, found };
    for warehouse in context.of_kind("Warehouse") {
        for (at, subscription) in items(&warehouse.object, "/spec/subscriptions").iter().enumerate() {
            let Some(git) = subscription.get("git") else { continue };
            let site = match field_text(git, "commitSelectionStrategy") {
                "NewestFromBranch" => Site::CommitFilter,
                _ => Site::TagFilter,
            };
            let path = FieldPath::root().fields("spec.subscriptions").index(at).fields("git.expressionFilter");
            look.at(warehouse, site, &path, field_text(git, "expressionFilter"));
        }
        let path = FieldPath::root().fields("spec.freightCreationCriteria.expression");
        look.at(warehouse, Site::FreightCreation, &path, text(&warehouse.object, "/spec/freightCreationCriteria/expression"));
    }
    for document in context.documents.iter().filter(|document| !document.built_in) {
        let site = if document.kind.name == "Stage" { Site::PromotionVar } else { Site::StepVar };
        for list in ["spec.vars", "spec.promotionTemplate.spec.vars"] {
            look.variables(document, site, &FieldPath::root().fields(list));
        }
        let args = FieldPath::root().fields("spec.verification.args");
        for (at, arg) in items(&document.object, &args.pointer()).iter().enumerate() {
            look.at(document, Site::VerificationArgs, &args.index(at).field("value"), text(arg, "/value"));
        }
        for links in ["freightLinks", "stageLinks"] {
            let path = FieldPath::root().field("spec").field(links);
            for (at, link) in items(&document.object, &path.pointer()).iter().enumerate() {
                // The freight or stage is all that a condition sees, by its fields.
                look.at(document, Site::Parse, &path.index(at).field("if"), text(link, "/if"));
            }
        }
    }
    for (document, path, step) in context.steps() {
        look.at(document, Site::If, &path.field("if"), text(step, "/if"));
        look.variables(document, Site::StepVar, &path.field("vars"));
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
    fn variables(&mut self, document: &Document, site: Site, path: &FieldPath) {
        for (at, variable) in items(&document.object, &path.pointer()).iter().enumerate() {
            self.at(document, site, &path.index(at).field("value"), text(variable, "/value"));
        }
    }

    fn templates(&mut self, document: &Document, path: &FieldPath, value: &Value) {
        match value {
            Value::String(text) => self.at(document, Site::Config, path, text),
            Value::Array(items) => items.iter().enumerate().for_each(|(at, item)| self.templates(document, &path.index(at), item)),
            Value::Object(map) => map.iter().for_each(|(key, value)| self.templates(document, &path.field(key), value)),
            _ => {}
        }
    }

    fn at(&mut self, document: &Document, site: Site, path: &FieldPath, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        let Err(error) = expr::check(site, text) else { return };
        let whole = document.place(path);
        // Inside the text only where it stands in the file as it is: quotes and folding move everything.
        let written = self.context.sources.slice(&whole);
        let place = match offset_of(&error, text) {
            Some(offset) if written == text || written.len().checked_sub(1).and_then(|end| written.get(1..end)) == Some(text) => {
                let start = whole.span.start + offset + usize::from(written != text);
                let length = text[offset..].chars().next().map_or(0, char::len_utf8);
                Place { file: whole.file, span: start..start + length }
            }
            _ => whole,
        };
        let (severity, help) = match site {
            Site::Parse => (Severity::Warning, "the link is hidden until its condition compiles"),
            Site::CommitFilter | Site::TagFilter | Site::FreightCreation => {
                (Severity::Error, "write the expression without `${{ }}`; `consign eval --site` tries it out")
            }
            _ => (Severity::Error, "`consign eval` tries it out"),
        };
        let message = format!("the expression does not compile: {}", error.message);
        self.found.push(Diagnostic::new(severity, "config/bad-expression", message).at(place, "here").help(help));
    }
}

/// Where in the text of a field an error is, in bytes: expressions know only their own line.
fn offset_of(error: &ExprError, text: &str) -> Option<usize> {
    let (_, column) = error.position?;
    let line = text.find(error.snippet.as_deref()?)?;
    let within: usize = text[line..].chars().take(column - 1).map(char::len_utf8).sum();
    (line + within < text.len()).then_some(line + within)
}
