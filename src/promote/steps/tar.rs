//! `tar`: packs a file or a folder into an archive.

use std::io::{self, Read as _, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::config::{self, StepConfig, TarConfig};
use super::files::{self, Ignore, Stop, errored};
use crate::diagnostic::Failure;
use crate::promote::step::{Effect, Step, StepResult, StepRun};
use crate::promote::workspace::{Need, Workspace};

/// A file in an archive may be this large, in and out (measured).
pub(super) const MAX_FILE: u64 = 50 << 20;
/// All files of an archive together may be this large (measured).
pub(super) const MAX_TOTAL: u64 = 100 << 20;
/// Mode of folders that archives bring (measured).
pub(super) const ARCHIVE_FOLDER_MODE: u32 = 0o750;

/// The `tar` step.
pub struct Tar;

#[async_trait::async_trait]
impl Step for Tar {
    fn kind(&self) -> &'static str {
        TarConfig::KIND
    }

    fn schema(&self) -> Value {
        config::schema::<TarConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: TarConfig = config::read(config)?;
        files::settle(pack(run.workspace, &config).await)
    }
}

/// The patterns of a `tar` or `untar`: what is given replaces the default.
pub(super) fn ignore(given: Option<&str>) -> Ignore {
    Ignore::new(given.filter(|patterns| !patterns.trim().is_empty()).unwrap_or(".git"))
}

async fn pack(workspace: &mut Workspace, config: &TarConfig) -> Result<StepResult, Stop> {
    let cannot = |error: &io::Error| errored(format!("cannot pack `{}` into `{}`: {}", config.in_path, config.out_path, files::reason(error)));
    let from = workspace.follow(&config.in_path).await?;
    let to = workspace.follow(&config.out_path).await?;
    workspace.need(&[Need::Tree(from.clone())]).await?;
    let metadata = std::fs::metadata(&from).map_err(|error| errored(format!("cannot pack `{}`: {}", config.in_path, files::reason(&error))))?;
    if workspace.entry(&to)? == Some(crate::promote::workspace::EntryKind::Folder) {
        return Err(errored(format!("cannot write the archive `{}`: it is a folder", config.out_path)));
    }
    files::make_folders(to.parent().unwrap_or(&to), ARCHIVE_FOLDER_MODE).map_err(|error| cannot(&error))?;
    let file = files::beside(&to).map_err(|error| cannot(&error))?;
    let mut members = Vec::new();
    if metadata.is_dir() {
        // The archive itself may stand in the folder.
        let spared = [to.clone(), file.path().to_owned()];
        collect(&from, "", &ignore(config.ignore.as_deref()), &spared, &mut members).map_err(|error| cannot(&error))?;
    } else {
        let name = from.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        members.push((name, from.clone()));
    }
    let written = if config.gzip {
        archive(GzEncoder::new(file, Compression::default()), &members).and_then(GzEncoder::finish)
    } else {
        archive(file, &members)
    };
    written.and_then(|file| files::put(file, &to, files::FILE_MODE)).map_err(|error| cannot(&error))?;
    Ok(StepResult::succeeded())
}

/// Names and paths of everything below a folder, in the order of their names, folders before what is in them.
fn collect(root: &Path, below: &str, ignore: &Ignore, spared: &[PathBuf], members: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    let mut entries = std::fs::read_dir(root.join(below))?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().into_string().map_err(|name| io::Error::other(format!("the name `{}` is not UTF-8", name.display())))?;
        let name = if below.is_empty() { name } else { format!("{below}/{name}") };
        let kind = entry.file_type()?;
        if ignore.leaves_out(&name, kind.is_dir()) || spared.contains(&entry.path()) || !(kind.is_file() || kind.is_dir() || kind.is_symlink()) {
            continue;
        }
        members.push((name.clone(), entry.path()));
        if kind.is_dir() {
            collect(root, &name, ignore, spared, members)?;
        }
    }
    Ok(())
}

/// Writes an archive. Times and owners are left out of it, so that equal files give equal archives.
fn archive<W: Write>(out: W, members: &[(String, PathBuf)]) -> io::Result<W> {
    let mut builder = tar::Builder::new(out);
    let mut total = 0;
    for (name, path) in members {
        let metadata = std::fs::symlink_metadata(path)?;
        let mut header = tar::Header::new_gnu();
        header.set_mode(metadata.permissions().mode() & 0o777);
        header.set_mtime(0);
        header.set_size(0);
        if metadata.is_symlink() {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_mode(0o777);
            builder.append_link(&mut header, name, std::fs::read_link(path)?)?;
        } else if metadata.is_dir() {
            header.set_entry_type(tar::EntryType::Directory);
            builder.append_data(&mut header, format!("{name}/"), io::empty())?;
        } else {
            let size = metadata.len();
            total += size;
            if size > MAX_FILE || total > MAX_TOTAL {
                return Err(io::Error::other(format!(
                    "`{name}` is too large; an archive holds files of at most {} MiB, {} MiB together",
                    MAX_FILE >> 20,
                    MAX_TOTAL >> 20
                )));
            }
            header.set_size(size);
            builder.append_data(&mut header, name, std::fs::File::open(path)?.take(size))?;
        }
    }
    builder.into_inner()
}
