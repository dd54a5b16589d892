//! Writing blobs and trees.

use gix::bstr::ByteSlice as _;

use super::objects::{EntryKind, ObjectError, damaged, entries, find};
use super::oid::Oid;
use super::store::Store;

/// A change to a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeEdit {
    /// Puts an object at a path, in place of whatever is there. With [`EntryKind::Folder`] a whole tree.
    Put {
        /// Path from the root, `/`-separated.
        path: String,
        /// What it is to be.
        kind: EntryKind,
        /// The object; it may be one that was not fetched.
        oid: Oid,
    },
    /// Removes what is at a path, a folder with everything in it. Nothing there: nothing happens.
    Remove {
        /// Path from the root, `/`-separated.
        path: String,
    },
}

impl Store {
    /// Writes a blob.
    ///
    /// # Errors
    /// Damaged, when the store cannot be written.
    pub fn write_blob(&self, content: &[u8]) -> Result<Oid, ObjectError> {
        self.memory().wrote = true;
        self.repository().write_blob(content).map(|id| Oid(id.detach())).map_err(damaged)
    }

    /// Applies edits to a tree, in order, and writes the result; folders left empty vanish. Objects that were not fetched stay untouched
    /// by name.
    ///
    /// # Errors
    /// `BadPath` for a path that no checkout must have (`..`, `.git` in any spelling, an empty part); Missing or `WrongKind` for `base`.
    pub fn edit_tree(&self, base: Oid, edits: &[TreeEdit]) -> Result<Oid, ObjectError> {
        self.memory().wrote = true;
        let repository = self.repository();
        if edits.is_empty() {
            return Ok(base);
        }
        let root = if base == Oid::empty_tree() {
            gix::objs::Tree::empty()
        } else {
            let object = find(&repository, base)?;
            if object.kind != gix::objs::Kind::Tree {
                return Err(ObjectError::WrongKind { oid: base, wanted: "tree" });
            }
            gix::objs::TreeRef::from_bytes(&object.data, gix::hash::Kind::Sha1).map_err(damaged)?.into()
        };
        // The plumbing editor: the comfortable one insists on having every sibling, which a partial clone has not.
        let mut editor = gix::objs::tree::Editor::new(root, &repository.objects, gix::hash::Kind::Sha1);
        for edit in edits {
            match edit {
                TreeEdit::Put { path, kind: EntryKind::Folder, oid } if entries(&repository, *oid)?.is_empty() => {
                    check_path(path, EntryKind::Folder)?;
                    editor.remove(path.split('/').map(gix::bstr::BStr::new)).map_err(damaged)?;
                }
                TreeEdit::Put { path, kind, oid } => {
                    check_path(path, *kind)?;
                    editor.upsert(path.split('/').map(gix::bstr::BStr::new), kind.raw(), oid.0).map_err(damaged)?;
                }
                TreeEdit::Remove { path } => {
                    check_path(path, EntryKind::File)?;
                    editor.remove(path.split('/').map(gix::bstr::BStr::new)).map_err(damaged)?;
                }
            }
        }
        editor.write(|tree| repository.write_object(tree).map(|id| id.detach())).map(Oid).map_err(damaged)
    }
}

/// git's own rules for what a checkout may contain, on every system: a tree is read on others than ours.
fn check_path(path: &str, kind: EntryKind) -> Result<(), ObjectError> {
    use gix::validate::path::component;
    let bad = |why: String| ObjectError::BadPath { path: path.to_owned(), why };
    let mode = (kind == EntryKind::Symlink).then_some(component::Mode::Symlink);
    // Names that only Windows refuses are legal here, as they are to git elsewhere.
    let options = component::Options { protect_windows: false, protect_hfs: true, protect_ntfs: true };
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        let mode = mode.filter(|_| parts.peek().is_none());
        gix::validate::path::component(part.as_bytes().as_bstr(), mode, options).map_err(|error| bad(error.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn paths_that_no_checkout_may_have_are_refused() {
        for path in ["", "/a", "a/", "a//b", ".", "..", "a/../b", ".git", "a/.GIT/config", "git~1", ".g\u{200c}it"] {
            assert!(check_path(path, EntryKind::File).is_err(), "{path}");
        }
        for path in ["a", ".gitignore", "a/b c/d", "aux", "caf\u{e9}/x", ".github/x"] {
            assert!(check_path(path, EntryKind::File).is_ok(), "{path}");
        }
        assert!(check_path(".gitmodules", EntryKind::Symlink).is_err(), "git refuses a link there");
        assert!(check_path(".gitmodules", EntryKind::File).is_ok());
    }
}
