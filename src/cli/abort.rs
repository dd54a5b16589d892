//! `abort`: ends a promotion that has not ended.

use super::ground::{Ground, record};
use super::session::{Session, Stopped};
use super::{Format, print};
use crate::diagnostic::{Failure, FailureKind};
use crate::model::Promotion;
use crate::report::verbs;

/// Ends a promotion that has not ended. What it has pushed stays; `reject` also takes its proposal back.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The promotion: its name, the beginning of it, or the stage
    pub promotion: String,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// How to say what was done
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Aborts a promotion; gives the exit code.
///
/// # Errors
/// Usage, for a promotion that there is not; Refused, if it has ended; what the ledger says.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    let world = session.open(false).await?;
    let (ground, promotion) = Ground::of_promotion(&world, &args.promotion).await?;
    let promotion = end(&ground, &promotion, "aborted", &args.reason).await?;
    let called = ground.called(&promotion.spec.freight);
    print(args.format, &record("Promotion", &promotion), || verbs::ended(&promotion, &called));
    Ok(0)
}

/// Ends a promotion as Aborted, in the words of the person who does it.
///
/// # Errors
/// Refused, if it has ended already; what the ledger says.
pub(super) async fn end(ground: &Ground<'_>, promotion: &Promotion, verb: &str, reason: &str) -> Result<Promotion, Failure> {
    let (name, stage) = (promotion.name(), promotion.spec.stage.clone());
    let (world, project) = (ground.world, &ground.project.name);
    let called = ground.called(&promotion.spec.freight);
    let message = verbs::by_person(verb, &world.occasion.actor, reason);
    let ended = world
        .ledger
        .transact(&world.occasion, |draft| {
            let was_open = draft.abort(project, &stage, &name, &message)?;
            draft.say(verbs::ended_sentence(&called, &stage, &message));
            let record = draft.promotion(project, &stage, &name)?;
            Ok((was_open, record))
        })
        .await?;
    match ended {
        (true, Some(record)) => Ok((*record).clone()),
        _ => Err(has_ended(promotion)),
    }
}

/// A promotion that can no longer be changed.
pub(super) fn has_ended(promotion: &Promotion) -> Failure {
    let phase = crate::report::words::phase(promotion.status.phase);
    let (name, stage) = (&promotion.metadata.name, &promotion.spec.stage);
    Failure::new(FailureKind::Refused, format!("promotion `{name}` has ended already: {phase}"))
        .hint(format!("`consign rollback {stage}` goes back to what was there before; `consign retry {name}` promotes the same freight again"))
}
