#![allow(clippy::unwrap_used, clippy::field_reassign_with_default)]

use std::collections::BTreeSet as Set;
use std::sync::Arc;

use super::*;
use crate::diagnostic::Failure;
use crate::ledger::fsck::{Remotes, check};
use crate::ledger::memory::{Memory, Remote, plain_readme};
use crate::ledger::{Ledger, NewPromotion, Occasion, Pins};
use crate::model::*;

struct HasAll;

#[async_trait::async_trait]
impl Remotes for HasAll {
    async fn absent(&self, _url: &str, _commits: &Set<String>) -> Result<Set<String>, Failure> {
        Ok(Set::new())
    }
}

fn occasion(now: &str) -> Occasion {
    Occasion { now: now.parse().unwrap(), run: now.to_owned(), actor: String::new() }
}

fn shop() -> ProjectName {
    "shop".into()
}

fn name(number: usize) -> String {
    format!("{number:040x}")
}

/// Thirty freight and thirty promotions, one a day; `running` have not ended, the stage holds freight number `held`.
async fn world(running: &'static [usize], held: Option<usize>) -> (Ledger, Arc<Memory>) {
    let remote = Arc::new(Remote::default());
    let memory = Memory::new(&remote);
    let ledger = Ledger::new(memory.clone(), Pins::default(), plain_readme);
    for day in 1..=30 {
        ledger
            .transact(&occasion(&format!("2026-01-{day:02}T00:00:00Z")), move |draft| {
                let freight = Freight {
                    metadata: Metadata { name: name(day), ..Metadata::default() },
                    origin: Origin::warehouse("main"),
                    ..Freight::default()
                };
                let (freight, _) = draft.create_freight(&shop(), freight)?;
                let mut promotion = Promotion::default();
                promotion.spec = PromotionSpec { stage: "prod".into(), freight: freight.name(), ..PromotionSpec::default() };
                promotion.status.phase = if running.contains(&day) { PromotionPhase::Pending } else { PromotionPhase::Succeeded };
                let planned_on = draft.state().version(&RecordPath::Stage(shop(), "prod".into()))?;
                let promotion = draft.create_promotion(NewPromotion { project: shop(), promotion, planned_on })?;
                draft.write_log(&shop(), &"prod".into(), promotion.as_str(), "done");
                if held == Some(day) {
                    draft.stage_mut(&shop(), &"prod".into())?.status.freight_history = vec![FreightCollection {
                        items: [(freight.origin.clone().into(), freight.reference())].into(),
                        ..FreightCollection::default()
                    }];
                }
                Ok(())
            })
            .await
            .unwrap();
    }
    (ledger, memory)
}

async fn retain(ledger: &Ledger, now: &str) -> Removed {
    ledger.transact(&occasion(now), |draft| draft.retain(&shop(), Retention::default())).await.unwrap()
}

#[tokio::test]
async fn the_newest_twenty_stay_and_what_is_older_than_two_weeks_goes() {
    let (ledger, memory) = world(&[], None).await;
    assert_eq!(retain(&ledger, "2026-01-20T00:00:00Z").await, Removed { promotions: 5, freight: 5 }, "the younger ones are not old enough");
    assert_eq!(retain(&ledger, "2026-03-01T00:00:00Z").await, Removed { promotions: 5, freight: 5 });
    assert_eq!(retain(&ledger, "2026-03-02T00:00:00Z").await, Removed::default());
    let state = ledger.read().await.unwrap();
    assert_eq!(state.all_freight(&shop()).unwrap(), (11..=30).map(|day| FreightName::from(name(day))).collect::<Vec<_>>());
    assert_eq!(state.promotions(&shop(), &"prod".into()).unwrap().len(), 20);
    assert_eq!(state.files("shop/logs").unwrap().len(), 20);
    assert_eq!(state.warehouse(&shop(), &"main".into()).unwrap().unwrap().status.freight.len(), 20);
    assert_eq!(check(&*memory, &HasAll).await.unwrap().problems, [], "fsck knows this rule");
}

#[tokio::test]
async fn what_is_in_use_protects_itself_and_everything_newer() {
    let (ledger, _) = world(&[8], Some(5)).await;
    assert_eq!(retain(&ledger, "2026-03-01T00:00:00Z").await, Removed::default(), "8 and 5 are older than the 20 that are kept beyond them");
    let (ledger, _) = world(&[28], Some(27)).await;
    assert_eq!(retain(&ledger, "2026-03-01T00:00:00Z").await, Removed { promotions: 7, freight: 6 });
}
