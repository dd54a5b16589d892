//! `rollback` and `adopt`.

use crate::support::git_server::Fault;
use crate::support::project::Project;

fn promote(project: &Project, stage: &str, text: &str) -> String {
    let commit = project.release(text);
    let done = project.json(&["promote", stage]);
    assert_eq!(done["phase"], "Succeeded", "{done}");
    project.run(&["run"]).exits(0);
    commit
}

#[test]
fn a_rollback_restores_what_was_written_and_holds_the_stage() {
    let project = Project::new(&[]);
    let one = promote(&project, "test", "one");
    let two = promote(&project, "test", "two");
    assert_eq!(project.version("test"), two);
    // What others do to other paths meanwhile stays.
    project.config.commit("main", "docs", &[("README.md", Some("more\n"))]);
    let parent = project.config.tip("main").unwrap();
    let done = project.json(&["rollback", "test", "--reason", "errors"]);
    assert_eq!(done["phase"], "Succeeded", "{done}");
    assert_eq!(project.version("test"), one);
    assert_eq!(project.config.file("main", "README.md").unwrap(), "more\n");
    assert_eq!(project.config.git(&["rev-parse", "main^"]), parent, "one commit on top");
    let record = project.ledger(&format!("shop/promotions/test/{}.yaml", done["name"].as_str().unwrap())).unwrap();
    for part in ["trigger: rollback", "restores: ", "kargo.akuity.io/rollback"] {
        assert!(record.contains(part), "{part}: {record}");
    }
    let stage = project.ledger("shop/stages/test.yaml").unwrap();
    assert!(stage.contains("autoPromotionHolds") && stage.contains("errors"), "{stage}");
    // The next tick leaves it so, and going back once more says that there is nothing.
    project.run(&["run"]).exits(0);
    assert_eq!(project.version("test"), one);
    let said = project.run(&["rollback", "test"]).exits(3);
    assert!(said.err.contains("no earlier promotion"), "{}", said.err);
    project.run(&["fsck"]).exits(0);
}

#[test]
fn a_rollback_goes_to_the_freight_that_is_asked_for_and_survives_lost_answers() {
    let project = Project::new(&[]);
    let one = promote(&project, "test", "one");
    promote(&project, "test", "two");
    promote(&project, "test", "three");
    let freight = project.freight();
    project.server.inject("git-receive-pack", Fault::NoAnswer);
    let done = project.json(&["rollback", "test", "--to", &freight[0]]);
    assert_eq!(done["freight"].as_str(), Some(freight[0].as_str()));
    assert_eq!(project.version("test"), one);
    let said = project.run(&["rollback", "test", "--to", &freight[0]]).exits(3);
    assert!(said.err.contains("already holds"), "{}", said.err);
    project.run(&["fsck"]).exits(0);
}

#[test]
fn with_rerun_the_steps_run_again() {
    let project = Project::new(&["test"]);
    let one = project.release("one");
    project.run(&["run"]).exits(0);
    let two = project.release("two");
    assert_eq!(project.version("test"), two);
    let done = project.json(&["rollback", "test", "--rerun"]);
    assert_eq!((done["phase"].as_str(), done["steps"].as_array().unwrap().len()), (Some("Succeeded"), 4), "{done}");
    assert_eq!(project.version("test"), one);
    project.run(&["run"]).exits(0);
    assert_eq!(project.version("test"), one, "auto-promotion is held");
}

#[test]
fn what_somebody_else_wrote_is_adopted() {
    let project = Project::new(&[]);
    let said = project.run(&["adopt", "test"]).exits(3);
    assert!(said.err.contains("has written anything yet"), "{}", said.err);
    let one = promote(&project, "test", "one");
    let said = project.run(&["adopt", "test"]).exits(0);
    assert!(said.out.contains("nothing to adopt"), "{}", said.out);
    let tip = project.config.commit("main", "by hand", &[("test/values.yaml", Some("version: by-hand\n"))]);
    let record = project.json(&["adopt", "test", "--reason", "it works"]);
    let written = &record["status"]["consign"]["written"][0];
    assert_eq!((written["commit"].as_str(), written["branch"].as_str()), (Some(tip.as_str()), Some("main")), "{record}");
    assert_eq!(project.run(&["adopt", "test"]).exits(0).out.lines().count(), 1);
    // What was adopted can be gone back to.
    project.run(&["run"]).exits(0);
    promote(&project, "test", "two");
    project.json(&["rollback", "test"]);
    assert_eq!(project.version("test"), "by-hand");
    assert_ne!(one, "by-hand");
    project.run(&["fsck"]).exits(0);
}
