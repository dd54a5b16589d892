//! A machine that ticks: the built binary with a cache folder of its own, and what a run of it cost.

#![allow(dead_code, clippy::unwrap_used)]

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::git_server::{GitServer, Logged};

/// A cache folder, empty at first.
pub struct Machine {
    cache: tempfile::TempDir,
    home: tempfile::TempDir,
}

/// A run that has ended.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; None: killed.
    pub code: Option<i32>,
    /// What it printed on stdout.
    pub out: String,
    /// And on stderr.
    pub err: String,
    /// All git processes, the children of git among them, by their arguments.
    pub git: Vec<String>,
    /// What the server was asked.
    pub requests: Vec<Logged>,
    /// How long it took.
    pub took: Duration,
}

impl Ran {
    /// Wants exit code 0.
    #[track_caller]
    pub fn well(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// Bytes of bodies in both directions.
    pub fn bytes(&self) -> u64 {
        self.requests.iter().map(|request| request.sent + request.received).sum()
    }

    /// What it cost, for the message of a failed test.
    pub fn bill(&self) -> String {
        let requests: Vec<String> =
            self.requests.iter().map(|r| format!("{} {} {} in {} out {}", r.method, r.path, r.status, r.received, r.sent)).collect();
        format!("{} git processes\n{}\n{} requests\n{}", self.git.len(), self.git.join("\n"), requests.len(), requests.join("\n"))
    }
}

impl Machine {
    /// With nothing in its cache.
    pub fn new() -> Self {
        Self { cache: tempfile::tempdir().unwrap(), home: tempfile::tempdir().unwrap() }
    }

    /// Its cache folder.
    pub fn cache(&self) -> &Path {
        self.cache.path()
    }

    /// The command: `consign <args>` on a repository, away from the user's own surroundings, in a process group of its own.
    pub fn command(&self, url: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_consign"));
        command
            .args(["-C", url, "--quiet"])
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("USER", "ada")
            .env("CONSIGN_CACHE", self.cache.path())
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command
    }

    /// Starts a tick.
    pub fn spawn(&self, url: &str) -> Child {
        self.command(url, &["run"]).spawn().unwrap()
    }

    /// A tick.
    pub fn tick(&self, server: &GitServer, url: &str) -> Ran {
        self.run(server, url, &["run"])
    }

    /// Runs a verb and counts what it cost. The server's log is emptied first.
    pub fn run(&self, server: &GitServer, url: &str, args: &[&str]) -> Ran {
        traced(server, &mut self.command(url, args))
    }
}

/// Runs a command to its end and counts what it cost. The server's log is emptied first.
pub fn traced(server: &GitServer, command: &mut Command) -> Ran {
    let traces = tempfile::tempdir().unwrap();
    server.take_requests();
    let began = Instant::now();
    let output = command.env("GIT_TRACE2_EVENT", traces.path()).output().unwrap();
    let took = began.elapsed();
    Ran {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        git: git_processes(traces.path()),
        requests: server.take_requests(),
        took,
    }
}

/// The git processes that wrote a trace into a folder: git makes one file per process there.
fn git_processes(traces: &Path) -> Vec<String> {
    let mut found: Vec<(String, String)> = Vec::new();
    for file in std::fs::read_dir(traces).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let start = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).find(|event| event["event"] == "start");
        let argv = start.as_ref().and_then(|event| event["argv"].as_array().cloned()).unwrap_or_default();
        let words: Vec<String> = argv.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect();
        let mut line = words.join(" ");
        line.truncate(line.char_indices().nth(160).map_or(line.len(), |(at, _)| at));
        found.push((start.and_then(|event| event["time"].as_str().map(str::to_owned)).unwrap_or_default(), line));
    }
    found.sort();
    found.into_iter().map(|(_, line)| line).collect()
}

/// Waits for something to become true.
#[track_caller]
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "never came: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends a run at once, with all of its process group.
pub fn kill(mut child: Child) {
    let group = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
    child.wait().unwrap();
}
