//! Reading `consign.yaml`: the file against the schema of [`Settings`], with the user's line for every mistake.

use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use super::Settings;
use super::yaml::{FieldPath, Node, Options, Segment, parse_documents};
use crate::diagnostic::{Diagnostic, FileId, Place, SourceMap, nearest};

impl Settings {
    /// Reads the text of `consign.yaml`. `env` gives environment variables for `${{ env.NAME }}`; an unset one counts as empty, with a note.
    ///
    /// Gives the settings and what was found; with an error among it the settings are the defaults.
    pub fn parse(path: &str, text: &str, env: &dyn Fn(&str) -> Option<String>, sources: &mut SourceMap) -> (Self, Vec<Diagnostic>) {
        let file = sources.add(path, text);
        let read = parse_documents(text, &Options::default());
        if let Some(error) = read.error {
            let mut diagnostic = Diagnostic::error("settings/yaml", error.message).at(Place { file, span: error.span }, "here");
            diagnostic.help = error.help;
            return (Self::default(), vec![diagnostic]);
        }
        let mut documents = read.documents.into_iter().flatten();
        let Some(node) = documents.next() else { return (Self::default(), Vec::new()) };
        let mut found = Vec::new();
        if let Some(second) = documents.next() {
            found.push(
                Diagnostic::error("settings/yaml", "the settings are one document")
                    .at(Place { file, span: second.locate_key(&FieldPath::root()) }, "a second one")
                    .help("put everything above the `---`"),
            );
        }
        let mut value = node.to_json();
        let schema = Self::json_schema();
        match jsonschema::validator_for(&schema) {
            Ok(validator) => {
                for error in validator.iter_errors(&value) {
                    explain(&error, &schema, &node, file, &mut found);
                }
            }
            Err(error) => found.push(Diagnostic::error("settings/schema", format!("the schema of the settings is broken: {error}"))),
        }
        substitute(&mut value, &FieldPath::root(), env, &node, file, &mut found);
        if found.iter().any(|diagnostic| diagnostic.severity == crate::diagnostic::Severity::Error) {
            return (Self::default(), found);
        }
        match serde_json::from_value(value) {
            Ok(settings) => (settings, found),
            Err(error) => {
                found.push(
                    Diagnostic::error("settings/value", error.to_string())
                        .at(Place { file, span: node.locate_key(&FieldPath::root()) }, "in this file"),
                );
                (Self::default(), found)
            }
        }
    }

    /// The JSON Schema of `consign.yaml`, for editors.
    pub fn json_schema() -> Value {
        let mut schema = schemars::schema_for!(Self).to_value();
        schema["title"] = "consign.yaml".into();
        schema
    }
}

fn explain(error: &jsonschema::ValidationError<'_>, schema: &Value, node: &Node, file: FileId, found: &mut Vec<Diagnostic>) {
    let path = path_of(error.instance_path().as_str(), node);
    let at = Place { file, span: node.locate(&path) };
    let here = schema_at(schema, &path);
    let diagnostic = match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let known: Vec<&str> = here.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            for key in unexpected {
                let place = Place { file, span: node.locate_key(&path.field(key.as_str())) };
                let help = match nearest(key, known.iter().copied()) {
                    Some(known) => format!("did you mean `{known}`?"),
                    None => format!("known here: {}", listed(&known)),
                };
                found.push(Diagnostic::error("settings/unknown-key", format!("`{key}` is not a setting")).at(place, "unknown").help(help));
            }
            return;
        }
        ValidationErrorKind::Required { property } => {
            let property = property.as_str().unwrap_or_default();
            Diagnostic::error("settings/required", format!("`{property}` is missing"))
                .at(Place { file, span: node.locate_key(&path) }, "here")
                .help(format!("add `{property}:`"))
        }
        ValidationErrorKind::Type { .. } => {
            let expected = match here.get("type").and_then(Value::as_str) {
                Some("string") => "text",
                Some("integer" | "number") => "a whole number",
                Some("boolean") => "`true` or `false`",
                Some("array") => "a list",
                _ => "a mapping",
            };
            Diagnostic::error("settings/wrong-type", format!("expected {expected}")).at(at, "wrong type").help("see `consign schema settings`")
        }
        ValidationErrorKind::Enum { .. } | ValidationErrorKind::OneOfNotValid { .. } | ValidationErrorKind::AnyOf { .. } => {
            let known = choices(here);
            let written = node.find(&path).and_then(Node::as_str).unwrap_or_default();
            let help = match nearest(written, known.iter().copied()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known: {}", listed(&known)),
            };
            Diagnostic::error("settings/unknown-value", format!("`{written}` is not possible here")).at(at, "unknown value").help(help)
        }
        _ => Diagnostic::error("settings/value", format!("this value is not possible here: {error}"))
            .at(at, "not accepted")
            .help("see `consign schema settings`"),
    };
    found.push(diagnostic);
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A JSON pointer as a field path: numbers are indices where the document has a list.
fn path_of(pointer: &str, node: &Node) -> FieldPath {
    let mut path = FieldPath::root();
    for part in pointer.split('/').skip(1) {
        let name = part.replace("~1", "/").replace("~0", "~");
        let as_index = name.parse().ok().map(|index| path.index(index)).filter(|path| node.find(path).is_some());
        path = as_index.unwrap_or_else(|| path.field(name));
    }
    path
}

/// The schema of the value a path leads to.
fn schema_at<'s>(schema: &'s Value, path: &FieldPath) -> &'s Value {
    let resolve = |at: &'s Value| match at.get("$ref").and_then(Value::as_str).and_then(|reference| schema.pointer(reference.strip_prefix('#')?)) {
        Some(target) => target,
        // An optional value is a choice between itself and null.
        None => at
            .get("anyOf")
            .and_then(|forms| forms.get(0))
            .and_then(|form| form.get("$ref"))
            .and_then(Value::as_str)
            .and_then(|reference| schema.pointer(reference.strip_prefix('#')?))
            .unwrap_or(at),
    };
    path.0.iter().fold(resolve(schema), |at, segment| {
        let below = match segment {
            Segment::Field(name) => at.pointer("/properties").and_then(|properties| properties.get(name)).or_else(|| at.get("additionalProperties")),
            Segment::Index(_) => at.get("items"),
        };
        below.map_or(&Value::Null, resolve)
    })
}

/// The texts a schema lets choose from.
fn choices(schema: &Value) -> Vec<&str> {
    let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let forms = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    listed.chain(forms.filter_map(|form| form.get("const").and_then(Value::as_str))).collect()
}

/// Fills in `${{ env.NAME }}` where secrets and addresses stand; anywhere else it is an error.
fn substitute(value: &mut Value, path: &FieldPath, env: &dyn Fn(&str) -> Option<String>, node: &Node, file: FileId, found: &mut Vec<Diagnostic>) {
    match value {
        Value::Object(map) => map.iter_mut().for_each(|(key, value)| substitute(value, &path.field(key), env, node, file, found)),
        Value::Array(items) => items.iter_mut().enumerate().for_each(|(at, item)| substitute(item, &path.index(at), env, node, file, found)),
        Value::String(text) if text.contains("${{") => {
            let place = || Place { file, span: node.locate(path) };
            if !takes_environment(path) {
                found.push(
                    Diagnostic::error("settings/expression", "no expression is possible here")
                        .at(place(), "only secrets and addresses take `${{ env.NAME }}`")
                        .help("write the value itself"),
                );
                return;
            }
            match expand(text, env) {
                Ok((expanded, unset)) => {
                    for name in unset {
                        found.push(
                            Diagnostic::note("settings/unset-variable", format!("the environment variable `{name}` is not set"))
                                .at(place(), "counts as empty")
                                .help(format!("set `{name}` where consign runs")),
                        );
                    }
                    *text = expanded;
                }
                Err(expression) => found.push(
                    Diagnostic::error("settings/expression", format!("`{expression}` is not an environment variable"))
                        .at(place(), "here")
                        .help("write `${{ env.NAME }}`; nothing else is known in the settings"),
                ),
            }
        }
        _ => {}
    }
}

/// Whether a setting is a secret or an address.
fn takes_environment(path: &FieldPath) -> bool {
    let names: Vec<&str> = path
        .0
        .iter()
        .filter_map(|segment| match segment {
            Segment::Field(name) => Some(name.as_str()),
            Segment::Index(_) => None,
        })
        .collect();
    matches!(
        names.as_slice(),
        ["credentials", "url" | "username" | "password"]
            | ["secrets", ..]
            | ["git", "config" | "signing", ..]
            | ["git", "author", _]
            | ["ledger", "repository"]
            | ["forges", "url" | "api"]
            | ["registries", "host" | "url" | "mirror"]
    )
}

/// The text with its variables, and which of them are unset. `Err`: an expression that is none.
fn expand<'t>(text: &'t str, env: &dyn Fn(&str) -> Option<String>) -> Result<(String, Vec<&'t str>), &'t str> {
    let (mut out, mut unset, mut rest) = (String::new(), Vec::new(), text);
    while let Some((before, after)) = rest.split_once("${{") {
        out.push_str(before);
        let (expression, tail) = after.split_once("}}").ok_or(after)?;
        let name = expression.trim().strip_prefix("env.").ok_or(expression.trim())?;
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(expression.trim());
        }
        match env(name).filter(|value| !value.is_empty()) {
            Some(value) => out.push_str(&value),
            None => unset.push(name),
        }
        rest = tail;
    }
    out.push_str(rest);
    Ok((out, unset))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(text: &str) -> (Settings, Vec<String>) {
        let mut sources = SourceMap::default();
        let env = |name: &str| (name == "TOKEN").then(|| "hunter2".to_owned());
        let (settings, found) = Settings::parse("consign.yaml", text, &env, &mut sources);
        let lines = found
            .iter()
            .map(|diagnostic| {
                let label = diagnostic.primary.as_ref().unwrap();
                let line = sources.start(&label.place).line;
                format!("{line}: {} {} [{}]", diagnostic.severity, diagnostic.message, diagnostic.help.as_deref().unwrap_or_default())
            })
            .collect();
        (settings, lines)
    }

    #[test]
    fn every_key_is_optional() {
        assert_eq!(parse(""), (Settings::default(), vec![]));
        assert_eq!(parse("# nothing yet\n"), (Settings::default(), vec![]));
    }

    #[test]
    fn the_documented_file_is_read() {
        let (settings, found) = parse(
            r#"
definitions: [.consign, more]
branch: main
ledger: {repository: "", branch: consign/state, root: "", trustedKeys: []}
git:
  author: {name: consign, email: consign@example.com}
  signing: {format: ssh, key: "${{ env.TOKEN }}"}
  config: {"url.http://127.0.0.1:8080/.insteadOf": "https://github.com/"}
  refsPerPush: 500
credentials:
- {type: git, url: "https://github.com/acme/*", username: x, password: "${{ env.TOKEN }}"}
forges:
- {url: "https://git.example.com/*", kind: plain}
- {url: "https://ghe.example.com/*", kind: github, api: "https://ghe.example.com/api/v3"}
registries:
- {host: ghcr.io, mirror: "http://127.0.0.1:5000"}
- {url: "https://charts.example.com/stable", mirror: "http://127.0.0.1:8081"}
tools: {kustomize: kustomize, helm: helm, tofu: tofu}
workspace: lazy
argocd: {mode: none}
queue: latest
onForeignChange: overwrite
writes:
- {project: shop, repositories: ["https://github.com/acme/gitops"], branches: ["env/*"], paths: ["**"]}
verification: {jobs: container}
alertAfter: 1h
parallelism: 8
retention: {promotions: 20, freight: 20}
"#,
        );
        assert_eq!(found, Vec::<String>::new());
        assert_eq!(settings.credentials[0].password.expose(), "hunter2");
        assert_eq!(settings.definitions, [".consign", "more"]);
        assert_eq!(settings.registries[1].url, "https://charts.example.com/stable");
    }

    #[test]
    fn mistakes_are_shown_on_their_lines_all_at_once() {
        let (settings, found) = parse("paralelism: 4\nqueue: lastest\nledger:\n  brnch: x\nparallelism: many\ncredentials:\n- {type: git}\n");
        assert_eq!(settings, Settings::default());
        let mut found = found;
        found.sort();
        assert_eq!(
            found,
            [
                "1: error `paralelism` is not a setting [did you mean `parallelism`?]",
                "2: error `lastest` is not possible here [did you mean `latest`?]",
                "4: error `brnch` is not a setting [did you mean `branch`?]",
                "5: error expected a whole number [see `consign schema settings`]",
                "7: error `url` is missing [add `url:`]",
            ]
        );
    }

    #[test]
    fn variables_stand_only_where_secrets_and_addresses_do() {
        let (settings, found) = parse("credentials:\n- {type: git, url: \"*\", password: \"${{ env.MISSING }}\"}\n");
        assert!(settings.credentials[0].password.is_empty());
        assert_eq!(found, ["2: note the environment variable `MISSING` is not set [set `MISSING` where consign runs]"]);
        let (_, found) = parse("branch: ${{ env.TOKEN }}\n");
        assert_eq!(found, ["1: error no expression is possible here [write the value itself]"]);
        let (_, found) = parse("credentials:\n- {type: git, url: \"${{ secret('x').y }}\"}\n");
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("2: error `secret('x').y` is not an environment variable"), "{found:?}");
    }
}
