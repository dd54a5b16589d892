//! `git-clear`: takes everything away from a checkout that is not ignored.

use serde_json::Value;

use super::config::{self, GitClearConfig};
use crate::diagnostic::Failure;
use crate::promote::step::{Effect, Step, StepResult, StepRun};

/// The step.
pub struct GitClear;

#[async_trait::async_trait]
impl Step for GitClear {
    fn kind(&self) -> &'static str {
        "git-clear"
    }

    fn schema(&self) -> Value {
        config::schema::<GitClearConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: GitClearConfig = config::read(config)?;
        let path = run.workspace.follow(&config.path).await?;
        Ok(match run.workspace.clear(&path).await? {
            Some(()) => StepResult::succeeded(),
            None => super::not_a_checkout(&config.path),
        })
    }
}
