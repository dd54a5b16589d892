//! `status`: stages and warehouses as they stand.

use super::session::{Session, Stopped};
use super::{Format, print};
use crate::model::{Project, Promotion, StageName};
use crate::plan::{self, policy::Policies};
use crate::report::status::{PromotionLine, Status, View as StatusView};
use crate::tick::preview::known_ancestry;
use crate::tick::round::waiting_for;
use crate::tick::view::{View, plan_settings};

/// Stages with what they hold and wait for.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Only this stage
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
    let projects: Vec<&Project> = match &args.stage {
        Some(stage) => vec![world.project_with_stage(stage)?],
        None => world.wanted_projects().collect(),
    };
    let only = args.stage.as_deref().map(StageName::new);
    let state = world.ledger.state_at(world.ledger_tip()).await?;
    let settings = plan_settings(&world.settings);
    let mut status = Status::default();
    for project in projects {
        let view = View::read(&state, project).await?;
        let ancestry = known_ancestry(&world, project, &view);
        let plan = plan::plan(&world.inputs(project, &view, &settings, &ancestry));
        let policies = Policies::new(project.config.as_ref());
        let part = StatusView {
            project,
            stages: &view.stages,
            warehouses: &view.warehouses,
            alias: &|name| view.alias(name),
            running: &|stage| running(&view, stage),
            auto_promotion: &|stage| policies.auto_promotion(stage).unwrap_or(false),
            held: &plan.held,
        };
        status.add(&part, only.as_ref());
    }
    print(args.format, &status, || status.text(session.now));
    Ok(0)
}

/// The promotion that runs or waits at a stage; of several the one that goes first.
fn running(view: &View, stage: &StageName) -> Option<PromotionLine> {
    let open = view.promotions.iter().filter(|promotion| promotion.spec.stage == *stage && !promotion.status.phase.is_terminal());
    let first = open.min_by_key(|promotion| (promotion.status.phase == crate::model::PromotionPhase::Pending, Promotion::name(promotion)))?;
    Some(PromotionLine {
        name: first.metadata.name.clone(),
        freight: first.spec.freight.clone(),
        alias: view.alias(&first.spec.freight),
        phase: first.status.phase,
        message: waiting_for(first),
        finished_at: None,
    })
}
