//! A checkout whose files come into being when they are asked for.
//!
//! What is there is three things laid over each other: the tree of its HEAD, what was taken away from it without ever being on disk, and the
//! disk, which wins. A file of the tree that was put on disk and is gone from there was deleted by somebody.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::GitAccess;
use crate::diagnostic::{Failure, FailureKind};
use crate::git::{Entry, EntryKind, ObjectError, Oid, Store};

/// Who a checkout's commits and tags are by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name.
    pub name: String,
    /// Email address.
    pub email: String,
}

/// A checkout of a commit in a folder of the workspace.
#[derive(Debug)]
pub struct Checkout {
    /// The step that made it.
    pub(super) alias: String,
    pub(super) path: PathBuf,
    pub(super) url: String,
    pub(super) store: Arc<Store>,
    pub(super) access: Arc<GitAccess>,
    pub(super) branch: Option<String>,
    /// The commit that was checked out.
    pub(super) start: Oid,
    /// Where HEAD stands now.
    pub(super) head: Oid,
    /// HEAD's tree.
    pub(super) tree: Oid,
    pub(super) author: Option<Identity>,
    /// Folders that are checked out with everything in them; None: all.
    pub(super) sparse: Option<Vec<String>>,
    /// What was put on disk, and with which content.
    pub(super) placed: BTreeMap<String, (EntryKind, Oid)>,
    /// Paths of the tree, files or whole folders, that were taken away without being on disk; empty: all of it.
    pub(super) gone: BTreeSet<String>,
    /// Folders that were cleared: everything in them is the promotion's own.
    pub(super) cleared: BTreeSet<String>,
    /// Annotated tags made here.
    pub(super) tags: BTreeMap<String, Oid>,
}

impl Checkout {
    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The repository as the step spells it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Branch; None: HEAD is detached.
    pub fn branch(&self) -> Option<&str> {
        self.branch.as_deref()
    }

    /// Where HEAD stands.
    pub fn head(&self) -> Oid {
        self.head
    }

    /// Annotated tags made in this checkout, by name.
    pub fn tags(&self) -> &BTreeMap<String, Oid> {
        &self.tags
    }

    /// The bare repository that has its objects.
    pub fn store_folder(&self) -> &Path {
        self.store.folder()
    }

    /// A path as the tree spells it; None: it is not below this checkout, or not UTF-8.
    pub(super) fn relative(&self, path: &Path) -> Option<String> {
        path.strip_prefix(&self.path).ok()?.to_str().map(str::to_owned)
    }

    /// Whether a path of the tree is part of the checkout: not taken away, and not outside its sparse folders.
    pub(super) fn has(&self, path: &str) -> bool {
        !self.gone.contains("") && !prefixes(path).any(|prefix| self.gone.contains(prefix)) && self.in_cone(path)
    }

    /// git's cone mode: the sparse folders with all below them, and the files that lie directly in any folder on the way to one.
    pub(super) fn in_cone(&self, path: &str) -> bool {
        let Some(folders) = &self.sparse else { return true };
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        folders.iter().any(|folder| {
            let below =
                |path: &str, folder: &str| folder.is_empty() || path == folder || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
            below(path, folder) || below(folder, parent)
        })
    }

    /// Whether the disk has, at the path of a file or above it, something that hides what the tree has there; also when the file was put
    /// there and is gone. `absent` remembers folders that are not on disk, so that nobody looks below them.
    fn is_hidden<'a>(&self, path: &'a str, absent: &mut HashSet<&'a str>) -> bool {
        for prefix in prefixes(path) {
            if absent.contains(prefix) {
                return self.placed.contains_key(path);
            }
            match std::fs::symlink_metadata(self.path.join(prefix)) {
                Ok(metadata) if metadata.is_dir() && prefix != path => {}
                Ok(_) => return true,
                Err(_) => {
                    if prefix != path {
                        absent.insert(prefix);
                    }
                    return self.placed.contains_key(path);
                }
            }
        }
        false
    }

    /// What only the tree has at a path: it is neither on disk nor taken away. A folder counts if anything in it does.
    pub(super) fn virtual_entry(&self, path: &str) -> Result<Option<Entry>, ObjectError> {
        if path.is_empty() {
            return Ok(None);
        }
        let Some(entry) = self.store.entry(self.tree, path)? else { return Ok(None) };
        if entry.kind == EntryKind::Folder {
            if self.gone.contains("") || prefixes(path).any(|prefix| self.gone.contains(prefix)) {
                return Ok(None);
            }
            let untouched = self.gone.is_empty() && self.sparse.is_none() && self.placed.is_empty();
            return Ok(if untouched || !self.virtual_entries(path)?.is_empty() { Some(entry) } else { None });
        }
        Ok(if self.has(path) && !self.is_hidden(path, &mut HashSet::new()) { Some(entry) } else { None })
    }

    /// Every file, link and submodule below a folder that only the tree has.
    pub(super) fn virtual_entries(&self, folder: &str) -> Result<Vec<Entry>, ObjectError> {
        let all = self.store.list(self.tree, folder)?;
        let mut absent = HashSet::new();
        let kept: Vec<bool> = all.iter().map(|entry| self.has(&entry.path) && !self.is_hidden(&entry.path, &mut absent)).collect();
        Ok(all.into_iter().zip(kept).filter_map(|(entry, kept)| kept.then_some(entry)).collect())
    }

    /// Puts an entry on disk. Its content has been fetched.
    pub(super) fn place(&mut self, entry: &Entry) -> Result<(), Failure> {
        let full = self.path.join(&entry.path);
        let cannot = |error: std::io::Error| {
            Failure::new(FailureKind::Tool, format!("cannot write `{}` into the promotion's folder", entry.path)).caused_by(error)
        };
        if entry.kind == EntryKind::Submodule {
            // As git leaves a submodule that nobody asked for: an empty folder.
            std::fs::create_dir_all(&full).map_err(cannot)?;
            self.placed.insert(entry.path.clone(), (entry.kind, entry.oid));
            return Ok(());
        }
        let content = self.store.blob(entry.oid)?;
        if let Some(parent) = full.parent() {
            std::fs::create_dir_all(parent).map_err(cannot)?;
        }
        if entry.kind == EntryKind::Symlink {
            let target = String::from_utf8_lossy(&content).into_owned();
            std::os::unix::fs::symlink(target, &full).map_err(cannot)?;
        } else {
            std::fs::write(&full, content).map_err(cannot)?;
            if entry.kind == EntryKind::Executable {
                std::fs::set_permissions(&full, PermissionsExt::from_mode(0o755)).map_err(cannot)?;
            }
        }
        self.placed.insert(entry.path.clone(), (entry.kind, entry.oid));
        Ok(())
    }
}

/// `a`, `a/b`, `a/b/c` of `a/b/c`.
pub(super) fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at]).chain(std::iter::once(path))
}
