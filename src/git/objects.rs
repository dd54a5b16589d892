//! Reading what is in a store. Nothing here goes to the network: a blob that was not fetched is an error of its own kind.

use std::ops::ControlFlow;

use gix::bstr::{BStr, BString, ByteSlice as _};
use gix::objs::tree::EntryMode;

use super::commit::Signature;
use super::oid::Oid;
use super::store::Store;
use crate::diagnostic::{Failure, FailureKind};

/// Why an object could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// The object is not in the store: never fetched, or beyond the fetched history.
    #[error("object `{0}` has not been fetched")]
    Missing(Oid),
    /// The object is of another kind.
    #[error("object `{oid}` is not a {wanted}")]
    WrongKind {
        /// Which object.
        oid: Oid,
        /// The kind that was expected.
        wanted: &'static str,
    },
    /// A path that must not be written into a tree.
    #[error("path `{path}` cannot be committed: {why}")]
    BadPath {
        /// The path.
        path: String,
        /// Why.
        why: String,
    },
    /// A signature could not be made.
    #[error("cannot sign: {0}")]
    Signing(String),
    /// The store cannot be read or written.
    #[error("the object store is damaged: {0}")]
    Damaged(String),
}

impl From<ObjectError> for Failure {
    fn from(error: ObjectError) -> Self {
        let message = error.to_string();
        match error {
            ObjectError::Missing(_) | ObjectError::WrongKind { .. } => Self::new(FailureKind::Internal, message),
            ObjectError::BadPath { .. } => Self::new(FailureKind::Config, message),
            ObjectError::Signing(_) => {
                Self::new(FailureKind::Tool, message).hint("check the signing program and key under `git.signing` in `consign.yaml`")
            }
            ObjectError::Damaged(_) => Self::new(FailureKind::Tool, message).hint("delete the cache folder; the next run fills it again"),
        }
    }
}

pub(super) fn damaged(error: impl std::fmt::Display) -> ObjectError {
    ObjectError::Damaged(error.to_string())
}

/// What a tree's entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// A file.
    File,
    /// A file with the executable bit.
    Executable,
    /// A symbolic link; its content is the target.
    Symlink,
    /// A folder.
    Folder,
    /// A commit of another repository.
    Submodule,
}

impl EntryKind {
    /// Whether its content is a blob: a file or a link.
    pub const fn is_blob(self) -> bool {
        matches!(self, Self::File | Self::Executable | Self::Symlink)
    }

    pub(super) fn of(mode: EntryMode) -> Self {
        use gix::objs::tree::EntryKind as Kind;
        match mode.kind() {
            Kind::Tree => Self::Folder,
            Kind::Blob => Self::File,
            Kind::BlobExecutable => Self::Executable,
            Kind::Link => Self::Symlink,
            Kind::Commit => Self::Submodule,
        }
    }

    pub(super) const fn raw(self) -> gix::objs::tree::EntryKind {
        use gix::objs::tree::EntryKind as Kind;
        match self {
            Self::File => Kind::Blob,
            Self::Executable => Kind::BlobExecutable,
            Self::Symlink => Kind::Link,
            Self::Folder => Kind::Tree,
            Self::Submodule => Kind::Commit,
        }
    }
}

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path from the root of the tree that was asked, `/`-separated; bytes that are no UTF-8 are replaced.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Its object.
    pub oid: Oid,
}

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its name.
    pub id: Oid,
    /// The tree it records.
    pub tree: Oid,
    /// Its parents, first parent first.
    pub parents: Vec<Oid>,
    /// Who wrote the change.
    pub author: Signature,
    /// Who made the commit.
    pub committer: Signature,
    /// The whole message.
    pub message: String,
}

impl Commit {
    /// The message's first line.
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

/// What an annotated tag says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// What it names: a commit, seldom another tag.
    pub target: Oid,
    /// Who made it and when; very old tags do not say.
    pub tagger: Option<Signature>,
    /// The message, without a signature below it.
    pub message: String,
}

impl Store {
    /// Whether an object is here.
    pub fn has(&self, oid: Oid) -> bool {
        has(&self.repository(), oid)
    }

    /// Those of the objects that are not here, each once, in order.
    pub fn missing(&self, oids: &[Oid]) -> Vec<Oid> {
        let repository = self.repository();
        let mut seen = std::collections::HashSet::new();
        oids.iter().copied().filter(|oid| seen.insert(*oid) && !has(&repository, *oid)).collect()
    }

    /// The commit that a full ref name, branch, tag or full commit id means, by what was fetched; annotated tags are followed.
    /// None: not here.
    ///
    /// # Errors
    /// When the store cannot be read, or the ref leads to no commit.
    pub fn resolve(&self, revision: &str) -> Result<Option<Oid>, ObjectError> {
        let tips = self.tips();
        let named = [revision.to_owned(), format!("refs/heads/{revision}"), format!("refs/tags/{revision}")];
        if let Some(oid) = named.iter().find_map(|name| tips.get(name)) {
            return self.peel(*oid).map(Some);
        }
        match revision.parse::<Oid>() {
            Ok(oid) if self.has(oid) => self.peel(oid).map(Some),
            _ => Ok(None),
        }
    }

    /// Follows annotated tags to the commit.
    ///
    /// # Errors
    /// Missing or `WrongKind`.
    pub fn peel(&self, oid: Oid) -> Result<Oid, ObjectError> {
        let repository = self.repository();
        let mut at = oid;
        // A tag may name a tag; a chain this long is nobody's intention.
        for _ in 0..16 {
            let object = find(&repository, at)?;
            match object.kind {
                gix::objs::Kind::Commit => return Ok(at),
                gix::objs::Kind::Tag => {
                    let tag = gix::objs::TagRef::from_bytes(&object.data, gix::hash::Kind::Sha1).map_err(damaged)?;
                    at = Oid(tag.target());
                }
                _ => break,
            }
        }
        Err(ObjectError::WrongKind { oid, wanted: "commit" })
    }

    /// A commit.
    ///
    /// # Errors
    /// Missing or `WrongKind`.
    pub fn commit(&self, oid: Oid) -> Result<Commit, ObjectError> {
        commit(&self.repository(), oid)
    }

    /// What an annotated tag says; None: the object is no tag, so the ref is a lightweight one.
    ///
    /// # Errors
    /// Missing, when it is not here.
    pub fn annotation(&self, oid: Oid) -> Result<Option<Annotation>, ObjectError> {
        let repository = self.repository();
        let object = find(&repository, oid)?;
        if object.kind != gix::objs::Kind::Tag {
            return Ok(None);
        }
        let tag = gix::objs::TagRef::from_bytes(&object.data, gix::hash::Kind::Sha1).map_err(damaged)?;
        let tagger = tag.tagger().map_err(damaged)?.map(|tagger| Signature::read(&tagger));
        Ok(Some(Annotation { target: Oid(tag.target()), tagger, message: tag.message.to_str_lossy().into_owned() }))
    }

    /// The entry at a path of a tree; the empty path is the tree itself. None: there is none.
    ///
    /// # Errors
    /// Missing or `WrongKind`, when `tree` is no tree that is here.
    pub fn entry(&self, tree: Oid, path: &str) -> Result<Option<Entry>, ObjectError> {
        entry(&self.repository(), tree, path)
    }

    /// The direct entries of a folder of a tree; the empty path is the root. None: there is no folder.
    ///
    /// # Errors
    /// Missing or `WrongKind`, when `tree` is no tree that is here.
    pub fn children(&self, tree: Oid, path: &str) -> Result<Option<Vec<Entry>>, ObjectError> {
        let repository = self.repository();
        let Some(folder) = entry(&repository, tree, path)?.filter(|entry| entry.kind == EntryKind::Folder) else { return Ok(None) };
        let children = entries(&repository, folder.oid)?;
        Ok(Some(children.into_iter().map(|(name, mode, oid)| Entry { path: join(path, name.as_bstr()), kind: EntryKind::of(mode), oid }).collect()))
    }

    /// Everything below a folder of a tree that is not itself a folder, in git's order; the path of a file gives that file alone.
    /// Empty: nothing is there.
    ///
    /// # Errors
    /// Missing or `WrongKind`, when `tree` is no tree that is here.
    pub fn list(&self, tree: Oid, prefix: &str) -> Result<Vec<Entry>, ObjectError> {
        let repository = self.repository();
        let mut found = Vec::new();
        match entry(&repository, tree, prefix)? {
            None => {}
            Some(top) if top.kind == EntryKind::Folder => list(&repository, top.oid, prefix, &mut found)?,
            Some(top) => found.push(top),
        }
        Ok(found)
    }

    /// The content of a blob that was fetched.
    ///
    /// # Errors
    /// Missing, when it was not fetched; `WrongKind`.
    pub fn blob(&self, oid: Oid) -> Result<Vec<u8>, ObjectError> {
        blob(&self.repository(), oid)
    }

    /// The content of the file at a path of a tree; None: there is no file.
    ///
    /// # Errors
    /// Missing, when it was not fetched.
    pub fn file(&self, tree: Oid, path: &str) -> Result<Option<Vec<u8>>, ObjectError> {
        let repository = self.repository();
        match entry(&repository, tree, path)? {
            Some(entry) if entry.kind.is_blob() => blob(&repository, entry.oid).map(Some),
            _ => Ok(None),
        }
    }

    /// Whether `ancestor` is `commit` or one of its ancestors, as far as the fetched history goes.
    ///
    /// # Errors
    /// Missing, when one of the two is not here.
    pub fn is_ancestor(&self, ancestor: Oid, commit: Oid) -> Result<bool, ObjectError> {
        Ok(ancestor == commit || self.merge_base(ancestor, commit)? == Some(ancestor))
    }

    /// The best common ancestor of two commits; None: they share no history, as far as fetched.
    ///
    /// # Errors
    /// Missing, when one of the two is not here.
    pub fn merge_base(&self, one: Oid, two: Oid) -> Result<Option<Oid>, ObjectError> {
        let repository = self.repository();
        for oid in [one, two] {
            if !has(&repository, oid) {
                return Err(ObjectError::Missing(oid));
            }
        }
        repository.merge_base(one.0, two.0).map(|base| base.map(|id| Oid(id.detach()))).map_err(damaged)
    }

    /// Visits the commits that `tips` reach and `hidden` do not, newest first, until the visitor breaks. The fetched history ends where a
    /// limited depth ended it.
    ///
    /// # Errors
    /// Missing, when a tip is not here.
    pub fn walk(&self, tips: &[Oid], hidden: &[Oid], mut visit: impl FnMut(Commit) -> ControlFlow<()>) -> Result<(), ObjectError> {
        use gix::revision::walk::Sorting;
        use gix::traverse::commit::simple::CommitTimeOrder;
        let repository = self.repository();
        if let Some(missing) = tips.iter().find(|oid| !has(&repository, **oid)) {
            return Err(ObjectError::Missing(*missing));
        }
        let hidden: Vec<gix::ObjectId> = hidden.iter().filter(|oid| has(&repository, **oid)).map(|oid| oid.0).collect();
        let walk = repository
            .rev_walk(tips.iter().map(|oid| oid.0))
            .sorting(Sorting::ByCommitTime(CommitTimeOrder::NewestFirst))
            .with_hidden(hidden)
            .all()
            .map_err(damaged)?;
        for step in walk {
            let id = Oid(step.map_err(damaged)?.id);
            if visit(commit(&repository, id)?).is_break() {
                break;
            }
        }
        Ok(())
    }
}

pub(super) fn has(repository: &gix::Repository, oid: Oid) -> bool {
    oid == Oid::empty_tree() || repository.has_object(oid.0)
}

pub(super) fn find(repository: &gix::Repository, oid: Oid) -> Result<gix::Object<'_>, ObjectError> {
    repository.try_find_object(oid.0).map_err(damaged)?.ok_or(ObjectError::Missing(oid))
}

pub(super) fn blob(repository: &gix::Repository, oid: Oid) -> Result<Vec<u8>, ObjectError> {
    let mut object = find(repository, oid)?;
    if object.kind != gix::objs::Kind::Blob {
        return Err(ObjectError::WrongKind { oid, wanted: "file" });
    }
    Ok(std::mem::take(&mut object.data))
}

pub(super) fn commit(repository: &gix::Repository, oid: Oid) -> Result<Commit, ObjectError> {
    let object = find(repository, oid)?;
    if object.kind != gix::objs::Kind::Commit {
        return Err(ObjectError::WrongKind { oid, wanted: "commit" });
    }
    let decoded = gix::objs::CommitRef::from_bytes(&object.data, gix::hash::Kind::Sha1).map_err(damaged)?;
    Ok(Commit {
        id: oid,
        tree: Oid(decoded.tree()),
        parents: decoded.parents().map(Oid).collect(),
        author: Signature::read(&decoded.author().map_err(damaged)?),
        committer: Signature::read(&decoded.committer().map_err(damaged)?),
        message: decoded.message.to_str_lossy().into_owned(),
    })
}

/// The entries of one tree, in git's order.
pub(super) fn entries(repository: &gix::Repository, tree: Oid) -> Result<Vec<(BString, EntryMode, Oid)>, ObjectError> {
    if tree == Oid::empty_tree() {
        return Ok(Vec::new());
    }
    let object = find(repository, tree)?;
    if object.kind != gix::objs::Kind::Tree {
        return Err(ObjectError::WrongKind { oid: tree, wanted: "tree" });
    }
    let decoded = gix::objs::TreeRef::from_bytes(&object.data, gix::hash::Kind::Sha1).map_err(damaged)?;
    Ok(decoded.entries.iter().map(|entry| (entry.filename.to_owned(), entry.mode, Oid(entry.oid.to_owned()))).collect())
}

pub(super) fn entry(repository: &gix::Repository, tree: Oid, path: &str) -> Result<Option<Entry>, ObjectError> {
    let mut at = Entry { path: path.to_owned(), kind: EntryKind::Folder, oid: tree };
    for name in path.split('/').filter(|name| !name.is_empty()) {
        if at.kind != EntryKind::Folder {
            return Ok(None);
        }
        match entries(repository, at.oid)?.into_iter().find(|(filename, ..)| filename == name) {
            Some((_, mode, oid)) => (at.kind, at.oid) = (EntryKind::of(mode), oid),
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

fn list(repository: &gix::Repository, tree: Oid, prefix: &str, found: &mut Vec<Entry>) -> Result<(), ObjectError> {
    for (name, mode, oid) in entries(repository, tree)? {
        let path = join(prefix, name.as_bstr());
        match EntryKind::of(mode) {
            EntryKind::Folder => list(repository, oid, &path, found)?,
            kind => found.push(Entry { path, kind, oid }),
        }
    }
    Ok(())
}

pub(super) fn join(folder: &str, name: &BStr) -> String {
    let folder = folder.trim_matches('/');
    if folder.is_empty() { name.to_str_lossy().into_owned() } else { format!("{folder}/{}", name.to_str_lossy()) }
}
