//! What expressions of a promotion's steps see, put together for the expression language.

use std::sync::Arc;

use serde_json::{Value, json};

use super::engine::{Expressions, Scope};
use super::step::{RecordChange, set_metadata};
use crate::expr::{self, Context, Site};
use crate::model::{Promotion, WarehouseName};

/// Annotation with the person who created a promotion, as Kargo writes it.
pub const ACTOR_ANNOTATION: &str = "kargo.akuity.io/create-actor";
/// Annotation of a promotion that is a rollback, as Kargo writes it.
pub const ROLLBACK_ANNOTATION: &str = "kargo.akuity.io/rollback";

/// The expression language for one promotion's tick.
#[derive(Clone, Debug)]
pub struct Evaluator {
    /// What does not hang on the step: `target`, secrets, ConfigMaps, records of freight and stages as of this tick.
    pub base: Context,
    /// The project.
    pub project: String,
    /// `ctx.uiBaseUrl`.
    pub ui_base_url: String,
    /// Alias of the promoted freight as of this tick.
    pub freight_alias: String,
    /// Origins that the stage requests.
    pub requested: Vec<WarehouseName>,
}

impl Evaluator {
    /// Everything a step sees, its variables aside.
    fn context(&self, scope: &Scope<'_>) -> Context {
        let mut context = self.base.clone();
        context.set_ctx(&self.ctx(scope.promotion, &scope.step.alias));
        context.set_outputs(scope.outputs);
        context.set_step_metas(scope.metadata.to_vec());
        context.freight = scope.freight.into();
        context.requested = self.requested.as_slice().into();
        context.warehouses = Arc::new(scope.warehouses.clone());
        for change in scope.changes {
            match change {
                RecordChange::StageMetadata { stage, values } => {
                    set_metadata(Arc::make_mut(&mut context.stage_metadata).entry(stage.clone()).or_default(), values);
                }
                RecordChange::FreightMetadata { freight, values } => {
                    set_metadata(&mut Arc::make_mut(&mut context.freight_status).entry(freight.clone()).or_default().metadata, values);
                }
                // Seen from the next tick on, as in Kargo.
                RecordChange::FreightAlias { .. } => {}
            }
        }
        context
    }

    fn ctx(&self, promotion: &Promotion, alias: &str) -> Value {
        let freight = promotion.status.freight.as_ref();
        json!({
            "uiBaseUrl": self.ui_base_url,
            "project": self.project,
            "stage": promotion.spec.stage,
            "promotion": promotion.metadata.name,
            "targetFreight": {
                "name": promotion.spec.freight,
                "alias": self.freight_alias,
                "origin": {"name": freight.map(|freight| freight.origin.name.as_str()).unwrap_or_default()},
            },
            "meta": {
                "promotion": {
                    "actor": actor(promotion),
                    "rollback": promotion.metadata.annotations.get(ROLLBACK_ANNOTATION).is_some_and(|value| value == "true"),
                },
                "step": {"alias": alias},
            },
        })
    }

    /// The context of `if` and `config`: variables of the promotion, then those of the step, each seeing what comes before it.
    fn with_vars(&self, scope: &Scope<'_>) -> Result<Context, String> {
        let mut context = self.context(scope);
        context.vars = expr::evaluate_vars(&scope.promotion.spec.vars, Site::PromotionVar, &context).map_err(|error| error.to_string())?;
        context.vars = expr::evaluate_vars(&scope.step.vars, Site::StepVar, &context).map_err(|error| error.to_string())?;
        Ok(context)
    }
}

impl Expressions for Evaluator {
    fn condition(&self, scope: Scope<'_>, template: &str) -> Result<bool, String> {
        expr::condition(template, &self.with_vars(&scope)?).map_err(|error| error.to_string())
    }

    fn config(&self, scope: Scope<'_>, config: &Value) -> Result<Value, String> {
        expr::render_config(config, Site::Config, &self.with_vars(&scope)?).map_err(|error| error.to_string())
    }

    fn masked(&self) -> Vec<String> {
        self.base.revealed()
    }
}

/// The person who created a promotion: what follows the first `:` of its annotation; nobody for automatic promotions.
pub fn actor(promotion: &Promotion) -> &str {
    let recorded = promotion.metadata.annotations.get(ACTOR_ANNOTATION).map(String::as_str).unwrap_or_default();
    recorded.split_once(':').map_or("", |(_, person)| person)
}
