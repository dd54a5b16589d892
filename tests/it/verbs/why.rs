use super::World;

#[test]
fn every_gate_is_told_with_what_opens_it() {
    let world = World::new();
    world.run(&["run"]).ok();
    let list = world.run(&["freight", "list", "--format", "json"]).ok().json();
    let freight = &list["freight"][0];
    let (name, alias) = (freight["metadata"]["name"].as_str().unwrap(), freight["alias"].as_str().unwrap());
    for text in [name, alias, &name[..7]] {
        let why = world.run(&["why", text, "prod", "--format", "json"]).ok().json();
        let gate = |wanted: &str| why["gates"].as_array().unwrap().iter().find(|gate| gate["gate"] == wanted).unwrap().clone();
        assert_eq!(gate("availability")["open"], false);
        assert_eq!(gate("availability")["opensAt"], "2026-03-02T10:00:00Z", "{why:#}");
        assert_eq!(gate("quarantine")["open"], true);
    }
    let later = world.run_at("2026-03-02T10:00:01Z", &["why", name, "prod", "--format", "json"]).ok().json();
    assert_eq!(later["gates"].as_array().unwrap().iter().find(|gate| gate["gate"] == "availability").unwrap()["open"], true);
    let text = world.run(&["why", alias, "prod"]).ok().stdout;
    assert!(text.contains("CLOSED") && text.contains("opens in 60m"), "{text}");
}

#[test]
fn an_unknown_freight_or_stage_is_a_mistake_of_the_user() {
    let world = World::new();
    world.run(&["run"]).ok();
    for args in [["why", "nothing-like-it", "prod"], ["why", "a", "nowhere"]] {
        let ran = world.run(&args);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains("hint: "), "{}", ran.stderr);
    }
}
