//! `init` in a repository, then a first tick.

use crate::support::git_server::run_git;
use crate::support::world::{World, merge_proposal, phase};

#[test]
fn a_started_project_is_valid_and_promotes_to_prod() {
    let world = World::new();
    let remote = world.repository("shop");
    let folder = world.folder("shop");
    run_git(&folder, &["init", "-q", "-b", "main", "."], b"");
    run_git(&folder, &["remote", "add", "origin", "https://git.example.com/acme/shop.git"], b"");
    std::fs::write(folder.join("consign.yaml"), "forges: [{url: \"https://git.example.com/*\", kind: plain}]\n").unwrap();

    let answer = world.consign_in(&folder, &["init", "--format", "json"]);
    assert_eq!(answer.code, 0, "{}", answer.err);
    let written: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(written["kept"], serde_json::json!(["consign.yaml"]));
    assert!(written["files"].as_array().unwrap().contains(&".github/workflows/consign.yaml".into()), "{written}");
    assert!(std::fs::read_to_string(folder.join("consign.yaml")).unwrap().starts_with("forges:"), "what is there is kept");
    let valid = world.consign_in(&folder, &["validate"]);
    assert!(valid.code == 0 && valid.out.starts_with("all is well"), "{}{}", valid.out, valid.err);

    run_git(&folder, &["add", "."], b"");
    run_git(&folder, &["commit", "-q", "-m", "Start"], b"");
    run_git(&folder, &["push", "-q", remote.url(), "main"], b"");
    let tick = world.tick("shop");
    assert_eq!((phase(&tick, "test"), phase(&tick, "prod")), ("Succeeded", "Running"), "{tick:#}");
    merge_proposal(&remote, "env/prod");
    assert_eq!(phase(&world.tick("shop"), "prod"), "Succeeded");
    assert!(remote.file("env/prod", "config.yaml").unwrap().contains("stage: prod"));

    let again = world.consign_in(&folder, &["init", "--format", "json"]);
    let written: serde_json::Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!(written["files"], serde_json::json!([]));
}

#[test]
fn the_workflow_asks_for_little_and_survives_forks() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/init/workflow.yaml")).unwrap();
    let workflow: serde_json::Value = yaml_serde::from_str(&text).unwrap();
    assert_eq!(workflow["permissions"], serde_json::json!({}));
    assert_eq!(workflow["jobs"]["run"]["permissions"], serde_json::json!({"contents": "write", "pull-requests": "write"}));
    let on = workflow["on"].as_object().or(workflow["true"].as_object()).unwrap();
    assert!(on.contains_key("pull_request_target") && !on.contains_key("pull_request"), "the head of a pull request is never run");
    assert_eq!(workflow["concurrency"]["cancel-in-progress"], false);
}
