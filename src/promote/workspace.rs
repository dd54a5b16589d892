//! A promotion's working directory.
//!
//! It is a real folder. Checkouts in it are lazy: their files come into being when a step says that it will read them, after one batched
//! prefetch. So a step asks first ([`Workspace::need`]), then uses ordinary file functions on [`Workspace::resolve`]d paths, and never touches
//! a path it did not ask for. What a step writes is simply written; `git-commit` finds it by comparing the folder with the checkout's tree.

mod changes;
mod checkout;
mod memory;
mod push;
mod repository;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::diagnostic::{Failure, FailureKind};
use crate::git::{Member, Oid, RefUpdate, Signer, Stores};
use crate::model::WrittenTree;

pub use changes::{Difference, DifferenceKind};
pub use checkout::{Checkout, Identity};
pub use memory::Memory;
pub use push::{Committer, Integration, NotIntegrated};
pub use repository::{Branches, CheckOut, NotCheckedOut, NotPushed, PushTarget, Pushed, Revision};

/// A promotion's working directory.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    /// The way to repositories; None: the promotion has none.
    git: Option<Arc<GitAccess>>,
    checkouts: Vec<Checkout>,
    /// The remotes whose pushes leave with the promotion's record instead of at once.
    provisional_remotes: Provisional,
    /// Pushes that leave with the promotion's record, in order.
    provisional: Vec<ProvisionalPush>,
    /// What was written to Git, in order.
    written: Vec<WrittenTree>,
    /// By step alias: which commits a step checked out, made or pushed.
    journal: Map<String, Value>,
    /// The journal of earlier ticks, until the folder is rebuilt by it.
    resumption: Option<Map<String, Value>>,
    /// The journal of earlier ticks, while their steps are run again to rebuild the folder.
    replay: Option<Map<String, Value>>,
    /// Keeps a temporary root alive; None for a folder of the user's.
    _temporary: Option<tempfile::TempDir>,
}

/// Remotes whose pushes are provisional.
#[derive(Debug)]
enum Provisional {
    None,
    /// The one with this key.
    Only(String),
    All,
}

impl Provisional {
    fn contains(&self, remote: &str) -> bool {
        match self {
            Self::None => false,
            Self::Only(only) => only == remote,
            Self::All => true,
        }
    }
}

/// What a step is about to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// One file; it may be missing.
    File(PathBuf),
    /// A file, or a folder with everything below it; it may be missing.
    Tree(PathBuf),
}

impl Need {
    fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Tree(path) => path,
        }
    }

    fn at(&self, path: PathBuf) -> Self {
        match self {
            Self::File(_) => Self::File(path),
            Self::Tree(_) => Self::Tree(path),
        }
    }
}

/// A workspace's way to repositories.
#[derive(Debug)]
pub struct GitAccess {
    /// The stores of this process.
    pub stores: Stores,
    /// The promotion's place among those that run at once.
    pub member: Member,
    /// Author of commits and tags, unless a step says otherwise.
    pub identity: Identity,
    /// Signs commits and tags.
    pub signer: Option<Signer>,
    /// How to take in what others pushed.
    pub integration: Integration,
}

/// A push that leaves with the promotion's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvisionalPush {
    /// Key of the remote.
    pub remote: String,
    /// The ref and where it goes.
    pub update: RefUpdate,
    /// The step that pushed.
    pub alias: String,
}

/// A path of a step's configuration that leads out of the workspace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("path `{path}` leads out of the working directory")]
pub struct PathEscape {
    /// The path as configured.
    pub path: String,
}

impl Workspace {
    /// A fresh private folder, removed when the workspace is dropped.
    ///
    /// # Errors
    /// Tool, if no temporary folder can be made.
    pub fn temporary() -> Result<Self, Failure> {
        let folder = tempfile::Builder::new()
            .prefix("consign-")
            .tempdir()
            .map_err(|error| Failure::new(FailureKind::Tool, "cannot make a temporary folder for the promotion's files").caused_by(error))?;
        // Resolved, so that paths below it compare with what the system says about links.
        let root = folder.path().canonicalize().unwrap_or_else(|_| folder.path().to_owned());
        Ok(Self { _temporary: Some(folder), ..Self::at(root) })
    }

    /// The workspace in an existing folder, as `consign step` uses it.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            git: None,
            checkouts: Vec::new(),
            provisional_remotes: Provisional::None,
            provisional: Vec::new(),
            written: Vec::new(),
            journal: Map::new(),
            resumption: None,
            replay: None,
            _temporary: None,
        }
    }

    /// Gives the workspace its way to repositories.
    #[must_use]
    pub fn with_git(mut self, access: GitAccess) -> Self {
        self.git = Some(Arc::new(access));
        self
    }

    /// Pushes to the remote with this key ([`crate::git::RemoteUrl::key`]) are provisional: the steps go on as if they had landed, and they
    /// leave with the promotion's record.
    #[must_use]
    pub fn with_provisional(mut self, remote: impl Into<String>) -> Self {
        self.provisional_remotes = Provisional::Only(remote.into());
        self
    }

    /// Pushes to every remote are provisional: for a rehearsal, in which nothing leaves.
    #[must_use]
    pub fn with_all_provisional(mut self) -> Self {
        self.provisional_remotes = Provisional::All;
        self
    }

    /// Pushes that wait to leave with the promotion's record.
    pub fn provisional(&self) -> &[ProvisionalPush] {
        &self.provisional
    }

    /// What was written to Git since the last call, in order.
    pub fn take_written(&mut self) -> Vec<WrittenTree> {
        std::mem::take(&mut self.written)
    }

    /// By step alias, which commits the steps checked out, made or pushed: what a later replay restores.
    pub fn journal(&self) -> &Map<String, Value> {
        &self.journal
    }

    /// Starts or ends a replay: steps that are run again restore the commits that this journal has for them instead of making new ones, and
    /// push nothing.
    pub fn set_replay(&mut self, journal: Option<Map<String, Value>>) {
        if let Some(journal) = &journal {
            self.journal.clone_from(journal);
        }
        self.replay = journal;
    }

    /// For a promotion that waited: the workspace is empty, and this journal of earlier ticks says how to fill it once a step needs files.
    #[must_use]
    pub fn resuming(mut self, journal: Map<String, Value>) -> Self {
        self.journal.clone_from(&journal);
        self.resumption = Some(journal);
        self
    }

    /// The journal the workspace is to be filled by, once.
    pub(super) fn take_resumption(&mut self) -> Option<Map<String, Value>> {
        self.resumption.take()
    }

    /// The checkouts, in the order they were made.
    pub fn checkouts(&self) -> &[Checkout] {
        &self.checkouts
    }

    /// Runs an external process or call; promotions that share a push with this one need not wait for it.
    pub async fn outside<F: Future>(&self, work: F) -> F::Output {
        match &self.git {
            Some(access) => access.member.outside(work).await,
            None => work.await,
        }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Turns a path of a step's configuration into a path below the root: an absolute path means the workspace root, `.` is the root.
    /// The last component is not followed if it is a symlink; every other symlink on the way must stay inside.
    ///
    /// # Errors
    /// A `..` that climbs out, or a symlink that leads out.
    pub fn resolve(&self, path: &str) -> Result<PathBuf, PathEscape> {
        let escape = || PathEscape { path: path.to_owned() };
        let mut relative = PathBuf::new();
        for component in Path::new(path).components() {
            match component {
                Component::Normal(name) => relative.push(name),
                Component::ParentDir => {
                    if !relative.pop() {
                        return Err(escape());
                    }
                }
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        let full = self.root.join(&relative);
        let root = self.root.canonicalize().unwrap_or_else(|_| self.root.clone());
        let mut existing = full.parent().filter(|_| full != self.root);
        while let Some(folder) = existing {
            match folder.canonicalize() {
                Ok(real) => return if real.starts_with(&root) { Ok(full) } else { Err(escape()) },
                Err(_) => existing = folder.parent(),
            }
        }
        Ok(full)
    }

    /// Turns a path of a step's configuration into the path of what it names, read as if the workspace were the root of the file system: a
    /// `..` does not climb above it, and links, the last component included, are followed but lead into the workspace again. So a path never
    /// leads out, and none is an error (measured). Links on the way come onto disk; what the path names does not.
    ///
    /// # Errors
    /// As [`need`](Self::need); Tool, if links go round in circles.
    pub async fn follow(&mut self, path: &str) -> Result<PathBuf, Failure> {
        // As many as the path handling that was measured follows.
        const MAX_LINKS: usize = 255;
        let mut links = 0;
        let mut done = self.root.clone();
        let mut open: Vec<PathBuf> = vec![PathBuf::from(path)];
        while let Some(next) = open.pop() {
            let mut components = next.components();
            let Some(component) = components.next() else { continue };
            open.push(components.as_path().to_owned());
            match component {
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
                Component::ParentDir => {
                    if done != self.root {
                        done.pop();
                    }
                }
                Component::Normal(name) => {
                    let full = done.join(name);
                    if self.entry(&full)? != Some(EntryKind::Link) {
                        done = full;
                        continue;
                    }
                    self.need(&[Need::File(full.clone())]).await?;
                    let target = std::fs::read_link(&full).map_err(|error| self.unreadable(&full, error))?;
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(self.unreadable(&full, std::io::Error::other("its links go round in circles")));
                    }
                    if target.is_absolute() {
                        done.clone_from(&self.root);
                    }
                    open.push(target);
                }
            }
        }
        Ok(done)
    }

    /// A path below the root as users read it: relative, `/`-separated.
    pub fn display(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    /// Makes what a step will read present on disk. Paths are as [`resolve`](Self::resolve) gives them.
    ///
    /// # Errors
    /// Remote or Refused, if blobs cannot be fetched.
    pub async fn need(&mut self, needs: &[Need]) -> Result<(), Failure> {
        self.bring(needs).await.map(drop)
    }

    /// As [`need`](Self::need); true: something came onto disk.
    async fn bring(&mut self, needs: &[Need]) -> Result<bool, Failure> {
        let Some(access) = self.git.clone().filter(|_| !self.checkouts.is_empty()) else { return Ok(false) };
        let mut open: Vec<Need> = needs.to_vec();
        let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
        let mut came = false;
        while !open.is_empty() {
            // One round: everything whose way is known by now, in one fetch per remote.
            let mut wanted: BTreeMap<usize, Vec<crate::git::Entry>> = BTreeMap::new();
            let mut next = Vec::new();
            for need in open {
                self.look(&need, &mut wanted, &mut next)?;
            }
            for (index, entries) in &wanted {
                let oids: Vec<Oid> = entries.iter().filter(|entry| entry.kind.is_blob()).map(|entry| entry.oid).collect();
                access.member.prefetch(&self.checkouts[*index].store, oids).await?;
            }
            for (index, entries) in wanted {
                for entry in entries {
                    let full = self.checkouts[index].path().join(&entry.path);
                    if std::fs::symlink_metadata(&full).is_ok() {
                        continue;
                    }
                    self.checkouts[index].place(&entry)?;
                    came = true;
                    if entry.kind == crate::git::EntryKind::Symlink {
                        // Who reads a link reads what it leads to.
                        next.extend(self.target(&full).map(Need::Tree));
                    }
                }
            }
            // Links may lead in circles.
            open = next.into_iter().filter(|need| seen.insert(need.path().to_owned())).collect();
        }
        Ok(came)
    }

    /// Finds what a need wants that only a tree has: into `wanted`, or, where a link is on the way, the rest of the way into `next`.
    fn look(&self, need: &Need, wanted: &mut BTreeMap<usize, Vec<crate::git::Entry>>, next: &mut Vec<Need>) -> Result<(), Failure> {
        let path = need.path();
        let mut way: Vec<&Path> = path.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.root) && *folder != self.root).collect();
        way.reverse();
        for folder in way {
            if self.entry(folder)? != Some(EntryKind::Link) {
                continue;
            }
            let rest = path.strip_prefix(folder).unwrap_or(Path::new("")).to_owned();
            if std::fs::symlink_metadata(folder).is_err()
                && let Some((index, relative)) = self.checkout_at(folder)
                && let Some(entry) = self.checkouts[index].virtual_entry(&relative)?
            {
                wanted.entry(index).or_default().push(entry);
                // Once the link is there, the way goes on.
                next.push(need.at(path.to_owned()));
            } else if let Some(target) = self.target(folder) {
                next.push(need.at(target.join(rest)));
            }
            return Ok(());
        }
        if let (Some((index, relative)), true) = (self.checkout_at(path), std::fs::symlink_metadata(path).is_err())
            && let Some(entry) = self.checkouts[index].virtual_entry(&relative)?.filter(|entry| entry.kind != crate::git::EntryKind::Folder)
        {
            wanted.entry(index).or_default().push(entry);
            return Ok(());
        }
        if let Ok(metadata) = std::fs::symlink_metadata(path)
            && metadata.is_symlink()
        {
            next.extend(self.target(path).map(|target| need.at(target)));
        }
        if let Need::Tree(folder) = need {
            for (index, checkout) in self.checkouts.iter().enumerate() {
                let scope = match checkout.relative(folder) {
                    Some(scope) => scope,
                    None if checkout.path().starts_with(folder) => String::new(),
                    None => continue,
                };
                let own =
                    |entry: &crate::git::Entry| self.checkout_at(&checkout.path().join(&entry.path)).is_some_and(|(deepest, _)| deepest == index);
                wanted.entry(index).or_default().extend(checkout.virtual_entries(&scope)?.into_iter().filter(own));
            }
        }
        Ok(())
    }

    /// What a link on disk leads to, if that is inside the workspace.
    fn target(&self, link: &Path) -> Option<PathBuf> {
        let target = std::fs::read_link(link).ok()?;
        let mut full = link.parent()?.to_owned();
        for component in target.components() {
            match component {
                Component::RootDir | Component::Prefix(_) => full = PathBuf::from("/"),
                Component::CurDir => {}
                Component::ParentDir => {
                    full.pop();
                }
                Component::Normal(name) => full.push(name),
            }
        }
        full.starts_with(&self.root).then_some(full)
    }

    /// The deepest checkout that a path lies in, and the path as its tree spells it.
    fn checkout_at(&self, path: &Path) -> Option<(usize, String)> {
        let inside = self.checkouts.iter().enumerate().filter(|(_, checkout)| path.starts_with(checkout.path()));
        let (index, checkout) = inside.max_by_key(|(_, checkout)| checkout.path().components().count())?;
        Some((index, checkout.relative(path)?))
    }

    /// What stands at a path, on disk or in a checkout that is not on disk yet; None: nothing. A link is not followed.
    ///
    /// # Errors
    /// Internal or Remote, if the checkout's tree cannot be read.
    pub fn entry(&self, path: &Path) -> Result<Option<EntryKind>, Failure> {
        if let Ok(metadata) = std::fs::symlink_metadata(path) {
            return Ok(Some(EntryKind::of(metadata.file_type())));
        }
        let Some((index, relative)) = self.checkout_at(path) else { return Ok(None) };
        Ok(self.checkouts[index].virtual_entry(&relative)?.map(|entry| EntryKind::of_tree(entry.kind)))
    }

    /// Whether something stands at a path, on disk or in a checkout that is not on disk yet.
    ///
    /// # Errors
    /// As [`entry`](Self::entry).
    pub fn exists(&self, path: &Path) -> Result<bool, Failure> {
        Ok(self.entry(path)?.is_some())
    }

    /// Every file and link below a folder, on disk or in a checkout that is not on disk yet: full paths, sorted. Contents are not fetched.
    ///
    /// # Errors
    /// As [`entry`](Self::entry); Tool, if a folder cannot be read.
    pub fn list(&self, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
        let mut found = Vec::new();
        let mut open = vec![folder.to_owned()];
        while let Some(folder) = open.pop() {
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => continue,
                Err(error) => return Err(self.unreadable(&folder, error)),
            };
            for entry in entries {
                let entry = entry.map_err(|error| self.unreadable(&folder, error))?;
                let kind = entry.file_type().map_err(|error| self.unreadable(&folder, error))?;
                // In a real work tree it is git's own.
                if entry.file_name() == ".git" && self.checkouts.iter().any(|checkout| checkout.path() == folder) {
                    continue;
                }
                if kind.is_dir() { open.push(entry.path()) } else { found.push(entry.path()) }
            }
        }
        for (index, checkout) in self.checkouts.iter().enumerate() {
            let scope = match checkout.relative(folder) {
                Some(scope) => scope,
                None if checkout.path().starts_with(folder) => String::new(),
                None => continue,
            };
            let entries = checkout.virtual_entries(&scope)?.into_iter().filter(|entry| entry.kind.is_blob());
            // A checkout in a checkout hides what the outer one has there.
            let own = |path: &PathBuf| self.checkout_at(path).is_some_and(|(deepest, _)| deepest == index);
            found.extend(entries.map(|entry| checkout.path().join(entry.path)).filter(own));
        }
        found.sort();
        Ok(found)
    }

    /// Removes a file, a link or a folder with all below it, on disk or in a checkout that is not on disk yet. Nothing there: nothing happens.
    ///
    /// # Errors
    /// Why it cannot be removed.
    pub fn remove(&mut self, path: &Path) -> std::io::Result<()> {
        let removed = match std::fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path),
            Ok(_) => std::fs::remove_file(path),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.checkouts.retain(|checkout| !checkout.path().starts_with(path));
        if let Some((index, relative)) = self.checkout_at(path) {
            self.checkouts[index].gone.insert(relative);
        }
        Ok(())
    }

    /// Brings everything of every checkout onto disk: what an external tool gets when it failed in a lazily filled folder.
    /// True: something came that was not there, so a second try may differ.
    ///
    /// # Errors
    /// As [`need`](Self::need).
    pub async fn complete(&mut self) -> Result<bool, Failure> {
        let root = self.root.clone();
        self.bring(&[Need::Tree(root)]).await
    }

    fn unreadable(&self, path: &Path, error: std::io::Error) -> Failure {
        Failure::new(FailureKind::Tool, format!("cannot read `{}` in the promotion's folder", self.display(path))).caused_by(error)
    }
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
}

impl EntryKind {
    fn of_tree(kind: crate::git::EntryKind) -> Self {
        match kind {
            crate::git::EntryKind::Symlink => Self::Link,
            crate::git::EntryKind::Folder | crate::git::EntryKind::Submodule => Self::Folder,
            crate::git::EntryKind::File | crate::git::EntryKind::Executable => Self::File,
        }
    }

    fn of(kind: std::fs::FileType) -> Self {
        if kind.is_dir() {
            Self::Folder
        } else if kind.is_symlink() {
            Self::Link
        } else {
            Self::File
        }
    }
}
