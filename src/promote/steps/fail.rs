//! `fail`: ends the promotion.

use serde_json::Value;

use super::config::{self, FailConfig, StepConfig};
use crate::diagnostic::Failure;
use crate::promote::step::{Effect, Step, StepResult, StepRun};

/// The `fail` step.
pub struct Fail;

#[async_trait::async_trait]
impl Step for Fail {
    fn kind(&self) -> &'static str {
        FailConfig::KIND
    }

    fn schema(&self) -> Value {
        config::schema::<FailConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    fn needs_files(&self) -> bool {
        false
    }

    async fn run(&self, _run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: FailConfig = config::read(config)?;
        Ok(StepResult::failed(config.message.map_or_else(|| "failed".to_owned(), |message| format!("failed: {message}"))))
    }
}
