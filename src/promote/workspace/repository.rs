//! What the Git steps do with checkouts: make, clear, commit, tag, push.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::changes::{Difference, DifferenceKind};
use super::checkout::{Checkout, Identity};
use super::push::{Committer, Integration, NotIntegrated};
use super::{GitAccess, ProvisionalPush, Workspace};
use crate::diagnostic::{Failure, FailureKind};
use crate::git::{Commit, CommitSpec, Expected, Oid, PushUnit, RefPattern, RefUpdate, Signature, Store, TagSpec, UnitOutcome};
use crate::model::WrittenTree;

/// What to check out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revision {
    /// The remote's default branch.
    Default,
    /// A branch; created if it is missing and `create` is set.
    Branch {
        /// Its name.
        name: String,
        /// Whether to create it.
        create: bool,
    },
    /// A tag.
    Tag(String),
    /// A commit.
    Commit(String),
}

/// What to check out where.
#[derive(Clone, Debug)]
pub struct CheckOut<'a> {
    /// The repository as the step spells it.
    pub url: &'a str,
    /// The folder.
    pub path: &'a Path,
    /// The revision.
    pub revision: &'a Revision,
    /// Folders to check out instead of everything.
    pub sparse: Option<&'a [String]>,
    /// Author of commits and tags, unless a step says otherwise.
    pub author: Option<Identity>,
}

/// Why something could not be checked out: a finding about the configuration or the repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotCheckedOut(pub String);

/// Where to push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushTarget {
    /// A branch.
    Branch {
        /// Its name.
        name: String,
        /// Whether to overwrite what is there.
        force: bool,
    },
    /// A tag of the same name as here.
    Tag(String),
}

/// Two branches of a repository.
#[derive(Clone, Debug)]
pub struct Branches {
    /// Head of the first; None: it does not exist.
    pub source: Option<Commit>,
    /// Head of the second; None: it does not exist.
    pub target: Option<Commit>,
    /// Whether both exist and have the same contents.
    pub equal: bool,
}

/// What was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// HEAD after integration.
    pub commit: Oid,
    /// The branch, for a tag the current one; empty: HEAD is detached.
    pub branch: String,
    /// The repository as the step that cloned it spells it.
    pub url: String,
}

/// Why a push came to nothing: a finding about the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotPushed {
    /// The remote, or the state of the checkout, says no; trying again may help.
    Errored(String),
    /// Both sides changed the same lines of these files.
    Conflict(Vec<String>),
}

/// First delay between attempts, growth and cap.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

impl Workspace {
    fn access(&self) -> Result<Arc<GitAccess>, Failure> {
        self.git.clone().ok_or_else(|| Failure::new(FailureKind::Internal, "a Git step ran in a workspace without Git"))
    }

    /// The checkout that a path lies in, and the path inside it.
    pub fn checkout_of(&self, path: &Path) -> Option<(&Checkout, String)> {
        self.checkout_at(path).map(|(index, relative)| (&self.checkouts[index], relative))
    }

    /// Folders of the other checkouts.
    fn others(&self, index: usize) -> Vec<PathBuf> {
        self.checkouts.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, checkout)| checkout.path.clone()).collect()
    }

    /// Fetches the refs that some revisions need, all at once.
    ///
    /// # Errors
    /// Remote, Refused or Tool, if the remote cannot be asked; Config, for a name that is no ref name.
    pub async fn fetch(&self, url: &str, revisions: &[Revision]) -> Result<(), Failure> {
        let access = self.access()?;
        let store = access.stores.get(url)?;
        let mut patterns = Vec::new();
        for revision in revisions {
            match revision {
                Revision::Default => patterns.push(RefPattern::head()),
                Revision::Branch { name, .. } => patterns.extend(RefPattern::branch(name).ok()),
                Revision::Tag(name) => patterns.extend(RefPattern::tag(name).ok()),
                // Reached by some branch, as a rule.
                Revision::Commit(_) => patterns.push(RefPattern::branches()),
            }
        }
        access.member.ensure(&store, patterns).await
    }

    /// Checks a revision out into a folder. Only what is where is recorded; files come when they are needed.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch); what is wrong with the request itself is the inner error.
    pub async fn check_out(&mut self, alias: &str, what: CheckOut<'_>, at: Timestamp) -> Result<Result<Oid, NotCheckedOut>, Failure> {
        let CheckOut { url, path, revision, sparse, author } = what;
        let access = self.access()?;
        let store = access.stores.get(url)?;
        let refuse = |message: String| Ok(Err(NotCheckedOut(message)));
        if self.checkouts.iter().any(|checkout| checkout.path == path) {
            return refuse(format!("`{}` is a work tree already", self.display(path)));
        }
        let occupied = std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
            || std::fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_dir());
        if occupied {
            return refuse(format!("`{}` exists and is not an empty folder", self.display(path)));
        }
        let sparse = match sparse.map(cone).transpose() {
            Ok(sparse) => sparse,
            Err(message) => return refuse(message),
        };
        let found = self.find(alias, &access, &store, path, revision, at).await?;
        let (branch, head) = match found {
            Ok(found) => found,
            Err(message) => return refuse(message),
        };
        if let Some(branch) = &branch
            && let Some(other) =
                self.checkouts.iter().find(|checkout| checkout.store.url().key() == store.url().key() && checkout.branch.as_ref() == Some(branch))
        {
            return refuse(format!("branch `{branch}` is already checked out at `{}`", self.display(&other.path)));
        }
        std::fs::create_dir_all(path).map_err(|error| {
            Failure::new(FailureKind::Tool, format!("cannot make `{}` in the promotion's folder", self.display(path))).caused_by(error)
        })?;
        let tree = store.commit(head)?.tree;
        self.checkouts.push(Checkout {
            alias: alias.to_owned(),
            path: path.to_owned(),
            url: url.to_owned(),
            store,
            access,
            branch,
            start: head,
            head,
            tree,
            author,
            sparse,
            placed: BTreeMap::new(),
            gone: BTreeSet::new(),
            cleared: BTreeSet::new(),
            tags: BTreeMap::new(),
        });
        self.note(alias, &self.display(path), head);
        Ok(Ok(head))
    }

    /// Removes what an earlier attempt of a step checked out.
    ///
    /// # Errors
    /// If a folder cannot be removed.
    pub fn discard(&mut self, alias: &str) -> std::io::Result<()> {
        while let Some(index) = self.checkouts.iter().position(|checkout| checkout.alias == alias) {
            let path = self.checkouts.remove(index).path;
            match std::fs::remove_dir_all(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether the checkout at a folder has submodules.
    ///
    /// # Errors
    /// If its tree cannot be read.
    pub fn has_submodules(&self, path: &Path) -> Result<bool, Failure> {
        let Some((checkout, _)) = self.checkout_of(path) else { return Ok(false) };
        Ok(checkout.store.entry(checkout.tree, ".gitmodules")?.is_some())
    }

    /// Looks at two branches of a repository as they are now.
    ///
    /// # Errors
    /// Remote, Refused or Tool, if the remote cannot be asked.
    pub async fn compare_branches(&self, url: &str, source: &str, target: &str) -> Result<Branches, Failure> {
        let access = self.access()?;
        let store = access.stores.get(url)?;
        let patterns = [source, target].into_iter().filter_map(|name| RefPattern::branch(name).ok()).collect();
        access.member.fetch(&store, patterns).await?;
        let commit = |name: &str| self.tip(&store, &format!("refs/heads/{name}")).map(|oid| store.commit(oid)).transpose();
        let (source, target) = (commit(source)?, commit(target)?);
        let equal = matches!((&source, &target), (Some(source), Some(target)) if source.tree == target.tree);
        Ok(Branches { source, target, equal })
    }

    /// The branch and commit a revision means.
    async fn find(
        &mut self,
        alias: &str,
        access: &GitAccess,
        store: &Arc<Store>,
        path: &Path,
        revision: &Revision,
        at: Timestamp,
    ) -> Result<Result<(Option<String>, Oid), String>, Failure> {
        let branch = match revision {
            Revision::Default => {
                let name = store.default_branch().await?;
                let Some(name) = name.as_deref().and_then(|name| name.strip_prefix("refs/heads/")) else {
                    return Ok(Err(format!("`{}` has no default branch; name one in `branch`", store.url())));
                };
                access.member.ensure(store, vec![RefPattern::branch(name)?]).await?;
                Some(name.to_owned())
            }
            Revision::Branch { name, .. } => Some(name.clone()),
            Revision::Tag(_) | Revision::Commit(_) => None,
        };
        // What was checked out before is checked out again, wherever the branch stands by now.
        if let Some(recorded) = self.recorded(alias, &self.display(path)) {
            store.ensure_commit(recorded).await?;
            return Ok(Ok((branch, recorded)));
        }
        let oid = match revision {
            Revision::Tag(name) => self.tip(store, &format!("refs/tags/{name}")).map(|oid| store.peel(oid)).transpose()?,
            Revision::Commit(id) => match id.parse::<Oid>() {
                Ok(oid) => {
                    if !store.has(oid) && store.ensure_commit(oid).await.is_err() {
                        return Ok(Err(format!("`{}` has no commit `{id}`", store.url())));
                    }
                    Some(store.peel(oid)?)
                }
                Err(_) => return Ok(Err(format!("`{id}` is not a full commit id (40 hexadecimal digits)"))),
            },
            Revision::Default | Revision::Branch { .. } => self.tip(store, &format!("refs/heads/{}", branch.as_deref().unwrap_or_default())),
        };
        match (oid, revision) {
            (Some(oid), _) => Ok(Ok((branch, oid))),
            (None, Revision::Branch { name, create: true }) => {
                self.create_branch(alias, access, store, name, at).await.map(|made| made.map(|oid| (branch, oid)))
            }
            (None, Revision::Branch { name, .. }) => Ok(Err(format!("`{}` has no branch `{name}`; set `create: true` to make it", store.url()))),
            (None, Revision::Tag(name)) => Ok(Err(format!("`{}` has no tag `{name}`", store.url()))),
            (None, _) => Ok(Err(format!("`{}` is empty", store.url()))),
        }
    }

    /// Makes a branch with one empty commit and pushes it at once, as Kargo does.
    async fn create_branch(
        &mut self,
        alias: &str,
        access: &GitAccess,
        store: &Arc<Store>,
        name: &str,
        at: Timestamp,
    ) -> Result<Result<Oid, String>, Failure> {
        if RefPattern::branch(name).is_err() {
            return Ok(Err(format!("`{name}` is not a branch name")));
        }
        let who = Signature::new(&access.identity.name, &access.identity.email, at);
        let spec = CommitSpec {
            tree: Oid::empty_tree(),
            parents: Vec::new(),
            author: who.clone(),
            committer: who,
            message: "Initial commit",
            signer: access.signer.as_ref(),
        };
        let commit = store.write_commit(&spec)?;
        let update = RefUpdate::forward(format!("refs/heads/{name}"), None, commit);
        match self.send(alias, access, store, update).await? {
            UnitOutcome::Landed => Ok(Ok(commit)),
            UnitOutcome::Refused { words, .. } => Ok(Err(format!("branch `{name}` cannot be made: {words}"))),
            // Somebody else made it meanwhile: theirs it is.
            UnitOutcome::Stale { .. } | UnitOutcome::NotPushed => {
                access.member.fetch(store, vec![RefPattern::branch(name)?]).await?;
                Ok(self.tip(store, &format!("refs/heads/{name}")).ok_or_else(|| format!("branch `{name}` cannot be made")))
            }
        }
    }

    /// Where a ref stands for this promotion: where its own provisional pushes put it, else where the remote has it.
    fn tip(&self, store: &Store, name: &str) -> Option<Oid> {
        let own = self.provisional.iter().rev().find(|push| push.remote == store.url().key() && push.update.name == name);
        own.map_or_else(|| store.tip(name), |push| push.update.new)
    }

    /// Pushes a ref, or keeps the push for the promotion's record.
    async fn send(&mut self, alias: &str, access: &GitAccess, store: &Arc<Store>, update: RefUpdate) -> Result<UnitOutcome, Failure> {
        if self.provisional_remotes.contains(store.url().key()) {
            self.provisional.push(ProvisionalPush { remote: store.url().key().to_owned(), update, alias: alias.to_owned() });
            return Ok(UnitOutcome::Landed);
        }
        let key = format!("{}#{alias}#{}", self.root.display(), update.name);
        access.member.push(store, PushUnit { key, updates: vec![update] }).await
    }

    /// What differs from HEAD in the checkout at a folder, as people read it: `?? new`, ` M changed`, ` D deleted`. A folder in which
    /// everything is new stands for what it contains.
    ///
    /// # Errors
    /// If the folder or the store cannot be read.
    pub async fn status(&self, path: &str) -> Result<Vec<String>, Failure> {
        let Some((index, _)) = self.checkout_at(&self.root.join(path)) else { return Ok(Vec::new()) };
        let checkout = &self.checkouts[index];
        let mut lines = BTreeSet::new();
        for difference in checkout.differences("", &self.others(index)).await? {
            match difference.kind {
                DifferenceKind::Deleted => drop(lines.insert(format!(" D {}", difference.path))),
                DifferenceKind::Modified => drop(lines.insert(format!(" M {}", difference.path))),
                DifferenceKind::New => {
                    let mut shown = difference.path.clone();
                    for prefix in super::checkout::prefixes(&difference.path).filter(|prefix| *prefix != difference.path) {
                        if checkout.store.entry(checkout.tree, prefix)?.is_none() {
                            shown = format!("{prefix}/");
                            break;
                        }
                    }
                    lines.insert(format!("?? {shown}"));
                }
            }
        }
        for other in self.others(index) {
            if let Some(relative) = checkout.relative(&other) {
                lines.insert(format!("?? {relative}/"));
            }
        }
        Ok(lines.into_iter().collect())
    }

    /// Takes away everything at a path of a checkout that is not ignored. None: the path is in no checkout.
    ///
    /// # Errors
    /// If the folder cannot be read or written.
    pub async fn clear(&mut self, path: &Path) -> Result<Option<()>, Failure> {
        let Some((index, scope)) = self.checkout_at(path) else { return Ok(None) };
        let others = self.others(index);
        self.checkouts[index].clear(&scope, &others).await.map(Some)
    }

    /// Commits what differs at a path of a checkout. None: the path is in no checkout; the inner None: nothing differs.
    ///
    /// # Errors
    /// If the folder or the store cannot be read or written.
    pub async fn commit(
        &mut self,
        alias: &str,
        path: &Path,
        author: Option<&Identity>,
        at: Timestamp,
        message: &str,
    ) -> Result<Option<Option<Oid>>, Failure> {
        let Some((index, scope)) = self.checkout_at(path) else { return Ok(None) };
        let others = self.others(index);
        let access = self.access()?;
        let differences: Vec<Difference> = self.checkouts[index].differences(&scope, &others).await?;
        if let Some(recorded) = self.recorded(alias, "commit") {
            let checkout = &mut self.checkouts[index];
            checkout.store.ensure_commit(recorded).await?;
            checkout.restore(&scope, &differences, recorded)?;
            return Ok(Some(Some(recorded)));
        }
        if differences.is_empty() {
            return Ok(Some(None));
        }
        let checkout = &mut self.checkouts[index];
        let author = author.cloned().or_else(|| checkout.author.clone()).unwrap_or_else(|| access.identity.clone());
        let commit = checkout.commit(&scope, &differences, &author, at, message, access.signer.as_ref())?;
        self.note(alias, "commit", commit);
        Ok(Some(Some(commit)))
    }

    /// Makes an annotated tag of HEAD in a checkout. None: the path is in no checkout; the inner error: why not.
    ///
    /// # Errors
    /// If the remote cannot be asked or the store not written.
    pub async fn tag(&mut self, path: &Path, name: &str, message: &str, force: bool, at: Timestamp) -> Result<Option<Result<Oid, String>>, Failure> {
        let Some((index, _)) = self.checkout_at(path) else { return Ok(None) };
        let access = self.access()?;
        let store = self.checkouts[index].store.clone();
        let Ok(pattern) =
            RefPattern::tag(name).and_then(|pattern| if name.starts_with('-') { Err(Failure::new(FailureKind::Config, "")) } else { Ok(pattern) })
        else {
            return Ok(Some(Err(format!("`{name}` is not a tag name"))));
        };
        access.member.ensure(&store, vec![pattern]).await?;
        // Work trees of one repository share their tags.
        let exists = self.tip(&store, &format!("refs/tags/{name}")).is_some()
            || self.checkouts.iter().any(|checkout| checkout.store.url().key() == store.url().key() && checkout.tags.contains_key(name));
        if exists && !force {
            return Ok(Some(Err(format!("tag `{name}` already exists; set `force: true` to move it"))));
        }
        let checkout = &mut self.checkouts[index];
        let who = checkout.author.clone().unwrap_or_else(|| access.identity.clone());
        let tagger = Signature::new(&who.name, &who.email, at);
        let tag = store.write_tag(&TagSpec { name, target: checkout.head, tagger, message, signer: access.signer.as_ref() })?;
        checkout.tags.insert(name.to_owned(), tag);
        Ok(Some(Ok(checkout.head)))
    }

    /// Pushes a checkout. None: the path is in no checkout; the inner error: why not.
    ///
    /// # Errors
    /// If the remote cannot be asked or does not let us in.
    pub async fn push(
        &mut self,
        alias: &str,
        path: &Path,
        target: &PushTarget,
        attempts: u32,
        at: Timestamp,
    ) -> Result<Option<Result<Pushed, NotPushed>>, Failure> {
        let Some((index, _)) = self.checkout_at(path) else { return Ok(None) };
        let access = self.access()?;
        if let Some(recorded) = self.recorded(alias, "commit") {
            let checkout = &mut self.checkouts[index];
            checkout.store.ensure_commit(recorded).await?;
            checkout.follow_head(recorded)?;
            return Ok(Some(Ok(self.pushed(index, target))));
        }
        let result = match target {
            PushTarget::Tag(name) => self.push_tag(alias, index, &access, name).await?,
            PushTarget::Branch { name, force } => self.push_branch(alias, index, &access, name, *force, attempts, at).await?,
        };
        Ok(Some(match result {
            Ok(()) => {
                let pushed = self.pushed(index, target);
                self.note(alias, "commit", pushed.commit);
                Ok(pushed)
            }
            Err(problem) => Err(problem),
        }))
    }

    fn pushed(&self, index: usize, target: &PushTarget) -> Pushed {
        let checkout = &self.checkouts[index];
        let branch = match target {
            PushTarget::Branch { name, .. } => name.clone(),
            PushTarget::Tag(_) => checkout.branch.clone().unwrap_or_default(),
        };
        Pushed { commit: checkout.head, branch, url: checkout.url.clone() }
    }

    async fn push_tag(&mut self, alias: &str, index: usize, access: &GitAccess, name: &str) -> Result<Result<(), NotPushed>, Failure> {
        let store = self.checkouts[index].store.clone();
        let Ok(pattern) = RefPattern::tag(name) else { return Ok(Err(NotPushed::Errored(format!("`{name}` is not a tag name")))) };
        access.member.ensure(&store, vec![pattern]).await?;
        let full = format!("refs/tags/{name}");
        let key = store.url().key().to_owned();
        let here = self.checkouts.iter().filter(|checkout| checkout.store.url().key() == key).find_map(|checkout| checkout.tags.get(name)).copied();
        let update = match (here, self.tip(&store, &full)) {
            (None, None) => return Ok(Err(NotPushed::Errored(format!("there is no tag `{name}` to push; make it with `git-tag`")))),
            (None, Some(_)) => return Ok(Ok(())),
            (Some(here), Some(there)) if here == there => return Ok(Ok(())),
            (Some(_), Some(_)) => return Ok(Err(NotPushed::Errored(format!("tag `{name}` already exists in `{}`", store.url())))),
            (Some(here), None) => RefUpdate { name: full, expected: Expected::Absent, new: Some(here), force: false },
        };
        Ok(match self.send(alias, access, &store, update).await? {
            UnitOutcome::Landed => Ok(()),
            UnitOutcome::Refused { words, .. } => Err(NotPushed::Errored(format!("tag `{name}` was refused: {words}"))),
            UnitOutcome::Stale { .. } | UnitOutcome::NotPushed => {
                Err(NotPushed::Errored(format!("tag `{name}` already exists in `{}`", store.url())))
            }
        })
    }

    #[expect(clippy::too_many_arguments, reason = "one caller, which has them all")]
    async fn push_branch(
        &mut self,
        alias: &str,
        index: usize,
        access: &GitAccess,
        name: &str,
        force: bool,
        attempts: u32,
        at: Timestamp,
    ) -> Result<Result<(), NotPushed>, Failure> {
        let store = self.checkouts[index].store.clone();
        let Ok(pattern) = RefPattern::branch(name) else { return Ok(Err(NotPushed::Errored(format!("`{name}` is not a branch name")))) };
        let full = format!("refs/heads/{name}");
        let provisional = self.provisional_remotes.contains(store.url().key());
        let mut delay = FIRST_DELAY;
        for attempt in 0..attempts.max(1) {
            if attempt > 0 {
                access.member.outside(tokio::time::sleep(delay.mul_f64(0.5 + rand::random::<f64>()))).await;
                delay = delay.mul_f64(1.5).min(LONGEST_DELAY);
            }
            // A provisional push rests on what the tick saw; a real one looks again.
            if provisional {
                access.member.ensure(&store, vec![pattern.clone()]).await?;
            } else {
                access.member.fetch(&store, vec![pattern.clone()]).await?;
            }
            let tip = self.tip(&store, &full);
            if let (Some(tip), false) = (tip, force) {
                let others = self.others(index);
                let checkout = &mut self.checkouts[index];
                let dirty = checkout.dirty(&others).await?;
                if !dirty.is_empty() {
                    return Ok(Err(NotPushed::Errored(format!("files have changes that are not committed: {}", list(&dirty)))));
                }
                let committer = Committer { identity: &access.identity, at, signer: access.signer.as_ref() };
                match checkout.integrate(tip, name, access.integration, committer).await? {
                    Ok(()) => {}
                    Err(NotIntegrated::Conflict(paths)) => return Ok(Err(NotPushed::Conflict(paths.into_iter().map(|(path, _)| path).collect()))),
                    Err(NotIntegrated::Dirty(paths)) => {
                        return Ok(Err(NotPushed::Errored(format!("files have changes that are not committed: {}", list(&paths)))));
                    }
                    Err(NotIntegrated::Unrelated) => {
                        return Ok(Err(NotPushed::Errored(format!("branch `{name}` has an unrelated history and cannot be merged"))));
                    }
                }
            }
            let checkout = &self.checkouts[index];
            let head = checkout.head;
            if tip.is_none() {
                let contents = checkout.unknown_to_remote()?;
                access.member.prefetch(&store, contents).await?;
            }
            if tip == Some(head) {
                return Ok(Ok(()));
            }
            let update = RefUpdate {
                name: full.clone(),
                expected: if force { Expected::Anything } else { tip.map_or(Expected::Absent, Expected::At) },
                new: Some(head),
                force,
            };
            let written = WrittenTree {
                repo_url: checkout.url.clone(),
                branch: name.to_owned(),
                commit: head.to_string(),
                tree: checkout.tree.to_string(),
                paths: checkout.owned(tip)?,
            };
            match self.send(alias, access, &store, update).await? {
                UnitOutcome::Landed => {
                    self.written.push(written);
                    return Ok(Ok(()));
                }
                UnitOutcome::Refused { words, .. } => return Ok(Err(NotPushed::Errored(format!("branch `{name}` was refused: {words}")))),
                UnitOutcome::Stale { .. } | UnitOutcome::NotPushed => {}
            }
        }
        Ok(Err(NotPushed::Errored(format!("branch `{name}` was moved by others before each of {attempts} attempts to push"))))
    }

    /// The commit that the journal of an earlier tick has for a step.
    fn recorded(&self, alias: &str, key: &str) -> Option<Oid> {
        self.replay.as_ref()?.get(alias)?.get(key)?.as_str()?.parse().ok()
    }

    fn note(&mut self, alias: &str, key: &str, commit: Oid) {
        let entry = self.journal.entry(alias).or_insert_with(|| json!({}));
        if let Value::Object(fields) = entry {
            fields.insert(key.to_owned(), json!(commit.to_string()));
        }
    }
}

impl Checkout {
    /// Moves HEAD to a commit that was made of these differences in an earlier tick.
    fn restore(&mut self, scope: &str, differences: &[Difference], commit: Oid) -> Result<(), Failure> {
        for difference in differences {
            match difference.now {
                Some(now) => self.placed.insert(difference.path.clone(), now),
                None => self.placed.remove(&difference.path),
            };
        }
        self.settle(scope);
        self.follow_head(commit)
    }
}

fn list(paths: &[String]) -> String {
    let shown: Vec<String> = paths.iter().take(5).map(|path| format!("`{path}`")).collect();
    let more = paths.len().saturating_sub(5);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

/// Checks the folders of a sparse checkout; gives them as the tree spells them.
fn cone(folders: &[String]) -> Result<Vec<String>, String> {
    let clean = |folder: &String| {
        if folder.starts_with('/') {
            return Err(format!("sparse folder `{folder}` must be relative"));
        }
        if folder.contains(['*', '?', '[']) {
            return Err(format!("sparse folder `{folder}` cannot be a pattern"));
        }
        let mut parts: Vec<&str> = Vec::new();
        for part in folder.split('/').filter(|part| !part.is_empty() && *part != ".") {
            if part == ".." {
                if parts.pop().is_none() {
                    return Err(format!("sparse folder `{folder}` leads out of the repository"));
                }
            } else {
                parts.push(part);
            }
        }
        Ok(parts.join("/"))
    };
    folders.iter().map(clean).collect()
}

/// `Integration` as `consign.yaml` spells Kargo's policies.
impl std::str::FromStr for Integration {
    type Err = String;

    /// Reads Kargo's names. Commits of ours can always be made again, so the two policies that ask whether a rebase is safe mean a rebase.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "AlwaysRebase" | "RebaseOrMerge" | "RebaseOrFail" => Ok(Self::Rebase),
            "AlwaysMerge" => Ok(Self::Merge),
            _ => Err(format!("`{text}` is not an integration policy; expected `AlwaysRebase`, `RebaseOrMerge`, `RebaseOrFail` or `AlwaysMerge`")),
        }
    }
}
