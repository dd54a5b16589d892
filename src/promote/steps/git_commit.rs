//! `git-commit`: commits what differs in a checkout.

use serde_json::{Value, json};

use super::config::{self, GitCommitConfig};
use crate::diagnostic::Failure;
use crate::promote::step::{Effect, Step, StepResult, StepRun};
use crate::promote::workspace::Identity;

/// The step.
pub struct GitCommit;

#[async_trait::async_trait]
impl Step for GitCommit {
    fn kind(&self) -> &'static str {
        "git-commit"
    }

    fn schema(&self) -> Value {
        config::schema::<GitCommitConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: GitCommitConfig = config::read(config)?;
        let path = run.workspace.follow(&config.path).await?;
        let Some((checkout, _)) = run.workspace.checkout_of(&path) else { return Ok(super::not_a_checkout(&config.path)) };
        let head = checkout.head();
        if config.message.trim().is_empty() {
            return Ok(StepResult::errored("the commit message is empty"));
        }
        let author = config.author.as_ref().map(|author| Identity { name: author.name.clone(), email: author.email.clone() });
        Ok(match run.workspace.commit(run.alias, &path, author.as_ref(), run.started_at, &config.message).await? {
            None => super::not_a_checkout(&config.path),
            Some(Some(commit)) => StepResult::output(json!({"commit": commit.to_string()})),
            // Nothing to commit below the path; Kargo calls that an error if something else in the checkout has changed.
            Some(None) => StepResult { status: crate::model::StepStatus::Skipped, ..StepResult::output(json!({"commit": head.to_string()})) },
        })
    }
}
