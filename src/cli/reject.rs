//! `reject`: the "no" to a promotion that waits for an answer.

use super::abort::{end, has_ended};
use super::ground::{Ground, record};
use super::session::{Session, Stopped};
use super::{Format, print};
use crate::diagnostic::{Failure, FailureKind};
use crate::git::{Expected, RefOutcome, RefPattern, RefUpdate};
use crate::model::{Promotion, Proposal};
use crate::report::verbs;
use crate::tick::World;

/// Ends a promotion that waits, and takes its proposal back: the proposed branch is deleted.
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

/// Rejects a promotion; gives the exit code.
///
/// # Errors
/// Usage, for a promotion that there is not; Refused, if it has ended or its proposal is merged; what ledger and remote say.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    let world = session.open(false).await?;
    let (ground, promotion) = Ground::of_promotion(&world, &args.promotion).await?;
    if promotion.status.phase.is_terminal() {
        return Err(has_ended(&promotion).into());
    }
    for proposal in &promotion.status.consign.proposals {
        refuse_merged(&world, &promotion, proposal).await?;
    }
    let rejected = end(&ground, &promotion, "rejected", &args.reason).await?;
    let mut closed = Vec::new();
    for proposal in &promotion.status.consign.proposals {
        if close(&world, proposal).await? {
            closed.push(proposal.source_branch.as_str());
        }
    }
    let called = ground.called(&promotion.spec.freight);
    print(args.format, &record("Promotion", &rejected), || verbs::ended(&rejected, &called) + &verbs::closed(&closed));
    Ok(0)
}

/// What is merged cannot be taken back by a "no".
async fn refuse_merged(world: &World, promotion: &Promotion, proposal: &Proposal) -> Result<(), Failure> {
    let store = world.stores.get(&proposal.repo_url)?;
    store.fetch(&[RefPattern::branch(&proposal.source_branch)?, RefPattern::branch(&proposal.target_branch)?]).await?;
    let target = store.tip(&format!("refs/heads/{}", proposal.target_branch));
    let head = proposal.head.parse().ok().filter(|head| store.has(*head));
    if let (Some(head), Some(target)) = (head, target)
        && store.is_ancestor(head, target)?
    {
        let number = proposal.number;
        return Err(Failure::new(FailureKind::Refused, format!("proposal {number} of `{}` is merged already", promotion.metadata.name))
            .hint(format!("`consign run` takes that in; then `consign rollback {}` goes back", promotion.spec.stage)));
    }
    Ok(())
}

/// Deletes the branch of a proposal, as last seen: what somebody pushes meanwhile is not lost. False: it was gone.
async fn close(world: &World, proposal: &Proposal) -> Result<bool, Failure> {
    let store = world.stores.get(&proposal.repo_url)?;
    let name = format!("refs/heads/{}", proposal.source_branch);
    let Some(tip) = store.tip(&name) else { return Ok(false) };
    let outcome = store.push(&[RefUpdate { name: name.clone(), expected: Expected::At(tip), new: None, force: false }]).await?;
    let by_hand =
        format!("the promotion is rejected; delete the branch by hand: `git push {} --delete {}`", proposal.repo_url, proposal.source_branch);
    match outcome.refs.get(&name) {
        Some(RefOutcome::Updated) => Ok(true),
        Some(RefOutcome::Refused(words)) => {
            Err(Failure::new(FailureKind::Refused, format!("the remote refuses to delete `{}`: {words}", proposal.source_branch)).hint(by_hand))
        }
        _ => Err(Failure::new(FailureKind::Conflict, format!("somebody pushed to `{}` meanwhile", proposal.source_branch)).hint(by_hand)),
    }
}
