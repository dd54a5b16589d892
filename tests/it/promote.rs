//! Promotions with real repositories: what a tick leaves behind, and what later ticks make of it.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use consign::expr::Context;
use consign::git::{Crew, PlainFlush, Settings, Stores};
use consign::model::{ProjectName, Promotion, PromotionPhase};
use consign::promote::engine::{Clock, Engine, Outcome};
use consign::promote::expressions::Evaluator;
use consign::promote::step::Doors;
use consign::promote::steps::Registry;
use consign::promote::workspace::{GitAccess, Identity, Integration, Workspace};
use git2::{IndexEntry, IndexTime, Oid, Repository, Signature, Time};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Always the same instant: what the commits of a promotion depend on comes from its record.
struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// A bare repository with a few files on `main`, and a cache for stores.
struct Shop {
    folder: tempfile::TempDir,
}

impl Shop {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository =
            Repository::init_opts(folder.path().join("config.git"), git2::RepositoryInitOptions::new().bare(true).initial_head("main")).unwrap();
        let mut config = repository.config().unwrap();
        config.set_bool("uploadpack.allowFilter", true).unwrap();
        config.set_bool("uploadpack.allowAnySHA1InWant", true).unwrap();
        commit(
            &repository,
            "refs/heads/main",
            &[
                ("apps/web/values.yaml", "image:\n  tag: 1.0.0 # the release\n"),
                ("apps/api/values.yaml", "image:\n  tag: 2.0.0\n"),
                (".gitignore", "*.log\n"),
                ("run.sh", "#!/bin/sh\n"),
            ],
        );
        Self { folder }
    }

    fn url(&self) -> String {
        format!("file://{}", self.folder.path().join("config.git").display())
    }

    fn repository(&self) -> Repository {
        Repository::open_bare(self.folder.path().join("config.git")).unwrap()
    }

    fn tip(&self, branch: &str) -> Option<Oid> {
        self.repository().refname_to_id(&format!("refs/heads/{branch}")).ok()
    }

    fn workspace(&self, cache: &str) -> Workspace {
        let mut settings = Settings::new(self.folder.path().join(cache));
        settings.local = true;
        settings.user_config = false;
        Workspace::temporary().unwrap().with_git(GitAccess {
            stores: Stores::without_credentials(settings),
            member: Crew::new(PlainFlush).join(),
            identity: Identity { name: "consign".into(), email: "consign@example.com".into() },
            signer: None,
            integration: Integration::Rebase,
        })
    }

    fn promotion(&self, steps: Value) -> Promotion {
        let text = steps.to_string().replace("REPO", &self.url());
        let mut promotion = Promotion::default();
        promotion.metadata.name = "uat.01jmzz0000aaaaaaaaaaaaaaaa.b0fc434".into();
        promotion.spec.stage = "uat".into();
        promotion.spec.steps = serde_json::from_str(&text).unwrap();
        promotion
    }
}

fn commit(repository: &Repository, branch: &str, files: &[(&str, &str)]) -> Oid {
    let mut index = git2::Index::new().unwrap();
    let parent = repository.find_reference(branch).ok().map(|found| found.peel_to_commit().unwrap());
    if let Some(parent) = &parent {
        index.read_tree(&parent.tree().unwrap()).unwrap();
    }
    for (path, content) in files {
        let time = IndexTime::new(0, 0);
        let id = repository.blob(content.as_bytes()).unwrap();
        index
            .add(&IndexEntry {
                ctime: time,
                mtime: time,
                dev: 0,
                ino: 0,
                mode: 0o100_644,
                uid: 0,
                gid: 0,
                file_size: 0,
                id,
                flags: 0,
                flags_extended: 0,
                path: path.as_bytes().to_vec(),
            })
            .unwrap();
    }
    let tree = repository.find_tree(index.write_tree_to(repository).unwrap()).unwrap();
    let who = Signature::new("Ada", "ada@example.com", &Time::new(1_767_225_600, 0)).unwrap();
    repository.commit(Some(branch), &who, &who, "m", &tree, &parent.iter().collect::<Vec<_>>()).unwrap()
}

async fn tick(promotion: &Promotion, workspace: &mut Workspace, at: &str) -> Outcome {
    let evaluator = Evaluator {
        base: Context::default(),
        project: "shop".into(),
        ui_base_url: String::new(),
        freight_alias: String::new(),
        requested: Vec::new(),
    };
    let engine = Engine {
        registry: &Registry::built_in(),
        expressions: &evaluator,
        clock: &Still(at.parse().unwrap()),
        project: &ProjectName::new("shop"),
        warehouses: &BTreeMap::new(),
        records: &(),
        doors: &Doors::default(),
        stop: &AtomicBool::new(false),
    };
    engine.tick(promotion, workspace).await
}

fn bump() -> Value {
    json!([
        {"uses": "git-clone", "as": "clone", "config": {"repoURL": "REPO", "checkout": [{"path": "src", "branch": "main"}, {"path": "out", "branch": "env/uat", "create": true}]}},
        {"uses": "git-clear", "as": "clear", "config": {"path": "out"}},
        {"uses": "yaml-update", "as": "edit", "config": {"path": "src/apps/web/values.yaml", "updates": [{"key": "image.tag", "value": "1.1.0"}]}},
        {"uses": "copy", "as": "copy", "config": {"inPath": "src/apps", "outPath": "out/apps"}},
        {"uses": "delete", "as": "drop", "config": {"path": "src/apps/api"}},
        {"uses": "git-commit", "as": "bump", "config": {"path": "src", "message": "${{ outputs.edit.commitMessage }}"}},
        {"uses": "git-commit", "as": "render", "config": {"path": "out", "message": "Rendered"}},
        {"uses": "git-push", "as": "push", "config": {"path": "out"}},
        {"uses": "git-push", "as": "push-src", "config": {"path": "src", "targetBranch": "bumped"}},
    ])
}

#[tokio::test]
async fn a_lazy_folder_and_a_full_one_give_the_same_commits() {
    let mut tips = Vec::new();
    for full in [false, true] {
        let shop = Shop::open();
        let mut promotion = shop.promotion(bump());
        let mut workspace = shop.workspace("cache");
        if full {
            // As an external tool would see it: everything is on disk before the first edit.
            let clone = Promotion {
                spec: consign::model::PromotionSpec { steps: promotion.spec.steps[..1].to_vec(), ..promotion.spec.clone() },
                ..promotion.clone()
            };
            let outcome = tick(&clone, &mut workspace, "2026-03-02T09:00:00Z").await;
            assert_eq!(outcome.status.phase, PromotionPhase::Succeeded, "{}", outcome.status.message);
            assert!(workspace.complete().await.unwrap());
            promotion.status = outcome.status;
            promotion.status.phase = PromotionPhase::Running;
            promotion.status.current_step = 1;
        }
        let outcome = tick(&promotion, &mut workspace, "2026-03-02T09:00:00Z").await;
        assert_eq!(outcome.status.phase, PromotionPhase::Succeeded, "{}", outcome.status.message);
        let files = workspace.root().join("src/run.sh");
        assert_eq!(files.exists(), full, "what no step asks for is not there");
        tips.push((shop.tip("env/uat"), shop.tip("bumped")));
        let written = &outcome.status.consign.written;
        assert_eq!(written.iter().map(|one| one.branch.as_str()).collect::<Vec<_>>(), ["env/uat", "bumped"]);
        assert_eq!(written[0].paths, ["/"], "a cleared checkout is the promotion's own");
        assert_eq!(written[1].paths, ["apps/api/values.yaml", "apps/web/values.yaml"]);
    }
    assert!(tips[0].0.is_some() && tips[0] == tips[1], "{tips:?}");
}

#[tokio::test]
async fn a_promotion_that_waited_restores_its_commits_instead_of_making_new_ones() {
    let shop = Shop::open();
    let mut steps = bump();
    steps.as_array_mut().unwrap().extend([
        json!({"uses": "compose-output", "as": "pause", "config": {"a": 1}}),
        json!({"uses": "file-write", "as": "more", "config": {"path": "out/more.txt", "contents": "more\n"}}),
        json!({"uses": "git-commit", "as": "again", "config": {"path": "out", "message": "More"}}),
        json!({"uses": "git-push", "as": "push-again", "config": {"path": "out"}}),
    ]);
    let whole = shop.promotion(steps);
    // The first tick ends where a step waits.
    let mut first = whole.clone();
    first.spec.steps.truncate(10);
    let mut workspace = shop.workspace("cache");
    let outcome = tick(&first, &mut workspace, "2026-03-02T09:00:00Z").await;
    assert_eq!(outcome.status.phase, PromotionPhase::Succeeded, "{}", outcome.status.message);
    let (pushed, bumped) = (shop.tip("env/uat").unwrap(), shop.tip("bumped"));
    drop(workspace);

    // Meanwhile somebody else moves on what was checked out.
    commit(&shop.repository(), "refs/heads/main", &[("apps/web/values.yaml", "image:\n  tag: 9.9.9\n")]);

    let mut second = whole.clone();
    second.status = outcome.status;
    second.status.phase = PromotionPhase::Running;
    second.status.finished_at = None;
    second.status.current_step = 9;
    let mut workspace = shop.workspace("another cache").resuming(second.status.consign.checkouts.clone());
    let outcome = tick(&second, &mut workspace, "2026-03-03T10:00:00Z").await;
    assert_eq!(outcome.status.phase, PromotionPhase::Succeeded, "{:?} {}", outcome.failure, outcome.status.message);

    let repository = shop.repository();
    let tip = repository.find_commit(shop.tip("env/uat").unwrap()).unwrap();
    assert_eq!(tip.parent_id(0).unwrap(), pushed, "the new commit stands on the one that was approved");
    let tree = tip.tree().unwrap();
    let text =
        |path: &str| String::from_utf8(repository.find_blob(tree.get_path(Path::new(path)).unwrap().id()).unwrap().content().to_vec()).unwrap();
    assert_eq!(text("apps/web/values.yaml"), "image:\n  tag: 1.1.0 # the release\n");
    assert_eq!(text("more.txt"), "more\n");
    assert_eq!(shop.tip("bumped"), bumped);
    assert_eq!(tip.time().seconds(), "2026-03-02T09:00:00Z".parse::<Timestamp>().unwrap().as_second(), "the time is the promotion's, not the tick's");
}

#[tokio::test]
async fn a_provisional_push_leaves_the_remote_alone_and_is_seen_by_later_steps() {
    let shop = Shop::open();
    let promotion = shop.promotion(bump());
    let key = consign::git::RemoteUrl::parse(&shop.url(), true).unwrap().key().to_owned();
    let mut workspace = shop.workspace("cache").with_provisional(key);
    let outcome = tick(&promotion, &mut workspace, "2026-03-02T09:00:00Z").await;
    assert_eq!(outcome.status.phase, PromotionPhase::Succeeded, "{}", outcome.status.message);
    assert_eq!((shop.tip("env/uat"), shop.tip("bumped")), (None, None));
    let refs: Vec<&str> = workspace.provisional().iter().map(|push| push.update.name.as_str()).collect();
    assert_eq!(refs, ["refs/heads/env/uat", "refs/heads/env/uat", "refs/heads/bumped"], "the branch that was made, its commit, the other branch");
    let made = outcome.status.state["push"]["commit"].as_str().unwrap();
    assert_eq!(workspace.provisional()[1].update.new.unwrap().to_string(), made);
}
