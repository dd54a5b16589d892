//! Verification: analysis templates and what came of a verification.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Metadata, null_is_default};

/// An AnalysisTemplate or ClusterAnalysisTemplate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AnalysisTemplate {
    /// Name and project (none for a cluster template).
    pub metadata: Metadata,
    /// Metrics and arguments, as written: `verify` gives them their types after arguments are substituted.
    pub spec: Value,
}

/// One verification of what a stage holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VerificationInfo {
    /// Its id; unique.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Who asked for it; empty: nobody.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub actor: String,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_time: Option<Timestamp>,
    /// Where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<VerificationPhase>,
    /// What it says.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The run behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis_run: Option<AnalysisRunReference>,
    /// The run's own state between ticks (`verify`); ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Value>,
}

/// The analysis run of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AnalysisRunReference {
    /// Project.
    pub namespace: String,
    /// `<stage>.<ulid>.<first 7 of the collection id>`.
    pub name: String,
    /// Its phase.
    pub phase: String,
    /// Labels and annotations given by the stage.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub labels: BTreeMap<String, String>,
}

/// Where a verification stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VerificationPhase {
    /// Not begun.
    Pending,
    /// Measuring.
    Running,
    /// Passed.
    Successful,
    /// A metric failed.
    Failed,
    /// It could not be done.
    Error,
    /// Ended by a person.
    Aborted,
    /// Neither passed nor failed.
    Inconclusive,
}

impl VerificationPhase {
    /// Whether nothing more can happen.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}
