//! Configurations of the HTTP and OCI steps.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ExpressionOutput, StepConfig, Violation, violation};
use crate::model::GoDuration;

/// A header or query parameter.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NameValue {
    /// Name.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Value.
    #[schemars(length(min = 1))]
    pub value: String,
}

/// `http`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpConfig {
    /// Address.
    #[schemars(length(min = 1))]
    pub url: String,
    /// Method, GET by default.
    #[schemars(regex(pattern = r"^(DELETE|GET|HEAD|PATCH|POST|PUT)\z"))]
    pub method: Option<String>,
    /// Headers to add.
    #[serde(default)]
    pub headers: Vec<NameValue>,
    /// Query parameters to add.
    #[serde(default)]
    pub query_params: Vec<NameValue>,
    /// Body of the request. Either this or `bodyFromFile`.
    #[serde(default)]
    pub body: String,
    /// File with the body.
    #[schemars(length(min = 1))]
    pub body_from_file: Option<String>,
    /// Whether the server's certificate is not verified.
    #[serde(default, rename = "insecureSkipTLSVerify")]
    pub insecure_skip_tls_verify: bool,
    /// Proxy; the environment's by default.
    #[schemars(regex(pattern = r"^https?://.*\z"))]
    pub proxy: Option<String>,
    /// Limit of one request, `10s` by default.
    #[schemars(with = "Option<String>", regex(pattern = r"(?:\d+(ns|us|µs|ms|s|m|h))+"), extend("format" = "go-duration"))]
    pub timeout: Option<GoDuration>,
    /// How often to repeat while neither expression holds, `30s` by default.
    #[schemars(with = "Option<String>", regex(pattern = r"(?:\d+(ns|us|µs|ms|s|m|h))+"), extend("format" = "go-duration"))]
    pub poll_interval: Option<GoDuration>,
    /// How to read the response's body; its header decides by default.
    #[schemars(regex(pattern = r"^(application/json|application/yaml|text/plain)\z"))]
    pub response_content_type: Option<String>,
    /// Expression that tells success.
    #[serde(default)]
    pub success_expression: String,
    /// Expression that tells failure.
    #[serde(default)]
    pub failure_expression: String,
    /// Expression that gives the message of a failure.
    #[serde(default)]
    pub error_expression: String,
    /// What to take from the response.
    #[serde(default)]
    pub outputs: Vec<ExpressionOutput>,
}

impl StepConfig for HttpConfig {
    const KIND: &'static str = "http";

    fn further(&self) -> Vec<Violation> {
        if !self.body.is_empty() && self.body_from_file.is_some() {
            vec![violation("", "only one of `body` and `bodyFromFile` may be set")]
        } else {
            Vec::new()
        }
    }
}

/// `http-download`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpDownloadConfig {
    /// Address.
    #[schemars(length(min = 1))]
    pub url: String,
    /// The file.
    #[schemars(length(min = 1))]
    pub out_path: String,
    /// Whether an existing file may be replaced.
    #[serde(default)]
    pub allow_overwrite: bool,
    /// Headers to add.
    #[serde(default)]
    pub headers: Vec<NameValue>,
    /// Query parameters to add.
    #[serde(default)]
    pub query_params: Vec<NameValue>,
    /// Whether the server's certificate is not verified.
    #[serde(default, rename = "insecureSkipTLSVerify")]
    pub insecure_skip_tls_verify: bool,
    /// Limit, `5m` by default.
    #[schemars(with = "Option<String>", regex(pattern = r"(?:\d+(ns|us|µs|ms|s|m|h))+"), extend("format" = "go-duration"))]
    pub timeout: Option<GoDuration>,
}

impl StepConfig for HttpDownloadConfig {
    const KIND: &'static str = "http-download";
}

/// `oci-download`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OciDownloadConfig {
    /// The artifact, with its tag or digest.
    #[schemars(regex(pattern = r"^(oci://)?[a-zA-Z0-9._-]+(:\d+)?(/[a-zA-Z0-9._-]+)*[@:][a-zA-Z0-9._:-]+\z"))]
    pub image_ref: String,
    /// The file.
    #[schemars(length(min = 1))]
    pub out_path: String,
    /// Whether an existing file may be replaced.
    #[serde(default)]
    pub allow_overwrite: bool,
    /// Media type of the layer to take; the first layer by default.
    #[schemars(length(min = 1))]
    pub media_type: Option<String>,
    /// Whether the server's certificate is not verified.
    #[serde(default, rename = "insecureSkipTLSVerify")]
    pub insecure_skip_tls_verify: bool,
}

impl StepConfig for OciDownloadConfig {
    const KIND: &'static str = "oci-download";
}

/// `oci-push`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OciPushConfig {
    /// What to copy, with its tag or digest.
    #[schemars(regex(pattern = r"^(oci://)?[a-zA-Z0-9._-]+(:\d+)?(/[a-zA-Z0-9._-]+)*[@:][a-zA-Z0-9._:-]+\z"))]
    pub src_ref: String,
    /// Where to, with a tag.
    #[schemars(regex(pattern = r"^(oci://)?[a-zA-Z0-9._-]+(:\d+)?(/[a-zA-Z0-9._-]+)*[:][a-zA-Z0-9._-]+\z"))]
    pub dest_ref: String,
    /// Annotations to add; the prefix `index:` or `manifest:` says to what.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Whether the servers' certificates are not verified.
    #[serde(default, rename = "insecureSkipTLSVerify")]
    pub insecure_skip_tls_verify: bool,
}

impl StepConfig for OciPushConfig {
    const KIND: &'static str = "oci-push";
}
