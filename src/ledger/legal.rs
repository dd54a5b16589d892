//! Which changes of a record are legal. Pure: [`super::Draft`] asks before it writes, [`super::fsck`] asks about what was written.

use std::collections::BTreeSet;

use crate::model::{Freight, FreightCollection, Promotion, PromotionPhase, StageName, StageStatus, VerificationPhase};

use super::records::{Record, RecordPath};

/// Most entries of a stage's freight history.
pub const FREIGHT_HISTORY: usize = 10;

/// The rules a commit follows, from its `Consign-Change` trailer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChangeKind {
    /// Nothing is ever lost; the commit's trailers name every file it touches.
    #[default]
    Ordinary,
    /// `consign gc`: ended promotions, their logs, and freight that no stage holds may be removed, and nothing else happens.
    Retention,
    /// Records of an older schema are written again.
    Migration,
    /// The first commit.
    Founding,
}

impl ChangeKind {
    /// The value of the `Consign-Change` trailer; None for ordinary commits, which have none.
    pub fn trailer(self) -> Option<&'static str> {
        match self {
            Self::Ordinary => None,
            Self::Retention => Some("retention"),
            Self::Migration => Some("migration"),
            Self::Founding => Some("founding"),
        }
    }

    /// The kind a trailer's value names.
    pub fn from_trailer(value: &str) -> Option<Self> {
        [Self::Retention, Self::Migration, Self::Founding].into_iter().find(|kind| kind.trailer() == Some(value))
    }
}

/// Whether a promotion may go from one phase to another; None: it did not exist.
pub fn promotion_phase(from: Option<PromotionPhase>, to: PromotionPhase) -> bool {
    match from {
        // A promotion that was created and ended in one tick appears with its end.
        None | Some(PromotionPhase::Pending) => true,
        Some(PromotionPhase::Running) => to != PromotionPhase::Pending,
        Some(ended) => to == ended,
    }
}

/// Whether a verification may go from one phase to another; None: it did not exist or had not begun.
pub fn verification_phase(from: Option<VerificationPhase>, to: Option<VerificationPhase>) -> bool {
    match (from, to) {
        (None | Some(VerificationPhase::Pending), _) => true,
        (Some(VerificationPhase::Running), to) => !matches!(to, None | Some(VerificationPhase::Pending)),
        (Some(ended), to) => to == Some(ended),
    }
}

/// What is wrong with a change of one record; None: the record does not exist. `retired` are the stages that leave the definitions with the same
/// change: freight may forget them. Each text is a sentence without a full stop.
pub fn change(before: Option<&Record>, after: Option<&Record>, kind: ChangeKind, retired: &BTreeSet<StageName>) -> Vec<String> {
    if matches!(kind, ChangeKind::Migration | ChangeKind::Founding) {
        return Vec::new();
    }
    match (before, after) {
        (before, Some(Record::Promotion(after))) => match before {
            None => promotion(None, after),
            Some(Record::Promotion(before)) => promotion(Some(before), after),
            Some(_) => another_kind(),
        },
        (Some(Record::Stage(before)), Some(Record::Stage(after))) => stage(&before.status, &after.status),
        (None, Some(Record::Stage(after))) => stage(&StageStatus::default(), &after.status),
        (Some(Record::Freight(before)), Some(Record::Freight(after))) => freight(before, after, retired),
        (Some(Record::Ledger(before)), Some(Record::Ledger(after))) if after.status.proposals < before.status.proposals => {
            vec![format!("the number of proposals went back from {} to {}", before.status.proposals, after.status.proposals)]
        }
        (Some(before), Some(after)) if before.kind() != after.kind() => another_kind(),
        (_, Some(_)) | (None, None) => Vec::new(),
        (Some(Record::Promotion(before)), None) => {
            if kind != ChangeKind::Retention {
                vec!["a promotion was removed outside of retention".to_owned()]
            } else if before.status.phase.is_terminal() {
                Vec::new()
            } else {
                vec!["retention removed a promotion that has not ended".to_owned()]
            }
        }
        (Some(Record::Freight(_)), None) if kind != ChangeKind::Retention => vec!["a freight was removed outside of retention".to_owned()],
        (Some(Record::Freight(before)), None) if !before.status.currently_in.is_empty() => {
            vec!["retention removed a freight that a stage holds".to_owned()]
        }
        (Some(Record::Ledger(_)), None) => vec!["the ledger's own record was removed".to_owned()],
        // Whether a stage or warehouse went to `retired/`, and whether a stage holds the freight, is seen from the commit as a whole.
        (Some(_), None) => Vec::new(),
    }
}

/// The stages that a change of these files retires.
pub(super) fn retired<'a>(written: impl Iterator<Item = &'a RecordPath>) -> BTreeSet<StageName> {
    written
        .filter_map(|path| match path {
            RecordPath::RetiredStage(_, stage) => Some(stage.clone()),
            _ => None,
        })
        .collect()
}

fn another_kind() -> Vec<String> {
    vec!["the record became one of another kind".to_owned()]
}

fn promotion(before: Option<&Promotion>, after: &Promotion) -> Vec<String> {
    let mut problems = Vec::new();
    let phase = after.status.phase;
    if !promotion_phase(before.map(|before| before.status.phase), phase) {
        let from = before.map(|before| before.status.phase).unwrap_or_default();
        problems.push(format!("a promotion cannot go from {} to {}", phase_name(from), phase_name(phase)));
    }
    let Some(before) = before else { return problems };
    if before.spec != after.spec {
        problems.push("the recipe of a promotion changed after it was created".to_owned());
    }
    if before.status.started_at.is_some() && before.status.started_at != after.status.started_at {
        problems.push("the start of a promotion changed".to_owned());
    }
    if before.status.phase.is_terminal() && before.status != after.status {
        problems.push("a promotion changed after it had ended".to_owned());
    }
    problems
}

fn stage(before: &StageStatus, after: &StageStatus) -> Vec<String> {
    let mut problems = Vec::new();
    if after.freight_history.len() > FREIGHT_HISTORY {
        problems.push(format!("the freight history has {} entries; it keeps {FREIGHT_HISTORY}", after.freight_history.len()));
    }
    if let Some(pairs) = continued(&before.freight_history, &after.freight_history) {
        for (old, new) in pairs {
            problems.extend(verifications(old, new));
        }
    } else {
        problems.push("the freight history was rewritten".to_owned());
    }
    let name = |reference: &Option<crate::model::PromotionReference>| reference.as_ref().map(|reference| reference.name.clone()).unwrap_or_default();
    if name(&after.last_promotion) < name(&before.last_promotion) {
        problems.push("the last promotion went back to an earlier one".to_owned());
    }
    problems
}

/// Pairs the entries that both histories have, if the newer one only adds in front and drops at the end.
fn continued<'a>(before: &'a [FreightCollection], after: &'a [FreightCollection]) -> Option<Vec<(&'a FreightCollection, &'a FreightCollection)>> {
    let same = |old: &FreightCollection, new: &FreightCollection| old.id == new.id && old.items == new.items;
    (0..=after.len()).find_map(|added| {
        let kept = &after[added..];
        let dropped_for_room = kept.len() == before.len() || after.len() == FREIGHT_HISTORY;
        let fits = kept.len() <= before.len() && dropped_for_room && kept.iter().zip(before).all(|(new, old)| same(old, new));
        fits.then(|| before.iter().zip(kept).collect())
    })
}

fn verifications(old: &FreightCollection, new: &FreightCollection) -> Vec<String> {
    let mut problems = Vec::new();
    for before in &old.verification_history {
        let Some(after) = new.verification_history.iter().find(|after| after.id == before.id) else { continue };
        if !verification_phase(before.phase, after.phase) {
            let name = |phase: Option<VerificationPhase>| phase.map_or("Pending", verification_name);
            problems.push(format!("a verification cannot go from {} to {}", name(before.phase), name(after.phase)));
        }
    }
    problems
}

fn freight(before: &Freight, after: &Freight, retired: &BTreeSet<StageName>) -> Vec<String> {
    let mut problems = Vec::new();
    let contents = |freight: &Freight| {
        (freight.origin.clone(), freight.commits.clone(), freight.images.clone(), freight.charts.clone(), freight.artifacts.clone())
    };
    if contents(before) != contents(after) {
        problems.push("the contents of a freight changed".to_owned());
    }
    for (stage, verified) in before.status.verified_in.iter().filter(|(stage, _)| !retired.contains(*stage)) {
        match after.status.verified_in.get(stage) {
            Some(still) if still.verified_at == verified.verified_at && still.longest_soak >= verified.longest_soak => {}
            _ => problems.push(format!("the verification in stage `{stage}` was taken back")),
        }
    }
    for (stage, approved) in before.status.approved_for.iter().filter(|(stage, _)| !retired.contains(*stage)) {
        if after.status.approved_for.get(stage) != Some(approved) {
            problems.push(format!("the approval for stage `{stage}` was changed"));
        }
    }
    problems
}

fn phase_name(phase: PromotionPhase) -> &'static str {
    match phase {
        PromotionPhase::Pending => "Pending",
        PromotionPhase::Running => "Running",
        PromotionPhase::Succeeded => "Succeeded",
        PromotionPhase::Failed => "Failed",
        PromotionPhase::Errored => "Errored",
        PromotionPhase::Aborted => "Aborted",
        PromotionPhase::Refused => "Refused",
    }
}

fn verification_name(phase: VerificationPhase) -> &'static str {
    match phase {
        VerificationPhase::Pending => "Pending",
        VerificationPhase::Running => "Running",
        VerificationPhase::Successful => "Successful",
        VerificationPhase::Failed => "Failed",
        VerificationPhase::Error => "Error",
        VerificationPhase::Aborted => "Aborted",
        VerificationPhase::Inconclusive => "Inconclusive",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use super::super::records::StageRecord;
    use super::*;
    use crate::model::VerificationInfo;

    #[test]
    fn promotions_move_forward_only() {
        use PromotionPhase::{Aborted, Errored, Failed, Pending, Refused, Running, Succeeded};
        let all = [Pending, Running, Succeeded, Failed, Errored, Aborted, Refused];
        for to in all {
            assert!(promotion_phase(None, to));
            assert!(promotion_phase(Some(Pending), to));
            assert_eq!(promotion_phase(Some(Running), to), to != Pending);
            for ended in [Succeeded, Failed, Errored, Aborted, Refused] {
                assert_eq!(promotion_phase(Some(ended), to), ended == to);
            }
        }
    }

    #[test]
    fn verifications_move_forward_only() {
        use VerificationPhase::{Aborted, Error, Failed, Inconclusive, Pending, Running, Successful};
        for to in [Pending, Running, Successful, Failed, Error, Aborted, Inconclusive] {
            assert!(verification_phase(None, Some(to)));
            assert!(verification_phase(Some(Pending), Some(to)));
            assert_eq!(verification_phase(Some(Running), Some(to)), to != Pending);
            for ended in [Successful, Failed, Error, Aborted, Inconclusive] {
                assert_eq!(verification_phase(Some(ended), Some(to)), ended == to);
            }
        }
        assert!(!verification_phase(Some(Running), None));
    }

    #[test]
    fn freight_forgets_only_stages_that_are_retired_with_it() {
        use crate::model::{ApprovedStage, VerifiedStage};
        let mut before = Freight::default();
        before.status.verified_in.insert("prod".into(), VerifiedStage::default());
        before.status.approved_for.insert("prod".into(), ApprovedStage::default());
        let check = |retired: &[&str]| {
            let retired = retired.iter().map(|stage| StageName::from(*stage)).collect();
            let (before, after) = (Record::Freight(Arc::new(before.clone())), Record::Freight(Arc::default()));
            change(Some(&before), Some(&after), ChangeKind::Ordinary, &retired)
        };
        assert!(check(&["prod"]).is_empty());
        assert_eq!(check(&["test"]), ["the verification in stage `prod` was taken back", "the approval for stage `prod` was changed"]);
    }

    fn stage_with(ids: &[&str]) -> Record {
        let mut record = StageRecord::default();
        record.status.freight_history = ids.iter().map(|id| FreightCollection { id: (*id).to_owned(), ..FreightCollection::default() }).collect();
        Record::Stage(Arc::new(record))
    }

    #[test]
    fn a_freight_history_grows_in_front_and_loses_at_the_end_only_when_full() {
        let legal = |before: &[&str], after: &[&str]| {
            change(Some(&stage_with(before)), Some(&stage_with(after)), ChangeKind::Ordinary, &BTreeSet::new()).is_empty()
        };
        assert!(legal(&[], &["a"]));
        assert!(legal(&["a"], &["b", "a"]));
        assert!(legal(&["a"], &["a", "a"]), "promoting the same freight again adds an entry");
        assert!(!legal(&["b", "a"], &["b"]));
        assert!(!legal(&["b", "a"], &["a", "b"]));
        let full = ["9", "8", "7", "6", "5", "4", "3", "2", "1", "0"];
        assert!(legal(&full, &["x", "9", "8", "7", "6", "5", "4", "3", "2", "1"]));
        assert!(!legal(&full, &["x", "9", "8", "7", "6", "5", "4", "3", "2", "1", "0"]));
    }

    #[test]
    fn a_verification_that_ended_stays_as_it_ended() {
        let with = |phase| {
            let info = VerificationInfo { id: "1".to_owned(), phase: Some(phase), ..VerificationInfo::default() };
            let collection = FreightCollection { verification_history: vec![info], ..FreightCollection::default() };
            let mut record = StageRecord::default();
            record.status.freight_history = vec![collection];
            Record::Stage(Arc::new(record))
        };
        let check = |from, to| change(Some(&with(from)), Some(&with(to)), ChangeKind::Ordinary, &BTreeSet::new());
        assert!(check(VerificationPhase::Running, VerificationPhase::Failed).is_empty());
        assert_eq!(check(VerificationPhase::Failed, VerificationPhase::Successful), ["a verification cannot go from Failed to Successful"]);
    }
}
