use super::World;

#[test]
fn each_subscription_answers_for_itself() {
    let world = World::new();
    let head = world.app.commit("main", "Say more", &[("greeting.txt", Some("hello there\n"))]);
    let before = world.refs();
    let found = world.run(&["discover", "--format", "json"]).ok().json();
    let subscription = &found["warehouses"][0]["subscriptions"][0];
    assert_eq!((subscription["type"].as_str(), subscription["repoURL"].as_str()), (Some("git"), Some(world.app.url())));
    assert_eq!(subscription["artifacts"][0]["id"], head.as_str(), "newest first: {found:#}");
    assert_eq!(subscription["artifacts"].as_array().unwrap().len(), 2);
    assert_eq!(subscription["error"], serde_json::Value::Null);
    assert_eq!(world.refs(), before);

    let file = world.checkout().join(".consign/shop.yaml");
    let missing = world.server.url("acme/none");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("  subscriptions:\n", &format!("  subscriptions:\n  - git: {{repoURL: \"{missing}\", branch: main}}\n"), 1))
        .unwrap();
    let ran = world.run(&["discover", "app", "--format", "json"]);
    assert_ne!(ran.code, 0, "a source that fails is a failure");
    let found = ran.json();
    let subscriptions = found["warehouses"][0]["subscriptions"].as_array().unwrap();
    assert!(subscriptions[0]["error"].is_string() && subscriptions[1]["error"].is_null(), "{found:#}");
    assert_eq!(subscriptions[1]["artifacts"][0]["id"], head.as_str());
    assert_eq!(world.run(&["discover", "ap"]).code, 2);
}
