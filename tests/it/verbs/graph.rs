use super::World;

#[test]
fn the_pipeline_is_drawn() {
    let world = World::new();
    let text = world.run(&["graph"]).ok().stdout;
    assert_eq!(text, "app (warehouse)\n└─ test\n   └─ prod after soak 1h0m0s\n");
    let mermaid = world.run(&["graph", "--format", "mermaid"]).ok().stdout;
    assert!(mermaid.starts_with("flowchart LR\n"), "{mermaid}");
    assert_eq!(world.run(&["graph", "--format", "svg"]).code, 2);
}

#[test]
fn a_drawing_needs_no_remote() {
    let world = World::new();
    crate::support::git_server::run_git(&world.checkout(), &["remote", "remove", "origin"], b"");
    assert!(world.run(&["graph"]).ok().stdout.contains("└─ test"));
}
