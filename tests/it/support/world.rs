//! A sealed world: the real binary, a Git server on loopback, an empty home, a clock that stands still.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::git_server::{GitServer, Repository};
use super::tools;

/// Where the definitions of the examples say that their repositories are.
pub const PUBLIC: &str = "https://git.example.com/";

/// Everything that one journey plays in.
pub struct World {
    /// The server that stands for [`PUBLIC`].
    pub server: GitServer,
    home: tempfile::TempDir,
    now: std::cell::Cell<jiff::Timestamp>,
    environment: Vec<(String, String)>,
    path: std::ffi::OsString,
}

/// What a call of the binary gave.
#[derive(Debug)]
pub struct Answer {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl World {
    /// A world in which git finds [`PUBLIC`] on the loopback server, as a user's own git configuration says it.
    pub fn new() -> Self {
        Self::around(GitServer::start())
    }

    /// The same around a server.
    pub fn around(server: GitServer) -> Self {
        let home = tempfile::tempdir().unwrap();
        let own = home.path().join(".gitconfig");
        std::fs::write(own, format!("[url \"http://{}/\"]\n\tinsteadOf = {PUBLIC}\n", server.host())).unwrap();
        let now = std::cell::Cell::new("2026-03-02T10:00:00Z".parse().unwrap());
        Self { server, home, now, environment: Vec::new(), path: tools::search_path() }
    }

    /// Only git is found from now on.
    pub fn without_tools(&mut self) {
        let bin = self.home.path().join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        let git = std::env::split_paths(&std::env::var_os("PATH").unwrap()).map(|folder| folder.join("git")).find(|git| git.exists()).unwrap();
        std::os::unix::fs::symlink(git, bin.join("git")).unwrap();
        self.path = bin.into();
    }

    /// A folder that goes away with the world.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.home.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Lets time go by.
    pub fn later(&self, minutes: i64) {
        self.now.set(self.now.get() + jiff::SignedDuration::from_mins(minutes));
    }

    /// An empty repository below `https://git.example.com/acme/`.
    pub fn repository(&self, name: &str) -> Repository {
        self.server.repository(&format!("acme/{name}"))
    }

    /// A repository that holds the files of a folder below `examples/`.
    pub fn example(&self, folder: &str, name: &str) -> Repository {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(folder);
        let files = files_of(&root);
        let files: Vec<(&str, Option<&str>)> = files.iter().map(|(path, text)| (path.as_str(), Some(text.as_str()))).collect();
        let repository = self.repository(name);
        repository.commit("main", "Start", &files);
        repository
    }

    /// Calls the binary in the home folder.
    pub fn consign(&self, args: &[&str]) -> Answer {
        self.consign_in(self.home.path(), args)
    }

    /// Calls the binary in a folder.
    pub fn consign_in(&self, folder: &Path, args: &[&str]) -> Answer {
        let mut command = Command::new(env!("CARGO_BIN_EXE_consign"));
        command.env_clear().current_dir(folder).env("HOME", self.home.path()).env("PATH", &self.path).env("CONSIGN_NOW", self.now.get().to_string());
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).args(args).stdin(std::process::Stdio::null());
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Answer { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// A tick on a config repository of [`PUBLIC`], one minute after the last; wants exit code 0 and gives the JSON document.
    pub fn tick(&self, name: &str) -> serde_json::Value {
        let answer = self.run(name);
        assert_eq!(answer.code, 0, "{}{}", answer.out, answer.err);
        serde_json::from_str(&answer.out).unwrap()
    }

    /// A tick, however it ends.
    pub fn run(&self, name: &str) -> Answer {
        self.later(1);
        self.consign(&["-C", &format!("{PUBLIC}acme/{name}.git"), "run", "--format", "json"])
    }
}

/// Merges the only open proposal of a repository, as a person with git does it: gives the branch it went into.
pub fn merge_proposal(repository: &Repository, target: &str) {
    let heads = repository.git(&["for-each-ref", "--format=%(refname)", "refs/heads/kargo/promotion/", "refs/heads/consign/promotion/"]);
    let newest = heads.lines().find(|head| repository.git(&["rev-list", "--count", &format!("refs/heads/{target}..{head}")]) != "0");
    let newest = newest.unwrap_or_else(|| panic!("no proposal is open for `{target}`: {heads}"));
    repository.git(&["update-ref", &format!("refs/heads/{target}"), newest]);
}

/// The phase of the only promotion of a stage in the answer of a tick; empty: there is none.
pub fn phase<'a>(tick: &'a serde_json::Value, stage: &str) -> &'a str {
    let found: Vec<_> = tick["promotions"].as_array().unwrap().iter().filter(|promotion| promotion["stage"] == stage).collect();
    assert!(found.len() < 2, "{stage} has {} promotions in one tick", found.len());
    found.first().and_then(|promotion| promotion["phase"].as_str()).unwrap_or_default()
}

/// All files below a folder, by path relative to it.
pub fn files_of(root: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}
