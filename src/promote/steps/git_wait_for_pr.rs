//! `git-wait-for-pr`: waits until a pull request is merged.

use std::time::Duration;

use serde_json::{Value, json};

use super::config::{self, GitWaitForPrConfig};
use crate::diagnostic::Failure;
use crate::forge::Provider;
use crate::model::StepStatus;
use crate::promote::step::{Effect, Step, StepResult, StepRun};

/// The step.
pub struct GitWaitForPr;

#[async_trait::async_trait]
impl Step for GitWaitForPr {
    fn kind(&self) -> &'static str {
        "git-wait-for-pr"
    }

    fn schema(&self) -> Value {
        config::schema::<GitWaitForPrConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        // It only looks, but the answer is the world's.
        Effect::Outside
    }

    fn needs_files(&self) -> bool {
        false
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: GitWaitForPrConfig = config::read(config)?;
        let forge = run.doors.forge(&config.repo_url, config.provider.map(Provider::from))?;
        let Some(request) = run.workspace.outside(forge.get(config.pr_number)).await? else {
            return Ok(StepResult::errored(format!("there is no pull request {} in `{}`", config.pr_number, config.repo_url)));
        };
        let mut output = json!({
            "pr": {"id": request.number, "url": request.url, "open": request.open, "merged": request.merged},
            "prNumber": request.number,
        });
        if !request.merge_commit.is_empty() {
            output["commit"] = json!(request.merge_commit);
        }
        Ok(if request.merged {
            StepResult::output(output)
        } else if request.open {
            StepResult {
                output: Some(output),
                message: format!("waits for pull request {} to be merged", request.number),
                retry_after: Some(config.poll_interval.map_or(Duration::from_secs(30), |interval| interval.unsigned())),
                ..StepResult::with_status(StepStatus::Running)
            }
        } else {
            StepResult { output: Some(output), ..StepResult::failed(format!("pull request {} was closed without being merged", request.number)) }
        })
    }
}
