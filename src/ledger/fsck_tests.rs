#![allow(clippy::unwrap_used, clippy::field_reassign_with_default, clippy::type_complexity)]

use std::sync::Arc;

use super::*;
use crate::ledger::memory::{Memory, Remote, plain_readme};
use crate::ledger::{Draft, Ledger, NewPromotion, Occasion, Pins, Stop};
use crate::model::*;

const FREIGHT: &str = "0123456789abcdef0123456789abcdef01234567";

struct HasAllBut(&'static str);

#[async_trait::async_trait]
impl Remotes for HasAllBut {
    async fn absent(&self, _url: &str, commits: &BTreeSet<String>) -> Result<BTreeSet<String>, Failure> {
        Ok(commits.iter().filter(|commit| *commit == self.0).cloned().collect())
    }
}

fn shop() -> ProjectName {
    "shop".into()
}

fn prod() -> StageName {
    "prod".into()
}

/// A ledger in which a freight was found, promoted, and the promotion has ended.
struct World {
    memory: Arc<Memory>,
    ledger: Ledger,
    promotion: PromotionName,
}

impl World {
    async fn new() -> Self {
        let remote = Arc::new(Remote::default());
        let memory = Memory::new(&remote);
        let ledger = Ledger::new(memory.clone(), Pins::default(), plain_readme);
        let world = Self { memory, ledger, promotion: PromotionName::default() };
        let found = |draft: &mut Draft<'_>| {
            draft.say("find freight");
            let freight = Freight {
                metadata: Metadata { name: FREIGHT.to_owned(), ..Metadata::default() },
                origin: Origin::warehouse("main"),
                ..Freight::default()
            };
            draft.create_freight(&shop(), freight).map(drop)
        };
        world.write(found).await;
        let promotion = world.write(|draft: &mut Draft<'_>| world.start(draft)).await;
        world
            .write(|draft: &mut Draft<'_>| {
                let status = &mut draft.promotion_mut(&shop(), &prod(), &promotion)?.status;
                status.phase = PromotionPhase::Succeeded;
                status.consign.written.push(WrittenTree {
                    repo_url: "https://example.com/gitops".to_owned(),
                    commit: "c0ffee".to_owned(),
                    ..WrittenTree::default()
                });
                draft.write_log(&shop(), &prod(), promotion.as_str(), "done");
                let stage = draft.stage_mut(&shop(), &prod())?;
                stage.status.last_promotion = stage.status.current_promotion.take();
                Ok(())
            })
            .await;
        Self { promotion, ..world }
    }

    fn start(&self, draft: &mut Draft<'_>) -> Result<PromotionName, Stop> {
        let mut promotion = Promotion::default();
        promotion.spec = PromotionSpec { stage: prod(), freight: FREIGHT.into(), ..PromotionSpec::default() };
        promotion.status.phase = PromotionPhase::Running;
        let planned_on = draft.state().version(&RecordPath::Stage(shop(), prod()))?;
        let name = draft.create_promotion(NewPromotion { project: shop(), promotion, planned_on })?;
        draft.stage_mut(&shop(), &prod())?.status.current_promotion =
            Some(PromotionReference { name: name.clone(), ..PromotionReference::default() });
        Ok(name)
    }

    async fn write<T>(&self, function: impl Fn(&mut Draft<'_>) -> Result<T, Stop> + Send + Sync) -> T {
        let occasion = Occasion { now: "2026-01-02T03:04:05Z".parse().unwrap(), run: "run".to_owned(), actor: String::new() };
        self.ledger.transact(&occasion, function).await.unwrap()
    }

    /// Commits to the branch past all rules.
    async fn forge(&self, message: &str, edits: &[(&str, Option<String>)]) -> Oid {
        let tip = self.memory.fetch().await.unwrap();
        let edits: Vec<_> = edits.iter().map(|(path, text)| ((*path).to_owned(), text.clone().map(String::into_bytes))).collect();
        let commit = self.memory.write_commit(tip, &edits, message, "2026-01-02T03:04:05Z".parse().unwrap()).unwrap();
        self.memory.push(commit, tip).await.unwrap();
        commit
    }

    async fn file(&self, path: &RecordPath) -> String {
        let state = self.ledger.read().await.unwrap();
        String::from_utf8(state.bytes(&path.to_string()).unwrap().unwrap()).unwrap()
    }

    async fn problems(&self) -> Vec<Problem> {
        check(&*self.memory, &HasAllBut("")).await.unwrap().problems
    }

    fn promotion_path(&self) -> RecordPath {
        RecordPath::Promotion(shop(), prod(), self.promotion.clone())
    }
}

fn named(promotion: &PromotionName) -> String {
    format!(
        "by hand\n\nConsign-Project: shop\nConsign-Stage: prod\nConsign-Freight: {FREIGHT}\nConsign-Origin: Warehouse/main\nConsign-Promotion: {promotion}\n"
    )
}

#[tokio::test]
async fn what_consign_writes_is_in_order_and_can_be_checked_from_afar() {
    let world = World::new().await;
    assert_eq!(check(&*world.memory, &HasAllBut("")).await.unwrap(), Findings { ok: true, problems: Vec::new(), commits: 4 });
    let empty = Memory::new(&Arc::default());
    assert!(check(&*empty, &HasAllBut("")).await.unwrap().ok, "there is nothing to be wrong");
}

#[tokio::test]
async fn each_break_of_the_rules_is_named_with_commit_and_file() {
    let world = World::new().await;
    let path = world.promotion_path();
    let text = world.file(&path).await;
    let name = path.to_string();
    let running = text.replace("phase: Succeeded", "phase: Running");
    assert_ne!(running, text);
    let freight = RecordPath::Freight(shop(), FREIGHT.into()).to_string();
    let other = "prod.01zzzzzzzzzzzzzzzzzzzzzzzz.0123456";
    let second =
        |promotion: &str, phase: &str| text.replace(world.promotion.as_str(), promotion).replace("phase: Succeeded", &format!("phase: {phase}"));
    let other_path = |promotion: &str| format!("shop/promotions/prod/{promotion}.yaml");
    let nobody = "prod.01zzzzzzzzzzzzzzzzzzzzzzzy.0123456";
    let both = format!("{}Consign-Promotion: {other}\nConsign-Promotion: {nobody}\n", named(&world.promotion));
    let cases: Vec<(&str, Vec<(String, Option<String>)>, &str, &str)> = vec![
        ("by hand\n", vec![(name.clone(), Some(text.replace("phase", "phase ")))], &name, "there is no trailer `Consign-Project: shop`"),
        ("", vec![(name.clone(), Some(running.clone()))], &name, "cannot go from Succeeded to Running"),
        ("", vec![(name.clone(), None)], &name, "removed outside of retention"),
        ("", vec![(name.clone(), Some("kind: [".to_owned()))], &name, "cannot be read"),
        ("", vec![(name.clone(), Some(text.replace(FREIGHT, &"f".repeat(40))))], &name, "the recipe of a promotion changed"),
        ("", vec![(freight.clone(), None)], &freight, "removed outside of retention"),
        ("", vec![("shop/stages/prod.yaml".to_owned(), None)], "shop/stages/prod.yaml", "did not move to `shop/retired/stages/prod.yaml`"),
        ("", vec![("shop/notes.txt".to_owned(), Some("hello".to_owned()))], "shop/notes.txt", "no file of the ledger lives here"),
        (
            &both,
            vec![(other_path(other), Some(second(other, "Running"))), (other_path(nobody), Some(second(nobody, "Running")))],
            "shop/stages/prod.yaml",
            "more than one promotion is running",
        ),
        (&both, vec![(other_path(other), Some(second(nobody, "Failed")))], "", "it is the record of promotion"),
        (&both, vec![(other_path(other), Some(second(other, "Running").replace(FREIGHT, &"f".repeat(40))))], "", "its freight `ffff"),
        ("by hand\n\nConsign-Change: retention\n", vec![(name.clone(), Some(running))], &name, "retention may only remove"),
        ("by hand\n\nConsign-Change: founding\n", vec![], "", "only the first commit can begin the ledger"),
        ("by hand\n\nConsign-Change: magic\n", vec![], "", "names no rule"),
    ];
    for (message, edits, file, expected) in cases {
        let world = World::new().await;
        let message = if message.is_empty() { named(&world.promotion) } else { message.to_owned() };
        let edits: Vec<(&str, Option<String>)> = edits.iter().map(|(path, text)| (path.as_str(), text.clone())).collect();
        let commit = world.forge(&message, &edits).await;
        let problems = world.problems().await;
        let found = problems.iter().find(|problem| problem.message.contains(expected));
        let found = found.unwrap_or_else(|| panic!("`{expected}` is not among {problems:#?}"));
        assert_eq!(found.commit, commit.to_string());
        if !file.is_empty() {
            assert_eq!(found.file, file, "{expected}");
        }
    }
}

#[tokio::test]
async fn a_reference_to_nothing_is_found() {
    let world = World::new().await;
    world
        .write(|draft| {
            draft.stage_mut(&shop(), &prod())?.status.current_promotion =
                Some(PromotionReference { name: "prod.gone.1".into(), ..PromotionReference::default() });
            draft.warehouse_mut(&shop(), &"main".into())?.status.freight.push(LiveFreight { name: "beef".into(), ..LiveFreight::default() });
            Ok(())
        })
        .await;
    let messages: Vec<String> = world.problems().await.into_iter().map(|problem| problem.message).collect();
    assert_eq!(messages, ["freight `beef` of its list does not exist", "its current promotion `prod.gone.1` does not exist"]);
}

#[tokio::test]
async fn a_recorded_commit_that_its_remote_lost_is_found() {
    let world = World::new().await;
    let problems = check(&*world.memory, &HasAllBut("c0ffee")).await.unwrap().problems;
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].file, world.promotion_path().to_string());
    assert_eq!(problems[0].message, "commit `c0ffee` that it recorded does not exist in `https://example.com/gitops`");
}

#[tokio::test]
async fn retention_may_remove_what_has_ended() {
    let world = World::new().await;
    let log = RecordPath::Log(shop(), prod(), world.promotion.to_string()).to_string();
    world.forge("clean up\n\nConsign-Change: retention\n", &[(&world.promotion_path().to_string(), None), (&log, None)]).await;
    assert_eq!(world.problems().await, []);
}

#[tokio::test]
async fn retention_may_not_remove_what_a_stage_holds() {
    let world = World::new().await;
    world
        .write(|draft| {
            let freight = draft.freight(&shop(), &FREIGHT.into())?.unwrap();
            let items = [(freight.origin.clone().into(), freight.reference())].into();
            draft.stage_mut(&shop(), &prod())?.status.freight_history = vec![FreightCollection { items, ..FreightCollection::default() }];
            Ok(())
        })
        .await;
    let freight = RecordPath::Freight(shop(), FREIGHT.into()).to_string();
    world.forge("clean up\n\nConsign-Change: retention\n", &[(&freight, None)]).await;
    let problems = world.problems().await;
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].message, "it was removed while stage `prod` holds it");
}

#[test]
fn trailers_are_the_last_paragraph() {
    let message = "promote a to b\n\nConsign-Stage: fake\n\nConsign-Stage: prod\nConsign-Run: 1\n";
    assert_eq!(trailers(message), [("Consign-Stage".to_owned(), "prod".to_owned()), ("Consign-Run".to_owned(), "1".to_owned())]);
}
