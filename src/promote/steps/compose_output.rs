//! `compose-output`: gives its configuration out.

use serde_json::Value;

use super::config::{self, ComposeOutputConfig, StepConfig};
use crate::diagnostic::Failure;
use crate::promote::step::{Effect, Step, StepResult, StepRun};

/// The `compose-output` step.
pub struct ComposeOutput;

#[async_trait::async_trait]
impl Step for ComposeOutput {
    fn kind(&self) -> &'static str {
        ComposeOutputConfig::KIND
    }

    fn schema(&self) -> Value {
        config::schema::<ComposeOutputConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    fn needs_files(&self) -> bool {
        false
    }

    async fn run(&self, _run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let ComposeOutputConfig(outputs) = config::read(config)?;
        Ok(StepResult::output(Value::Object(outputs)))
    }
}
