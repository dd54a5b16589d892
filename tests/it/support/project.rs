//! A small project on a real Git server: definitions, ledger and stage branches in one repository, an application in another, and the binary
//! in a world of its own.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use super::git_server::{GitServer, Repository, run_git};

/// A project with the stages `test` and `prod`. `test` takes everything of the warehouse `web`, `prod` what `test` has verified; both write a
/// file of their own folder on `main`.
pub struct Project {
    /// The server.
    pub server: GitServer,
    /// Definitions, ledger, `main`.
    pub config: Repository,
    /// What the warehouse watches.
    pub app: Repository,
    folder: tempfile::TempDir,
}

/// What a run of the binary said.
#[derive(Debug)]
pub struct Said {
    /// Exit code.
    pub code: i32,
    /// stdout.
    pub out: String,
    /// stderr.
    pub err: String,
}

impl Said {
    /// stdout as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Fails unless the exit code is this one.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }
}

fn recipe(folder: &str, branch: &str, more: &str) -> String {
    format!(
        r#"
  promotionTemplate:
    spec:
      steps:
      - uses: git-clone
        config:
          repoURL: CONFIG
          checkout: [{{branch: {branch}, path: ./repo}}]
      - uses: yaml-update
        config:
          path: ./repo/{folder}/values.yaml
          updates: [{{key: version, value: "${{{{ commitFrom('APP').ID }}}}"}}]
      - uses: git-commit
        as: commit
        config: {{path: ./repo, message: "{folder}: ${{{{ commitFrom('APP').ID }}}}"}}
{more}"#
    )
}

const PUSH: &str = "      - uses: git-push\n        config: {path: ./repo}\n";
const PROPOSE: &str = r#"      - uses: git-push
        as: push
        config: {path: ./repo, generateTargetBranch: true}
      - uses: git-open-pr
        as: open
        config: {repoURL: CONFIG, sourceBranch: "${{ outputs.push.branch }}", targetBranch: main}
      - uses: git-wait-for-pr
        config: {repoURL: CONFIG, prNumber: "${{ outputs.open.pr.id }}"}
"#;

fn stage(name: &str, sources: &str, recipe: &str) -> String {
    format!(
        "apiVersion: kargo.akuity.io/v1alpha1\nkind: Stage\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  requestedFreight:\n  - origin: {{kind: Warehouse, name: web}}\n    sources: {sources}{recipe}---\n"
    )
}

impl Project {
    /// Both stages ungated; `auto` are the stages that are promoted automatically.
    pub fn new(auto: &[&str]) -> Self {
        Self::with(auto, PUSH)
    }

    /// `prod` opens a proposal and waits for it.
    pub fn gated(auto: &[&str]) -> Self {
        Self::with(auto, PROPOSE)
    }

    fn with(auto: &[&str], prod: &str) -> Self {
        let server = GitServer::start();
        let (config, app) = (server.repository("config"), server.repository("app"));
        let policies: Vec<String> = auto.iter().map(|stage| format!("  - {{stage: {stage}, autoPromotionEnabled: true}}\n")).collect();
        let policies =
            if policies.is_empty() { "  promotionPolicies: []\n".to_owned() } else { format!("  promotionPolicies:\n{}", policies.concat()) };
        let head = format!(
            "apiVersion: kargo.akuity.io/v1alpha1\nkind: Project\nmetadata: {{name: shop}}\n---\napiVersion: kargo.akuity.io/v1alpha1\nkind: ProjectConfig\nmetadata: {{name: shop, namespace: shop}}\nspec:\n{policies}---\napiVersion: kargo.akuity.io/v1alpha1\nkind: Warehouse\nmetadata: {{name: web, namespace: shop}}\nspec:\n  subscriptions:\n  - git: {{repoURL: APP, branch: main}}\n---\n"
        );
        let test = stage("test", "{direct: true}", &recipe("test", "main", PUSH));
        let prod = stage("prod", "{stages: [test]}", &recipe("prod", "main", prod));
        let definitions = format!("{head}{test}{prod}").replace("CONFIG", config.url()).replace("APP", app.url());
        let settings = format!("forges:\n- {{url: \"{}\", kind: plain}}\n", config.url());
        config.commit(
            "main",
            "begin",
            &[
                (".consign/shop.yaml", Some(&definitions)),
                ("consign.yaml", Some(&settings)),
                ("test/values.yaml", Some("version: none\n")),
                ("prod/values.yaml", Some("version: none\n")),
                ("README.md", Some("shop\n")),
            ],
        );
        Self { server, config, app, folder: tempfile::tempdir().unwrap() }
    }

    /// A new commit of the application; a tick finds it. Gives the commit.
    pub fn release(&self, text: &str) -> String {
        let commit = self.app.commit("main", text, &[("app.txt", Some(text))]);
        self.run(&["run"]).exits(0);
        commit
    }

    /// Runs the binary against the remote.
    pub fn run(&self, arguments: &[&str]) -> Said {
        let output = self.command().args(arguments).output().unwrap();
        said(output)
    }

    /// The same with `--format json`.
    pub fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--format", "json"]].concat()).exits(0).json()
    }

    /// The binary in its world.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_consign"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("USER", "ada")
            .env("CONSIGN_CACHE", self.folder.path().join("cache"))
            .args(["-C", self.config.url(), "-q"]);
        command
    }

    /// What a stage's file says on `main`.
    pub fn version(&self, stage: &str) -> String {
        let text = self.config.file("main", &format!("{stage}/values.yaml")).unwrap();
        text.trim().trim_start_matches("version: ").trim_matches('"').to_owned()
    }

    /// A record of the ledger by its path.
    pub fn ledger(&self, path: &str) -> Option<String> {
        self.config.file("consign/state", path)
    }

    /// Paths of the ledger below a folder.
    pub fn records(&self, folder: &str) -> Vec<String> {
        let listed = self.config.git(&["ls-tree", "-r", "--name-only", "consign/state", folder]);
        listed.lines().map(str::to_owned).collect()
    }

    /// The messages of the ledger, newest first.
    pub fn log(&self) -> String {
        self.config.git(&["log", "--format=%B", "consign/state"])
    }

    /// Names of freight, oldest first.
    pub fn freight(&self) -> Vec<String> {
        let record = self.ledger("shop/warehouses/web.yaml").unwrap_or_default();
        let names = record.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("name: "));
        let mut names: Vec<String> = names.filter(|name| name.len() == 40).map(str::to_owned).collect();
        names.reverse();
        names
    }

    /// Branches of the config repository.
    pub fn branches(&self) -> Vec<String> {
        self.config.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads"]).lines().map(str::to_owned).collect()
    }
}

fn said(output: Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
