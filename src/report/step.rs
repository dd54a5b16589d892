//! `step`: what came of one step.

use serde::Serialize;
use serde_json::Value;

use crate::promote::step::{RecordChange, StepResult, Violation};

/// The document `step --format json` prints.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepReport {
    /// How it ended, or `Running`.
    pub status: &'static str,
    /// Whether it went wrong in a way that no retry can heal.
    pub terminal: bool,
    /// What it says.
    pub message: String,
    /// Its output.
    pub output: Option<Value>,
    /// Seconds after which to look again, if it waits and says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// What it changes of records.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Value>,
}

impl StepReport {
    /// From a result.
    pub fn new(result: &StepResult) -> Self {
        Self {
            status: result.status.as_str(),
            terminal: result.error.as_ref().is_some_and(|error| error.terminal),
            message: result.error.as_ref().map_or_else(|| result.message.clone(), |error| error.message.clone()),
            output: result.output.clone(),
            retry_after: result.retry_after.map(|pause| pause.as_secs()),
            changes: result.changes.iter().map(change).collect(),
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let message = if self.message.is_empty() { String::new() } else { format!(": {}", self.message) };
        let mut text = format!("{}{message}\n", self.status);
        if let Some(output) = &self.output {
            text.push_str(&serde_json::to_string_pretty(output).unwrap_or_default());
            text.push('\n');
        }
        text
    }
}

fn change(change: &RecordChange) -> Value {
    match change {
        RecordChange::StageMetadata { stage, values } => serde_json::json!({"kind": "Stage", "name": stage, "metadata": values}),
        RecordChange::FreightMetadata { freight, values } => serde_json::json!({"kind": "Freight", "name": freight, "metadata": values}),
        RecordChange::FreightAlias { freight, alias } => serde_json::json!({"kind": "Freight", "name": freight, "alias": alias}),
    }
}

/// The document `step --check --format json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// Whether the configuration is valid.
    pub valid: bool,
    /// All that is wrong with it.
    pub errors: Vec<CheckError>,
}

/// Something wrong with a configuration.
#[derive(Clone, Debug, Serialize)]
pub struct CheckError {
    /// Where; empty: the whole.
    pub path: String,
    /// What, and what is expected.
    pub message: String,
}

impl CheckReport {
    /// From what a check found.
    pub fn new(violations: Vec<Violation>) -> Self {
        let errors: Vec<CheckError> =
            violations.into_iter().map(|violation| CheckError { path: violation.path, message: violation.message }).collect();
        Self { valid: errors.is_empty(), errors }
    }

    /// For people.
    pub fn text(&self) -> String {
        if self.valid {
            return "valid\n".into();
        }
        let line = |error: &CheckError| {
            if error.path.is_empty() { format!("{}\n", error.message) } else { format!("`{}`: {}\n", error.path, error.message) }
        };
        self.errors.iter().map(line).collect()
    }
}
