//! `git-tag`: makes an annotated tag of a checkout's HEAD. It is not pushed.

use serde_json::{Value, json};

use super::config::{self, GitTagConfig};
use crate::diagnostic::Failure;
use crate::promote::step::{Effect, Step, StepResult, StepRun};

/// The step.
pub struct GitTag;

#[async_trait::async_trait]
impl Step for GitTag {
    fn kind(&self) -> &'static str {
        "git-tag"
    }

    fn schema(&self) -> Value {
        config::schema::<GitTagConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: GitTagConfig = config::read(config)?;
        let path = run.workspace.follow(&config.path).await?;
        Ok(match run.workspace.tag(&path, &config.tag, &config.message, config.force, run.started_at).await? {
            None => super::not_a_checkout(&config.path),
            Some(Ok(commit)) => StepResult::output(json!({"commit": commit.to_string()})),
            Some(Err(problem)) => StepResult::errored(problem),
        })
    }
}
