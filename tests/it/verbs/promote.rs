//! `promote` and `retry`.

use crate::support::project::Project;

#[test]
fn a_person_promotes_and_the_files_and_the_ledger_say_so() {
    let project = Project::new(&[]);
    let commit = project.release("one");
    assert_eq!(project.version("test"), "none", "nothing is promoted by itself");
    let done = project.json(&["promote", "test"]);
    assert_eq!((done["phase"].as_str(), done["stage"].as_str()), (Some("Succeeded"), Some("test")), "{done}");
    assert_eq!(done["steps"].as_array().unwrap().len(), 4);
    assert_eq!(project.version("test"), commit);
    assert!(project.log().contains("promote "), "{}", project.log());
    assert!(project.log().contains("by cli:ada"), "{}", project.log());
    // What was verified there is available to the next stage.
    project.run(&["run"]).exits(0);
    let done = project.json(&["promote", "prod", "--wait"]);
    assert_eq!(done["phase"], "Succeeded");
    assert_eq!(project.version("prod"), commit);
    project.run(&["fsck"]).exits(0);
}

#[test]
fn what_is_not_available_is_refused_with_what_opens_it() {
    let project = Project::new(&[]);
    project.release("one");
    let freight = project.freight().remove(0);
    let said = project.run(&["promote", "prod", "--freight", &freight[..8]]).exits(3);
    assert!(said.err.contains("may not enter `prod`") && said.err.contains("test"), "{}", said.err);
    assert!(said.err.contains("consign approve"), "{}", said.err);
    let said = project.run(&["promote", "prod"]).exits(3);
    assert!(said.err.contains("no freight of `web` is available to `prod`"), "{}", said.err);
    assert!(project.records("shop/promotions").is_empty(), "nothing is written");
}

#[test]
fn names_that_are_wrong_are_answered_with_those_that_are_meant() {
    let project = Project::new(&[]);
    project.release("one");
    let said = project.run(&["promote", "tets"]).exits(2);
    assert!(said.err.contains("did you mean `test`?"), "{}", said.err);
    let said = project.run(&["promote", "test", "--freight", "nobody-knows"]).exits(2);
    assert!(said.err.contains("there is no freight `nobody-knows`"), "{}", said.err);
    let said = project.run(&["abort", "test.01"]).exits(2);
    assert!(said.err.contains("there is no promotion"), "{}", said.err);
}

#[test]
fn the_hotfix_lane_approves_promotes_and_holds_in_one_commit() {
    let project = Project::new(&["prod"]);
    let commit = project.release("fix");
    let freight = project.freight().remove(0);
    project.run(&["promote", "prod", "--freight", &freight, "--bypass"]).exits(2);
    let before: u32 = project.config.git(&["rev-list", "--count", "consign/state"]).parse().unwrap();
    let done = project.json(&["promote", "prod", "--freight", &freight, "--bypass", "--reason", "prod is down"]);
    assert_eq!(done["phase"], "Succeeded", "{done}");
    assert_eq!(project.version("prod"), commit);
    let stage = project.ledger("shop/stages/prod.yaml").unwrap();
    assert!(stage.contains("autoPromotionHolds") && stage.contains("prod is down"), "{stage}");
    let lane = project.config.git(&["log", "--format=%H", "--reverse", "consign/state"]);
    let lane = lane.lines().nth(before as usize).unwrap();
    let touched = project.config.git(&["show", "--format=", "--name-only", lane]);
    for part in ["shop/stages/prod.yaml", "shop/promotions/prod/", "shop/freight/"] {
        assert!(touched.contains(part), "{part} is not in the one commit: {touched}");
    }
    project.run(&["fsck"]).exits(0);
}

#[test]
fn a_promotion_that_failed_is_retried() {
    let project = Project::new(&[]);
    let commit = project.release("one");
    project.config.commit("main", "break", &[("test/values.yaml", None)]);
    let done = project.json(&["promote", "test"]);
    let phase = done["phase"].as_str().unwrap().to_owned();
    assert!(["Failed", "Errored"].contains(&phase.as_str()), "{done}");
    project.run(&["promote", "test", "--wait", "--timeout", "1m"]).exits(1);
    project.config.commit("main", "mend", &[("test/values.yaml", Some("version: none\n"))]);
    let record = project.json(&["retry", done["name"].as_str().unwrap()]);
    assert_eq!((record["kind"].as_str(), record["status"]["phase"].as_str()), (Some("Promotion"), Some("Succeeded")), "{record}");
    assert_eq!(project.version("test"), commit);
}
