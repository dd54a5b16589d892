//! Decides. What should happen now, and the reason for every "no". Pure.
//!
//! [`plan`] takes the definitions, the records, the freight and the clock and gives [`Action`]s and what is [`Held`]. It plans one pass: the
//! conductor acts, writes the records down and plans again until a pass brings nothing new. [`why`] prints every gate of one freight and stage.
//!
//! All rules are Kargo's unless a comment says otherwise; `stage` reads top to bottom what one pass does for one stage.

pub mod ancestry;
pub mod availability;
pub mod bookkeeping;
pub mod gates;
pub mod holds;
pub mod naming;
pub mod policy;
pub mod rollback;
mod scene;
mod stage;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

pub use gates::{Gate, GateName, why};
pub use stage::{candidates, selectable};

use crate::model::{Freight, FreightName, FreightStatus, Origin, Project, Promotion, PromotionName, StageName, StageStatus};

/// Everything a plan rests on. No clock, no files: the same inputs give the same plan.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The definitions of one project.
    pub project: &'a Project,
    /// The records of its stages; a stage without a record holds nothing.
    pub stages: &'a BTreeMap<StageName, StageStatus>,
    /// Its freight, in any order.
    pub freight: &'a [Freight],
    /// Its promotions, in any order: all that are not terminal, and the terminal ones that retention keeps.
    pub promotions: &'a [Promotion],
    /// The tick's instant.
    pub now: Timestamp,
    /// The id of this tick; claims of others are respected.
    pub run: &'a str,
    /// What is known about which commit contains which.
    pub ancestry: &'a ancestry::Ancestry,
    /// What changed under a stage's paths without the ledger having written it.
    pub foreign_changes: &'a BTreeMap<StageName, Vec<ForeignChange>>,
    /// Stages into which nothing may be promoted now.
    pub closed_windows: &'a BTreeMap<StageName, ClosedWindow>,
    /// Promotions whose waiting step a person has approved.
    pub approved: &'a BTreeSet<PromotionName>,
    /// What the user chose.
    pub settings: &'a Settings,
}

/// A change of a stage's paths that was not made by a promotion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignChange {
    /// Where.
    pub repo_url: String,
    /// On which branch.
    pub branch: String,
    /// The commit that made it.
    pub commit: String,
    /// Who made it.
    pub author: String,
    /// What it touched.
    pub paths: Vec<String>,
}

/// A promotion window that is closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClosedWindow {
    /// Which window says no, in a sentence.
    pub reason: String,
    /// When it opens next, if that is known.
    pub opens_at: Option<Timestamp>,
}

/// What the user chose, for all stages and for some.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// For stages that have no entry of their own.
    pub default: StageSettings,
    /// For single stages.
    pub stages: BTreeMap<StageName, StageSettings>,
}

impl Settings {
    /// What holds for a stage.
    pub fn of(&self, stage: &StageName) -> &StageSettings {
        self.stages.get(stage).unwrap_or(&self.default)
    }
}

/// What the user chose for a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageSettings {
    /// What happens to promotions that wait when newer freight comes.
    pub queue: QueuePolicy,
    /// Whether a promotion that a person already approved makes way, too (only with [`QueuePolicy::Latest`]).
    pub supersede_approved: bool,
    /// What a foreign change means.
    pub on_foreign_change: OnForeignChange,
    /// What it means that a candidate lacks a commit that the stage holds.
    pub on_regression: OnRegression,
    /// Whether freight that comes back is verified again although the same collection already was. Kargo takes the earlier result.
    pub verify_again: bool,
}

/// What happens to promotions that wait when newer freight comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueuePolicy {
    /// They run first (Kargo).
    #[default]
    Fifo,
    /// They make way for the newest.
    Latest,
}

/// What a change under a stage's paths means that the ledger has not written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnForeignChange {
    /// Shown, then overwritten.
    #[default]
    Overwrite,
    /// Nothing is promoted until somebody adopts or removes it.
    Hold,
    /// The promotion is made, and its step fails.
    Fail,
}

/// What it means that a candidate lacks a commit that the stage holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRegression {
    /// Shown.
    #[default]
    Warn,
    /// Not promoted automatically.
    Hold,
}

/// What should happen now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// In order: records first, then stage by stage.
    pub actions: Vec<Action>,
    /// What does not happen, and why.
    pub held: Vec<Held>,
    /// What is wrong with the definitions so that a decision could not be made, one sentence each.
    pub problems: Vec<String>,
    /// The earliest time at which another plan could differ without anything happening outside.
    pub next_wake: Option<Timestamp>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write down a stage's record: ended promotions, holds, health, implicit verification.
    Record {
        /// The stage.
        stage: StageName,
        /// Its new record.
        status: Box<StageStatus>,
    },
    /// Write down a freight's status.
    RecordFreight {
        /// The freight.
        freight: FreightName,
        /// Its new status.
        status: Box<FreightStatus>,
        /// The stages in which it is newly verified.
        verified_in: Vec<StageName>,
    },
    /// Look at the health checks of the last promotion. Comes with every pass; once a tick is enough.
    CheckHealth {
        /// The stage.
        stage: StageName,
    },
    /// Start to verify what the stage holds.
    StartVerification {
        /// The stage.
        stage: StageName,
        /// Id of the collection.
        collection: String,
    },
    /// Measure further.
    ContinueVerification {
        /// The stage.
        stage: StageName,
        /// Id of the verification.
        id: String,
    },
    /// End a promotion whose stage or project is gone.
    Abort {
        /// The stage that was.
        stage: StageName,
        /// The promotion.
        promotion: PromotionName,
        /// Why.
        reason: String,
    },
    /// End a waiting promotion because newer freight takes its place.
    Supersede {
        /// The stage.
        stage: StageName,
        /// The promotion.
        promotion: PromotionName,
        /// The newer freight.
        by: FreightName,
    },
    /// End a promotion that may not run any more as Errored, its open step too.
    Fail {
        /// The stage.
        stage: StageName,
        /// The promotion.
        promotion: PromotionName,
        /// Why.
        message: String,
    },
    /// Start or resume a promotion.
    Run {
        /// The stage.
        stage: StageName,
        /// The promotion.
        promotion: PromotionName,
    },
    /// Create a promotion; the next pass runs it.
    Promote {
        /// The stage.
        stage: StageName,
        /// The freight.
        freight: FreightName,
        /// Its origin.
        origin: Origin,
        /// Why this freight, one line.
        reason: String,
    },
}

/// Freight that does not move, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Held {
    /// The stage it would enter.
    pub stage: StageName,
    /// The freight.
    pub freight: FreightName,
    /// The promotion, if there already is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion: Option<PromotionName>,
    /// The gates that are closed.
    pub gates: Vec<Gate>,
}

/// Plans one pass.
pub fn plan(inputs: &Inputs<'_>) -> Plan {
    let mut scene = scene::Scene::new(inputs);
    let mut plan = Plan::default();
    stage::settle_all(&mut scene, &mut plan);
    scene.pass_through_control_flow();
    let mut decisions = Vec::new();
    for stage in inputs.project.stages.values() {
        stage::decide(&mut scene, stage, &mut plan, &mut decisions);
    }
    stage::abort_orphans(&scene, &mut decisions);
    plan.actions.extend(scene.changes());
    plan.actions.extend(decisions);
    plan.next_wake = plan
        .held
        .iter()
        .flat_map(|held| held.gates.iter().filter_map(|gate| gate.opens_at))
        .chain(inputs.promotions.iter().filter(|promotion| !promotion.status.phase.is_terminal()).filter_map(|p| p.status.consign.next_look))
        .filter(|wake| *wake > inputs.now)
        .min();
    plan
}

#[cfg(test)]
mod tests;
