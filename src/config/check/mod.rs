//! Checks beyond admission, one file per rule. Each looks at admitted definitions and says what will not work, or hardly as meant.
//!
//! An error is what fails whenever the definition is used (a pattern, expression, rule or selector that does not compile); the rest warns.

mod cycles;
mod expressions;
mod inputs;
mod moved;
mod patterns;
mod policies;
mod references;
mod scalars;
mod secrets;
mod self_feeding;
mod sources;
mod steps;
mod unproven_chain;
mod windows;

use serde_json::Value;

use super::Knowledge;
use super::admission::items;
use super::document::Document;
use super::yaml::FieldPath;
use crate::diagnostic::{Diagnostic, SourceMap};
use crate::model::Project;

/// What checks look at.
pub(super) struct Context<'a> {
    /// Admitted definitions, built-in tasks included.
    pub(super) documents: Vec<&'a Document>,
    /// The same, resolved.
    pub(super) projects: &'a [Project],
    /// What other rooms know.
    pub(super) knowledge: &'a Knowledge<'a>,
    /// The texts.
    pub(super) sources: &'a SourceMap,
}

/// Runs every check.
pub(super) fn all(context: &Context<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for check in [
        references::check,
        cycles::check,
        inputs::check,
        patterns::check,
        sources::check,
        policies::check,
        windows::check,
        steps::check,
        expressions::check,
        scalars::check,
        secrets::check,
        moved::check,
        self_feeding::check,
        unproven_chain::check,
    ] {
        check(context, &mut found);
    }
    found
}

impl<'a> Context<'a> {
    /// Definitions of the user's of a kind.
    fn of_kind(&self, kind: &str) -> impl Iterator<Item = &'a Document> {
        self.documents.iter().copied().filter(move |document| document.kind.name == kind && !document.built_in)
    }

    /// The definition of a name.
    fn find(&self, kind: &str, namespace: &str, name: &str) -> Option<&'a Document> {
        self.documents.iter().copied().find(|document| document.kind.name == kind && document.namespace == namespace && document.name == name)
    }

    /// Names of a kind in a project.
    fn names(&self, kind: &str, namespace: &str) -> Vec<&'a str> {
        self.documents
            .iter()
            .filter(|document| document.kind.name == kind && document.namespace == namespace)
            .map(|document| document.name.as_str())
            .collect()
    }

    /// Every step written by the user: its definition, its path, itself.
    fn steps(&self) -> impl Iterator<Item = (&'a Document, FieldPath, &'a Value)> {
        self.documents.iter().copied().filter(|document| !document.built_in).flat_map(|document| {
            let path = steps_path(document);
            items(&document.object, &path.pointer()).iter().enumerate().map(move |(at, step)| (document, path.index(at), step))
        })
    }
}

/// Where a definition keeps its steps.
fn steps_path(document: &Document) -> FieldPath {
    FieldPath::root().fields(if document.kind.name == "Stage" { "spec.promotionTemplate.spec.steps" } else { "spec.steps" })
}

/// "did you mean", or what is known.
fn suggest(written: &str, known: &[&str], otherwise: impl FnOnce() -> String) -> String {
    match crate::diagnostic::nearest(written, known.iter().copied()) {
        Some(known) => format!("did you mean `{known}`?"),
        None => otherwise(),
    }
}

/// A list of names in backticks.
fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
