//! Merging trees: by path, and by line where both sides changed the same file. No renames are guessed.

use std::collections::{BTreeMap, BTreeSet};

use gix::bstr::{BString, ByteSlice as _};
use gix::merge::blob::Resolution;
use gix::merge::blob::builtin_driver::text;

use super::edit::TreeEdit;
use super::objects::{EntryKind, ObjectError, blob, entries, has, join};
use super::oid::Oid;
use super::store::Store;
use crate::diagnostic::Failure;

/// Why a path could not be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Both sides changed the same lines, or a file that has no lines.
    Content,
    /// Both sides added it, differently.
    BothAdded,
    /// One side deleted it, the other changed it.
    DeletedAndChanged,
    /// It is a file on one side and a folder, link or submodule on the other, or both changed a link or submodule.
    Kind,
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Content => "both sides changed the same lines",
            Self::BothAdded => "both sides added it with different contents",
            Self::DeletedAndChanged => "one side deleted it, the other changed it",
            Self::Kind => "it is of different kinds on the two sides",
        })
    }
}

/// A merge of trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeMerge {
    /// The merged tree; conflicting paths are as in `ours`.
    pub tree: Oid,
    /// Paths that could not be merged. Empty: all is well.
    pub conflicts: BTreeMap<String, Conflict>,
}

impl Store {
    /// Merges the changes from `base` to `theirs` into `ours`, as git would without renames. All three are trees; use
    /// [`Oid::empty_tree`] for unrelated histories. File contents are read, and fetched, only where both sides changed the same file.
    ///
    /// # Errors
    /// Remote or Refused, when contents cannot be fetched; Internal, when a tree is not here.
    pub async fn merge_trees(&self, base: Oid, ours: Oid, theirs: Oid) -> Result<TreeMerge, Failure> {
        // Twice at most: the first pass finds all contents that are needed.
        loop {
            let mut merge = Merge { repository: &self.repository(), edits: Vec::new(), conflicts: BTreeMap::new(), missing: BTreeSet::new() };
            merge.level("", Some(base), Some(ours), Some(theirs))?;
            let Merge { edits, conflicts, missing, .. } = merge;
            if missing.is_empty() {
                return Ok(TreeMerge { tree: self.edit_tree(ours, &edits)?, conflicts });
            }
            self.prefetch(&missing.into_iter().collect::<Vec<_>>()).await?;
        }
    }
}

struct Merge<'a> {
    repository: &'a gix::Repository,
    edits: Vec<TreeEdit>,
    conflicts: BTreeMap<String, Conflict>,
    missing: BTreeSet<Oid>,
}

type Side = Option<(EntryKind, Oid)>;

impl Merge<'_> {
    fn level(&mut self, folder: &str, base: Option<Oid>, ours: Option<Oid>, theirs: Option<Oid>) -> Result<(), ObjectError> {
        let mut names: BTreeMap<BString, [Side; 3]> = BTreeMap::new();
        for (at, tree) in [base, ours, theirs].into_iter().enumerate() {
            let Some(tree) = tree else { continue };
            for (name, mode, oid) in entries(self.repository, tree)? {
                names.entry(name).or_default()[at] = Some((EntryKind::of(mode), oid));
            }
        }
        for (name, [base, ours, theirs]) in names {
            self.path(join(folder, name.as_bstr()), base, ours, theirs)?;
        }
        Ok(())
    }

    fn path(&mut self, path: String, base: Side, ours: Side, theirs: Side) -> Result<(), ObjectError> {
        if ours == theirs || theirs == base {
            return Ok(());
        }
        if ours == base {
            self.edits.push(match theirs {
                Some((kind, oid)) => TreeEdit::Put { path, kind, oid },
                None => TreeEdit::Remove { path },
            });
            return Ok(());
        }
        let folder = |side: Side| side.filter(|(kind, _)| *kind == EntryKind::Folder).map(|(_, oid)| oid);
        let folder_or_nothing = |side: Side| side.is_none_or(|(kind, _)| kind == EntryKind::Folder);
        if folder_or_nothing(ours) && folder_or_nothing(theirs) {
            return self.level(&path, folder(base), folder(ours), folder(theirs));
        }
        match (base, ours, theirs) {
            (_, None, _) | (_, _, None) => self.conflict(path, Conflict::DeletedAndChanged),
            (base, Some((our_kind, ours)), Some((their_kind, theirs))) if is_file(our_kind) && is_file(their_kind) => match base {
                Some((base_kind, base)) if is_file(base_kind) => self.file(path, (base_kind, base), (our_kind, ours), (their_kind, theirs))?,
                _ => self.conflict(path, Conflict::BothAdded),
            },
            _ => self.conflict(path, Conflict::Kind),
        }
        Ok(())
    }

    fn file(&mut self, path: String, base: (EntryKind, Oid), ours: (EntryKind, Oid), theirs: (EntryKind, Oid)) -> Result<(), ObjectError> {
        let pick = |base: Oid, ours: Oid, theirs: Oid| match () {
            () if ours == theirs || theirs == base => Some(ours),
            () if ours == base => Some(theirs),
            () => None,
        };
        let kind = if ours.0 == base.0 { theirs.0 } else { ours.0 };
        let oid = match pick(base.1, ours.1, theirs.1) {
            Some(oid) => oid,
            None => {
                let absent: Vec<Oid> = [base.1, ours.1, theirs.1].into_iter().filter(|oid| !has(self.repository, *oid)).collect();
                if !absent.is_empty() {
                    self.missing.extend(absent);
                    return Ok(());
                }
                let contents = [blob(self.repository, base.1)?, blob(self.repository, ours.1)?, blob(self.repository, theirs.1)?];
                match merge_lines(&contents[0], &contents[1], &contents[2]) {
                    Some(merged) => self.repository.write_blob(merged).map(|id| Oid(id.detach())).map_err(super::objects::damaged)?,
                    None => {
                        self.conflict(path, Conflict::Content);
                        return Ok(());
                    }
                }
            }
        };
        if (kind, oid) != ours {
            self.edits.push(TreeEdit::Put { path, kind, oid });
        }
        Ok(())
    }

    fn conflict(&mut self, path: String, conflict: Conflict) {
        self.conflicts.insert(path, conflict);
    }
}

const fn is_file(kind: EntryKind) -> bool {
    matches!(kind, EntryKind::File | EntryKind::Executable)
}

/// Merges two descendants of a text by lines; None: a conflict, or one of them is binary by git's rule (a zero byte near its start).
fn merge_lines(base: &[u8], ours: &[u8], theirs: &[u8]) -> Option<Vec<u8>> {
    let binary = |text: &[u8]| text.iter().take(8000).any(|byte| *byte == 0);
    if binary(base) || binary(ours) || binary(theirs) {
        return None;
    }
    let mut merged = Vec::new();
    let mut input = gix::diff::blob::InternedInput::default();
    let resolution = gix::merge::plumbing::blob::builtin_driver::text(
        &mut merged,
        &mut input,
        text::Labels::default(),
        ours,
        base,
        theirs,
        text::Options::default(),
    );
    (resolution == Resolution::Complete).then_some(merged)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn merged(base: &str, ours: &str, theirs: &str) -> Option<String> {
        merge_lines(base.as_bytes(), ours.as_bytes(), theirs.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn lines_merge_as_git_merges_them() {
        assert_eq!(merged("a\nb\nc\n", "A\nb\nc\n", "a\nb\nC\n").as_deref(), Some("A\nb\nC\n"));
        assert_eq!(merged("a\nb\nc\n", "A\nb\nc\n", "A\nb\nc\n").as_deref(), Some("A\nb\nc\n"), "the same change twice");
        assert_eq!(merged("a\nb\nc\n", "a\nX\nc\n", "a\nY\nc\n"), None, "the same line");
        assert_eq!(merged("a\nb\n", "A\nb\n", "a\nB\n"), None, "neighbouring lines, as in git");
        assert_eq!(merged("a\nb\nc\nd\n", "a\nd\n", "a\nb\nc\nd\ne\n").as_deref(), Some("a\nd\ne\n"));
        assert_eq!(merge_lines(b"a\0", b"b\0", b"c\0"), None, "no lines to merge");
    }
}
