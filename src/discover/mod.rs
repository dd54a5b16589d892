//! What exists upstream: one file per kind of source.
//!
//! [`git`] selects commits from a store that has been fetched; it goes to no network itself.

mod filter;
pub mod git;
mod message;
pub mod paths;

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
