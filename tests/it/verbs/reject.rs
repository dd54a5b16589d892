//! `reject`, `abort` and `approve` of promotions that wait for their proposal.

use crate::support::project::Project;

/// A promotion to `prod` whose proposal waits to be merged.
fn waiting(project: &Project) -> serde_json::Value {
    project.release("one");
    project.json(&["promote", "test"]);
    project.run(&["run"]).exits(0);
    let done = project.json(&["promote", "prod"]);
    assert_eq!(done["phase"], "Running", "{done}");
    done
}

#[test]
fn a_rejected_proposal_is_closed() {
    let project = Project::gated(&[]);
    let done = waiting(&project);
    let proposed: Vec<String> = project.branches().into_iter().filter(|branch| branch != "main" && branch != "consign/state").collect();
    assert_eq!(proposed.len(), 1, "{proposed:?}");
    let record = project.json(&["reject", "prod", "--reason", "not on Fridays"]);
    assert_eq!((record["metadata"]["name"].as_str(), record["status"]["phase"].as_str()), (done["name"].as_str(), Some("Aborted")), "{record}");
    assert_eq!(record["status"]["message"], "rejected by cli:ada: not on Fridays");
    assert_eq!(project.branches(), ["consign/state", "main"]);
    project.run(&["reject", done["name"].as_str().unwrap()]).exits(3);
    project.run(&["run"]).exits(0);
    project.run(&["fsck"]).exits(0);
}

#[test]
fn an_approval_is_written_down_with_the_head_that_was_seen() {
    let project = Project::gated(&[]);
    let done = waiting(&project);
    let proposed = project.branches().into_iter().find(|branch| branch != "main" && branch != "consign/state").unwrap();
    let record = project.json(&["approve", done["name"].as_str().unwrap()]);
    let approvals = record["status"]["consign"]["approvals"].as_array().unwrap();
    assert_eq!(approvals.len(), 1, "{record}");
    assert_eq!(approvals[0]["actor"], "cli:ada");
    assert_eq!(approvals[0]["head"].as_str().unwrap(), project.config.tip(&proposed).unwrap());
    let again = project.json(&["approve", "prod"]);
    assert_eq!(again["status"]["consign"]["approvals"].as_array().unwrap().len(), 1);
    let record = project.json(&["abort", "prod"]);
    assert_eq!(record["status"]["phase"], "Aborted");
    assert!(project.branches().contains(&proposed), "an abort leaves the branch");
}
