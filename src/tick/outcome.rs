//! What came of a tick: the document `run --format json` prints, and what every other report of a tick is made from.

use jiff::Timestamp;
use serde::Serialize;

use crate::model::{FreightName, ProjectName, PromotionName, PromotionPhase, StageName, StepStatus, VerificationPhase, WarehouseName};

/// What came of a tick.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Freight that was made.
    pub freight_created: Vec<CreatedFreight>,
    /// Promotions that were created, ran or ended.
    pub promotions: Vec<PromotionOutcome>,
    /// Verifications that were begun, measured or ended.
    pub verifications: Vec<VerificationOutcome>,
    /// Stages that wait for something outside, and for what.
    pub waiting: Vec<Waiting>,
    /// Sources that could not be looked at; known freight moved all the same.
    pub failing: Vec<FailingWarehouse>,
    /// Things worth a line that are no failure.
    pub notes: Vec<String>,
    /// What it cost.
    pub stats: Stats,
    /// When a next tick could do something new without an event; None: nobody knows.
    pub next_wake: Option<Timestamp>,
}

impl Outcome {
    /// Whether the tick changed nothing.
    pub fn is_idle(&self) -> bool {
        self.freight_created.is_empty()
            && self.promotions.iter().all(|promotion| !promotion.changed)
            && self.verifications.iter().all(|verification| !verification.changed)
    }
}

/// A freight that was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedFreight {
    /// Its project.
    pub project: ProjectName,
    /// Its name.
    pub name: FreightName,
    /// Its alias.
    pub alias: String,
    /// Its warehouse.
    pub warehouse: WarehouseName,
    /// Its artifacts, one short text each.
    pub artifacts: Vec<String>,
}

/// A promotion, as far as this tick brought it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PromotionOutcome {
    /// Its project.
    pub project: ProjectName,
    /// Its name.
    pub name: PromotionName,
    /// Its stage.
    pub stage: StageName,
    /// Its freight.
    pub freight: FreightName,
    /// The freight's alias.
    pub alias: String,
    /// Where it stands.
    pub phase: PromotionPhase,
    /// What it says.
    pub message: String,
    /// Its steps.
    pub steps: Vec<StepOutcome>,
    /// Whether this tick changed anything about it.
    #[serde(skip)]
    pub changed: bool,
}

/// A step of a promotion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepOutcome {
    /// Its alias.
    pub alias: String,
    /// Its kind.
    pub kind: String,
    /// How it ended; None: not reached.
    pub status: Option<StepStatus>,
    /// What it says.
    pub message: String,
}

/// A verification, as far as this tick brought it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerificationOutcome {
    /// Its project.
    pub project: ProjectName,
    /// Its stage.
    pub stage: StageName,
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub phase: VerificationPhase,
    /// What it says.
    pub message: String,
    /// Whether this tick changed anything about it.
    #[serde(skip)]
    pub changed: bool,
}

/// A stage that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// Its project.
    pub project: ProjectName,
    /// The stage.
    pub stage: StageName,
    /// For what.
    pub reason: String,
    /// Until when, if that is known.
    pub until: Option<Timestamp>,
}

/// A warehouse whose sources could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailingWarehouse {
    /// Its project.
    pub project: ProjectName,
    /// The warehouse.
    pub warehouse: WarehouseName,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// What a tick cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// git commands that consign started.
    pub git_processes: u64,
    /// Its own HTTP requests (git's are not among them).
    pub requests: u64,
    /// Bytes those brought.
    pub bytes_received: u64,
    /// Wall time.
    pub seconds: f64,
}

/// A verification's phase as users read it.
pub fn verification_word(phase: VerificationPhase) -> &'static str {
    match phase {
        VerificationPhase::Pending => "Pending",
        VerificationPhase::Running => "Running",
        VerificationPhase::Successful => "Successful",
        VerificationPhase::Failed => "Failed",
        VerificationPhase::Error => "Error",
        VerificationPhase::Aborted => "Aborted",
        VerificationPhase::Inconclusive => "Inconclusive",
    }
}
