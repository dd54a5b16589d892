//! `approve`: a person's "yes", to a freight for a stage or to a promotion that waits.

use super::abort::has_ended;
use super::ground::{Ground, record};
use super::session::{Session, Stopped};
use super::{Format, print};
use crate::diagnostic::{Failure, FailureKind};
use crate::git::RefPattern;
use crate::ledger::Stop;
use crate::model::{Approval, Freight, Promotion};
use crate::plan::bookkeeping;
use crate::report::verbs;
use crate::tick::World;

/// Approves a freight for a stage, past verification and soak time; or a promotion that waits for an answer.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// With `--stage` a freight: name, alias, or the beginning of its name. Without it a promotion: its name, the beginning of it, or the stage
    #[arg(value_name = "FREIGHT|PROMOTION")]
    pub what: String,
    /// The stage that may take the freight
    #[arg(long, value_name = "STAGE")]
    pub stage: Option<String>,
    /// How to say what was done
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Approves; gives the exit code.
///
/// # Errors
/// Usage, for what there is not; Refused, where an approval means nothing; what ledger and remote say.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    let world = session.open(false).await?;
    match &args.stage {
        Some(stage) => {
            let (freight, called) = freight(&world, &args.what, stage).await?;
            print(args.format, &record("Freight", &freight), || verbs::approved_freight(&freight, &called, &stage.as_str().into()));
        }
        None => {
            let (promotion, called) = match promotion(&world, &args.what).await {
                Err(failure) if failure.kind == FailureKind::Usage && is_freight(&world, &args.what).await => {
                    return Err(Failure::new(FailureKind::Usage, format!("for which stage is freight `{}` approved?", args.what))
                        .hint(format!("`consign approve {} --stage STAGE`", args.what))
                        .into());
                }
                other => other?,
            };
            print(args.format, &record("Promotion", &promotion), || verbs::approved_promotion(&promotion, &called));
        }
    }
    Ok(0)
}

async fn is_freight(world: &World, text: &str) -> bool {
    for project in world.wanted_projects() {
        if Ground::read(world, project).await.is_ok_and(|ground| ground.freight(text).is_ok()) {
            return true;
        }
    }
    false
}

async fn freight(world: &World, text: &str, stage: &str) -> Result<(Freight, String), Failure> {
    let ground = Ground::of_stage(world, stage).await?;
    let definition = ground.stage(stage)?;
    let freight = ground.freight(text)?;
    if !definition.spec.requested_freight.iter().any(|request| request.origin == freight.origin) {
        let takes: Vec<&str> = definition.spec.requested_freight.iter().map(|request| request.origin.name.as_str()).collect();
        return Err(Failure::new(FailureKind::Refused, format!("stage `{stage}` takes no freight of `{}`", freight.origin.name))
            .hint(format!("it takes freight of: {}", takes.join(", "))));
    }
    let (name, stage, called) = (freight.name(), definition.name(), ground.called(&freight.name()));
    let project = &ground.project.name;
    let record = world
        .ledger
        .transact(&world.occasion, |draft| {
            let (now, actor) = (draft.now(), draft.occasion().actor.clone());
            let record = draft.freight_mut(project, &name)?;
            bookkeeping::approve(&mut record.status, &stage, &actor, now);
            let record = record.clone();
            draft.say(format!("{called} is approved for {stage}"));
            Ok::<_, Stop>(record)
        })
        .await?;
    Ok((record, called))
}

/// Writes the approval of a waiting promotion into its record, with the head that was there to be seen.
async fn promotion(world: &World, text: &str) -> Result<(Promotion, String), Failure> {
    let (ground, promotion) = Ground::of_promotion(world, text).await?;
    if promotion.status.phase.is_terminal() {
        return Err(has_ended(&promotion));
    }
    let mut head = String::new();
    if let Some(proposal) = promotion.status.consign.proposals.last() {
        let store = world.stores.get(&proposal.repo_url)?;
        store.fetch(&[RefPattern::branch(&proposal.source_branch)?]).await?;
        let tip = store.tip(&format!("refs/heads/{}", proposal.source_branch));
        let tip = tip.ok_or_else(|| {
            Failure::new(FailureKind::Refused, format!("the branch `{}` of proposal {} is gone", proposal.source_branch, proposal.number))
                .hint("`consign run` takes in whether it was merged or closed")
        })?;
        head = tip.to_string();
    }
    let (name, stage, called) = (promotion.name(), promotion.spec.stage.clone(), ground.called(&promotion.spec.freight));
    let project = &ground.project.name;
    let record = world
        .ledger
        .transact(&world.occasion, |draft| {
            let approval = Approval { actor: draft.occasion().actor.clone(), at: Some(draft.now()), head: head.clone() };
            let record = draft.promotion_mut(project, &stage, &name)?;
            if record.status.phase.is_terminal() {
                return Err(Stop::Failed(has_ended(record)));
            }
            let approvals = &mut record.status.consign.approvals;
            // Saying it twice about the same head is saying it once.
            if !approvals.iter().any(|known| known.actor == approval.actor && known.head == approval.head) {
                approvals.push(approval);
            }
            let record = record.clone();
            draft.say(format!("promotion of {called} to {stage} is approved"));
            Ok(record)
        })
        .await?;
    Ok((record, called))
}
