//! Finding, creating and trusting the branch; publishing to it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::diagnostic::{Failure, FailureKind};
use crate::git::Oid;

use super::branch::{Branch, Pushed};
use super::cache::Cache;
use super::draft::{CHANGE_TRAILER, Draft, Stop};
use super::legal::ChangeKind;
use super::records::{LedgerRecord, README, Record, RecordPath, Schemas, Unreadable};
use super::state::{Scope, State};
use super::transaction::{Chain, Committed, Dropped, Occasion, RenderReadme, pause};

/// Attempts before a race counts as lost. With the pauses of [`pause`] that is about a minute.
const ATTEMPTS: u32 = 40;

/// Pushes in a row of unknown outcome that did not land before the remote counts as failed.
const UNCLEAR_PUSHES: u32 = 3;

/// What a ledger must be to be believed (`ledger` in `consign.yaml`).
#[derive(Clone, Debug, Default)]
pub struct Pins {
    /// Its root commit, in hex; empty: any.
    pub root: String,
    /// SSH public keys of which one must have signed each commit; empty: signatures do not matter.
    pub trusted_keys: Vec<String>,
}

/// The ledger's branch, ready to be read and written.
#[derive(Clone)]
pub struct Ledger {
    branch: Arc<dyn Branch>,
    cache: Arc<Cache>,
    pins: Pins,
    readme: RenderReadme,
    trusted: Arc<Mutex<HashSet<Oid>>>,
}

/// A ledger that was opened for writing.
pub struct Opened {
    /// What it says now.
    pub state: State,
    /// Set if it was created just now: the root commit, to be shown as the value to pin.
    pub created: Option<Oid>,
}

/// What came of publishing a chain.
#[derive(Debug, Default)]
pub struct Published {
    /// What has landed; None: there was nothing to write.
    pub committed: Option<Committed>,
    /// What no longer applied when the chain was rebased.
    pub dropped: Vec<Dropped>,
}

impl Ledger {
    /// A ledger on a branch. `readme` writes the branch's README.
    pub fn new(branch: Arc<dyn Branch>, pins: Pins, readme: RenderReadme) -> Self {
        let cache = Arc::new(Cache::new(branch.cache_folder()));
        Self { branch, cache, pins, readme, trusted: Arc::default() }
    }

    /// The doorway it goes through.
    pub fn branch(&self) -> &Arc<dyn Branch> {
        &self.branch
    }

    /// Fetches the branch and gives its state, for reading; a ledger that does not exist is empty.
    ///
    /// # Errors
    /// Refused, if the ledger is not the pinned one, not signed as demanded, of a newer schema, or no ledger at all; what the store says.
    pub async fn read(&self) -> Result<State, Failure> {
        let tip = self.branch.fetch().await?;
        self.state_at(tip).await
    }

    /// The state at a tip that was fetched already (a tick fetches all its refs at once), after the same checks as [`read`](Self::read).
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn state_at(&self, tip: Option<Oid>) -> Result<State, Failure> {
        match tip {
            Some(tip) => self.trust(tip).await?,
            None if !self.pins.root.is_empty() => {
                return Err(Failure::new(
                    FailureKind::Refused,
                    format!("the ledger `{}` does not exist, but `ledger.root` pins it to `{}`", self.branch.name(), self.pins.root),
                )
                .hint("restore the branch; or, to start a new ledger on purpose, remove `ledger.root` from `consign.yaml`"));
            }
            None => {}
        }
        let state = State::at(Arc::clone(&self.branch), Arc::clone(&self.cache), tip)?;
        if tip.is_some() {
            self.check_is_ledger(&state).await?;
        }
        Ok(state)
    }

    async fn check_is_ledger(&self, state: &State) -> Result<(), Failure> {
        loop {
            match state.get::<LedgerRecord>(&RecordPath::Ledger) {
                Ok(Some(_)) => return Ok(()),
                Ok(None) => {
                    return Err(Failure::new(
                        FailureKind::Refused,
                        format!("the branch `{}` exists and is not a ledger: it has no `ledger.yaml`", self.branch.name()),
                    )
                    .hint("set `ledger.branch` in `consign.yaml` to a branch of its own"));
                }
                Err(Stop::Missing) if state.fetch_missing().await? => {}
                Err(stop) => return Err(stop.into()),
            }
        }
    }

    /// Opens the ledger for writing: reads it, creates it if there is none, migrates it if it is of an older schema.
    ///
    /// # Errors
    /// As [`read`](Self::read); Refused, if the branch may not be created; Conflict, if a race is not won.
    pub async fn open(&self, occasion: &Occasion) -> Result<Opened, Failure> {
        let tip = self.branch.fetch().await?;
        self.open_at(tip, occasion).await
    }

    /// As [`open`](Self::open), at a tip that was fetched already.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_at(&self, tip: Option<Oid>, occasion: &Occasion) -> Result<Opened, Failure> {
        let mut state = self.state_at(tip).await?;
        for attempt in 0..ATTEMPTS {
            let founding = state.tip().is_none();
            let Some(committed) = (if founding { Some(self.found(&state, occasion).await?) } else { self.migrate(&state, occasion).await? }) else {
                return Ok(Opened { state, created: None });
            };
            let landed = self.push(&committed).await?;
            if !landed {
                tokio::time::sleep(pause(attempt, rand::random())).await;
            }
            state = self.read().await?;
            if landed {
                return Ok(Opened { state, created: founding.then_some(committed.tip) });
            }
        }
        Err(self.lost_race())
    }

    async fn found(&self, state: &State, occasion: &Occasion) -> Result<Committed, Failure> {
        let mut record = LedgerRecord::default();
        "consign".clone_into(&mut record.metadata.name);
        let ledger = Record::Ledger(Arc::new(record)).to_yaml();
        let readme = (self.readme)(state)?;
        let edits = [(RecordPath::Ledger.to_string(), Some(ledger.into_bytes())), (README.to_owned(), Some(readme.into_bytes()))];
        let kind = ChangeKind::Founding.trailer().unwrap_or_default();
        let message = format!("begin the ledger\n\n{CHANGE_TRAILER}: {kind}\nConsign-Run: {}\n", occasion.run);
        let tip = self.branch.write_commit(None, &edits, &message, whole_second(occasion.now.as_second())?)?;
        Ok(Committed { reference: self.branch.name().to_owned(), tip, expected: None, commits: Vec::new() })
    }

    /// The commit that brings all records to the present schema; None if they are.
    async fn migrate(&self, state: &State, occasion: &Occasion) -> Result<Option<Committed>, Failure> {
        let Some(bytes) = read_file(state, &RecordPath::Ledger.to_string()).await? else { return Ok(None) };
        let version = Schemas::version_of(&bytes).map_err(|error| broken(&RecordPath::Ledger.to_string(), &error))?;
        if version == Schemas::CURRENT.version() {
            return Ok(None);
        }
        let edits = rewritten(state).await?;
        let kind = ChangeKind::Migration.trailer().unwrap_or_default();
        let message = format!(
            "migrate the records from schema {version} to {}\n\n{CHANGE_TRAILER}: {kind}\nConsign-Run: {}\n",
            Schemas::CURRENT.version(),
            occasion.run
        );
        let at = whole_second(occasion.now.as_second().max(state.tip_seconds()))?;
        let tip = self.branch.write_commit(state.tip(), &edits, &message, at)?;
        Ok(Some(Committed { reference: self.branch.name().to_owned(), tip, expected: state.tip(), commits: Vec::new() }))
    }

    /// An empty chain on a state.
    pub fn chain<'f>(&self, state: State, occasion: Occasion) -> Chain<'f> {
        Chain::new(state, occasion, self.readme)
    }

    /// Pushes a chain, rebasing it as often as it takes.
    ///
    /// # Errors
    /// Conflict, if the race is not won; Refused, if the remote forbids the push; Remote, if it cannot be reached.
    pub async fn publish(&self, chain: &mut Chain<'_>) -> Result<Published, Failure> {
        let mut dropped = Vec::new();
        for attempt in 0..ATTEMPTS {
            let Some(committed) = chain.commit().await? else { return Ok(Published { committed: None, dropped }) };
            if self.push(&committed).await? {
                return Ok(Published { committed: Some(committed), dropped });
            }
            tokio::time::sleep(pause(attempt, rand::random())).await;
            dropped.extend(chain.rebase(self.read().await?).await?);
        }
        Err(self.lost_race())
    }

    /// Runs one transaction to its end: on a fresh state, again whenever the push loses. Gives what the function gave the last time.
    ///
    /// # Errors
    /// What the function says; else as [`publish`](Self::publish).
    pub async fn transact<T, F>(&self, occasion: &Occasion, function: F) -> Result<T, Failure>
    where
        F: Fn(&mut Draft<'_>) -> Result<T, Stop> + Send + Sync,
    {
        let mut state = self.open(occasion).await?.state;
        for attempt in 0..ATTEMPTS {
            let mut chain = self.chain(state, occasion.clone());
            let value = chain.apply("", &function).await?;
            let Some(committed) = chain.commit().await? else { return Ok(value) };
            if self.push(&committed).await? {
                return Ok(value);
            }
            tokio::time::sleep(pause(attempt, rand::random())).await;
            state = self.read().await?;
        }
        Err(self.lost_race())
    }

    /// Pushes commits to the ledger alone; false if somebody else was first.
    ///
    /// A push without a clear answer may have landed, so the ref is read before anything is decided.
    ///
    /// # Errors
    /// Refused, if the remote forbids it; Remote, if it cannot be reached.
    pub async fn push(&self, committed: &Committed) -> Result<bool, Failure> {
        let mut unclear = 0;
        loop {
            let answer = self.branch.push(committed.tip, committed.expected).await;
            if matches!(answer, Ok(Pushed::Landed)) {
                self.remember(committed.tip);
                return Ok(true);
            }
            match self.settle(committed).await? {
                Settled::Landed => return Ok(true),
                Settled::Lost => return Ok(false),
                Settled::Unmoved => {}
            }
            let failure = match answer {
                Ok(Pushed::Landed) => return Ok(true),
                // The server's ref lock was held by somebody who then failed: nothing moved, so the same push is right.
                Ok(Pushed::Lost) => Failure::new(FailureKind::Conflict, format!("the push to `{}` was turned away", self.branch.name())),
                Ok(Pushed::Refused(failure)) => return Err(failure),
                Err(failure) if failure.kind == FailureKind::Remote => failure,
                Err(failure) => return Err(failure),
            };
            unclear += 1;
            if unclear == UNCLEAR_PUSHES {
                return Err(failure);
            }
            tokio::time::sleep(pause(unclear, rand::random())).await;
        }
    }

    /// Reads the ref after a push that did not clearly succeed, alone or as part of a group push.
    ///
    /// # Errors
    /// What fetching says.
    pub async fn settle(&self, committed: &Committed) -> Result<Settled, Failure> {
        let tip = self.branch.fetch().await?;
        if tip == committed.expected {
            return Ok(Settled::Unmoved);
        }
        // Ours may be below what others have put on top since.
        let mut at = tip;
        while let Some(id) = at {
            if id == committed.tip {
                self.remember(committed.tip);
                return Ok(Settled::Landed);
            }
            if Some(id) == committed.expected {
                break;
            }
            at = self.branch.commit(id)?.and_then(|commit| commit.parents.first().copied());
        }
        Ok(Settled::Lost)
    }

    /// Notes that commits have landed by a push that went past [`push`](Self::push), such as a group push: they are ours and need no check.
    pub fn landed(&self, committed: &Committed) {
        self.remember(committed.tip);
    }

    fn lost_race(&self) -> Failure {
        Failure::new(
            FailureKind::Conflict,
            format!("other runs kept writing to the ledger `{}`, and this one never got its turn", self.branch.name()),
        )
        .hint("nothing is lost: the next tick decides again")
    }

    // Trust

    /// What we have pushed ourselves on a trusted tip needs no second look.
    fn remember(&self, tip: Oid) {
        self.trusted.lock().unwrap_or_else(PoisonError::into_inner).insert(tip);
    }

    fn trust_key(&self) -> String {
        use sha2::Digest;
        hex::encode(&sha2::Sha256::digest(format!("{}\n{}", self.pins.root, self.pins.trusted_keys.join("\n")))[..8])
    }

    async fn trust(&self, tip: Oid) -> Result<(), Failure> {
        if self.pins.root.is_empty() && self.pins.trusted_keys.is_empty() {
            return Ok(());
        }
        let key = self.trust_key();
        let known_until = self.branch.trusted_until(&key);
        let known = |id: Oid| known_until == Some(id) || self.trusted.lock().unwrap_or_else(PoisonError::into_inner).contains(&id);
        let mut fresh = Vec::new();
        let (mut at, mut deepened) = (tip, false);
        let root = loop {
            if known(at) {
                break None;
            }
            let commit = self.branch.commit(at)?;
            match commit {
                None if !deepened => {
                    self.branch.deepen().await?;
                    deepened = true;
                }
                None => return Err(Failure::new(FailureKind::Remote, format!("commit {at} of the ledger cannot be fetched"))),
                Some(commit) => {
                    fresh.push(at);
                    match commit.parents.first() {
                        Some(parent) => at = *parent,
                        None => break Some(at),
                    }
                }
            }
        };
        if let Some(root) = root
            && !self.pins.root.is_empty()
            && !root.to_string().eq_ignore_ascii_case(&self.pins.root)
        {
            return Err(Failure::new(
                FailureKind::Refused,
                format!(
                    "the branch `{}` is another ledger: it begins with commit `{root}`, and `ledger.root` pins `{}`",
                    self.branch.name(),
                    self.pins.root
                ),
            )
            .hint("somebody has replaced the branch; restore it, or pin the new root in `consign.yaml` if that was on purpose"));
        }
        if !self.pins.trusted_keys.is_empty() {
            fresh.reverse();
            if let Some(untrusted) = self.branch.first_untrusted(&fresh, &self.pins.trusted_keys).await? {
                return Err(Failure::new(
                    FailureKind::Refused,
                    format!("commit `{untrusted}` of the ledger is signed by none of `ledger.trustedKeys`"),
                )
                .hint(format!("look at it with `git show {untrusted}`; then add its signer to `ledger.trustedKeys`, or take it off the branch")));
            }
        }
        self.remember(tip);
        self.branch.trust_until(&key, tip);
        Ok(())
    }
}

/// Where the ref was found after a push that did not clearly succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Our commits are on the branch.
    Landed,
    /// Others have moved it, and our commits are not on it.
    Lost,
    /// It is where it was: the push may be repeated.
    Unmoved,
}

/// A timestamp of whole seconds, as commits have them.
fn whole_second(seconds: i64) -> Result<Timestamp, Failure> {
    Timestamp::from_second(seconds)
        .map_err(|error| Failure::new(FailureKind::Internal, "the ledger's last commit has no usable time").caused_by(error))
}

async fn read_file(state: &State, path: &str) -> Result<Option<Vec<u8>>, Failure> {
    loop {
        match state.bytes(path) {
            Err(Stop::Missing) if state.fetch_missing().await? => {}
            result => return result.map_err(Failure::from),
        }
    }
}

/// Every record that would be written differently today.
async fn rewritten(state: &State) -> Result<Vec<(String, Option<Vec<u8>>)>, Failure> {
    state.load(&[Scope::Everything]).await?;
    let mut edits = Vec::new();
    for path in state.files("")?.into_keys().filter(|path| path.ends_with(".yaml")) {
        let Some(bytes) = read_file(state, &path).await? else { continue };
        let text = Record::from_yaml(&bytes).map_err(|error| broken(&path, &error))?.to_yaml();
        if text.as_bytes() != bytes {
            edits.push((path, Some(text.into_bytes())));
        }
    }
    Ok(edits)
}

fn broken(path: &str, error: &Unreadable) -> Failure {
    Failure::new(FailureKind::Refused, format!("cannot read `{path}` of the ledger: {error}")).hint("`consign fsck` names the commit that broke it")
}

#[cfg(test)]
#[path = "opening_tests.rs"]
mod tests;
