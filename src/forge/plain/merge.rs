//! Merging a proposal.

use super::{Known, PlainForge};
use crate::diagnostic::{Failure, FailureKind};
use crate::forge::{Merge, PullRequest};
use crate::git::{CommitSpec, Oid, RefOutcome, RefUpdate, Signature};
use crate::model::Proposal;

/// How often a merge is made again because somebody else moved the target.
const ATTEMPTS: usize = 5;

/// Ways to merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    /// A commit with both histories.
    Merge,
    /// One commit with the changes alone.
    Squash,
    /// The target moves to the head, if nothing else happened there.
    FastForward,
}

impl Method {
    fn read(word: Option<&str>) -> Option<Self> {
        match word {
            None | Some("merge") => Some(Self::Merge),
            Some("squash") => Some(Self::Squash),
            Some("fast-forward" | "fast-forward-only") => Some(Self::FastForward),
            Some(_) => None,
        }
    }
}

impl PlainForge {
    /// Tries to merge a proposal, on the target as it stands now.
    pub(super) async fn merge_proposal(&self, known: &Known, method: Option<&str>) -> Result<Merge, Failure> {
        let Some(method) = Method::read(method) else {
            return Ok(Merge::Impossible(format!(
                "`{}` is no way to merge without a forge; use `merge`, `squash` or `fast-forward-only`",
                method.unwrap_or_default()
            )));
        };
        let proposal = &known.proposal;
        for _ in 0..ATTEMPTS {
            self.ensure(std::slice::from_ref(known), true).await?;
            let request = self.look(known).await?;
            if request.merged {
                return Ok(Merge::Merged(request));
            }
            if !request.open {
                return Ok(Merge::Impossible(format!("proposal {} is closed", proposal.number)));
            }
            let (Some(head), Some(target)) = (self.branch(&proposal.source_branch), self.branch(&proposal.target_branch)) else {
                return Ok(Merge::NotReady(format!("branch `{}` is not on the remote yet", proposal.source_branch)));
            };
            let commit = match self.merged_commit(proposal, method, head, target).await? {
                Ok(commit) => commit,
                Err(why) => return Ok(Merge::Impossible(why)),
            };
            let name = format!("refs/heads/{}", proposal.target_branch);
            let outcome = self.store.push(&[RefUpdate::forward(name.as_str(), Some(target), commit)]).await?;
            match outcome.refs.get(&name) {
                Some(RefOutcome::Updated) => {
                    let (head, merge_commit) = (head.to_string(), commit.to_string());
                    return Ok(Merge::Merged(PullRequest { head, open: false, merged: true, merge_commit, ..request }));
                }
                Some(RefOutcome::Refused(why)) => return Ok(Merge::NotReady(format!("the remote refuses it: {why}"))),
                Some(RefOutcome::Stale(_) | RefOutcome::Bystander) | None => {}
            }
        }
        Err(Failure::new(FailureKind::Conflict, format!("branch `{}` of `{}` moves faster than we can merge", proposal.target_branch, self.repo_url)))
    }

    /// The commit that the target is to move to; the inner error: why there is none.
    async fn merged_commit(&self, proposal: &Proposal, method: Method, head: Oid, target: Oid) -> Result<Result<Oid, String>, Failure> {
        let Some(base) = self.store.merge_base(target, head)? else {
            return Ok(Err("the two branches have no common history".to_owned()));
        };
        if method == Method::FastForward {
            return Ok(if base == target { Ok(head) } else { Err("the target has moved on, so it cannot be fast-forwarded".to_owned()) });
        }
        let tree = |commit: Oid| self.store.commit(commit).map(|commit| commit.tree);
        let merge = self.store.merge_trees(tree(base)?, tree(target)?, tree(head)?).await?;
        if !merge.conflicts.is_empty() {
            let conflicts: Vec<String> = merge.conflicts.iter().map(|(path, conflict)| format!("`{path}`: {conflict}")).collect();
            return Ok(Err(format!("it conflicts with `{}`: {}", proposal.target_branch, conflicts.join("; "))));
        }
        if method == Method::Squash {
            // The new commit does not descend from the head, so the push sends the head's files once more.
            let changes = self.store.diff_trees(tree(target)?, merge.tree)?;
            let files: Vec<Oid> =
                changes.iter().filter_map(|change| change.after.as_ref()).filter(|entry| entry.kind.is_blob()).map(|entry| entry.oid).collect();
            self.store.prefetch(&files).await?;
        }
        let committer = &self.forges.committer;
        let who = Signature::new(&committer.name, &committer.email, committer.at);
        let (parents, message) = match method {
            Method::Squash => (vec![target], format!("{}\n\nProposal {} from `{}`\n", proposal.title, proposal.number, proposal.source_branch)),
            _ => (vec![target, head], format!("Merge proposal {} from {}\n\n{}\n", proposal.number, proposal.source_branch, proposal.title)),
        };
        let spec =
            CommitSpec { tree: merge.tree, parents, author: who.clone(), committer: who, message: &message, signer: committer.signer.as_ref() };
        Ok(Ok(self.store.write_commit(&spec)?))
    }
}
