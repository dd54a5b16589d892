//! The quoting helpers, and versions.

use std::sync::Arc;

use super::semver::{Version, difference};
use super::{Budget, Scope, Value, text_argument};
use crate::expr::format::{Style, go_quoted, json_text};
use crate::expr::value::Quoted;

fn quoted(literal: String, exact: String, budget: &Budget) -> Result<Value, String> {
    budget.text(literal.len() + exact.len())?;
    Ok(Value::Quoted(Arc::new(Quoted { literal: literal.into(), exact: exact.into() })))
}

/// `quote(v)`: the text itself, other values as JSON, kept as text.
pub(super) fn quote(arguments: &[Value], _: &Scope<'_>, budget: &Budget) -> Result<Value, String> {
    match &arguments[0] {
        Value::Str(text) => quoted(go_quoted(text), text.to_string(), budget),
        Value::Quoted(inner) => {
            // quoted twice: the inner quotes and their escapes are meant to be seen
            let literal = go_quoted(&inner.literal);
            let exact = literal[1..literal.len() - 1].to_owned();
            quoted(literal, exact, budget)
        }
        other => {
            let json = json_text(other, Style::default())?;
            quoted(format!("\"{json}\""), json, budget)
        }
    }
}

/// `unsafeQuote(v)`: JSON as text.
pub(super) fn unsafe_quote(arguments: &[Value], _: &Scope<'_>, budget: &Budget) -> Result<Value, String> {
    let json = json_text(&arguments[0], Style::default())?;
    quoted(format!("\"{json}\""), json, budget)
}

/// `asYAML(v)`.
pub(super) fn as_yaml(arguments: &[Value], _: &Scope<'_>, budget: &Budget) -> Result<Value, String> {
    let yaml = crate::expr::yaml::write(&arguments[0])?;
    quoted(format!("\"{yaml}\""), yaml, budget)
}

/// `asJSON(v)`: indented, with a newline at its end.
pub(super) fn as_json(arguments: &[Value], _: &Scope<'_>, budget: &Budget) -> Result<Value, String> {
    let json = json_text(&arguments[0], Style { indented: true, html: true })? + "\n";
    quoted(format!("\"{json}\""), json, budget)
}

/// `semverDiff(a, b)`.
pub(super) fn semver_diff(arguments: &[Value], _: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    Ok(difference(text_argument("semverDiff", arguments, 0)?, text_argument("semverDiff", arguments, 1)?).into())
}

/// `semverParse(s)`.
pub(super) fn semver_parse(arguments: &[Value], _: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    Version::parse(text_argument("semverParse", arguments, 0)?).map(|version| Value::Version(Arc::new(version)))
}
