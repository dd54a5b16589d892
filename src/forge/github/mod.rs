//! Pull requests on GitHub and GitHub Enterprise, through octocrab.
//!
//! | file | what it knows |
//! | --- | --- |
//! | `api` | one request: token, time limits, repeated reads, rate limits |
//! | `operations` | one method and one error type per REST operation |
//! | this one | what to do when the answer to a write was lost: look before trying again |

mod api;
mod operations;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use api::Api;
use api::{ATTEMPTS, CallError, pause};
use operations::{MergeError, OpenError, Pull};

use super::{Forge, Merge, NewPullRequest, Opening, PullRequest};
use crate::diagnostic::{Failure, FailureKind};
use crate::git::{Credential, RemoteUrl, Secret};

/// How long one listing of open pull requests answers for all who wait.
const LISTING_AGE: Duration = Duration::from_secs(15);
/// How often we look again while GitHub has not yet worked out whether a pull request can be merged.
const LOOKS: u32 = 4;

/// A repository on a GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Host, lower-case.
    pub host: String,
    /// Owner, as written.
    pub owner: String,
    /// Name, as written.
    pub name: String,
}

impl Repository {
    /// Reads it from the URL of a repository; None: it has not the form `host/owner/name`.
    pub fn parse(repo_url: &str) -> Option<Self> {
        let url = RemoteUrl::parse(repo_url, false).ok()?;
        let (_, rest) = url.key().split_once("://")?;
        let mut parts = rest.split('/');
        let (host, owner, name) = (parts.next()?, parts.next()?, parts.next()?);
        let simple = |part: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !part.is_empty() && part != "." && part != ".." && part.chars().all(plain)
        };
        (parts.next().is_none() && simple(owner) && simple(name)).then(|| Self {
            host: host.to_owned(),
            owner: owner.to_owned(),
            name: name.to_owned(),
        })
    }
}

/// What says who we are to a repository; asked before every request, so that a token may be renewed while we run.
pub type TokenLookup = Arc<dyn Fn() -> Option<Credential> + Send + Sync>;

/// What was listed, and when.
type Taken = (Instant, Result<Vec<Pull>, Failure>);

/// The open pull requests of a repository, as one listing found them; or why there is none, so that a GitHub that is down is waited for
/// once and not by everybody in turn.
#[derive(Default)]
pub struct Listing {
    taken: tokio::sync::Mutex<Option<Taken>>,
}

/// The pull requests of one repository on GitHub.
pub struct GitHub {
    api: Arc<Api>,
    repository: Repository,
    credential: TokenLookup,
    listing: Arc<Listing>,
}

impl GitHub {
    /// The pull requests of a repository, by the API of its GitHub. The listing is shared by all who wait in one tick.
    pub fn new(api: Arc<Api>, repository: Repository, credential: TokenLookup, listing: Arc<Listing>) -> Self {
        Self { api, repository, credential, listing }
    }

    fn path(&self) -> String {
        format!("/repos/{}/{}", self.repository.owner, self.repository.name)
    }

    fn token(&self) -> Result<Secret, CallError> {
        (self.credential)().map(|credential| credential.password).ok_or_else(|| CallError::Unauthorized("there is no token any more".to_owned()))
    }

    fn failure(&self, doing: &str, error: CallError) -> Failure {
        let name = format!("{}/{}", self.repository.owner, self.repository.name);
        error.into_failure(&format!("{doing} `{name}`"), &name)
    }

    /// The open pull request of one head between two branches; the newest, if people have opened several.
    async fn open_one(&self, new: &NewPullRequest) -> Result<Option<Pull>, CallError> {
        // Two of one pair of branches cannot be open at once, so the newest is the one.
        Ok(self.list(&new.source_branch, &new.target_branch, "open").await?.into_iter().find(Pull::is_open))
    }

    /// Sets labels, again while the server is unwell: setting one twice does nothing.
    async fn label(&self, number: u64, labels: &[String]) -> Result<(), CallError> {
        if labels.is_empty() {
            return Ok(());
        }
        let mut tried = 0;
        loop {
            tried += 1;
            match self.add_labels(number, labels).await {
                Err(error) if error.is_unclear() && tried < ATTEMPTS => pause(tried).await,
                other => return other,
            }
        }
    }

    async fn create_or_adopt(&self, new: &NewPullRequest) -> Result<Result<Pull, String>, CallError> {
        let mut tried = 0;
        loop {
            tried += 1;
            match self.create(new).await {
                Ok(pull) => return Ok(Ok(pull)),
                Err(OpenError::Exists(message)) => return Ok(self.open_one(new).await?.ok_or(message)),
                Err(OpenError::Invalid(message)) => return Ok(Err(message)),
                Err(OpenError::Call(error)) if error.is_unclear() => {
                    pause(tried).await;
                    if let Some(pull) = self.open_one(new).await? {
                        return Ok(Ok(pull));
                    }
                    // Should the first have landed after all, GitHub says that it exists.
                    if tried >= ATTEMPTS {
                        return Err(error);
                    }
                }
                Err(OpenError::Call(error)) => return Err(error),
            }
        }
    }

    /// A pull request, once GitHub has worked out whether it can be merged.
    async fn settled(&self, number: u64) -> Result<Option<Pull>, CallError> {
        let mut looked = 0;
        loop {
            looked += 1;
            let pull = self.pull(number).await?;
            let unknown = |pull: &Pull| pull.is_open() && pull.mergeable_state.as_deref().is_none_or(|state| state == "unknown");
            if looked >= LOOKS || !pull.as_ref().is_some_and(unknown) {
                return Ok(pull);
            }
            pause(looked + 1).await;
        }
    }

    async fn try_merge(&self, number: u64, method: Option<&str>) -> Result<Merge, CallError> {
        let mut tried = 0;
        loop {
            tried += 1;
            let Some(pull) = self.settled(number).await? else { return Ok(Merge::Impossible("there is no such pull request".to_owned())) };
            if pull.merged_at.is_some() {
                return Ok(Merge::Merged(pull.into()));
            }
            if !pull.is_open() {
                return Ok(Merge::Impossible("it is closed".to_owned()));
            }
            if pull.draft == Some(true) {
                return Ok(Merge::NotReady("it is a draft".to_owned()));
            }
            match pull.mergeable_state.as_deref() {
                Some("dirty") => return Ok(Merge::Impossible("it conflicts with its target".to_owned())),
                None | Some("unknown") => return Ok(Merge::NotReady("GitHub is still working out whether it can be merged".to_owned())),
                // `blocked` and `behind` are tried: an account may be allowed to all the same.
                Some(_) => {}
            }
            match self.merge_pull(number, &pull.head.sha, method).await {
                Ok(sha) => {
                    let request = PullRequest::from(pull);
                    return Ok(Merge::Merged(PullRequest { open: false, merged: true, merge_commit: sha, ..request }));
                }
                // Somebody may have merged it between our look and our try: another look says so.
                Err(MergeError::NotReady(_)) if tried == 1 && self.pull(number).await?.is_some_and(|pull| pull.merged_at.is_some()) => {}
                Err(MergeError::NotReady(why)) => return Ok(Merge::NotReady(why)),
                Err(MergeError::NotAllowed(why)) => return Ok(Merge::Impossible(why)),
                Err(MergeError::Call(error)) if error.is_unclear() && tried < ATTEMPTS => pause(tried).await,
                Err(MergeError::Call(error)) => return Err(error),
            }
        }
    }
}

#[async_trait::async_trait]
impl Forge for GitHub {
    async fn find(&self, source_branch: &str, target_branch: &str) -> Result<Vec<PullRequest>, Failure> {
        let found = self.list(source_branch, target_branch, "all").await;
        found.map(|pulls| pulls.into_iter().map(PullRequest::from).collect()).map_err(|error| self.failure("list the pull requests of", error))
    }

    async fn open(&self, new: &NewPullRequest) -> Result<Opening, Failure> {
        let pull = match self.create_or_adopt(new).await.map_err(|error| self.failure("open a pull request in", error))? {
            Ok(pull) => pull,
            Err(why) => return Ok(Opening::Impossible(why)),
        };
        // A label that cannot be set is no reason to lose sight of a pull request that is open.
        if let Err(error) = self.label(pull.number, &new.labels).await {
            tracing::warn!(target: "consign::forge", number = pull.number, "cannot label a pull request: {error}");
        }
        Ok(Opening::Opened(pull.into()))
    }

    async fn get(&self, number: u64) -> Result<Option<PullRequest>, Failure> {
        let doing = "read the pull requests of";
        {
            let mut taken = self.listing.taken.lock().await;
            let (_, listing) = match taken.take().filter(|(at, _)| at.elapsed() < LISTING_AGE) {
                Some(recent) => taken.insert(recent),
                None => {
                    let listing = self.list_open().await.map_err(|error| self.failure(doing, error));
                    taken.insert((Instant::now(), listing))
                }
            };
            match listing {
                Ok(pulls) => {
                    if let Some(pull) = pulls.iter().find(|pull| pull.number == number) {
                        return Ok(Some(pull.clone().into()));
                    }
                }
                Err(failure) => {
                    return Err(Failure { kind: failure.kind, message: failure.message.clone(), hints: failure.hints.clone(), source: None });
                }
            }
        }
        self.pull(number).await.map(|pull| pull.map(PullRequest::from)).map_err(|error| self.failure(doing, error))
    }

    async fn merge(&self, number: u64, method: Option<&str>) -> Result<Merge, Failure> {
        if let Some(method) = method.filter(|method| !matches!(*method, "merge" | "squash" | "rebase")) {
            return Ok(Merge::Impossible(format!("`{method}` is no way to merge on GitHub; use `merge`, `squash` or `rebase`")));
        }
        self.try_merge(number, method).await.map_err(|error| match error {
            CallError::NotFound(message) => Failure::new(
                FailureKind::Refused,
                format!("cannot merge pull request {number} of `{}/{}`: {message}", self.repository.owner, self.repository.name),
            )
            .hint("give its token the permission `contents: write`"),
            error => self.failure("merge a pull request of", error),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_repository_is_read_from_every_form_of_its_url() {
        for url in
            ["https://github.com/Acme/app.git", "git@github.com:Acme/app", "ssh://git@github.com/Acme/app.git", "https://bot@GitHub.com/Acme/app/"]
        {
            let repository = Repository::parse(url).unwrap();
            assert_eq!((repository.host.as_str(), repository.owner.as_str(), repository.name.as_str()), ("github.com", "Acme", "app"), "{url}");
        }
        for url in ["https://github.com/acme", "https://github.com/a/b/c", "https://github.com/a/b?x", "https://github.com/../b", ""] {
            assert_eq!(Repository::parse(url), None, "{url}");
        }
    }
}
