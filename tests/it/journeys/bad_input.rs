//! What goes wrong, whose fault it is, and what is written down about it.

use crate::support::git_server::{Fault, GitServer, Repository};
use crate::support::world::{World, phase};

const LEDGER: &str = "refs/heads/consign/state";

/// The template-only example with one of its files changed, and an application with a tag.
fn scene(world: &World, path: &str, from: &str, to: &str) -> Repository {
    let app = world.repository("app");
    app.commit("main", "One", &[("main.txt", Some("1\n"))]);
    app.git(&["tag", "v1.0.0", "main"]);
    let gitops = world.example("template-only", "gitops");
    let text = gitops.file("main", path).unwrap();
    assert!(text.contains(from), "{path} holds no `{from}`");
    gitops.commit("main", "Change", &[(path, Some(&text.replace(from, to)))]);
    gitops
}

fn assert_refused_before_anything(path: &str, from: &str, to: &str, says: &str) {
    let world = World::new();
    let gitops = scene(&world, path, from, to);
    let answer = world.run("gitops");
    assert_eq!(answer.code, 2, "{}{}", answer.out, answer.err);
    assert!(answer.err.contains(says) && answer.err.contains(path), "no `{says}` in: {}", answer.err);
    assert_eq!(gitops.tip(LEDGER), None, "nothing is written before the definitions are right");
    assert_eq!(gitops.tip("refs/heads/env/test"), None);
}

#[test]
fn broken_yaml_is_shown_with_its_line() {
    assert_refused_before_anything(".consign/stages.yaml", "metadata:\n  name: test", "metadata: [\n  name: test", "stages.yaml:");
}

/// Kargo takes a circle, and so do we: with a warning, and nothing ever enters it.
#[test]
fn a_circle_of_stages_is_told_and_nothing_enters_it() {
    let world = World::new();
    let gitops = scene(&world, ".consign/stages.yaml", "sources: {direct: true}", "sources: {stages: [prod]}");
    assert!(world.tick("gitops")["promotions"].as_array().unwrap().is_empty());
    assert_eq!(gitops.tip("refs/heads/env/test"), None);
    let stages = world.folder("circle").join("stages.yaml");
    std::fs::write(&stages, gitops.file("main", ".consign/stages.yaml").unwrap()).unwrap();
    let answer = world.consign(&["validate", stages.to_str().unwrap()]);
    assert!(answer.out.contains("config/cycle") && answer.out.contains("goes in a circle"), "{}", answer.out);
}

#[test]
fn an_unknown_field_of_a_step_is_refused_with_a_suggestion() {
    let step = "      - uses: git-clear\n        config: {paht: ./out}\n      - task: {name: render-template, kind: ClusterPromotionTask}";
    assert_refused_before_anything(".consign/stages.yaml", "      - task: {name: render-template, kind: ClusterPromotionTask}", step, "path");
}

#[test]
fn an_unknown_setting_is_refused_with_a_suggestion() {
    assert_refused_before_anything("consign.yaml", "forges:", "forgse:", "forges");
}

#[test]
fn a_missing_tool_is_the_environments_failure_and_no_result() {
    let mut world = World::new();
    world.without_tools();
    let mono = world.example("kustomize-monorepo", "kustomize-monorepo");
    let answer = world.run("kustomize-monorepo");
    assert_eq!(answer.code, 6, "{}{}", answer.out, answer.err);
    assert!(answer.err.contains("kustomize"), "{}", answer.err);
    assert_eq!(mono.tip("refs/heads/env/test"), None);
    let files = mono.git(&["ls-tree", "-r", "--name-only", LEDGER]);
    for path in files.lines().filter(|path| path.contains("/promotions/")) {
        let record = mono.file(LEDGER, path).unwrap();
        assert!(!record.contains("Errored") && !record.contains("Failed"), "{path}: {record}");
    }
}

#[test]
fn refused_credentials_are_named() {
    let world = World::around(GitServer::with_password("ada", "right"));
    world.example("template-only", "gitops");
    let answer = world.run("gitops");
    assert_eq!(answer.code, 3, "{}{}", answer.out, answer.err);
}

#[test]
fn a_remote_that_is_away_is_no_result_of_a_step() {
    let world = World::new();
    let gitops = scene(
        &world,
        ".consign/stages.yaml",
        "      - task: {name: render-template, kind: ClusterPromotionTask}",
        "      - uses: git-clone\n        config:\n          repoURL: https://git.example.com/acme/away.git\n          checkout: [{path: ./away}]\n      - task: {name: render-template, kind: ClusterPromotionTask}",
    );
    for _ in 0..20 {
        world.server.inject("/acme/away.git", Fault::Status(503));
    }
    let answer = world.run("gitops");
    assert_eq!(answer.code, 5, "{}{}", answer.out, answer.err);
    assert_eq!(gitops.tip("refs/heads/env/test"), None);
    let files = gitops.git(&["ls-tree", "-r", "--name-only", LEDGER]);
    for path in files.lines().filter(|path| path.contains("/promotions/")) {
        let record = gitops.file(LEDGER, path).unwrap();
        assert!(!record.contains("Errored") && !record.contains("Failed"), "{path}: {record}");
    }
}

#[test]
fn a_branch_that_is_not_there_is_the_steps_own_result() {
    let world = World::new();
    let step = "      - uses: git-clone\n        config:\n          repoURL: https://git.example.com/acme/gitops.git\n          checkout: [{branch: nowhere, path: ./x}]\n      - task: {name: render-template, kind: ClusterPromotionTask}";
    let gitops = scene(&world, ".consign/stages.yaml", "      - task: {name: render-template, kind: ClusterPromotionTask}", step);
    let tick = world.tick("gitops");
    assert_eq!(phase(&tick, "test"), "Errored", "{tick:#}");
    let files = gitops.git(&["ls-tree", "-r", "--name-only", LEDGER]);
    let record = files.lines().find(|path| path.contains("/promotions/test/")).map(|path| gitops.file(LEDGER, path).unwrap()).unwrap();
    assert!(record.contains("phase: Errored") && record.contains("nowhere"), "{record}");
}

#[test]
fn a_source_that_fails_fails_alone() {
    let world = World::new();
    let warehouse = "apiVersion: kargo.akuity.io/v1alpha1\nkind: Warehouse\nmetadata: {name: gone, namespace: web}\nspec:\n  subscriptions:\n  - git: {repoURL: \"https://git.example.com/acme/app.git\", branch: gone}\n---\n";
    let gitops = scene(
        &world,
        ".consign/stages.yaml",
        "apiVersion: kargo.akuity.io/v1alpha1\nkind: Stage\nmetadata:\n  name: test",
        &format!("{warehouse}apiVersion: kargo.akuity.io/v1alpha1\nkind: Stage\nmetadata:\n  name: test"),
    );
    let tick = world.tick("gitops");
    assert_eq!(tick["failing"][0]["warehouse"], "gone", "{tick:#}");
    assert_eq!(phase(&tick, "uat"), "Succeeded");
    assert!(gitops.tip("refs/heads/env/uat").is_some());
    let strict = world.consign(&["-C", "https://git.example.com/acme/gitops.git", "run", "--fail-on", "remote"]);
    assert_eq!(strict.code, 5, "{}{}", strict.out, strict.err);
}
