//! A large repository that is everything at once: sources, definitions, stage branches and (after the first tick) the ledger.
//!
//! Stands beside `git_server` and needs nothing else, so that benches can use it too.

#![allow(dead_code, clippy::unwrap_used)]

use std::fmt::Write as _;

use super::git_server::{GitServer, Repository, run_git};

/// Files of one application.
const FILES_PER_APP: usize = 10;

/// How large it is.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Folders below `apps/`, of ten files each.
    pub apps: usize,
    /// Stages; each takes one application to a branch `env/stage-NNN`. Not more than there are applications.
    pub stages: usize,
    /// Warehouses on the repository; all stages take freight of the first one.
    pub warehouses: usize,
    /// Bytes that each file has beyond its few meaningful lines.
    pub padding: usize,
}

impl Shape {
    /// 20,000 files and this many stages.
    pub fn large(stages: usize) -> Self {
        Self { apps: 2_000, stages, warehouses: 1, padding: 200 }
    }

    /// A few files and this many stages.
    pub fn small(stages: usize) -> Self {
        Self { apps: stages, stages, warehouses: 1, padding: 0 }
    }
}

/// The repository on its server.
pub struct Monorepo {
    /// The bare repository.
    pub repository: Repository,
    /// What it was made by.
    pub shape: Shape,
}

impl Monorepo {
    /// Makes it, in one `fast-import`.
    pub fn make(server: &GitServer, name: &str, shape: Shape) -> Self {
        let repository = server.repository(name);
        let mut import = String::new();
        let mut file = |path: &str, content: &str| {
            let _ = write!(import, "M 100644 inline {path}\ndata {}\n{content}\n", content.len());
        };
        for app in 0..shape.apps {
            for (path, content) in application(app, "1", shape.padding) {
                file(&format!("apps/app-{app:04}/{path}"), &content);
            }
        }
        file("consign.yaml", "git:\n  author: {name: release bot, email: bot@example.com}\n");
        file(".consign/project.yaml", &project(repository.url(), shape.warehouses));
        for stage in 0..shape.stages {
            file(&format!(".consign/stages/stage-{stage:03}.yaml"), &definition(stage));
        }
        let mut whole = commit("refs/heads/main", "Begin") + &import;
        for stage in 0..shape.stages {
            whole += &commit(&format!("refs/heads/{}", branch(stage)), "Begin");
            for (path, content) in application(stage, "0", shape.padding).into_iter().filter(|(path, _)| path.starts_with("base/")) {
                let _ = write!(whole, "M 100644 inline {path}\ndata {}\n{content}\n", content.len());
            }
        }
        run_git(repository.folder(), &["fast-import", "--quiet"], whole.as_bytes());
        Self { repository, shape }
    }

    /// One new commit on `main` that changes a file of each stage's application (of all, if `apps` is larger).
    pub fn release(&self, version: &str) -> String {
        let changes: Vec<(String, String)> =
            (0..self.shape.stages).map(|app| (format!("apps/app-{app:04}/base/values.yaml"), values(app, version))).collect();
        let files: Vec<(&str, Option<&str>)> = changes.iter().map(|(path, content)| (path.as_str(), Some(content.as_str()))).collect();
        self.repository.commit("main", &format!("Release {version}"), &files)
    }

    /// The version that a stage's branch has.
    pub fn deployed(&self, stage: usize) -> Option<String> {
        let text = self.repository.file(&branch(stage), "base/values.yaml")?;
        text.lines().find_map(|line| line.strip_prefix("version: ")).map(|version| version.trim_matches('"').to_owned())
    }

    /// How many commits a branch has.
    pub fn commits(&self, name: &str) -> usize {
        self.repository.git(&["rev-list", "--count", name]).parse().unwrap()
    }
}

/// The branch of a stage.
pub fn branch(stage: usize) -> String {
    format!("env/stage-{stage:03}")
}

fn commit(reference: &str, message: &str) -> String {
    format!("commit {reference}\ncommitter Ada <ada@example.com> 1700000000 +0000\ndata {}\n{message}\n", message.len())
}

fn values(app: usize, version: &str) -> String {
    format!("name: app-{app:04}\nversion: \"{version}\"\nrevision: none\nreplicas: 2\n")
}

/// The files of an application.
fn application(app: usize, version: &str, padding: usize) -> Vec<(String, String)> {
    let mut files = vec![("base/values.yaml".to_owned(), values(app, version))];
    for at in 1..FILES_PER_APP {
        let folder = if at < 4 { "base" } else { "overlays" };
        let mut content = format!("kind: ConfigMap\nname: app-{app:04}-{at}\ndata: |\n");
        // Text that does not shrink to nothing in a pack.
        let mut state = (app * FILES_PER_APP + at + 1) as u64;
        while content.len() < padding {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let _ = writeln!(content, "  {:016x}", state >> 3);
        }
        files.push((format!("{folder}/file-{at}.yaml"), content));
    }
    files
}

fn project(url: &str, warehouses: usize) -> String {
    let mut text = String::from(
        "apiVersion: kargo.akuity.io/v1alpha1
kind: Project
metadata: {name: shop}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: ProjectConfig
metadata: {name: shop, namespace: shop}
spec:
  promotionPolicies:
  - stageSelector: {name: 'glob:*'}
    autoPromotionEnabled: true
",
    );
    for warehouse in 0..warehouses {
        let _ = write!(
            text,
            "---
apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {{name: source-{warehouse}, namespace: shop}}
spec:
  subscriptions:
  - git: {{repoURL: '{url}', branch: main, includePaths: ['glob:apps/**'], discoveryLimit: 5}}
"
        );
    }
    let _ = write!(
        text,
        "---
apiVersion: kargo.akuity.io/v1alpha1
kind: PromotionTask
metadata: {{name: deliver, namespace: shop}}
spec:
  vars:
  - name: repo
    value: {url}
  - name: app
  steps:
  - uses: git-clone
    config:
      repoURL: ${{{{ vars.repo }}}}
      checkout:
      - commit: ${{{{ commitFrom(vars.repo).ID }}}}
        path: ./src
      - branch: env/${{{{ ctx.stage }}}}
        path: ./out
  - uses: copy
    config:
      inPath: ./src/apps/${{{{ vars.app }}}}/base
      outPath: ./out/base
  - uses: yaml-update
    config:
      path: ./out/base/values.yaml
      updates:
      - key: revision
        value: ${{{{ commitFrom(vars.repo).ID }}}}
  - uses: git-commit
    config:
      path: ./out
      message: Deliver ${{{{ ctx.targetFreight.name }}}} to ${{{{ ctx.stage }}}}
  - uses: git-push
    config:
      path: ./out
"
    );
    text
}

fn definition(stage: usize) -> String {
    format!(
        "apiVersion: kargo.akuity.io/v1alpha1
kind: Stage
metadata: {{name: stage-{stage:03}, namespace: shop}}
spec:
  requestedFreight:
  - origin: {{kind: Warehouse, name: source-0}}
    sources: {{direct: true}}
  promotionTemplate:
    spec:
      steps:
      - task: {{name: deliver}}
        as: deliver
        vars:
        - name: app
          value: app-{stage:04}
"
    )
}
