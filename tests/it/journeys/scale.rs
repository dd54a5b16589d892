//! What a tick costs. Git processes and requests are exact, whatever the machine: a number that grows here is a regression.

use crate::support::git_server::GitServer;
use crate::support::machine::Machine;
use crate::support::monorepo::{Monorepo, Shape, branch};

#[test]
fn a_hundred_stages_on_twenty_thousand_files_cost_what_one_costs() {
    let server = GitServer::start();
    let world = Monorepo::make(&server, "mono", Shape::large(100));
    let url = world.repository.url();
    let warm = Machine::new();

    warm.tick(&server, url).well();
    for stage in 0..100 {
        assert_eq!((world.deployed(stage).as_deref(), world.commits(&branch(stage))), (Some("1"), 2), "stage {stage}");
    }

    world.release("2");
    let ran = warm.tick(&server, url).well();
    for stage in 0..100 {
        assert_eq!((world.deployed(stage).as_deref(), world.commits(&branch(stage))), (Some("2"), 3), "stage {stage}");
    }
    assert!(ran.git.len() <= 14 && ran.requests.len() <= 7, "warm: {}", ran.bill());

    world.release("3");
    let ran = Machine::new().tick(&server, url).well();
    for stage in 0..100 {
        assert_eq!((world.deployed(stage).as_deref(), world.commits(&branch(stage))), (Some("3"), 4), "stage {stage}");
    }
    assert!(ran.git.len() <= 18 && ran.requests.len() <= 9, "empty store: {}", ran.bill());
}

#[test]
fn an_idle_tick_is_one_look() {
    let server = GitServer::start();
    let world = Monorepo::make(&server, "mono", Shape { warehouses: 10, ..Shape::small(100) });
    let url = world.repository.url();
    let machine = Machine::new();
    machine.tick(&server, url).well();
    machine.tick(&server, url).well();

    let ledger = world.repository.tip("refs/heads/consign/state");
    let ran = machine.tick(&server, url).well();
    assert_eq!(world.repository.tip("refs/heads/consign/state"), ledger, "an idle tick writes nothing");
    assert_eq!(ran.out, "nothing to do\n");
    assert_eq!(ran.requests.len(), 2, "{}", ran.bill());
    assert!(ran.bytes() <= 20_000, "{} bytes: {}", ran.bytes(), ran.bill());
}
