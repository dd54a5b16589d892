//! `status`: stages and warehouses as they stand.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{plan::gate_text, table::table, words};
use crate::model::{
    FreightName, FreightReference, Health, Hold, Project, ProjectName, PromotionPhase, Stage, StageName, StageStatus, VerificationPhase,
    WarehouseName, WarehouseStatus,
};
use crate::plan::{Gate, Held};

/// The document `status --format json` prints.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Stages, in the order of their names within their projects.
    pub stages: Vec<StageLine>,
    /// Warehouses.
    pub warehouses: Vec<WarehouseLine>,
}

/// A stage.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StageLine {
    /// Its name.
    pub name: StageName,
    /// Its project.
    pub project: ProjectName,
    /// Whether it only passes freight on.
    pub control_flow: bool,
    /// What it holds.
    pub freight: Vec<HeldFreight>,
    /// The promotion that runs or waits.
    pub current_promotion: Option<PromotionLine>,
    /// The newest promotion that ended.
    pub last_promotion: Option<PromotionLine>,
    /// Verification of what it holds.
    pub verification: Option<VerificationLine>,
    /// What blocks auto-promotion.
    pub holds: Vec<Hold>,
    /// Whether policies let freight in by itself.
    pub auto_promotion: bool,
    /// Health of what it holds, if something checks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// Freight that would enter it and may not yet, with the gates that are closed.
    pub waiting: Vec<WaitingFreight>,
}

/// Freight that waits before a stage.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingFreight {
    /// The freight.
    pub freight: FreightName,
    /// Its alias.
    pub alias: String,
    /// The gates that are closed.
    pub gates: Vec<Gate>,
}

/// A freight in a stage.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldFreight {
    /// Its name.
    pub name: FreightName,
    /// Its alias.
    pub alias: String,
    /// Its origin, `Warehouse/<name>`.
    pub origin: String,
    /// Its artifacts.
    pub artifacts: Vec<String>,
}

/// A promotion in a stage.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PromotionLine {
    /// Its name.
    pub name: String,
    /// Its freight.
    pub freight: FreightName,
    /// The freight's alias.
    pub alias: String,
    /// Where it stands.
    pub phase: PromotionPhase,
    /// What it says or waits for.
    pub message: String,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// A verification in a stage.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerificationLine {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub phase: Option<VerificationPhase>,
    /// What it says.
    pub message: String,
}

/// A warehouse.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WarehouseLine {
    /// Its name.
    pub name: WarehouseName,
    /// Its project.
    pub project: ProjectName,
    /// Freight made of the newest artifacts.
    pub last_freight: FreightName,
    /// That freight's alias.
    pub alias: String,
    /// Why looking fails, if it does.
    pub failing: Option<String>,
}

/// What `status` is made from, for one project.
pub struct View<'a> {
    /// Definitions.
    pub project: &'a Project,
    /// Records of stages.
    pub stages: &'a BTreeMap<StageName, StageStatus>,
    /// Records of warehouses.
    pub warehouses: &'a BTreeMap<WarehouseName, WarehouseStatus>,
    /// Alias of a freight; empty if unknown.
    pub alias: &'a dyn Fn(&FreightName) -> String,
    /// The promotion that runs or waits at a stage.
    pub running: &'a dyn Fn(&StageName) -> Option<PromotionLine>,
    /// Whether auto-promotion is on for a stage.
    pub auto_promotion: &'a dyn Fn(&Stage) -> bool,
    /// What does not move.
    pub held: &'a [Held],
}

impl Status {
    /// Adds a project; with `only`, just that stage.
    pub fn add(&mut self, view: &View<'_>, only: Option<&StageName>) {
        let none = StageStatus::default();
        for (name, stage) in view.project.stages.iter().filter(|(name, _)| only.is_none_or(|only| only == *name)) {
            let status = view.stages.get(name).unwrap_or(&none);
            self.stages.push(StageLine {
                name: name.clone(),
                project: view.project.name.clone(),
                control_flow: stage.is_control_flow(),
                freight: status
                    .current_freight()
                    .map(|collection| collection.items.iter().map(|(origin, freight)| held(origin.0.to_string(), freight, view.alias)).collect())
                    .unwrap_or_default(),
                current_promotion: (view.running)(name),
                last_promotion: status.last_promotion.as_ref().map(|last| {
                    let freight = last.freight.as_ref().map(|freight| freight.name.clone()).unwrap_or_default();
                    PromotionLine {
                        name: last.name.to_string(),
                        alias: (view.alias)(&freight),
                        freight,
                        phase: last.status.as_ref().map(|status| status.phase).unwrap_or_default(),
                        message: last.status.as_ref().map(|status| status.message.clone()).unwrap_or_default(),
                        finished_at: last.finished_at,
                    }
                }),
                verification: status.current_freight().and_then(|collection| collection.verification_history.first()).map(|verification| {
                    VerificationLine { id: verification.id.clone(), phase: verification.phase, message: verification.message.clone() }
                }),
                holds: status.auto_promotion_holds.values().cloned().collect(),
                auto_promotion: (view.auto_promotion)(stage),
                health: status.health.clone(),
                waiting: view
                    .held
                    .iter()
                    .filter(|held| held.stage == *name)
                    .map(|held| WaitingFreight { freight: held.freight.clone(), alias: (view.alias)(&held.freight), gates: held.gates.clone() })
                    .collect(),
            });
        }
        if only.is_some() {
            return;
        }
        let none = WarehouseStatus::default();
        for name in view.project.warehouses.keys() {
            let status = view.warehouses.get(name).unwrap_or(&none);
            self.warehouses.push(WarehouseLine {
                name: name.clone(),
                project: view.project.name.clone(),
                alias: (view.alias)(&status.last_freight_id),
                last_freight: status.last_freight_id.clone(),
                failing: status.failing.as_ref().map(|failing| failing.reason.clone()),
            });
        }
    }

    /// For people.
    pub fn text(&self, now: Timestamp) -> String {
        let several = self.stages.iter().map(|stage| &stage.project).collect::<std::collections::BTreeSet<_>>().len() > 1;
        let rows: Vec<Vec<String>> = self
            .stages
            .iter()
            .map(|stage| {
                let name = if several { format!("{}/{}", stage.project, stage.name) } else { stage.name.to_string() };
                let freight = if stage.control_flow {
                    "(control flow)".to_owned()
                } else if stage.freight.is_empty() {
                    "-".to_owned()
                } else {
                    stage.freight.iter().map(|freight| freight.alias.as_str()).collect::<Vec<_>>().join(", ")
                };
                let artifacts = stage.freight.iter().flat_map(|freight| freight.artifacts.iter().cloned()).collect::<Vec<_>>().join(", ");
                vec![name, freight, words::one_line(&artifacts, 40), stage.verification_text(), stage.promotion_text(now)]
            })
            .collect();
        let mut text = table(&["STAGE", "FREIGHT", "ARTIFACTS", "VERIFIED", "PROMOTION"], &rows);
        if let [stage] = self.stages.as_slice() {
            text.push_str(&stage.details(now));
        }
        for warehouse in &self.warehouses {
            if let Some(reason) = &warehouse.failing {
                text.push_str(&format!("\nwarehouse `{}` fails: {}\n", warehouse.name, words::one_line(reason, 160)));
            }
        }
        text
    }
}

impl StageLine {
    /// What is told of a stage when it is the only one.
    fn details(&self, now: Timestamp) -> String {
        let mut lines = vec![format!("\nauto-promotion: {}", if self.auto_promotion { "on" } else { "off" })];
        lines.extend(self.freight.iter().map(|held| format!("holds: {} of {} ({})", held.alias, held.origin, held.artifacts.join(", "))));
        lines.extend(self.health.as_ref().map(|health| {
            let issues = if health.issues.is_empty() { String::new() } else { format!(": {}", health.issues.join("; ")) };
            format!("health: {:?}{issues}", health.status)
        }));
        for hold in &self.holds {
            let who = if hold.actor.is_empty() { String::new() } else { format!(" by {}", hold.actor) };
            lines.push(format!("hold on {}{who}: {}", hold.origin, words::one_line(&hold.reason, 80)));
        }
        for waiting in &self.waiting {
            lines.push(format!("waits to enter: {}", waiting.alias));
            lines.extend(waiting.gates.iter().map(|gate| format!("  {}", gate_text(gate, now))));
        }
        lines.join("\n") + "\n"
    }

    fn verification_text(&self) -> String {
        match self.verification.as_ref().and_then(|verification| verification.phase) {
            Some(VerificationPhase::Successful) => "yes".into(),
            Some(VerificationPhase::Pending | VerificationPhase::Running) => "running".into(),
            Some(VerificationPhase::Failed) => "failed".into(),
            Some(VerificationPhase::Error) => "error".into(),
            Some(VerificationPhase::Aborted) => "aborted".into(),
            Some(VerificationPhase::Inconclusive) => "inconclusive".into(),
            None => "-".into(),
        }
    }

    fn promotion_text(&self, now: Timestamp) -> String {
        let mut parts = Vec::new();
        if let Some(current) = &self.current_promotion {
            parts.push(format!("{} of {}: {}", words::phase(current.phase).to_lowercase(), current.alias, words::one_line(&current.message, 100)));
        } else if let Some(last) = &self.last_promotion {
            let when = last.finished_at.map(|at| format!(" {} ago", words::ago(now, at))).unwrap_or_default();
            let message = if last.phase == PromotionPhase::Succeeded { String::new() } else { format!(": {}", words::one_line(&last.message, 100)) };
            parts.push(format!("{}{when}{message}", words::phase(last.phase)));
        }
        if let Some(hold) = self.holds.first() {
            let why = if hold.reason.is_empty() { String::new() } else { format!(": {}", words::one_line(&hold.reason, 60)) };
            parts.push(format!("held{why}"));
        }
        parts.join("; ")
    }
}

fn held(origin: String, freight: &FreightReference, alias: &dyn Fn(&FreightName) -> String) -> HeldFreight {
    HeldFreight { name: freight.name.clone(), alias: alias(&freight.name), origin, artifacts: words::artifacts(freight) }
}
