//! What expressions of steps and verifications see: the bridge from records to the expression language.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use super::view::View;
use crate::expr::{Context, Secrets};
use crate::model::{FreightName, FreightReference, Project, Promotion, StageName};
use crate::promote::expressions::Evaluator;
use crate::promote::step::Records;

/// What all evaluations of a project share.
#[derive(Clone, Debug)]
pub struct Shared {
    base: Context,
    project: String,
    ui_base_url: String,
    aliases: BTreeMap<FreightName, String>,
}

impl Shared {
    /// For a project as it stands.
    pub fn new(project: &Project, view: &View, secrets: &Secrets, shared_secrets: &Secrets, ui_base_url: &str, now: Timestamp) -> Self {
        let mut base = Context::default();
        base.warehouses = Arc::new(project.warehouses.clone());
        base.freight_status = Arc::new(view.freight.iter().map(|freight| (freight.name(), freight.status.clone())).collect());
        base.stage_metadata = Arc::new(view.stages.iter().map(|(name, status)| (name.clone(), status.metadata.clone())).collect());
        base.secrets = secrets.clone();
        base.shared_secrets = shared_secrets.clone();
        base.config_maps = Arc::new(project.config_maps.clone());
        base.shared_config_maps = Arc::new(project.shared_config_maps.clone());
        base.now = now;
        Self {
            base: base.with_own_revealed(),
            project: project.name.to_string(),
            ui_base_url: ui_base_url.to_owned(),
            aliases: view.freight.iter().map(|freight| (freight.name(), freight.alias.clone())).collect(),
        }
    }

    /// Values of secrets that were read so far, to mask them.
    pub fn revealed(&self) -> Vec<String> {
        self.base.revealed()
    }

    /// The expressions of one promotion.
    pub fn evaluator(&self, project: &Project, promotion: &Promotion) -> Evaluator {
        let stage = project.stages.get(&promotion.spec.stage);
        let requested = stage.map(|stage| stage.spec.requested_freight.iter().map(|request| request.origin.name.clone()).collect());
        Evaluator {
            base: self.base.clone(),
            project: self.project.clone(),
            ui_base_url: self.ui_base_url.clone(),
            freight_alias: self.aliases.get(&promotion.spec.freight).cloned().unwrap_or_default(),
            requested: requested.unwrap_or_default(),
        }
    }

    /// The context of a verification: what a stage holds, and which freight brought it there.
    pub fn verification(&self, stage: &StageName, freight: Vec<FreightReference>, target: Option<&FreightReference>) -> Context {
        let mut context = self.base.clone();
        let target = target.map(|target| {
            json!({
                "name": target.name,
                "alias": self.aliases.get(&target.name).cloned().unwrap_or_default(),
                "origin": {"name": target.origin.name},
            })
        });
        context.set_ctx(&json!({"project": self.project, "stage": stage, "targetFreight": target}));
        context.requested = freight.iter().map(|freight| freight.origin.name.clone()).collect();
        context.freight = freight.into();
        context
    }
}

/// The records of a project as steps read them.
#[derive(Debug)]
pub struct ProjectRecords<'a>(pub &'a View);

impl Records for ProjectRecords<'_> {
    fn stage_metadata(&self, stage: &StageName) -> Option<serde_json::Map<String, serde_json::Value>> {
        self.0.stages.get(stage).map(|status| status.metadata.clone())
    }
    fn freight_metadata(&self, freight: &FreightName) -> Option<serde_json::Map<String, serde_json::Value>> {
        self.0.freight.iter().find(|known| known.metadata.name == freight.as_str()).map(|known| known.status.metadata.clone())
    }
    fn freight_alias(&self, freight: &FreightName) -> Option<String> {
        self.0.freight.iter().find(|known| known.metadata.name == freight.as_str()).map(|known| known.alias.clone())
    }
    fn freight_by_alias(&self, alias: &str) -> Option<FreightName> {
        self.0.freight.iter().find(|known| known.alias == alias).map(crate::model::Freight::name)
    }
}
