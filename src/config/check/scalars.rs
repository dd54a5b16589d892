//! Values that YAML 1.1 reads otherwise than most people write them: `on`, `0755`, `1.10`, a commit id that is a number.
//!
//! Where text is required, admission refuses them. Here it is about places that take anything: the configuration of steps, parameters.

use super::Context;
use crate::config::document::Document;
use crate::config::yaml::{Content, Entry, FieldPath, Node};
use crate::diagnostic::{Diagnostic, Place};

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for (document, path, _) in context.steps() {
        if let Some(config) = document.node.find(&path.field("config")) {
            walk(context, document, config, found);
        }
    }
    for target in context.of_kind("Target") {
        if let Some(params) = target.node.find(&FieldPath::root().fields("spec.params")) {
            walk(context, target, params, found);
        }
    }
}

fn walk(context: &Context<'_>, document: &Document, node: &Node, found: &mut Vec<Diagnostic>) {
    match &node.content {
        Content::Mapping(entries) => {
            for entry in entries {
                key(context, document, entry, found);
                walk(context, document, &entry.value, found);
            }
        }
        Content::List(items) => items.iter().for_each(|item| walk(context, document, item, found)),
        Content::Bool(value) if node.bare => {
            let place = Place { file: document.file, span: node.span.clone() };
            let written = context.sources.slice(&place);
            if !matches!(written, "true" | "false" | "True" | "False" | "TRUE" | "FALSE") {
                warn(
                    found,
                    place,
                    written,
                    &format!("the boolean `{value}`"),
                    &format!("write `{value}`, or quote it if the word is meant: `\"{written}\"`"),
                );
            }
        }
        Content::Number(number) if node.bare => {
            let place = Place { file: document.file, span: node.span.clone() };
            let written = context.sources.slice(&place);
            let Some(what) = surprise(written) else { return };
            warn(found, place, written, &format!("the number {number}{what}"), &format!("quote it: `\"{written}\"`, or write `{number}`"));
        }
        _ => {}
    }
}

/// What a number is that hardly was meant as one; None: an ordinary number.
fn surprise(written: &str) -> Option<&'static str> {
    let digits = written.trim_start_matches(['-', '+']);
    if digits.len() >= 7 && digits.contains(['e', 'E']) && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some("; a commit id that reads as a number");
    }
    if digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit() {
        return Some(", since a leading zero means octal");
    }
    if digits.contains('_') {
        return Some(", since `_` is skipped");
    }
    if digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some("; a commit id that reads as a number");
    }
    if digits.split_once('.').is_some_and(|(_, fraction)| fraction.ends_with('0') && fraction.len() > 1 || fraction == "0") {
        return Some("; the zero at its end is lost");
    }
    None
}

fn key(context: &Context<'_>, document: &Document, entry: &Entry, found: &mut Vec<Diagnostic>) {
    let place = Place { file: document.file, span: entry.key_span.clone() };
    let written = context.sources.slice(&place);
    if matches!(entry.key.as_str(), "true" | "false") && !written.eq_ignore_ascii_case(&entry.key) && !written.starts_with(['"', '\'']) {
        warn(found, place, written, &format!("the key `{}`", entry.key), &format!("quote it: `\"{written}\":`"));
    }
}

fn warn(found: &mut Vec<Diagnostic>, place: Place, written: &str, read_as: &str, help: &str) {
    found.push(Diagnostic::warning("config/scalar", format!("`{written}` is read as {read_as}")).at(place, "not the text it looks like").help(help));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_were_hardly_meant_as_such_are_found() {
        for written in ["0755", "1_000", "12345e6", "1.10", "2.0", &"1".repeat(40)] {
            assert!(surprise(written).is_some(), "{written}");
        }
        for written in ["0", "3", "-1", "1.5", "8080", "0x1F", "1e3", "0.5"] {
            assert_eq!(surprise(written), None, "{written}");
        }
    }
}
