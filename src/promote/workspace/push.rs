//! Bringing a checkout's commits to its remote: integration of what others pushed, and the push itself.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::path::PathBuf;

use jiff::Timestamp;

use super::changes::DifferenceKind;
use super::checkout::{Checkout, Identity};
use crate::diagnostic::{Failure, FailureKind};
use crate::git::{Commit, CommitSpec, Conflict, Oid, Signature, Signer};

/// How a checkout takes in what others pushed to the branch it is pushed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Integration {
    /// Our commits are made again on top of theirs.
    #[default]
    Rebase,
    /// Both histories are joined by a merge commit.
    Merge,
}

/// Why integration came to nothing; the checkout is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotIntegrated {
    /// Tracked files have changes that are not committed.
    Dirty(Vec<String>),
    /// The same lines were changed by both sides.
    Conflict(Vec<(String, Conflict)>),
    /// A merge of histories that have nothing in common.
    Unrelated,
}

/// Who integrates, and when.
#[derive(Clone, Copy, Debug)]
pub struct Committer<'a> {
    /// Who.
    pub identity: &'a Identity,
    /// When: from the promotion's record, so that repeating it makes the same commits.
    pub at: Timestamp,
    /// Signs commits.
    pub signer: Option<&'a Signer>,
}

impl Checkout {
    /// Tracked files with changes that are not committed.
    pub(super) async fn dirty(&self, others: &[PathBuf]) -> Result<Vec<String>, Failure> {
        let differences = self.differences("", others).await?;
        Ok(differences.into_iter().filter(|difference| difference.kind != DifferenceKind::New).map(|difference| difference.path).collect())
    }

    /// Takes in what stands at `tip`, so that HEAD descends from it. The folder follows; files that nobody committed stay.
    pub(super) async fn integrate(
        &mut self,
        tip: Oid,
        branch: &str,
        how: Integration,
        committer: Committer<'_>,
    ) -> Result<Result<(), NotIntegrated>, Failure> {
        let base = self.store.merge_base(self.head, tip)?;
        if base == Some(tip) {
            return Ok(Ok(()));
        }
        let head = if base == Some(self.head) {
            tip
        } else {
            match how {
                Integration::Rebase => match self.rebase(tip, committer).await? {
                    Ok(head) => head,
                    Err(conflicts) => return Ok(Err(NotIntegrated::Conflict(conflicts))),
                },
                Integration::Merge => {
                    let Some(base) = base else { return Ok(Err(NotIntegrated::Unrelated)) };
                    let (base, theirs) = (self.store.commit(base)?.tree, self.store.commit(tip)?.tree);
                    let merge = self.store.merge_trees(base, self.tree, theirs).await?;
                    if !merge.conflicts.is_empty() {
                        return Ok(Err(NotIntegrated::Conflict(merge.conflicts.into_iter().collect())));
                    }
                    // git leaves the name of the branch it is on out for the usual ones.
                    let into = match self.branch.as_deref() {
                        Some("main" | "master") => String::new(),
                        Some(current) => format!(" into {current}"),
                        None => " into HEAD".to_owned(),
                    };
                    let message = format!("Merge branch '{branch}' of {}{into}", self.url);
                    let who = signature(committer);
                    let spec = CommitSpec {
                        tree: merge.tree,
                        parents: vec![self.head, tip],
                        author: who.clone(),
                        committer: who,
                        message: &message,
                        signer: committer.signer,
                    };
                    self.store.write_commit(&spec)?
                }
            }
        };
        self.follow_head(head)?;
        Ok(Ok(()))
    }

    /// Makes the commits that HEAD has and `tip` has not again on top of `tip`, as `git rebase` does: merges are left out, and so is what
    /// comes to nothing.
    async fn rebase(&self, tip: Oid, committer: Committer<'_>) -> Result<Result<Oid, Vec<(String, Conflict)>>, Failure> {
        let mut onto = self.store.commit(tip)?;
        for commit in self.own_commits(tip)? {
            if commit.parents.len() > 1 {
                continue;
            }
            let base = match commit.parents.first() {
                Some(parent) => self.store.commit(*parent)?.tree,
                None => Oid::empty_tree(),
            };
            let merge = self.store.merge_trees(base, onto.tree, commit.tree).await?;
            if !merge.conflicts.is_empty() {
                return Ok(Err(merge.conflicts.into_iter().collect()));
            }
            if merge.tree == onto.tree && commit.tree != base {
                continue;
            }
            let spec = CommitSpec {
                tree: merge.tree,
                parents: vec![onto.id],
                author: commit.author.clone(),
                committer: signature(committer),
                message: &commit.message,
                signer: committer.signer,
            };
            onto = self.store.commit(self.store.write_commit(&spec)?)?;
        }
        Ok(Ok(onto.id))
    }

    /// The commits that HEAD has and `tip` has not, parents first.
    fn own_commits(&self, tip: Oid) -> Result<Vec<Commit>, Failure> {
        let mut own = Vec::new();
        self.store.walk(&[self.head], &[tip], |commit| {
            own.push(commit);
            ControlFlow::Continue(())
        })?;
        // Commits of one promotion have one time, so the order of the walk says nothing about who stands on whom.
        let mut sorted: Vec<Commit> = Vec::with_capacity(own.len());
        let mut done: HashSet<Oid> = HashSet::new();
        let names: HashSet<Oid> = own.iter().map(|commit| commit.id).collect();
        while !own.is_empty() {
            let (ready, waiting): (Vec<Commit>, Vec<Commit>) =
                own.into_iter().partition(|commit| commit.parents.iter().all(|parent| !names.contains(parent) || done.contains(parent)));
            if ready.is_empty() {
                return Err(Failure::new(FailureKind::Internal, "the history of a checkout goes round in circles"));
            }
            done.extend(ready.iter().map(|commit| commit.id));
            sorted.extend(ready);
            own = waiting;
        }
        Ok(sorted)
    }

    /// Contents of commits that no ref of the remote reaches any more, as far as we know, such as those of a branch that somebody deleted:
    /// they must be here to be pushed, since a push never fetches.
    pub(super) fn unknown_to_remote(&self) -> Result<Vec<Oid>, Failure> {
        let tips: Vec<Oid> = self.store.tips().values().filter_map(|tip| self.store.peel(*tip).ok()).collect();
        let mut contents = Vec::new();
        let mut commits = Vec::new();
        self.store.walk(&[self.head], &tips, |commit| {
            commits.push(commit);
            ControlFlow::Continue(())
        })?;
        for commit in commits {
            let before = match commit.parents.first() {
                Some(parent) => self.store.commit(*parent)?.tree,
                None => Oid::empty_tree(),
            };
            contents.extend(
                self.store
                    .diff_trees(before, commit.tree)?
                    .into_iter()
                    .filter_map(|change| change.after)
                    .filter(|entry| entry.kind.is_blob())
                    .map(|entry| entry.oid),
            );
        }
        Ok(contents)
    }

    /// Moves HEAD, and with it every file on disk that is as the old HEAD has it: it is taken off the disk and comes back when asked for.
    pub(super) fn follow_head(&mut self, head: Oid) -> Result<(), Failure> {
        let tree = self.store.commit(head)?.tree;
        for change in self.store.diff_trees(self.tree, tree)? {
            let full = self.path.join(&change.path);
            let on_disk = std::fs::symlink_metadata(&full).is_ok();
            let ours = self.placed.get(&change.path).copied() == change.before.as_ref().map(|entry| (entry.kind, entry.oid));
            if on_disk && ours && self.placed.contains_key(&change.path) {
                std::fs::remove_file(&full).map_err(|error| {
                    Failure::new(FailureKind::Tool, format!("cannot replace `{}` in the promotion's folder", change.path)).caused_by(error)
                })?;
                if change.after.is_none() {
                    for folder in full.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.path) && *folder != self.path) {
                        if std::fs::remove_dir(folder).is_err() {
                            break;
                        }
                    }
                }
            }
            self.placed.remove(&change.path);
        }
        (self.head, self.tree) = (head, tree);
        Ok(())
    }

    /// The paths a promotion owns on a branch that stood at `tip`: folders it cleared, and files its own commits changed.
    pub(super) fn owned(&self, tip: Option<Oid>) -> Result<Vec<String>, Failure> {
        if self.cleared.contains("") {
            return Ok(vec!["/".to_owned()]);
        }
        // HEAD stands on what others pushed, unless that is older than what was checked out.
        let base = match tip {
            Some(tip) if !self.store.is_ancestor(tip, self.start)? => tip,
            _ => self.start,
        };
        let before = self.store.commit(base)?.tree;
        let mut owned: BTreeSet<String> = self.cleared.iter().map(|folder| format!("{folder}/")).collect();
        for change in self.store.diff_trees(before, self.tree)? {
            if !owned.iter().any(|folder| folder.ends_with('/') && change.path.starts_with(folder.as_str())) {
                owned.insert(change.path);
            }
        }
        Ok(owned.into_iter().collect())
    }
}

fn signature(committer: Committer<'_>) -> Signature {
    Signature::new(&committer.identity.name, &committer.identity.email, committer.at)
}
