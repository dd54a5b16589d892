//! What becomes of the records when promotions and verifications end: freight history, holds, health, who is where and since when.

use jiff::Timestamp;
use sha1::{Digest, Sha1};

use super::holds;
use crate::freight::identity;
use crate::model::{
    CurrentStage, FreightCollection, FreightReference, FreightStatus, GoDuration, Health, HealthState, OriginKey, Promotion, PromotionPhase,
    PromotionReference, Stage, StageName, StageStatus, VerificationInfo, VerificationPhase, VerifiedStage,
};

/// The most collections a stage remembers, and the most verifications of each.
const HISTORY: usize = 10;

/// How to settle a stage.
#[derive(Clone, Copy, Debug)]
pub struct Settling {
    /// Whether the stage is promoted automatically.
    pub auto_promotion: bool,
    /// Whether a collection that was verified before is verified again.
    pub verify_again: bool,
    /// The tick's instant.
    pub now: Timestamp,
}

/// Brings a stage's record up to date with its promotions (sorted by name): takes in those that have ended, prunes holds, judges health where
/// nothing has to be looked at, and records the implicit verification of a stage that defines none. Settling twice changes nothing more.
pub fn settle(stage: &Stage, status: &StageStatus, promotions: &[&Promotion], how: Settling) -> StageStatus {
    let mut status = status.clone();
    // An ended promotion waits for older ones that have not: what is last must stay last.
    let ended = promotions.iter().take_while(|promotion| promotion.status.phase.is_terminal());
    for promotion in ended {
        if status.last_promotion.as_ref().is_none_or(|last| promotion.name() > last.name) {
            record_promotion(&mut status, promotion, how.verify_again);
        }
    }
    holds::prune(&mut status.auto_promotion_holds, stage, how.auto_promotion);
    let is_open = |name| promotions.iter().any(|promotion| promotion.name() == name && !promotion.status.phase.is_terminal());
    if status.current_promotion.as_ref().is_some_and(|current| !is_open(current.name.clone())) {
        status.current_promotion = None;
    }
    judge_health(&mut status);
    if wants_verification(&status) && stage.spec.verification.is_none() {
        let implicit = VerificationInfo {
            id: verification_id(stage, &status),
            start_time: Some(how.now),
            finish_time: Some(how.now),
            phase: Some(VerificationPhase::Successful),
            ..VerificationInfo::default()
        };
        record_verification(&mut status, implicit);
    }
    status
}

/// Takes a promotion that has ended into the stage's record.
fn record_promotion(status: &mut StageStatus, promotion: &Promotion, verify_again: bool) {
    holds::commit(&mut status.auto_promotion_holds, promotion);
    let mut ended = promotion.status.clone();
    if ended.freight_collection.is_none() {
        // It never started: what was attempted last is still the base of the next collection.
        ended.freight_collection = status.last_promotion.as_ref().and_then(|last| last.status.as_ref()?.freight_collection.clone());
    } else if ended.phase == PromotionPhase::Succeeded
        && let Some(collection) = &ended.freight_collection
    {
        let mut collection = collection.clone();
        collection.verification_history.clear();
        if !verify_again {
            collection.verification_history.extend(earlier_result(status, &collection.id));
        }
        status.freight_history.insert(0, collection);
        status.freight_history.truncate(HISTORY);
    }
    status.health = None;
    if status.current_promotion.as_ref().is_some_and(|current| current.name == promotion.name()) {
        status.current_promotion = None;
    }
    status.last_promotion =
        Some(PromotionReference { name: promotion.name(), freight: ended.freight.clone(), finished_at: ended.finished_at, status: Some(ended) });
}

/// The good result for a collection that the stage returns to; after a bad one it is verified again. Promoting what it holds anyway asks for a new one.
fn earlier_result(status: &StageStatus, id: &str) -> Option<VerificationInfo> {
    if status.current_freight().is_some_and(|current| current.id == id) {
        return None;
    }
    let earlier = status.freight_history.iter().find(|collection| collection.id == id)?;
    earlier.verification_history.first().filter(|info| info.phase == Some(VerificationPhase::Successful)).cloned()
}

/// What health follows from the record alone. Health checks of a promotion that succeeded have to be looked at: that stays as it is.
fn judge_health(status: &mut StageStatus) {
    let healthy = |state| Some(Health { status: state, issues: Vec::new() });
    if status.current_promotion.is_some() {
        status.health = healthy(HealthState::Unknown);
        return;
    }
    let Some(last) = status.last_promotion.as_ref().and_then(|last| last.status.as_ref()) else { return };
    if last.phase != PromotionPhase::Succeeded {
        status.health = healthy(HealthState::Unknown);
    } else if last.health_checks.is_empty() {
        status.health = healthy(HealthState::Healthy);
    }
}

/// Whether health checks have to be looked at.
pub(super) fn has_health_checks(status: &StageStatus) -> bool {
    let last = status.last_promotion.as_ref().and_then(|last| last.status.as_ref());
    status.current_promotion.is_none() && last.is_some_and(|last| last.phase == PromotionPhase::Succeeded && !last.health_checks.is_empty())
}

/// Whether the stage waits for a verification of what it holds to begin: it is healthy, nothing is being promoted, none was made yet.
pub(super) fn wants_verification(status: &StageStatus) -> bool {
    status.current_promotion.is_none()
        && is_healthy(status)
        && status.current_freight().is_some_and(|current| current.verification_history.is_empty())
}

fn is_healthy(status: &StageStatus) -> bool {
    status.health.as_ref().is_some_and(|health| health.status == HealthState::Healthy)
}

/// When what the stage holds was verified: the newest verification passed and the stage is healthy now.
pub fn verified_at(status: &StageStatus) -> Option<Timestamp> {
    let newest = status.current_freight()?.verification_history.first()?;
    let passed = newest.phase == Some(VerificationPhase::Successful) && is_healthy(status);
    newest.finish_time.or(newest.start_time).filter(|_| passed)
}

/// The id of the first verification of what a stage holds. It follows from the promotion, so that a repeated tick makes the same.
pub fn verification_id(stage: &Stage, status: &StageStatus) -> String {
    let collection = status.current_freight().map(|current| current.id.as_str()).unwrap_or_default();
    let promotion = status.last_promotion.as_ref().map(|last| last.name.as_str()).unwrap_or_default();
    let hash = hex::encode(Sha1::digest(format!("{}/{promotion}/{collection}", stage.metadata.name)));
    // The shape of a version 5 UUID, which Kargo's users expect of an id.
    format!("{}-{}-5{}-a{}-{}", &hash[..8], &hash[8..12], &hash[13..16], &hash[17..20], &hash[20..32])
}

/// Adds a verification of what the stage holds, or replaces the one of the same id. Newest first.
pub fn record_verification(status: &mut StageStatus, info: VerificationInfo) {
    let Some(current) = status.freight_history.first_mut() else { return };
    match current.verification_history.iter_mut().find(|known| known.id == info.id) {
        Some(known) => *known = info,
        None => {
            current.verification_history.insert(0, info);
            current.verification_history.truncate(HISTORY);
        }
    }
}

/// What a stage will hold once a promotion of this freight has succeeded. A stage with several origins keeps the others as the last attempt
/// left them, successful or not (Kargo).
pub fn collection_for(stage: &Stage, status: &StageStatus, freight: &FreightReference) -> FreightCollection {
    let mut items = std::collections::BTreeMap::new();
    if let [_, _, ..] = stage.spec.requested_freight.as_slice() {
        let attempted = status.last_promotion.as_ref().and_then(|last| last.status.as_ref()?.freight_collection.as_ref());
        if let Some(base) = attempted.or_else(|| status.current_freight()) {
            items = base.items.clone();
            items.retain(|key, _| stage.spec.requested_freight.iter().any(|request| request.origin == key.0));
        }
    }
    items.insert(OriginKey(freight.origin.clone()), freight.clone());
    let id = identity::collection_id(items.values().map(|item| &item.name));
    FreightCollection { id, items, verification_history: Vec::new() }
}

/// The freight enters a stage.
pub(super) fn enter(status: &mut FreightStatus, stage: &StageName, now: Timestamp) {
    status.currently_in.entry(stage.clone()).or_insert(CurrentStage { since: Some(now) });
}

/// The freight leaves a stage. Its stay counts if it was verified there.
pub(super) fn leave(status: &mut FreightStatus, stage: &StageName, now: Timestamp) {
    let Some(stay) = status.currently_in.remove(stage).and_then(|current| current.since) else { return };
    if let Some(verified) = status.verified_in.get_mut(stage) {
        let soaked = GoDuration(now.duration_since(stay));
        if soaked > verified.longest_soak.unwrap_or_default() {
            verified.longest_soak = Some(soaked);
        }
    }
}

/// The freight is verified in a stage; the first time counts, for ever.
pub(super) fn verify(status: &mut FreightStatus, stage: &StageName, at: Timestamp) {
    status.verified_in.entry(stage.clone()).or_insert(VerifiedStage { verified_at: Some(at), longest_soak: None });
}

/// Approves a freight for a stage. Approving twice keeps the first.
pub fn approve(status: &mut FreightStatus, stage: &StageName, actor: &str, now: Timestamp) {
    let approved = crate::model::ApprovedStage { approved_at: Some(now), actor: actor.to_owned() };
    status.approved_for.entry(stage.clone()).or_insert(approved);
}

/// Forgets a stage that is gone; true if the freight knew it.
pub fn forget_stage(status: &mut FreightStatus, stage: &StageName) -> bool {
    let verified = status.verified_in.remove(stage).is_some();
    let approved = status.approved_for.remove(stage).is_some();
    let current = status.currently_in.remove(stage).is_some();
    verified || approved || current
}
