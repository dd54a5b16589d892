//! What every verb begins with: where the config repository is, who asks, what time it is.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::{Color, Global};
use crate::config::Settings;
use crate::diagnostic::{Failure, FailureKind};
use crate::git;
use crate::report::diagnostics;
use crate::report::failures::text as failure_text;
use crate::report::progress::Progress;
use crate::tick::open::{CannotOpen, Unusable};
use crate::tick::{Open, World, occasion};

/// The surroundings of a verb.
pub struct Session {
    /// Options of every verb.
    pub global: Global,
    /// The environment's variables.
    pub env: Arc<BTreeMap<String, String>>,
    /// The instant of this run.
    pub now: Timestamp,
}

/// Where the config repository is.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its checkout.
    pub folder: Option<PathBuf>,
    /// Its URL.
    pub url: String,
}

/// Why a verb ends early.
pub enum Stopped {
    /// The user's files are wrong.
    Files(Box<Unusable>),
    /// Something failed.
    Failed(Failure),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<CannotOpen> for Stopped {
    fn from(why: CannotOpen) -> Self {
        match why {
            CannotOpen::Files(files) => Self::Files(files),
            CannotOpen::Failed(failure) => Self::Failed(failure),
        }
    }
}

impl Session {
    /// Reads clock and environment, once.
    pub fn new(global: Global) -> Self {
        let env = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect();
        #[allow(clippy::disallowed_methods, reason = "the one place that reads the clock")]
        let now = global.now.unwrap_or_else(Timestamp::now);
        Self { global, env: Arc::new(env), now }
    }

    /// Whether to colour what goes to stdout.
    pub fn color(&self) -> bool {
        match self.global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => std::io::stdout().is_terminal() && !self.env.contains_key("NO_COLOR"),
        }
    }

    /// Progress on stderr.
    pub fn progress(&self) -> Progress {
        Progress::new(self.global.quiet)
    }

    /// Who asks: as given; else the person behind the event of a workflow; else `cli:<user>`.
    pub fn actor(&self) -> String {
        if let Some(actor) = &self.global.actor {
            return actor.clone();
        }
        if self.env.contains_key("GITHUB_ACTIONS") {
            return event_actor(&self.env).unwrap_or_default();
        }
        let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| self.env.get(*name)).filter(|user| !user.is_empty());
        user.map_or_else(|| "cli".to_owned(), |user| format!("cli:{user}"))
    }

    /// Folder of the stores.
    ///
    /// # Errors
    /// Usage, if there is no home to put it in.
    pub fn cache(&self) -> Result<PathBuf, Failure> {
        if let Some(cache) = &self.global.cache {
            return Ok(cache.clone());
        }
        let below_home = self.env.get("HOME").filter(|home| !home.is_empty()).map(|home| Path::new(home).join(".cache"));
        let base = self.env.get("XDG_CACHE_HOME").filter(|base| !base.is_empty()).map(PathBuf::from).or(below_home);
        base.map(|base| base.join("consign")).ok_or_else(|| {
            Failure::new(FailureKind::Usage, "there is no folder for the cache")
                .hint("set `CONSIGN_CACHE` to a folder that may be deleted at any time")
        })
    }

    /// Finds the config repository.
    ///
    /// # Errors
    /// Usage, if this is no repository, or one without a remote.
    pub async fn place(&self) -> Result<Place, Failure> {
        let given = self.global.repo.clone().unwrap_or_else(|| ".".into());
        let folder = Path::new(&given);
        if !folder.is_dir() || (self.global.repo.is_some() && given.contains("://")) {
            if given.contains("://") || given.contains(':') {
                return Ok(Place { folder: None, url: given });
            }
            return Err(Failure::new(FailureKind::Usage, format!("`{given}` is neither a folder nor a URL")));
        }
        let git = git::Git::new(self.git_settings()?);
        let found = git::checkout(&git, folder).await?;
        let Some(found) = found else {
            return Err(Failure::new(FailureKind::Usage, format!("`{given}` is not in a Git repository"))
                .hint("go to a checkout of the config repository, or name it with `-C DIR|URL`; `consign demo` shows how it works"));
        };
        let url = found.url.ok_or_else(|| {
            Failure::new(FailureKind::Usage, format!("the repository `{}` has no remote `origin`", found.folder.display()))
                .hint("consign acts on the remote: add it with `git remote add origin URL`")
        })?;
        Ok(Place { folder: Some(found.folder), url })
    }

    /// The root of the working tree, for verbs that read it; the folder itself if it is no repository.
    ///
    /// # Errors
    /// Usage, if there is no such folder.
    pub async fn root(&self) -> Result<PathBuf, Failure> {
        let given = PathBuf::from(self.global.repo.clone().unwrap_or_else(|| ".".into()));
        if !given.is_dir() {
            return Err(Failure::new(FailureKind::Usage, format!("`{}` is no folder", given.display())));
        }
        let git = git::Git::new(self.git_settings()?);
        Ok(git::checkout(&git, &given).await.ok().flatten().map_or(given, |found| found.folder))
    }

    fn git_settings(&self) -> Result<git::Settings, Failure> {
        let mut settings = git::Settings::new(self.cache()?);
        settings.local = self.global.local;
        Ok(settings)
    }

    /// Opens the world. Verbs that only read look at the working tree; verbs that write act on the remote's tip.
    ///
    /// # Errors
    /// Files that are wrong; what the remote says.
    pub async fn open(&self, reads_only: bool) -> Result<World, Stopped> {
        let place = self.place().await?;
        let working_tree = place.folder.is_some() && (reads_only || self.global.local);
        let open = Open {
            url: place.url,
            folder: place.folder,
            working_tree,
            local: self.global.local,
            definitions: self.global.definitions.clone(),
            project: self.global.project.clone(),
            cache: self.cache()?,
            occasion: occasion(self.now, self.actor()),
            env: Arc::clone(&self.env),
        };
        // Who only reads has nothing to report on the way.
        let progress = if reads_only { Progress::quiet() } else { self.progress() };
        let world = World::open(open, progress).await?;
        if !world.differing.is_empty() && !self.global.quiet {
            say(&differs(&world.differing));
        }
        Ok(world)
    }

    /// The settings of the working tree.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn settings(&self, root: &Path) -> Result<Settings, Stopped> {
        let text = std::fs::read_to_string(root.join(crate::tick::open::SETTINGS)).unwrap_or_default();
        Ok(crate::tick::open::read_settings(&text, &self.env)?)
    }

    /// Shows why a verb ended early, and gives the exit code.
    pub fn explain(&self, stopped: &Stopped) -> u8 {
        match stopped {
            Stopped::Failed(failure) => {
                say(&failure_text(failure));
                failure.kind.exit_code()
            }
            Stopped::Files(files) => {
                let color = self.color() && std::io::stderr().is_terminal();
                say(&diagnostics::text(&files.diagnostics, &files.sources, color, 100));
                FailureKind::Config.exit_code()
            }
        }
    }
}

/// The sentence about a working tree that is not what a tick acts on.
fn differs(paths: &[String]) -> String {
    let shown: Vec<String> = paths.iter().take(3).map(|path| format!("`{path}`")).collect();
    let more = if paths.len() > 3 { format!(" and {} more", paths.len() - 3) } else { String::new() };
    format!("note: this is what the working tree says; a tick acts on the remote, which differs in {}{more}\n", shown.join(", "))
}

/// stderr may be closed; that changes nothing.
pub(super) fn say(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// The person behind a workflow's event, from its payload; None for what happened by itself.
fn event_actor(env: &BTreeMap<String, String>) -> Option<String> {
    let name = env.get("GITHUB_EVENT_NAME")?;
    if matches!(name.as_str(), "schedule" | "push") {
        return None;
    }
    let payload: serde_json::Value = serde_json::from_slice(&std::fs::read(env.get("GITHUB_EVENT_PATH")?).ok()?).ok()?;
    let login = payload["comment"]["user"]["login"]
        .as_str()
        .or(payload["pull_request"]["merged_by"]["login"].as_str())
        .or(payload["sender"]["login"].as_str())?;
    Some(format!("github:{login}"))
}
