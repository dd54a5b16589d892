//! Patterns of warehouses: paths, tags. They are compiled at discovery, so a bad one breaks every tick.

use serde_json::Value;

use super::Context;
use crate::config::admission::warehouse::{TYPES, field, field_text};
use crate::config::admission::{go_regex, items};
use crate::config::document::Document;
use crate::config::yaml::FieldPath;
use crate::diagnostic::Diagnostic;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for warehouse in context.of_kind("Warehouse") {
        let path = FieldPath::root().fields("spec.subscriptions");
        for (at, subscription) in items(&warehouse.object, &path.pointer()).iter().enumerate() {
            for kind in TYPES {
                if let Some(body) = subscription.get(kind) {
                    subscription_patterns(warehouse, kind, body, &path.index(at).field(kind), found);
                }
            }
        }
    }
}

fn subscription_patterns(warehouse: &Document, kind: &str, body: &Value, path: &FieldPath, found: &mut Vec<Diagnostic>) {
    let bad = |path: FieldPath, reason: String, help: &str| {
        Diagnostic::error("config/bad-pattern", reason).at(warehouse.place(&path), "does not compile").help(help)
    };
    for name in ["allowTagsRegexes", "ignoreTagsRegexes"] {
        for (at, pattern) in texts(body, name) {
            if let Err(reason) = go_regex(pattern) {
                found.push(bad(path.field(name).index(at), reason, "expressions are RE2: no look-around, no back-references"));
            }
        }
    }
    for name in ["includePaths", "excludePaths"] {
        for (at, pattern) in texts(body, name) {
            let here = path.field(name).index(at);
            match pattern.split_once(':') {
                Some(("glob", glob)) => {
                    if let Err(error) = globset::GlobBuilder::new(glob).literal_separator(true).build() {
                        found.push(bad(
                            here,
                            format!("the glob does not compile: {}", error.kind()),
                            "`*` stays within a folder, `**` does not; close every `[` and `{`",
                        ));
                    }
                }
                Some(("regex" | "regexp", pattern)) => {
                    if let Err(reason) = go_regex(pattern) {
                        found.push(bad(here, reason, "expressions are RE2: no look-around, no back-references"));
                    }
                }
                Some((prefix, rest)) if prefix.chars().all(|c| c.is_ascii_alphabetic()) && !prefix.is_empty() => found.push(
                    Diagnostic::warning("config/pattern-prefix", format!("`{prefix}:` is taken as part of a folder's name"))
                        .at(warehouse.place(&here), "not a prefix")
                        .help(format!("write `glob:{rest}` or `regex:{rest}`; without a prefix it is a file or folder")),
                ),
                _ if pattern.contains(['*', '?']) => found.push(
                    Diagnostic::warning("config/pattern-prefix", format!("`{pattern}` is taken as the name of a file or folder"))
                        .at(warehouse.place(&here), "no pattern without a prefix")
                        .help(format!("write `glob:{pattern}`")),
                ),
                _ => {}
            }
        }
    }
    let strategy = if kind == "git" { field_text(body, "commitSelectionStrategy") } else { field_text(body, "imageSelectionStrategy") };
    let looks_at_tags = kind != "chart" && strategy != "NewestFromBranch" && strategy != "Digest";
    for (name, instead) in [("allowTags", "allowTagsRegexes"), ("ignoreTags", "ignoreTagsRegexes")] {
        let given = field(body, name)
            .is_some_and(|value| !matches!(value, Value::String(text) if text.is_empty()) && value.as_array().is_none_or(|items| !items.is_empty()));
        if given && looks_at_tags {
            found.push(
                Diagnostic::error("config/removed-field", format!("`{name}` was removed from Kargo"))
                    .at(warehouse.key_place(&path.field(name)), "no longer known")
                    .help(format!("write `{instead}:` with a list of regular expressions")),
            );
        }
    }
    let platform = field_text(body, "platform");
    if !platform.is_empty() && (platform.split('/').any(str::is_empty) || platform.split('/').count() > 3) {
        found.push(
            Diagnostic::warning("config/platform", format!("no image is ever for the platform `{platform}`"))
                .at(warehouse.place(&path.field("platform")), "matches nothing")
                .help("write `<os>/<arch>` or `<os>/<arch>/<variant>`, such as `linux/amd64`"),
        );
    }
}

fn texts<'v>(body: &'v Value, name: &str) -> impl Iterator<Item = (usize, &'v str)> {
    field(body, name).and_then(Value::as_array).into_iter().flatten().enumerate().filter_map(|(at, item)| Some((at, item.as_str()?)))
}
