//! The REST operations that are used, one method and one error type each.

use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::GitHub;
use super::api::CallError;
use crate::forge::{NewPullRequest, PullRequest};

/// Most on one page.
const PER_PAGE: usize = 100;
/// Pages that are read of one listing.
const MAX_PAGES: usize = 10;
/// GitHub refuses longer texts; in characters.
const MAX_TITLE: usize = 256;
const MAX_BODY: usize = 65_536;

/// A pull request, as much of it as is used. Fields that one answer has and another has not are optional.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Pull {
    pub number: u64,
    pub html_url: String,
    pub state: String,
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    #[serde(default)]
    pub merged_at: Option<Timestamp>,
    #[serde(default)]
    pub merge_commit_sha: Option<String>,
    pub head: Side,
    pub base: Side,
    #[serde(default)]
    pub draft: Option<bool>,
    #[serde(default)]
    pub mergeable_state: Option<String>,
}

/// One side of a pull request.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Side {
    #[serde(rename = "ref")]
    pub branch: String,
    pub sha: String,
}

impl Pull {
    pub fn is_open(&self) -> bool {
        self.state == "open"
    }
}

impl From<Pull> for PullRequest {
    fn from(pull: Pull) -> Self {
        let merged = pull.merged_at.is_some();
        Self {
            number: pull.number,
            open: pull.is_open(),
            merged,
            // Of an open pull request it is a commit made for trying the merge.
            merge_commit: pull.merge_commit_sha.filter(|_| merged).unwrap_or_default(),
            url: pull.html_url,
            source_branch: pull.head.branch,
            target_branch: pull.base.branch,
            head: pull.head.sha,
            opened_at: pull.created_at.map_or(0, Timestamp::as_second),
        }
    }
}

/// Why no pull request was opened.
#[derive(Debug)]
pub(super) enum OpenError {
    /// One between these branches is open.
    Exists(String),
    /// It is not valid: no commits between the branches, a branch that is not there.
    Invalid(String),
    Call(CallError),
}

/// Why a pull request was not merged.
#[derive(Debug)]
pub(super) enum MergeError {
    /// It is not mergeable now: checks, reviews, a target that moved.
    NotReady(String),
    /// The repository or the method does not allow it.
    NotAllowed(String),
    Call(CallError),
}

/// How GitHub answers to a merge.
#[derive(Debug, Deserialize)]
struct MergeResult {
    sha: String,
}

impl GitHub {
    /// Pull requests between two branches of the repository.
    /// <https://docs.github.com/en/rest/pulls/pulls#list-pull-requests>
    pub(super) async fn list(&self, source: &str, target: &str, state: &str) -> Result<Vec<Pull>, CallError> {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("state", state)
            .append_pair("head", &format!("{}:{source}", self.repository.owner))
            .append_pair("base", target)
            .append_pair("sort", "created")
            .append_pair("direction", "desc")
            .finish();
        let mut pulls = self.pages(&query).await?;
        // A `head` that GitHub does not understand it leaves out.
        pulls.retain(|pull| pull.head.branch == source && pull.base.branch == target);
        Ok(pulls)
    }

    /// All open pull requests of the repository.
    /// <https://docs.github.com/en/rest/pulls/pulls#list-pull-requests>
    pub(super) async fn list_open(&self) -> Result<Vec<Pull>, CallError> {
        self.pages("state=open&sort=created&direction=desc").await
    }

    async fn pages(&self, query: &str) -> Result<Vec<Pull>, CallError> {
        let mut pulls: Vec<Pull> = Vec::new();
        for page in 1..=MAX_PAGES {
            let path = format!("{}/pulls?{query}&per_page={PER_PAGE}&page={page}", self.path());
            let part: Vec<Pull> = self.api.read(&self.token()?, &path).await?;
            let last = part.len() < PER_PAGE;
            pulls.extend(part);
            if last {
                break;
            }
        }
        Ok(pulls)
    }

    /// A pull request; None: there is none of this number.
    /// <https://docs.github.com/en/rest/pulls/pulls#get-a-pull-request>
    pub(super) async fn pull(&self, number: u64) -> Result<Option<Pull>, CallError> {
        match self.api.read(&self.token()?, &format!("{}/pulls/{number}", self.path())).await {
            Ok(pull) => Ok(Some(pull)),
            Err(CallError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens a pull request.
    /// <https://docs.github.com/en/rest/pulls/pulls#create-a-pull-request>
    pub(super) async fn create(&self, new: &NewPullRequest) -> Result<Pull, OpenError> {
        let body = json!({
            "title": bounded(&new.title, MAX_TITLE, "…"),
            "head": new.source_branch,
            "base": new.target_branch,
            "body": bounded(&new.description, MAX_BODY, "\n\n*The rest does not fit here.*"),
        });
        let token = self.token().map_err(OpenError::Call)?;
        self.api.write(&token, Method::POST, &format!("{}/pulls", self.path()), &body).await.map_err(|error| match error {
            CallError::Other { status: 422, message } if message.contains("already exists") => OpenError::Exists(message),
            CallError::Other { status: 422, message } => OpenError::Invalid(message),
            error => OpenError::Call(error),
        })
    }

    /// Adds labels to a pull request; those it has stay. May be repeated.
    /// <https://docs.github.com/en/rest/issues/labels#add-labels-to-an-issue>
    pub(super) async fn add_labels(&self, number: u64, labels: &[String]) -> Result<(), CallError> {
        let path = format!("{}/issues/{number}/labels", self.path());
        let _: serde_json::Value = self.api.write(&self.token()?, Method::POST, &path, &json!({ "labels": labels })).await?;
        Ok(())
    }

    /// Merges a pull request if its head is the one given; gives the commit that the target has then.
    /// <https://docs.github.com/en/rest/pulls/pulls#merge-a-pull-request>
    pub(super) async fn merge_pull(&self, number: u64, head: &str, method: Option<&str>) -> Result<String, MergeError> {
        let mut body = json!({ "sha": head });
        if let Some(method) = method {
            body["merge_method"] = json!(method);
        }
        let token = self.token().map_err(MergeError::Call)?;
        let merged: Result<MergeResult, CallError> =
            self.api.write(&token, Method::PUT, &format!("{}/pulls/{number}/merge", self.path()), &body).await;
        merged.map(|merged| merged.sha).map_err(|error| match error {
            // "Squash merges are not allowed on this repository."
            CallError::Other { status: 405, message } if message.contains("not allowed") => MergeError::NotAllowed(message),
            CallError::Other { status: 405, message } => MergeError::NotReady(message),
            CallError::Other { status: 409, message } => MergeError::NotReady(message),
            CallError::Other { status: 422, message } => MergeError::NotAllowed(message),
            error => MergeError::Call(error),
        })
    }
}

/// A text of at most so many characters, with a note in place of what was cut.
fn bounded(text: &str, limit: usize, note: &str) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let kept: String = text.chars().take(limit.saturating_sub(note.chars().count())).collect();
    format!("{kept}{note}")
}
