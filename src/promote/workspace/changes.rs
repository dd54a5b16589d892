//! What differs between a checkout's folder and the tree of its HEAD, and committing it.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use gix::bstr::BStr;

use super::checkout::{Checkout, Identity, prefixes};
use crate::diagnostic::{Failure, FailureKind};
use crate::git::{CommitSpec, EntryKind, ObjectError, Oid, Signature, Signer, TreeEdit};

/// A path whose content on disk is not that of HEAD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Path in the checkout.
    pub path: String,
    /// How it differs.
    pub kind: DifferenceKind,
    /// What it is now; None: deleted.
    pub(super) now: Option<(EntryKind, Oid)>,
}

/// How a path differs from HEAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifferenceKind {
    /// HEAD does not have it.
    New,
    /// HEAD has it otherwise.
    Modified,
    /// HEAD has it, the folder does not.
    Deleted,
}

impl Checkout {
    /// What differs below a folder of the checkout (empty: all of it). New files that `.gitignore` excludes are not part of it.
    /// `others` are folders of other checkouts, which are none of our business.
    pub(super) async fn differences(&self, scope: &str, others: &[PathBuf]) -> Result<Vec<Difference>, Failure> {
        let on_disk = self.on_disk(scope, others)?;
        let mut found = Vec::new();
        let mut new = Vec::new();
        for path in &on_disk {
            let now = self.read(path)?;
            match self.store.entry(self.tree, path)?.filter(|entry| entry.kind != EntryKind::Folder) {
                // A path outside the sparse folders is in the tree, but not ours to look at.
                Some(entry) if (entry.kind, entry.oid) == now => {}
                Some(_) => found.push(Difference { path: path.clone(), kind: DifferenceKind::Modified, now: Some(now) }),
                None => new.push(Difference { path: path.clone(), kind: DifferenceKind::New, now: Some(now) }),
            }
        }
        if !new.is_empty() {
            let ignores = self.ignores(new.iter().map(|difference| difference.path.as_str())).await?;
            new.retain(|difference| !ignores.excludes(&difference.path));
            found.extend(new);
        }
        let kept: BTreeSet<&str> = on_disk.iter().map(String::as_str).collect();
        for path in self.deleted(scope, &kept)? {
            found.push(Difference { path, kind: DifferenceKind::Deleted, now: None });
        }
        found.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(found)
    }

    /// Files of HEAD below a folder that are not there any more.
    fn deleted(&self, scope: &str, on_disk: &BTreeSet<&str>) -> Result<Vec<String>, Failure> {
        let below = |path: &str| scope.is_empty() || path == scope || path.strip_prefix(scope).is_some_and(|rest| rest.starts_with('/'));
        let mut deleted = BTreeSet::new();
        let taken = self.gone.iter().filter(|gone| below(gone) || prefixes(scope).any(|prefix| prefix == gone.as_str()) || gone.is_empty());
        for gone in taken {
            let entries = self.store.list(self.tree, if below(gone) { gone } else { scope })?;
            deleted.extend(entries.into_iter().map(|entry| entry.path).filter(|path| self.in_cone(path)));
        }
        deleted.extend(self.placed.keys().filter(|path| below(path)).cloned());
        // A file in place of a folder replaces everything in it.
        for path in on_disk {
            if self.store.entry(self.tree, path)?.is_some_and(|entry| entry.kind == EntryKind::Folder) {
                deleted.extend(self.store.list(self.tree, path)?.into_iter().map(|entry| entry.path));
            }
        }
        deleted.retain(|path| !on_disk.contains(path.as_str()));
        let still_a_folder =
            |path: &String| self.placed.get(path).is_some_and(|(kind, _)| *kind == EntryKind::Submodule) && self.path.join(path).is_dir();
        deleted.retain(|path| !still_a_folder(path));
        let in_tree = |path: &String| self.store.entry(self.tree, path).map(|entry| entry.is_some_and(|entry| entry.kind != EntryKind::Folder));
        let mut result = Vec::new();
        for path in deleted {
            if in_tree(&path)? {
                result.push(path);
            }
        }
        Ok(result)
    }

    /// Every file and link on disk below a folder of the checkout.
    fn on_disk(&self, scope: &str, others: &[PathBuf]) -> Result<Vec<String>, Failure> {
        let top = if scope.is_empty() { self.path.clone() } else { self.path.join(scope) };
        let mut found = Vec::new();
        let mut open = vec![top];
        while let Some(path) = open.pop() {
            let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
            if others.contains(&path) {
                continue;
            }
            if metadata.is_dir() {
                let unreadable =
                    |error| Failure::new(FailureKind::Tool, format!("cannot read `{}` in the promotion's folder", path.display())).caused_by(error);
                for entry in std::fs::read_dir(&path).map_err(unreadable)? {
                    let entry = entry.map_err(unreadable)?;
                    // Never part of a repository; in a real work tree it is git's own.
                    if entry.file_name() != ".git" {
                        open.push(entry.path());
                    }
                }
            } else if metadata.is_file() || metadata.is_symlink() {
                let name = self.relative(&path).ok_or_else(|| {
                    Failure::new(FailureKind::Config, format!("the file name `{}` is not UTF-8 and cannot be committed", path.display()))
                        .hint("rename the file")
                })?;
                found.push(name);
            }
        }
        found.sort();
        Ok(found)
    }

    /// Kind and content of a path on disk; the content is written to the store.
    fn read(&self, path: &str) -> Result<(EntryKind, Oid), Failure> {
        let full = self.path.join(path);
        let unreadable = |error| Failure::new(FailureKind::Tool, format!("cannot read `{path}` in the promotion's folder")).caused_by(error);
        let metadata = std::fs::symlink_metadata(&full).map_err(unreadable)?;
        if metadata.is_symlink() {
            let target = std::fs::read_link(&full).map_err(unreadable)?;
            return Ok((EntryKind::Symlink, self.store.write_blob(target.as_os_str().as_bytes())?));
        }
        let kind = if metadata.permissions().mode() & 0o100 == 0 { EntryKind::File } else { EntryKind::Executable };
        Ok((kind, self.store.write_blob(&std::fs::read(&full).map_err(unreadable)?)?))
    }

    /// The `.gitignore` files on the way to some paths.
    async fn ignores<'a>(&self, paths: impl Iterator<Item = &'a str>) -> Result<Ignores, Failure> {
        let mut folders: BTreeSet<&str> = BTreeSet::from([""]);
        for path in paths {
            folders.extend(prefixes(path).filter(|prefix| *prefix != path));
        }
        let mut sources: Vec<(String, Option<Oid>)> = Vec::new();
        for folder in folders {
            let name = if folder.is_empty() { ".gitignore".to_owned() } else { format!("{folder}/.gitignore") };
            if std::fs::symlink_metadata(self.path.join(&name)).is_ok_and(|metadata| metadata.is_file()) {
                sources.push((name, None));
            } else if let Some(entry) = self.virtual_entry(&name)?.filter(|entry| entry.kind.is_blob() && entry.kind != EntryKind::Symlink) {
                sources.push((name, Some(entry.oid)));
            }
        }
        let wanted: Vec<Oid> = sources.iter().filter_map(|(_, oid)| *oid).collect();
        self.access.member.prefetch(&self.store, wanted).await?;
        let mut search = gix::ignore::Search::default();
        for (name, oid) in sources {
            let text = match oid {
                Some(oid) => self.store.blob(oid)?,
                None => std::fs::read(self.path.join(&name)).unwrap_or_default(),
            };
            search
                .add_patterns_buffer(&text, &name, Some(Path::new("")), gix::ignore::search::Ignore { support_precious: false })
                .map_err(|error| Failure::new(FailureKind::Config, format!("`{name}` cannot be read")).caused_by(error))?;
        }
        Ok(Ignores(search))
    }

    /// Commits the differences below a folder on top of HEAD and moves HEAD there.
    pub(super) fn commit(
        &mut self,
        scope: &str,
        differences: &[Difference],
        author: &Identity,
        at: jiff::Timestamp,
        message: &str,
        signer: Option<&Signer>,
    ) -> Result<Oid, ObjectError> {
        let mut edits: Vec<TreeEdit> = differences
            .iter()
            .filter(|difference| difference.now.is_none())
            .map(|difference| TreeEdit::Remove { path: difference.path.clone() })
            .collect();
        edits.extend(
            differences.iter().filter_map(|difference| difference.now.map(|(kind, oid)| TreeEdit::Put { path: difference.path.clone(), kind, oid })),
        );
        let tree = self.store.edit_tree(self.tree, &edits)?;
        let who = Signature::new(&author.name, &author.email, at);
        let head = self.store.write_commit(&CommitSpec { tree, parents: vec![self.head], author: who.clone(), committer: who, message, signer })?;
        for difference in differences {
            match difference.now {
                Some(now) => self.placed.insert(difference.path.clone(), now),
                None => self.placed.remove(&difference.path),
            };
        }
        self.settle(scope);
        (self.head, self.tree) = (head, tree);
        Ok(head)
    }

    /// What was taken away below a folder is gone from HEAD too by now; a later commit of somebody else may bring the path back.
    pub(super) fn settle(&mut self, scope: &str) {
        self.gone.retain(|gone| !(scope.is_empty() || gone == scope || gone.strip_prefix(scope).is_some_and(|rest| rest.starts_with('/'))));
    }

    /// Takes away everything below a folder that HEAD has or git would add, as `git add . && git rm -rf .` does. What is ignored stays.
    pub(super) async fn clear(&mut self, scope: &str, others: &[PathBuf]) -> Result<(), Failure> {
        let on_disk = self.on_disk(scope, others)?;
        let mut new = Vec::new();
        let mut doomed = Vec::new();
        for path in on_disk {
            let known = self.placed.contains_key(&path) || self.store.entry(self.tree, &path)?.is_some_and(|entry| entry.kind != EntryKind::Folder);
            if known { doomed.push(path) } else { new.push(path) }
        }
        if !new.is_empty() {
            let ignores = self.ignores(new.iter().map(String::as_str)).await?;
            doomed.extend(new.into_iter().filter(|path| !ignores.excludes(path)));
        }
        for path in doomed {
            let full = self.path.join(&path);
            std::fs::remove_file(&full)
                .map_err(|error| Failure::new(FailureKind::Tool, format!("cannot remove `{path}` from the promotion's folder")).caused_by(error))?;
            // Folders that are empty now go too, up to the one that is cleared.
            let top = self.path.join(scope);
            for folder in full.ancestors().skip(1).take_while(|folder| *folder != top && folder.starts_with(&top)) {
                if std::fs::remove_dir(folder).is_err() {
                    break;
                }
            }
        }
        self.gone.insert(scope.to_owned());
        self.cleared.insert(scope.to_owned());
        // The folder itself stays, as git leaves the one it runs in.
        std::fs::create_dir_all(self.path.join(scope))
            .map_err(|error| Failure::new(FailureKind::Tool, "cannot write into the promotion's folder").caused_by(error))
    }
}

/// Ignore rules.
struct Ignores(gix::ignore::Search);

impl Ignores {
    /// Whether a file is excluded, itself or with a folder above it; what lies in an excluded folder cannot be brought back.
    fn excludes(&self, path: &str) -> bool {
        prefixes(path).any(|prefix| {
            let is_folder = prefix != path;
            self.0
                .pattern_matching_relative_path(BStr::new(prefix), Some(is_folder), gix::glob::pattern::Case::Sensitive)
                .is_some_and(|found| !found.pattern.is_negative())
        })
    }
}
