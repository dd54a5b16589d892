#![allow(clippy::unwrap_used, clippy::field_reassign_with_default)]

use std::sync::Arc;

use super::*;
use crate::ledger::memory::{Memory, Misbehaviour, Remote, plain_readme};
use crate::ledger::records::Record;
use crate::ledger::{Branch, Ledger, NewPromotion, Pins, RecordPath, Scope};
use crate::model::*;

pub(super) fn occasion(run: &str, now: &str) -> Occasion {
    Occasion { now: now.parse().unwrap(), run: run.to_owned(), actor: String::new() }
}

fn ledger(remote: &Arc<Remote>) -> (Ledger, Arc<Memory>) {
    let memory = Memory::new(remote);
    let branch: Arc<dyn Branch> = memory.clone();
    (Ledger::new(branch, Pins::default(), plain_readme), memory)
}

fn shop() -> ProjectName {
    "shop".into()
}

fn freight(name: &str) -> Freight {
    Freight { metadata: Metadata { name: name.to_owned(), ..Metadata::default() }, origin: Origin::warehouse("main"), ..Freight::default() }
}

fn new_promotion(stage: &str, freight: &str) -> NewPromotion {
    let mut promotion = Promotion::default();
    promotion.spec.stage = stage.into();
    promotion.spec.freight = freight.into();
    NewPromotion { project: shop(), promotion, planned_on: None }
}

const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

#[tokio::test]
async fn a_promotion_created_early_and_ended_late_is_one_commit_among_a_hundred() {
    let remote = Arc::new(Remote::default());
    let (ledger, _) = ledger(&remote);
    let occasion = occasion("run-1", "2026-01-02T03:04:05Z");
    let state = ledger.open(&occasion).await.unwrap().state;
    let mut chain = ledger.chain(state, occasion);
    let mut names = Vec::new();
    for number in 0..100 {
        let stage = format!("s{number:02}");
        let key = stage.clone();
        names.push((
            stage.clone(),
            chain
                .apply(&key, move |draft| {
                    draft.say(format!("promote freight to {stage}"));
                    draft.create_promotion(new_promotion(&stage, HASH))
                })
                .await
                .unwrap(),
        ));
    }
    for (stage, name) in names {
        chain
            .apply(&stage.clone(), move |draft| {
                draft.say(format!("freight is in {stage}"));
                draft.promotion_mut(&shop(), &stage.as_str().into(), &name)?.status.phase = PromotionPhase::Succeeded;
                draft.stage_mut(&shop(), &stage.as_str().into())?.status.last_promotion =
                    Some(PromotionReference { name: name.clone(), ..PromotionReference::default() });
                Ok(())
            })
            .await
            .unwrap();
    }
    let committed = ledger.publish(&mut chain).await.unwrap().committed.unwrap();
    assert_eq!(committed.commits.len(), 100);
    let commit = ledger.branch().commit(committed.commits[7].1).unwrap().unwrap();
    insta::assert_snapshot!(commit.message, @r"
    freight is in s07

    - promote freight to s07

    Consign-Freight: 0123456789abcdef0123456789abcdef01234567
    Consign-Project: shop
    Consign-Promotion: s07.01kdyak3488d908qvcybeptfq6.0123456
    Consign-Stage: s07
    Consign-Run: run-1
    ");
    let state = ledger.read().await.unwrap();
    assert_eq!(state.stages(&shop()).unwrap().len(), 100);
    let readme = state.bytes("README.md").unwrap().unwrap();
    assert_eq!(String::from_utf8(readme).unwrap(), "# Ledger\n\n1 projects\n");
}

#[tokio::test]
async fn a_lost_push_runs_the_function_again_on_what_the_winner_wrote() {
    let remote = Arc::new(Remote::default());
    let (ours, _) = ledger(&remote);
    let (theirs, _) = ledger(&remote);
    let at = "2026-01-02T03:04:05Z";
    let state = ours.open(&occasion("a", at)).await.unwrap().state;
    let mut chain = ours.chain(state, occasion("a", at));
    chain.apply("x", |draft| draft.next_proposal()).await.unwrap();
    assert_eq!(theirs.transact(&occasion("b", at), |draft| draft.next_proposal()).await.unwrap(), 1);
    let published = ours.publish(&mut chain).await.unwrap();
    assert!(published.dropped.is_empty());
    assert_eq!(ours.read().await.unwrap().ledger().unwrap().status.proposals, 2, "no number is given twice and no update is lost");
}

#[tokio::test]
async fn racing_writers_lose_no_update() {
    let remote = Arc::new(Remote::default());
    let writers = (0..8).map(|writer| {
        let (ledger, _) = ledger(&remote);
        async move {
            for number in 0..5 {
                ledger.transact(&occasion(&format!("{writer}-{number}"), "2026-01-02T03:04:05Z"), |draft| draft.next_proposal()).await.unwrap();
            }
        }
    });
    futures::future::join_all(writers).await;
    assert_eq!(ledger(&remote).0.read().await.unwrap().ledger().unwrap_or_default().status.proposals, 40);
}

#[tokio::test]
async fn a_push_whose_answer_was_cut_is_settled_by_reading_the_ref() {
    for misbehaviour in [Misbehaviour::CutAfter, Misbehaviour::CutBefore, Misbehaviour::TurnedAway] {
        let remote = Arc::new(Remote::default());
        let (ledger, _) = ledger(&remote);
        let occasion = occasion("run", "2026-01-02T03:04:05Z");
        ledger.open(&occasion).await.unwrap();
        remote.misbehaviour.lock().unwrap().push(misbehaviour);
        assert_eq!(ledger.transact(&occasion, |draft| draft.next_proposal()).await.unwrap(), 1);
        assert_eq!(ledger.transact(&occasion, |draft| draft.next_proposal()).await.unwrap(), 2, "it was not written twice");
    }
}

#[tokio::test]
async fn a_remote_that_forbids_or_never_answers_is_named() {
    let remote = Arc::new(Remote::default());
    let (ledger, _) = ledger(&remote);
    let occasion = occasion("run", "2026-01-02T03:04:05Z");
    ledger.open(&occasion).await.unwrap();
    remote.misbehaviour.lock().unwrap().push(Misbehaviour::Refused);
    assert_eq!(ledger.transact(&occasion, |draft| draft.next_proposal()).await.unwrap_err().kind, FailureKind::Refused);
    remote.misbehaviour.lock().unwrap().extend([Misbehaviour::CutBefore; 3]);
    assert_eq!(ledger.transact(&occasion, |draft| draft.next_proposal()).await.unwrap_err().kind, FailureKind::Remote);
}

#[tokio::test]
async fn promotions_and_freight_never_come_from_the_past() {
    let remote = Arc::new(Remote::default());
    let (ledger, _) = ledger(&remote);
    let create = |stage: &'static str| move |draft: &mut Draft<'_>| draft.create_promotion(new_promotion(stage, HASH));
    let first = ledger.transact(&occasion("a", "2026-01-02T03:04:05Z"), create("prod")).await.unwrap();
    let same_instant = ledger.transact(&occasion("b", "2026-01-02T03:04:05Z"), create("prod")).await.unwrap();
    let clock_behind = ledger.transact(&occasion("c", "2020-01-01T00:00:00Z"), create("prod")).await.unwrap();
    assert!(first < same_instant && same_instant < clock_behind, "{first} {same_instant} {clock_behind}");
    assert_eq!(first.as_str().len(), "prod..".len() + 26 + 7);
    assert!(first.as_str().starts_with("prod.01kdy") && first.as_str().ends_with(".0123456"), "{first}");

    let find = |name: &'static str| {
        move |draft: &mut Draft<'_>| draft.create_freight(&shop(), freight(name)).map(|(freight, new)| (freight.discovered_at.unwrap(), new))
    };
    let (one, new) = ledger.transact(&occasion("d", "2026-01-02T03:04:05Z"), find("aaaa")).await.unwrap();
    assert!(new && one == "2026-01-02T03:04:05Z".parse().unwrap());
    let (two, _) = ledger.transact(&occasion("e", "2020-01-01T00:00:00Z"), find("bbbb")).await.unwrap();
    assert!(two > one);
    assert_eq!(ledger.transact(&occasion("f", "2027-01-01T00:00:00Z"), find("aaaa")).await.unwrap(), (one, false), "known freight stays as it is");
    let state = ledger.read().await.unwrap();
    let names: Vec<_> = state.warehouse(&shop(), &"main".into()).unwrap().unwrap().status.freight.iter().map(|live| live.name.to_string()).collect();
    assert_eq!(names, ["bbbb", "aaaa"]);
}

#[tokio::test]
async fn a_promotion_is_not_created_on_a_stage_that_has_changed() {
    let remote = Arc::new(Remote::default());
    let (ledger, _) = ledger(&remote);
    let at = "2026-01-02T03:04:05Z";
    let state = ledger.open(&occasion("a", at)).await.unwrap().state;
    let stage = RecordPath::Stage(shop(), "prod".into());
    let planned_on = state.version(&stage).unwrap();
    let mut chain = ledger.chain(state, occasion("a", at));
    chain.apply("prod", move |draft| draft.create_promotion(NewPromotion { planned_on, ..new_promotion("prod", HASH) })).await.unwrap();
    chain.apply("other", |draft| draft.create_promotion(new_promotion("test", HASH))).await.unwrap();
    ledger
        .transact(&occasion("b", at), |draft| {
            draft.stage_mut(&shop(), &"prod".into())?.status.metadata.insert("key".to_owned(), true.into());
            Ok(())
        })
        .await
        .unwrap();
    let published = ledger.publish(&mut chain).await.unwrap();
    assert_eq!(published.dropped.iter().map(|dropped| dropped.key.as_str()).collect::<Vec<_>>(), ["prod"]);
    assert!(matches!(published.dropped[0].why, Stop::Stale(_)));
    let state = ledger.read().await.unwrap();
    assert!(state.promotions(&shop(), &"prod".into()).unwrap().is_empty());
    assert_eq!(state.promotions(&shop(), &"test".into()).unwrap().len(), 1, "the rest of the chain goes on");
}

#[tokio::test]
async fn a_refused_promotion_leaves_the_chain_with_what_was_built_on_it() {
    let remote = Arc::new(Remote::default());
    let (ledger, _) = ledger(&remote);
    let occasion = occasion("a", "2026-01-02T03:04:05Z");
    let state = ledger.open(&occasion).await.unwrap().state;
    let mut chain = ledger.chain(state, occasion);
    let refused = chain.apply("refused", |draft| draft.create_promotion(new_promotion("test", HASH))).await.unwrap();
    chain.apply("fine", |draft| draft.create_promotion(new_promotion("uat", HASH))).await.unwrap();
    let upstream = refused.clone();
    chain
        .apply("downstream", move |draft| {
            if draft.promotion(&shop(), &"test".into(), &upstream)?.is_none() {
                return Err(Stop::Stale("test has not been promoted".to_owned()));
            }
            draft.create_promotion(new_promotion("prod", HASH))
        })
        .await
        .unwrap();
    let gone = chain.drop_groups(&["refused"]).await.unwrap();
    assert_eq!(gone.iter().map(|dropped| dropped.key.as_str()).collect::<Vec<_>>(), ["downstream"]);
    ledger.publish(&mut chain).await.unwrap();
    let state = ledger.read().await.unwrap();
    let counts = ["test", "uat", "prod"].map(|stage| state.promotions(&shop(), &stage.into()).unwrap().len());
    assert_eq!(counts, [0, 1, 0]);
}

#[tokio::test]
async fn the_same_chain_gives_the_same_commits() {
    let tips = futures::future::join_all([0, 1].map(async |_| {
        let (ledger, _) = ledger(&Arc::default());
        let occasion = occasion("run", "2026-01-02T03:04:05Z");
        let mut chain = ledger.chain(ledger.open(&occasion).await.unwrap().state, occasion);
        chain.apply("a", |draft| draft.create_promotion(new_promotion("prod", HASH))).await.unwrap();
        (chain.commit().await.unwrap(), chain.commit().await.unwrap())
    }))
    .await;
    assert_eq!(tips[0], tips[1]);
    assert_eq!(tips[0].0, tips[0].1);
}

#[tokio::test]
async fn nothing_changed_is_nothing_committed() {
    let remote = Arc::new(Remote::default());
    let (ledger, _) = ledger(&remote);
    let occasion = occasion("run", "2026-01-02T03:04:05Z");
    ledger.transact(&occasion, |draft| draft.create_freight(&shop(), freight("aaaa")).map(drop)).await.unwrap();
    let before = *remote.tip.lock().unwrap();
    ledger
        .transact(&occasion, |draft| {
            draft.say("look busy");
            draft.create_freight(&shop(), freight("aaaa"))?;
            draft.freight_mut(&shop(), &"aaaa".into())?.status = FreightStatus::default();
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(*remote.tip.lock().unwrap(), before);
}

#[tokio::test]
async fn claims_are_taken_renewed_and_taken_over_only_after_they_expire() {
    let remote = Arc::new(Remote::default());
    let (ledger, _) = ledger(&remote);
    let name = ledger.transact(&occasion("a", "2026-01-02T03:00:00Z"), |draft| draft.create_promotion(new_promotion("prod", HASH))).await.unwrap();
    let claim = async |run: &str, now: &str, until: &str| {
        let until = until.parse().unwrap();
        ledger.transact(&occasion(run, now), |draft| draft.claim(&shop(), &"prod".into(), &name, until)).await.map_err(|failure| failure.kind)
    };
    assert_eq!(claim("a", "2026-01-02T03:00:00Z", "2026-01-02T03:10:00Z").await, Ok(()));
    assert_eq!(claim("b", "2026-01-02T03:09:59Z", "2026-01-02T03:20:00Z").await, Err(FailureKind::Conflict));
    assert_eq!(claim("a", "2026-01-02T03:09:59Z", "2026-01-02T03:20:00Z").await, Ok(()), "a living tick renews");
    assert_eq!(claim("b", "2026-01-02T03:20:00Z", "2026-01-02T03:30:00Z").await, Ok(()), "an expired claim is taken over");
    let check = async |run: &str| {
        ledger.transact(&occasion(run, "2026-01-02T03:20:00Z"), |draft| draft.check_claim(&shop(), &"prod".into(), &name)).await.is_ok()
    };
    assert!(!check("a").await && check("b").await);
    ledger.transact(&occasion("a", "2026-01-02T03:21:00Z"), |draft| draft.release(&shop(), &"prod".into(), &name)).await.unwrap();
    assert!(check("b").await, "another run's claim is not given back");
}

#[tokio::test]
async fn a_retired_stage_keeps_its_record_and_its_promotions_are_aborted() {
    let remote = Arc::new(Remote::default());
    let (ledger, _) = ledger(&remote);
    let occasion = occasion("a", "2026-01-02T03:04:05Z");
    let name = ledger
        .transact(&occasion, |draft| {
            let name = draft.create_promotion(new_promotion("prod", HASH))?;
            draft.stage_mut(&shop(), &"prod".into())?.status.current_promotion =
                Some(PromotionReference { name: name.clone(), ..PromotionReference::default() });
            draft.create_freight(&shop(), freight("aaaa"))?;
            draft.freight_mut(&shop(), &"aaaa".into())?.status.verified_in.insert("prod".into(), VerifiedStage::default());
            Ok(name)
        })
        .await
        .unwrap();
    let ended =
        ledger.transact(&occasion, |draft| draft.retire_stage(&shop(), &"prod".into(), "stage `prod` is gone from the definitions")).await.unwrap();
    assert_eq!(ended, std::slice::from_ref(&name));
    let state = ledger.read().await.unwrap();
    assert!(state.stage(&shop(), &"prod".into()).unwrap().is_none());
    assert!(state.freight(&shop(), &"aaaa".into()).unwrap().unwrap().status.verified_in.is_empty(), "as when a Stage is deleted in Kargo");
    let promotion = state.promotion(&shop(), &"prod".into(), &name).unwrap().unwrap();
    assert_eq!((promotion.status.phase, promotion.status.message.as_str()), (PromotionPhase::Aborted, "stage `prod` is gone from the definitions"));
    assert!(state.get::<crate::ledger::StageRecord>(&RecordPath::RetiredStage(shop(), "prod".into())).unwrap().is_some());
    assert_eq!(state.stages_with_promotions(&shop()).unwrap(), ["prod"]);
}

#[tokio::test]
async fn our_own_illegal_changes_never_reach_the_branch() {
    let remote = Arc::new(Remote::default());
    let (ledger, _) = ledger(&remote);
    let occasion = occasion("a", "2026-01-02T03:04:05Z");
    let name = ledger
        .transact(&occasion, |draft| {
            let name = draft.create_promotion(new_promotion("prod", HASH))?;
            draft.promotion_mut(&shop(), &"prod".into(), &name)?.status.phase = PromotionPhase::Failed;
            Ok(name)
        })
        .await
        .unwrap();
    let failure = ledger
        .transact(&occasion, |draft| {
            draft.promotion_mut(&shop(), &"prod".into(), &name)?.status.phase = PromotionPhase::Succeeded;
            Ok(())
        })
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Internal);
    assert!(failure.message.contains("from Failed to Succeeded"), "{failure}");
}

#[tokio::test]
async fn reading_fetches_in_batches_and_only_what_it_needs() {
    let remote = Arc::new(Remote::default());
    let (writer, _) = ledger(&remote);
    let occasion = occasion("a", "2026-01-02T03:04:05Z");
    writer
        .transact(&occasion, |draft| {
            for number in 0..300 {
                draft.create_freight(&shop(), freight(&format!("{number:040x}")))?;
            }
            for number in 0..20 {
                let stage: StageName = format!("s{number}").as_str().into();
                let name = draft.create_promotion(new_promotion(stage.as_str(), HASH))?;
                draft.stage_mut(&shop(), &stage)?.status.current_promotion = Some(PromotionReference { name, ..PromotionReference::default() });
            }
            Ok(())
        })
        .await
        .unwrap();
    let (reader, memory) = ledger(&remote);
    let state = reader.read().await.unwrap();
    memory.prefetches.lock().unwrap().clear();
    state.load(&[Scope::Project(shop()), Scope::Freight(shop(), vec![format!("{:040x}", 7).as_str().into()])]).await.unwrap();
    assert_eq!(*memory.prefetches.lock().unwrap(), [22, 20], "stages, warehouse and one freight; then the current promotions");
    assert!(state.freight(&shop(), &format!("{:040x}", 7).as_str().into()).unwrap().is_some());
    assert!(matches!(state.freight(&shop(), &format!("{:040x}", 8).as_str().into()), Err(Stop::Missing)));
    assert!(state.fetch_missing().await.unwrap());
    assert!(state.freight(&shop(), &format!("{:040x}", 8).as_str().into()).unwrap().is_some());
    assert_eq!(state.all_freight(&shop()).unwrap().len(), 300);
}

#[test]
fn text_from_outside_stays_on_its_line_of_the_message() {
    let transition = Transition {
        sentences: vec!["approve\n\nConsign-Actor: root".to_owned()],
        trailers: [("Consign-Stage", "prod\r\nConsign-Actor: root".to_owned())].into(),
        edits: BTreeMap::new(),
    };
    let occasion = Occasion { actor: "eve\nConsign-Run: 1".to_owned(), ..Occasion::default() };
    insta::assert_snapshot!(transition.message(&occasion), @r"
    approve Consign-Actor: root

    Consign-Stage: prod Consign-Actor: root
    Consign-Actor: eve Consign-Run: 1
    ");
}

#[test]
fn pauses_grow_and_stay_bounded() {
    assert_eq!(pause(0, 1.0), Duration::from_millis(100));
    assert_eq!(pause(3, 1.0), Duration::from_millis(800));
    assert_eq!(pause(90, 1.0), Duration::from_millis(3200));
    assert_eq!(pause(90, 0.0), Duration::ZERO);
}

#[tokio::test]
async fn an_alias_belongs_to_one_freight() {
    let remote = Arc::new(Remote::default());
    let (ledger, _) = ledger(&remote);
    let occasion = occasion("a", "2026-01-02T03:04:05Z");
    ledger
        .transact(&occasion, |draft| {
            draft.create_freight(&shop(), Freight { alias: "green-fox".to_owned(), ..freight("aaaa") })?;
            draft.create_freight(&shop(), freight("bbbb"))?;
            Ok(())
        })
        .await
        .unwrap();
    let rename = async |name: &str, alias: &str| {
        ledger.transact(&occasion, |draft| draft.set_freight_alias(&shop(), &name.into(), alias)).await.map_err(|failure| failure.kind)
    };
    assert_eq!(rename("bbbb", "green-fox").await, Err(FailureKind::Config));
    assert_eq!(rename("aaaa", "red-fox").await, Ok(()));
    assert_eq!(rename("bbbb", "green-fox").await, Ok(()));
    let state = ledger.read().await.unwrap();
    let Some(Record::Freight(freight)) = state.record(&RecordPath::Freight(shop(), "aaaa".into()).to_string()).unwrap() else { panic!("no freight") };
    assert_eq!((freight.alias.as_str(), freight.metadata.labels["kargo.akuity.io/alias"].as_str()), ("red-fox", "red-fox"));
}
