//! Whether a proposal is open, merged or closed, from what the refs of its repository say.

use super::{Known, PlainForge, described};
use crate::diagnostic::Failure;
use crate::forge::PullRequest;
use crate::git::{Change, Commit, Oid};

/// Commits of the target that are looked at for a squashed proposal, newest first; a target moves on by a few between two ticks.
const MAX_LOOK_BACK: usize = 1_000;

impl PlainForge {
    /// The state of a proposal whose branches were fetched.
    pub(super) async fn look(&self, known: &Known) -> Result<PullRequest, Failure> {
        let proposal = &known.proposal;
        let closed = described(proposal);
        let Ok(recorded) = proposal.head.parse::<Oid>() else { return Ok(closed) };
        let base = proposal.base.parse::<Oid>().ok();
        // A branch that was pushed in this tick may not have left yet.
        let source = if known.fresh { Some(recorded) } else { self.branch(&proposal.source_branch) };
        // So may a target that the promotion has just made.
        let target = self.branch(&proposal.target_branch).or(base.filter(|_| known.fresh));
        let Some(target) = target else { return Ok(closed) };
        let base = match base {
            Some(base) if self.obtain(base).await? => Some(base),
            _ => None,
        };
        let mut heads = vec![recorded];
        heads.extend(source.filter(|source| *source != recorded));
        for head in heads {
            let merged = if self.obtain(head).await? {
                self.merged(base, head, target)?
            } else {
                // Only its tree's name is left.
                self.since(base, target)?.into_iter().rfind(|commit| commit.tree.to_string() == proposal.tree).map(|commit| commit.id)
            };
            if let Some(merge_commit) = merged {
                return Ok(PullRequest { head: head.to_string(), merged: true, merge_commit: merge_commit.to_string(), ..closed });
            }
        }
        Ok(match source {
            // A branch that was set back to where the target was proposes nothing any more.
            Some(head) if !self.store.is_ancestor(head, target)? => PullRequest { head: head.to_string(), open: true, ..closed },
            _ => closed,
        })
    }

    /// Whether a commit is here, asking the remote for it if need be: it keeps what no branch reaches for a while.
    pub(super) async fn obtain(&self, commit: Oid) -> Result<bool, Failure> {
        if self.store.has(commit) {
            return Ok(true);
        }
        match self.store.ensure_commit(commit).await {
            Ok(()) => Ok(self.store.has(commit)),
            Err(failure) if ["not our ref", "unadvertised object"].iter().any(|words| failure.message.contains(words)) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// The commit that brought a head's changes into the target; None: nothing did.
    fn merged(&self, base: Option<Oid>, head: Oid, target: Oid) -> Result<Option<Oid>, Failure> {
        if let Some(base) = base
            && self.store.is_ancestor(head, base)?
        {
            return Ok(None);
        }
        if self.store.is_ancestor(head, target)? {
            // The first commit of the target's own line that holds it: a merge commit, or after a fast-forward the head itself.
            let mut first = target;
            for commit in self.since(base, target)? {
                if !self.store.is_ancestor(head, commit.id)? {
                    break;
                }
                first = commit.id;
            }
            return Ok(Some(first));
        }
        // Squashed or rebased: the changes came, the commits did not.
        let changes = self.changes(base, head, target)?;
        if changes.is_empty() {
            return Ok(None);
        }
        for commit in self.since(base, target)?.into_iter().rev() {
            if self.holds(commit.tree, &changes)? {
                return Ok(Some(commit.id));
            }
        }
        Ok(None)
    }

    /// What a proposal changes: from where it left the target's line.
    fn changes(&self, base: Option<Oid>, head: Oid, target: Oid) -> Result<Vec<Change>, Failure> {
        let left = base.unwrap_or(target);
        let from = self.store.merge_base(left, head)?.or(base);
        let from = from.map(|commit| self.store.commit(commit)).transpose()?.map_or_else(Oid::empty_tree, |commit| commit.tree);
        Ok(self.store.diff_trees(from, self.store.commit(head)?.tree)?)
    }

    /// Whether a tree is, in every path of these changes, as they make it.
    fn holds(&self, tree: Oid, changes: &[Change]) -> Result<bool, Failure> {
        for change in changes {
            let there = self.store.entry(tree, &change.path)?.map(|entry| (entry.kind, entry.oid));
            if there != change.after.as_ref().map(|entry| (entry.kind, entry.oid)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The target's own line (first parents), newest first, back to where the proposal was opened.
    fn since(&self, base: Option<Oid>, target: Oid) -> Result<Vec<Commit>, Failure> {
        let mut line = Vec::new();
        let mut at = Some(target);
        while let Some(commit) = at.filter(|commit| line.len() < MAX_LOOK_BACK && self.store.has(*commit)) {
            let commit = self.store.commit(commit)?;
            at = commit.parents.first().copied().filter(|_| base != Some(commit.id));
            line.push(commit);
        }
        Ok(line)
    }
}
