//! Stages: promotion targets with a recipe, and what they hold.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    FreightCollection, FreightName, GoDuration, Metadata, Origin, OriginKey, PromotionName, PromotionStatus, PromotionStep, StageName, Variable,
    null_is_default,
};

/// A Stage resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stage {
    /// Name and project.
    pub metadata: Metadata,
    /// The recipe.
    pub spec: StageSpec,
    /// What it holds.
    pub status: StageStatus,
}

impl Stage {
    /// The stage's name.
    pub fn name(&self) -> StageName {
        StageName::new(self.metadata.name.as_str())
    }

    /// Whether the stage only passes freight on: it has no steps, is never promoted to, and verifies whatever becomes available to it.
    pub fn is_control_flow(&self) -> bool {
        self.spec.promotion_template.as_ref().is_none_or(|template| template.spec.steps.is_empty())
    }
}

/// `spec` of a Stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StageSpec {
    /// Variables of steps and verification arguments.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub vars: Vec<Variable>,
    /// One slot per origin.
    #[serde(deserialize_with = "null_is_default")]
    pub requested_freight: Vec<FreightRequest>,
    /// The steps; absent or empty: a control-flow stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion_template: Option<PromotionTemplate>,
    /// What runs after a promotion before its freight counts as verified; absent: it counts at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// Target selectors, kept as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<Value>,
}

/// A slot for freight of one origin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FreightRequest {
    /// The origin.
    pub origin: Origin,
    /// Where freight may come from.
    pub sources: FreightSources,
}

/// `sources` of a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FreightSources {
    /// Straight from the warehouse.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub direct: bool,
    /// From these stages, once verified there.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub stages: Vec<StageName>,
    /// How long it must have been in an upstream stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required_soak_time: Option<GoDuration>,
    /// One or all of `stages`.
    #[serde(skip_serializing_if = "AvailabilityStrategy::is_default")]
    pub availability_strategy: AvailabilityStrategy,
    /// How auto-promotion picks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_promotion_options: Option<AutoPromotionOptions>,
}

/// Whether one verifying upstream stage is enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AvailabilityStrategy {
    /// Any one.
    #[default]
    #[serde(alias = "")]
    OneOf,
    /// Every one.
    All,
}

impl AvailabilityStrategy {
    fn is_default(&self) -> bool {
        *self == Self::OneOf
    }
}

/// `autoPromotionOptions` of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AutoPromotionOptions {
    /// Which available freight is picked.
    pub selection_policy: SelectionPolicy,
}

/// Which available freight auto-promotion picks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SelectionPolicy {
    /// The newest.
    #[default]
    #[serde(alias = "")]
    NewestFreight,
    /// Whatever the one upstream stage holds now.
    MatchUpstream,
}

/// `spec.promotionTemplate`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PromotionTemplate {
    /// Its body.
    pub spec: PromotionTemplateSpec,
}

/// Body of a promotion template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PromotionTemplateSpec {
    /// Variables; win over the stage's.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub vars: Vec<Variable>,
    /// Steps and references to tasks.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub steps: Vec<PromotionStep>,
}

/// `spec.verification`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Verification {
    /// Templates whose metrics run together.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub analysis_templates: Vec<AnalysisTemplateReference>,
    /// Labels and annotations of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis_run_metadata: Option<Metadata>,
    /// Arguments; values are templates.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub args: Vec<Variable>,
}

/// A reference to an AnalysisTemplate or ClusterAnalysisTemplate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AnalysisTemplateReference {
    /// Its name.
    pub name: String,
    /// `AnalysisTemplate` (also when empty) or `ClusterAnalysisTemplate`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
}

/// `status` of a Stage: our record of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StageStatus {
    /// What it held, newest first, at most ten; the first entry is current.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub freight_history: Vec<FreightCollection>,
    /// The promotion that may run now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_promotion: Option<PromotionReference>,
    /// The newest processed terminal promotion, with a copy of its status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_promotion: Option<PromotionReference>,
    /// Health as last observed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// What blocks auto-promotion, by origin.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub auto_promotion_holds: BTreeMap<OriginKey, Hold>,
    /// Written by the `set-metadata` step.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty", deserialize_with = "null_is_default")]
    pub metadata: serde_json::Map<String, Value>,
}

impl StageStatus {
    /// What the stage holds now.
    pub fn current_freight(&self) -> Option<&FreightCollection> {
        self.freight_history.first()
    }
}

/// A stage's pointer to a promotion.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PromotionReference {
    /// The promotion's name.
    pub name: PromotionName,
    /// Its freight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freight: Option<super::FreightReference>,
    /// Its status when it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<PromotionStatus>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// Health of a stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Health {
    /// The verdict.
    pub status: HealthState,
    /// What is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub issues: Vec<String>,
}

/// Verdicts of health, from best to worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HealthState {
    /// Everything that was checked is well; also when nothing is checked.
    Healthy,
    /// There is nothing to check.
    NotApplicable,
    /// On its way.
    Progressing,
    /// Not known.
    #[default]
    Unknown,
    /// Broken.
    Unhealthy,
}

/// What blocks auto-promotion of one origin to a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hold {
    /// The freight that was promoted on purpose; empty for a hold by hand.
    #[serde(skip_serializing_if = "FreightName::is_empty")]
    pub freight_name: FreightName,
    /// The origin.
    pub origin: Origin,
    /// The promotion that caused it.
    #[serde(skip_serializing_if = "PromotionName::is_empty")]
    pub promotion_name: PromotionName,
    /// Who.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub actor: String,
    /// Why; ours.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
}
