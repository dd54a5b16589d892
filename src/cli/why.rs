//! `why`: every gate of a freight and a stage, its state, and what opens it.

use super::session::{Session, Stopped};
use super::{Format, print};
use crate::diagnostic::{Failure, FailureKind, nearest};
use crate::model::{Freight, StageName};
use crate::plan;
use crate::report::plan::Why;
use crate::tick::preview::known_ancestry;
use crate::tick::view::{View, plan_settings};

/// Why a freight is not in a stage.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A freight: its name, its alias or the beginning of its name
    pub freight: String,
    /// A stage
    pub stage: String,
    /// How to say it
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Runs the verb; gives the exit code.
///
/// # Errors
/// Usage, for a freight or stage that is unknown; what stops the world from being opened.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    let world = session.open(true).await?;
    let project = world.project_with_stage(&args.stage)?;
    let state = world.ledger.state_at(world.ledger_tip()).await?;
    let view = View::read(&state, project).await?;
    let freight = find_freight(&view, &args.freight)?;
    let ancestry = known_ancestry(&world, project, &view);
    let settings = plan_settings(&world.settings);
    let inputs = world.inputs(project, &view, &settings, &ancestry);
    let stage = StageName::new(args.stage.as_str());
    let gates = plan::why(&inputs, &freight.name(), &stage)
        .ok_or_else(|| Failure::new(FailureKind::Internal, format!("the gates of `{stage}` cannot be asked about `{}`", freight.alias)))?;
    let why = Why { project: project.name.clone(), stage, freight: freight.name(), alias: freight.alias.clone(), gates };
    print(args.format, &why, || why.text(session.now));
    Ok(0)
}

/// The freight that a user means.
///
/// # Errors
/// Usage, if there is none, or several begin so.
pub fn find_freight<'a>(view: &'a View, text: &str) -> Result<&'a Freight, Failure> {
    view.find_freight(text).ok_or_else(|| {
        let beginning = view.freight.iter().filter(|freight| !text.is_empty() && freight.metadata.name.starts_with(text)).count();
        let failure = if beginning > 0 && text.len() < 4 {
            Failure::new(FailureKind::Usage, format!("`{text}` is too short to say which freight is meant"))
                .hint("give its alias, or at least four characters of its name")
        } else if beginning > 1 {
            Failure::new(FailureKind::Usage, format!("`{text}` is the beginning of {beginning} freight names"))
                .hint("give more of the name, or the alias")
        } else {
            Failure::new(FailureKind::Usage, format!("there is no freight `{text}`"))
        };
        let near = nearest(text, view.freight.iter().map(|freight| freight.alias.as_str())).map(|near| format!("did you mean `{near}`?"));
        failure.hint(near.unwrap_or_else(|| "`consign freight list` shows all".to_owned()))
    })
}
