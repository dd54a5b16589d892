//! What the user decides about git: where stores live, what git is told, who we are to a remote.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A text that must not be shown: prints as `****`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
    /// The text itself; for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// Who we are to one remote. Reaches git by the environment of that one process: never argv, a URL or a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// User name; forges take anything for a token.
    pub username: String,
    /// Password or token.
    pub password: Secret,
}

/// How this process uses git.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The git executable: a name found on `PATH`, or a path.
    pub program: PathBuf,
    /// Folder of the stores; made when missing. Everything below it may be deleted at any time between runs.
    pub cache: PathBuf,
    /// Allow `file://` URLs and bare paths.
    pub local: bool,
    /// Extra git settings (`git.config` of the settings), given to every process: `url.<base>.insteadOf`, proxies, certificates.
    pub config: Vec<(String, String)>,
    /// Take over the transport settings (`credential.*`, `http.*`, `url.*`, `core.sshCommand`) of the user's own git configuration.
    pub user_config: bool,
    /// Extra environment variables for git processes.
    pub environment: Vec<(String, String)>,
    /// Limit on one network operation; its whole process group is ended after it.
    pub timeout: Duration,
    /// A transfer slower than 1,000 bytes a second for this many seconds is given up.
    pub stalled_after: Duration,
    /// How often a fetch is tried when the remote cannot be reached; 1: no retry.
    pub attempts: u32,
    /// Limit on the refs of one push (some forges have such a rule); None: all refs in one push.
    pub refs_per_push: Option<usize>,
    /// Where commits begin that the cold start of a store fetches; None: the whole history (without file contents).
    pub depth: Option<u32>,
}

impl Settings {
    /// Settings with a cache folder and defaults for everything else.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            program: PathBuf::from("git"),
            cache: cache.into(),
            local: false,
            config: Vec::new(),
            user_config: true,
            environment: Vec::new(),
            timeout: Duration::from_secs(600),
            stalled_after: Duration::from_secs(30),
            attempts: 3,
            refs_per_push: None,
            depth: None,
        }
    }
}
