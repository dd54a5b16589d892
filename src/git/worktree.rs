//! Real working trees of a store, for tools that want one.
//!
//! git makes and fills them; we take them away again by hand, because git refuses to remove one that a killed `worktree add` left locked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::command::Invocation;
use super::objects::EntryKind;
use super::oid::{NotAnOid, Oid};
use super::store::Store;
use crate::diagnostic::{Failure, FailureKind};

/// A working tree with a detached HEAD. Removed when dropped.
#[derive(Debug)]
pub struct Worktree {
    store: Arc<Store>,
    folder: PathBuf,
    /// git's own files about it, in the store.
    registration: PathBuf,
    sparse: bool,
}

/// A path that differs from HEAD, by `git status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusEntry {
    /// Path from the root, `/`-separated.
    pub path: String,
    /// State in the index: git's letter, blank for unchanged, `?` for untracked.
    pub index: char,
    /// State in the folder: git's letter, blank for unchanged, `?` for untracked.
    pub folder: char,
}

impl Worktree {
    /// Checks a commit out into a folder that does not exist yet. `only`: the paths to bring to disk, a folder with everything below; the
    /// files with rules on their way come along; None: everything. The contents are fetched first, in one request.
    ///
    /// # Errors
    /// Remote or Refused, when contents cannot be fetched; Tool, when git cannot make the working tree; Internal, when the commit is not here.
    pub async fn add(store: &Arc<Store>, folder: &Path, commit: Oid, only: Option<&[String]>) -> Result<Self, Failure> {
        let tree = store.commit(commit)?.tree;
        let mut contents = Vec::new();
        let mut patterns = String::new();
        match only {
            None => contents.extend(store.list(tree, "")?),
            Some(paths) => {
                for path in paths {
                    contents.extend(store.list(tree, path.trim_matches('/'))?);
                    patterns.push_str(&format!("/{}\n", escape_pattern(path.trim_matches('/'))));
                }
                // git reads these from the index when they are not on disk: one connection per file.
                for rule in store.rule_files(tree, paths)? {
                    patterns.push_str(&format!("/{}\n", escape_pattern(&rule.path)));
                    contents.push(rule);
                }
            }
        }
        let blobs: Vec<Oid> = contents.iter().filter(|entry| entry.kind.is_blob()).map(|entry| entry.oid).collect();
        store.prefetch(&blobs).await?;

        let doing = format!("make a working tree of `{}`", store.url());
        let added = {
            // Two at once would race for the same name inside the store.
            let _turn = store.network.lock().await;
            let git = store.invoke("worktree").args(["worktree", "add", "--quiet", "--detach", "--no-checkout", "--force", "--"]);
            git.arg(folder).arg(commit.to_string()).succeed(&doing).await
        };
        let registration = registration(folder);
        if added.is_err() || registration.is_none() {
            let _ = std::fs::remove_dir_all(folder);
        }
        added?;
        let Some(registration) = registration else {
            return Err(Failure::new(FailureKind::Tool, format!("cannot {doing}: git left no `.git` file in `{}`", folder.display())));
        };
        // From here on tools may put commits into the store that exist nowhere else.
        store.memory().wrote = true;
        let worktree = Self { store: store.clone(), folder: folder.to_owned(), registration, sparse: only.is_some() };
        if only.is_some() {
            let info = worktree.registration.join("info");
            std::fs::create_dir_all(&info)
                .and_then(|()| std::fs::write(info.join("sparse-checkout"), patterns))
                .map_err(|error| Failure::new(FailureKind::Tool, format!("cannot {doing}")).caused_by(error))?;
        }
        worktree.git("checkout").args(["read-tree", "-m", "-u", "HEAD"]).succeed(&doing).await?;
        Ok(worktree)
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What differs from HEAD, untracked files (not the ignored ones) included, in order.
    ///
    /// # Errors
    /// Tool, when git fails.
    pub async fn status(&self) -> Result<Vec<StatusEntry>, Failure> {
        let output = self
            .git("status")
            .args(["status", "--porcelain", "-z", "--untracked-files=all", "--no-renames"])
            .succeed("read the state of the working tree")
            .await?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text
            .split('\0')
            .filter_map(|record| {
                let mut letters = record.chars();
                let (index, folder, path) = (letters.next()?, letters.next()?, record.get(3..)?);
                Some(StatusEntry { path: path.to_owned(), index, folder })
            })
            .collect())
    }

    /// Takes paths into the index as they are on disk, deletions and new files included; a folder with everything below. Ignored files
    /// that are not tracked stay out.
    ///
    /// # Errors
    /// Tool, when git fails, also for a path that is neither on disk nor tracked.
    pub async fn stage(&self, paths: &[String]) -> Result<(), Failure> {
        self.with_paths("add", &["add", "--all", "--sparse"], paths, "stage files").await
    }

    /// Removes paths from the index and from disk, a folder with everything below. Paths that are not tracked: nothing happens.
    ///
    /// # Errors
    /// Tool, when git fails.
    pub async fn remove_paths(&self, paths: &[String]) -> Result<(), Failure> {
        self.with_paths("rm", &["rm", "-r", "-f", "--quiet", "--ignore-unmatch", "--sparse"], paths, "remove files").await
    }

    /// Writes the index as a tree.
    ///
    /// # Errors
    /// Tool, when git fails.
    pub async fn write_tree(&self) -> Result<Oid, Failure> {
        let output = self.git("write-tree").args(["write-tree", "--missing-ok"]).succeed("write the tree").await?;
        self.store.reload()?;
        String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse()
            .map_err(|error: NotAnOid| Failure::new(FailureKind::Tool, "`git write-tree` gave no tree").caused_by(error))
    }

    /// Puts HEAD on another commit and leaves index and folder as they are, as after a commit.
    ///
    /// # Errors
    /// Tool, when git fails.
    pub async fn set_head(&self, commit: Oid) -> Result<(), Failure> {
        self.git("update-ref")
            .args(["update-ref", "--no-deref", "HEAD"])
            .arg(commit.to_string())
            .succeed("move the working tree's HEAD")
            .await
            .map(drop)
    }

    /// Where HEAD stands, by what tools may have done.
    ///
    /// # Errors
    /// Tool, when git fails.
    pub async fn head(&self) -> Result<Oid, Failure> {
        let output = self.git("rev-parse").args(["rev-parse", "--verify", "HEAD"]).succeed("read the working tree's HEAD").await?;
        self.store.reload()?;
        String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse()
            .map_err(|error: NotAnOid| Failure::new(FailureKind::Tool, "`git rev-parse` gave no commit").caused_by(error))
    }

    fn git(&self, verb: &'static str) -> Invocation {
        let git = self.store.git.invoke(verb).folder(&self.folder);
        if self.sparse { git.config("core.sparseCheckout", "true").config("core.sparseCheckoutCone", "false") } else { git }
    }

    async fn with_paths(&self, verb: &'static str, args: &[&str], paths: &[String], doing: &str) -> Result<(), Failure> {
        let list: Vec<u8> = paths.iter().flat_map(|path| path.bytes().chain([0])).collect();
        if list.is_empty() {
            return Ok(());
        }
        // Paths are names, not patterns.
        self.git(verb)
            .env("GIT_LITERAL_PATHSPECS", "1")
            .args(args)
            .args(["--pathspec-from-file=-", "--pathspec-file-nul"])
            .stdin(list)
            .succeed(doing)
            .await
            .map(drop)
    }
}

impl Drop for Worktree {
    fn drop(&mut self) {
        for folder in [&self.folder, &self.registration] {
            if let Err(error) = std::fs::remove_dir_all(folder)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::debug!(target: "consign::git", folder = %folder.display(), "cannot remove a working tree: {error}");
            }
        }
    }
}

/// Where the `.git` file of a working tree points to.
fn registration(folder: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(folder.join(".git")).ok()?;
    Some(PathBuf::from(text.strip_prefix("gitdir: ")?.trim_end()))
}

/// A path as a pattern that matches it alone.
fn escape_pattern(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for c in path.chars() {
        if matches!(c, '*' | '?' | '[' | '\\') || (c == ' ' && path.ends_with(' ')) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

impl Store {
    /// Whether a checkout of a tree needs more than its blobs: submodules.
    ///
    /// # Errors
    /// Missing or `WrongKind`, when `tree` is no tree that is here.
    pub fn has_submodules(&self, tree: Oid) -> Result<bool, super::ObjectError> {
        Ok(self.list(tree, "")?.iter().any(|entry| entry.kind == EntryKind::Submodule))
    }
}
