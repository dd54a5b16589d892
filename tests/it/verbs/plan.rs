use super::World;

#[test]
fn a_plan_says_what_a_tick_would_do_and_writes_nothing() {
    let world = World::new();
    let before = world.refs();
    let plan = world.run(&["plan", "--format", "json"]).ok().json();
    let kinds: Vec<&str> = plan["actions"].as_array().unwrap().iter().map(|action| action["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["create-freight", "promote"], "{plan:#}");
    assert_eq!(plan["actions"][1]["stage"], "test");
    assert_eq!(plan["actions"][1]["freight"], plan["actions"][0]["freight"]);
    let held = plan["held"].as_array().unwrap().iter().find(|held| held["stage"] == "prod").unwrap();
    let closed: Vec<&str> = held["gates"].as_array().unwrap().iter().map(|gate| gate["gate"].as_str().unwrap()).collect();
    assert!(closed.contains(&"availability") && closed.contains(&"policy"), "{held:#}");
    assert!(plan.get("diffs").is_none(), "only with --diff");
    assert_eq!(world.refs(), before);
    assert!(world.run(&["plan"]).ok().stdout.contains("promote"), "text too");
}

#[test]
fn the_diff_shows_objects_hides_secrets_and_pushes_nothing() {
    let world = World::new();
    let before = world.refs();
    let plan = world.run(&["plan", "--diff", "--format", "json"]).ok().json();
    assert_eq!(world.refs(), before, "no ledger, no branch");
    let diff = &plan["diffs"][0];
    assert_eq!((diff["stage"].as_str(), diff["branch"].as_str()), (Some("test"), Some("env/test")), "{plan:#}");
    assert_eq!(diff["repoURL"], world.config.url());
    let files = diff["files"].as_array().unwrap();
    let paths: Vec<&str> = files.iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["version.txt", "web.yaml"]);
    let commit = world.app.tip("refs/heads/main").unwrap();
    assert!(files[0]["diff"].as_str().unwrap().contains(&format!("+{commit}")), "{diff:#}");
    let objects: Vec<&str> = files[1]["objects"].as_array().unwrap().iter().map(|object| object["kind"].as_str().unwrap()).collect();
    assert_eq!(objects, ["Secret", "Deployment"]);
    assert!(!plan.to_string().contains("hunter2"), "{plan:#}");

    world.run(&["run"]).ok();
    world.app.commit("main", "Say more", &[("greeting.txt", Some("hello there\n"))]);
    let plan = world.run_at("2026-03-02T10:00:00Z", &["plan", "--diff", "--format", "json"]).ok().json();
    let files = plan["diffs"][0]["files"].as_array().unwrap();
    assert_eq!(files.len(), 1, "only what changes: {plan:#}");
    assert!(files[0]["diff"].as_str().unwrap().contains(&format!("-{commit}")), "{plan:#}");
    let text = world.run_at("2026-03-02T10:00:00Z", &["plan", "--diff"]).ok().stdout;
    assert!(text.contains("version.txt (changed)"), "{text}");
}

#[test]
fn a_working_tree_that_differs_is_mentioned_and_used() {
    let world = World::new();
    let file = world.checkout().join(".consign/shop.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(world.run(&["plan"]).ok().stderr, "");
    std::fs::write(&file, text.replace("autoPromotionEnabled: true", "autoPromotionEnabled: false")).unwrap();
    let ran = world.run(&["plan", "--format", "json"]).ok();
    assert!(ran.stderr.contains("`.consign/shop.yaml`"), "{}", ran.stderr);
    assert!(!ran.json()["actions"].as_array().unwrap().iter().any(|action| action["kind"] == "promote"));
}
