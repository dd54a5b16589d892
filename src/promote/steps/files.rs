//! What the steps on files share: reading, writing, and how they stop.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::diagnostic::Failure;
use crate::promote::step::StepResult;
use crate::promote::workspace::{Need, Workspace};

/// Mode of files that a step makes (measured).
pub(super) const FILE_MODE: u32 = 0o600;
/// Mode of folders that a step makes (measured).
pub(super) const FOLDER_MODE: u32 = 0o700;
/// A document that is read as a whole may be this large.
const MAX_DOCUMENT: u64 = 64 << 20;

/// Why a step stopped early.
pub(super) enum Stop {
    /// The environment failed: the step counts as not run.
    Environment(Failure),
    /// The step found something wrong.
    Found(Box<StepResult>),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Environment(failure)
    }
}

impl From<StepResult> for Stop {
    fn from(result: StepResult) -> Self {
        Self::Found(Box::new(result))
    }
}

/// An error that counts against the step's threshold.
pub(super) fn errored(message: impl Into<String>) -> Stop {
    StepResult::errored(message).into()
}

/// The outcome of a step that may have stopped early.
pub(super) fn settle(outcome: Result<StepResult, Stop>) -> Result<StepResult, Failure> {
    match outcome {
        Ok(result) => Ok(result),
        Err(Stop::Found(result)) => Ok(*result),
        Err(Stop::Environment(failure)) => Err(failure),
    }
}

/// What went wrong with a path, to stand behind its name and a colon.
pub(super) fn reason(error: &std::io::Error) -> String {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        Kind::NotFound => "it does not exist".into(),
        Kind::IsADirectory => "it is a folder".into(),
        Kind::NotADirectory => "a file stands where a folder is needed".into(),
        _ => error.to_string(),
    }
}

/// Reads a file as bytes; the path is as configured.
pub(super) async fn read(workspace: &mut Workspace, path: &str) -> Result<Vec<u8>, Stop> {
    let full = workspace.follow(path).await?;
    workspace.need(&[Need::File(full.clone())]).await?;
    let cannot = |error: &std::io::Error| errored(format!("cannot read `{path}`: {}", reason(error)));
    let length = std::fs::metadata(&full).map_err(|error| cannot(&error))?.len();
    if length > MAX_DOCUMENT {
        return Err(errored(format!("cannot read `{path}`: it is larger than {} MiB", MAX_DOCUMENT >> 20)));
    }
    std::fs::read(&full).map_err(|error| cannot(&error))
}

/// Reads a text file; the path is as configured.
pub(super) async fn read_text(workspace: &mut Workspace, path: &str) -> Result<String, Stop> {
    String::from_utf8(read(workspace, path).await?).map_err(|_| errored(format!("cannot read `{path}`: it is not UTF-8 text")))
}

/// Writes a file whole or not at all; the path is as configured, folders on the way are made. A file that exists keeps its mode.
pub(super) async fn write(workspace: &mut Workspace, path: &str, contents: &[u8]) -> Result<(), Stop> {
    let full = workspace.follow(path).await?;
    // For its mode.
    workspace.need(&[Need::File(full.clone())]).await?;
    let mode = std::fs::metadata(&full).ok().filter(std::fs::Metadata::is_file).map_or(FILE_MODE, |metadata| metadata.permissions().mode() & 0o7777);
    make_folders(full.parent().unwrap_or(workspace.root()), FOLDER_MODE)
        .and_then(|()| replace(&full, contents, mode))
        .map_err(|error| errored(format!("cannot write `{path}`: {}", reason(&error))))
}

/// Puts contents in a file's place in one step, so that no reader and no crash meets half of them.
pub(super) fn replace(path: &Path, contents: &[u8], mode: u32) -> std::io::Result<()> {
    let mut file = beside(path)?;
    file.write_all(contents)?;
    put(file, path, mode)
}

/// A temporary file to [`put`] in a path's place.
pub(super) fn beside(path: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    if path.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    tempfile::Builder::new().prefix(".consign-").tempfile_in(path.parent().unwrap_or(path))
}

/// Renames a temporary file over a path.
pub(super) fn put(file: tempfile::NamedTempFile, path: &Path, mode: u32) -> std::io::Result<()> {
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Makes a folder and those above it.
pub(super) fn make_folders(path: &Path, mode: u32) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(mode).create(path).map_err(|error| {
        // What the call says when a file stands in the way depends on where it stands.
        if error.kind() == std::io::ErrorKind::AlreadyExists { std::io::ErrorKind::NotADirectory.into() } else { error }
    })
}

/// Patterns of files to leave out, as in `.gitignore`.
pub(super) struct Ignore(gix::ignore::Search);

impl Ignore {
    /// Reads patterns, one a line, later ones win.
    pub(super) fn new(patterns: &str) -> Self {
        let mut search = gix::ignore::Search::default();
        search
            .add_patterns_buffer(patterns.as_bytes(), PathBuf::new(), None, gix::ignore::search::Ignore { support_precious: false })
            .expect("a buffer is read without I/O");
        Self(search)
    }

    /// Whether a relative path is left out, all above it being let in.
    pub(super) fn leaves_out(&self, path: &str, is_folder: bool) -> bool {
        self.0
            .pattern_matching_relative_path(path.into(), Some(is_folder), gix::glob::pattern::Case::Sensitive)
            .is_some_and(|found| !found.pattern.is_negative())
    }

    /// Whether a relative path is left out, be it for a folder above it.
    pub(super) fn leaves_out_below(&self, path: &str, is_folder: bool) -> bool {
        path.match_indices('/').any(|(at, _)| self.leaves_out(&path[..at], true)) || self.leaves_out(path, is_folder)
    }
}
