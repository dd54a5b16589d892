//! Promotions: one execution of a stage's recipe for one freight.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{FreightCollection, FreightName, FreightReference, GoDuration, Metadata, PromotionName, StageName, null_is_default};

/// A variable: `value` is literal text or a template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Variable {
    /// Read as `vars.<name>`.
    pub name: String,
    /// Empty in a task: a required input.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
}

/// A step as written in a template or task, or inflated in a promotion (then `uses` and `as` are always set).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PromotionStep {
    /// Kind of the step; empty for a reference to a task.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uses: String,
    /// Reference to a task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskReference>,
    /// Alias: the key of the step's output.
    #[serde(rename = "as", skip_serializing_if = "String::is_empty")]
    pub alias: String,
    /// Condition, a template; empty: run unless an earlier step failed.
    #[serde(rename = "if", skip_serializing_if = "String::is_empty")]
    pub condition: String,
    /// Whether its failure counts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub continue_on_error: bool,
    /// Retries and timeout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<StepRetry>,
    /// Step variables.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub vars: Vec<Variable>,
    /// Configuration, templates anywhere in its values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Value>,
}

/// `retry` of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StepRetry {
    /// Limit on the time since the step first started; 0: none; absent: the kind's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,
    /// Errors after which the step is given up; 0: the kind's default.
    #[serde(skip_serializing_if = "is_zero")]
    pub error_threshold: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A reference to a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskReference {
    /// Its name.
    pub name: String,
    /// `PromotionTask` or `ClusterPromotionTask`.
    #[serde(skip_serializing_if = "TaskKind::is_default")]
    pub kind: TaskKind,
}

/// Scope of a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TaskKind {
    /// Of a project.
    #[default]
    PromotionTask,
    /// Of all projects.
    ClusterPromotionTask,
}

impl TaskKind {
    fn is_default(&self) -> bool {
        *self == Self::PromotionTask
    }
}

/// A PromotionTask or ClusterPromotionTask.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PromotionTask {
    /// Name and project (none for a cluster task).
    pub metadata: Metadata,
    /// Inputs and steps.
    pub spec: PromotionTaskSpec,
}

/// `spec` of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PromotionTaskSpec {
    /// Inputs; a value is the default, an empty one means required.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub vars: Vec<Variable>,
    /// Steps, `uses` only.
    #[serde(deserialize_with = "null_is_default")]
    pub steps: Vec<PromotionStep>,
}

/// A Promotion resource: frozen when it is created.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Promotion {
    /// Name, project, annotations (actor, hold intent).
    pub metadata: Metadata,
    /// What is run.
    pub spec: PromotionSpec,
    /// How far it is.
    pub status: PromotionStatus,
}

impl Promotion {
    /// The promotion's name.
    pub fn name(&self) -> PromotionName {
        PromotionName::new(self.metadata.name.as_str())
    }
}

/// `spec` of a Promotion.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PromotionSpec {
    /// The stage.
    pub stage: StageName,
    /// The freight.
    #[serde(skip_serializing_if = "FreightName::is_empty")]
    pub freight: FreightName,
    /// Variables of stage and template, in that order.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub vars: Vec<Variable>,
    /// Inflated steps.
    #[serde(deserialize_with = "null_is_default")]
    pub steps: Vec<PromotionStep>,
}

/// `status` of a Promotion. What Kargo does not know is grouped under `consign`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PromotionStatus {
    /// Where it stands.
    pub phase: PromotionPhase,
    /// The worst step's message; while a step waits for a retry, its error.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The freight it promotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freight: Option<FreightReference>,
    /// What the stage will hold afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freight_collection: Option<FreightCollection>,
    /// Registered by succeeded steps.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub health_checks: Vec<HealthCheck>,
    /// When it began to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Index of the step it stands at.
    pub current_step: usize,
    /// One entry per step that was reached.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub step_execution_metadata: Vec<StepMetadata>,
    /// Outputs by alias; nulls are kept.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty", deserialize_with = "null_is_default")]
    pub state: serde_json::Map<String, Value>,
    /// What only consign records.
    #[serde(skip_serializing_if = "PromotionRecord::is_default")]
    pub consign: PromotionRecord,
}

/// What consign records of a promotion beyond Kargo's status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PromotionRecord {
    /// Commit of the config repository the recipe was read from.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub definitions: String,
    /// What caused it: `auto`, `cli`, `event`, `rollback`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trigger: String,
    /// What was written to Git, in order.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub written: Vec<WrittenTree>,
    /// Set while a tick runs it (only promotions with outside effects need a claim).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// What each `git-clone` checked out, by step alias; replay restores it.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty", deserialize_with = "null_is_default")]
    pub checkouts: serde_json::Map<String, Value>,
    /// Plain-git proposals opened by it.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub proposals: Vec<Proposal>,
    /// Approvals given to its waiting steps.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub approvals: Vec<Approval>,
    /// Earliest useful time of the next look, for a waiting promotion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_look: Option<Timestamp>,
    /// Tools used, name to version.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub tools: std::collections::BTreeMap<String, String>,
    /// For a rollback: the promotion whose tree it restores.
    #[serde(skip_serializing_if = "PromotionName::is_empty")]
    pub restores: PromotionName,
    /// For a promotion aborted because a newer candidate took its place: that freight.
    #[serde(skip_serializing_if = "FreightName::is_empty")]
    pub superseded_by: FreightName,
}

impl PromotionRecord {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A commit that a promotion wrote, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WrittenTree {
    /// Repository URL as the step spells it.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// Branch.
    pub branch: String,
    /// The commit.
    pub commit: String,
    /// The commit's tree.
    pub tree: String,
    /// The paths the promotion owns there: what it changed against the parent. Folders end in `/`; `["/"]` is the whole branch.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub paths: Vec<String>,
}

/// One tick's right to run a promotion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Claim {
    /// The tick.
    pub run: String,
    /// Until when, unless renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A plain-git proposal: a branch that waits to be merged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Proposal {
    /// Repository URL.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// Its number, from the ledger.
    pub number: u64,
    /// Branch that holds the change.
    pub source_branch: String,
    /// Branch it should go to.
    pub target_branch: String,
    /// Head of the source branch when it was opened.
    pub head: String,
    /// Tree of `head`: tells that the proposal was merged when its branch and commits are gone.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tree: String,
    /// Head of the target branch when it was opened; its changes are `base..head`.
    pub base: String,
    /// First line.
    pub title: String,
    /// The rest.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// An approval by a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Approval {
    /// Who.
    pub actor: String,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Which head, if a proposal was approved.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub head: String,
}

/// Where a promotion stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PromotionPhase {
    /// Waits for its turn.
    #[default]
    Pending,
    /// Runs, or waits at a step.
    Running,
    /// Every step that counts succeeded or was skipped.
    Succeeded,
    /// A step's negative result.
    Failed,
    /// A technical problem.
    Errored,
    /// Ended by a person, or superseded.
    Aborted,
    /// A push was refused for good (protection, ruleset, hook); ours.
    Refused,
}

impl PromotionPhase {
    /// Whether nothing more can happen.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// A health check registered by a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HealthCheck {
    /// Kind of the check.
    pub uses: String,
    /// Its configuration.
    pub config: Value,
}

/// What is known of one step's execution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StepMetadata {
    /// The step's alias.
    pub alias: String,
    /// When it first started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Errors so far.
    #[serde(skip_serializing_if = "is_zero")]
    pub error_count: u32,
    /// None: not reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StepStatus>,
    /// What it says.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Copy of the step's setting.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub continue_on_error: bool,
}

/// Result of a step, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StepStatus {
    /// Done.
    Succeeded,
    /// Not run, or nothing to do.
    Skipped,
    /// Waits; will be run again.
    Running,
    /// Was running when the promotion was aborted.
    Aborted,
    /// A negative result.
    Failed,
    /// A technical problem.
    Errored,
}

impl StepStatus {
    /// The status as users read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Skipped => "Skipped",
            Self::Running => "Running",
            Self::Aborted => "Aborted",
            Self::Failed => "Failed",
            Self::Errored => "Errored",
        }
    }
}
