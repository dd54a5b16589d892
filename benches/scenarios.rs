//! `make bench SCENARIO=S5`: what whole ticks cost, beside what a script would cost and what bare git cannot undercut.
//!
//! Every number of a table comes from one run on one machine, over smart HTTP on loopback. Counts are exact; times are only good as ratios to
//! the limit of the same run: `git ls-remote`, and a push of the very commits that the tick made.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use git_server::{GitServer, Repository, run_git, sealed};
use machine::{Machine, Ran, traced};
use monorepo::{Monorepo, Shape};
use serde::Serialize;

#[path = "../tests/it/support/git_server.rs"]
mod git_server;
#[path = "../tests/it/support/machine.rs"]
mod machine;
#[path = "../tests/it/support/monorepo.rs"]
mod monorepo;

/// Promotions that the naive script is measured on; more are extrapolated, in proportion.
const NAIVE: usize = 2;
/// Promotions that the sparse script is measured on.
const SPARSE: usize = 10;
/// Bytes of a file of the repository: 20,000 of them make some 80 MB.
const FILE: usize = 4_000;

/// A row of a table.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    scenario: &'static str,
    stages: usize,
    way: &'static str,
    seconds: f64,
    /// Time over that of the limit in the same run.
    ratio: Option<f64>,
    git_processes: usize,
    requests: usize,
    bytes: u64,
    /// Set when only so many promotions were measured.
    measured_on: Option<usize>,
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).map(|word| word.to_uppercase()).collect();
    type Scenario = fn() -> Vec<Row>;
    let known: [(&str, Scenario); 2] = [("S5", s5), ("S6", s6)];
    if let Some(unknown) = wanted.iter().find(|word| !known.iter().any(|(name, _)| name == word)) {
        eprintln!("there is no scenario `{unknown}`; there are: S5, S6");
        std::process::exit(2);
    }
    for (name, scenario) in known {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            let rows = scenario();
            print(&rows);
        }
    }
}

fn print(rows: &[Row]) {
    println!("{:<4} {:>6}  {:<44} {:>9} {:>8} {:>6} {:>9} {:>12}", "", "stages", "way", "seconds", "x limit", "git", "requests", "bytes");
    for row in rows {
        let ratio = row.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let note = row.measured_on.map_or_else(String::new, |measured| format!("  (measured on {measured})"));
        println!(
            "{:<4} {:>6}  {:<44} {:>9.3} {ratio:>8} {:>6} {:>9} {:>12}{note}",
            row.scenario, row.stages, row.way, row.seconds, row.git_processes, row.requests, row.bytes
        );
    }
    println!("{}", serde_json::to_string(rows).unwrap());
}

/// One freight to 1, 10 and 100 stages without a gate.
fn s5() -> Vec<Row> {
    let mut rows = Vec::new();
    for stages in [1, 10, 100] {
        let server = GitServer::start();
        let world = Monorepo::make(&server, "mono", Shape { padding: FILE, ..Shape::large(stages) });
        let url = world.repository.url().to_owned();
        let machine = Machine::new();
        machine.tick(&server, &url).well();
        world.release("2");
        let before = refs(&world.repository);

        let cold = Machine::new().tick(&server, &url).well();
        let made = refs(&world.repository);
        put_back(&world.repository, &before, &made);
        let warm = machine.tick(&server, &url).well();
        let made = refs(&world.repository);

        // The same commits by bare git: their objects are here, the refs are put back.
        let local = tempfile::tempdir().unwrap();
        run_git(local.path(), &["init", "-q", "--bare", "."], b"");
        run_git(local.path(), &["fetch", "-q", &world.repository.folder().display().to_string(), "+refs/heads/*:refs/heads/*"], b"");
        put_back(&world.repository, &before, &made);
        let limit = best_of(3, || {
            put_back(&world.repository, &before, &refs(&world.repository));
            limit(&server, &url, local.path(), &before, &made)
        });
        put_back(&world.repository, &before, &refs(&world.repository));

        let per = |measured: usize, ran: Cost| ran.times(stages, measured);
        let naive_on = stages.min(NAIVE);
        let naive = per(naive_on, script(&server, NAIVE_SCRIPT, &url, naive_on));
        put_back(&world.repository, &before, &refs(&world.repository));
        let sparse_on = stages.min(SPARSE);
        let sparse = per(sparse_on, script(&server, SPARSE_SCRIPT, &url, sparse_on));

        let extrapolated = |measured: usize| (measured < stages).then_some(measured);
        let floor = limit.seconds;
        let mut row = |way, cost: &Cost, measured_on| rows.push(cost.row("S5", stages, way, floor, measured_on));
        row("limit: ls-remote and push of the same commits", &limit, None);
        row("consign, warm store", &Cost::of(&warm), None);
        row("consign, empty store", &Cost::of(&cold), None);
        row("script (b): blobless, sparse worktrees", &sparse, extrapolated(sparse_on));
        row("script (a): a full clone per promotion", &naive, extrapolated(naive_on));
    }
    rows
}

/// Nothing has happened: 100 stage branches, 10 warehouses, one remote.
fn s6() -> Vec<Row> {
    let server = GitServer::start();
    let world = Monorepo::make(&server, "mono", Shape { padding: FILE, warehouses: 10, ..Shape::large(100) });
    let url = world.repository.url().to_owned();
    let machine = Machine::new();
    machine.tick(&server, &url).well();
    machine.tick(&server, &url).well();
    let ledger = world.repository.tip("refs/heads/consign/state");
    let idle = best_of(5, || Cost::of(&machine.tick(&server, &url).well()));
    assert_eq!(world.repository.tip("refs/heads/consign/state"), ledger, "an idle tick commits nothing");
    let limit = best_of(5, || Cost::of(&traced(&server, sealed(Path::new("/")).args(["ls-remote", "--heads", &url])).well()));
    vec![limit.row("S6", 100, "limit: ls-remote", limit.seconds, None), idle.row("S6", 100, "consign, nothing to do", limit.seconds, None)]
}

/// What something cost.
struct Cost {
    seconds: f64,
    git: usize,
    requests: usize,
    bytes: u64,
}

impl Cost {
    fn of(ran: &Ran) -> Self {
        Self { seconds: ran.took.as_secs_f64(), git: ran.git.len(), requests: ran.requests.len(), bytes: ran.bytes() }
    }

    /// In proportion, from promotions that were measured to all of them.
    fn times(self, all: usize, measured: usize) -> Self {
        let (all, measured) = (all.max(1), measured.max(1));
        Self {
            seconds: self.seconds * all as f64 / measured as f64,
            git: self.git * all / measured,
            requests: self.requests * all / measured,
            bytes: self.bytes * all as u64 / measured as u64,
        }
    }

    fn row(&self, scenario: &'static str, stages: usize, way: &'static str, floor: f64, measured_on: Option<usize>) -> Row {
        let ratio = (floor > 0.0).then_some(self.seconds / floor);
        Row { scenario, stages, way, seconds: self.seconds, ratio, git_processes: self.git, requests: self.requests, bytes: self.bytes, measured_on }
    }
}

fn best_of(times: usize, mut run: impl FnMut() -> Cost) -> Cost {
    (0..times).map(|_| run()).min_by(|a, b| a.seconds.total_cmp(&b.seconds)).unwrap()
}

/// All branches, by name.
fn refs(repository: &Repository) -> BTreeMap<String, String> {
    let list = repository.git(&["for-each-ref", "--format=%(refname) %(objectname)", "refs/heads"]);
    list.lines().filter_map(|line| line.split_once(' ')).map(|(name, oid)| (name.to_owned(), oid.to_owned())).collect()
}

/// Moves the server's branches back to where they stood.
fn put_back(repository: &Repository, before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) {
    let mut commands = String::new();
    for (name, oid) in before {
        commands += &format!("update {name} {oid}\n");
    }
    for name in now.keys().filter(|name| !before.contains_key(*name)) {
        commands += &format!("delete {name}\n");
    }
    run_git(repository.folder(), &["update-ref", "--stdin"], commands.as_bytes());
}

/// `ls-remote` and one atomic push of what differs.
fn limit(server: &GitServer, url: &str, local: &Path, before: &BTreeMap<String, String>, made: &BTreeMap<String, String>) -> Cost {
    let looked = Cost::of(&traced(server, sealed(local).args(["ls-remote", "--heads", url])).well());
    let moved: Vec<String> = made.iter().filter(|(name, oid)| before.get(*name) != Some(oid)).map(|(name, oid)| format!("{oid}:{name}")).collect();
    let mut push = sealed(local);
    push.args(["-c", "http.postBuffer=524288000", "push", "--porcelain", "--atomic", "--no-verify", url]).args(moved);
    let pushed = Cost::of(&traced(server, &mut push).well());
    Cost {
        seconds: looked.seconds + pushed.seconds,
        git: looked.git + pushed.git,
        requests: looked.requests + pushed.requests,
        bytes: looked.bytes + pushed.bytes,
    }
}

/// Runs a shell script with the URL and the number of stages.
fn script(server: &GitServer, text: &str, url: &str, stages: usize) -> Cost {
    let folder = tempfile::tempdir().unwrap();
    let mut command: Command = sealed(folder.path());
    let sealed_environment: Vec<_> = command.get_envs().map(|(key, value)| (key.to_owned(), value.map(ToOwned::to_owned))).collect();
    command = Command::new("sh");
    for (key, value) in sealed_environment {
        match value {
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
    command.current_dir(folder.path()).args(["-euc", text, "script", url]).arg(stages.to_string());
    Cost::of(&traced(server, &mut command).well())
}

/// What one writes first: a full clone per promotion.
const NAIVE_SCRIPT: &str = r#"
n=0
while [ $n -lt $2 ]; do
  stage=$(printf 'stage-%03d' $n) app=$(printf 'app-%04d' $n)
  git clone -q "$1" src
  freight=$(git -C src log -1 --format=%H -- apps)
  git -C src worktree add -q ../out "origin/env/$stage"
  cp src/apps/$app/base/* out/base/
  sed -i "s/^revision:.*/revision: $freight/" out/base/values.yaml
  git -C out add -A
  git -C out commit -qm "Deliver $freight to $stage"
  git -C out push -q origin "HEAD:refs/heads/env/$stage"
  rm -rf src out
  n=$((n + 1))
done
"#;

/// What a careful engineer writes: one clone without file contents, a sparse worktree per promotion.
const SPARSE_SCRIPT: &str = r#"
git clone -q --bare --filter=blob:none "$1" store
git -C store config remote.origin.fetch '+refs/heads/*:refs/remotes/origin/*'
git -C store fetch -q --filter=blob:none origin
freight=$(git -C store log -1 --format=%H refs/remotes/origin/main -- apps)
n=0
while [ $n -lt $2 ]; do
  stage=$(printf 'stage-%03d' $n) app=$(printf 'app-%04d' $n)
  git -C store worktree add -q --no-checkout --detach ../src "$freight"
  git -C src sparse-checkout set --cone "apps/$app/base"
  git -C src checkout -q
  git -C store worktree add -q --detach ../out "refs/remotes/origin/env/$stage"
  cp src/apps/$app/base/* out/base/
  sed -i "s/^revision:.*/revision: $freight/" out/base/values.yaml
  git -C out add -A
  git -C out commit -qm "Deliver $freight to $stage"
  git -C out push -q origin "HEAD:refs/heads/env/$stage"
  git -C store worktree remove --force ../src
  git -C store worktree remove --force ../out
  n=$((n + 1))
done
"#;
