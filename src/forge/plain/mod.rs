//! Pull requests without a forge: a proposal is a branch that waits to be merged, with a number from the ledger.
//!
//! Nothing but Git is asked. A proposal is merged when its target holds it, by whatever way it came there; it is closed when its branch is
//! gone and the target does not hold it. What is known of proposals comes from the ledger's records as data; what is opened goes to a list
//! that the conductor writes into the promotion's record in the same transaction as its status.

mod merge;
mod state;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{Forge, Merge, NewPullRequest, Opening, PullRequest};
use crate::diagnostic::{Failure, FailureKind};
use crate::git::{Oid, RefPattern, RemoteUrl, Signer, Store, Stores};
use crate::model::Proposal;

/// Who merges proposals, and when.
#[derive(Clone, Debug)]
pub struct Committer {
    /// Name.
    pub name: String,
    /// Email address.
    pub email: String,
    /// When: from the promotion's record, so that repeating a merge makes the same commit.
    pub at: Timestamp,
    /// Signs merge commits.
    pub signer: Option<Signer>,
}

/// The proposals that are known, and those that a promotion opens.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// Those of all records; the promotion's own first, if numbers could be given twice.
    pub known: Arc<Vec<Proposal>>,
    /// The highest number given so far, shared by all promotions of a tick; starts at the ledger's.
    pub last_number: Arc<AtomicU64>,
    /// Where a newly opened proposal is put; the conductor writes it into the promotion's record.
    pub opened: Arc<Mutex<Vec<Proposal>>>,
}

impl Book {
    fn opened(&self) -> MutexGuard<'_, Vec<Proposal>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was opened since the last call.
    pub fn take_opened(&self) -> Vec<Proposal> {
        std::mem::take(&mut *self.opened())
    }
}

/// The plain-git forges of one promotion.
#[derive(Clone, Debug)]
pub struct PlainForges {
    /// The stores of this process.
    pub stores: Stores,
    /// The proposals.
    pub book: Book,
    /// Who merges.
    pub committer: Committer,
    /// Whether URLs may be paths.
    pub local: bool,
}

impl PlainForges {
    /// The forge of one repository.
    ///
    /// # Errors
    /// Config, for a URL that must not be used; Tool, when the cache folder cannot be written.
    pub fn of(&self, repo_url: &str) -> Result<PlainForge, Failure> {
        Ok(PlainForge { store: self.stores.get(repo_url)?, repo_url: repo_url.to_owned(), forges: self.clone() })
    }
}

/// The proposals of one repository.
#[derive(Debug)]
pub struct PlainForge {
    store: Arc<Store>,
    repo_url: String,
    forges: PlainForges,
}

/// A proposal, and whether it was opened by this promotion in this tick: its branch may not have left yet.
#[derive(Clone, Debug)]
struct Known {
    proposal: Proposal,
    fresh: bool,
}

impl PlainForge {
    /// The proposals of this repository, newest record first.
    fn known(&self) -> Vec<Known> {
        let key = self.store.url().key();
        let here = |proposal: &&Proposal| {
            proposal.repo_url == self.repo_url || RemoteUrl::parse(&proposal.repo_url, self.forges.local).is_ok_and(|url| url.key() == key)
        };
        let opened = self.forges.book.opened();
        let fresh = opened.iter().filter(here).map(|proposal| Known { proposal: proposal.clone(), fresh: true });
        let recorded = self.forges.book.known.iter().filter(here).map(|proposal| Known { proposal: proposal.clone(), fresh: false });
        fresh.chain(recorded).collect()
    }

    /// The branches of all proposals of this repository in one fetch, unless they were fetched before.
    async fn ensure(&self, known: &[Known], again: bool) -> Result<(), Failure> {
        let mut patterns = Vec::new();
        for Known { proposal, .. } in known {
            patterns.push(RefPattern::branch(&proposal.source_branch)?);
            patterns.push(RefPattern::branch(&proposal.target_branch)?);
        }
        patterns.sort();
        patterns.dedup();
        let fetched = if again { self.store.fetch(&patterns).await } else { self.store.ensure(&patterns).await };
        fetched.map(drop)
    }

    fn branch(&self, name: &str) -> Option<Oid> {
        self.store.tip(&format!("refs/heads/{name}"))
    }
}

#[async_trait::async_trait]
impl Forge for PlainForge {
    async fn find(&self, source_branch: &str, target_branch: &str) -> Result<Vec<PullRequest>, Failure> {
        let mut known = self.known();
        known.retain(|known| known.proposal.source_branch == source_branch && known.proposal.target_branch == target_branch);
        if known.is_empty() {
            return Ok(Vec::new());
        }
        self.ensure(&known, false).await?;
        let mut found = Vec::new();
        for known in known {
            found.push(self.look(&known).await?);
        }
        Ok(found)
    }

    async fn open(&self, new: &NewPullRequest) -> Result<Opening, Failure> {
        let head: Oid = new.head.parse().map_err(|error| Failure::new(FailureKind::Internal, "a proposal has no head").caused_by(error))?;
        self.store.ensure(&[RefPattern::branch(&new.target_branch)?]).await?;
        // A branch that the promotion has just made leaves together with its record.
        let Some(base) = new.base.parse().ok().or_else(|| self.branch(&new.target_branch)) else {
            return Ok(Opening::Impossible(format!("`{}` has no branch `{}`", self.repo_url, new.target_branch)));
        };
        if !self.obtain(head).await? {
            return Ok(Opening::Impossible(format!("commit `{head}` is not in `{}`", self.repo_url)));
        }
        if self.store.is_ancestor(head, base)? {
            return Ok(Opening::Impossible(format!("`{}` has nothing that `{}` does not have", new.source_branch, new.target_branch)));
        }
        let proposal = Proposal {
            repo_url: self.repo_url.clone(),
            number: self.forges.book.last_number.fetch_add(1, Ordering::SeqCst) + 1,
            source_branch: new.source_branch.clone(),
            target_branch: new.target_branch.clone(),
            head: new.head.clone(),
            tree: self.store.commit(head)?.tree.to_string(),
            base: base.to_string(),
            title: new.title.clone(),
            description: new.description.clone(),
        };
        self.forges.book.opened().push(proposal.clone());
        Ok(Opening::Opened(PullRequest { head: new.head.clone(), open: true, ..described(&proposal) }))
    }

    async fn get(&self, number: u64) -> Result<Option<PullRequest>, Failure> {
        let all = self.known();
        let Some(known) = all.iter().find(|known| known.proposal.number == number) else { return Ok(None) };
        self.ensure(&all, false).await?;
        self.look(known).await.map(Some)
    }

    async fn merge(&self, number: u64, method: Option<&str>) -> Result<Merge, Failure> {
        let Some(known) = self.known().into_iter().find(|known| known.proposal.number == number) else {
            return Ok(Merge::Impossible(format!("there is no proposal {number} in `{}`", self.repo_url)));
        };
        self.merge_proposal(&known, method).await
    }
}

/// What does not change about a proposal.
fn described(proposal: &Proposal) -> PullRequest {
    PullRequest {
        number: proposal.number,
        url: title_line(proposal),
        source_branch: proposal.source_branch.clone(),
        target_branch: proposal.target_branch.clone(),
        head: proposal.head.clone(),
        ..PullRequest::default()
    }
}

/// A proposal in a few words: its number and what is to go where.
pub fn title_line(proposal: &Proposal) -> String {
    format!("proposal {}: {} -> {}", proposal.number, proposal.source_branch, proposal.target_branch)
}

/// What a person types in any clone to merge a proposal by a merge commit; `remote` is a remote's name or a URL. The clone's own branches are
/// left alone.
pub fn merge_commands(proposal: &Proposal, remote: &str) -> Vec<String> {
    let remote = quoted(remote);
    let (source, target) = (quoted(&format!("refs/heads/{}", proposal.source_branch)), quoted(&format!("refs/heads/{}", proposal.target_branch)));
    vec![
        format!("git fetch {remote} {target}"),
        "git switch --detach FETCH_HEAD".to_owned(),
        format!("git pull --no-rebase --no-ff --no-edit {remote} {source}"),
        format!("git push {remote} {}", quoted(&format!("HEAD:refs/heads/{}", proposal.target_branch))),
    ]
}

/// A word for a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '@' | '+' | ',' | '=' | '%');
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_quoted_for_a_shell() {
        let proposal = Proposal { number: 3, source_branch: "a$(x)'b".into(), target_branch: "env/prod".into(), ..Proposal::default() };
        assert_eq!(
            merge_commands(&proposal, "/srv/my repo.git"),
            [
                "git fetch '/srv/my repo.git' refs/heads/env/prod",
                "git switch --detach FETCH_HEAD",
                r"git pull --no-rebase --no-ff --no-edit '/srv/my repo.git' 'refs/heads/a$(x)'\''b'",
                "git push '/srv/my repo.git' HEAD:refs/heads/env/prod",
            ]
        );
    }
}
