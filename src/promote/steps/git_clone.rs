//! `git-clone`: checks out commits of a repository into folders of the workspace.

use serde_json::{Map, Value, json};

use super::config::{self, GitCheckout, GitCloneConfig};
use crate::diagnostic::Failure;
use crate::promote::step::{Effect, Step, StepResult, StepRun};
use crate::promote::workspace::{CheckOut, Identity, Revision};

/// The step.
pub struct GitClone;

#[async_trait::async_trait]
impl Step for GitClone {
    fn kind(&self) -> &'static str {
        "git-clone"
    }

    fn schema(&self) -> Value {
        config::schema::<GitCloneConfig>()
    }

    fn effect(&self, config: &Value) -> Effect {
        // A branch that is created is pushed at once.
        let creates = config["checkout"].as_array().is_some_and(|all| all.iter().any(|one| one["create"] != Value::Null && one["create"] != false));
        if creates { Effect::Refs(config["repoURL"].as_str().map(str::to_owned)) } else { Effect::None }
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: GitCloneConfig = config::read(config)?;
        let revisions: Vec<Revision> = config.checkout.iter().map(revision).collect();
        run.workspace.discard(run.alias).map_err(|error| {
            Failure::new(crate::diagnostic::FailureKind::Tool, "cannot remove what an earlier attempt checked out").caused_by(error)
        })?;
        run.workspace.fetch(&config.repo_url, &revisions).await?;
        let author = config.author.as_ref().map(|author| Identity { name: author.name.clone(), email: author.email.clone() });
        let mut commits = Map::new();
        for (checkout, revision) in config.checkout.iter().zip(&revisions) {
            let path = run.workspace.follow(&checkout.path).await?;
            let what = CheckOut { url: &config.repo_url, path: &path, revision, sparse: checkout.sparse.as_deref(), author: author.clone() };
            let made = run.workspace.check_out(run.alias, what, run.started_at).await?;
            match made {
                Ok(commit) => commits.insert(checkout.key().to_owned(), json!(commit.to_string())),
                Err(problem) => return Ok(StepResult::errored(format!("cannot check out `{}`: {problem}", checkout.path))),
            };
            if config.recurse_submodules && run.workspace.has_submodules(&path)? {
                return Ok(StepResult::errored(format!(
                    "`{}` has submodules, which are not checked out yet; remove `recurseSubmodules`",
                    config.repo_url
                )));
            }
        }
        Ok(StepResult::output(json!({"commits": commits})))
    }
}

fn revision(checkout: &GitCheckout) -> Revision {
    if !checkout.branch.is_empty() {
        Revision::Branch { name: checkout.branch.clone(), create: checkout.create }
    } else if !checkout.commit.is_empty() {
        Revision::Commit(checkout.commit.clone())
    } else if !checkout.tag.is_empty() {
        Revision::Tag(checkout.tag.clone())
    } else {
        Revision::Default
    }
}
