//! `logs`: what the steps of a promotion or the jobs of a verification printed.

use super::session::{Session, Stopped};
use super::{Format, print};
use crate::diagnostic::{Failure, FailureKind, nearest};
use crate::ledger::State;
use crate::model::{ProjectName, StageName};
use crate::report::history::{Logs, steps};
use crate::report::words;
use crate::tick::outcome::verification_word;
use crate::tick::view::required;

/// Step and verification output.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A promotion's name, a verification's id, or a part of one that only one has
    #[arg(value_name = "PROMOTION|VERIFICATION")]
    pub name: String,
    /// How to say it
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// A promotion or verification that can be asked for.
struct Known {
    project: ProjectName,
    stage: StageName,
    name: String,
    is_promotion: bool,
}

/// Runs the verb; gives the exit code.
///
/// # Errors
/// Usage, if nothing or more than one thing is meant; what stops the world from being opened.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    let world = session.open(true).await?;
    let state = world.ledger.state_at(world.ledger_tip()).await?;
    let mut known = Vec::new();
    for project in world.wanted_projects() {
        known.extend(all(&state, &project.name).await?);
    }
    let wanted = find(&known, &args.name)?;
    let logs = read(&state, wanted).await?;
    print(args.format, &logs, || logs.text());
    Ok(0)
}

async fn all(state: &State, project: &ProjectName) -> Result<Vec<Known>, Failure> {
    let mut known = Vec::new();
    for stage in state.stages_with_promotions(project)? {
        for name in state.promotions(project, &stage)? {
            known.push(Known { project: project.clone(), stage: stage.clone(), name: name.to_string(), is_promotion: true });
        }
    }
    for stage in state.stages(project)? {
        let Some(record) = required(state, || state.stage(project, &stage)).await? else { continue };
        for verification in record.status.freight_history.iter().flat_map(|collection| &collection.verification_history) {
            known.push(Known { project: project.clone(), stage: stage.clone(), name: verification.id.clone(), is_promotion: false });
        }
    }
    Ok(known)
}

fn find<'a>(known: &'a [Known], text: &str) -> Result<&'a Known, Failure> {
    if let Some(exact) = known.iter().find(|candidate| candidate.name == text) {
        return Ok(exact);
    }
    let matching: Vec<&Known> = known.iter().filter(|candidate| text.len() >= 4 && candidate.name.contains(text)).collect();
    match matching.as_slice() {
        [only] => Ok(only),
        [] => {
            let near = nearest(text, known.iter().map(|candidate| candidate.name.as_str())).map(|near| format!("did you mean `{near}`?"));
            Err(Failure::new(FailureKind::Usage, format!("there is no promotion or verification `{text}`"))
                .hint(near.unwrap_or_else(|| "`consign history` shows the names".to_owned())))
        }
        several => {
            let names: Vec<String> = several.iter().take(5).map(|candidate| format!("`{}`", candidate.name)).collect();
            Err(Failure::new(FailureKind::Usage, format!("`{text}` is part of {} names", several.len()))
                .hint(format!("give more of it: {}", names.join(", "))))
        }
    }
}

async fn read(state: &State, wanted: &Known) -> Result<Logs, Failure> {
    let Known { project, stage, name, is_promotion } = wanted;
    let log = required(state, || state.log(project, stage, name)).await?.unwrap_or_default();
    let mut logs = Logs {
        kind: if *is_promotion { "Promotion" } else { "Verification" },
        name: name.clone(),
        project: project.clone(),
        stage: stage.clone(),
        phase: String::new(),
        message: String::new(),
        steps: Vec::new(),
        log,
    };
    if *is_promotion {
        let name = name.as_str().into();
        if let Some(promotion) = required(state, || state.promotion(project, stage, &name)).await? {
            logs.phase = words::phase(promotion.status.phase).to_owned();
            logs.message.clone_from(&promotion.status.message);
            logs.steps = steps(&promotion);
        }
    } else if let Some(record) = required(state, || state.stage(project, stage)).await? {
        let all = record.status.freight_history.iter().flat_map(|collection| &collection.verification_history);
        if let Some(info) = all.into_iter().find(|info| info.id == *name) {
            logs.phase = info.phase.map_or("Pending", verification_word).to_owned();
            logs.message.clone_from(&info.message);
        }
    }
    Ok(logs)
}
