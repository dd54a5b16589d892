//! What blocks auto-promotion of an origin to a stage: a freight promoted on purpose, or a hold by hand.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Inputs;
use super::scene::Scene;
use crate::model::{FreightName, Hold, Origin, OriginKey, Promotion, PromotionPhase, Stage, StageName, StageStatus};

/// Annotation: the origin that a promotion blocks once it has ended.
pub const HOLD: &str = "kargo.akuity.io/auto-promotion-hold";
/// Annotation: the origin that a promotion sets free once it has ended.
pub const RESUME: &str = "kargo.akuity.io/auto-promotion-resume";
/// Annotation: who asked for a promotion.
pub const ACTOR: &str = "kargo.akuity.io/create-actor";

/// What a promotion means for later auto-promotion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// It was chosen against the automatic candidate: block.
    Hold(Origin),
    /// It is the automatic candidate: set free.
    Resume(Origin),
}

impl Intent {
    /// The annotation that says so: key and value.
    pub fn annotation(&self) -> (&'static str, String) {
        match self {
            Self::Hold(origin) => (HOLD, origin.to_string()),
            Self::Resume(origin) => (RESUME, origin.to_string()),
        }
    }

    /// The intent of a promotion, if it has one.
    pub fn of(promotion: &Promotion) -> Option<Self> {
        let origin = |key: &str| promotion.metadata.annotations.get(key)?.parse::<OriginKey>().ok().map(|key| key.0);
        origin(HOLD).map(Self::Hold).or_else(|| origin(RESUME).map(Self::Resume))
    }

    fn origin(&self) -> &Origin {
        match self {
            Self::Hold(origin) | Self::Resume(origin) => origin,
        }
    }
}

/// The intent of a promotion that a person asks for. None where the stage is not promoted automatically, or the freight is unknown.
pub fn intent(inputs: &Inputs<'_>, stage: &StageName, freight: &FreightName) -> Option<Intent> {
    let scene = Scene::new(inputs);
    let stage = inputs.project.stages.get(stage)?;
    let origin = scene.freight(freight)?.origin.clone();
    if !scene.policies.auto_promotion(stage).unwrap_or(false) {
        return None;
    }
    let request = stage.spec.requested_freight.iter().find(|request| request.origin == origin)?;
    let candidate = scene.candidate(stage, request);
    Some(if candidate.as_ref() == Some(freight) { Intent::Resume(origin) } else { Intent::Hold(origin) })
}

/// Applies the intent of a promotion that has ended. Every end but Aborted counts: a promotion that fails was still meant.
pub(super) fn commit(holds: &mut BTreeMap<OriginKey, Hold>, promotion: &Promotion) {
    if promotion.status.phase == PromotionPhase::Aborted {
        return;
    }
    match Intent::of(promotion) {
        Some(Intent::Hold(origin)) => {
            holds.insert(OriginKey(origin.clone()), hold_of(promotion, origin));
        }
        Some(Intent::Resume(origin)) => release(holds, &origin),
        None => {}
    }
}

/// Lifts the hold that promotions set. A hold by hand stays: it ends by hand.
fn release(holds: &mut BTreeMap<OriginKey, Hold>, origin: &Origin) {
    let key = OriginKey(origin.clone());
    if holds.get(&key).is_some_and(|hold| !is_by_hand(hold)) {
        holds.remove(&key);
    }
}

/// Whether a person set the hold without promoting anything.
pub fn is_by_hand(hold: &Hold) -> bool {
    hold.promotion_name.is_empty()
}

fn hold_of(promotion: &Promotion, origin: Origin) -> Hold {
    Hold {
        freight_name: promotion.spec.freight.clone(),
        origin,
        promotion_name: promotion.name(),
        actor: promotion.metadata.annotations.get(ACTOR).cloned().unwrap_or_default(),
        reason: String::new(),
        created_at: promotion.metadata.creation_timestamp.or(promotion.status.finished_at),
    }
}

/// Drops what has no meaning any more: holds of origins the stage does not request, and, where auto-promotion is switched off, those that
/// promotions set.
pub(super) fn prune(holds: &mut BTreeMap<OriginKey, Hold>, stage: &Stage, auto_promotion: bool) {
    holds.retain(|key, hold| {
        let requested = stage.spec.requested_freight.iter().any(|request| request.origin == key.0);
        requested && (auto_promotion || is_by_hand(hold))
    });
}

/// What blocks auto-promotion now: the recorded holds, overlaid by the newest intent of a promotion that is not recorded yet. So a promotion
/// that only waits already blocks, or sets free.
pub fn effective(stage: &Stage, status: &StageStatus, promotions: &[&Promotion], auto_promotion: bool) -> BTreeMap<OriginKey, Hold> {
    let mut holds = status.auto_promotion_holds.clone();
    prune(&mut holds, stage, auto_promotion);
    if !auto_promotion {
        return holds;
    }
    for request in &stage.spec.requested_freight {
        let newest = promotions
            .iter()
            .filter(|promotion| promotion.status.phase != PromotionPhase::Aborted)
            .filter(|promotion| status.last_promotion.as_ref().is_none_or(|last| promotion.name() > last.name))
            .filter_map(|promotion| Some((Intent::of(promotion).filter(|intent| *intent.origin() == request.origin)?, promotion)))
            .max_by(|(_, a), (_, b)| a.metadata.name.cmp(&b.metadata.name));
        match newest {
            Some((Intent::Hold(origin), promotion)) => {
                holds.insert(OriginKey(origin.clone()), hold_of(promotion, origin));
            }
            Some((Intent::Resume(origin), _)) => release(&mut holds, &origin),
            None => {}
        }
    }
    holds
}

/// The record of a stage with a hold by hand on one origin, or on all it requests.
pub fn hold_by_hand(stage: &Stage, status: &StageStatus, origin: Option<&Origin>, actor: &str, reason: &str, now: Timestamp) -> StageStatus {
    let mut status = status.clone();
    for request in stage.spec.requested_freight.iter().filter(|request| origin.is_none_or(|origin| *origin == request.origin)) {
        let hold =
            Hold { origin: request.origin.clone(), actor: actor.to_owned(), reason: reason.to_owned(), created_at: Some(now), ..Hold::default() };
        status.auto_promotion_holds.insert(OriginKey(request.origin.clone()), hold);
    }
    status
}

/// The record of a stage without holds on one origin, or without any.
pub fn release_by_hand(status: &StageStatus, origin: Option<&Origin>) -> StageStatus {
    let mut status = status.clone();
    status.auto_promotion_holds.retain(|key, _| origin.is_some_and(|origin| *origin != key.0));
    status
}
