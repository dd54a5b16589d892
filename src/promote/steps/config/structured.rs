//! Configurations of the steps that read and edit YAML, JSON and TOML, and of `template`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::StepConfig;

/// A key to set.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyUpdate {
    /// Path of the key, dotted.
    #[schemars(length(min = 1))]
    pub key: String,
    /// Its new value.
    #[serde(deserialize_with = "present")]
    #[schemars(required)]
    pub value: Value,
}

// serde takes an absent `Value` for null, which here would hide a forgotten field.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Value::deserialize(deserializer)
}

/// `yaml-update`, `json-update`, `toml-update`: the same fields.
macro_rules! update_config {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name {
            /// The file.
            #[schemars(length(min = 1))]
            pub path: String,
            /// What to set in it.
            #[schemars(length(min = 1))]
            pub updates: Vec<KeyUpdate>,
        }

        impl StepConfig for $name {
            const KIND: &'static str = $kind;
        }
    };
}

update_config!(
    /// `yaml-update`.
    YamlUpdateConfig,
    "yaml-update"
);
update_config!(
    /// `json-update`.
    JsonUpdateConfig,
    "json-update"
);
update_config!(
    /// `toml-update`.
    TomlUpdateConfig,
    "toml-update"
);

/// An output taken from a document or a response.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpressionOutput {
    /// Key of the output.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Expression without delimiters that gives its value.
    #[schemars(length(min = 1))]
    pub from_expression: String,
}

/// `yaml-parse`, `json-parse`, `toml-parse`: the same fields.
macro_rules! parse_config {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name {
            /// The file.
            #[schemars(length(min = 1))]
            pub path: String,
            /// What to take from it.
            #[schemars(length(min = 1))]
            pub outputs: Vec<ExpressionOutput>,
        }

        impl StepConfig for $name {
            const KIND: &'static str = $kind;
        }
    };
}

parse_config!(
    /// `yaml-parse`.
    YamlParseConfig,
    "yaml-parse"
);
parse_config!(
    /// `json-parse`.
    JsonParseConfig,
    "json-parse"
);
parse_config!(
    /// `toml-parse`.
    TomlParseConfig,
    "toml-parse"
);

/// `yaml-merge`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct YamlMergeConfig {
    /// The files, merged from first to last.
    #[schemars(length(min = 1))]
    pub in_files: Vec<String>,
    /// Where the result is written.
    #[schemars(length(min = 1))]
    pub out_file: String,
    /// Whether a file that does not exist is left out rather than an error.
    #[serde(default)]
    pub ignore_missing_files: bool,
}

impl StepConfig for YamlMergeConfig {
    const KIND: &'static str = "yaml-merge";
}

/// `template`: renders a file or a folder. Ours.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateConfig {
    /// File or folder with templates.
    #[schemars(length(min = 1))]
    pub path: String,
    /// File or folder to write.
    #[schemars(length(min = 1))]
    pub out_path: String,
    /// Template language; by default by a file's ending: `.j2` or `.hbs`, other files are copied.
    pub engine: Option<TemplateEngine>,
    /// Values the templates see.
    #[serde(default)]
    pub values: serde_json::Map<String, Value>,
    /// YAML files with values, later ones override earlier ones, `values` overrides them all.
    #[serde(default)]
    #[schemars(inner(length(min = 1)))]
    pub values_files: Vec<String>,
}

/// Languages of `template`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum TemplateEngine {
    /// Jinja, by minijinja.
    Minijinja,
    /// Handlebars.
    Handlebars,
}

impl StepConfig for TemplateConfig {
    const KIND: &'static str = "template";
}
