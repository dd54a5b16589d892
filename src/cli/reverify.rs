//! `reverify`: another verification of what a stage holds.

use super::ground::{Ground, record};
use super::session::{Session, Stopped};
use super::{Format, print};
use crate::diagnostic::{Failure, FailureKind};
use crate::ledger::Stop;
use crate::report::verbs;
use crate::verify::lifecycle;

/// Asks for another verification of what a stage holds; the next tick begins it.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The stage
    pub stage: String,
    /// How to say what was done
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Asks for a verification; gives the exit code.
///
/// # Errors
/// Usage, for a stage that there is not; Refused, where nothing can be verified now; what the ledger says.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    let world = session.open(false).await?;
    let ground = Ground::of_stage(&world, &args.stage).await?;
    let stage = ground.stage(&args.stage)?;
    let (name, project) = (stage.name(), &ground.project.name);
    let newest = ground.status(&name).current_freight().and_then(|held| held.verification_history.first().cloned());
    let Some(newest) = newest else {
        return Err(Failure::new(FailureKind::Refused, format!("stage `{name}` has not verified what it holds"))
            .hint("the next `consign run` does, once something is there to be verified")
            .into());
    };
    let stage_record = world
        .ledger
        .transact(&world.occasion, |draft| {
            let (now, actor) = (draft.now(), draft.occasion().actor.clone());
            let record = draft.stage_mut(project, &name)?;
            lifecycle::reverify(stage, &mut record.status, &newest.id, &actor, now).map_err(|why| Failure::new(FailureKind::Refused, why))?;
            let record = record.clone();
            draft.say(format!("verify {name} again"));
            Ok::<_, Stop>(record)
        })
        .await?;
    print(args.format, &record("Stage", &stage_record), || verbs::reverify(&name, stage.spec.verification.is_none()));
    Ok(0)
}
