//! `git-merge-pr`: merges a pull request.

use std::time::Duration;

use serde_json::{Value, json};

use super::config::{self, GitMergePrConfig};
use crate::diagnostic::Failure;
use crate::forge::{Merge, Provider};
use crate::model::StepStatus;
use crate::promote::step::{Effect, Step, StepResult, StepRun};

/// The step.
pub struct GitMergePr;

#[async_trait::async_trait]
impl Step for GitMergePr {
    fn kind(&self) -> &'static str {
        "git-merge-pr"
    }

    fn schema(&self) -> Value {
        config::schema::<GitMergePrConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::Outside
    }

    fn needs_files(&self) -> bool {
        false
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: GitMergePrConfig = config::read(config)?;
        let forge = run.doors.forge(&config.repo_url, config.provider.map(Provider::from))?;
        Ok(match run.workspace.outside(forge.merge(config.pr_number, config.merge_method.as_deref())).await? {
            Merge::Merged(request) => StepResult::output(json!({"commit": request.merge_commit, "prNumber": request.number})),
            Merge::NotReady(why) if config.wait => StepResult {
                message: format!("waits until pull request {} can be merged: {why}", config.pr_number),
                retry_after: Some(config.poll_interval.map_or(Duration::from_secs(10), |interval| interval.unsigned())),
                ..StepResult::with_status(StepStatus::Running)
            },
            Merge::NotReady(why) => {
                StepResult::failed(format!("pull request {} cannot be merged yet: {why}; set `wait: true` to wait", config.pr_number))
            }
            Merge::Impossible(why) => StepResult::failed(format!("pull request {} cannot be merged: {why}", config.pr_number)),
        })
    }
}
