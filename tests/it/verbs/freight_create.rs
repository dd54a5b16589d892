//! `freight create` and `freight alias`.

use crate::support::project::Project;

#[test]
fn a_freight_is_made_of_a_chosen_commit() {
    let project = Project::new(&[]);
    let one = project.app.commit("main", "one", &[("app.txt", Some("one"))]);
    project.release("two");
    let dry = project.json(&["freight", "create", "--warehouse", "web", "--commit", &one[..8], "--dry-run"]);
    assert_eq!(dry["commits"][0]["id"].as_str(), Some(one.as_str()), "{dry}");
    assert_eq!(project.freight().len(), 1, "nothing is written");
    let choice = format!("{}={one}", project.app.url());
    let made = project.json(&["freight", "create", "--warehouse", "web", "--commit", &choice]);
    assert_eq!((&made["metadata"]["name"], &made["alias"]), (&dry["metadata"]["name"], &dry["alias"]));
    assert_eq!(made["commits"][0]["message"], "one");
    assert_eq!(project.freight().len(), 2);
    let said = project.run(&["freight", "create", "--warehouse", "web", "--commit", &one]).exits(0);
    assert!(said.out.starts_with("known"), "{}", said.out);
    project.run(&["freight", "alias", made["alias"].as_str().unwrap(), "the-first"]).exits(0);
    project.json(&["promote", "test", "--freight", "the-first"]);
    assert_eq!(project.version("test"), one);
    project.run(&["fsck"]).exits(0);
}

#[test]
fn what_cannot_be_a_freight_is_explained() {
    let project = Project::new(&[]);
    project.release("one");
    let said = project.run(&["freight", "create", "--warehouse", "wbe", "--commit", "main"]).exits(2);
    assert!(said.err.contains("did you mean `web`?"), "{}", said.err);
    let said = project.run(&["freight", "create", "--warehouse", "web"]).exits(2);
    assert!(said.err.contains("at least one artifact") && said.err.contains("--commit"), "{}", said.err);
    let said = project.run(&["freight", "create", "--warehouse", "web", "--commit", "deadbeef"]).exits(2);
    assert!(said.err.contains("no branch, tag or commit `deadbeef`"), "{}", said.err);
    let said = project.run(&["freight", "create", "--warehouse", "web", "--image", "nginx=1.27"]).exits(2);
    assert!(said.err.contains("no subscription of the warehouse is to `nginx`"), "{}", said.err);
    let said = project.run(&["freight", "alias", &project.freight()[0], "no-"]).exits(2);
    assert!(said.err.contains("cannot be an alias"), "{}", said.err);
}
