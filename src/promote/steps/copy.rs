//! `copy`: copies a file, or a folder into another.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::config::{self, CopyConfig, StepConfig};
use super::files::{self, Ignore, Stop, errored};
use crate::diagnostic::Failure;
use crate::promote::step::{Effect, Step, StepResult, StepRun};
use crate::promote::workspace::{EntryKind, Need, Workspace};

/// The `copy` step.
pub struct Copy;

#[async_trait::async_trait]
impl Step for Copy {
    fn kind(&self) -> &'static str {
        CopyConfig::KIND
    }

    fn schema(&self) -> Value {
        config::schema::<CopyConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: CopyConfig = config::read(config)?;
        files::settle(copy(run.workspace, &config).await)
    }
}

async fn copy(workspace: &mut Workspace, config: &CopyConfig) -> Result<StepResult, Stop> {
    let cannot = |reason: &str| errored(format!("cannot copy `{}` to `{}`: {reason}", config.in_path, config.out_path));
    let from = workspace.follow(&config.in_path).await?;
    let to = workspace.follow(&config.out_path).await?;
    workspace.need(&[Need::Tree(from.clone())]).await?;
    let metadata = std::fs::metadata(&from).map_err(|error| cannot(&format!("`{}`: {}", config.in_path, files::reason(&error))))?;
    if from == to {
        return Err(cannot("they are the same"));
    }
    let mut plan = Vec::new();
    if metadata.is_dir() {
        if to.starts_with(&from) {
            return Err(cannot("a folder cannot be copied into itself"));
        }
        let ignore = Ignore::new(&format!(".git\n{}", config.ignore.as_deref().unwrap_or_default()));
        walk(&from, "", &ignore, &mut plan).map_err(|error| cannot(&files::reason(&error)))?;
    }
    plan.insert(0, (String::new(), metadata));
    for (relative, metadata) in plan {
        let source = if relative.is_empty() { from.clone() } else { from.join(&relative) };
        // A link in the destination is followed, and like any path of a step it does not lead out.
        let target = if relative.is_empty() { to.clone() } else { follow_below(workspace, &to, &relative).await? };
        let standing = workspace.entry(&target)?;
        let done = match (metadata.is_dir(), standing) {
            (true, Some(EntryKind::File)) => Err(io::ErrorKind::NotADirectory.into()),
            (true, _) => folder(&target, &metadata),
            (false, Some(EntryKind::Folder)) => Err(io::ErrorKind::IsADirectory.into()),
            (false, _) => file(&source, &target, &metadata),
        };
        done.map_err(|error| cannot(&format!("`{}`: {}", workspace.display(&target), files::reason(&error))))?;
    }
    Ok(StepResult::succeeded())
}

async fn follow_below(workspace: &mut Workspace, folder: &Path, relative: &str) -> Result<PathBuf, Failure> {
    let path = workspace.display(&folder.join(relative));
    workspace.follow(&path).await
}

/// Everything below a folder that is copied, folders before what is in them. Links are not copied (measured).
fn walk(root: &Path, below: &str, ignore: &Ignore, plan: &mut Vec<(String, Metadata)>) -> io::Result<()> {
    for entry in std::fs::read_dir(root.join(below))? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|name| io::Error::other(format!("the name `{}` is not UTF-8", name.display())))?;
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        let metadata = entry.metadata()?;
        if !(metadata.is_file() || metadata.is_dir()) || ignore.leaves_out(&path, metadata.is_dir()) {
            continue;
        }
        let is_folder = metadata.is_dir();
        plan.push((path.clone(), metadata));
        if is_folder {
            walk(root, &path, ignore, plan)?;
        }
    }
    Ok(())
}

fn folder(target: &Path, metadata: &Metadata) -> io::Result<()> {
    if target.is_dir() {
        return Ok(());
    }
    files::make_folders(target, files::FOLDER_MODE)?;
    // Writable for us while files come in; a read-only source folder is not worth failing for.
    std::fs::set_permissions(target, std::fs::Permissions::from_mode(metadata.permissions().mode() & 0o777 | 0o700))
}

fn file(source: &Path, target: &Path, metadata: &Metadata) -> io::Result<()> {
    files::make_folders(target.parent().unwrap_or(target), files::FOLDER_MODE)?;
    let mut copy = files::beside(target)?;
    io::copy(&mut std::fs::File::open(source)?, &mut copy)?;
    files::put(copy, target, metadata.permissions().mode() & 0o777)
}
