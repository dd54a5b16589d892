use super::World;

#[test]
fn promotions_are_told_newest_first() {
    let world = World::new();
    assert_eq!(world.run(&["history", "--format", "json"]).ok().json(), serde_json::json!({"promotions": []}));
    world.run(&["run"]).ok();
    world.app.commit("main", "Say more", &[("greeting.txt", Some("hello there\n"))]);
    world.run_at("2026-03-02T09:30:00Z", &["run"]).ok();
    let history = world.run(&["history", "test", "--format", "json"]).ok().json();
    let promotions = history["promotions"].as_array().unwrap();
    assert_eq!(promotions.len(), 2, "{history:#}");
    assert!(promotions[0]["name"].as_str() > promotions[1]["name"].as_str());
    assert_eq!(promotions[0]["phase"], "Succeeded");
    assert_eq!(promotions[0]["written"][0]["commit"], world.config.tip("refs/heads/env/test").unwrap());
    assert_eq!(world.run(&["history", "prod", "--format", "json"]).ok().json()["promotions"], serde_json::json!([]));
    assert_eq!(world.run(&["history", "nowhere"]).code, 2);
}
