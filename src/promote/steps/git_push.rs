//! `git-push`: pushes a checkout's commits or a tag.

use serde_json::{Map, Value, json};

use super::config::{self, GitPushConfig};
use crate::diagnostic::Failure;
use crate::forge::{Provider, RepositoryAddress};
use crate::promote::step::{Effect, Step, StepResult, StepRun};
use crate::promote::workspace::{NotPushed, PushTarget};

/// The step.
pub struct GitPush;

#[async_trait::async_trait]
impl Step for GitPush {
    fn kind(&self) -> &'static str {
        "git-push"
    }

    fn schema(&self) -> Value {
        config::schema::<GitPushConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        // Which remote that is hangs on the step that cloned it.
        Effect::Refs(None)
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: GitPushConfig = config::read(config)?;
        let path = run.workspace.follow(&config.path).await?;
        let Some((checkout, _)) = run.workspace.checkout_of(&path) else { return Ok(super::not_a_checkout(&config.path)) };
        let target = if config.generate_target_branch {
            // The name is the promotion's own, so whatever is there is from an earlier attempt of it.
            PushTarget::Branch { name: format!("kargo/promotion/{}", run.promotion), force: true }
        } else if !config.tag.is_empty() {
            PushTarget::Tag(config.tag.clone())
        } else {
            let current = checkout.branch().unwrap_or_default();
            let name = if config.target_branch.is_empty() { current } else { &config.target_branch };
            if name.is_empty() {
                return Ok(StepResult::errored(format!("`{}` is on no branch; name one in `targetBranch`", config.path)));
            }
            PushTarget::Branch { name: name.to_owned(), force: config.force }
        };
        let pushed = match run.workspace.push(run.alias, &path, &target, config.max_attempts, run.started_at).await? {
            None => return Ok(super::not_a_checkout(&config.path)),
            Some(Ok(pushed)) => pushed,
            Some(Err(NotPushed::Errored(problem))) => return Ok(StepResult::errored(problem)),
            Some(Err(NotPushed::Conflict(paths))) => return Ok(StepResult::failed(format!("merge conflict in `{}`", paths.join("`, `")))),
        };
        let mut output = Map::from_iter([("branch".to_owned(), json!(pushed.branch)), ("commit".to_owned(), json!(pushed.commit.to_string()))]);
        let address = RepositoryAddress::parse(&pushed.url);
        let provider = config.provider.map(Provider::from).or_else(|| address.as_ref().and_then(RepositoryAddress::provider));
        if let Some(url) = address.zip(provider).and_then(|(address, provider)| provider.commit_url(&address, &pushed.commit.to_string())) {
            output.insert("commitURL".into(), json!(url));
        }
        Ok(StepResult::output(Value::Object(output)))
    }
}
