//! `delete`: removes files, links and folders, by path or by pattern.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde_json::Value;

use super::config::{self, DeleteConfig, StepConfig};
use super::files::{self, Stop, errored};
use crate::diagnostic::Failure;
use crate::promote::step::{Effect, Step, StepResult, StepRun};
use crate::promote::workspace::{EntryKind, Workspace};

/// The `delete` step.
pub struct Delete;

#[async_trait::async_trait]
impl Step for Delete {
    fn kind(&self) -> &'static str {
        DeleteConfig::KIND
    }

    fn schema(&self) -> Value {
        config::schema::<DeleteConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: DeleteConfig = config::read(config)?;
        files::settle(delete(run.workspace, &config).await)
    }
}

async fn delete(workspace: &mut Workspace, config: &DeleteConfig) -> Result<StepResult, Stop> {
    let mut doomed = BTreeSet::new();
    // All is resolved before anything is deleted, so that a mistake in the last entry spares the first.
    if config.paths_are_globs {
        let patterns = config.entries().map(Pattern::new).collect::<Result<Vec<_>, _>>()?;
        let standing = everything(workspace)?;
        for pattern in &patterns {
            let before = doomed.len();
            let mut found = false;
            for path in standing.iter().filter(|path| pattern.matches(path)) {
                found = true;
                doomed.insert(workspace.root().join(path));
            }
            if !found && config.strict && before == doomed.len() {
                return Err(errored(format!("no path matches the pattern `{}`", pattern.text)));
            }
        }
    } else {
        for path in config.entries() {
            let (full, exists) = literal(workspace, path).await?;
            if exists {
                doomed.insert(full);
            } else if config.strict {
                return Err(errored(format!("path `{path}` does not exist")));
            }
        }
    }
    for path in &doomed {
        workspace.remove(path).map_err(|error| errored(format!("cannot delete `{}`: {}", workspace.display(path), files::reason(&error))))?;
    }
    Ok(StepResult::succeeded())
}

/// What a path names, its last component not followed, and whether it is there.
async fn literal(workspace: &mut Workspace, path: &str) -> Result<(PathBuf, bool), Stop> {
    let resolved = workspace.resolve(path).map_err(|escape| errored(escape.to_string()))?;
    let Some(name) = resolved.file_name().filter(|_| resolved != workspace.root()) else {
        return Err(errored(format!("path `{path}` is the working directory itself, which cannot be deleted")));
    };
    let above = workspace.display(resolved.parent().unwrap_or(&resolved));
    let above = workspace.follow(&above).await?;
    let mut folder = above.as_path();
    while folder != workspace.root() {
        if workspace.entry(folder)? == Some(EntryKind::File) {
            return Err(errored(format!("path `{path}` leads through the file `{}`", workspace.display(folder))));
        }
        folder = folder.parent().unwrap_or(workspace.root());
    }
    let full = above.join(name);
    let exists = workspace.exists(&full)?;
    Ok((full, exists))
}

/// Every path of the workspace, folders included, relative.
fn everything(workspace: &Workspace) -> Result<BTreeSet<PathBuf>, Failure> {
    let root = workspace.root();
    let mut all = BTreeSet::new();
    for path in workspace.list(root)? {
        let relative = path.strip_prefix(root).unwrap_or(&path);
        all.extend(relative.ancestors().filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned));
    }
    // Empty folders are in no listing of files.
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                all.insert(entry.path().strip_prefix(root).unwrap_or(&folder).to_owned());
                open.push(entry.path());
            }
        }
    }
    Ok(all)
}

/// A pattern with `**`, `*`, `?`, `[..]`, `{a,b}` and `\`.
struct Pattern {
    text: String,
    set: GlobSet,
}

impl Pattern {
    fn new(text: &str) -> Result<Self, Stop> {
        let malformed =
            |error: globset::Error| Stop::from(StepResult::errored_for_good(format!("the pattern `{text}` is malformed: {}", error.kind())));
        let glob = |text: &str| GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
        let pattern = text.strip_prefix("./").unwrap_or(text);
        let mut set = GlobSetBuilder::new();
        set.add(glob(pattern).map_err(malformed)?);
        // `a/**` matches `a` itself too.
        if let Some(folder) = pattern.strip_suffix("/**") {
            set.add(glob(folder).map_err(malformed)?);
        }
        Ok(Self { text: text.to_owned(), set: set.build().map_err(malformed)? })
    }

    fn matches(&self, path: &Path) -> bool {
        self.set.is_match(path)
    }
}
