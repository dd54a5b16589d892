use super::World;

#[test]
fn the_steps_of_a_promotion_are_told() {
    let world = World::new();
    world.run(&["run"]).ok();
    let history = world.run(&["history", "--format", "json"]).ok().json();
    let name = history["promotions"][0]["name"].as_str().unwrap();
    let logs = world.run(&["logs", name, "--format", "json"]).ok().json();
    assert_eq!((logs["kind"].as_str(), logs["phase"].as_str()), (Some("Promotion"), Some("Succeeded")));
    assert_eq!(logs["steps"][0]["kind"], "git-clone");
    assert_eq!(logs["steps"][0]["status"], "Succeeded");
    let text = world.run(&["logs", &name[name.len() - 7..]]).ok().stdout;
    assert!(text.contains("git-push"), "a unique part of the name will do: {text}");
    let ran = world.run(&["logs", "test.nothing"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
}
