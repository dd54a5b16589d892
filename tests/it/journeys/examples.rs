//! Each folder of `examples/` from a commit to prod, unchanged, against a server on loopback.

use serde_json::Value;

use crate::support::git_server::Repository;
use crate::support::tools;
use crate::support::world::{World, merge_proposal, phase};

/// Nothing moves, and the ledger stays where it is.
fn assert_idle(world: &World, name: &str, repository: &Repository) {
    let before = repository.tip("refs/heads/consign/state");
    let tick = world.tick(name);
    assert!(tick["freightCreated"].as_array().unwrap().is_empty(), "{tick:#}");
    assert_eq!(repository.tip("refs/heads/consign/state"), before, "an idle tick writes nothing");
    let answer = world.consign(&["-C", &format!("https://git.example.com/acme/{name}.git"), "run", "--quiet"]);
    assert!(answer.out.starts_with("nothing to do\n"), "{}", answer.out);
}

/// What the ledger says about a stage.
fn stage_record(repository: &Repository, project: &str, stage: &str) -> Value {
    let text = repository.file("consign/state", &format!("{project}/stages/{stage}.yaml")).unwrap();
    yaml_serde::from_str(&text).unwrap()
}

fn assert_holds(repository: &Repository, project: &str, stage: &str) {
    let record = stage_record(repository, project, stage);
    assert!(!record["status"]["freightHistory"].as_array().unwrap().is_empty(), "{stage}: {record:#}");
}

#[test]
fn templates_alone_from_a_tag_to_prod() {
    let world = World::new();
    let app = world.repository("app");
    app.commit("main", "One", &[("main.txt", Some("1\n"))]);
    app.git(&["tag", "v1.2.3", "main"]);
    let gitops = world.example("template-only", "gitops");
    let tick = world.tick("gitops");
    assert_eq!((phase(&tick, "test"), phase(&tick, "uat"), phase(&tick, "prod")), ("Succeeded", "Succeeded", "Running"), "{tick:#}");
    assert!(gitops.file("env/uat", "deployment.yaml").unwrap().contains("ghcr.io/acme/web:v1.2.3"));
    assert_eq!(gitops.file("env/prod", "deployment.yaml"), None);
    merge_proposal(&gitops, "env/prod");
    assert_eq!(phase(&world.tick("gitops"), "prod"), "Succeeded");
    let deployed = gitops.file("env/prod", "deployment.yaml").unwrap();
    assert!(
        deployed.contains("ghcr.io/acme/web:v1.2.3") && deployed.contains("namespace: web-prod") && deployed.contains("replicas: 3"),
        "{deployed}"
    );
    assert!(gitops.file("env/prod", "service.yaml").is_some());
    for stage in ["test", "uat", "prod"] {
        assert_holds(&gitops, "web", stage);
    }
    assert_idle(&world, "gitops", &gitops);
}

#[tokio::test]
async fn a_kustomize_monorepo_from_a_commit_to_prod() {
    if tools::available("journeys::kustomize").await.is_none() {
        return;
    }
    let world = World::new();
    let mono = world.example("kustomize-monorepo", "kustomize-monorepo");
    let tick = world.tick("kustomize-monorepo");
    assert_eq!((phase(&tick, "test"), phase(&tick, "uat"), phase(&tick, "prod")), ("Succeeded", "Succeeded", "Running"), "{tick:#}");
    merge_proposal(&mono, "env/prod");
    assert_eq!(phase(&world.tick("kustomize-monorepo"), "prod"), "Succeeded");
    let files = mono.git(&["ls-tree", "-r", "--name-only", "env/prod"]);
    let rendered: String = files.lines().map(|path| mono.file("env/prod", path).unwrap()).collect();
    assert!(
        rendered.contains("ghcr.io/acme/web:1.0.0") && rendered.contains("replicas: 3") && rendered.contains("namespace: web-prod"),
        "{files}\n{rendered}"
    );
    assert_holds(&mono, "web", "prod");
    assert_idle(&world, "kustomize-monorepo", &mono);

    // A commit that touches no app is no freight; one that does goes the same way.
    mono.commit("main", "Only words", &[("README.md", Some("new\n"))]);
    assert!(world.tick("kustomize-monorepo")["freightCreated"].as_array().unwrap().is_empty());
    let overlay = mono.file("main", "apps/web/stages/test/kustomization.yaml").unwrap().replace("count: 1", "count: 7");
    mono.commit("main", "More of it", &[("apps/web/stages/test/kustomization.yaml", Some(&overlay))]);
    let tick = world.tick("kustomize-monorepo");
    assert_eq!(tick["freightCreated"].as_array().unwrap().len(), 1, "{tick:#}");
    let files = mono.git(&["ls-tree", "-r", "--name-only", "env/test"]);
    assert!(files.lines().any(|path| mono.file("env/test", path).unwrap().contains("replicas: 7")), "{files}");
}

#[tokio::test]
async fn a_helm_monorepo_from_a_tag_to_prod() {
    if tools::available("journeys::helm").await.is_none() {
        return;
    }
    let world = World::new();
    let web = world.repository("web");
    web.commit("main", "One", &[("main.txt", Some("1\n"))]);
    web.git(&["tag", "v1.1.0", "main"]);
    let mono = world.example("helm-monorepo", "helm-monorepo");
    let tick = world.tick("helm-monorepo");
    assert_eq!((phase(&tick, "test"), phase(&tick, "uat"), phase(&tick, "prod")), ("Succeeded", "Succeeded", "Running"), "{tick:#}");
    merge_proposal(&mono, "main");
    assert_eq!(phase(&world.tick("helm-monorepo"), "prod"), "Succeeded");
    for stage in ["test", "uat", "prod"] {
        let values = mono.file("main", &format!("env/{stage}/values.yaml")).unwrap();
        assert!(values.contains("tag: v1.1.0  # promoted"), "{values}");
        let manifests = mono.file("main", &format!("env/{stage}/manifests.yaml")).unwrap();
        assert!(manifests.contains("image: ghcr.io/acme/web:v1.1.0") && manifests.contains(&format!("namespace: shop-{stage}")), "{manifests}");
        assert_holds(&mono, "shop", stage);
    }
    assert_idle(&world, "helm-monorepo", &mono);
}

#[test]
fn two_warehouses_meet_in_one_stage() {
    let world = World::new();
    let web = world.repository("web");
    let tagged = web.commit("main", "Release", &[("main.txt", Some("1\n"))]);
    web.git(&["tag", "v1.0.0", &tagged]);
    let head = web.commit("main", "Go on", &[("main.txt", Some("2\n"))]);
    let lines = world.example("two-lines", "two-lines");
    // One promotion per stage and tick is under way at a time; after a few ticks both lines are through.
    for _ in 0..3 {
        world.tick("two-lines");
    }
    let version = |line: &str| lines.file("main", &format!("apps/web/{line}.yaml")).unwrap();
    assert!(version("dev").contains(&head), "{}", version("dev"));
    assert!(version("releases").contains("v1.0.0"), "{}", version("releases"));
    assert!(version("prod").contains("v1.0.0"), "only releases go on to prod: {}", version("prod"));
    assert_idle(&world, "two-lines", &lines);
}
