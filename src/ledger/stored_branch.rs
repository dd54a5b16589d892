//! The ledger's branch in a [`Store`].

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use crate::diagnostic::{Failure, FailureKind};
use crate::git::{CommitSpec, EntryKind, ObjectError, Oid, RefOutcome, RefPattern, RefUpdate, Signature, Signer, Store, TreeEdit};

use super::branch::{Branch, BranchCommit, Pushed, TreeEntry};

/// Who makes the ledger's commits.
#[derive(Clone, Debug)]
pub struct Author {
    /// Name.
    pub name: String,
    /// Email address.
    pub email: String,
    /// Signs them; None: unsigned.
    pub signer: Option<Signer>,
}

/// A branch of one remote, read and written through its store.
pub struct StoredBranch {
    store: Arc<Store>,
    reference: String,
    pattern: RefPattern,
    author: Author,
}

impl StoredBranch {
    /// The branch by its name (`consign/state`) or full ref name.
    ///
    /// # Errors
    /// Config, for a name that no branch can have.
    pub fn new(store: Arc<Store>, branch: &str, author: Author) -> Result<Self, Failure> {
        let reference = if branch.starts_with("refs/") { branch.to_owned() } else { format!("refs/heads/{branch}") };
        if reference.contains('*') {
            return Err(Failure::new(FailureKind::Config, format!("`{branch}` is no branch name")).hint("set `ledger.branch` in `consign.yaml`"));
        }
        Ok(Self { store, pattern: RefPattern::new(&*reference)?, reference, author })
    }

    /// What to fetch of the remote: a tick fetches it together with everything else.
    pub fn pattern(&self) -> &RefPattern {
        &self.pattern
    }

    /// The branch's tip as of the last fetch.
    pub fn tip(&self) -> Option<Oid> {
        self.store.tip(&self.reference)
    }

    /// The update that moves the branch, for a push together with other refs of its remote.
    pub fn update(&self, committed: &super::Committed) -> RefUpdate {
        RefUpdate::forward(&*self.reference, committed.expected, committed.tip)
    }

    fn trust_file(&self, key: &str) -> PathBuf {
        self.store.folder().join(format!("consign-trusted-{key}"))
    }
}

/// None for an object that is not in the store.
fn present<T>(read: Result<T, ObjectError>) -> Result<Option<T>, Failure> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(ObjectError::Missing(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[async_trait::async_trait]
impl Branch for StoredBranch {
    fn name(&self) -> &str {
        &self.reference
    }

    async fn fetch(&self) -> Result<Option<Oid>, Failure> {
        self.store.fetch(std::slice::from_ref(&self.pattern)).await?;
        Ok(self.tip())
    }

    async fn prefetch(&self, blobs: &[Oid]) -> Result<(), Failure> {
        self.store.prefetch(blobs).await.map(drop)
    }

    async fn deepen(&self) -> Result<(), Failure> {
        self.store.deepen(std::slice::from_ref(&self.pattern), None).await
    }

    fn commit(&self, id: Oid) -> Result<Option<BranchCommit>, Failure> {
        let commit = present(self.store.commit(id))?;
        Ok(commit.map(|commit| BranchCommit {
            tree: commit.tree,
            parents: commit.parents,
            message: commit.message,
            seconds: commit.committer.time.as_second(),
        }))
    }

    fn entries(&self, tree: Oid) -> Result<Vec<TreeEntry>, Failure> {
        let children = self.store.children(tree, "")?.unwrap_or_default();
        Ok(children.into_iter().map(|entry| TreeEntry { name: entry.path, id: entry.oid, is_tree: entry.kind == EntryKind::Folder }).collect())
    }

    fn has_blob(&self, id: Oid) -> bool {
        self.store.has(id)
    }

    fn blob(&self, id: Oid) -> Result<Option<Vec<u8>>, Failure> {
        present(self.store.blob(id))
    }

    fn write_commit(&self, parent: Option<Oid>, edits: &[(String, Option<Vec<u8>>)], message: &str, at: Timestamp) -> Result<Oid, Failure> {
        let base = match parent {
            Some(parent) => self.store.commit(parent)?.tree,
            None => Oid::empty_tree(),
        };
        let mut changes = Vec::with_capacity(edits.len());
        for (path, content) in edits {
            changes.push(match content {
                Some(bytes) => TreeEdit::Put { path: path.clone(), kind: EntryKind::File, oid: self.store.write_blob(bytes)? },
                None => TreeEdit::Remove { path: path.clone() },
            });
        }
        let signature = Signature::new(&*self.author.name, &*self.author.email, at);
        let spec = CommitSpec {
            tree: self.store.edit_tree(base, &changes)?,
            parents: parent.into_iter().collect(),
            author: signature.clone(),
            committer: signature,
            message,
            signer: self.author.signer.as_ref(),
        };
        Ok(self.store.write_commit(&spec)?)
    }

    async fn push(&self, new: Oid, expected: Option<Oid>) -> Result<Pushed, Failure> {
        let mut outcome = self.store.push(&[RefUpdate::forward(&*self.reference, expected, new)]).await?;
        Ok(match outcome.refs.remove(&self.reference) {
            Some(RefOutcome::Updated) => Pushed::Landed,
            Some(RefOutcome::Refused(why)) => Pushed::Refused(refused(&self.reference, &why, &outcome.said)),
            Some(RefOutcome::Stale(_) | RefOutcome::Bystander) | None => Pushed::Lost,
        })
    }

    async fn first_untrusted(&self, commits: &[Oid], trusted_keys: &[String]) -> Result<Option<Oid>, Failure> {
        self.store.first_unsigned(commits, trusted_keys).await
    }

    fn cache_folder(&self) -> Option<PathBuf> {
        Some(self.store.folder().to_owned())
    }

    fn trusted_until(&self, key: &str) -> Option<Oid> {
        std::fs::read_to_string(self.trust_file(key)).ok()?.trim().parse().ok()
    }

    fn trust_until(&self, key: &str, commit: Oid) {
        if let Err(error) = std::fs::write(self.trust_file(key), format!("{commit}\n")) {
            tracing::debug!(target: "consign::ledger", "cannot remember which commits were checked: {error}");
        }
    }
}

/// A ledger that we may not write, in the remote's words.
fn refused(reference: &str, why: &str, said: &[String]) -> Failure {
    let words = said.join("; ");
    let words = if words.is_empty() { why.to_owned() } else { format!("{why}: {words}") };
    Failure::new(FailureKind::Refused, format!("the remote refuses the push to the ledger `{reference}`: {words}"))
        .hint("let the identity that runs consign push to this branch: make it a bypass actor of the ruleset that protects it")
}
