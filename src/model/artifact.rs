//! Artifacts: exact revisions of what a Warehouse watches.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A commit of a Git repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GitCommit {
    /// Repository URL as the subscription spells it.
    #[serde(rename = "repoURL", skip_serializing_if = "String::is_empty")]
    pub repo_url: String,
    /// Full commit id in hex.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Branch, if the subscription names one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub branch: String,
    /// Tag, for the tag strategies.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tag: String,
    /// First paragraph of the commit message, cut to 80 bytes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// `Name <email>`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// `Name <email>`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub committer: String,
    /// Name of the subscription, if it has one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subscription_name: String,
}

/// A container image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Image {
    /// Repository without scheme and tag, as the subscription spells it.
    #[serde(rename = "repoURL", skip_serializing_if = "String::is_empty")]
    pub repo_url: String,
    /// Tag it was found under.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tag: String,
    /// Digest of the index or manifest, `sha256:<hex>`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// Annotations of index, descriptor and manifest; not part of the identity.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "super::null_is_default")]
    pub annotations: BTreeMap<String, String>,
    /// Name of the subscription, if it has one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subscription_name: String,
}

/// A Helm chart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Chart {
    /// Repository URL, `http(s)://` (classic) or `oci://`.
    #[serde(rename = "repoURL", skip_serializing_if = "String::is_empty")]
    pub repo_url: String,
    /// Chart name; empty for OCI.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Chart version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Name of the subscription, if it has one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subscription_name: String,
}

/// Any other artifact, found by a generic subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ArtifactReference {
    /// Type key of the subscription.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub artifact_type: String,
    /// Name of the subscription.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subscription_name: String,
    /// Version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Whatever the source says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Value>,
}
