#![allow(clippy::unwrap_used, clippy::field_reassign_with_default)]

use super::*;
use crate::ledger::memory::{Memory, Remote};
use crate::ledger::{Draft, Ledger, Occasion, Pins};
use crate::model::*;

async fn readme_of(write: impl Fn(&mut Draft<'_>) -> Result<(), Stop> + Send + Sync) -> String {
    let remote = Arc::new(Remote::default());
    let occasion = Occasion { now: "2026-01-02T03:04:05Z".parse().unwrap(), run: "run-1".to_owned(), actor: String::new() };
    let ledger = Ledger::new(Memory::new(&remote), Pins::default(), render);
    ledger.transact(&occasion, write).await.unwrap();
    // Read as another machine would: nothing is in its store yet.
    let elsewhere = Ledger::new(Memory::new(&remote), Pins::default(), render);
    let state = elsewhere.read().await.unwrap();
    loop {
        match render(&state) {
            Err(Stop::Missing) => assert!(state.fetch_missing().await.unwrap()),
            result => return result.unwrap(),
        }
    }
}

fn holding(freight: &Freight, phase: Option<VerificationPhase>) -> Vec<FreightCollection> {
    let verification = phase.map(|phase| VerificationInfo { id: "1".to_owned(), phase: Some(phase), ..VerificationInfo::default() });
    vec![FreightCollection {
        id: "c".to_owned(),
        items: [(freight.origin.clone().into(), freight.reference())].into(),
        verification_history: verification.into_iter().collect(),
    }]
}

#[tokio::test]
async fn it_shows_the_pipeline_who_waits_and_what_fails() {
    let text = readme_of(|draft| {
        let shop: ProjectName = "shop".into();
        let now = draft.now();
        let freight = Freight {
            metadata: Metadata { name: "0123456789abcdef0123456789abcdef01234567".to_owned(), ..Metadata::default() },
            alias: "green-fox".to_owned(),
            origin: Origin::warehouse("main"),
            ..Freight::default()
        };
        draft.create_freight(&shop, freight.clone())?;
        draft.freight_mut(&shop, &freight.name())?.status.currently_in.insert("test".into(), CurrentStage { since: Some(now) });
        draft.stage_mut(&shop, &"test".into())?.status.freight_history = holding(&freight, Some(VerificationPhase::Successful));
        let mut promotion = Promotion::default();
        promotion.spec = PromotionSpec { stage: "prod".into(), freight: freight.name(), ..PromotionSpec::default() };
        promotion.spec.steps = vec![PromotionStep { uses: "git-wait-for-pr".to_owned(), alias: "wait".to_owned(), ..PromotionStep::default() }];
        promotion.status = PromotionStatus {
            phase: PromotionPhase::Running,
            started_at: Some(now),
            freight: Some(freight.reference()),
            ..PromotionStatus::default()
        };
        promotion.status.state.insert("open".to_owned(), serde_json::json!({"pr": {"id": 12, "url": "https://forge.example/acme/gitops/pull/12"}}));
        let name = draft.create_promotion(crate::ledger::NewPromotion { project: shop.clone(), promotion, planned_on: None })?;
        let prod = draft.stage_mut(&shop, &"prod".into())?;
        prod.status.current_promotion = Some(PromotionReference { name, ..PromotionReference::default() });
        prod.status
            .auto_promotion_holds
            .insert(freight.origin.clone().into(), Hold { reason: "freeze over the holidays".to_owned(), ..Hold::default() });
        let broken = PromotionStatus { phase: PromotionPhase::Failed, message: "step `helm` failed\nmore".to_owned(), ..PromotionStatus::default() };
        let uat = draft.stage_mut(&shop, &"uat".into())?;
        uat.status.last_promotion = Some(PromotionReference { name: "uat.1.a".into(), status: Some(broken), ..PromotionReference::default() });
        draft.warehouse_mut(&shop, &"charts".into())?.status.failing =
            Some(FailingSource { since: Some(now), reason: "503 from charts.example.com".to_owned(), ..FailingSource::default() });
        Ok(())
    })
    .await;
    insta::assert_snapshot!(text, @r"
    # Ledger

    This branch is what [consign](https://github.com/consign-dev/consign) remembers: one record per file, one commit per change. It is written by machine;
    `consign status`, `consign why` and `consign history` read it, `consign fsck` checks it against its own history.

    ## shop

    | stage | freight | since | status |
    | --- | --- | --- | --- |
    | prod | none |  | green-fox waits for a merge ([pull request 12](https://forge.example/acme/gitops/pull/12)); held: freeze over the holidays |
    | test | green-fox | 2026-01-02 03:04 UTC | verified |
    | uat | none |  | the last promotion failed: step \`helm\` failed |

    ### Waiting

    - prod: green-fox at step wait ([pull request 12](https://forge.example/acme/gitops/pull/12)), since 2026-01-02 03:04 UTC

    ### Sources that fail

    - charts, since 2026-01-02 03:04 UTC: 503 from charts.example.com
    ");
}

#[tokio::test]
async fn text_from_outside_cannot_break_the_table() {
    let text = readme_of(|draft| {
        let failing = FailingSource { reason: "<script> | [x](javascript:x)\n# heading @team".to_owned(), ..FailingSource::default() };
        draft.warehouse_mut(&"shop".into(), &"main".into())?.status.failing = Some(failing);
        Ok(())
    })
    .await;
    assert!(text.contains("&lt;script&gt; \\| \\[x\\](javascript:x)"), "{text}");
    assert!(!text.contains("heading"), "{text}");
}

#[tokio::test]
async fn an_empty_ledger_says_so() {
    let remote = Arc::new(Remote::default());
    let ledger = Ledger::new(Memory::new(&remote), Pins::default(), render);
    let text = render(&ledger.read().await.unwrap()).unwrap();
    assert!(text.ends_with("Nothing has been recorded yet.\n"), "{text}");
}
