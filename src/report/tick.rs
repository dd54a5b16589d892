//! What came of a tick, for people.

use std::fmt::Write as _;

use super::words;
use crate::model::PromotionPhase;
use crate::tick::outcome::Outcome;

/// The text `run` prints on stdout: one line if nothing happened.
pub fn text(outcome: &Outcome) -> String {
    let mut text = String::new();
    for freight in &outcome.freight_created {
        let _ = writeln!(text, "freight    {}  {} (from {})", freight.alias, words::one_line(&freight.artifacts.join(", "), 80), freight.warehouse);
    }
    for promotion in outcome.promotions.iter().filter(|promotion| promotion.changed) {
        let word = match promotion.phase {
            PromotionPhase::Succeeded => "promoted",
            PromotionPhase::Running | PromotionPhase::Pending => "waiting",
            PromotionPhase::Aborted => "aborted",
            PromotionPhase::Refused => "refused",
            PromotionPhase::Failed | PromotionPhase::Errored => "failed",
        };
        let message = if promotion.message.is_empty() { String::new() } else { format!("  {}", words::one_line(&promotion.message, 200)) };
        let _ = writeln!(text, "{word:<10} {}  {}{message}", promotion.stage, promotion.alias);
    }
    for verification in outcome.verifications.iter().filter(|verification| verification.changed) {
        let message = if verification.message.is_empty() { String::new() } else { format!("  {}", words::one_line(&verification.message, 200)) };
        let _ = writeln!(text, "verified   {}  {:?}{message}", verification.stage, verification.phase);
    }
    let shown = |stage: &crate::model::StageName| {
        outcome.promotions.iter().any(|promotion| promotion.changed && promotion.stage == *stage && !promotion.phase.is_terminal())
    };
    if text.is_empty() {
        text.push_str("nothing to do");
        if !outcome.waiting.is_empty() {
            let waits: Vec<String> =
                outcome.waiting.iter().map(|waiting| format!("{} waits: {}", waiting.stage, words::one_line(&waiting.reason, 120))).collect();
            let _ = write!(text, "; {}", waits.join("; "));
        }
        text.push('\n');
    } else {
        for waiting in outcome.waiting.iter().filter(|waiting| !shown(&waiting.stage)) {
            let until = waiting.until.map(|until| format!(" (until {until})")).unwrap_or_default();
            let _ = writeln!(text, "waiting    {}  {}{until}", waiting.stage, words::one_line(&waiting.reason, 200));
        }
    }
    for failing in &outcome.failing {
        let _ = writeln!(text, "failing    {}  {}", failing.warehouse, words::one_line(&failing.reason, 200));
    }
    for note in &outcome.notes {
        let _ = writeln!(text, "note       {note}");
    }
    text
}
