//! `git-open-pr`: opens a pull request, or adopts the one that is there.

use serde_json::{Value, json};

use super::config::{self, GitOpenPrConfig};
use crate::diagnostic::Failure;
use crate::forge::{NewPullRequest, Opening, Provider, PullRequest};
use crate::model::StepStatus;
use crate::promote::step::{Effect, Step, StepResult, StepRun};

/// The step.
pub struct GitOpenPr;

#[async_trait::async_trait]
impl Step for GitOpenPr {
    fn kind(&self) -> &'static str {
        "git-open-pr"
    }

    fn schema(&self) -> Value {
        config::schema::<GitOpenPrConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::Outside
    }

    fn needs_files(&self) -> bool {
        false
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: GitOpenPrConfig = config::read(config)?;
        // An earlier attempt may have opened it and failed afterwards.
        if let Some(previous) = run.outputs.get(run.alias).filter(|output| output["pr"]["id"].is_u64()) {
            return Ok(StepResult::output(previous.clone()));
        }
        let branches = run.workspace.compare_branches(&config.repo_url, &config.source_branch, &config.target_branch).await?;
        let Some(source) = branches.source else {
            return Ok(StepResult::errored(format!("source branch `{}` does not exist", config.source_branch)));
        };
        let forge = run.doors.forge(&config.repo_url, config.provider.map(Provider::from))?;
        let mut found = run.workspace.outside(forge.find(&config.source_branch, &config.target_branch)).await?;
        found.retain(|request| request.head == source.id.to_string() && (request.open || request.merged));
        // Open before merged, newest first.
        found.sort_by_key(|request| (!request.open, std::cmp::Reverse(request.opened_at), std::cmp::Reverse(request.number)));
        if let Some(request) = found.first() {
            return Ok(StepResult::output(output(request)));
        }
        let Some(target) = branches.target else {
            return Ok(StepResult::errored(format!("target branch `{}` does not exist", config.target_branch)));
        };
        if branches.equal {
            return Ok(StepResult { message: "the branches do not differ".into(), ..StepResult::with_status(StepStatus::Skipped) });
        }
        let (subject, body) = source.message.split_once('\n').unwrap_or((&source.message, ""));
        let mut description = match (&config.description, &config.title) {
            (Some(description), _) => description.clone(),
            (None, Some(_)) => source.message.trim_end().to_owned(),
            (None, None) => body.trim().to_owned(),
        };
        let ui = &run.doors.ui_base_url;
        if !ui.is_empty() {
            description.push_str(&format!("\n\n[View in Kargo UI]({ui}/project/{}/stage/{})", run.project, run.stage));
        }
        let new = NewPullRequest {
            is_described: config.description.is_some(),
            source_branch: config.source_branch,
            head: source.id.to_string(),
            target_branch: config.target_branch,
            base: target.id.to_string(),
            title: config.title.unwrap_or_else(|| subject.trim_end().to_owned()),
            description,
            labels: config.labels,
            promotion: run.promotion.to_string(),
        };
        Ok(match run.workspace.outside(forge.open(&new)).await? {
            Opening::Opened(request) => StepResult::output(output(&request)),
            Opening::Impossible(why) => StepResult::errored(format!("the pull request cannot be opened: {why}")),
        })
    }
}

/// `prNumber` is what older Kargo gave; public projects still read it.
fn output(request: &PullRequest) -> Value {
    json!({"pr": {"id": request.number, "url": request.url}, "prNumber": request.number})
}
