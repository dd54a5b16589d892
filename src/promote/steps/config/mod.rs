//! Configurations of the step kinds: a type each, from which its JSON Schema is made, and the one check that a configuration goes through.
//!
//! The catalogue knows every kind that can be written, runnable here or not, so that definitions can be checked before anything runs. What can
//! be run stands in the [registry](super::Registry).

mod argocd;
mod files;
mod git;
mod network;
mod render;
mod state;
mod structured;
mod validate;

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use schemars::JsonSchema;
use schemars::transform::{RecursiveTransform, Transform};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::diagnostic::{Failure, FailureKind};
use crate::promote::step::Violation;

pub use argocd::*;
pub use files::*;
pub use git::*;
pub use network::*;
pub use render::*;
pub use state::*;
pub use structured::*;
pub use validate::Checker;

/// The configuration of a step kind.
pub trait StepConfig: DeserializeOwned + JsonSchema {
    /// The kind, as in `uses`.
    const KIND: &'static str;

    /// What a schema cannot say, such as fields that exclude each other. The schema already holds.
    fn further(&self) -> Vec<Violation> {
        Vec::new()
    }
}

/// A kind of the catalogue.
struct Entry {
    schema: fn() -> Value,
    further: fn(&Value) -> Vec<Violation>,
    checker: OnceLock<Checker>,
}

fn entry<C: StepConfig>() -> (&'static str, Entry) {
    (C::KIND, Entry { schema: schema::<C>, further: further::<C>, checker: OnceLock::new() })
}

static CATALOGUE: LazyLock<BTreeMap<&'static str, Entry>> = LazyLock::new(|| {
    BTreeMap::from([
        entry::<ArgocdUpdateConfig>(),
        entry::<ArgocdWaitConfig>(),
        entry::<ComposeOutputConfig>(),
        entry::<CopyConfig>(),
        entry::<DeleteConfig>(),
        entry::<FailConfig>(),
        entry::<FileWriteConfig>(),
        entry::<GitClearConfig>(),
        entry::<GitCloneConfig>(),
        entry::<GitCommitConfig>(),
        entry::<GitMergePrConfig>(),
        entry::<GitOpenPrConfig>(),
        entry::<GitPushConfig>(),
        entry::<GitTagConfig>(),
        entry::<GitWaitForPrConfig>(),
        entry::<GithubPushConfig>(),
        entry::<HelmTemplateConfig>(),
        entry::<HelmUpdateChartConfig>(),
        entry::<HttpConfig>(),
        entry::<HttpDownloadConfig>(),
        entry::<JsonParseConfig>(),
        entry::<JsonUpdateConfig>(),
        entry::<KustomizeBuildConfig>(),
        entry::<KustomizeSetImageConfig>(),
        entry::<OciDownloadConfig>(),
        entry::<OciPushConfig>(),
        entry::<SetFreightAliasConfig>(),
        entry::<SetMetadataConfig>(),
        entry::<TarConfig>(),
        entry::<TemplateConfig>(),
        entry::<TomlParseConfig>(),
        entry::<TomlUpdateConfig>(),
        entry::<UntarConfig>(),
        entry::<YamlMergeConfig>(),
        entry::<YamlParseConfig>(),
        entry::<YamlUpdateConfig>(),
    ])
});

/// Every kind of the catalogue, sorted.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    CATALOGUE.keys().copied()
}

/// The JSON Schema of a kind; None: not in the catalogue.
pub fn schema_of(kind: &str) -> Option<Value> {
    CATALOGUE.get(kind).map(|entry| (entry.schema)())
}

/// Checks an evaluated configuration. Empty: it is valid. None: the catalogue does not know the kind.
pub fn check(kind: &str, config: &Value) -> Option<Vec<Violation>> {
    let entry = CATALOGUE.get(kind)?;
    let checker = entry.checker.get_or_init(|| Checker::new(&(entry.schema)()).expect("schemas of the catalogue compile; a test compiles all"));
    let violations = checker.check(config);
    // What the schema cannot say presumes that it holds.
    Some(if violations.is_empty() { (entry.further)(config) } else { violations })
}

/// The JSON Schema of a configuration's type.
pub fn schema<C: JsonSchema>() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<C>();
    RecursiveTransform(without_null).transform(&mut schema);
    schema.to_value()
}

/// An optional field may be left out, but an explicit `null` is a mistake (measured: Kargo's schemas refuse it for every field). Also makes
/// enumerations plain lists.
fn without_null(schema: &mut schemars::Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|one| one != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|one| !one.is_null());
    }
    if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|one| one.get("type").is_none_or(|kind| kind != "null"));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            for (key, value) in only {
                object.entry(key).or_insert(value);
            }
        }
    }
    // Alternatives that are only documented words: a plain list gives the better message.
    let words =
        object.get("oneOf").and_then(Value::as_array).and_then(|all| all.iter().map(|one| one.get("const").cloned()).collect::<Option<Vec<_>>>());
    if let Some(words) = words {
        object.remove("oneOf");
        object.insert("type".into(), "string".into());
        object.insert("enum".into(), words.into());
    }
    if object.get("default").is_some_and(|default| default.is_null() || *default == "" || default.as_array().is_some_and(Vec::is_empty)) {
        object.remove("default");
    }
}

fn further<C: StepConfig>(config: &Value) -> Vec<Violation> {
    match serde_json::from_value::<C>(config.clone()) {
        Ok(config) => config.further(),
        Err(error) => vec![Violation { path: String::new(), message: error.to_string() }],
    }
}

/// Reads a configuration that the step loop has checked.
///
/// # Errors
/// Internal: it was not checked, for checking reads it too.
pub fn read<C: StepConfig>(config: &Value) -> Result<C, Failure> {
    serde_json::from_value(config.clone())
        .map_err(|error| Failure::new(FailureKind::Internal, format!("the configuration of `{}` ran unchecked", C::KIND)).caused_by(error))
}

/// The message of an invalid configuration: a line for each violation.
pub fn invalid(kind: &str, violations: &[Violation]) -> String {
    let lines: Vec<String> = violations
        .iter()
        .map(|violation| if violation.path.is_empty() { violation.message.clone() } else { format!("{}: {}", violation.path, violation.message) })
        .collect();
    format!("invalid {kind} config: {}", lines.join("\n"))
}

fn violation(path: impl Into<String>, message: impl Into<String>) -> Violation {
    Violation { path: path.into(), message: message.into() }
}

/// Reads an integer that may be written as a whole float (`1.0`), as JSON Schema allows.
fn whole<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64>,
{
    use serde::de::Error;
    let number = serde_json::Number::deserialize(deserializer)?;
    let whole = number.as_i64().or_else(|| {
        let float = number.as_f64()?;
        // 2^53: above it a float no longer says which integer was meant.
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 53 bits")]
        (float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0).then_some(float as i64)
    });
    whole.and_then(|whole| T::try_from(whole).ok()).ok_or_else(|| D::Error::custom(format!("`{number}` is out of range")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_schema_of_the_catalogue_compiles_and_accepts_no_null() {
        for kind in kinds() {
            let schema = schema_of(kind).unwrap();
            Checker::new(&schema).unwrap_or_else(|error| panic!("{kind}: {error}"));
            assert!(!schema.to_string().contains("\"null\""), "{kind}: {schema}");
            assert_eq!(schema["type"], "object", "{kind}");
        }
    }

    #[test]
    fn a_violation_says_where_and_what_to_write() {
        let config = serde_json::json!({"path": 3, "updatess": [], "updates": [{"key": "", "value": null}, {"value": 1}, {"key": "a"}]});
        let mut found: Vec<String> =
            check("yaml-update", &config).unwrap().into_iter().map(|violation| format!("{}: {}", violation.path, violation.message)).collect();
        found.sort();
        insta::assert_snapshot!(found.join("\n"), @r"
        : unknown field `updatess`
        path: must be a string, not a number; write `${{ quote(...) }}` or quote it
        updates[0].key: must not be empty
        updates[1]: `key` is required
        updates[2]: `value` is required
        ");
    }
}
