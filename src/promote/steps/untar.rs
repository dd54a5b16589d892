//! `untar`: unpacks an archive into a folder.

use std::collections::HashSet;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::config::{self, StepConfig, UntarConfig};
use super::files::{self, Ignore, Stop, errored};
use super::tar::{ARCHIVE_FOLDER_MODE, MAX_FILE, MAX_TOTAL, ignore};
use crate::diagnostic::Failure;
use crate::promote::step::{Effect, Step, StepResult, StepRun};
use crate::promote::workspace::{EntryKind, Need, Workspace};

/// An archive may be this large when decompressed, headers and members that are left out included.
const MAX_STREAM: u64 = 4 * MAX_TOTAL;

/// The `untar` step.
pub struct Untar;

#[async_trait::async_trait]
impl Step for Untar {
    fn kind(&self) -> &'static str {
        UntarConfig::KIND
    }

    fn schema(&self) -> Value {
        config::schema::<UntarConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: UntarConfig = config::read(config)?;
        files::settle(unpack(run.workspace, &config).await)
    }
}

async fn unpack(workspace: &mut Workspace, config: &UntarConfig) -> Result<StepResult, Stop> {
    let cannot = |error: &io::Error| errored(format!("cannot unpack `{}` to `{}`: {}", config.in_path, config.out_path, files::reason(error)));
    let from = workspace.follow(&config.in_path).await?;
    let to = workspace.follow(&config.out_path).await?;
    if to == workspace.root() {
        return Err(errored("the archive cannot replace the working directory itself; unpack it to a folder in it"));
    }
    workspace.need(&[Need::File(from.clone())]).await?;
    let archive = std::fs::File::open(&from).map_err(|error| errored(format!("cannot read `{}`: {}", config.in_path, files::reason(&error))))?;
    if workspace.entry(&to)? == Some(EntryKind::File) {
        return Err(errored(format!("cannot unpack to `{}`: it is a file", config.out_path)));
    }
    let above = to.parent().unwrap_or(workspace.root());
    files::make_folders(above, ARCHIVE_FOLDER_MODE).map_err(|error| cannot(&error))?;
    // Made beside the destination and private; it takes its place only when all has been unpacked.
    let folder = tempfile::Builder::new().prefix(".consign-").tempdir_in(above).map_err(|error| cannot(&error))?;
    let strip = usize::try_from(config.strip_components).unwrap_or(usize::MAX);
    Unpacking { root: folder.path(), strip, ignore: ignore(config.ignore.as_deref()), links: HashSet::new(), unsafe_links: HashSet::new(), total: 0 }
        .run(archive)
        .map_err(|error| cannot(&error))?;
    workspace.remove(&to).map_err(|error| cannot(&error))?;
    std::fs::rename(folder.path(), &to).map_err(|error| cannot(&error))?;
    Ok(StepResult::succeeded())
}

struct Unpacking<'a> {
    root: &'a Path,
    strip: usize,
    ignore: Ignore,
    links: HashSet<PathBuf>,
    /// Links left out because they lead out; what the archive would write through them is left out, too.
    unsafe_links: HashSet<String>,
    total: u64,
}

impl Unpacking<'_> {
    fn run(&mut self, mut file: std::fs::File) -> io::Result<()> {
        let mut magic = [0; 2];
        let known = file.read(&mut magic)?;
        io::Seek::rewind(&mut file)?;
        let file = io::BufReader::new(file);
        let stream: Box<dyn Read> = if magic[..known] == [0x1f, 0x8b] { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        let mut archive = tar::Archive::new(stream.take(MAX_STREAM));
        for member in archive.entries()? {
            let mut member = member.map_err(|error| io::Error::other(format!("it is no tar archive, or it is cut off ({error})")))?;
            self.member(&mut member)?;
        }
        Ok(())
    }

    fn member(&mut self, member: &mut tar::Entry<'_, impl Read>) -> io::Result<()> {
        let kind = member.header().entry_type();
        let is_folder = kind.is_dir();
        if !(kind.is_file() || is_folder || kind.is_symlink()) {
            return Ok(());
        }
        let name = String::from_utf8(member.path_bytes().into_owned()).map_err(|_| io::Error::other("a member's name is not UTF-8"))?;
        let Some(path) = self.path(&name) else { return Ok(()) };
        if self.ignore.leaves_out_below(&path, is_folder) {
            return Ok(());
        }
        if path.match_indices('/').any(|(at, _)| self.unsafe_links.contains(&path[..at])) {
            return Ok(());
        }
        let full = self.root.join(&path);
        if is_folder {
            return files::make_folders(&full, ARCHIVE_FOLDER_MODE);
        }
        files::make_folders(full.parent().unwrap_or(self.root), ARCHIVE_FOLDER_MODE)?;
        if kind.is_symlink() {
            let target = member.link_name_bytes().unwrap_or_default();
            let Ok(target) = std::str::from_utf8(&target) else { return Ok(()) };
            // No component of a target climbs, so a chain of links stays inside, too.
            if is_unsafe(target) || target.starts_with("./") {
                self.unsafe_links.insert(path);
                return Ok(());
            }
            if full.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir()) {
                std::fs::remove_file(&full)?;
            }
            self.links.insert(full.clone());
            return std::os::unix::fs::symlink(target, &full);
        }
        self.file(member, &full, &name)
    }

    /// Where a member goes below the destination; None: it is left out, for its name is not safe or has too few components.
    fn path(&self, name: &str) -> Option<String> {
        let mut rest = name;
        for _ in 0..self.strip {
            rest = rest.split_once('/')?.1;
        }
        while let Some(shorter) = rest.strip_prefix("./") {
            rest = shorter;
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        (!is_unsafe(rest) && rest != ".").then(|| rest.to_owned())
    }

    fn file(&mut self, member: &mut tar::Entry<'_, impl Read>, full: &Path, name: &str) -> io::Result<()> {
        let size = member.size();
        self.total += size;
        if size > MAX_FILE || self.total > MAX_TOTAL {
            return Err(io::Error::other(format!(
                "`{name}` is too large; files of at most {} MiB, {} MiB together, are unpacked",
                MAX_FILE >> 20,
                MAX_TOTAL >> 20
            )));
        }
        let mode = member.header().mode()? & 0o777;
        let modified = member.header().mtime().unwrap_or(0);
        // A member that comes again replaces what it gave before, whatever mode that has; a link is written through.
        if !self.links.contains(full) && full.is_file() {
            std::fs::remove_file(full)?;
        }
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(full)?;
        if io::copy(member, &mut file)? != size {
            return Err(io::Error::other(format!("it is cut off in `{name}`")));
        }
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(modified.min(u64::from(u32::MAX))))
    }
}

/// Names and targets that could lead out of the destination.
fn is_unsafe(name: &str) -> bool {
    name.is_empty() || name.starts_with('/') || name.contains(['\\', '\0']) || name.split('/').any(|component| component == "..")
}
