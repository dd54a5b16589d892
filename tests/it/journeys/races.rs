//! Ticks that race, die or are refused: nothing is lost, nothing is done twice.

use std::time::Duration;

use crate::support::git_server::{Fault, GitServer};
use crate::support::machine::{Machine, eventually, kill};
use crate::support::monorepo::{Monorepo, Shape, branch};

/// Every stage has a version, by this many commits.
#[track_caller]
fn stands(world: &Monorepo, version: &str, commits: usize) {
    for stage in 0..world.shape.stages {
        let found = (world.deployed(stage), world.commits(&branch(stage)));
        assert_eq!(found, (Some(version.to_owned()), commits), "stage {stage}");
    }
}

/// How often the ledger says that a promotion has succeeded.
fn succeeded(world: &Monorepo) -> usize {
    let files = world.repository.git(&["ls-tree", "-r", "--name-only", "consign/state"]);
    let promotions = files.lines().filter(|path| path.contains("/promotions/"));
    promotions.filter(|path| world.repository.file("consign/state", path).unwrap().contains("phase: Succeeded")).count()
}

#[test]
fn two_ticks_at_once_promote_once() {
    let server = GitServer::start();
    let world = Monorepo::make(&server, "mono", Shape::small(6));
    let url = world.repository.url();
    let machines = [Machine::new(), Machine::new()];
    machines[0].tick(&server, url).well();
    stands(&world, "1", 2);
    for round in 0..3 {
        let version = format!("{}", round + 2);
        world.release(&version);
        // The first of them to push waits for the other to have looked: both have the same plan.
        server.inject("service=git-receive-pack", Fault::Delay(Duration::from_millis(700)));
        let ticks: Vec<_> = machines.iter().map(|machine| machine.spawn(url)).collect();
        for tick in ticks {
            let output = tick.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        }
        stands(&world, &version, round + 3);
        assert_eq!(succeeded(&world), world.shape.stages * (round + 2), "every promotion once");
    }
}

#[test]
fn two_ticks_at_once_on_one_cache_promote_once() {
    let server = GitServer::start();
    let world = Monorepo::make(&server, "mono", Shape::small(6));
    let url = world.repository.url();
    let machine = Machine::new();
    let ticks = [machine.spawn(url), machine.spawn(url)];
    for tick in ticks {
        let output = tick.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
    stands(&world, "1", 2);
    assert_eq!(succeeded(&world), 6);
}

/// Kills a tick that is held up at a request, then lets another one finish.
fn killed_at(request: &str, landed: bool) {
    let server = GitServer::start();
    let world = Monorepo::make(&server, "mono", Shape::small(4));
    let url = world.repository.url();
    let machine = Machine::new();
    machine.tick(&server, url).well();
    stands(&world, "1", 2);

    world.release("2");
    let before = world.repository.tip(&branch(0));
    server.inject(request, Fault::Delay(Duration::from_secs(3)));
    let tick = machine.spawn(url);
    eventually("the request", || server.faults_left() == 0);
    if landed {
        eventually("the push on the server", || world.repository.tip(&branch(0)) != before);
    }
    kill(tick);

    machine.tick(&server, url).well();
    stands(&world, "2", 3);
    assert_eq!(succeeded(&world), 8, "every promotion once");
    machine.tick(&server, url).well();
    stands(&world, "2", 3);
}

#[test]
fn killed_while_it_looks() {
    killed_at("service=git-upload-pack", false);
}

#[test]
fn killed_while_it_fetches() {
    killed_at("/git-upload-pack", false);
}

#[test]
fn killed_before_its_push() {
    killed_at("service=git-receive-pack", false);
}

#[test]
fn killed_after_its_push_and_before_the_answer() {
    killed_at("/git-receive-pack", true);
}

#[test]
fn killed_at_many_moments() {
    let server = GitServer::start();
    let world = Monorepo::make(&server, "mono", Shape::small(4));
    let url = world.repository.url();
    let machine = Machine::new();
    let whole = machine.tick(&server, url).well().took;
    stands(&world, "1", 2);
    for round in 0..6_u32 {
        let version = format!("{}", round + 2);
        world.release(&version);
        let tick = machine.spawn(url);
        std::thread::sleep(whole * (2 * round + 1) / 14);
        kill(tick);
        machine.tick(&server, url).well();
        stands(&world, &version, round as usize + 3);
    }
}

#[test]
fn an_answer_that_is_lost_is_no_second_promotion() {
    let server = GitServer::start();
    let world = Monorepo::make(&server, "mono", Shape::small(4));
    let url = world.repository.url();
    let machine = Machine::new();
    machine.tick(&server, url).well();
    for (round, fault) in [Fault::CutAnswer, Fault::NoAnswer, Fault::Status(502)].into_iter().enumerate() {
        let version = format!("{}", round + 2);
        world.release(&version);
        server.inject("/git-receive-pack", fault);
        machine.tick(&server, url).well();
        stands(&world, &version, round + 3);
        assert_eq!(succeeded(&world), 4 * (round + 2));
    }
}

/// One stage of many is refused: the others are promoted in that tick, the one says why.
fn refused_by(hook: &str, script: &str, stages: usize) {
    let server = GitServer::start();
    let world = Monorepo::make(&server, "mono", Shape::small(stages));
    let url = world.repository.url();
    let machine = Machine::new();
    machine.tick(&server, url).well();
    world.release("2");
    world.repository.hook(hook, script);
    let ran = machine.tick(&server, url);
    let mut others = (0..stages).filter(|stage| *stage != 3);
    assert!(others.all(|stage| world.deployed(stage).as_deref() == Some("2")), "the others are promoted\n{}\n{}", ran.out, ran.err);
    assert_eq!((world.deployed(3).as_deref(), world.commits(&branch(3))), (Some("1"), 2));
    let line = ran.out.lines().find(|line| line.contains("stage-003")).unwrap_or_else(|| panic!("{}\n{}", ran.out, ran.err));
    assert!(line.starts_with("refused") && line.contains("env/stage-003") && line.contains("frozen until Monday"), "{line}");
    assert_eq!(succeeded(&world), 2 * stages - 1);
    // It is recorded, so the next tick does not try again by itself.
    let again = machine.tick(&server, url).well();
    assert_eq!(again.out, "nothing to do\n");
}

#[test]
fn one_of_a_hundred_branches_refused_by_an_update_hook() {
    refused_by("update", "case $1 in */env/stage-003) echo 'env/stage-003 is frozen until Monday' >&2; exit 1;; esac", 100);
}

#[test]
fn one_branch_refused_by_a_hook_that_names_no_culprit() {
    refused_by("pre-receive", "if grep -q env/stage-003; then echo 'env/stage-003 is frozen until Monday' >&2; exit 1; fi", 12);
}
