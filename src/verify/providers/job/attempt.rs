//! One attempt of a job: its init containers one after the other, then its containers at once.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use super::{Attempts, Container, Job, PodSpec, Waiting, expand};
use crate::expr::Secrets;

/// Bytes kept of what a container prints: the beginning and, after a gap, the end.
const LOG_LIMIT: usize = 32 << 10;
/// Variables of ours that every process gets: how to reach the network.
const NETWORK: [&str; 10] =
    ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"];
/// Variables of ours that docker and podman get: where they find their daemon and logins.
const ENGINE: [&str; 6] = ["HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_HOST", "DOCKER_CONFIG", "CONTAINER_HOST"];
/// What docker and podman exit with where the container could not be started by them.
const ENGINE_FAILED: i32 = 125;

/// What runs containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// docker or podman, whichever is on PATH.
    Container,
    /// The command, as a process of this machine.
    Process,
}

/// Runs jobs.
#[derive(Clone, Debug)]
pub struct Jobs {
    /// What runs containers.
    pub runner: Runner,
    /// The environment's variables, of which a few are passed on.
    pub env: Arc<BTreeMap<String, String>>,
    /// Secrets for variables with `secretKeyRef`.
    pub secrets: Secrets,
}

/// What came of an attempt.
pub(super) struct Attempt {
    pub(super) end: End,
    pub(super) log: String,
}

/// How an attempt ended.
pub(super) enum End {
    Success,
    Failure(String),
    Waiting(Waiting),
    TimeIsUp,
}

/// A container with everything in place.
struct Ready {
    name: String,
    image: String,
    entrypoint: Vec<String>,
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
    folder: String,
}

impl Jobs {
    /// Runs a job as far as this tick goes; `failed` attempts were made before.
    pub async fn run(&self, job: &Job, name: &str, failed: u32) -> Attempts {
        let mut attempts = super::attempts(self, job, name, failed).await;
        for container in job.spec.template.spec.init_containers.iter().chain(&job.spec.template.spec.containers) {
            for value in self.secret_values(container) {
                attempts.log = attempts.log.replace(&value, "*****");
            }
        }
        attempts
    }

    /// One attempt, until `until` at the latest.
    ///
    /// # Errors
    /// A message: this job can never run here.
    pub(super) async fn attempt(&self, pod: &PodSpec, name: &str, until: Instant) -> Result<Attempt, String> {
        let mut log = String::new();
        for (index, container) in pod.init_containers.iter().enumerate() {
            let ready = self.ready(container)?;
            let (end, printed) = self.one(&ready, &container_name(&format!("{name}.init{index}")), until).await?;
            log.push_str(&printed);
            if !matches!(end, End::Success) {
                return Ok(Attempt { end, log });
            }
        }
        let ready = pod.containers.iter().map(|container| self.ready(container)).collect::<Result<Vec<_>, _>>()?;
        let alone = ready.len() == 1;
        let runs = ready.iter().enumerate().map(|(index, ready)| {
            let name = container_name(&if alone { name.to_owned() } else { format!("{name}.{index}") });
            async move { self.one(ready, &name, until).await }
        });
        let mut end = End::Success;
        for result in futures::future::join_all(runs).await {
            let (one, printed) = result?;
            log.push_str(&printed);
            if matches!(end, End::Success) {
                end = one;
            }
        }
        Ok(Attempt { end, log })
    }

    fn secret_values(&self, container: &Container) -> Vec<String> {
        let references = container.env.iter().filter_map(|variable| variable.value_from.as_ref()?.secret_key_ref.as_ref());
        references.filter_map(|reference| self.secrets.get(&reference.name, &reference.key)).filter(|value| !value.is_empty()).collect()
    }

    fn ready(&self, container: &Container) -> Result<Ready, String> {
        let mut variables = BTreeMap::new();
        for variable in &container.env {
            let value = match variable.value_from.as_ref() {
                None => expand(&variable.value, &variables),
                Some(source) => {
                    let reference = source.secret_key_ref.as_ref().ok_or_else(|| {
                        format!(
                            "variable `{}` of container `{}` reads from a cluster; only `value` and `secretKeyRef` work without one",
                            variable.name, container.name
                        )
                    })?;
                    self.secrets
                        .get(&reference.name, &reference.key)
                        .ok_or_else(|| format!("variable `{}`: the secret `{}` has no key `{}`", variable.name, reference.name, reference.key))?
                }
            };
            variables.insert(variable.name.clone(), value);
        }
        let expanded = |texts: &[String]| texts.iter().map(|text| expand(text, &variables)).collect::<Vec<_>>();
        Ok(Ready {
            name: container.name.clone(),
            image: container.image.clone(),
            entrypoint: expanded(&container.command),
            arguments: expanded(&container.args),
            folder: container.working_dir.clone(),
            variables,
        })
    }

    /// Runs one container to its end.
    async fn one(&self, ready: &Ready, name: &str, until: Instant) -> Result<(End, String), String> {
        let home = tempfile::Builder::new().prefix("consign-job-").tempdir().map_err(|error| format!("cannot make a temporary folder: {error}"))?;
        let (mut command, engine) = match self.runner {
            Runner::Process => (self.process(ready, home.path())?, None),
            Runner::Container => {
                let engine = self.engine()?;
                // A container of this name is what a tick that was cut off has left behind.
                self.remove(&engine, name).await;
                (self.container(&engine, ready, name), Some(engine))
            }
        };
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                let message = format!("container `{}` cannot start: {error}", ready.name);
                return Ok((End::Failure(message.clone()), format!("[{}] {message}\n", ready.name)));
            }
        };
        let group = Group::of(&child);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let reading = tokio::spawn(async move { futures::join!(read(stdout), read(stderr)) });
        let ended = tokio::time::timeout_at(until.into(), child.wait()).await;
        // Whatever it started and left behind ends with it; then nothing holds the pipes any more.
        drop(group);
        if let Some(engine) = engine.filter(|_| ended.is_err()) {
            self.remove(&engine, name).await;
        }
        let (stdout, stderr) = tokio::time::timeout(std::time::Duration::from_secs(5), reading).await.ok().and_then(Result::ok).unwrap_or_default();
        let complaint = String::from_utf8_lossy(&stderr).trim().to_owned();
        let mut log = String::new();
        for (text, stream) in [(&stdout, "out"), (&stderr, "err")] {
            for line in String::from_utf8_lossy(text).lines() {
                let _ = writeln!(log, "[{} {stream}] {line}", ready.name);
            }
        }
        let end = match ended {
            Err(_) => End::TimeIsUp,
            Ok(Err(error)) => End::Failure(format!("container `{}` was lost: {error}", ready.name)),
            Ok(Ok(status)) if status.success() => End::Success,
            Ok(Ok(status)) if self.runner == Runner::Container && status.code() == Some(ENGINE_FAILED) => not_started(ready, &complaint)?,
            Ok(Ok(status)) => {
                let how = status.code().map_or_else(|| "was killed by a signal".to_owned(), |code| format!("ended with exit code {code}"));
                End::Failure(format!("container `{}` {how}", ready.name))
            }
        };
        Ok((end, log))
    }

    /// The command itself, with an empty environment but for what reaches the network.
    fn process(&self, ready: &Ready, home: &Path) -> Result<Command, String> {
        let Some((program, rest)) = ready.entrypoint.split_first() else {
            return Err(format!(
                "container `{}` has no `command`, which jobs that run as processes need: what an image would start is not known",
                ready.name
            ));
        };
        let mut command = Command::new(program);
        command.args(rest).args(&ready.arguments).env_clear().current_dir(if ready.folder.is_empty() { home } else { Path::new(&ready.folder) });
        command.env("PATH", self.path()).env("LANG", "C.UTF-8").env("HOME", home).env("TMPDIR", home);
        command.envs(self.inherited(&NETWORK)).envs(&ready.variables);
        Ok(command)
    }

    /// A container. Values of variables go by the engine's environment: arguments can be read by everybody on the machine.
    fn container(&self, engine: &Path, ready: &Ready, name: &str) -> Command {
        let mut command = self.engine_command(engine);
        command.args(["run", "--rm", "--name", name]);
        for variable in ready.variables.keys() {
            command.args(["--env", variable]);
        }
        command.envs(&ready.variables);
        if !ready.folder.is_empty() {
            command.args(["--workdir", &ready.folder]);
        }
        let mut entrypoint = ready.entrypoint.iter();
        if let Some(program) = entrypoint.next() {
            command.args(["--entrypoint", program]);
        }
        command.arg(&ready.image).args(entrypoint).args(&ready.arguments);
        command
    }

    fn engine_command(&self, engine: &Path) -> Command {
        let mut command = Command::new(engine);
        command.env_clear().env("PATH", self.path()).envs(self.inherited(&NETWORK)).envs(self.inherited(&ENGINE));
        command
    }

    async fn remove(&self, engine: &Path, name: &str) {
        let mut command = self.engine_command(engine);
        command.args(["rm", "--force", name]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        // There is none, almost always.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(30), command.status()).await;
    }

    fn inherited<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a String)> {
        names.iter().filter_map(|name| Some((*name, self.env.get(*name)?)))
    }

    fn path(&self) -> OsString {
        self.env.get("PATH").map_or_else(|| OsString::from("/usr/local/bin:/usr/bin:/bin"), OsString::from)
    }

    fn engine(&self) -> Result<PathBuf, String> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path();
        let executable = |path: &PathBuf| path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0);
        let found = ["docker", "podman"].into_iter().find_map(|name| std::env::split_paths(&path).map(|folder| folder.join(name)).find(executable));
        found.ok_or_else(|| {
            "neither `docker` nor `podman` is on PATH; install one, or set `verification: {jobs: process}` in `consign.yaml` to run jobs as processes".into()
        })
    }
}

/// A name that docker and podman take.
fn container_name(name: &str) -> String {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    format!("consign-{}", name.chars().map(|character| if allowed(character) { character } else { '-' }).collect::<String>())
}

/// What it means that docker or podman could not start a container.
fn not_started(ready: &Ready, complaint: &str) -> Result<End, String> {
    let said = complaint.to_lowercase();
    let reason = if said.contains("invalid reference format") {
        "InvalidImageName"
    } else if ["pull", "manifest", "not found", "no such image", "denied"].iter().any(|word| said.contains(word)) {
        "ErrImagePull"
    } else {
        return Err(format!("container `{}` cannot be started: {complaint}", ready.name));
    };
    let message = complaint.lines().last().unwrap_or_default().to_owned();
    Ok(End::Waiting(Waiting { place: format!("container `{}` of image `{}`", ready.name, ready.image), reason: reason.into(), message }))
}

/// Kills what a process has started, when dropped.
struct Group(Option<rustix::process::Pid>);

impl Group {
    fn of(child: &tokio::process::Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Nothing of the group may be left.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// Reads a pipe to its end and keeps its beginning and end.
async fn read(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    let Some(mut pipe) = pipe else { return head };
    let mut buffer = vec![0; 16 << 10];
    let mut dropped = false;
    while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
        let room = (LOG_LIMIT / 4).saturating_sub(head.len()).min(length);
        head.extend_from_slice(&buffer[..room]);
        tail.extend_from_slice(&buffer[room..length]);
        if tail.len() > LOG_LIMIT {
            dropped = true;
            tail.drain(..tail.len() - LOG_LIMIT * 3 / 4);
        }
    }
    if dropped {
        head.extend_from_slice(b"\n[...]\n");
    }
    head.extend(tail);
    head
}
