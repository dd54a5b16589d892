//! A project: everything `config` read for one namespace, resolved and checked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{AnalysisTemplate, Freight, Metadata, ProjectName, PromotionTask, Stage, StageName, TaskKind, Warehouse, WarehouseName, null_is_default};

/// All definitions of one project.
#[derive(Clone, Debug, Default)]
pub struct Project {
    /// Its name: the namespace of its resources.
    pub name: ProjectName,
    /// Its ProjectConfig, if there is one.
    pub config: Option<ProjectConfig>,
    /// Warehouses by name.
    pub warehouses: BTreeMap<WarehouseName, Warehouse>,
    /// Stages by name.
    pub stages: BTreeMap<StageName, Stage>,
    /// Tasks by scope and name: the project's own, those of the cluster, and the built-in ones.
    pub tasks: BTreeMap<(TaskKind, String), PromotionTask>,
    /// Freight written by hand.
    pub freight: Vec<Freight>,
    /// AnalysisTemplates by name.
    pub analysis_templates: BTreeMap<String, AnalysisTemplate>,
    /// ClusterAnalysisTemplates by name.
    pub cluster_analysis_templates: BTreeMap<String, AnalysisTemplate>,
    /// `data` of the project's ConfigMaps, by name.
    pub config_maps: BTreeMap<String, BTreeMap<String, String>>,
    /// `data` of the ConfigMaps of the shared namespace, by name.
    pub shared_config_maps: BTreeMap<String, BTreeMap<String, String>>,
    /// Targets by name, as written.
    pub targets: BTreeMap<String, Target>,
}

/// A Target: labels for selectors and parameters for steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Target {
    /// Name, project, labels.
    pub metadata: Metadata,
    /// Its body.
    pub spec: TargetSpec,
}

/// `spec` of a Target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TargetSpec {
    /// Read as `target.params.<key>`.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty", deserialize_with = "null_is_default")]
    pub params: serde_json::Map<String, Value>,
}

/// A ProjectConfig resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectConfig {
    /// Its name is the project's.
    pub metadata: Metadata,
    /// Policies and links.
    pub spec: ProjectConfigSpec,
}

/// `spec` of a ProjectConfig.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectConfigSpec {
    /// Who may be auto-promoted; the first match wins.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub promotion_policies: Vec<PromotionPolicy>,
    /// Promotion windows, as written.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub promotion_windows: Vec<Value>,
    /// Links shown with freight.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub freight_links: Vec<Value>,
    /// Links shown with stages.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub stage_links: Vec<Value>,
}

/// One entry of `promotionPolicies`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PromotionPolicy {
    /// Exact stage name (old form).
    #[serde(skip_serializing_if = "StageName::is_empty")]
    pub stage: StageName,
    /// Which stages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage_selector: Option<StageSelector>,
    /// The switch.
    pub auto_promotion_enabled: bool,
    /// Auto-rollback, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_rollback: Option<Value>,
}

/// Selects stages by name pattern and labels; both given: both must match; neither: everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StageSelector {
    /// Exact name, or `glob:`, `regex:`, `regexp:` and a pattern.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Labels that must be equal.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub match_labels: BTreeMap<String, String>,
    /// Conditions on labels.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub match_expressions: Vec<LabelRequirement>,
}

/// One condition on a label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelRequirement {
    /// The label.
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`.
    pub operator: String,
    /// Values of `In` and `NotIn`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub values: Vec<String>,
}
