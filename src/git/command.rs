//! The one builder of git processes.
//!
//! Every child is sealed: no inherited `GIT_*` variables, no system or user configuration but the transport settings, no prompts, its own
//! process group that is ended with it, a time limit, settings and credentials by environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use base64::Engine as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::settings::{Credential, Settings};
use super::url::RemoteUrl;
use super::words::failure;
use crate::diagnostic::{Failure, FailureKind};

/// The oldest git that does what we need of it.
const MINIMUM_VERSION: (u32, u32) = (2, 39);

/// Of a child's error output, this much is kept: a remote's hook may talk without end.
const STDERR_LIMIT: u64 = 1 << 20;

/// A push up to this size is one request; above it git sends a probe first.
const POST_BUFFER: &str = "134217728";

/// How often this process used git, by verb (`fetch`, `prefetch`, `push` ...).
#[derive(Debug, Default)]
pub struct Stats {
    verbs: Mutex<BTreeMap<&'static str, u64>>,
}

impl Stats {
    /// Processes started so far; the helpers that git starts itself are not in it.
    pub fn processes(&self) -> u64 {
        self.by_verb().values().sum()
    }

    /// Processes started so far, by verb.
    pub fn by_verb(&self) -> BTreeMap<&'static str, u64> {
        self.verbs.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn count(&self, verb: &'static str) {
        *self.verbs.lock().unwrap_or_else(std::sync::PoisonError::into_inner).entry(verb).or_default() += 1;
    }
}

/// The git executable as this process uses it.
#[derive(Clone, Debug)]
pub struct Git {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    stats: Stats,
    /// The transport settings of the user's own configuration.
    user: Vec<(String, String)>,
    version: OnceLock<()>,
}

impl Git {
    /// Git with settings. Starts no process: the version is checked before the first one.
    pub fn new(settings: Settings) -> Self {
        let user = if settings.user_config { user_transport_settings(&settings.program) } else { Vec::new() };
        Self { inner: Arc::new(Inner { settings, stats: Stats::default(), user, version: OnceLock::new() }) }
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// What was started so far.
    pub fn stats(&self) -> &Stats {
        &self.inner.stats
    }

    /// A git process to be; `verb` is the name it is counted under.
    pub(super) fn invoke(&self, verb: &'static str) -> Invocation {
        Invocation {
            git: self.clone(),
            verb,
            folder: None,
            git_dir: None,
            config: Vec::new(),
            environment: Vec::new(),
            args: Vec::new(),
            stdin: Vec::new(),
            credential: None,
            network: false,
        }
    }

    /// The URL git will really talk to, after the longest matching `url.<base>.insteadOf`.
    pub(super) fn effective_url(&self, url: &str) -> String {
        let mut best: Option<(&str, &str)> = None;
        for (key, value) in self.inner.user.iter().chain(&self.inner.settings.config) {
            let Some(base) = strip_ends(key, "url.", ".insteadof") else { continue };
            if url.starts_with(value.as_str()) && best.is_none_or(|(_, longest)| value.len() > longest.len()) {
                best = Some((base, value));
            }
        }
        best.map_or_else(|| url.to_owned(), |(base, prefix)| format!("{base}{}", &url[prefix.len()..]))
    }

    async fn check_version(&self) -> Result<(), Failure> {
        if self.inner.version.get().is_some() {
            return Ok(());
        }
        // The answer is kept in the cache folder, under the executable's identity: a warm tick starts no process for it.
        let remembered = self.settings().cache.join("git-version");
        let identity = executable_identity(&self.settings().program);
        let known = identity.as_ref().is_some_and(|identity| std::fs::read_to_string(&remembered).is_ok_and(|text| text == *identity));
        if !known {
            let output = self.invoke("version").arg("version").run_unchecked().await?;
            let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            let supported = parse_version(&text).is_some_and(|version| version >= MINIMUM_VERSION);
            if !supported {
                let found = text.strip_prefix("git version ").unwrap_or(&text);
                return Err(Failure::new(
                    FailureKind::Tool,
                    format!(
                        "git {}.{} or newer is needed, `{}` is `{found}`",
                        MINIMUM_VERSION.0,
                        MINIMUM_VERSION.1,
                        self.settings().program.display()
                    ),
                )
                .hint("install a newer git, or name its path under `tools.git` in `consign.yaml`"));
            }
            if let Some(identity) = identity {
                let _ = std::fs::create_dir_all(&self.settings().cache).and_then(|()| std::fs::write(&remembered, identity));
            }
        }
        let _ = self.inner.version.set(());
        Ok(())
    }
}

/// One git process to be.
#[derive(Debug)]
pub(super) struct Invocation {
    git: Git,
    verb: &'static str,
    folder: Option<PathBuf>,
    git_dir: Option<PathBuf>,
    config: Vec<(String, String)>,
    environment: Vec<(OsString, OsString)>,
    args: Vec<OsString>,
    stdin: Vec<u8>,
    credential: Option<(String, Credential)>,
    network: bool,
}

/// What a git process gave back.
#[derive(Debug)]
pub(super) struct Output {
    /// Exit status; None: ended by a signal.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error, the end cut off when it is very long.
    pub stderr: String,
}

impl Output {
    /// Whether it exited with 0.
    pub fn success(&self) -> bool {
        self.status == Some(0)
    }
}

impl Invocation {
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// The repository it works on.
    pub fn git_dir(mut self, folder: &Path) -> Self {
        self.git_dir = Some(folder.to_owned());
        self
    }

    /// The folder it runs in; the repository is found from there unless [`git_dir`](Self::git_dir) is given.
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// A setting for this process alone.
    pub fn config(mut self, key: &str, value: impl Into<String>) -> Self {
        self.config.push((key.to_owned(), value.into()));
        self
    }

    /// An environment variable for this process alone.
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((key.into(), value.as_ref().to_owned()));
        self
    }

    /// Lets it talk to remotes. All others cannot: git before 2.45 has no other way to forbid that a missing object is fetched on the way.
    pub fn network(mut self) -> Self {
        self.network = true;
        self
    }

    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Who we are to this remote; only HTTP remotes are told.
    pub fn credential(mut self, url: &RemoteUrl, credential: Option<Credential>) -> Self {
        if let Some(credential) = credential {
            let effective = self.git.effective_url(url.as_str());
            if effective.starts_with("http://") || effective.starts_with("https://") {
                self.credential = Some((effective, credential));
            }
        }
        self
    }

    /// Runs it to its end, whatever its exit status.
    ///
    /// # Errors
    /// Tool, when git is missing or too old; Remote, when the time is up.
    pub async fn run(self) -> Result<Output, Failure> {
        self.git.check_version().await?;
        self.run_unchecked().await
    }

    /// Runs it and wants exit status 0; `doing` completes "cannot ...".
    ///
    /// # Errors
    /// Refused, Remote or Tool by git's own words.
    pub async fn succeed(self, doing: &str) -> Result<Output, Failure> {
        let output = self.run().await?;
        if output.success() { Ok(output) } else { Err(failure(doing, &output.stderr)) }
    }

    async fn run_unchecked(self) -> Result<Output, Failure> {
        let settings = self.git.settings();
        let mut command = tokio::process::Command::new(&settings.program);
        seal(&mut command);
        if !self.network {
            command.env("GIT_ALLOW_PROTOCOL", "none");
        }
        for (key, value) in &settings.environment {
            command.env(key, value);
        }
        for (key, value) in &self.environment {
            command.env(key, value);
        }
        for (at, (key, value)) in self.all_config().into_iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{at}"), key).env(format!("GIT_CONFIG_VALUE_{at}"), value);
            command.env("GIT_CONFIG_COUNT", (at + 1).to_string());
        }
        if let Some(folder) = self.folder.as_ref().or(self.git_dir.as_ref()) {
            command.current_dir(folder);
        }
        if let Some(git_dir) = &self.git_dir {
            let mut option = OsString::from("--git-dir=");
            option.push(git_dir);
            command.arg(option);
        }
        command.args(&self.args);
        command.stdin(if self.stdin.is_empty() { Stdio::null() } else { Stdio::piped() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);

        let started = Instant::now();
        let mut child = command.spawn().map_err(|error| cannot_start(&settings.program, error))?;
        self.git.stats().count(self.verb);
        let group = Group(child.id());
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let Some(mut pipe) = stdin {
                // A child that exits early closes the pipe; its exit status tells why.
                let _ = pipe.write_all(&self.stdin).await;
                let _ = pipe.shutdown().await;
            }
        };
        let read_out = async {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = stdout {
                let _ = pipe.read_to_end(&mut bytes).await;
            }
            bytes
        };
        let read_err = async {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = stderr {
                let _ = (&mut pipe).take(STDERR_LIMIT).read_to_end(&mut bytes).await;
                let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
            }
            bytes
        };
        let work = async { tokio::join!(feed, read_out, read_err, child.wait()) };
        let Ok(((), stdout, stderr, status)) = tokio::time::timeout(settings.timeout, work).await else {
            drop(group);
            return Err(Failure::new(
                FailureKind::Remote,
                format!("`git {}` did not finish within {} s and was stopped", self.verb, settings.timeout.as_secs()),
            )
            .hint("the remote may be overloaded or unreachable; the next run tries again"));
        };
        group.ended();
        let status = status.map_err(|error| cannot_start(&settings.program, error))?;
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        tracing::debug!(target: "consign::git", verb = self.verb, ms = started.elapsed().as_millis(), status = status.code(), out = stdout.len(), "git");
        Ok(Output { status: status.code(), stdout, stderr })
    }

    /// All settings of the child; a later one wins.
    fn all_config(&self) -> Vec<(String, String)> {
        let settings = self.git.settings();
        let null = if cfg!(windows) { "NUL" } else { "/dev/null" };
        let mut all: Vec<(String, String)> = Vec::new();
        for (key, value) in self.git.inner.user.iter().chain(&settings.config) {
            // Two Authorization headers are an error to some forges: the credential we were given is the one.
            let second_authorization = self.credential.is_some()
                && key.to_ascii_lowercase().ends_with(".extraheader")
                && value.to_ascii_lowercase().starts_with("authorization:");
            if !second_authorization {
                all.push((key.clone(), value.clone()));
            }
        }
        let seconds = settings.stalled_after.as_secs().max(1).to_string();
        for (key, value) in [
            ("protocol.version", "2"),
            ("protocol.ext.allow", "never"),
            ("protocol.file.allow", if settings.local { "always" } else { "never" }),
            ("http.postBuffer", POST_BUFFER),
            ("http.lowSpeedLimit", "1000"),
            ("http.lowSpeedTime", &seconds),
            ("core.fsmonitor", "false"),
            ("core.hooksPath", null),
            ("core.excludesFile", null),
            ("core.attributesFile", null),
            ("core.quotePath", "false"),
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),
            // Stores are ours even where the user of the process is another one than the folder's owner, as in containers.
            ("safe.directory", "*"),
        ] {
            all.push((key.to_owned(), value.to_owned()));
        }
        let own_ssh = all.iter().any(|(key, _)| key.eq_ignore_ascii_case("core.sshCommand"));
        if !own_ssh && std::env::var_os("GIT_SSH").is_none() {
            // ssh would ask on the terminal, past our closed stdin, and wait for ever.
            all.push(("core.sshCommand".to_owned(), "ssh -o BatchMode=yes".to_owned()));
        }
        all.extend(self.config.iter().cloned());
        if let Some((url, credential)) = &self.credential {
            let pair = base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", credential.username, credential.password.expose()));
            all.push((format!("http.{url}.extraHeader"), format!("Authorization: Basic {pair}")));
        }
        all
    }
}

/// A running child's process group; ended when the child is no longer waited for.
struct Group(Option<u32>);

impl Group {
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(pid) = self.0.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}

fn seal(command: &mut tokio::process::Command) {
    for (key, value) in std::env::vars_os() {
        let Some(name) = key.to_str() else { continue };
        let kept = name.starts_with("GIT_SSL_") || name.starts_with("GIT_SSH") || (name == "GIT_TRACE2_EVENT" && Path::new(&value).is_absolute());
        if (name.starts_with("GIT_") && !kept) || name == "SSH_ASKPASS" {
            command.env_remove(&key);
        }
    }
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", if cfg!(windows) { "NUL" } else { "/dev/null" })
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env_remove("LC_ALL")
        .env_remove("LANGUAGE")
        .env("LC_MESSAGES", "C");
}

fn cannot_start(program: &Path, error: std::io::Error) -> Failure {
    let missing = error.kind() == std::io::ErrorKind::NotFound;
    let message = if missing { format!("`{}` was not found", program.display()) } else { format!("cannot run `{}`", program.display()) };
    Failure::new(FailureKind::Tool, message).hint("install git 2.39 or newer, or name its path under `tools.git` in `consign.yaml`").caused_by(error)
}

/// `git version 2.39.5 (Apple Git-154)` -> (2, 39).
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix("git version ")?.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// An executable by its path, or found on `PATH`.
fn executable_path(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return Some(program.to_owned());
    }
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Path, size and modification time of an executable.
fn executable_identity(program: &Path) -> Option<String> {
    let path = executable_path(program)?;
    let meta = std::fs::metadata(&path).ok()?;
    let modified = meta.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(format!("{}\n{}\n{}\n", path.display(), meta.len(), modified.as_nanos()))
}

/// `credential.*`, `http.*`, `url.*` and `core.sshCommand` of the user's and the system's configuration, in order. Unreadable
/// configuration counts as none: git itself would complain in any other folder too.
fn user_transport_settings(program: &Path) -> Vec<(String, String)> {
    global_configuration(program).map(|file| transport_settings(&file)).unwrap_or_default()
}

/// The configuration files outside of repositories.
///
/// Where a git has its own one is compiled into it. Builds from Apple and for Windows have to be asked, which starts a process; any other git
/// has it at `etc/gitconfig` of its prefix, with `/etc` for `/usr`.
fn global_configuration(program: &Path) -> Option<gix::config::File> {
    use gix::config::file::{Metadata, includes, init};
    if cfg!(any(windows, target_vendor = "apple")) {
        return gix::config::File::from_globals().ok();
    }
    let mut variable = |name: &str| std::env::var_os(name);
    let system = gix::config::Source::System.storage_location(&mut variable);
    let own = executable_path(program)
        .and_then(|path| Some(path.parent()?.parent()?.join("etc/gitconfig")))
        .filter(|_| system.is_some() && std::env::var_os("GIT_CONFIG_SYSTEM").is_none());
    let mut files: Vec<(PathBuf, gix::config::Source)> = own.into_iter().map(|path| (path, gix::config::Source::GitInstallation)).collect();
    files.extend(system.map(|path| (path, gix::config::Source::System)));
    for source in [gix::config::Source::Git, gix::config::Source::User] {
        files.extend(source.storage_location(&mut variable).map(|path| (path, source)));
    }
    let found = files.into_iter().filter(|(path, _)| path.is_file()).map(|(path, source)| Metadata {
        path: Some(path),
        source,
        level: 0,
        trust: gix::sec::Trust::Full,
    });
    let home = std::env::home_dir();
    let options = init::Options { includes: includes::Options::follow_without_conditional(home.as_deref()), ..init::Options::default() };
    gix::config::File::from_paths_metadata(found, options).ok().flatten()
}

fn transport_settings(file: &gix::config::File) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for section in file.sections() {
        let name = section.header().name().to_string().to_ascii_lowercase();
        for key in section.body().value_names() {
            let key_name = key.to_string().to_ascii_lowercase();
            let wanted = matches!(name.as_str(), "credential" | "http" | "url") || (name == "core" && key_name == "sshcommand");
            if !wanted {
                continue;
            }
            let full = match section.header().subsection_name() {
                Some(subsection) => format!("{name}.{subsection}.{key_name}"),
                None => format!("{name}.{key_name}"),
            };
            for value in section.body().values(&key.to_string()) {
                let pair = (full.clone(), value.to_string());
                if !found.contains(&pair) {
                    found.push(pair);
                }
            }
        }
    }
    found
}

fn strip_ends<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let middle = text.strip_prefix(start)?;
    let cut = middle.len().checked_sub(end.len())?;
    let (base, tail) = (middle.get(..cut)?, middle.get(cut..)?);
    tail.eq_ignore_ascii_case(end).then_some(base)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    #[test]
    fn versions_are_read_from_any_vendor() {
        assert_eq!(parse_version("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(parse_version("git version 2.47.0.windows.1"), Some((2, 47)));
        assert_eq!(parse_version("hello"), None);
    }

    #[test]
    fn only_transport_settings_are_taken_over() {
        let text = "[user]\nname = Ada\n[core]\nsshCommand = ssh -i key\neditor = vi\n[url \"git@github.com:\"]\ninsteadOf = https://github.com/\n\
                    insteadOf = gh:\n[http]\nproxy = http://proxy:3128\n[http \"https://h/\"]\nsslCAInfo = /ca.pem\n[credential]\nhelper = store\n[push]\ndefault = matching\n";
        let file = gix::config::File::try_from(text).unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            transport_settings(&file),
            [
                pair("core.sshcommand", "ssh -i key"),
                pair("url.git@github.com:.insteadof", "https://github.com/"),
                pair("url.git@github.com:.insteadof", "gh:"),
                pair("http.proxy", "http://proxy:3128"),
                pair("http.https://h/.sslcainfo", "/ca.pem"),
                pair("credential.helper", "store"),
            ]
        );
    }

    #[test]
    fn a_credential_replaces_the_users_own_header_and_stays_out_of_debug_texts() {
        let mut settings = Settings::new("/nowhere");
        settings.user_config = false;
        settings.config =
            vec![("http.https://h/.extraHeader".into(), "AUTHORIZATION: basic old".into()), ("http.extraHeader".into(), "X-Proxy: yes".into())];
        let url = RemoteUrl::parse("https://h/acme/app.git", false).unwrap();
        let credential = Credential { username: "bot".into(), password: super::super::Secret::new("s3cret") };
        let invocation = Git::new(settings).invoke("fetch").credential(&url, Some(credential));
        let headers: Vec<(String, String)> = invocation.all_config().into_iter().filter(|(key, _)| key.ends_with("extraHeader")).collect();
        assert_eq!(
            headers,
            [
                ("http.extraHeader".to_owned(), "X-Proxy: yes".to_owned()),
                ("http.https://h/acme/app.git.extraHeader".to_owned(), "Authorization: Basic Ym90OnMzY3JldA==".to_owned()),
            ]
        );
        assert!(!format!("{invocation:?}").contains("s3cret"));
    }

    #[test]
    fn the_longest_instead_of_wins() {
        let mut settings = Settings::new("/nowhere");
        settings.user_config = false;
        settings.config = vec![
            ("url.http://mirror/.insteadOf".into(), "https://github.com/".into()),
            ("url.http://other/acme/.insteadOf".into(), "https://github.com/acme/".into()),
        ];
        let git = Git::new(settings);
        assert_eq!(git.effective_url("https://github.com/acme/app"), "http://other/acme/app");
        assert_eq!(git.effective_url("https://github.com/else/app"), "http://mirror/else/app");
        assert_eq!(git.effective_url("https://gitlab.com/acme/app"), "https://gitlab.com/acme/app");
    }

    #[tokio::test]
    async fn a_missing_git_is_a_tool_failure_with_a_hint() {
        let cache = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(cache.path());
        settings.program = "no-such-git".into();
        let failure = Git::new(settings).invoke("version").arg("version").run().await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Tool);
        assert!(!failure.hints.is_empty());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn an_old_git_is_refused_and_a_slow_one_stopped() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let script = |name: &str, body: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        let mut settings = Settings::new(folder.path().join("cache"));
        settings.program = script("old", "echo git version 2.20.1");
        let failure = Git::new(settings.clone()).invoke("fetch").run().await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Tool);
        assert!(failure.message.contains("2.20.1"), "{}", failure.message);

        let alive = folder.path().join("alive");
        settings.program =
            script("slow", &format!("[ \"$1\" = version ] && echo git version 2.50.0 && exit\n(sleep 2; touch {}) &\nsleep 60", alive.display()));
        settings.timeout = Duration::from_millis(300);
        let failure = Git::new(settings).invoke("fetch").run().await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Remote);
        tokio::time::sleep(Duration::from_millis(2200)).await;
        assert!(!alive.exists(), "the whole group is ended, grandchildren too");
    }
}
