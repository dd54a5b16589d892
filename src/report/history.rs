//! `history` and `logs`: promotions that were, and what they printed.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use super::table::table;
use super::words;
use crate::model::{FreightName, ProjectName, Promotion, PromotionName, PromotionPhase, StageName, WrittenTree};
use crate::plan::holds;
use crate::tick::outcome::StepOutcome;

/// The document `history --format json` prints.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// Promotions, newest first.
    pub promotions: Vec<PastPromotion>,
}

/// A promotion, ended or not.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PastPromotion {
    /// Its project.
    pub project: ProjectName,
    /// Its name.
    pub name: PromotionName,
    /// Its stage.
    pub stage: StageName,
    /// Its freight.
    pub freight: FreightName,
    /// The freight's alias; empty if the freight is gone.
    pub alias: String,
    /// The freight's artifacts.
    pub artifacts: Vec<String>,
    /// Where it stands.
    pub phase: PromotionPhase,
    /// What it says.
    pub message: String,
    /// Who asked for it; empty: nobody did.
    pub actor: String,
    /// What caused it.
    pub trigger: String,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Commit of the definitions it follows.
    pub definitions: String,
    /// What it wrote.
    pub written: Vec<WrittenTree>,
    /// Its steps.
    pub steps: Vec<StepOutcome>,
}

impl PastPromotion {
    /// From its record.
    pub fn new(project: &ProjectName, promotion: &Promotion, alias: String) -> Self {
        let status = &promotion.status;
        Self {
            project: project.clone(),
            name: promotion.name(),
            stage: promotion.spec.stage.clone(),
            freight: promotion.spec.freight.clone(),
            alias,
            artifacts: status.freight.as_ref().map(words::artifacts).unwrap_or_default(),
            phase: status.phase,
            message: status.message.clone(),
            actor: promotion.metadata.annotations.get(holds::ACTOR).cloned().unwrap_or_default(),
            trigger: status.consign.trigger.clone(),
            created_at: promotion.metadata.creation_timestamp,
            started_at: status.started_at,
            finished_at: status.finished_at,
            definitions: status.consign.definitions.clone(),
            written: status.consign.written.clone(),
            steps: steps(promotion),
        }
    }

    /// Its freight, as people call it.
    fn freight_text(&self) -> &str {
        if self.alias.is_empty() { words::short(self.freight.as_str()) } else { &self.alias }
    }
}

/// The steps of a promotion, those that were not reached included.
pub fn steps(promotion: &Promotion) -> Vec<StepOutcome> {
    let metadata = &promotion.status.step_execution_metadata;
    let of = |step: &crate::model::PromotionStep| {
        let reached = metadata.iter().find(|entry| entry.alias == step.alias);
        StepOutcome {
            alias: step.alias.clone(),
            kind: step.uses.clone(),
            status: reached.and_then(|entry| entry.status),
            message: reached.map(|entry| entry.message.clone()).unwrap_or_default(),
        }
    };
    promotion.spec.steps.iter().map(of).collect()
}

impl History {
    /// For people.
    pub fn text(&self, now: Timestamp) -> String {
        if self.promotions.is_empty() {
            return "no promotions yet\n".into();
        }
        let rows: Vec<Vec<String>> = self
            .promotions
            .iter()
            .map(|promotion| {
                let when = promotion.finished_at.or(promotion.started_at).or(promotion.created_at);
                let message = if promotion.phase == PromotionPhase::Succeeded { String::new() } else { words::one_line(&promotion.message, 60) };
                vec![
                    when.map(|at| format!("{} ago", words::ago(now, at))).unwrap_or_default(),
                    promotion.stage.to_string(),
                    promotion.freight_text().to_owned(),
                    words::phase(promotion.phase).to_owned(),
                    promotion.name.to_string(),
                    message,
                ]
            })
            .collect();
        table(&["WHEN", "STAGE", "FREIGHT", "PHASE", "PROMOTION", ""], &rows)
    }
}

/// The document `logs --format json` prints.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Logs {
    /// `Promotion` or `Verification`.
    pub kind: &'static str,
    /// Its name or id.
    pub name: String,
    /// The project.
    pub project: ProjectName,
    /// The stage.
    pub stage: StageName,
    /// Where it stands.
    pub phase: String,
    /// What it says.
    pub message: String,
    /// Steps of a promotion.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepOutcome>,
    /// What tools and jobs printed; empty: nothing.
    pub log: String,
}

impl Logs {
    /// For people.
    pub fn text(&self) -> String {
        let message = if self.message.is_empty() { String::new() } else { format!(": {}", words::one_line(&self.message, 200)) };
        let mut text = format!("{} {} in {}: {}{message}\n", self.kind.to_lowercase(), self.name, self.stage, self.phase);
        if !self.steps.is_empty() {
            let rows: Vec<Vec<String>> = self
                .steps
                .iter()
                .map(|step| {
                    let status = step.status.map_or("-", crate::model::StepStatus::as_str);
                    vec![step.alias.clone(), step.kind.clone(), status.to_owned(), words::one_line(&step.message, 120)]
                })
                .collect();
            let _ = write!(text, "\n{}", table(&["STEP", "KIND", "STATUS", ""], &rows));
        }
        if !self.log.is_empty() {
            let _ = write!(text, "\n{}", self.log);
            if !self.log.ends_with('\n') {
                text.push('\n');
            }
        }
        text
    }
}
