//! `quarantine`: no stage takes a freight any more.

use super::ground::{Ground, record};
use super::session::{Session, Stopped};
use super::{Format, print};
use crate::ledger::Stop;
use crate::model::{Freight, Quarantine};
use crate::report::verbs;

/// Keeps every stage from taking a freight; stages that hold it keep it.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The freight: name, alias, or the beginning of its name
    pub freight: String,
    /// End the quarantine
    #[arg(long)]
    pub lift: bool,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "", conflicts_with = "lift")]
    pub reason: String,
    /// How to say what was done
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Sets or lifts a quarantine; gives the exit code.
///
/// # Errors
/// Usage, for a freight that there is not; what the ledger says.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    let world = session.open(false).await?;
    let project = world.project()?;
    let ground = Ground::read(&world, project).await?;
    let name = ground.freight(&args.freight)?.name();
    let called = ground.called(&name);
    let freight = world
        .ledger
        .transact(&world.occasion, |draft| {
            let quarantine = Quarantine { since: Some(draft.now()), actor: draft.occasion().actor.clone(), reason: args.reason.clone() };
            let record = draft.freight_mut(&project.name, &name)?;
            record.status.quarantined = (!args.lift).then_some(quarantine);
            let record: Freight = record.clone();
            draft.say(verbs::quarantined(&called, args.lift, &args.reason));
            Ok::<_, Stop>(record)
        })
        .await?;
    print(args.format, &record("Freight", &freight), || verbs::quarantine_of(&freight, &called));
    Ok(0)
}
