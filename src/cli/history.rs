//! `history`: promotions, newest first.

use super::session::{Session, Stopped};
use super::{Format, print};
use crate::diagnostic::Failure;
use crate::ledger::{Scope, State};
use crate::model::{FreightName, ProjectName, Promotion, StageName};
use crate::report::history::{History, PastPromotion};
use crate::tick::view::required;

/// Promotions, newest first.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Only of this stage
    pub stage: Option<String>,
    /// How to say it
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Runs the verb; gives the exit code.
///
/// # Errors
/// Usage, for an unknown stage; what stops the world from being opened.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    let world = session.open(true).await?;
    let state = world.ledger.state_at(world.ledger_tip()).await?;
    let mut history = History::default();
    let mut known = false;
    for project in world.wanted_projects() {
        let name = &project.name;
        for stage in state.stages_with_promotions(name)? {
            if args.stage.as_ref().is_some_and(|only| stage != only.as_str()) {
                continue;
            }
            known = true;
            for promotion in promotions(&state, name, &stage).await? {
                let alias = alias(&state, name, &promotion.spec.freight).await?;
                history.promotions.push(PastPromotion::new(name, &promotion, alias));
            }
        }
    }
    if let (Some(stage), false) = (&args.stage, known) {
        world.project_with_stage(stage)?;
    }
    history.promotions.sort_by_key(|promotion| std::cmp::Reverse((time_order(promotion.name.as_str()).to_owned(), promotion.name.clone())));
    print(args.format, &history, || history.text(session.now));
    Ok(0)
}

/// The part of a promotion's name that grows with time: its ULID.
fn time_order(name: &str) -> &str {
    name.rsplit('.').nth(1).unwrap_or(name)
}

/// The records of a stage's promotions, oldest first.
///
/// # Errors
/// What reading the ledger says.
pub async fn promotions(state: &State, project: &ProjectName, stage: &StageName) -> Result<Vec<Promotion>, Failure> {
    state.load(&[Scope::Promotions(project.clone(), stage.clone())]).await?;
    let mut found = Vec::new();
    for name in state.promotions(project, stage)? {
        found.extend(required(state, || state.promotion(project, stage, &name)).await?.map(|record| (*record).clone()));
    }
    Ok(found)
}

async fn alias(state: &State, project: &ProjectName, freight: &FreightName) -> Result<String, Failure> {
    if freight.is_empty() {
        return Ok(String::new());
    }
    let record = required(state, || state.freight(project, freight)).await?;
    Ok(record.map(|record| record.alias.clone()).unwrap_or_default())
}
