//! What exists upstream: one file per kind of source.
//!
//! [`git`] selects commits from a store that has been fetched; it goes to no network itself.

pub mod git;
mod message;
pub mod paths;

use jiff::Timestamp;

/// Why a subscription finds nothing. Warehouses show it; the other warehouses go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// The branch is not there.
    #[error("`{repo_url}` has no branch `{branch}`")]
    NoBranch {
        /// The repository.
        repo_url: String,
        /// The branch.
        branch: String,
    },
    /// There is no default branch, or it has no commit yet.
    #[error("`{repo_url}` has no default branch with a commit; push one, or name a `branch`")]
    NoDefaultBranch {
        /// The repository.
        repo_url: String,
    },
    /// A field that Kargo no longer reads.
    #[error("`{field}` is no longer supported; write `{instead}`")]
    RemovedField {
        /// The field.
        field: &'static str,
        /// What to write.
        instead: &'static str,
    },
    /// A regular expression, glob or constraint that does not compile.
    #[error("`{pattern}` in `{field}` is not valid: {problem}")]
    BadPattern {
        /// The field.
        field: &'static str,
        /// As written.
        pattern: String,
        /// What is wrong.
        problem: String,
    },
    /// The filter expression does not compile.
    #[error("`expressionFilter` is not valid: {problem}")]
    BadExpression {
        /// What is wrong.
        problem: String,
    },
    /// The filter expression failed on a candidate.
    #[error("`expressionFilter` fails on {candidate}: {problem}")]
    Expression {
        /// The commit or tag.
        candidate: String,
        /// What is wrong.
        problem: String,
    },
    /// The history that was fetched ends before the answer: fetch more and ask again.
    #[error("commit `{commit}` has not been fetched")]
    NotFetched {
        /// The commit, or the tree or tag on the way to it.
        commit: String,
    },
    /// An object cannot be read.
    #[error("object `{object}` cannot be read: {problem}")]
    Damaged {
        /// The object.
        object: String,
        /// What is wrong.
        problem: String,
    },
}

/// A moment with the zone it was written in, as commits and tags record it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Date {
    /// The moment.
    pub timestamp: Timestamp,
    /// Seconds east of UTC.
    pub offset: i32,
}

/// What an `expressionFilter` sees of a commit or tag. Texts are whole, not cut as in freight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Full commit id.
    pub id: String,
    /// The tag; None on branches.
    pub tag: Option<String>,
    /// The commit's date on branches, the creator date of tags.
    pub date: Date,
    /// `Name <email>`.
    pub author: String,
    /// `Name <email>`.
    pub committer: String,
    /// The commit message's first paragraph in one line.
    pub subject: String,
    /// `Name <email>` of an annotated tag's tagger; otherwise empty.
    pub tagger: String,
    /// First paragraph of an annotated tag's message in one line; otherwise empty.
    pub annotation: String,
}

/// Which variables a filter expression sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterSite {
    /// `id`, `commitDate`, `author`, `committer`, `subject`.
    Commit,
    /// `tag`, `id`, `creatorDate`, `author`, `committer`, `subject`, `tagger`, `annotation`.
    Tag,
}

/// A compiled filter expression; the error says why it fails on a candidate.
pub type Filter = Box<dyn Fn(&Candidate) -> Result<bool, String> + Send + Sync>;

/// Compiles filter expressions; the `expr` room provides it.
pub type CompileFilter<'a> = dyn Fn(FilterSite, &str) -> Result<Filter, String> + 'a;
