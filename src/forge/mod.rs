//! Pull requests, wherever they live: GitHub, or plain Git.
//!
//! A [`Directory`] knows which forge a repository is on; with the [`plain`] proposals of one promotion it becomes the [`Forges`] that the
//! promotion's steps ask. A forge that says no for good is an answer, not a failure: the step records it. A failure means that the forge could
//! not be asked, or does not know us.

mod address;
pub mod directory;
mod github;
pub mod plain;

use std::sync::Arc;

pub use address::{Provider, RepositoryAddress};
pub use directory::{Directory, Rule, RuleKind, RuleLookup};

use crate::diagnostic::Failure;

/// A pull request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Its page; for plain Git a text that names it.
    pub url: String,
    /// Branch with the change.
    pub source_branch: String,
    /// Branch it should go to.
    pub target_branch: String,
    /// Commit at the head of the source branch.
    pub head: String,
    /// Whether it is open; a draft is.
    pub open: bool,
    /// Whether it was merged.
    pub merged: bool,
    /// What its merge made of the target branch; empty: unknown, or not merged.
    pub merge_commit: String,
    /// When it was opened, in seconds since 1970; orders those of one head.
    pub opened_at: i64,
}

/// A pull request to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewPullRequest {
    /// Branch with the change.
    pub source_branch: String,
    /// Commit at its head.
    pub head: String,
    /// Branch it should go to.
    pub target_branch: String,
    /// Commit that branch stands at for the promotion, which may have made it in this tick; empty: as the remote has it.
    pub base: String,
    /// First line.
    pub title: String,
    /// The rest; Markdown.
    pub description: String,
    /// Labels.
    pub labels: Vec<String>,
    /// Whether the description was written by the user for this step: then nothing is added to it.
    pub is_described: bool,
    /// The promotion it belongs to.
    pub promotion: String,
}

/// Adds to the descriptions of pull requests that a promotion opens.
#[async_trait::async_trait]
pub trait Describe: Send + Sync {
    /// The whole description of a pull request that is about to be opened.
    ///
    /// # Errors
    /// Why nothing can be said; the pull request is opened as it is.
    async fn describe(&self, repo_url: &str, new: &NewPullRequest) -> Result<String, Failure>;
}

/// What came of an attempt to open a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It is open, by us or before.
    Opened(PullRequest),
    /// The forge does not take it: why.
    Impossible(String),
}

/// What came of an attempt to merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merge {
    /// It is merged, now or before.
    Merged(PullRequest),
    /// Not yet: why.
    NotReady(String),
    /// Never: why.
    Impossible(String),
}

/// The pull requests of one repository.
#[async_trait::async_trait]
pub trait Forge: Send + Sync {
    /// Pull requests from one branch to another, open and closed.
    ///
    /// # Errors
    /// Remote or Refused, if the forge cannot be asked.
    async fn find(&self, source_branch: &str, target_branch: &str) -> Result<Vec<PullRequest>, Failure>;

    /// Opens a pull request, or adopts the open one between the same branches.
    ///
    /// # Errors
    /// Remote or Refused, if the forge cannot be asked or does not know us.
    async fn open(&self, new: &NewPullRequest) -> Result<Opening, Failure>;

    /// A pull request; None: there is none of this number.
    ///
    /// # Errors
    /// Remote or Refused, if the forge cannot be asked.
    async fn get(&self, number: u64) -> Result<Option<PullRequest>, Failure>;

    /// Tries once to merge a pull request; `method` is the forge's word for how.
    ///
    /// # Errors
    /// Remote or Refused, if the forge cannot be asked.
    async fn merge(&self, number: u64, method: Option<&str>) -> Result<Merge, Failure>;
}

/// Finds the forge of a repository.
pub trait Forges: Send + Sync {
    /// The forge of a repository, by its URL, a rule of the settings, or what a step says it is.
    ///
    /// # Errors
    /// Config, if nobody knows what the forge is; Refused, if there is no credential for it.
    fn forge(&self, repo_url: &str, provider: Option<Provider>) -> Result<Arc<dyn Forge>, Failure>;

    /// Whether pull requests of a repository are plain-git proposals: opening one then writes the ledger only, and looking at one reads
    /// refs only, so neither is an effect outside of Git.
    fn is_plain(&self, repo_url: &str, provider: Option<Provider>) -> bool;
}
