//! `json-update`: sets values of a JSON file and keeps everything else in it.

use serde_json::Value;

use super::config::{self, StepConfig, JsonUpdateConfig};
use super::{files, structured};
use crate::diagnostic::Failure;
use crate::edit::json;
use crate::promote::step::{Effect, Step, StepResult, StepRun};

/// The `json-update` step.
pub struct JsonUpdate;

#[async_trait::async_trait]
impl Step for JsonUpdate {
    fn kind(&self) -> &'static str {
        JsonUpdateConfig::KIND
    }

    fn schema(&self) -> Value {
        config::schema::<JsonUpdateConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: JsonUpdateConfig = config::read(config)?;
        files::settle(structured::update(run.workspace, &config.path, config.updates, json::update, |_, update| Ok(json::shown(&update.value))).await)
    }
}
