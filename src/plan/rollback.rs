//! What a rollback goes back to.

use crate::model::{Freight, FreightName, Promotion, PromotionPhase, Stage, StageStatus};

/// Why there is nothing to go back to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRollback {
    /// The stage holds nothing, or nothing else was ever promoted.
    #[error("`{stage}` has no earlier promotion to go back to")]
    Nothing {
        /// The stage.
        stage: String,
    },
    /// No earlier promotion both was verified and left a tree.
    #[error(
        "no earlier promotion of `{stage}` was verified there and recorded what it wrote; choose one with `--to`, or run the steps again with `--rerun`"
    )]
    NoneVerified {
        /// The stage.
        stage: String,
    },
    /// The chosen freight was never promoted successfully.
    #[error("freight `{freight}` was never promoted to `{stage}` successfully; promote it instead")]
    NeverPromoted {
        /// The stage.
        stage: String,
        /// The freight.
        freight: FreightName,
    },
    /// The promotion of the chosen freight wrote nothing that could be restored.
    #[error("the promotion of `{freight}` to `{stage}` recorded no tree; run its steps again with `--rerun`")]
    NoTree {
        /// The stage.
        stage: String,
        /// The freight.
        freight: FreightName,
    },
    /// The chosen freight is what the stage holds.
    #[error("`{stage}` already holds freight `{freight}`")]
    Current {
        /// The stage.
        stage: String,
        /// The freight.
        freight: FreightName,
    },
}

/// The promotion whose tree a rollback of `stage` restores: the newest successful one before what the stage holds whose freight was verified
/// in the stage, or the newest one of `to`. With `rerun` no recorded tree is needed.
///
/// # Errors
/// [`NoRollback`] says what is missing.
pub fn target<'a>(
    stage: &Stage,
    status: &StageStatus,
    promotions: &'a [Promotion],
    freight: &[Freight],
    to: Option<&FreightName>,
    rerun: bool,
) -> Result<&'a Promotion, NoRollback> {
    let name = stage.name();
    let text = || stage.metadata.name.clone();
    let holds = |freight: &FreightName| status.current_freight().is_some_and(|current| current.contains(freight));
    let mut earlier: Vec<&Promotion> =
        promotions.iter().filter(|promotion| promotion.spec.stage == name && promotion.status.phase == PromotionPhase::Succeeded).collect();
    earlier.sort_by(|a, b| b.metadata.name.cmp(&a.metadata.name));
    let restorable = |promotion: &&Promotion| rerun || !promotion.status.consign.written.is_empty();
    if let Some(to) = to {
        if holds(to) {
            return Err(NoRollback::Current { stage: text(), freight: to.clone() });
        }
        let mut of_freight = earlier.into_iter().filter(|promotion| promotion.spec.freight == *to).peekable();
        if of_freight.peek().is_none() {
            return Err(NoRollback::NeverPromoted { stage: text(), freight: to.clone() });
        }
        return of_freight.find(restorable).ok_or_else(|| NoRollback::NoTree { stage: text(), freight: to.clone() });
    }
    // What the stage holds may itself have come by a rollback; going back once more starts from where that freight first came.
    let by_name = |name: &str| earlier.iter().copied().find(|promotion| promotion.metadata.name == name);
    let mut base = earlier.iter().copied().find(|promotion| holds(&promotion.spec.freight));
    while let Some(restored) = base.and_then(|promotion| by_name(promotion.status.consign.restores.as_str())) {
        base = Some(restored);
    }
    let before = |promotion: &&Promotion| base.is_none_or(|base| promotion.metadata.name < base.metadata.name);
    let mut others = earlier.iter().copied().filter(before).filter(|promotion| !holds(&promotion.spec.freight)).peekable();
    if others.peek().is_none() {
        return Err(NoRollback::Nothing { stage: text() });
    }
    let verified = |promotion: &&Promotion| {
        freight.iter().any(|freight| {
            freight.name() == promotion.spec.freight && freight.status.verified_in.contains_key(&name) && freight.status.quarantined.is_none()
        })
    };
    others.filter(verified).find(restorable).ok_or_else(|| NoRollback::NoneVerified { stage: text() })
}
