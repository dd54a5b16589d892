//! Configurations of the steps on records and of control flow.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::StepConfig;

/// `compose-output`: any object with at least one key.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("minProperties" = 1))]
pub struct ComposeOutputConfig(pub serde_json::Map<String, Value>);

impl StepConfig for ComposeOutputConfig {
    const KIND: &'static str = "compose-output";
}

/// `fail`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FailConfig {
    /// Why.
    #[schemars(length(min = 1))]
    pub message: Option<String>,
}

impl StepConfig for FailConfig {
    const KIND: &'static str = "fail";
}

/// `set-metadata`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetMetadataConfig {
    /// Changes, in order.
    #[schemars(length(min = 1))]
    pub updates: Vec<MetadataUpdate>,
}

/// A change of a record's metadata.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetadataUpdate {
    /// Kind of the record.
    pub kind: MetadataKind,
    /// Its name.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Keys to set; null deletes one.
    #[schemars(extend("minProperties" = 1))]
    pub values: serde_json::Map<String, Value>,
}

/// Records with metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum MetadataKind {
    /// A stage.
    Stage,
    /// A freight.
    Freight,
}

impl StepConfig for SetMetadataConfig {
    const KIND: &'static str = "set-metadata";
}

/// `set-freight-alias`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetFreightAliasConfig {
    /// Name of the freight.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Its new alias.
    #[schemars(length(min = 1))]
    pub alias: String,
}

impl StepConfig for SetFreightAliasConfig {
    const KIND: &'static str = "set-freight-alias";
}
