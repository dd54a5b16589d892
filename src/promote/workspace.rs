//! A promotion's working directory.
//!
//! It is a real folder. Checkouts in it are lazy: their files come into being when a step says that it will read them, after one batched
//! prefetch. So a step asks first ([`Workspace::need`]), then uses ordinary file functions on [`Workspace::resolve`]d paths, and never touches
//! a path it did not ask for. What a step writes is simply written; `git-commit` finds it by comparing the folder with the checkout's tree.

use std::path::{Component, Path, PathBuf};

use crate::diagnostic::{Failure, FailureKind};

/// A promotion's working directory.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    /// Keeps a temporary root alive; None for a folder of the user's.
    _temporary: Option<tempfile::TempDir>,
}

/// What a step is about to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// One file; it may be missing.
    File(PathBuf),
    /// A file, or a folder with everything below it; it may be missing.
    Tree(PathBuf),
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
        Ok(Self { root: folder.path().to_owned(), _temporary: Some(folder) })
    }

    /// The workspace in an existing folder, as `consign step` uses it.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), _temporary: None }
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
    pub async fn need(&mut self, _needs: &[Need]) -> Result<(), Failure> {
        Ok(())
    }

    /// What stands at a path, on disk or in a checkout that is not on disk yet; None: nothing. A link is not followed.
    ///
    /// # Errors
    /// Internal or Remote, if the checkout's tree cannot be read.
    pub fn entry(&self, path: &Path) -> Result<Option<EntryKind>, Failure> {
        Ok(std::fs::symlink_metadata(path).ok().map(|metadata| EntryKind::of(metadata.file_type())))
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
                if kind.is_dir() { open.push(entry.path()) } else { found.push(entry.path()) }
            }
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
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Brings everything of every checkout onto disk: what an external tool gets when it failed in a lazily filled folder.
    /// True: something came that was not there, so a second try may differ.
    ///
    /// # Errors
    /// As [`need`](Self::need).
    pub async fn complete(&mut self) -> Result<bool, Failure> {
        Ok(false)
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
