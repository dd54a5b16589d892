//! `hold`: stops auto-promotion of a stage until it is released.

use super::ground::{self, Ground, record};
use super::session::{Session, Stopped};
use super::{Format, print};
use crate::diagnostic::{Failure, FailureKind};
use crate::ledger::{StageRecord, Stop};
use crate::model::{Origin, Stage};
use crate::plan::holds;
use crate::report::verbs;

/// Stops auto-promotion of a stage; what a person asks for still goes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The stage
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub stage: Option<String>,
    /// Every stage of the project
    #[arg(long)]
    pub all: bool,
    /// Only freight of this warehouse
    #[arg(long, value_name = "WAREHOUSE", conflicts_with = "all")]
    pub origin: Option<String>,
    /// Why; shown wherever the hold is
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// How to say what was done
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Sets holds; gives the exit code.
///
/// # Errors
/// Usage, for a stage or origin that there is not; what the ledger says.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    change(session, args.stage.as_deref(), args.origin.as_deref(), Change::Hold { reason: &args.reason }, args.format).await
}

/// What to do with the holds of stages.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change<'a> {
    /// Set one by hand.
    Hold {
        /// Why.
        reason: &'a str,
    },
    /// Lift all.
    Release,
}

/// Changes the holds of one stage, or of all stages of the project, in one transaction.
pub(super) async fn change(session: &Session, stage: Option<&str>, origin: Option<&str>, change: Change<'_>, format: Format) -> Result<u8, Stopped> {
    let world = session.open(false).await?;
    let project = match stage {
        Some(stage) => world.project_with_stage(stage)?,
        None => world.project()?,
    };
    let stages: Vec<&Stage> = match stage {
        Some(stage) => project.stages.get(stage).into_iter().collect(),
        None => project.stages.values().filter(|stage| !stage.is_control_flow()).collect(),
    };
    if let [only] = stages.as_slice()
        && only.is_control_flow()
    {
        return Err(Failure::new(FailureKind::Refused, format!("stage `{}` has no steps: nothing is ever promoted to it", only.metadata.name))
            .hint("hold a stage that takes freight from it")
            .into());
    }
    let origin: Option<Origin> = match (origin, stages.first()) {
        (Some(origin), Some(stage)) => Some(ground::origin(stage, origin)?),
        _ => None,
    };
    let records = world
        .ledger
        .transact(&world.occasion, |draft| {
            let mut records: Vec<StageRecord> = Vec::new();
            for stage in &stages {
                let name = stage.name();
                let (now, actor) = (draft.now(), draft.occasion().actor.clone());
                let before = draft.stage(&project.name, &name)?.map(|record| record.status.clone()).unwrap_or_default();
                let (after, sentence) = match change {
                    Change::Hold { reason } => {
                        (holds::hold_by_hand(stage, &before, origin.as_ref(), &actor, reason, now), verbs::held(&name, origin.as_ref(), reason))
                    }
                    Change::Release => (holds::release_by_hand(&before, origin.as_ref()), verbs::released(&name, origin.as_ref())),
                };
                let record = draft.stage_mut(&project.name, &name)?;
                record.status = after;
                records.push(record.clone());
                draft.say(sentence);
            }
            Ok::<_, Stop>(records)
        })
        .await?;
    let ground = Ground::read(&world, project).await?;
    let text = || {
        let line = |record: &StageRecord| verbs::holds_of(record, &|freight| ground.called(freight));
        records.iter().map(line).collect::<String>()
    };
    match (stage, records.as_slice()) {
        (Some(_), [only]) => print(format, &record("Stage", only), text),
        _ => print(format, &records.iter().map(|one| record("Stage", one)).collect::<Vec<_>>(), text),
    }
    Ok(0)
}
