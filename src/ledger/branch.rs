//! The doorway to Git: one branch of one remote, as the ledger needs it.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::diagnostic::Failure;
use crate::git::Oid;

/// One branch of one remote, behind a store that may not hold every blob yet.
///
/// Reads are local and never go to the network; what is missing is fetched in batches by [`prefetch`](Self::prefetch).
#[async_trait::async_trait]
pub trait Branch: Send + Sync {
    /// The full name of the ref, such as `refs/heads/consign/state`.
    fn name(&self) -> &str;

    /// Looks at the remote: the branch's tip, or None if there is no such branch. The commit and its trees are then in the store.
    ///
    /// # Errors
    /// Remote or Refused, as the store says.
    async fn fetch(&self) -> Result<Option<Oid>, Failure>;

    /// Fetches these blobs in one batch; ones that are here already cost nothing.
    ///
    /// # Errors
    /// Remote or Refused, as the store says.
    async fn prefetch(&self, blobs: &[Oid]) -> Result<(), Failure>;

    /// Makes the whole history of the branch readable: every commit and tree, not the blobs.
    ///
    /// # Errors
    /// Remote or Refused, as the store says.
    async fn deepen(&self) -> Result<(), Failure>;

    /// Reads a commit; None if it is not in the store (beyond the history that was fetched).
    ///
    /// # Errors
    /// Internal, if the store is damaged.
    fn commit(&self, id: Oid) -> Result<Option<BranchCommit>, Failure>;

    /// The entries of a tree, in Git's order.
    ///
    /// # Errors
    /// Internal, if the store is damaged.
    fn entries(&self, tree: Oid) -> Result<Vec<TreeEntry>, Failure>;

    /// Whether a blob is in the store.
    fn has_blob(&self, id: Oid) -> bool;

    /// Reads a blob; None if it has to be [prefetched](Self::prefetch) first.
    ///
    /// # Errors
    /// Internal, if the store is damaged.
    fn blob(&self, id: Oid) -> Result<Option<Vec<u8>>, Failure>;

    /// Writes a commit on `parent` (None: a root commit) with these edits of its tree: path to new content, None to remove. Nothing leaves
    /// the machine. The same input gives the same id.
    ///
    /// # Errors
    /// Internal, if the store cannot be written; Config, if signing fails.
    fn write_commit(&self, parent: Option<Oid>, edits: &[(String, Option<Vec<u8>>)], message: &str, at: Timestamp) -> Result<Oid, Failure>;

    /// Moves the remote branch to `new` if it is still at `expected` (None: if it does not exist).
    ///
    /// # Errors
    /// Whatever is not an answer of the remote about this ref: the outcome is then unknown.
    async fn push(&self, new: Oid, expected: Option<Oid>) -> Result<Pushed, Failure>;

    /// Of these commits the first that no trusted key has signed.
    ///
    /// # Errors
    /// Tool, if signatures cannot be checked.
    async fn first_untrusted(&self, commits: &[Oid], trusted_keys: &[String]) -> Result<Option<Oid>, Failure>;

    /// A folder for what can be made again from the branch, kept between processes and used by one at a time; None: there is none.
    fn cache_folder(&self) -> Option<PathBuf>;

    /// The commit up to which trust was established under this key by an earlier run, if the store remembers.
    fn trusted_until(&self, key: &str) -> Option<Oid>;

    /// Remembers it, as well as the store can; forgetting only costs time.
    fn trust_until(&self, key: &str, commit: Oid);
}

/// A commit, as far as the ledger looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchCommit {
    /// Its tree.
    pub tree: Oid,
    /// Its parents.
    pub parents: Vec<Oid>,
    /// Its whole message.
    pub message: String,
    /// When it was made, in seconds of the Unix epoch.
    pub seconds: i64,
}

/// An entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// Name within its folder.
    pub name: String,
    /// The object.
    pub id: Oid,
    /// Whether it is a folder.
    pub is_tree: bool,
}

/// The remote's answer to a push.
#[derive(Debug)]
pub enum Pushed {
    /// The branch is where we want it.
    Landed,
    /// The branch has moved; nothing was changed.
    Lost,
    /// The remote refuses for good (protection, ruleset, hook).
    Refused(Failure),
}
