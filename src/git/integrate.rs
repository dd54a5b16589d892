//! Bringing our commits together with what others pushed meanwhile: by rebase or by merge, in the object store, without a working tree.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::commit::{CommitSpec, Signature, Signer};
use super::merge::Conflict;
use super::objects::Commit;
use super::oid::Oid;
use super::store::Store;
use crate::diagnostic::Failure;

/// What came of bringing two lines of history together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Integration {
    /// It worked; here is the tip. It is the other side's own tip when nothing of ours was left to add, and ours when they had nothing new.
    Done(Oid),
    /// A commit's changes do not fit.
    Conflict {
        /// The commit.
        commit: Oid,
        /// The paths.
        paths: BTreeMap<String, Conflict>,
    },
    /// The two share no history.
    Unrelated,
}

impl Store {
    /// Puts the commits that `tip` has and `onto` has not onto `onto`, oldest first, as `git rebase` does: authors, committers, messages and
    /// times stay, merges are left out, and so is a commit whose changes are there already. Equal inputs make equal commits.
    ///
    /// # Errors
    /// Remote or Refused, when contents of files that both changed cannot be fetched; Internal, when a commit is not here.
    pub async fn rebase(&self, tip: Oid, onto: Oid, signer: Option<&Signer>) -> Result<Integration, Failure> {
        if self.is_ancestor(onto, tip)? {
            return Ok(Integration::Done(tip));
        }
        let mut ours = self.own_commits(tip, onto)?;
        let mut at = onto;
        while let Some(commit) = ours.pop() {
            if commit.parents.len() > 1 {
                continue;
            }
            let before = match commit.parents.first() {
                Some(parent) => self.commit(*parent)?.tree,
                None => Oid::empty_tree(),
            };
            let current = self.commit(at)?.tree;
            let merged = self.merge_trees(before, current, commit.tree).await?;
            if !merged.conflicts.is_empty() {
                return Ok(Integration::Conflict { commit: commit.id, paths: merged.conflicts });
            }
            // One that was empty from the beginning is meant to be.
            if merged.tree == current && before != commit.tree {
                continue;
            }
            at = self.write_commit(&CommitSpec {
                tree: merged.tree,
                parents: vec![at],
                author: commit.author,
                committer: commit.committer,
                message: &commit.message,
                signer,
            })?;
        }
        Ok(Integration::Done(at))
    }

    /// Merges `theirs` into `ours` with a merge commit, unless one contains the other.
    ///
    /// # Errors
    /// Remote or Refused, when contents of files that both changed cannot be fetched; Internal, when a commit is not here.
    pub async fn merge_commits(
        &self,
        ours: Oid,
        theirs: Oid,
        by: &Signature,
        message: &str,
        signer: Option<&Signer>,
    ) -> Result<Integration, Failure> {
        let Some(base) = self.merge_base(ours, theirs)? else { return Ok(Integration::Unrelated) };
        if base == theirs {
            return Ok(Integration::Done(ours));
        }
        if base == ours {
            return Ok(Integration::Done(theirs));
        }
        let merged = self.merge_trees(self.commit(base)?.tree, self.commit(ours)?.tree, self.commit(theirs)?.tree).await?;
        if !merged.conflicts.is_empty() {
            return Ok(Integration::Conflict { commit: theirs, paths: merged.conflicts });
        }
        let spec = CommitSpec { tree: merged.tree, parents: vec![ours, theirs], author: by.clone(), committer: by.clone(), message, signer };
        Ok(Integration::Done(self.write_commit(&spec)?))
    }

    /// The commits that `tip` has and `other` has not: children before their parents.
    fn own_commits(&self, tip: Oid, other: Oid) -> Result<Vec<Commit>, Failure> {
        let mut own: Vec<Commit> = Vec::new();
        self.walk(&[tip], &[other], |commit| {
            own.push(commit);
            ControlFlow::Continue(())
        })?;
        // Commits of one second have no order by time.
        let mut children: BTreeMap<Oid, usize> = own.iter().map(|commit| (commit.id, 0)).collect();
        for parent in own.iter().flat_map(|commit| &commit.parents) {
            if let Some(count) = children.get_mut(parent) {
                *count += 1;
            }
        }
        let mut sorted = Vec::with_capacity(own.len());
        while let Some(next) = own.iter().position(|commit| children.get(&commit.id) == Some(&0)) {
            let commit = own.remove(next);
            for parent in &commit.parents {
                if let Some(count) = children.get_mut(parent) {
                    *count -= 1;
                }
            }
            sorted.push(commit);
        }
        Ok(sorted)
    }
}
