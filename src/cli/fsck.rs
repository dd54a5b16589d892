//! `consign fsck`: is the ledger what its history makes it?

use std::collections::BTreeSet;

use crate::diagnostic::{Failure, FailureKind};
use crate::git::{RefPattern, Stores};
use crate::ledger::Branch;
use crate::ledger::fsck::{Findings, Remotes, check};
use crate::report::fsck as text;

use super::Format;

/// The answer of a check.
pub struct Answer {
    /// What to print on stdout.
    pub text: String,
    /// Whether nothing is wrong; else the process ends as Refused does: nobody should build on this ledger.
    pub ok: bool,
}

/// Checks the ledger on this branch; recorded commits are looked up through `stores`.
///
/// # Errors
/// What reading the ledger says. Problems are no error but the answer.
pub async fn run(branch: &dyn Branch, stores: &Stores, format: Format) -> Result<Answer, Failure> {
    let findings = check(branch, &StoredRemotes { stores }).await?;
    let text = match format {
        Format::Json => json(&findings)?,
        Format::Text => text::render(&findings),
    };
    Ok(Answer { text, ok: findings.ok })
}

fn json(findings: &Findings) -> Result<String, Failure> {
    serde_json::to_string_pretty(findings)
        .map(|text| text + "\n")
        .map_err(|error| Failure::new(FailureKind::Internal, "cannot write the findings as JSON").caused_by(error))
}

/// Looks recorded commits up in the stores of their remotes.
struct StoredRemotes<'a> {
    stores: &'a Stores,
}

#[async_trait::async_trait]
impl Remotes for StoredRemotes<'_> {
    async fn absent(&self, url: &str, commits: &BTreeSet<String>) -> Result<BTreeSet<String>, Failure> {
        let store = self.stores.get(url)?;
        store.ensure(&[RefPattern::branches(), RefPattern::tags()]).await?;
        let mut absent = BTreeSet::new();
        for commit in commits {
            let Ok(oid) = commit.parse() else {
                absent.insert(commit.clone());
                continue;
            };
            // Not on a branch any more, or beyond the history that was fetched: the remote itself was reached just now, so what it
            // does not give it does not have.
            if !store.has(oid) && store.ensure_commit(oid).await.is_err() {
                absent.insert(commit.clone());
            }
        }
        Ok(absent)
    }
}
