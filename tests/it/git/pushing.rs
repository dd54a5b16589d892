//! Pushes: together, refused, stale, cut.

use consign::diagnostic::FailureKind;
use consign::git::{Expected, Oid, PushUnit, RefOutcome, RefPattern, RefUpdate, Store, UnitOutcome};

use super::{World, write};
use crate::support::git_server::Fault;

fn unit(store: &Store, stage: &str, content: &str) -> PushUnit {
    let name = format!("refs/heads/env/{stage}");
    let tip = store.tip(&name);
    PushUnit { key: stage.to_owned(), updates: vec![RefUpdate::forward(&*name, tip, write(store, tip, "all.yaml", content))] }
}

/// Records keys in a ledger, as the conductor does: one commit on the tip.
fn record(store: &Store, keys: &[String]) -> Vec<RefUpdate> {
    if keys.is_empty() {
        return Vec::new();
    }
    let name = "refs/heads/consign/state";
    let tip = store.tip(name);
    vec![RefUpdate::forward(name, tip, write(store, tip, &format!("log/{}", keys[0]), &keys.join(" ")))]
}

async fn world_with(stages: usize) -> (World, std::sync::Arc<Store>) {
    let world = World::new();
    world.repository.commit("main", "x", &[("app/values.yaml", Some("tag: 1\n"))]);
    world.repository.commit("consign/state", "root", &[("README.md", Some("ledger"))]);
    for n in 0..stages {
        world.repository.commit(&format!("env/s{n:03}"), "x", &[("all.yaml", Some("tag: 1\n"))]);
    }
    let store = world.store();
    store.fetch(&[RefPattern::branches()]).await.unwrap();
    (world, store)
}

/// Completes a push with a ref that records its units.
struct Recorded<'a>(&'a Store);

#[async_trait::async_trait]
impl consign::git::Closing for Recorded<'_> {
    async fn refs(&mut self, keys: &[String]) -> Result<Vec<RefUpdate>, consign::diagnostic::Failure> {
        Ok(record(self.0, keys))
    }
}

#[tokio::test]
async fn a_hundred_refs_are_one_fetch_one_prefetch_one_push() {
    let (world, store) = world_with(100).await;
    drop(store);
    world.repository.commit("main", "y", &[("app/values.yaml", Some("tag: 2\n"))]);
    world.take_processes();
    world.server.take_requests();

    let store = world.store();
    store.ensure(&[RefPattern::branches()]).await.unwrap();
    let trees: Vec<(String, Oid)> = store.tips().iter().map(|(name, tip)| (name.clone(), store.commit(*tip).unwrap().tree)).collect();
    let wanted: Vec<Oid> = trees.iter().flat_map(|(_, tree)| store.list(*tree, "").unwrap()).map(|entry| entry.oid).collect();
    assert!(store.prefetch(&wanted).await.unwrap() > 0);
    let units = (0..100).map(|n| unit(&store, &format!("s{n:03}"), &format!("tag: 2\nstage: {n}\n"))).collect();
    let outcome = store.push_group(units, &mut Recorded(&store)).await.unwrap();
    assert!(outcome.landed() && outcome.units.len() == 100);
    let (processes, requests) = (world.take_processes(), world.server.take_requests());
    println!("warm: {} processes, {} requests", processes.len(), requests.len());
    assert!(processes.len() <= 14, "{} {processes:#?}", processes.len());
    assert!(requests.len() <= 7, "{} {requests:#?}", requests.len());
    assert_eq!(world.repository.file("env/s042", "all.yaml").as_deref(), Some("tag: 2\nstage: 42\n"));
    assert!(world.repository.file("consign/state", "log/s000").unwrap().ends_with("s099"));
    assert!(!store.ensure(&[RefPattern::branches()]).await.unwrap().asked);
    assert!(store.fetch(&[RefPattern::branches()]).await.unwrap().moved.is_empty(), "what we pushed is known already");
}

#[tokio::test]
async fn a_push_never_fetches_an_old_version_lazily() {
    let (world, store) = world_with(1).await;
    world.server.take_requests();
    let outcome = store.push_group(vec![unit(&store, "s000", "tag: 2\n")], &mut ()).await.unwrap();
    assert!(outcome.landed());
    let requests = world.server.take_requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert!(requests.iter().all(|request| request.path.contains("receive-pack")));
}

#[tokio::test]
async fn a_protected_ref_is_left_out_and_the_rest_is_pushed() {
    let (world, store) = world_with(3).await;
    world.repository.hook("update", "[ \"$1\" = refs/heads/env/s001 ] && echo 'env/s001 is frozen' >&2 && exit 1; exit 0");
    let units = (0..3).map(|n| unit(&store, &format!("s{n:03}"), "tag: 2\n")).collect();
    let outcome = store.push_group(units, &mut Recorded(&store)).await.unwrap();
    assert_eq!(outcome.units["s000"], UnitOutcome::Landed);
    assert_eq!(outcome.units["s002"], UnitOutcome::Landed);
    let UnitOutcome::Refused { name, words } = &outcome.units["s001"] else { panic!("{outcome:?}") };
    assert_eq!(name, "refs/heads/env/s001");
    assert!(words.contains("env/s001 is frozen"), "{words}");
    assert_eq!(world.repository.file("consign/state", "log/s000").as_deref(), Some("s000 s002"), "the ledger was built again without it");
    assert_eq!(world.repository.git(&["rev-list", "--count", "consign/state"]), "2");
}

#[tokio::test]
async fn a_refusal_without_a_name_is_found_by_halves() {
    let (world, store) = world_with(8).await;
    world.repository.hook("pre-receive", "while read old new ref; do [ \"$ref\" = refs/heads/env/s005 ] && echo no >&2 && exit 1; done; exit 0");
    let units = (0..8).map(|n| unit(&store, &format!("s{n:03}"), "tag: 2\n")).collect();
    let outcome = store.push_group(units, &mut Recorded(&store)).await.unwrap();
    for (key, outcome) in &outcome.units {
        assert_eq!(matches!(outcome, UnitOutcome::Refused { .. }), key == "s005", "{key}: {outcome:?}");
        assert_eq!(*outcome == UnitOutcome::Landed, key != "s005");
    }
}

#[tokio::test]
async fn a_refused_ledger_refuses_everything() {
    let (world, store) = world_with(2).await;
    world.repository.hook("update", "[ \"$1\" = refs/heads/consign/state ] && exit 1; exit 0");
    let before = world.repository.tip("refs/heads/env/s000");
    let units = (0..2).map(|n| unit(&store, &format!("s{n:03}"), "tag: 2\n")).collect();
    let outcome = store.push_group(units, &mut Recorded(&store)).await.unwrap();
    assert!(matches!(&outcome.closing, Some((name, RefOutcome::Refused(_))) if name == "refs/heads/consign/state"));
    assert!(outcome.units.values().all(|outcome| *outcome == UnitOutcome::NotPushed));
    assert_eq!(world.repository.tip("refs/heads/env/s000"), before);
}

#[tokio::test]
async fn a_stale_ref_holds_the_group_back_until_it_is_built_again() {
    let (world, store) = world_with(2).await;
    let units: Vec<PushUnit> = (0..2).map(|n| unit(&store, &format!("s{n:03}"), "tag: 2\n")).collect();
    world.repository.commit("env/s001", "somebody", &[("other", Some("x"))]);
    let outcome = store.push_group(units.clone(), &mut Recorded(&store)).await.unwrap();
    assert_eq!(outcome.units["s000"], UnitOutcome::NotPushed);
    assert_eq!(outcome.units["s001"], UnitOutcome::Stale { refs: vec!["refs/heads/env/s001".into()] });
    store.fetch(&[RefPattern::branches()]).await.unwrap();
    let again = vec![units[0].clone(), unit(&store, "s001", "tag: 2\n")];
    assert!(store.push_group(again, &mut Recorded(&store)).await.unwrap().landed());
    assert_eq!(world.repository.file("env/s001", "other").as_deref(), Some("x"), "nobody's work is lost");

    let lost = store.push(&[RefUpdate::forward("refs/heads/env/s000", None, units[0].updates[0].new.unwrap())]).await.unwrap();
    assert!(lost.landed(), "it stands there already: nothing to do is no failure");
    let other = write(&store, store.tip("refs/heads/env/s000"), "x", "y");
    let lost = store.push(&[RefUpdate::forward("refs/heads/env/s000", None, other)]).await.unwrap();
    assert!(matches!(lost.refs["refs/heads/env/s000"], RefOutcome::Stale(_)), "create-only");
}

#[tokio::test]
async fn a_cut_answer_is_settled_by_reading_the_refs() {
    let (world, store) = world_with(2).await;
    for (fault, content, commits) in [(Fault::CutAnswer, "tag: 2\n", "2"), (Fault::NoAnswer, "tag: 3\n", "3")] {
        world.server.inject("/git-receive-pack", fault.clone());
        let units: Vec<PushUnit> = (0..2).map(|n| unit(&store, &format!("s{n:03}"), content)).collect();
        let outcome = store.push_group(units, &mut Recorded(&store)).await.unwrap();
        assert!(outcome.landed(), "{fault:?} {outcome:?}");
        for branch in ["env/s000", "consign/state"] {
            assert_eq!(world.repository.git(&["rev-list", "--count", branch]), commits, "once, not twice");
        }
    }

    world.server.inject("service=git-receive-pack", Fault::Status(500));
    let outcome = store.push_group(vec![unit(&store, "s000", "tag: 4\n")], &mut ()).await.unwrap();
    assert!(outcome.landed(), "nothing had moved, so it was pushed again");
    for _ in 0..4 {
        world.server.inject("service=git-receive-pack", Fault::Status(500));
    }
    let failure = store.push_group(vec![unit(&store, "s000", "tag: 5\n")], &mut ()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Remote);
}

#[tokio::test]
async fn a_push_without_permission_is_a_refused_failure() {
    let (world, store) = world_with(1).await;
    world.server.inject("service=git-receive-pack", Fault::Status(403));
    let failure = store.push_group(vec![unit(&store, "s000", "tag: 2\n")], &mut ()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{}", failure.message);
}

#[tokio::test]
async fn units_on_one_branch_stack_and_a_limit_makes_shares() {
    let (world, store) = world_with(3).await;
    let first = unit(&store, "s000", "tag: 2\n");
    let middle = first.updates[0].new;
    let top = write(&store, middle, "more.yaml", "x");
    let second = PushUnit { key: "second".into(), updates: vec![RefUpdate::forward("refs/heads/env/s000", middle, top)] };
    assert!(store.push_group(vec![first, second], &mut Recorded(&store)).await.unwrap().landed());
    assert_eq!(world.repository.tip("env/s000").unwrap(), top.to_string());
    drop(store);

    let mut settings = world.settings();
    settings.refs_per_push = Some(2);
    let store = consign::git::Stores::without_credentials(settings).get(world.repository.url()).unwrap();
    store.fetch(&[RefPattern::branches()]).await.unwrap();
    world.server.take_requests();
    let units = (0..3).map(|n| unit(&store, &format!("s{n:03}"), "tag: 5\n")).collect();
    assert!(store.push_group(units, &mut Recorded(&store)).await.unwrap().landed());
    assert_eq!(world.server.take_requests().len(), 6, "three pushes of a stage and the ledger");
}

#[tokio::test]
async fn force_and_deletion_do_what_they_say_and_nothing_else() {
    let (world, store) = world_with(1).await;
    let name = "refs/heads/env/s000";
    let orphan = write(&store, None, "all.yaml", "new start\n");
    let sideways = RefUpdate { name: name.into(), expected: Expected::At(store.tip(name).unwrap()), new: Some(orphan), force: false };
    assert_eq!(store.push(std::slice::from_ref(&sideways)).await.unwrap_err().kind, FailureKind::Internal);
    assert!(store.push(&[RefUpdate { force: true, ..sideways.clone() }]).await.unwrap().landed());
    let lease = RefUpdate { force: true, ..sideways };
    assert!(
        store
            .push(&[RefUpdate { new: Some(write(&store, None, "x", "y")), ..lease }])
            .await
            .unwrap()
            .refs
            .values()
            .all(|outcome| matches!(outcome, RefOutcome::Stale(_)))
    );
    let plain = RefUpdate { name: name.into(), expected: Expected::Anything, new: Some(write(&store, None, "x", "z")), force: false };
    assert!(matches!(store.push(std::slice::from_ref(&plain)).await.unwrap().refs[name], RefOutcome::Stale(_)));
    assert!(store.push(&[RefUpdate { force: true, ..plain }]).await.unwrap().landed());
    assert!(store.push(&[RefUpdate { name: name.into(), expected: Expected::Anything, new: None, force: false }]).await.unwrap().landed());
    assert_eq!(world.repository.tip(name), None);
    assert_eq!(store.tip(name), None);
    assert_eq!(store.push(&[RefUpdate::forward("--mirror", None, orphan)]).await.unwrap_err().kind, FailureKind::Config);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_writers_lose_no_update() {
    let world = World::new();
    world.repository.commit("consign/state", "root", &[("counter", Some("0"))]);
    let name = "refs/heads/consign/state";
    let writers = (0..4).map(|n| {
        let mut settings = world.settings();
        settings.cache = world.folder.path().join(format!("cache-{n}"));
        let stores = consign::git::Stores::without_credentials(settings);
        let url = world.repository.url().to_owned();
        tokio::spawn(async move {
            let store = stores.get(&url).unwrap();
            let mut lost = 0;
            for step in 0..4 {
                loop {
                    store.fetch(&[RefPattern::new(name).unwrap()]).await.unwrap();
                    let tip = store.tip(name).unwrap();
                    let tree = store.commit(tip).unwrap().tree;
                    let entry = store.entry(tree, "counter").unwrap().unwrap();
                    store.prefetch(&[entry.oid]).await.unwrap();
                    let count: u32 = String::from_utf8(store.blob(entry.oid).unwrap()).unwrap().parse().unwrap();
                    let commit = write(&store, Some(tip), "counter", &(count + 1).to_string());
                    let commit = write(&store, Some(commit), &format!("log/{n}-{step}"), "x");
                    let push = store.push(&[RefUpdate::forward(name, Some(tip), commit)]).await.unwrap();
                    match &push.refs[name] {
                        RefOutcome::Updated => break,
                        RefOutcome::Stale(_) => lost += 1,
                        other => panic!("{other:?}"),
                    }
                }
            }
            lost
        })
    });
    let lost: u32 = futures::future::join_all(writers).await.into_iter().map(|lost| lost.unwrap()).sum();
    assert_eq!(world.repository.file("consign/state", "counter").as_deref(), Some("16"), "{lost} races were lost on the way");
    assert_eq!(world.repository.git(&["ls-tree", "--name-only", "consign/state", "log/"]).lines().count(), 16);
}
