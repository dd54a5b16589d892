//! Records, transactions and checks over real git, with a second reader (libgit2) for what was written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use consign::cli::{Format, fsck};
use consign::git::{Settings, Stores};
use consign::ledger::{Author, Branch, Ledger, NewPromotion, Occasion, Pins, RecordPath, Scope, StoredBranch};
use consign::model::*;
use consign::report::ledger_readme;

pub const FREIGHT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A bare repository that is a ledger's remote, and a folder for caches.
pub struct World {
    folder: tempfile::TempDir,
}

/// One machine that runs consign.
pub struct Machine {
    pub stores: Stores,
    pub ledger: Ledger,
    pub branch: Arc<StoredBranch>,
}

impl World {
    pub fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        world.git(&["init", "--bare", "-q", "-b", "main", "remote.git"]);
        // Without it git ignores the filter, and nothing would ever have to be prefetched.
        world.git(&["-C", "remote.git", "config", "uploadpack.allowFilter", "true"]);
        world.git(&["-C", "remote.git", "config", "uploadpack.allowAnySHA1InWant", "true"]);
        world
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn remote(&self) -> PathBuf {
        self.folder.path().join("remote.git")
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        let output =
            Command::new("git").args(arguments).current_dir(self.path()).env("HOME", self.path()).env("GIT_CONFIG_NOSYSTEM", "1").output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn machine(&self, name: &str, pins: Pins, author: Author) -> Machine {
        let mut settings = Settings::new(self.path().join(name));
        settings.local = true;
        settings.user_config = false;
        let stores = Stores::without_credentials(settings);
        let store = stores.get(&format!("file://{}", self.remote().display())).unwrap();
        let branch = Arc::new(StoredBranch::new(store, "consign/state", author).unwrap());
        Machine { stores, ledger: Ledger::new(branch.clone(), pins, ledger_readme::render), branch }
    }
}

pub fn author() -> Author {
    Author { name: "consign".to_owned(), email: "consign@example.com".to_owned(), signer: None }
}

pub fn occasion(run: &str) -> Occasion {
    Occasion { now: "2026-01-02T03:04:05Z".parse().unwrap(), run: run.to_owned(), actor: String::new() }
}

fn shop() -> ProjectName {
    "shop".into()
}

fn freight(name: &str) -> Freight {
    Freight {
        metadata: Metadata { name: name.to_owned(), ..Metadata::default() },
        origin: Origin::warehouse("main"),
        alias: format!("alias-{name}"),
        ..Freight::default()
    }
}

fn running(stage: &str) -> NewPromotion {
    let mut promotion = Promotion::default();
    promotion.spec = PromotionSpec { stage: stage.into(), freight: FREIGHT.into(), ..PromotionSpec::default() };
    promotion.status.phase = PromotionPhase::Running;
    NewPromotion { project: shop(), promotion, planned_on: None }
}

#[tokio::test]
async fn a_hundred_promotions_are_a_hundred_commits_and_one_push_that_fsck_accepts() {
    let world = World::new();
    let machine = world.machine("a", Pins::default(), author());
    let occasion = occasion("run-1");
    let opened = machine.ledger.open(&occasion).await.unwrap();
    assert_eq!(opened.created.unwrap().to_string(), world.git(&["-C", "remote.git", "rev-parse", "refs/heads/consign/state"]));
    let mut chain = machine.ledger.chain(opened.state, occasion);
    chain.apply("freight", |draft| draft.create_freight(&shop(), freight(FREIGHT)).map(drop)).await.unwrap();
    let mut started = BTreeMap::new();
    for number in 0..100 {
        let stage = format!("s{number:02}");
        let name = chain
            .apply(&stage.clone(), {
                let stage = stage.clone();
                move |draft| draft.create_promotion(running(&stage))
            })
            .await
            .unwrap();
        started.insert(stage, name);
    }
    for (stage, name) in started.clone() {
        chain
            .apply(&stage.clone(), move |draft| {
                draft.say(format!("promote freight to {stage}"));
                draft.promotion_mut(&shop(), &stage.as_str().into(), &name)?.status.phase = PromotionPhase::Succeeded;
                let record = draft.stage_mut(&shop(), &stage.as_str().into())?;
                record.status.last_promotion = Some(PromotionReference { name: name.clone(), ..PromotionReference::default() });
                Ok(())
            })
            .await
            .unwrap();
    }
    let before = machine.stores.stats().processes();
    let committed = machine.ledger.publish(&mut chain).await.unwrap().committed.unwrap();
    assert_eq!(committed.commits.len(), 101);
    assert_eq!(machine.stores.stats().processes() - before, 1, "one push and nothing else");

    // A second implementation of git reads what we wrote.
    let repository = git2::Repository::open_bare(world.remote()).unwrap();
    let tip = repository.find_reference("refs/heads/consign/state").unwrap().peel_to_commit().unwrap();
    assert_eq!(tip.id().to_string(), committed.tip.to_string());
    let tree = tip.tree().unwrap();
    assert_eq!(tree.get_path(Path::new("shop/stages")).unwrap().to_object(&repository).unwrap().as_tree().unwrap().len(), 100);
    assert!(tree.get_path(Path::new(&format!("shop/freight/01/{FREIGHT}.yaml"))).is_ok());
    let readme = tree.get_name("README.md").unwrap().to_object(&repository).unwrap();
    let readme = String::from_utf8(readme.as_blob().unwrap().content().to_vec()).unwrap();
    assert_eq!(readme.matches("\n| s").count(), 100 + 1, "a row for each stage below the heading:\n{readme}");
    world.git(&["-C", "remote.git", "fsck", "--strict", "--no-dangling"]);

    // Another machine has nothing yet and reads it in batches.
    let reader = world.machine("b", Pins::default(), author());
    let state = reader.ledger.read().await.unwrap();
    let before = reader.stores.stats().processes();
    state.load(&[Scope::Project(shop())]).await.unwrap();
    assert_eq!(state.stages(&shop()).unwrap().len(), 100);
    assert_eq!(state.stage(&shop(), &"s42".into()).unwrap().unwrap().status.last_promotion.as_ref().unwrap().name, started["s42"]);
    assert_eq!(reader.stores.stats().processes() - before, 1, "one prefetch");

    let answer = fsck::run(&*reader.branch, &reader.stores, Format::Text).await.unwrap();
    assert_eq!(answer.text, "the ledger is in order (102 commits)\n");
    assert!(answer.ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_machines_lose_no_update() {
    let world = World::new();
    let machines: Vec<Machine> = (0..4).map(|number| world.machine(&format!("m{number}"), Pins::default(), author())).collect();
    let racing: Vec<_> = machines
        .iter()
        .enumerate()
        .map(|(number, machine)| async move {
            for round in 0..3 {
                machine.ledger.transact(&occasion(&format!("{number}-{round}")), |draft| draft.next_proposal()).await.unwrap();
            }
        })
        .collect();
    futures::future::join_all(racing).await;
    let machine = world.machine("reader", Pins::default(), author());
    let state = machine.ledger.read().await.unwrap();
    state.load(&[Scope::Files(vec![RecordPath::Ledger])]).await.unwrap();
    assert_eq!(state.ledger().unwrap().status.proposals, 12);
    assert_eq!(world.git(&["-C", "remote.git", "rev-list", "--count", "consign/state"]), "13");
}

#[tokio::test]
async fn a_branch_that_was_deleted_is_begun_anew_only_without_a_pin() {
    let world = World::new();
    let machine = world.machine("a", Pins::default(), author());
    let root = machine.ledger.open(&occasion("1")).await.unwrap().created.unwrap();
    world.git(&["-C", "remote.git", "update-ref", "-d", "refs/heads/consign/state"]);
    assert_eq!(machine.branch.fetch().await.unwrap(), None);
    let pinned = world.machine("b", Pins { root: root.to_string(), ..Pins::default() }, author());
    assert!(pinned.ledger.open(&occasion("2")).await.map(drop).unwrap_err().message.contains("does not exist"));
    assert!(machine.ledger.open(&occasion("3")).await.unwrap().created.is_some());
}

#[tokio::test]
async fn a_remote_that_forbids_the_push_is_quoted() {
    let world = World::new();
    let machine = world.machine("a", Pins::default(), author());
    machine.ledger.open(&occasion("1")).await.unwrap();
    let hook = world.remote().join("hooks/pre-receive");
    std::fs::write(&hook, "#!/bin/sh\necho 'only the release team may write here' >&2\nexit 1\n").unwrap();
    let mut permissions = std::fs::metadata(&hook).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    std::fs::set_permissions(&hook, permissions).unwrap();
    let failure = machine.ledger.transact(&occasion("2"), |draft| draft.next_proposal()).await.unwrap_err();
    assert_eq!(failure.kind.exit_code(), 3);
    assert!(failure.message.contains("refs/heads/consign/state") && failure.message.contains("only the release team may write here"), "{failure}");
}

#[tokio::test]
async fn fsck_names_the_commit_and_the_file_that_a_hand_has_changed() {
    let world = World::new();
    let machine = world.machine("a", Pins::default(), author());
    machine.ledger.transact(&occasion("1"), |draft| draft.create_freight(&shop(), freight(FREIGHT)).map(drop)).await.unwrap();
    world.git(&["clone", "-q", "-b", "consign/state", "remote.git", "work"]);
    let file = format!("shop/freight/01/{FREIGHT}.yaml");
    let path = world.path().join("work").join(&file);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("name: main", "name: other")).unwrap();
    world.git(&["-C", "work", "-c", "user.name=eve", "-c", "user.email=eve@example.com", "commit", "-qam", "innocent"]);
    world.git(&["-C", "work", "push", "-q", "origin", "HEAD"]);
    let commit = world.git(&["-C", "work", "rev-parse", "HEAD"]);
    let answer = fsck::run(&*machine.branch, &machine.stores, Format::Json).await.unwrap();
    assert!(!answer.ok);
    let document: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
    let messages: Vec<&str> = document["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| {
            assert_eq!((problem["commit"].as_str().unwrap(), problem["file"].as_str().unwrap()), (commit.as_str(), file.as_str()));
            problem["message"].as_str().unwrap()
        })
        .collect();
    assert_eq!(messages, ["its commit does not name it: there is no trailer `Consign-Project: shop`", "the contents of a freight changed"]);
}
