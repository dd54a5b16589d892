//! A gated stage on GitHub, from the new commit to the merged pull request, by the program itself in the environment of a workflow.

use std::path::Path;
use std::process::Command;

use crate::support::git_server::{GitServer, run_git, sealed};
use crate::support::github::{GitHub, MergeMethod, TOKEN};

const DEFINITIONS: &str = r#"
apiVersion: kargo.akuity.io/v1alpha1
kind: Project
metadata: {name: shop}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: ProjectConfig
metadata: {name: shop, namespace: shop}
spec:
  promotionPolicies:
  - {stage: prod, autoPromotionEnabled: true}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {name: web, namespace: shop}
spec:
  subscriptions:
  - git: {repoURL: "https://github.com/acme/app.git", branch: main, includePaths: [src], commitSelectionStrategy: NewestFromBranch}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Stage
metadata: {name: prod, namespace: shop}
spec:
  requestedFreight:
  - origin: {kind: Warehouse, name: web}
    sources: {direct: true}
  promotionTemplate:
    spec:
      steps:
      - uses: git-clone
        config: {repoURL: "https://github.com/acme/app.git", checkout: [{branch: env/prod, path: ./out}]}
      - uses: yaml-update
        config:
          path: ./out/web.yaml
          updates: [{key: data.rev, value: "${{ commitFrom('https://github.com/acme/app.git').ID }}"}]
      - uses: git-commit
        config: {path: ./out, message: "prod: a new web\n\nSays the step."}
      - uses: git-push
        as: push
        config: {path: ./out, generateTargetBranch: true}
      - uses: git-open-pr
        as: open
        config: {repoURL: "https://github.com/acme/app.git", sourceBranch: "${{ outputs.push.branch }}", targetBranch: env/prod, labels: [release]}
      - uses: git-wait-for-pr
        as: wait
        config: {repoURL: "https://github.com/acme/app.git", prNumber: "${{ outputs.open.pr.id }}"}
"#;

/// Runs a tick as a workflow would; gives what it printed.
fn tick(checkout: &Path, home: &Path, github: &GitHub) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_consign"))
        .args(["-C", checkout.to_str().unwrap(), "run"])
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap())
        .env("HOME", home)
        .env("CONSIGN_CACHE", home.join("cache"))
        .env("GITHUB_SERVER_URL", "https://github.com")
        .env("GITHUB_REPOSITORY", "acme/app")
        .env("GITHUB_TOKEN", TOKEN)
        .env("GITHUB_API_URL", github.api())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(output.status.success(), "{out}\n{err}");
    assert!(!out.contains(TOKEN) && !err.contains(TOKEN), "the token is shown");
    out
}

#[test]
fn a_gated_stage_waits_for_its_pull_request() {
    let git = GitServer::start();
    let github = GitHub::start();
    let repository = git.repository("acme/app");
    github.host("acme/app", &repository);
    let settings = format!("git:\n  config: {{\"url.http://{}/.insteadOf\": \"https://github.com/\"}}\n", git.host());
    let files = [("consign.yaml", Some(settings.as_str())), (".consign/all.yaml", Some(DEFINITIONS)), ("src/a", Some("1\n"))];
    let source = repository.commit("main", "begin", &files);
    repository.commit("env/prod", "begin", &[("web.yaml", Some("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web\ndata:\n  rev: none\n"))]);
    let folder = tempfile::tempdir().unwrap();
    let (home, checkout) = (folder.path().join("home"), folder.path().join("checkout"));
    std::fs::create_dir(&home).unwrap();
    assert!(sealed(folder.path()).args(["clone", "-q", repository.url(), "checkout"]).status().unwrap().success());
    run_git(&checkout, &["remote", "set-url", "origin", "https://github.com/acme/app.git"], b"");

    let said = tick(&checkout, &home, &github);
    assert!(said.contains("waiting") && said.contains("prod"), "{said}");
    github.with("acme/app", |pulls| {
        let pull = pulls.pull(1);
        assert_eq!((pull.title.as_str(), pull.base.as_str(), pull.labels.join(",")), ("prod: a new web", "env/prod", "release".to_owned()));
        assert!(pull.body.starts_with("Says the step.\n\n<!-- consign"), "{}", pull.body);
        assert!(pull.body.contains("<code>ConfigMap web</code> changed (+1 −1)"), "{}", pull.body);
        assert!(pull.body.contains(&format!("[commit](https://github.com/acme/app/commit/{source})")), "{}", pull.body);
    });
    github.take_requests();

    tick(&checkout, &home, &github);
    let requests: Vec<String> = github.take_requests().into_iter().map(|one| one.request).collect();
    assert!(requests.iter().all(|request| request == "GET /api/v3/repos/acme/app/pulls"), "waiting only looks: {requests:?}");

    github.with("acme/app", |pulls| pulls.merge(1, MergeMethod::Squash));
    let said = tick(&checkout, &home, &github);
    assert!(said.contains("promoted") && said.contains("prod"), "{said}");
    assert_eq!(github.with("acme/app", |pulls| pulls.all.len()), 1);
    assert!(repository.file("env/prod", "web.yaml").unwrap().contains(&source));
}
