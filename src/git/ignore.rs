//! What `.gitignore` and `.gitattributes` files say about a path, without a working tree.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::PathBuf;

use gix::attrs::StateRef;
use gix::attrs::search::MetadataCollection;
use gix::bstr::BStr;
use gix::filter::plumbing::eol::{self, AttributesDigest, Configuration};
use gix::glob::pattern::Case;

use super::objects::{Entry, EntryKind, ObjectError, blob, damaged, entries, entry};
use super::oid::Oid;
use super::store::Store;
use crate::diagnostic::Failure;

/// The attributes that change a file's bytes on their way.
const CONVERTING: [&str; 6] = ["text", "crlf", "eol", "filter", "ident", "working-tree-encoding"];

/// The rules of one tree for some of its paths.
#[derive(Clone, Debug)]
pub struct PathRules {
    ignore: gix::ignore::Search,
    attributes: gix::attrs::Search,
    known: MetadataCollection,
    converts: bool,
}

/// A path whose bytes only git itself can convert (a filter such as LFS, `ident`, another encoding): use a real working tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` has the attribute `{attribute}`, which needs a real working tree")]
pub struct NeedsWorktree {
    /// The path.
    pub path: String,
    /// The attribute.
    pub attribute: String,
}

impl Default for PathRules {
    fn default() -> Self {
        let mut known = MetadataCollection::default();
        // Without files nothing can fail; it knows the built-in macro `binary`.
        let attributes = gix::attrs::Search::new_globals(std::iter::empty::<PathBuf>(), &mut Vec::new(), &mut known).unwrap_or_default();
        Self { ignore: gix::ignore::Search::default(), attributes, known, converts: false }
    }
}

impl PathRules {
    /// Adds the `.gitignore` of a folder (empty: the root). Add outer folders before inner ones.
    pub fn add_ignore(&mut self, folder: &str, content: &[u8]) {
        let source = rule_file(folder, ".gitignore");
        // Fails only on paths outside the root, which these are not.
        let _ = self.ignore.add_patterns_buffer(content, source, Some("".as_ref()), gix::ignore::search::Ignore::default());
    }

    /// Adds the `.gitattributes` of a folder (empty: the root). Add outer folders before inner ones.
    pub fn add_attributes(&mut self, folder: &str, content: &[u8]) {
        let source = rule_file(folder, ".gitattributes");
        // As in git, only the root may define macros.
        let _ = self.attributes.add_patterns_buffer(content, source, Some("".as_ref()), &mut self.known, folder.is_empty());
        self.converts |= CONVERTING.iter().any(|name| content.windows(name.len()).any(|window| window == name.as_bytes()));
    }

    /// Whether an untracked path is ignored: by a pattern for itself, or because a folder above it is. Tracked files never are; that is for
    /// the caller to know.
    pub fn ignored(&self, path: &str, is_folder: bool) -> bool {
        let excluded = |path: &str, is_folder: bool| {
            self.ignore
                .pattern_matching_relative_path(BStr::new(path), Some(is_folder), Case::Sensitive)
                .is_some_and(|found| !found.pattern.is_negative())
        };
        // Inside an ignored folder nothing can be taken back.
        path.match_indices('/').any(|(at, _)| excluded(&path[..at], true)) || excluded(path, is_folder)
    }

    /// A file's bytes as they are committed. `committed` is the version in the tree that is changed, if any: a file that has CRLF line
    /// ends there keeps them under `text=auto`, as in git.
    ///
    /// # Errors
    /// [`NeedsWorktree`].
    pub fn to_git<'a>(&self, path: &str, content: &'a [u8], committed: Option<&[u8]>) -> Result<Cow<'a, [u8]>, NeedsWorktree> {
        let Some(digest) = self.text(path)? else { return Ok(Cow::Borrowed(content)) };
        let mut converted = Vec::new();
        let mut index = |buffer: &mut Vec<u8>| {
            buffer.clear();
            Ok(committed.map(|bytes| buffer.extend_from_slice(bytes)))
        };
        let options = eol::convert_to_git::Options { round_trip_check: None, config: Configuration::default() };
        let changed = eol::convert_to_git(content, digest, &mut converted, &mut index, options).unwrap_or(false);
        Ok(if changed { Cow::Owned(converted) } else { Cow::Borrowed(content) })
    }

    /// A committed file's bytes as a checkout writes them.
    ///
    /// # Errors
    /// [`NeedsWorktree`].
    pub fn to_worktree<'a>(&self, path: &str, content: &'a [u8]) -> Result<Cow<'a, [u8]>, NeedsWorktree> {
        let Some(digest) = self.text(path)? else { return Ok(Cow::Borrowed(content)) };
        let mut converted = Vec::new();
        let changed = eol::convert_to_worktree(content, digest, &mut converted, Configuration::default()).unwrap_or(false);
        Ok(if changed { Cow::Owned(converted) } else { Cow::Borrowed(content) })
    }

    /// How line ends of a path are treated; None: not at all.
    fn text(&self, path: &str) -> Result<Option<AttributesDigest>, NeedsWorktree> {
        if !self.converts {
            return Ok(None);
        }
        let mut found = gix::attrs::search::Outcome::default();
        found.initialize_with_selection(&self.known, CONVERTING);
        self.attributes.pattern_matching_relative_path(BStr::new(path), Case::Sensitive, Some(false), &mut found);
        let (mut text, mut ends) = (None, None);
        for found in found.iter_selected() {
            let (name, state) = (found.assignment.name.as_str(), found.assignment.state);
            match (name, state) {
                (_, StateRef::Unspecified) => {}
                // `crlf` is the old name of `text`, which wins.
                ("text" | "crlf", StateRef::Set) => text = text.or(Some(AttributesDigest::Text)),
                ("text" | "crlf", StateRef::Unset) => text = text.or(Some(AttributesDigest::Binary)),
                ("text" | "crlf", StateRef::Value(value)) if value.as_bstr() == "auto" => text = text.or(Some(AttributesDigest::TextAuto)),
                ("text" | "crlf", StateRef::Value(value)) if value.as_bstr() == "input" => text = text.or(Some(AttributesDigest::TextInput)),
                ("eol", StateRef::Value(value)) if value.as_bstr() == "lf" => ends = Some(eol::Mode::Lf),
                ("eol", StateRef::Value(value)) if value.as_bstr() == "crlf" => ends = Some(eol::Mode::CrLf),
                ("filter" | "working-tree-encoding", StateRef::Value(_)) | ("ident", StateRef::Set) => {
                    return Err(NeedsWorktree { path: path.to_owned(), attribute: name.to_owned() });
                }
                _ => {}
            }
        }
        Ok(match (text, ends) {
            (Some(AttributesDigest::Binary), _) | (None, None) => None,
            (Some(AttributesDigest::TextAuto), Some(eol::Mode::Lf)) => Some(AttributesDigest::TextAutoInput),
            (Some(AttributesDigest::TextAuto), Some(eol::Mode::CrLf)) => Some(AttributesDigest::TextAutoCrlf),
            (_, Some(eol::Mode::Lf)) => Some(AttributesDigest::TextInput),
            (_, Some(eol::Mode::CrLf)) => Some(AttributesDigest::TextCrlf),
            (text, None) => text,
        })
    }
}

fn rule_file(folder: &str, name: &str) -> PathBuf {
    if folder.is_empty() { PathBuf::from(name) } else { PathBuf::from(folder).join(name) }
}

/// The folders above paths, each once, outer ones first; the root is the empty path.
fn folders_above<'a>(paths: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut folders: BTreeSet<(usize, String)> = BTreeSet::from([(0, String::new())]);
    for path in paths {
        for (at, _) in path.match_indices('/') {
            folders.insert((path[..at].matches('/').count() + 1, path[..at].to_owned()));
        }
    }
    folders.into_iter().map(|(_, folder)| folder).collect()
}

impl Store {
    /// The `.gitignore` and `.gitattributes` files of a tree on the way to paths, outer ones first. A path that ends in `/` means the
    /// folder's own files too. Prefetch them, then ask for [`Store::rules`].
    ///
    /// # Errors
    /// Missing or `WrongKind`, when `tree` is no tree that is here.
    pub fn rule_files(&self, tree: Oid, paths: &[String]) -> Result<Vec<Entry>, ObjectError> {
        let repository = self.repository();
        let mut found = Vec::new();
        for folder in folders_above(paths.iter().map(String::as_str)) {
            let Some(at) = entry(&repository, tree, &folder)?.filter(|entry| entry.kind == EntryKind::Folder) else { continue };
            for (name, mode, oid) in entries(&repository, at.oid)? {
                let kind = EntryKind::of(mode);
                // git does not follow links here.
                if (name == ".gitignore" || name == ".gitattributes") && matches!(kind, EntryKind::File | EntryKind::Executable) {
                    found.push(Entry { path: super::objects::join(&folder, BStr::new(&name)), kind, oid });
                }
            }
        }
        Ok(found)
    }

    /// The rules of a tree for paths, from files that were fetched.
    ///
    /// # Errors
    /// Missing, when a rule file was not fetched.
    pub fn rules(&self, tree: Oid, paths: &[String]) -> Result<PathRules, ObjectError> {
        let files = self.rule_files(tree, paths)?;
        let repository = self.repository();
        let mut rules = PathRules::default();
        for file in files {
            let content = blob(&repository, file.oid)?;
            let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
            match name {
                ".gitignore" => rules.add_ignore(folder, &content),
                ".gitattributes" => rules.add_attributes(folder, &content),
                _ => return Err(damaged(format!("`{}` is no file of rules", file.path))),
            }
        }
        Ok(rules)
    }

    /// The rules of a tree for paths; fetches the rule files that are missing.
    ///
    /// # Errors
    /// Remote or Refused, when they cannot be fetched; Internal, when `tree` is no tree that is here.
    pub async fn fetch_rules(&self, tree: Oid, paths: &[String]) -> Result<PathRules, Failure> {
        let files: Vec<Oid> = self.rule_files(tree, paths)?.into_iter().map(|entry| entry.oid).collect();
        self.prefetch(&files).await?;
        Ok(self.rules(tree, paths)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ignore_rules_are_gits() {
        let mut rules = PathRules::default();
        rules.add_ignore("", b"*.log\n/build/\n!keep.log\nsecret\n");
        rules.add_ignore("apps", b"tmp*\n!tmp-kept\n");
        for path in ["a.log", "apps/x/a.log", "build/out", "build/keep.log", "deep/secret/file", "apps/tmp1", "apps/web/tmp2"] {
            assert!(rules.ignored(path, false), "{path}");
        }
        for path in ["keep.log", "x/keep.log", "sub/build/out", "apps/tmp-kept", "tmp1", "build.txt"] {
            assert!(!rules.ignored(path, false), "{path}");
        }
        assert!(rules.ignored("build", true) && !rules.ignored("build", false), "a pattern for folders only");
        assert!(!PathRules::default().ignored("anything", false));
    }

    #[test]
    fn line_ends_follow_the_attributes() {
        let mut rules = PathRules::default();
        rules.add_attributes("", b"* text=auto\n*.bat text eol=crlf\n*.bin binary\n*.psd filter=lfs -text\n");
        rules.add_attributes("raw", b"* -text\n");
        let to_git = |path: &str, content: &[u8], committed: Option<&[u8]>| rules.to_git(path, content, committed).unwrap().into_owned();
        assert_eq!(to_git("a.txt", b"a\r\nb\r\n", None), b"a\nb\n");
        assert_eq!(to_git("a.txt", b"a\r\nb\r\n", Some(b"x\r\n")), b"a\r\nb\r\n", "it has CRLF in the repository");
        assert_eq!(to_git("a.txt", b"a\r\n\0", None), b"a\r\n\0", "binary by content");
        assert_eq!(to_git("x.bin", b"a\r\n", None), b"a\r\n");
        assert_eq!(to_git("raw/a.txt", b"a\r\n", None), b"a\r\n");
        assert_eq!(&*rules.to_worktree("x.bat", b"a\n").unwrap(), b"a\r\n");
        assert_eq!(to_git("x.bat", b"a\r\n", None), b"a\n");
        assert_eq!(rules.to_git("logo.psd", b"x", None).unwrap_err().attribute, "filter");
        assert_eq!(PathRules::default().to_git("a.txt", b"a\r\n", None).unwrap(), &b"a\r\n"[..]);
    }
}
