//! Definitions in the shapes of Kargo's documentation, written for public hosts, promoted against local ones without a change to them.

use std::path::{Path, PathBuf};

use crate::support::git_server::Repository;
use crate::support::world::{World, merge_proposal, phase};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/kargo-shapes")
}

/// A repository of definitions whose `consign.yaml` alone knows that github.com is the server of the world.
fn redirected(world: &World, case: &str) -> (Repository, PathBuf) {
    let settings = format!(
        "git:\n  config: {{\"url.http://{}/.insteadOf\": \"https://github.com/\"}}\nforges:\n- {{url: \"https://github.com/*\", kind: plain}}\n",
        world.server.host()
    );
    let definitions = std::fs::read_to_string(cases().join(case)).unwrap();
    let config = world.repository("config");
    config.commit("main", "Start", &[("consign.yaml", Some(&settings)), (".consign/all.yaml", Some(&definitions))]);
    // The checkout's settings say how to reach the remote.
    let checkout = world.folder("checkout");
    crate::support::git_server::run_git(&checkout, &["clone", "-q", config.url(), "."], b"");
    (config, checkout)
}

fn tick(world: &World, checkout: &Path) -> serde_json::Value {
    world.later(1);
    let answer = world.consign_in(checkout, &["run", "--format", "json"]);
    assert_eq!(answer.code, 0, "{}{}", answer.out, answer.err);
    serde_json::from_str(&answer.out).unwrap()
}

#[test]
fn every_shape_passes_validate() {
    let world = World::new();
    let mut seen = 0;
    for entry in std::fs::read_dir(cases()).unwrap() {
        let path = entry.unwrap().path();
        let answer = world.consign(&["validate", path.to_str().unwrap()]);
        assert_eq!(answer.code, 0, "{}: {}{}", path.display(), answer.out, answer.err);
        seen += 1;
    }
    assert!(seen >= 2, "the cases are where the test looks");
}

#[test]
fn rendered_branches_end_in_prod() {
    let world = World::new();
    let bread = world.repository("bread");
    bread.commit("main", "Bake", &[("stages/test/loaf.yaml", Some("loaf: 1\n")), ("docs/a.md", Some("a\n"))]);
    let (_, checkout) = redirected(&world, "rendered-branches.yaml");
    let first = tick(&world, &checkout);
    assert_eq!((phase(&first, "test"), phase(&first, "prod")), ("Succeeded", "Running"), "{first:#}");
    merge_proposal(&bread, "stage/prod");
    assert_eq!(phase(&tick(&world, &checkout), "prod"), "Succeeded");
    assert_eq!(bread.file("stage/prod", "loaf.yaml").as_deref(), Some("loaf: 1\n"));
}

#[test]
fn tasks_and_conditions_end_in_prod() {
    let world = World::new();
    let bread = world.repository("bread");
    bread.commit("main", "Bake", &[("recipe.yaml", Some("# rye\nflour: 41\nkinds: [a, b]\nstage: none\n"))]);
    let (config, checkout) = redirected(&world, "tasks-and-conditions.yaml");
    let first = tick(&world, &checkout);
    assert_eq!((phase(&first, "test"), phase(&first, "prod")), ("Succeeded", "Succeeded"), "{first:#}");
    assert_eq!(bread.file("shelf/test", "flour.yaml").as_deref(), Some("# rye\nflour: 42\nkinds: [a, b]\nstage: test\n"));
    assert!(bread.file("shelf/prod", "bread/flour-prod.yaml").unwrap().contains("stage: prod"));
    let stage = config.file("consign/state", "bakery/stages/test.yaml").unwrap();
    assert!(stage.contains("flour: 42"), "{stage}");
    let steps: Vec<(&str, &str)> = first["promotions"][0]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (step["alias"].as_str().unwrap(), step["status"].as_str().unwrap_or("")))
        .collect();
    assert!(steps.contains(&("never", "Skipped")), "{steps:?}");
}
