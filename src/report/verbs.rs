//! What verbs that change records say: to the person who ran them, and to the audit log.

use std::fmt::Write as _;

use super::words;
use crate::ledger::StageRecord;
use crate::model::{Freight, FreightName, Origin, Promotion, PromotionName, PromotionPhase, StageName};
use crate::plan::Gate;
use crate::tick::outcome::PromotionOutcome;

/// Longest reason in a sentence of the audit log.
const REASON: usize = 120;

fn because(reason: &str) -> String {
    if reason.trim().is_empty() { String::new() } else { format!(": {}", words::one_line(reason, REASON)) }
}

fn by(actor: &str) -> String {
    if actor.is_empty() { String::new() } else { format!(" by {actor}") }
}

/// Audit log: a stage was held.
pub fn held(stage: &StageName, origin: Option<&Origin>, reason: &str) -> String {
    let what = origin.map(|origin| format!(" for {}", origin.name)).unwrap_or_default();
    format!("hold {stage}{what}{}", because(reason))
}

/// Audit log: a stage was released.
pub fn released(stage: &StageName, origin: Option<&Origin>) -> String {
    let what = origin.map(|origin| format!(" for {}", origin.name)).unwrap_or_default();
    format!("release {stage}{what}")
}

/// The holds of a stage, one line each.
pub fn holds_of(record: &StageRecord, called: &dyn Fn(&FreightName) -> String) -> String {
    let stage = &record.metadata.name;
    if record.status.auto_promotion_holds.is_empty() {
        return format!("released   {stage}  nothing holds it\n");
    }
    let mut text = String::new();
    for hold in record.status.auto_promotion_holds.values() {
        let at = if hold.freight_name.is_empty() { String::new() } else { format!(" at {}", called(&hold.freight_name)) };
        let _ = writeln!(text, "held       {stage}  freight of {}{at}{}{}", hold.origin.name, by(&hold.actor), because(&hold.reason));
    }
    text
}

/// Audit log: a freight was put into quarantine, or let out.
pub fn quarantined(called: &str, lifted: bool, reason: &str) -> String {
    if lifted { format!("end the quarantine of {called}") } else { format!("quarantine {called}{}", because(reason)) }
}

/// Whether a freight is in quarantine.
pub fn quarantine_of(freight: &Freight, called: &str) -> String {
    match &freight.status.quarantined {
        Some(quarantine) => {
            let mut text = format!("quarantine {called}  no stage takes it any more{}{}\n", by(&quarantine.actor), because(&quarantine.reason));
            let there: Vec<&str> = freight.status.currently_in.keys().map(StageName::as_str).collect();
            if let Some(first) = there.first() {
                let _ = writeln!(text, "note       it still is in {}; `consign rollback {first}` goes back", there.join(", "));
            }
            text
        }
        None => format!("released   {called}  not in quarantine\n"),
    }
}

/// The message of a promotion that a person ended: `aborted by ada: reason`.
pub fn by_person(verb: &str, actor: &str, reason: &str) -> String {
    format!("{verb}{}{}", by(actor), because(reason))
}

/// Audit log: a person ended a promotion.
pub fn ended_sentence(called: &str, stage: &StageName, message: &str) -> String {
    format!("promotion of {called} to {stage}: {message}")
}

/// A promotion that a person ended.
pub fn ended(promotion: &Promotion, called: &str) -> String {
    format!("aborted    {}  {called}: {}\n", promotion.spec.stage, words::one_line(&promotion.status.message, 200))
}

/// Branches of proposals that were deleted.
pub fn closed(branches: &[&str]) -> String {
    branches.iter().map(|branch| format!("closed     the proposal `{branch}`: its branch is deleted\n")).collect()
}

/// A freight that was approved for a stage.
pub fn approved_freight(freight: &Freight, called: &str, stage: &StageName) -> String {
    let who = freight.status.approved_for.get(stage).map(|approved| by(&approved.actor)).unwrap_or_default();
    let mut text = format!("approved   {called}  for {stage}{who}\n");
    if freight.status.quarantined.is_some() {
        let _ = writeln!(text, "note       it is in quarantine, which comes first: `consign quarantine {called} --lift`");
    }
    text
}

/// A promotion that was approved.
pub fn approved_promotion(promotion: &Promotion, called: &str) -> String {
    let stage = &promotion.spec.stage;
    let who: Vec<&str> =
        promotion.status.consign.approvals.iter().map(|approval| approval.actor.as_str()).filter(|actor| !actor.is_empty()).collect();
    let who = if who.is_empty() { String::new() } else { format!(" by {}", who.join(", ")) };
    format!("approved   {stage}  {called}{who}\n")
}

/// Audit log: a promotion that a person asked for.
pub fn promotion_sentence(trigger: &str, bypass: bool, called: &str, stage: &StageName, actor: &str, reason: &str) -> String {
    let verb = if trigger == "rollback" { "roll back by promoting" } else { "promote" };
    let past = if bypass { " past its gates" } else { "" };
    format!("{verb} {called} to {stage}{past}{}{}", by(actor), because(reason))
}

/// Why a freight may not enter a stage.
pub fn refusal(closed: &[Gate], called: &str, stage: &StageName) -> String {
    let reasons: Vec<String> = closed
        .iter()
        .map(|gate| match gate.opens_at {
            Some(at) => format!("{} (opens at {at})", gate.detail),
            None => gate.detail.clone(),
        })
        .collect();
    format!("`{called}` may not enter `{stage}`: {}", reasons.join("; "))
}

/// How far a promotion came.
pub fn promoted(outcome: &PromotionOutcome) -> String {
    let word = match outcome.phase {
        PromotionPhase::Succeeded => "promoted",
        PromotionPhase::Running | PromotionPhase::Pending => "waiting",
        PromotionPhase::Aborted => "aborted",
        PromotionPhase::Refused => "refused",
        PromotionPhase::Failed | PromotionPhase::Errored => "failed",
    };
    let message = if outcome.message.is_empty() { String::new() } else { format!("  {}", words::one_line(&outcome.message, 400)) };
    let mut text = format!("{word:<10} {}  {}{message}\n", outcome.stage, outcome.alias);
    match outcome.phase {
        PromotionPhase::Pending | PromotionPhase::Running => {
            let _ = writeln!(text, "note       `consign run` goes on with `{}`; `consign abort {}` ends it", outcome.name, outcome.name);
        }
        PromotionPhase::Failed | PromotionPhase::Errored | PromotionPhase::Refused => {
            let _ = writeln!(text, "note       `consign retry {}` tries again", outcome.name);
        }
        PromotionPhase::Succeeded | PromotionPhase::Aborted => {}
    }
    text
}

/// Why a stage is held after a rollback.
pub fn rollback_reason(called: &str, reason: &str) -> String {
    format!("rolled back to {called}{}", because(reason))
}

/// Audit log: a rollback.
pub fn rollback_sentence(stage: &StageName, called: &str, reason: &str) -> String {
    format!("roll {stage} back to {called}{}", because(reason))
}

/// Message of the commit that a rollback makes.
pub fn rollback_commit(stage: &StageName, called: &str, restores: &PromotionName, reason: &str) -> String {
    let reason = if reason.trim().is_empty() { String::new() } else { format!("{}\n\n", reason.trim()) };
    format!("Roll {stage} back to {called}\n\n{reason}Restores what promotion {restores} wrote.\n")
}

/// What a person should know about a rollback.
pub fn restore_notes(stage: &str, is_gated: bool, unknown: &[String]) -> Vec<String> {
    let mut notes = Vec::new();
    if is_gated {
        notes.push(format!("`{stage}` is gated by a proposal; a rollback restores its branch directly, without one"));
    }
    for branch in unknown {
        notes.push(format!("`{branch}` was first written later; what was there before is not recorded, so it stays as it is"));
    }
    notes
}

/// What came of a rollback.
pub fn rolled_back(outcome: &PromotionOutcome, notes: &[String]) -> String {
    let mut text = match outcome.phase {
        PromotionPhase::Succeeded => format!("restored   {}  {}\n", outcome.stage, outcome.alias),
        _ => promoted(outcome),
    };
    for note in notes {
        let _ = writeln!(text, "note       {note}");
    }
    let _ = writeln!(text, "note       auto-promotion is held; `consign release {}` lifts it", outcome.stage);
    text
}

/// The message of an adoption.
pub fn adopted_message(branches: &[&str], reason: &str) -> String {
    format!("adopted {}{}", branches.join(", "), because(reason))
}

/// Audit log: an adoption.
pub fn adopted_sentence(stage: &StageName, branches: &[&str], reason: &str) -> String {
    format!("adopt {} as what {stage} should hold{}", branches.join(", "), because(reason))
}

/// What came of an adoption.
pub fn adopted(stage: &StageName, branches: &[&str]) -> String {
    format!("adopted    {stage}  {} as it is now\n", branches.join(", "))
}

/// An adoption that had nothing to do.
pub fn nothing_to_adopt(stage: &StageName) -> String {
    format!("nothing to adopt: the branches of {stage} are as its promotions left them\n")
}

/// A freight that was made, or would be.
pub fn freight_made(freight: &Freight, what: Made) -> String {
    let artifacts = words::artifacts(&freight.reference()).join(", ");
    let word = match what {
        Made::New => "created",
        Made::Known => "known",
        Made::Dry => "would make",
    };
    format!("{word:<10} {}  {}  {}\n", freight.alias, freight.metadata.name, words::one_line(&artifacts, 160))
}

/// Whether a freight was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// It is new.
    New,
    /// It was there.
    Known,
    /// Nothing was written.
    Dry,
}

/// A freight that was renamed.
pub fn renamed(freight: &Freight, before: &str) -> String {
    format!("renamed    {before}  is {} now\n", freight.alias)
}

/// A verification that was asked for.
pub fn reverify(stage: &StageName, is_implicit: bool) -> String {
    if is_implicit {
        format!("verified   {stage}  it defines no verification, so what it holds counts as verified\n")
    } else {
        format!("asked      {stage}  the next `consign run` verifies what it holds again\n")
    }
}
