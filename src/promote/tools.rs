//! External tools: kustomize, helm. Found on PATH or configured, version-checked, run with a minimal environment.
//!
//! A tool sees nothing of the user's: no home, no plugins, no kubeconfig, no variables but those that reach the network (proxies,
//! certificates). It runs in a process group of its own that does not outlive the call, and what it prints is bounded.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OnceCell, Semaphore};

use crate::diagnostic::{Failure, FailureKind};

/// Most bytes a tool may print as its result.
const RESULT_LIMIT: usize = 256 << 20;
/// Bytes that are kept of what a tool says beside its result.
const LOG_LIMIT: usize = 64 << 10;

/// Variables of ours that a tool inherits: how to reach the network, nothing else.
const INHERITED: [&str; 10] =
    ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Where the tools are, and what they may do.
///
/// Clones share what was found out about the executables and the limit on running processes.
#[derive(Clone, Debug)]
pub struct Tools {
    /// Name on PATH or path of kustomize.
    pub kustomize: String,
    /// Name on PATH or path of helm.
    pub helm: String,
    /// Folders to look in, as PATH has them; tools find their own helpers there too.
    pub search_path: OsString,
    /// How long one run of a tool may take.
    pub timeout: Duration,
    /// Whether kustomize may fetch bases and resources from the network.
    pub remote_bases: bool,
    /// Credentials for chart repositories and registries.
    pub chart_credentials: ChartCredentials,
    shared: Arc<Shared>,
}

/// Credentials that helm gets, in files of a temporary folder and never in its arguments.
#[derive(Clone, Default)]
pub struct ChartCredentials {
    /// Of classic chart repositories.
    pub repositories: Vec<RepositoryCredential>,
    /// Folder of a Docker `config.json` with the logins (or credential helpers) of OCI registries.
    pub docker_config: Option<PathBuf>,
}

/// A login of a classic chart repository.
#[derive(Clone)]
pub struct RepositoryCredential {
    /// The repository's URL, as charts name it.
    pub url: String,
    /// Name of the user.
    pub username: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for ChartCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChartCredentials")
            .field("repositories", &self.repositories.iter().map(|one| &one.url).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Shared {
    found: Mutex<HashMap<String, Arc<OnceCell<Tool>>>>,
    running: Arc<Semaphore>,
}

impl Default for Tools {
    fn default() -> Self {
        Self::searching(std::env::var_os("PATH").unwrap_or_default())
    }
}

impl Tools {
    /// Tools found in these folders, written as in PATH.
    pub fn searching(search_path: impl Into<OsString>) -> Self {
        let processes = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            kustomize: "kustomize".into(),
            helm: "helm".into(),
            search_path: search_path.into(),
            timeout: Duration::from_secs(300),
            remote_bases: false,
            chart_credentials: ChartCredentials::default(),
            shared: Arc::new(Shared { found: Mutex::default(), running: Arc::new(Semaphore::new(processes)) }),
        }
    }

    /// kustomize, found and new enough.
    ///
    /// # Errors
    /// Tool: it is missing, does not start or is too old.
    pub async fn kustomize(&self) -> Result<Tool, Failure> {
        self.find(&KUSTOMIZE, &self.kustomize).await
    }

    /// helm, found and new enough.
    ///
    /// # Errors
    /// Tool: it is missing, does not start or is too old.
    pub async fn helm(&self) -> Result<Tool, Failure> {
        self.find(&HELM, &self.helm).await
    }

    async fn find(&self, kind: &'static ToolKind, configured: &str) -> Result<Tool, Failure> {
        let cell = {
            let mut found = self.shared.found.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(found.entry(format!("{}\0{configured}\0{}", kind.name, self.search_path.display())).or_default())
        };
        cell.get_or_try_init(|| self.inspect(kind, configured)).await.cloned()
    }

    async fn inspect(&self, kind: &'static ToolKind, configured: &str) -> Result<Tool, Failure> {
        let path = locate(configured, &self.search_path).ok_or_else(|| kind.missing(configured))?;
        let mut tool = Tool { kind, path, version: semver::Version::new(0, 0, 0), digest: Arc::default() };
        let folder = std::env::temp_dir();
        let output = self.command(&tool, &folder)?.args(kind.version_arguments).run().await?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let version = read_version(&said).ok_or_else(|| {
            Failure::new(
                FailureKind::Tool,
                format!("`{}` does not tell a version: `{} {}` printed `{said}`", tool.path.display(), kind.name, kind.version_arguments.join(" ")),
            )
            .hint(format!("set `tools.{}` in `consign.yaml` to the path of a {} executable", kind.name, kind.name))
        })?;
        let (major, minor) = kind.oldest;
        if (version.major, version.minor) < kind.oldest {
            return Err(Failure::new(
                FailureKind::Tool,
                format!("{} {version} at `{}` is too old: at least {major}.{minor} is needed", kind.name, tool.path.display()),
            )
            .hint(kind.install_hint()));
        }
        tool.version = version;
        Ok(tool)
    }

    /// A run of a tool in a folder, to be filled with arguments.
    ///
    /// # Errors
    /// Tool, if no temporary folder can be made.
    pub fn command(&self, tool: &Tool, folder: &Path) -> Result<ToolCommand, Failure> {
        let home = tempfile::Builder::new()
            .prefix("consign-tool-")
            .tempdir()
            .map_err(|error| Failure::new(FailureKind::Tool, format!("cannot make a temporary folder for {}", tool.kind.name)).caused_by(error))?;
        let mut command = tokio::process::Command::new(&tool.path);
        command
            .current_dir(folder)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command.envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.env("PATH", &self.search_path).env("LANG", "C.UTF-8").env("HOME", home.path()).env("TMPDIR", home.path());
        // Of helm, also where kustomize starts it: kustomize points the other folders at a folder of its own, but `helmGlobals.configHome` can
        // point them into the workspace, and a plugin found there would be run.
        for (name, folder) in [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data"), ("HELM_PLUGINS", "plugins")]
        {
            command.env(name, home.path().join(folder));
        }
        command.env("HELM_NO_PLUGINS", "1").env("KUBECONFIG", home.path().join("no-kubeconfig"));
        if let Some(folder) = &self.chart_credentials.docker_config {
            command.env("DOCKER_CONFIG", folder);
        }
        Ok(ToolCommand { kind: tool.kind, command, home, timeout: self.timeout, running: Arc::clone(&self.shared.running), described: Vec::new() })
    }
}

/// What we know of a tool before we meet it.
#[derive(Debug)]
struct ToolKind {
    name: &'static str,
    version_arguments: &'static [&'static str],
    oldest: (u64, u64),
    install: &'static str,
}

/// `--helm-kube-version` and `--helm-api-versions` came with 5.2.
static KUSTOMIZE: ToolKind = ToolKind {
    name: "kustomize",
    version_arguments: &["version"],
    oldest: (5, 2),
    install: "https://kubectl.docs.kubernetes.io/installation/kustomize/",
};

/// `--set-literal` came with 3.12.
static HELM: ToolKind = ToolKind {
    name: "helm",
    version_arguments: &["version", "--template", "{{.Version}}"],
    oldest: (3, 12),
    install: "https://helm.sh/docs/intro/install/",
};

impl ToolKind {
    fn install_hint(&self) -> String {
        format!("install a current {} ({})", self.name, self.install)
    }

    fn missing(&self, configured: &str) -> Failure {
        let message = if configured.contains('/') {
            format!("`{configured}`, the {} of `tools.{}`, is not an executable file", self.name, self.name)
        } else {
            format!("`{configured}` is not on PATH")
        };
        Failure::new(FailureKind::Tool, message)
            .hint(self.install_hint())
            .hint(format!("or set `tools.{}` in `consign.yaml` to the path of the executable", self.name))
    }
}

/// A tool that was found.
#[derive(Clone, Debug)]
pub struct Tool {
    kind: &'static ToolKind,
    path: PathBuf,
    version: semver::Version,
    digest: Arc<OnceCell<String>>,
}

impl Tool {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says of itself; builds may lie, so cache keys rest on [`digest`](Self::digest).
    pub fn version(&self) -> &semver::Version {
        &self.version
    }

    /// `sha256:<hex>` of the executable, computed once.
    ///
    /// # Errors
    /// Tool, if the executable cannot be read.
    pub async fn digest(&self) -> Result<&str, Failure> {
        let compute = || async {
            let path = self.path.clone();
            let read = tokio::task::spawn_blocking(move || -> std::io::Result<String> {
                let mut hasher = Sha256::new();
                std::io::copy(&mut std::fs::File::open(path)?, &mut hasher)?;
                Ok(format!("sha256:{}", hex::encode(hasher.finalize())))
            });
            read.await
                .map_err(std::io::Error::other)
                .flatten()
                .map_err(|error| Failure::new(FailureKind::Tool, format!("cannot read `{}`", self.path.display())).caused_by(error))
        };
        self.digest.get_or_try_init(compute).await.map(String::as_str)
    }
}

/// A run of a tool that has not started.
#[derive(Debug)]
pub struct ToolCommand {
    kind: &'static ToolKind,
    command: tokio::process::Command,
    home: tempfile::TempDir,
    timeout: Duration,
    running: Arc<Semaphore>,
    described: Vec<String>,
}

/// What a tool printed.
#[derive(Clone, Debug)]
pub struct ToolOutput {
    /// Whether it exited with 0.
    pub success: bool,
    /// Its result.
    pub stdout: Vec<u8>,
    /// What it said beside, shortened if long.
    pub stderr: String,
}

impl ToolOutput {
    /// What the tool complained about, from its first line of error on, without the prefix that tools put before it; folders of ours are left
    /// out.
    pub fn complaint(&self, root: &Path) -> String {
        let line = if self.stderr.starts_with("Error: ") { Some(0) } else { self.stderr.find("\nError: ").map(|at| at + 1) };
        let text = self.stderr[line.map_or(0, |at| at + "Error: ".len())..].trim();
        let mut text = if text.is_empty() { "it failed without a word".to_owned() } else { text.to_owned() };
        for root in [root.canonicalize().unwrap_or_else(|_| root.to_owned()), root.to_owned()] {
            let root = root.display().to_string();
            text = text.replace(&format!("{root}/"), "").replace(&root, ".");
        }
        text
    }
}

impl ToolCommand {
    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.described.push(argument.as_ref().to_string_lossy().into_owned());
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item: AsRef<OsStr>>>(self, arguments: I) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

    /// Sets a variable of the tool's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// A folder that lives as long as the run, for files that the tool reads or writes. It is the tool's home.
    pub fn folder(&self) -> &Path {
        self.home.path()
    }

    /// Runs the tool to its end.
    ///
    /// # Errors
    /// Tool: it does not start, takes too long or prints too much. An exit code other than 0 is not an error here.
    pub async fn run(mut self) -> Result<ToolOutput, Failure> {
        let _permit = self.running.acquire().await.map_err(|error| Failure::new(FailureKind::Internal, "no more tools are run").caused_by(error))?;
        let name = self.kind.name;
        tracing::debug!(tool = name, arguments = ?self.described, "run");
        let fail = |what: &str, error: std::io::Error| Failure::new(FailureKind::Tool, format!("cannot {what} {name}")).caused_by(error);
        let mut child = self.command.spawn().map_err(|error| fail("start", error).hint(self.kind.install_hint()))?;
        let mut group = Group::of(&child);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let finish = async {
            let (stdout, stderr) = futures::join!(read(stdout, RESULT_LIMIT, true), read(stderr, LOG_LIMIT, false));
            let (stdout, stderr) = (stdout.map_err(|error| fail("read from", error))?, stderr.map_err(|error| fail("read from", error))?);
            let status = child.wait().await.map_err(|error| fail("wait for", error))?;
            Ok(ToolOutput { success: status.success(), stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() })
        };
        let output = tokio::time::timeout(self.timeout, finish).await;
        if matches!(output, Ok(Ok(_))) {
            // It has ended and was waited for: its number may belong to another process now.
            group.0 = None;
        }
        drop(group);
        output.unwrap_or_else(|_| {
            Err(Failure::new(FailureKind::Tool, format!("{name} did not finish within {} s and was stopped", self.timeout.as_secs()))
                .hint("look for a chart or base that is fetched from a host that does not answer"))
        })
    }
}

/// Kills a tool that has not ended when dropped, with the helpers that it started.
struct Group(Option<rustix::process::Pid>);

impl Group {
    fn of(child: &tokio::process::Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended just now.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// Reads a pipe to its end. What exceeds the limit is an error if it counts, else dropped, so that the tool never blocks on a full pipe.
async fn read(pipe: Option<impl AsyncRead + Unpin>, limit: usize, counts: bool) -> std::io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let Some(mut pipe) = pipe else { return Ok(kept) };
    let mut buffer = vec![0; 32 << 10];
    loop {
        let length = pipe.read(&mut buffer).await?;
        if length == 0 {
            return Ok(kept);
        }
        let room = limit - kept.len();
        kept.extend_from_slice(&buffer[..length.min(room)]);
        if length > room && counts {
            return Err(std::io::Error::other(format!("it printed more than {} MiB", limit >> 20)));
        }
    }
}

/// Finds an executable: a path as it is, a name in the folders of `search_path`.
fn locate(configured: &str, search_path: &OsStr) -> Option<PathBuf> {
    let executable = |path: &Path| {
        use std::os::unix::fs::PermissionsExt as _;
        path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    if configured.contains('/') {
        let path = std::path::absolute(configured).ok()?;
        return executable(&path).then_some(path);
    }
    // A relative folder on PATH would mean another file in each working directory.
    std::env::split_paths(search_path).filter(|folder| folder.is_absolute()).map(|folder| folder.join(configured)).find(|path| executable(path))
}

/// The first `<major>.<minor>[.<patch>]` in what a tool says of itself; older and home-made builds wrap it in other words.
fn read_version(said: &str) -> Option<semver::Version> {
    let mut rest = said;
    loop {
        rest = &rest[rest.find(|c: char| c.is_ascii_digit())?..];
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let numbers: Vec<u64> = rest[..end].split('.').map_while(|part| part.parse().ok()).collect();
        if let [major, minor, ref more @ ..] = numbers[..] {
            return Some(semver::Version::new(major, minor, more.first().copied().unwrap_or(0)));
        }
        rest = &rest[end..];
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn versions_are_read_from_all_kinds_of_builds() {
        let read = |said| read_version(said).map(|version| version.to_string());
        assert_eq!(read("v5.8.2").as_deref(), Some("5.8.2"));
        assert_eq!(read("{Version:kustomize/v4.5.4 GitCommit:cf3a BuildDate:2022-03-28T23:12:45Z}").as_deref(), Some("4.5.4"));
        assert_eq!(read("v3.22").as_deref(), Some("3.22.0"));
        assert_eq!(read("v3.6.2+gee407bd").as_deref(), Some("3.6.2"));
        assert_eq!(read("(devel)"), None);
    }

    fn script(folder: &Path, text: &str) -> Tools {
        let path = folder.join("helm");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Tools { helm: path.display().to_string(), ..Tools::searching("/usr/bin:/bin") }
    }

    #[tokio::test]
    async fn a_missing_tool_says_how_to_get_it() {
        let failure = Tools::searching("/nowhere").helm().await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Tool);
        assert_eq!(failure.message, "`helm` is not on PATH");
        assert!(failure.hints.iter().any(|hint| hint.contains("https://helm.sh/docs/intro/install/")));
    }

    #[tokio::test]
    async fn a_tool_that_is_too_old_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let failure = script(folder.path(), "echo v3.6.2").helm().await.unwrap_err();
        assert!(failure.message.contains("helm 3.6.2") && failure.message.contains("at least 3.12"), "{}", failure.message);
    }

    #[tokio::test]
    async fn a_tool_sees_nothing_of_the_user() {
        let folder = tempfile::tempdir().unwrap();
        let tools = script(folder.path(), "[ \"$1\" = version ] && echo v3.14.1 || env");
        let helm = tools.helm().await.unwrap();
        assert_eq!(helm.version().to_string(), "3.14.1");
        let output = tools.command(&helm, folder.path()).unwrap().arg("x").run().await.unwrap();
        let environment = String::from_utf8(output.stdout).unwrap();
        for line in environment.lines() {
            let name = line.split('=').next().unwrap_or_default();
            let known = [
                "PATH",
                "LANG",
                "HOME",
                "TMPDIR",
                "HELM_CACHE_HOME",
                "HELM_CONFIG_HOME",
                "HELM_DATA_HOME",
                "HELM_PLUGINS",
                "HELM_NO_PLUGINS",
                "KUBECONFIG",
            ];
            assert!(known.contains(&name) || INHERITED.contains(&name) || ["PWD", "SHLVL", "_", "OLDPWD"].contains(&name), "{line}");
        }
    }

    #[tokio::test]
    async fn a_tool_that_hangs_is_stopped_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let mut tools = script(folder.path(), "[ \"$1\" = version ] && echo v3.14.1 && exit; sleep 600 & echo $! > pid; wait");
        let helm = tools.helm().await.unwrap();
        tools.timeout = Duration::from_millis(300);
        let failure = tools.command(&helm, folder.path()).unwrap().run().await.unwrap_err();
        assert!(failure.message.contains("did not finish"), "{}", failure.message);
        let child: i32 = std::fs::read_to_string(folder.path().join("pid")).unwrap().trim().parse().unwrap();
        // The kernel takes a moment to bury the dead; a zombie counts as dead.
        let dead = || std::fs::read_to_string(format!("/proc/{child}/stat")).map_or(true, |stat| stat.contains(") Z "));
        for _ in 0..100 {
            if dead() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the child still lives");
    }

    #[tokio::test]
    async fn the_digest_is_of_the_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let tools = script(folder.path(), "echo v3.14.1");
        let helm = tools.helm().await.unwrap();
        let bytes = std::fs::read(helm.path()).unwrap();
        assert_eq!(helm.digest().await.unwrap(), format!("sha256:{}", hex::encode(Sha256::digest(bytes))));
    }
}
