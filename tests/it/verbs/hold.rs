//! `hold`, `release` and `quarantine`.

use crate::support::project::Project;

#[test]
fn a_held_stage_is_not_promoted_automatically_until_it_is_released() {
    let project = Project::new(&["test"]);
    let record = project.json(&["hold", "test", "--reason", "freeze"]);
    let hold = &record["status"]["autoPromotionHolds"]["Warehouse/web"];
    assert_eq!((hold["actor"].as_str(), hold["reason"].as_str()), (Some("cli:ada"), Some("freeze")), "{record}");
    let commit = project.release("one");
    assert_eq!(project.version("test"), "none");
    let record = project.json(&["release", "test", "--origin", "web"]);
    assert!(record["status"]["autoPromotionHolds"].is_null(), "{record}");
    project.run(&["run"]).exits(0);
    assert_eq!(project.version("test"), commit);
}

#[test]
fn all_stages_are_held_at_once() {
    let project = Project::new(&["test", "prod"]);
    let records = project.json(&["hold", "--all", "--reason", "holidays"]);
    let names: Vec<&str> = records.as_array().unwrap().iter().map(|record| record["metadata"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["prod", "test"]);
    project.release("one");
    assert_eq!(project.version("test"), "none");
    project.run(&["hold"]).exits(2);
    let said = project.run(&["hold", "test", "--origin", "wbe"]).exits(2);
    assert!(said.err.contains("did you mean `web`?"), "{}", said.err);
}

#[test]
fn no_stage_takes_freight_in_quarantine() {
    let project = Project::new(&[]);
    let commit = project.release("one");
    let freight = project.freight().remove(0);
    let record = project.json(&["quarantine", &freight, "--reason", "CVE"]);
    assert_eq!(record["status"]["quarantined"]["reason"], "CVE", "{record}");
    let said = project.run(&["promote", "test", "--freight", &freight]).exits(3);
    assert!(said.err.contains("quarantine"), "{}", said.err);
    let said = project.run(&["promote", "test", "--freight", &freight, "--bypass", "--reason", "x"]).exits(3);
    assert!(said.err.contains("quarantine"), "not even the hotfix lane: {}", said.err);
    project.json(&["quarantine", &freight, "--lift"]);
    project.json(&["promote", "test", "--freight", &freight]);
    assert_eq!(project.version("test"), commit);
}
