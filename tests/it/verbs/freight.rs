use super::World;

#[test]
fn freight_is_listed_newest_first_and_shown() {
    let world = World::new();
    assert_eq!(world.run(&["freight", "list", "--format", "json"]).ok().json(), serde_json::json!({"freight": []}));
    world.run(&["run"]).ok();
    let second = world.app.commit("main", "Say more", &[("greeting.txt", Some("hello there\n"))]);
    world.run_at("2026-03-02T09:30:00Z", &["run"]).ok();
    let list = world.run(&["freight", "list", "--format", "json"]).ok().json();
    let list = list["freight"].as_array().unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(list[0]["commits"][0]["id"], second.as_str());
    let shown = world.run(&["freight", "show", list[1]["alias"].as_str().unwrap(), "--format", "json"]).ok().json();
    assert_eq!(&shown, &list[1]);
    assert!(world.run(&["freight", "list"]).ok().stdout.contains("test"), "where it is");
    assert_eq!(world.run(&["freight", "list", "--warehouse", "other", "--format", "json"]).ok().json()["freight"], serde_json::json!([]));
    assert_eq!(world.run(&["freight", "show", "zzzz"]).code, 2);
}
