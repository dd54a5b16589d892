//! An analysis run: what is measured, and what was measured so far. Kept in the stage's record between ticks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::{Metadata, null_is_default};

/// An analysis run, in Argo Rollouts' shape.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AnalysisRun {
    /// Name, project, labels.
    pub metadata: Metadata,
    /// What is measured.
    pub spec: RunSpec,
    /// What was measured.
    pub status: RunStatus,
}

/// `spec` of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RunSpec {
    /// Metrics of all templates, arguments not yet substituted.
    #[serde(deserialize_with = "null_is_default")]
    pub metrics: Vec<Metric>,
    /// Arguments, merged.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub args: Vec<Argument>,
    /// Metrics whose outcome does not count, by pattern.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub dry_run: Vec<DryRun>,
    /// How many measurements are kept, by pattern.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub measurement_retention: Vec<MeasurementRetention>,
    /// Set when a person ends the run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub terminate: bool,
}

/// A metric of an analysis template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metric {
    /// Its name, unique in a run.
    pub name: String,
    /// Time between measurements.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub interval: String,
    /// Time before the first measurement.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub initial_delay: String,
    /// How many measurements; a number or text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<Value>,
    /// When a measurement is good.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub success_condition: String,
    /// When a measurement is bad.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub failure_condition: String,
    /// Bad measurements tolerated; -1: any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_limit: Option<Value>,
    /// Inconclusive measurements tolerated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inconclusive_limit: Option<Value>,
    /// Errors in a row tolerated; default 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_error_limit: Option<Value>,
    /// Good measurements in a row that end the metric; 0: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_success_limit: Option<Value>,
    /// Who measures: one key, the provider's name.
    #[serde(deserialize_with = "null_is_default")]
    pub provider: Map<String, Value>,
}

impl Metric {
    /// The measurements to take: `count`; without one, a single one, or any number if an interval is set.
    pub fn effective_count(&self) -> Option<i64> {
        match number(self.count.as_ref()) {
            0 if self.interval.is_empty() => Some(1),
            0 => None,
            count => Some(count),
        }
    }

    /// Bad measurements tolerated.
    pub fn failures_tolerated(&self) -> i64 {
        number(self.failure_limit.as_ref())
    }

    /// Inconclusive measurements tolerated.
    pub fn inconclusive_tolerated(&self) -> i64 {
        number(self.inconclusive_limit.as_ref())
    }

    /// Errors in a row tolerated.
    pub fn errors_tolerated(&self) -> i64 {
        self.consecutive_error_limit.as_ref().map_or(4, |limit| number(Some(limit)))
    }

    /// Good measurements in a row that end the metric; 0: off.
    pub fn successes_wanted(&self) -> i64 {
        number(self.consecutive_success_limit.as_ref())
    }
}

/// A number that may be written as text; what is no number is 0, that is absent.
pub(super) fn number(value: Option<&Value>) -> i64 {
    match value {
        Some(Value::Number(number)) => number.as_i64().unwrap_or(0),
        Some(Value::String(text)) => text.parse().unwrap_or(0),
        _ => 0,
    }
}

/// An argument of a template or run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Argument {
    /// Read as `{{ args.<name> }}`.
    pub name: String,
    /// Its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where its value is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ValueFrom>,
    /// What the value is made of, if secrets are in it: a record does not hold the value then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

/// Where an argument's value is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ValueFrom {
    /// A key of a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
    /// A field of an object in a cluster; there is none here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_ref: Option<FieldRef>,
}

/// A key of a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecretKeyRef {
    /// The secret.
    pub name: String,
    /// The key.
    pub key: String,
}

/// A field of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FieldRef {
    /// Path of the field.
    pub field_path: String,
}

/// Metrics whose outcome does not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DryRun {
    /// Unanchored regular expression over names.
    pub metric_name: String,
}

/// How many measurements are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MeasurementRetention {
    /// Unanchored regular expression over names.
    pub metric_name: String,
    /// How many; 0 or less: ten.
    pub limit: i64,
}

/// `status` of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RunStatus {
    /// None: not looked at yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Why it ended as it did.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// End of the first look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// One entry per metric that was started.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub metric_results: Vec<MetricResult>,
    /// Metrics that count, by how they ended.
    pub run_summary: Summary,
    /// Dry-run metrics, by how they ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run_summary: Option<Summary>,
}

/// Phases of measurements, metrics and runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Not begun.
    Pending,
    /// Under way.
    Running,
    /// Good.
    Successful,
    /// Bad.
    Failed,
    /// Could not be done.
    Error,
    /// Neither good nor bad.
    Inconclusive,
}

impl Phase {
    /// Whether nothing more can happen.
    pub fn is_completed(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }

    /// Rank for "the worst wins" (Argo Rollouts: Failed is worse than Error, since a failed metric says more than one that was not measured).
    pub(super) fn badness(self) -> u8 {
        match self {
            Self::Successful => 0,
            Self::Running => 1,
            Self::Pending => 2,
            Self::Inconclusive => 3,
            Self::Error => 4,
            Self::Failed => 5,
        }
    }

    /// As users read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Successful => "Successful",
            Self::Failed => "Failed",
            Self::Error => "Error",
            Self::Inconclusive => "Inconclusive",
        }
    }
}

/// How many metrics ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Summary {
    /// Metrics in all.
    #[serde(skip_serializing_if = "is_zero")]
    pub count: i64,
    /// Good.
    #[serde(skip_serializing_if = "is_zero")]
    pub successful: i64,
    /// Bad.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: i64,
    /// Neither.
    #[serde(skip_serializing_if = "is_zero")]
    pub inconclusive: i64,
    /// Not measurable.
    #[serde(skip_serializing_if = "is_zero")]
    pub error: i64,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Summary {
    pub(super) fn add(&mut self, phase: Phase) {
        match phase {
            Phase::Successful => self.successful += 1,
            Phase::Failed => self.failed += 1,
            Phase::Inconclusive => self.inconclusive += 1,
            Phase::Error => self.error += 1,
            Phase::Pending | Phase::Running => {}
        }
    }
}

/// What came of a metric so far. Counters are kept apart from the measurements, of which only the newest are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MetricResult {
    /// The metric.
    pub name: String,
    /// Where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// What the last measurement said, or why a dry-run metric ended as it did.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The newest measurements, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub measurements: Vec<Measurement>,
    /// Measurements that gave a result.
    #[serde(skip_serializing_if = "is_zero")]
    pub count: i64,
    /// Good ones.
    #[serde(skip_serializing_if = "is_zero")]
    pub successful: i64,
    /// Bad ones.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: i64,
    /// Neither.
    #[serde(skip_serializing_if = "is_zero")]
    pub inconclusive: i64,
    /// Errors.
    #[serde(skip_serializing_if = "is_zero")]
    pub error: i64,
    /// Errors in a row.
    #[serde(skip_serializing_if = "is_zero")]
    pub consecutive_error: i64,
    /// Good ones in a row.
    #[serde(skip_serializing_if = "is_zero")]
    pub consecutive_success: i64,
    /// Whether its outcome counts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// What the provider says about the metric.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub metadata: BTreeMap<String, String>,
}

/// One measurement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Measurement {
    /// Its outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// What went wrong.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended; None: in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// When to look at it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume_at: Option<Timestamp>,
    /// What was measured, as text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// What the provider remembers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub metadata: BTreeMap<String, String>,
}

impl Measurement {
    /// A measurement that could not be done.
    pub fn error(message: impl Into<String>, started_at: Timestamp, finished_at: Timestamp) -> Self {
        Self { phase: Some(Phase::Error), message: message.into(), started_at: Some(started_at), finished_at: Some(finished_at), ..Self::default() }
    }

    /// Whether it has an outcome.
    pub fn is_completed(&self) -> bool {
        self.phase.is_some_and(Phase::is_completed)
    }
}
