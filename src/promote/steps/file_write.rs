//! `file-write`: writes a text into a file.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::config::{self, FileWriteConfig, StepConfig};
use super::files::{self, Stop, errored};
use crate::diagnostic::Failure;
use crate::promote::step::{Effect, Step, StepResult, StepRun};
use crate::promote::workspace::{EntryKind, Workspace};

/// The `file-write` step.
pub struct FileWrite;

#[async_trait::async_trait]
impl Step for FileWrite {
    fn kind(&self) -> &'static str {
        FileWriteConfig::KIND
    }

    fn schema(&self) -> Value {
        config::schema::<FileWriteConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: FileWriteConfig = config::read(config)?;
        files::settle(write(run.workspace, &config))
    }
}

fn refused(message: String) -> Stop {
    StepResult::failed(message).into()
}

fn write(workspace: &Workspace, config: &FileWriteConfig) -> Result<StepResult, Stop> {
    let mode = mode(config.permissions.as_deref())?;
    let path = target(workspace, &config.path)?;
    match workspace.entry(&path)? {
        Some(EntryKind::Folder) => return Err(errored(format!("cannot write `{}`: it is a folder", config.path))),
        Some(_) if !config.overwrite => {
            return Err(refused(format!("file `{}` already exists; set `overwrite: true` to replace it", config.path)));
        }
        _ => {}
    }
    files::make_folders(path.parent().unwrap_or(workspace.root()), files::FOLDER_MODE)
        .and_then(|()| files::replace(&path, config.contents.as_bytes(), mode))
        .map_err(|error| errored(format!("cannot write `{}`: {}", config.path, files::reason(&error))))?;
    Ok(StepResult::succeeded())
}

fn mode(permissions: Option<&str>) -> Result<u32, Stop> {
    let Some(text) = permissions else { return Ok(files::FILE_MODE) };
    let mode = u32::from_str_radix(text, 8).map_err(|_| refused(format!("permissions `{text}` are no octal number")))?;
    if mode & 0o111 != 0 {
        return Err(refused(format!("permissions `{text}` must not make the file executable")));
    }
    if mode & 0o002 != 0 {
        return Err(refused(format!("permissions `{text}` must not let everyone write")));
    }
    Ok(mode)
}

/// Where to write. This step takes only plain relative paths: no way out, no `.git`, no links.
fn target(workspace: &Workspace, path: &str) -> Result<PathBuf, Stop> {
    if Path::new(path).is_absolute() {
        return Err(refused(format!("path `{path}` must be relative")));
    }
    let mut relative = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => relative.push(name),
            Component::ParentDir => {
                if !relative.pop() {
                    return Err(refused(format!("path `{path}` leads out of the working directory")));
                }
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    if relative.components().any(|component| component.as_os_str().eq_ignore_ascii_case(".git")) {
        return Err(refused(format!("path `{path}` is in a `.git` folder, where no step may write")));
    }
    let mut full = workspace.root().to_owned();
    for component in relative.components() {
        full.push(component);
        match workspace.entry(&full)? {
            Some(EntryKind::Link) => {
                return Err(refused(format!("path `{path}` leads through the link `{}`; write to where it points", workspace.display(&full))));
            }
            Some(EntryKind::File) if full != workspace.root().join(&relative) => {
                return Err(errored(format!("cannot write `{path}`: `{}` is a file", workspace.display(&full))));
            }
            _ => {}
        }
    }
    Ok(full)
}
