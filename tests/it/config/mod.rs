//! Definitions in, diagnostics out.

mod built_in_tasks;
mod checks;
mod documented_shapes;
mod rendering;
mod validate;

use consign::config::{Knowledge, LoadOptions, Loaded, SourceFile, load};

/// Loads one file.
fn load_text(text: &str) -> Loaded {
    load_files(&[("project.yaml", text)])
}

/// Loads files by name and text, with what other rooms know as far as the tests need it.
fn load_files(files: &[(&str, &str)]) -> Loaded {
    let files: Vec<SourceFile> = files.iter().map(|(path, text)| SourceFile { path: (*path).to_owned(), bytes: text.as_bytes().to_vec() }).collect();
    let step_kinds: Vec<String> = ["git-clone", "git-commit", "git-push", "yaml-update", "fail"].map(str::to_owned).to_vec();
    let knowledge = Knowledge {
        step_kinds: &step_kinds,
        step_schema: &|kind| {
            (kind == "yaml-update").then(|| {
                serde_json::json!({
                    "type": "object",
                    "required": ["path", "updates"],
                    "additionalProperties": false,
                    "properties": {
                        "path": {"type": "string"},
                        "updates": {"type": "array", "items": {"$ref": "#/$defs/update"}},
                    },
                    "$defs": {"update": {"type": "object", "required": ["key", "value"], "additionalProperties": false,
                        "properties": {"key": {"type": "string"}, "value": {}}}},
                })
            })
        },
        ..consign::tick::knowledge::knowledge(false)
    };
    load(&files, &LoadOptions { knowledge, ..LoadOptions::default() })
}

/// One line for each diagnostic: place, severity, code, label, message, help.
fn lines(loaded: &Loaded) -> Vec<String> {
    loaded
        .diagnostics
        .iter()
        .map(|diagnostic| {
            let place = diagnostic.primary.as_ref().map_or_else(String::new, |label| loaded.sources.describe(&label.place));
            format!("{place} {} {}: {}", diagnostic.severity, diagnostic.code, diagnostic.message)
        })
        .collect()
}

/// The text under the primary label of the first diagnostic with this code.
fn underlined<'l>(loaded: &'l Loaded, code: &str) -> &'l str {
    let diagnostic =
        loaded.diagnostics.iter().find(|diagnostic| diagnostic.code == code).unwrap_or_else(|| panic!("no {code} in {:#?}", lines(loaded)));
    loaded.sources.slice(&diagnostic.primary.as_ref().unwrap().place)
}

/// The help of the first diagnostic with this code.
fn help<'l>(loaded: &'l Loaded, code: &str) -> &'l str {
    loaded.diagnostics.iter().find(|diagnostic| diagnostic.code == code).and_then(|diagnostic| diagnostic.help.as_deref()).unwrap_or_default()
}

/// The codes found, in order.
fn codes(loaded: &Loaded) -> Vec<&'static str> {
    loaded.diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
}
