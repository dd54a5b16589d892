//! Names of promotions and verification runs: `<stage>.<ulid>.<7 characters>`, so that text order is the order of creation.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use ulid::Ulid;

use super::holds::{ACTOR, Intent};
use crate::model::{Freight, Metadata, Promotion, PromotionName, PromotionPhase, PromotionSpec, PromotionStatus, Stage};

/// The longest name Kubernetes allows.
const MAX_NAME: usize = 253;
/// `.`, the ULID, `.` and seven characters.
const SUFFIX: usize = 27 + 8;

/// Names the next promotion of a stage. The ULID is at least `now` and greater than that of `previous`, the greatest earlier name of the
/// stage: a clock that is behind cannot create a past. `random` supplies 80 bits.
pub fn promotion_name(stage: &Stage, freight: &Freight, previous: Option<&PromotionName>, now: Timestamp, random: u128) -> PromotionName {
    PromotionName::new(run_name(&stage.metadata.name, &freight.metadata.name, previous.map(PromotionName::as_str), now, random))
}

/// Names the next run of a stage: of a promotion (`content` is the freight's name) or a verification (the collection's id).
pub fn run_name(stage: &str, content: &str, previous: Option<&str>, now: Timestamp, random: u128) -> String {
    let fresh = Ulid::from_parts(u64::try_from(now.as_millisecond()).unwrap_or(0), random);
    let ulid = match previous.and_then(ulid_of) {
        Some(previous) if previous >= fresh => Ulid(previous.0.saturating_add(1)),
        _ => fresh,
    };
    let stage = stage.get(..MAX_NAME - SUFFIX).map_or(stage, |cut| cut.trim_end_matches(['.', '-']));
    let short = content.get(..7).unwrap_or(content);
    format!("{stage}.{ulid}.{short}").to_lowercase()
}

/// The ULID in a name; None if it was not made by [`run_name`].
pub fn ulid_of(name: &str) -> Option<Ulid> {
    let mut parts = name.rsplit('.');
    let _content = parts.next()?;
    Ulid::from_string(&parts.next()?.to_uppercase()).ok()
}

/// What a new promotion is made of besides stage and freight.
#[derive(Clone, Debug, Default)]
pub struct NewPromotion<'a> {
    /// Its name, from [`promotion_name`].
    pub name: PromotionName,
    /// Who asked for it; empty: nobody.
    pub actor: &'a str,
    /// What caused it: `auto`, `cli`, `event`, `rollback`.
    pub trigger: &'a str,
    /// What it means for later auto-promotion.
    pub intent: Option<Intent>,
    /// Commit of the config repository.
    pub definitions: &'a str,
}

/// Makes a pending promotion. Steps are inflated into it by the step loop's room, which knows tasks.
pub fn new_promotion(stage: &Stage, freight: &Freight, new: NewPromotion<'_>, now: Timestamp) -> Promotion {
    let mut metadata = Metadata {
        name: new.name.as_str().to_owned(),
        namespace: stage.metadata.namespace.clone(),
        creation_timestamp: Some(now),
        ..Metadata::default()
    };
    metadata.labels.insert("kargo.akuity.io/stage".into(), label_value(&stage.metadata.name));
    metadata.annotations.insert("kargo.akuity.io/stage".into(), stage.metadata.name.clone());
    if !new.actor.is_empty() {
        metadata.annotations.insert(ACTOR.into(), new.actor.to_owned());
    }
    if let Some(intent) = &new.intent {
        let (key, value) = intent.annotation();
        metadata.annotations.insert(key.into(), value);
    }
    if new.trigger == "rollback" {
        metadata.annotations.insert("kargo.akuity.io/rollback".into(), "true".into());
    }
    let template = stage.spec.promotion_template.as_ref();
    let vars = stage.spec.vars.iter().chain(template.into_iter().flat_map(|template| &template.spec.vars)).cloned().collect();
    let mut status = PromotionStatus { phase: PromotionPhase::Pending, freight: Some(freight.reference()), ..PromotionStatus::default() };
    status.consign.trigger = new.trigger.to_owned();
    status.consign.definitions = new.definitions.to_owned();
    Promotion { metadata, spec: PromotionSpec { stage: stage.name(), freight: freight.name(), vars, steps: Vec::new() }, status }
}

/// A name as a label value: longer ones become a prefix of 54 characters and the first 8 of their SHA-256.
fn label_value(name: &str) -> String {
    match name.get(..54) {
        Some(prefix) if name.len() > 63 => format!("{prefix}-{}", &hex::encode(Sha256::digest(name))[..8]),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_grow_although_the_clock_goes_back() {
        let now: Timestamp = "2026-03-02T12:00:00Z".parse().unwrap();
        let earlier: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let first = run_name("test", "f778be61fa4cb6d6", None, now, 7);
        let second = run_name("test", "c2f8122e219e902a", Some(&first), earlier, 3);
        let third = run_name("test", "0000000e219e902a", Some(&second), now, 0);
        assert!(first < second && second < third, "{first} {second} {third}");
        assert!(first.starts_with("test.01kj") && first.ends_with(".f778be6"));
        assert_eq!(ulid_of(&second).unwrap().0, ulid_of(&first).unwrap().0 + 1);
    }

    #[test]
    fn a_long_stage_name_is_cut() {
        let name = run_name(&format!("{}--{}", "a".repeat(217), "b".repeat(30)), "f778be61", None, Timestamp::UNIX_EPOCH, 0);
        assert!(name.starts_with(&format!("{}.0", "a".repeat(217))));
        assert!(name.len() <= MAX_NAME);
        assert_eq!(label_value(&"c".repeat(80)).len(), 63);
    }
}
