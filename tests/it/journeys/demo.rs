//! `demo`, and what it says to type next.

use consign::cli::demo::{APP_FILES, CONFIG_FILES};

use crate::support::world::{World, files_of};

#[test]
fn the_demo_plays_the_shipped_example_whole() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/template-only");
    let shipped = files_of(&root);
    let own = CONFIG_FILES.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    let mut built_in: Vec<(String, String)> = own.chain(APP_FILES.iter().map(|(path, text)| (format!("app/{path}"), (*text).to_owned()))).collect();
    built_in.sort();
    assert_eq!(built_in, shipped);
}

#[test]
fn what_the_demo_says_to_type_finishes_prod() {
    let world = World::new();
    let folder = world.folder("play");
    let answer = world.consign_in(&folder, &["demo"]);
    assert_eq!(answer.code, 0, "{}{}", answer.out, answer.err);
    let checkout = folder.join("consign-demo/gitops");
    let app = |branch: &str| {
        let text = crate::support::git_server::run_git(&folder.join("consign-demo/gitops.git"), &["show", &format!("{branch}:deployment.yaml")], b"");
        text.lines().find(|line| line.contains("image:")).unwrap().trim().to_owned()
    };
    assert_eq!((app("env/uat").as_str(), app("env/prod").as_str()), ("image: ghcr.io/acme/web:v1.1.0", "image: ghcr.io/acme/web:v1.0.0"));

    // The printed merge command, as a shell runs it.
    let merge = answer.out.lines().find(|line| line.contains("git push origin")).unwrap().trim();
    let merged = std::process::Command::new("sh").args(["-c", merge]).current_dir(&checkout).env("HOME", world.folder("empty")).output().unwrap();
    assert!(merged.status.success(), "{merge}: {}", String::from_utf8_lossy(&merged.stderr));
    let run = world.consign_in(&checkout, &["--local", "run"]);
    assert!(run.code == 0 && run.out.starts_with("promoted   prod"), "{}{}", run.out, run.err);
    assert_eq!(app("env/prod"), "image: ghcr.io/acme/web:v1.1.0");
    let idle = world.consign_in(&checkout, &["--local", "run"]);
    assert_eq!((idle.code, idle.out.as_str()), (0, "nothing to do\n"), "{}", idle.err);
}

#[test]
fn a_folder_that_holds_something_is_left_alone() {
    let world = World::new();
    let folder = world.folder("mine");
    std::fs::write(folder.join("note.txt"), "mine").unwrap();
    let answer = world.consign(&["demo", "mine"]);
    assert_eq!(answer.code, 2, "{}", answer.err);
    assert!(answer.err.contains("`mine` is not empty"), "{}", answer.err);
    assert_eq!(files_of(&folder), [("note.txt".to_owned(), "mine".to_owned())]);
}
