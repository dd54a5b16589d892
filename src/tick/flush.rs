//! How the work of a round leaves: the refs of optimistic promotions and the ledger in one atomic push.

use std::collections::BTreeMap;

use super::World;
use super::transitions::{self, Aftermath, Place};
use crate::diagnostic::{Failure, FailureKind};
use crate::git::{Closing, GroupOutcome, PushUnit, RefOutcome, RefUpdate, UnitOutcome};
use crate::ledger::transaction::Dropped;
use crate::ledger::{Chain, Committed, Stop};
use crate::model::{Promotion, PromotionPhase, PromotionStatus};

/// Attempts before a race counts as lost.
const ATTEMPTS: u32 = 40;
/// Pushes without a clear answer that did not land before the remote counts as failed.
const UNCLEAR_PUSHES: u32 = 3;

/// A promotion that was run and whose outcome is to be written down.
#[derive(Debug)]
pub struct Finished {
    /// Where.
    pub place: Place,
    /// The promotion as it was run; if this tick created it, it is created with its outcome.
    pub promotion: Promotion,
    /// How far it came.
    pub status: PromotionStatus,
    /// What else it changed.
    pub aftermath: Aftermath,
    /// Refs that leave together with the record; empty for claimed promotions, whose refs have left already.
    pub updates: Vec<RefUpdate>,
    /// Whether it was created in this tick and is not on the branch yet.
    pub created: bool,
    /// Whether there is anything new to say about it.
    pub changed: bool,
    /// Whether it is in the chain.
    pub applied: bool,
    /// The promotion as it stands on the branch now; None: it was not written, because somebody else moved first.
    pub landed: Option<Promotion>,
}

impl Finished {
    fn land(&mut self) {
        let mut promotion = self.promotion.clone();
        promotion.status = self.status.clone();
        self.landed = Some(promotion);
    }
}

/// Applies outcomes to the chain. What no longer applies stays without `landed`.
///
/// # Errors
/// What fetching says.
pub async fn apply(chain: &mut Chain<'_>, finished: &mut [Finished]) -> Result<(), Failure> {
    // Proposals are numbered in the order in which they were opened.
    finished.sort_by_key(|result| result.status.consign.proposals.last().map_or(0, |proposal| proposal.number));
    for result in finished.iter_mut() {
        if !result.changed {
            result.land();
            continue;
        }
        match transitions::record_promotion(chain, &result.place, result.status.clone(), result.aftermath.clone()).await {
            Ok(()) => result.applied = true,
            Err(Stop::Stale(_)) => {}
            Err(stop) => return Err(stop.into()),
        }
    }
    Ok(())
}

/// Pushes refs and ledger together until everything has landed, was refused, or has to be planned again.
///
/// # Errors
/// Conflict, if the race is not won; what the remote says about the ledger itself.
pub async fn push(world: &World, chain: &mut Chain<'static>, finished: &mut [Finished]) -> Result<(), Failure> {
    let mut open: Vec<usize> = (0..finished.len()).filter(|at| finished[*at].applied).collect();
    let mut refused: Vec<(usize, String)> = Vec::new();
    for attempt in 0..ATTEMPTS {
        let units: Vec<PushUnit> = open
            .iter()
            .map(|at| &finished[*at])
            .filter(|result| !result.updates.is_empty())
            .map(|result| PushUnit { key: result.place.key.clone(), updates: result.updates.clone() })
            .collect();
        if units.is_empty() && chain.is_empty() {
            break;
        }
        let keys = units.iter().map(|unit| unit.key.clone()).collect();
        let mut ledger = LedgerRef { world, chain, keys, pushed: None, landed: false };
        let outcome = world.ledger_store.push_group(units, &mut ledger).await;
        let outcome = match (outcome, ledger.take_landed().await?) {
            (Ok(outcome), _) => outcome,
            // The answer was lost after the push had landed, or never came: what has landed is off the chain now.
            (Err(failure), landed) if failure.kind == FailureKind::Remote && (landed || attempt < UNCLEAR_PUSHES) => {
                tracing::debug!("push without a clear answer: {failure}");
                GroupOutcome { units: BTreeMap::new(), closing: None }
            }
            (Err(failure), _) => return Err(failure),
        };
        if let Some((name, RefOutcome::Refused(words))) = &outcome.closing {
            return Err(Failure::new(FailureKind::Refused, format!("the remote refuses to write the ledger `{name}`: {words}"))
                .hint("the ledger's branch must be writable for consign: see the rulesets and branch protection of the repository"));
        }
        let mut stale = Vec::new();
        for (key, unit) in &outcome.units {
            let Some(at) = open.iter().copied().find(|at| finished[*at].place.key == *key) else { continue };
            match unit {
                UnitOutcome::Landed | UnitOutcome::NotPushed => {}
                UnitOutcome::Stale { .. } => stale.push(at),
                UnitOutcome::Refused { name, words } => refused.push((at, format!("the remote refused `{name}`: {words}"))),
            }
        }
        open.retain(|at| !stale.contains(at) && !refused.iter().any(|(gone, _)| gone == at));
        // What is off the chain has landed with its record.
        let landed: Vec<usize> = open.iter().copied().filter(|at| !chain.has_group(&finished[*at].place.key)).collect();
        for at in &landed {
            finished[*at].land();
        }
        open.retain(|at| !landed.contains(at));
        let mut gone: Vec<String> = stale.iter().chain(refused.iter().map(|(at, _)| at)).map(|at| finished[*at].place.key.clone()).collect();
        if !gone.is_empty() {
            gone.extend(chain.keys().filter(|key| transitions::is_derived(key)).map(str::to_owned));
        }
        forget(finished, &mut open, &chain.drop_groups(&gone.iter().map(String::as_str).collect::<Vec<_>>()).await?);
        if chain.is_empty() {
            break;
        }
        // Somebody else moved first: read the refs and apply the rest to what is there now.
        tokio::time::sleep(crate::ledger::transaction::pause(attempt, rand::random())).await;
        world.refetch(&world.ledger_store).await?;
        let state = world.ledger.state_at(world.ledger_tip()).await?;
        forget(finished, &mut open, &chain.rebase(state).await?);
    }
    if !chain.is_empty() {
        return Err(Failure::new(FailureKind::Conflict, "other runs kept writing to the same branches, and this one never got its turn")
            .hint("nothing is lost: the next tick decides again"));
    }
    record_refused(world, chain, finished, refused).await
}

/// Groups that no longer apply: their promotions are planned again.
fn forget(finished: &[Finished], open: &mut Vec<usize>, dropped: &[Dropped]) {
    open.retain(|at| !dropped.iter().any(|gone| gone.key == finished[*at].place.key));
}

/// Writes down what the remote said to refused promotions.
async fn record_refused(world: &World, chain: &mut Chain<'static>, finished: &mut [Finished], refused: Vec<(usize, String)>) -> Result<(), Failure> {
    if refused.is_empty() {
        return Ok(());
    }
    for (at, words) in &refused {
        let result = &mut finished[*at];
        let mut status = result.status.clone();
        (status.phase, status.message) = (PromotionPhase::Refused, words.clone());
        status.finished_at = Some(world.occasion.now);
        // Nothing of what it wrote has reached a remote.
        status.consign.written.clear();
        result.status = status.clone();
        let applied = if result.created {
            let mut promotion = result.promotion.clone();
            promotion.status = status;
            transitions::create_promotion(chain, &result.place.key, &result.place.project, promotion, &result.place.alias, words).await.map(drop)
        } else {
            transitions::record_promotion(chain, &result.place, status, Aftermath::default()).await
        };
        match applied {
            Ok(()) => result.land(),
            Err(Stop::Stale(_)) => {}
            Err(stop) => return Err(stop.into()),
        }
    }
    publish(world, chain).await
}

/// The ledger's ref, with the transitions of exactly the units that travel along.
struct LedgerRef<'a> {
    world: &'a World,
    chain: &'a mut Chain<'static>,
    /// All units of the group.
    keys: Vec<String>,
    pushed: Option<Committed>,
    landed: bool,
}

impl LedgerRef<'_> {
    /// If the last push has landed, goes on from it. True if any push of this group has landed.
    async fn take_landed(&mut self) -> Result<bool, Failure> {
        if let Some(committed) = self.pushed.take()
            && self.world.ledger_tip() == Some(committed.tip)
        {
            self.world.ledger.landed(&committed);
            let state = self.world.ledger.state_at(Some(committed.tip)).await?;
            self.chain.advance(state, &committed).await?;
            self.landed = true;
        }
        Ok(self.landed)
    }
}

#[async_trait::async_trait]
impl Closing for LedgerRef<'_> {
    async fn refs(&mut self, keys: &[String]) -> Result<Vec<RefUpdate>, Failure> {
        self.take_landed().await?;
        let mut left_out: Vec<String> = self.keys.iter().filter(|key| !keys.contains(key)).cloned().collect();
        if !left_out.is_empty() {
            left_out.extend(self.chain.keys().filter(|key| transitions::is_derived(key)).map(str::to_owned));
        }
        let committed = if left_out.is_empty() { self.chain.commit().await? } else { self.chain.commit_without(&left_out).await? };
        let update = committed.as_ref().map(|committed| RefUpdate::forward(committed.reference.clone(), committed.expected, committed.tip));
        self.pushed = committed;
        Ok(update.into_iter().collect())
    }
}

/// Pushes the ledger alone, if there is anything to push.
///
/// # Errors
/// As [`crate::ledger::Ledger::publish`].
pub async fn publish(world: &World, chain: &mut Chain<'static>) -> Result<(), Failure> {
    if chain.is_empty() {
        return Ok(());
    }
    let published = world.ledger.publish(chain).await?;
    let tip = published.committed.map(|committed| committed.tip).or(chain.state().tip());
    let state = world.ledger.state_at(tip).await?;
    *chain = world.ledger.chain(state, world.occasion.clone());
    Ok(())
}
