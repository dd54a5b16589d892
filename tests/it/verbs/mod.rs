//! The verbs, by running the binary against a real Git server.

#![allow(clippy::unwrap_used)]

mod approve;
mod discover;
mod eval;
mod freight;
mod freight_create;
mod graph;
mod history;
mod hold;
mod logs;
mod plan;
mod promote;
mod reject;
mod rollback;
mod status;
mod step;
mod why;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::git_server::{GitServer, Repository, run_git, sealed};

/// A config repository with a pipeline of two stages, a repository of an application, and a checkout of the former.
struct World {
    server: GitServer,
    config: Repository,
    app: Repository,
    folder: tempfile::TempDir,
}

/// What a run of the binary gave.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }

    fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.stdout, self.stderr);
        self
    }
}

impl World {
    fn new() -> Self {
        let server = GitServer::start();
        let (config, app) = (server.repository("acme/gitops"), server.repository("acme/app"));
        app.commit("main", "Say hello", &[("greeting.txt", Some("hello\n"))]);
        let definitions = definitions(config.url(), app.url());
        let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  version: old\n---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: token\nstringData:\n  token: hunter2\n";
        config.commit("main", "Begin", &[(".consign/shop.yaml", Some(&definitions)), ("base/web.yaml", Some(deployment))]);
        let folder = tempfile::tempdir().unwrap();
        run_git(folder.path(), &["clone", "-q", config.url(), "checkout"], b"");
        Self { server, config, app, folder }
    }

    fn checkout(&self) -> PathBuf {
        self.folder.path().join("checkout")
    }

    /// Runs the binary in the checkout, away from the user's world.
    fn run(&self, args: &[&str]) -> Ran {
        run_in(&self.checkout(), &self.folder.path().join("cache"), "2026-03-02T09:00:00Z", args)
    }

    fn run_at(&self, now: &str, args: &[&str]) -> Ran {
        run_in(&self.checkout(), &self.folder.path().join("cache"), now, args)
    }

    /// All refs of the config repository.
    fn refs(&self) -> String {
        self.config.git(&["for-each-ref"])
    }
}

fn run_in(folder: &Path, cache: &Path, now: &str, args: &[&str]) -> Ran {
    let mut command: Command = sealed(folder);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let program = env!("CARGO_BIN_EXE_consign");
    let mut consign = Command::new(program);
    consign.env_clear().current_dir(folder).args(args).stdin(Stdio::null());
    for (key, value) in command.arg("--version").get_envs() {
        if let Some(value) = value {
            consign.env(key, value);
        }
    }
    consign.env("PATH", path).env("HOME", cache).env("CONSIGN_CACHE", cache).env("CONSIGN_NOW", now).env("CONSIGN_ACTOR", "ada");
    let Output { status, stdout, stderr } = consign.output().unwrap();
    Ran { code: status.code().unwrap_or(-1), stdout: String::from_utf8(stdout).unwrap(), stderr: String::from_utf8(stderr).unwrap() }
}

fn definitions(config: &str, app: &str) -> String {
    format!(
        r#"apiVersion: kargo.akuity.io/v1alpha1
kind: Project
metadata: {{name: shop}}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: ProjectConfig
metadata: {{name: shop, namespace: shop}}
spec:
  promotionPolicies:
  - stageSelector: {{name: test}}
    autoPromotionEnabled: true
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {{name: app, namespace: shop}}
spec:
  subscriptions:
  - git: {{repoURL: "{app}", branch: main}}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Stage
metadata: {{name: test, namespace: shop}}
spec:
  requestedFreight:
  - origin: {{kind: Warehouse, name: app}}
    sources: {{direct: true}}
  promotionTemplate:
    spec:
      steps:
      - uses: git-clone
        config:
          repoURL: "{config}"
          checkout:
          - {{branch: main, path: ./src}}
          - {{branch: "env/${{{{ ctx.stage }}}}", create: true, path: ./out}}
      - uses: copy
        config: {{inPath: ./src/base, outPath: ./out}}
      - uses: yaml-update
        config:
          path: ./src/.consign/version.yaml
          updates: [{{key: version, value: "x"}}]
        if: ${{{{ false }}}}
      - uses: file-write
        config: {{path: ./out/version.txt, overwrite: true, contents: "${{{{ commitFrom('{app}').ID }}}}"}}
      - uses: git-commit
        config: {{path: ./out, message: "Deploy"}}
      - uses: git-push
        config: {{path: ./out}}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Stage
metadata: {{name: prod, namespace: shop}}
spec:
  requestedFreight:
  - origin: {{kind: Warehouse, name: app}}
    sources: {{stages: [test], requiredSoakTime: 1h}}
  promotionTemplate:
    spec:
      steps:
      - uses: git-clone
        config:
          repoURL: "{config}"
          checkout:
          - {{branch: main, path: ./src}}
          - {{branch: "env/${{{{ ctx.stage }}}}", create: true, path: ./out}}
      - uses: copy
        config: {{inPath: ./src/base, outPath: ./out}}
      - uses: yaml-update
        config:
          path: ./src/.consign/version.yaml
          updates: [{{key: version, value: "x"}}]
        if: ${{{{ false }}}}
      - uses: file-write
        config: {{path: ./out/version.txt, overwrite: true, contents: "${{{{ commitFrom('{app}').ID }}}}"}}
      - uses: git-commit
        config: {{path: ./out, message: "Deploy"}}
      - uses: git-push
        config: {{path: ./out}}
"#
    )
}
