//! What differs between two trees.

use std::collections::BTreeMap;

use gix::bstr::{BString, ByteSlice as _};

use super::objects::{Entry, EntryKind, ObjectError, entries, join};
use super::oid::Oid;
use super::store::Store;

/// How a path differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Only in the second tree.
    Added,
    /// Only in the first tree.
    Deleted,
    /// In both, with another content or mode.
    Modified,
}

/// A path that differs; never a folder. A renamed file is one deleted and one added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Path from the root, `/`-separated.
    pub path: String,
    /// In the first tree.
    pub before: Option<Entry>,
    /// In the second tree.
    pub after: Option<Entry>,
}

impl Change {
    /// How it differs.
    pub fn kind(&self) -> ChangeKind {
        match (&self.before, &self.after) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Deleted,
            _ => ChangeKind::Modified,
        }
    }
}

impl Store {
    /// The paths in which two trees differ, in order; [`Oid::empty_tree`] stands for nothing. Only folders that differ are read, and no blob.
    ///
    /// # Errors
    /// Missing or `WrongKind`, when one of the two is no tree that is here.
    pub fn diff_trees(&self, before: Oid, after: Oid) -> Result<Vec<Change>, ObjectError> {
        let mut changes = Vec::new();
        diff(&self.repository(), before, after, "", &mut changes)?;
        Ok(changes)
    }
}

pub(super) fn diff(repository: &gix::Repository, before: Oid, after: Oid, folder: &str, changes: &mut Vec<Change>) -> Result<(), ObjectError> {
    if before == after {
        return Ok(());
    }
    let mut pairs: BTreeMap<BString, [Option<(EntryKind, Oid)>; 2]> = BTreeMap::new();
    for (side, tree) in [before, after].into_iter().enumerate() {
        for (name, mode, oid) in entries(repository, tree)? {
            pairs.entry(name).or_default()[side] = Some((EntryKind::of(mode), oid));
        }
    }
    for (name, [before, after]) in pairs {
        if before == after {
            continue;
        }
        let path = join(folder, name.as_bstr());
        let tree = |side: Option<(EntryKind, Oid)>| side.filter(|(kind, _)| *kind == EntryKind::Folder).map(|(_, oid)| oid);
        let leaf = |side: Option<(EntryKind, Oid)>| {
            side.filter(|(kind, _)| *kind != EntryKind::Folder).map(|(kind, oid)| Entry { path: path.clone(), kind, oid })
        };
        let (leaf_before, leaf_after) = (leaf(before), leaf(after));
        if leaf_before.is_some() || leaf_after.is_some() {
            changes.push(Change { path: path.clone(), before: leaf_before, after: leaf_after });
        }
        if tree(before).is_some() || tree(after).is_some() {
            let nothing = Oid::empty_tree();
            diff(repository, tree(before).unwrap_or(nothing), tree(after).unwrap_or(nothing), &path, changes)?;
        }
    }
    Ok(())
}
