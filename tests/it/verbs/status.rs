use super::World;

#[test]
fn stages_are_told_before_and_after_a_tick() {
    let world = World::new();
    let empty = world.run(&["status", "--format", "json"]).ok().json();
    assert_eq!(empty["stages"].as_array().unwrap().len(), 2);
    assert_eq!(empty["stages"][1]["freight"], serde_json::json!([]));
    world.run(&["run"]).ok();
    let status = world.run_at("2026-03-02T09:10:00Z", &["status", "--format", "json"]).ok().json();
    let test = status["stages"].as_array().unwrap().iter().find(|stage| stage["name"] == "test").unwrap();
    assert_eq!(test["project"], "shop");
    assert_eq!(test["autoPromotion"], true);
    assert_eq!(test["freight"][0]["origin"], "Warehouse/app", "{status:#}");
    assert_eq!(test["lastPromotion"]["phase"], "Succeeded");
    assert_eq!(status["warehouses"][0]["name"], "app");
    let text = world.run_at("2026-03-02T09:10:00Z", &["status"]).ok().stdout;
    assert!(text.contains("Succeeded ") && text.contains("m ago"), "{text}");
}

#[test]
fn one_stage_tells_what_waits_before_it() {
    let world = World::new();
    world.run(&["run"]).ok();
    let status = world.run(&["status", "prod", "--format", "json"]).ok().json();
    assert_eq!(status["stages"].as_array().unwrap().len(), 1);
    let gates = status["stages"][0]["waiting"][0]["gates"].as_array().unwrap();
    assert!(gates.iter().any(|gate| gate["gate"] == "availability" && gate["opensAt"] == "2026-03-02T10:00:00Z"), "{status:#}");
    let ran = world.run(&["status", "prd"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("did you mean `prod`?"), "{}", ran.stderr);
}
