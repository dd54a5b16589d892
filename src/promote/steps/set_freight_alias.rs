//! `set-freight-alias`: gives a freight another alias.

use serde_json::Value;

use super::config::{self, SetFreightAliasConfig, StepConfig};
use crate::diagnostic::Failure;
use crate::model::FreightName;
use crate::promote::step::{Effect, RecordChange, Step, StepResult, StepRun};

/// The `set-freight-alias` step.
pub struct SetFreightAlias;

#[async_trait::async_trait]
impl Step for SetFreightAlias {
    fn kind(&self) -> &'static str {
        SetFreightAliasConfig::KIND
    }

    fn schema(&self) -> Value {
        config::schema::<SetFreightAliasConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    fn needs_files(&self) -> bool {
        false
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let SetFreightAliasConfig { name, alias } = config::read(config)?;
        let freight = FreightName::new(name.as_str());
        let Some(old) = run.records.freight_alias(&freight) else {
            return Ok(StepResult::failed(format!("there is no freight `{name}` in project `{}`", run.project)));
        };
        if let Some(other) = run.records.freight_by_alias(&alias).filter(|other| *other != freight) {
            return Ok(StepResult::failed(format!("alias `{alias}` is already used by freight `{other}` in project `{}`", run.project)));
        }
        Ok(StepResult {
            message: format!("updated alias of Freight `{name}` from `{old}` to `{alias}`"),
            changes: vec![RecordChange::FreightAlias { freight, alias }],
            ..StepResult::succeeded()
        })
    }
}
