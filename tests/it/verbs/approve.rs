//! `approve` of freight.

use crate::support::project::Project;

#[test]
fn approved_freight_skips_the_stages_before() {
    let project = Project::new(&[]);
    let commit = project.release("one");
    let freight = project.freight().remove(0);
    let said = project.run(&["approve", &freight]).exits(2);
    assert!(said.err.contains("--stage STAGE"), "{}", said.err);
    let record = project.json(&["approve", &freight[..7], "--stage", "prod"]);
    assert_eq!(record["status"]["approvedFor"]["prod"]["actor"], "cli:ada", "{record}");
    // The first approval counts.
    let again = project.json(&["approve", &freight, "--stage", "prod", "--actor", "eve"]);
    assert_eq!(again["status"]["approvedFor"]["prod"]["actor"], "cli:ada");
    project.json(&["promote", "prod", "--freight", &freight]);
    assert_eq!(project.version("prod"), commit);
}
