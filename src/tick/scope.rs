//! What expressions of steps and verifications see: the bridge from records to the expression language.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::view::View;
use crate::expr::{self, Context, Secrets, Site};
use crate::model::{FreightName, FreightReference, Project, Promotion, PromotionStep, StageName};
use crate::plan::holds;
use crate::promote::engine::{Expressions, Scope};
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

    /// The context of a verification: what a stage holds, and which freight brought it there.
    pub fn verification(&self, stage: &StageName, freight: Vec<FreightReference>, target: Option<&FreightReference>) -> Context {
        let mut context = self.base.clone();
        let target = target.map(|target| self.target(target));
        context.set_ctx(&json!({"project": self.project, "stage": stage, "targetFreight": target}));
        context.requested = freight.iter().map(|freight| freight.origin.name.clone()).collect();
        context.freight = freight.into();
        context
    }

    fn target(&self, target: &FreightReference) -> Value {
        json!({
            "name": target.name,
            "alias": self.aliases.get(&target.name).cloned().unwrap_or_default(),
            "origin": {"name": target.origin.name},
        })
    }

    /// What can be known before a promotion's first step: `ctx` and the variables, as far as they can be evaluated.
    pub fn early(&self, promotion: &Promotion, step: &PromotionStep) -> Context {
        let freight: Vec<FreightReference> = promotion.status.freight.iter().cloned().collect();
        let scope = Scope { promotion, step, outputs: &serde_json::Map::new(), metadata: &[], freight: &freight, warehouses: &BTreeMap::new(), records: &() };
        let mut context = self.context(&scope);
        for (variables, site) in [(&promotion.spec.vars, Site::PromotionVar), (&step.vars, Site::StepVar)] {
            for variable in variables {
                if let Ok(vars) = expr::evaluate_vars(std::slice::from_ref(variable), site, &context) {
                    context.vars = vars;
                }
            }
        }
        context
    }

    fn context(&self, scope: &Scope<'_>) -> Context {
        let mut context = self.base.clone();
        let promotion = scope.promotion;
        let actor = promotion.metadata.annotations.get(holds::ACTOR).map_or("", |actor| actor.split_once(':').map_or(actor.as_str(), |(_, name)| name));
        let target = promotion.status.freight.as_ref().map(|target| self.target(target));
        context.set_ctx(&json!({
            "uiBaseUrl": self.ui_base_url,
            "project": self.project,
            "stage": promotion.spec.stage,
            "promotion": promotion.metadata.name,
            "targetFreight": target,
            "meta": {
                "promotion": {"actor": actor, "rollback": promotion.metadata.annotations.get("kargo.akuity.io/rollback").is_some_and(|value| value == "true")},
                "step": {"alias": scope.step.alias},
            },
        }));
        context.set_outputs(scope.outputs);
        context.set_step_metas(scope.metadata.to_vec());
        context.freight = scope.freight.to_vec().into();
        context.requested = scope.freight.iter().map(|freight| freight.origin.name.clone()).collect();
        self.overlay(&mut context, scope.records);
        context
    }

    /// Metadata that earlier steps of the promotion have set is visible to later ones.
    fn overlay(&self, context: &mut Context, records: &dyn Records) {
        let stages: BTreeMap<_, _> = context.stage_metadata.keys().map(|stage| (stage.clone(), records.stage_metadata(stage).unwrap_or_default())).collect();
        if stages != *context.stage_metadata {
            context.stage_metadata = Arc::new(stages);
        }
        let mut freight = (*context.freight_status).clone();
        let mut changed = false;
        for (name, status) in &mut freight {
            if let Some(metadata) = records.freight_metadata(name)
                && metadata != status.metadata
            {
                status.metadata = metadata;
                changed = true;
            }
        }
        if changed {
            context.freight_status = Arc::new(freight);
        }
    }

    fn with_vars(&self, scope: &Scope<'_>) -> Result<Context, String> {
        let mut context = self.context(scope);
        context.vars = expr::evaluate_vars(&scope.promotion.spec.vars, Site::PromotionVar, &context).map_err(|error| error.to_string())?;
        context.vars = expr::evaluate_vars(&scope.step.vars, Site::StepVar, &context).map_err(|error| error.to_string())?;
        Ok(context)
    }
}

impl Expressions for Shared {
    fn condition(&self, scope: Scope<'_>, template: &str) -> Result<bool, String> {
        expr::condition(template, &self.with_vars(&scope)?).map_err(|error| error.to_string())
    }

    fn config(&self, scope: Scope<'_>, config: &Value) -> Result<Value, String> {
        expr::render_config(config, Site::Config, &self.with_vars(&scope)?).map_err(|error| error.to_string())
    }
}

/// The records of a project as steps read them.
#[derive(Debug)]
pub struct ProjectRecords<'a>(pub &'a View);

impl Records for ProjectRecords<'_> {
    fn stage_metadata(&self, stage: &StageName) -> Option<serde_json::Map<String, Value>> {
        self.0.stages.get(stage).map(|status| status.metadata.clone())
    }
    fn freight_metadata(&self, freight: &FreightName) -> Option<serde_json::Map<String, Value>> {
        self.0.freight.iter().find(|known| known.metadata.name == freight.as_str()).map(|known| known.status.metadata.clone())
    }
    fn freight_alias(&self, freight: &FreightName) -> Option<String> {
        self.0.freight.iter().find(|known| known.metadata.name == freight.as_str()).map(|known| known.alias.clone())
    }
    fn freight_by_alias(&self, alias: &str) -> Option<FreightName> {
        self.0.freight.iter().find(|known| known.alias == alias).map(crate::model::Freight::name)
    }
}

