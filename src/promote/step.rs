//! What a step is: the doorway between the step loop and the step kinds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::diagnostic::{Failure, FailureKind};
use crate::forge::{Forge, Forges, Provider};
use crate::model::{
    FreightName, FreightReference, GoDuration, HealthCheck, Origin, ProjectName, PromotionName, StageName, StepStatus, Warehouse, WarehouseName,
};

use super::workspace::Workspace;

/// A step kind.
///
/// The step loop has evaluated and checked the configuration before `run` sees it. A kind holds no state of its own.
#[async_trait::async_trait]
pub trait Step: Send + Sync {
    /// Name of the kind, as in `uses`.
    fn kind(&self) -> &'static str;

    /// JSON Schema of the configuration, made from the configuration's type.
    fn schema(&self) -> Value;

    /// Violations that a schema cannot express, checked after it. Most kinds have none.
    fn check_further(&self, _config: &Value) -> Vec<Violation> {
        Vec::new()
    }

    /// Defaults for `retry`.
    fn defaults(&self) -> StepDefaults {
        StepDefaults::default()
    }

    /// Whether the step reads or writes files of the workspace. A promotion that waits at one that does not is resumed without rebuilding it.
    fn needs_files(&self) -> bool {
        true
    }

    /// What the step does outside the tick; `config` is not yet evaluated.
    fn effect(&self, config: &Value) -> Effect;

    /// Runs the step once.
    ///
    /// # Errors
    /// A [`Failure`] is the environment's (a missing tool, refused credentials, an unreachable remote): the step counts as not run.
    /// What the step itself finds wrong is a [`StepResult`] with an error.
    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure>;
}

/// A violation of a step's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where: a dotted path into the configuration such as `updates[0].key`; empty: the whole.
    pub path: String,
    /// What is wrong and what is expected.
    pub message: String,
}

/// Defaults of a kind for `retry`.
#[derive(Clone, Copy, Debug)]
pub struct StepDefaults {
    /// Errors after which the step is given up.
    pub error_threshold: u32,
    /// Limit on the time since the step first started; None: none.
    pub timeout: Option<GoDuration>,
}

impl Default for StepDefaults {
    fn default() -> Self {
        Self { error_threshold: 1, timeout: None }
    }
}

/// What a step does outside the tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: reads, writes files of the workspace, writes records.
    None,
    /// Writes refs of one remote; the URL as configured, None while it hangs on an earlier step.
    Refs(Option<String>),
    /// Anything else: pull requests, HTTP calls, commands.
    Outside,
}

/// One run of a step: who runs, on what, where.
pub struct StepRun<'a> {
    /// The project.
    pub project: &'a ProjectName,
    /// The stage.
    pub stage: &'a StageName,
    /// The promotion.
    pub promotion: &'a PromotionName,
    /// Full alias of the step.
    pub alias: &'a str,
    /// The tick's instant.
    pub now: Timestamp,
    /// When the promotion began: the time of its commits, so that repeating them gives the same ones.
    pub started_at: Timestamp,
    /// The freight of every requested origin; the promoted one included.
    pub freight: &'a [FreightReference],
    /// The promoted freight.
    pub target_freight: &'a FreightReference,
    /// The origins that the stage requests freight of, whether it has some or not.
    pub requested: &'a [Origin],
    /// The project's warehouses.
    pub warehouses: &'a BTreeMap<WarehouseName, Warehouse>,
    /// What is recorded of the project's stages and freight; changes of the promotion's earlier steps included.
    pub records: &'a dyn Records,
    /// What the expressions of the step's configuration see, as far as templates get to see it: `ctx`, `vars` and `outputs`. Made when asked
    /// for; an error says which variable cannot be evaluated.
    pub scope: &'a (dyn Fn() -> Result<Value, String> + Sync),
    /// Outputs of all steps so far, by alias; the step's own earlier attempt included.
    pub outputs: &'a serde_json::Map<String, Value>,
    /// The working directory.
    pub workspace: &'a mut Workspace,
    /// The doors to the outside.
    pub doors: &'a Doors,
}

/// What is recorded of a project's stages and freight.
pub trait Records: Send + Sync {
    /// Metadata of a stage; None: there is no such stage.
    fn stage_metadata(&self, stage: &StageName) -> Option<serde_json::Map<String, Value>>;
    /// Metadata of a freight; None: there is no such freight.
    fn freight_metadata(&self, freight: &FreightName) -> Option<serde_json::Map<String, Value>>;
    /// Alias of a freight, empty if it has none; None: there is no such freight.
    fn freight_alias(&self, freight: &FreightName) -> Option<String>;
    /// The freight that has this alias.
    fn freight_by_alias(&self, alias: &str) -> Option<FreightName>;
}

/// No records at all.
impl Records for () {
    fn stage_metadata(&self, _stage: &StageName) -> Option<serde_json::Map<String, Value>> {
        None
    }
    fn freight_metadata(&self, _freight: &FreightName) -> Option<serde_json::Map<String, Value>> {
        None
    }
    fn freight_alias(&self, _freight: &FreightName) -> Option<String> {
        None
    }
    fn freight_by_alias(&self, _alias: &str) -> Option<FreightName> {
        None
    }
}

/// Records as they will be once a promotion's changes are written: what its later steps see.
pub struct ChangedRecords<'a> {
    /// The records.
    pub base: &'a dyn Records,
    /// The changes, oldest first.
    pub changes: &'a [RecordChange],
}

impl Records for ChangedRecords<'_> {
    fn stage_metadata(&self, stage: &StageName) -> Option<serde_json::Map<String, Value>> {
        let mut metadata = self.base.stage_metadata(stage)?;
        for change in self.changes {
            if let RecordChange::StageMetadata { stage: changed, values } = change
                && changed == stage
            {
                set_metadata(&mut metadata, values);
            }
        }
        Some(metadata)
    }

    fn freight_metadata(&self, freight: &FreightName) -> Option<serde_json::Map<String, Value>> {
        let mut metadata = self.base.freight_metadata(freight)?;
        for change in self.changes {
            if let RecordChange::FreightMetadata { freight: changed, values } = change
                && changed == freight
            {
                set_metadata(&mut metadata, values);
            }
        }
        Some(metadata)
    }

    fn freight_alias(&self, freight: &FreightName) -> Option<String> {
        let recorded = self.base.freight_alias(freight)?;
        let last = self.changes.iter().rev().find_map(|change| match change {
            RecordChange::FreightAlias { freight: changed, alias } if changed == freight => Some(alias.clone()),
            _ => None,
        });
        Some(last.unwrap_or(recorded))
    }

    fn freight_by_alias(&self, alias: &str) -> Option<FreightName> {
        let given = self.changes.iter().filter_map(|change| match change {
            RecordChange::FreightAlias { freight, .. } => Some(freight),
            _ => None,
        });
        given.cloned().chain(self.base.freight_by_alias(alias)).find(|freight| self.freight_alias(freight).as_deref() == Some(alias))
    }
}

/// Sets metadata as `set-metadata` does: each value replaces the old one as a whole, null deletes the key, also inside objects (measured).
pub fn set_metadata(metadata: &mut serde_json::Map<String, Value>, values: &serde_json::Map<String, Value>) {
    fn without_nulls(value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                Value::Object(fields.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), without_nulls(value))).collect())
            }
            Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
            other => other.clone(),
        }
    }
    for (key, value) in values {
        if value.is_null() {
            metadata.shift_remove(key);
        } else {
            metadata.insert(key.clone(), without_nulls(value));
        }
    }
}

/// The doors a step may use. Filled by the conductor; a field per gateway.
#[derive(Default)]
pub struct Doors {
    /// External tools.
    pub tools: super::tools::Tools,
    /// Pull requests; None: the tick has no forges.
    pub forges: Option<Arc<dyn Forges>>,
    /// Address of the pages about projects and stages; empty: there are none.
    pub ui_base_url: String,
}

impl Doors {
    /// The forge of a repository.
    ///
    /// # Errors
    /// As [`Forges::forge`].
    pub fn forge(&self, repo_url: &str, provider: Option<Provider>) -> Result<Arc<dyn Forge>, Failure> {
        match &self.forges {
            Some(forges) => forges.forge(repo_url, provider),
            None => Err(Failure::new(FailureKind::Config, format!("no forge is configured for `{repo_url}`"))
                .hint("add a rule for it under `forges` in `consign.yaml`")),
        }
    }
}

/// What came of one run of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepResult {
    /// The status the step reports.
    pub status: StepStatus,
    /// What it says; empty: nothing.
    pub message: String,
    /// Its output; None: none.
    pub output: Option<Value>,
    /// Set when something went wrong.
    pub error: Option<StepError>,
    /// When to look again, for a step that is Running.
    pub retry_after: Option<Duration>,
    /// A health check to register if the step succeeded.
    pub health_check: Option<HealthCheck>,
    /// Changes to records other than the promotion's own.
    pub changes: Vec<RecordChange>,
    /// What external tools printed; bounded and masked by the step loop.
    pub log: String,
}

impl StepResult {
    /// A result with a status and nothing else.
    pub fn with_status(status: StepStatus) -> Self {
        Self {
            status,
            message: String::new(),
            output: None,
            error: None,
            retry_after: None,
            health_check: None,
            changes: Vec::new(),
            log: String::new(),
        }
    }

    /// Succeeded without output.
    pub fn succeeded() -> Self {
        Self::with_status(StepStatus::Succeeded)
    }

    /// Succeeded with output.
    pub fn output(output: Value) -> Self {
        Self { output: Some(output), ..Self::succeeded() }
    }

    /// Errored: counts against the error threshold.
    pub fn errored(message: impl Into<String>) -> Self {
        Self { error: Some(StepError { message: message.into(), terminal: false }), ..Self::with_status(StepStatus::Errored) }
    }

    /// Errored for good: never retried.
    pub fn errored_for_good(message: impl Into<String>) -> Self {
        Self { error: Some(StepError { message: message.into(), terminal: true }), ..Self::with_status(StepStatus::Errored) }
    }

    /// Failed for good: never retried.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { error: Some(StepError { message: message.into(), terminal: true }), ..Self::with_status(StepStatus::Failed) }
    }
}

/// An error of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepError {
    /// What went wrong.
    pub message: String,
    /// Whether a retry is pointless.
    pub terminal: bool,
}

/// A change to a record, made by a step.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordChange {
    /// `set-metadata` on a stage.
    StageMetadata {
        /// Which stage.
        stage: StageName,
        /// Key to value.
        values: serde_json::Map<String, Value>,
    },
    /// `set-metadata` on a freight.
    FreightMetadata {
        /// Which freight.
        freight: FreightName,
        /// Key to value.
        values: serde_json::Map<String, Value>,
    },
    /// `set-freight-alias`.
    FreightAlias {
        /// Which freight.
        freight: FreightName,
        /// Its new alias.
        alias: String,
    },
}
