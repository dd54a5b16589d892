//! `promote`: a promotion because a person asks for it.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::ground::Ground;
use super::run::FailOn;
use super::session::{Session, Stopped};
use super::{Format, print};
use crate::diagnostic::{Failure, FailureKind};
use crate::ledger::{NewPromotion, RecordPath};
use crate::model::{Freight, FreightName, GoDuration, ProjectName, Promotion, PromotionName, PromotionPhase, StageName};
use crate::plan::gates::{Gate, GateName};
use crate::plan::{self, bookkeeping, holds};
use crate::report::verbs;
use crate::tick::outcome::PromotionOutcome;
use crate::tick::round::{self, Limits};
use crate::tick::view::required;
use crate::tick::{World, occasion};

/// Plans that were overtaken by others before the race counts as lost.
const ATTEMPTS: u32 = 10;
/// A waiting promotion is looked at no more often than this, and no less often than that.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Creates a promotion and runs it as far as it goes without the outside world.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The stage
    pub stage: String,
    /// The freight: name, alias, or the beginning of its name [default: what auto-promotion would take]
    #[arg(long, value_name = "FREIGHT")]
    pub freight: Option<String>,
    /// Wait until the promotion has ended
    #[arg(long)]
    pub wait: bool,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "1h", requires = "wait")]
    pub timeout: GoDuration,
    /// The hotfix lane: approve the freight, promote it and hold the stage, in one transaction
    #[arg(long, requires = "reason")]
    pub bypass: bool,
    /// Why; written into the ledger
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// What makes the exit code 1 [default: `failed` with `--wait`, else `never`]
    #[arg(long, value_enum)]
    pub fail_on: Option<FailOn>,
    /// How to say what happened
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Promotes; gives the exit code.
///
/// # Errors
/// Usage, for a stage or freight that there is not; Refused, if a gate is closed; what ledger and remotes say.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    let mut world = session.open(false).await?;
    let request = Request {
        trigger: "cli",
        bypass: args.bypass,
        hold: if args.bypass { args.reason.clone() } else { None },
        reason: args.reason.clone().unwrap_or_default(),
        resume: !args.bypass,
    };
    let created = create(&world, &args.stage, &Choice::of(args.freight.as_deref()), &request).await?;
    let (mut outcome, mut failures) = go(&mut world, &created).await?;
    if args.wait {
        let began = Instant::now();
        let deadline = args.timeout.unsigned();
        while !outcome.phase.is_terminal() && failures.is_empty() && began.elapsed() < deadline {
            let elapsed = || SignedDuration::try_from(began.elapsed()).unwrap_or_default();
            let pause = pause(&world, &created, session.now + elapsed()).await?.min(deadline.saturating_sub(began.elapsed()));
            tokio::time::sleep(pause).await;
            // Everything is read anew: definitions, ledger, branches. The store may be opened once at a time.
            drop(world);
            world = session.open(false).await?;
            world.occasion = occasion(session.now + elapsed(), session.actor());
            (outcome, failures) = go(&mut world, &created).await?;
        }
    }
    print(args.format, &outcome, || verbs::promoted(&outcome));
    let mut code = 0;
    for failure in failures {
        code = code.max(session.explain(&Stopped::Failed(failure)));
    }
    let fail_on = args.fail_on.unwrap_or(if args.wait { FailOn::Failed } else { FailOn::Never });
    if code == 0 && fail_on != FailOn::Never && ended_badly(outcome.phase) {
        code = 1;
    }
    Ok(code)
}

/// Whether a promotion came to a bad end.
fn ended_badly(phase: PromotionPhase) -> bool {
    matches!(phase, PromotionPhase::Failed | PromotionPhase::Errored | PromotionPhase::Refused | PromotionPhase::Aborted)
}

/// How long to wait before the next look.
async fn pause(world: &World, created: &Created, now: Timestamp) -> Result<Duration, Failure> {
    let next = created.read(world).await?.and_then(|promotion| promotion.status.consign.next_look);
    let until = next.map_or(Duration::ZERO, |next| Duration::try_from(next.duration_since(now)).unwrap_or_default());
    Ok(until.clamp(SHORTEST_WAIT, LONGEST_WAIT))
}

/// Which freight.
#[derive(Clone, Debug)]
pub(super) enum Choice {
    /// What auto-promotion would take.
    Candidate,
    /// What a person typed.
    Typed(String),
    /// This one.
    Exactly(FreightName),
}

impl Choice {
    fn of(typed: Option<&str>) -> Self {
        typed.map_or(Self::Candidate, |typed| Self::Typed(typed.to_owned()))
    }
}

/// What is asked for besides stage and freight.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    /// What causes it: `cli` or `rollback`.
    pub trigger: &'static str,
    /// Approve the freight instead of asking the gates that a person may open.
    pub bypass: bool,
    /// Hold the stage, for this reason.
    pub hold: Option<String>,
    /// For the audit log.
    pub reason: String,
    /// Whether a promotion of the same freight that is under way will do.
    pub resume: bool,
}

/// A promotion that is in the ledger.
#[derive(Clone, Debug)]
pub(super) struct Created {
    /// Its project.
    pub project: ProjectName,
    /// Its stage.
    pub stage: StageName,
    /// Its name.
    pub name: PromotionName,
    /// What people call its freight.
    pub called: String,
}

impl Created {
    /// Its record as of the last fetch or push.
    ///
    /// # Errors
    /// What the ledger says.
    pub async fn read(&self, world: &World) -> Result<Option<Promotion>, Failure> {
        let state = world.ledger.state_at(world.ledger_tip()).await?;
        let record = required(&state, || state.promotion(&self.project, &self.stage, &self.name)).await?;
        Ok(record.map(|record| (*record).clone()))
    }
}

/// Puts a promotion into the ledger, with what it means for later auto-promotion, if every gate that guards the stage is open.
///
/// # Errors
/// Usage, for a stage or freight that there is not; Refused, if a gate is closed; Conflict, if others kept changing the stage.
pub(super) async fn create(world: &World, stage: &str, choice: &Choice, request: &Request) -> Result<Created, Failure> {
    for attempt in 1.. {
        let ground = Ground::of_stage(world, stage).await?;
        match create_once(&ground, stage, choice, request).await {
            // The stage has changed since the plan was made: decide again on what is there now.
            Err(failure) if failure.kind == FailureKind::Conflict && attempt < ATTEMPTS => {}
            result => return result,
        }
    }
    unreachable!("the last attempt returns")
}

async fn create_once(ground: &Ground<'_>, stage: &str, choice: &Choice, request: &Request) -> Result<Created, Failure> {
    let (world, project) = (ground.world, ground.project);
    let definition = ground.stage(stage)?;
    let name = definition.name();
    let freight: &Freight = match choice {
        Choice::Candidate if definition.is_control_flow() => {
            return Err(Failure::new(
                FailureKind::Refused,
                format!("stage `{stage}` has no steps: it is never promoted to, and passes on whatever is available to it"),
            )
            .hint("promote to a stage that takes freight from it"));
        }
        Choice::Candidate => ground.candidate(definition)?,
        Choice::Typed(text) => ground.freight(text)?,
        Choice::Exactly(name) => ground.freight(name.as_str())?,
    };
    let called = ground.called(&freight.name());
    let inputs = ground.inputs();
    if request.resume
        && let Some(open) = ground
            .view
            .promotions
            .iter()
            .find(|open| open.spec.stage == name && open.spec.freight == freight.name() && !open.status.phase.is_terminal())
    {
        return Ok(Created { project: project.name.clone(), stage: name, name: open.name(), called });
    }
    let mut closed = plan::gates::refusals(&inputs, &freight.name(), &name).unwrap_or_default();
    closed.retain(|gate| !(request.bypass && opens_by_hand(gate)));
    if !closed.is_empty() {
        return Err(refused(&closed, &called, &name));
    }
    let intent = if request.hold.is_some() { None } else { holds::intent(&inputs, &name, &freight.name()) };
    let promotion = round::new_promotion(world, project, definition, freight, request.trigger, intent)?;
    let planned_on = ground.state.version(&RecordPath::Stage(project.name.clone(), name.clone()))?;
    let freight = freight.name();
    let promotion_name = world
        .ledger
        .transact(&world.occasion, |draft| {
            let (now, actor) = (draft.now(), draft.occasion().actor.clone());
            let created = draft.create_promotion(NewPromotion { project: project.name.clone(), promotion: promotion.clone(), planned_on })?;
            if request.bypass {
                bookkeeping::approve(&mut draft.freight_mut(&project.name, &freight)?.status, &name, &actor, now);
            }
            if let Some(reason) = &request.hold {
                let record = draft.stage_mut(&project.name, &name)?;
                record.status = holds::hold_by_hand(definition, &record.status, None, &actor, reason, now);
            }
            draft.say(verbs::promotion_sentence(request.trigger, request.bypass, &called, &name, &actor, &request.reason));
            Ok(created)
        })
        .await?;
    Ok(Created { project: project.name.clone(), stage: name, name: promotion_name, called })
}

/// Gates that a person may open by taking responsibility.
fn opens_by_hand(gate: &Gate) -> bool {
    matches!(gate.gate, GateName::Availability | GateName::Window)
}

/// Why a freight may not enter a stage: every closed gate, and what opens it.
fn refused(closed: &[Gate], called: &str, stage: &StageName) -> Failure {
    let failure = Failure::new(FailureKind::Refused, verbs::refusal(closed, called, stage));
    if closed.iter().all(opens_by_hand) {
        return failure
            .hint(format!("wait until it opens; `consign why {called} {stage}` shows every gate"))
            .hint(format!("`consign approve {called} --stage {stage}` opens it by hand; `--bypass --reason TEXT` is the lane for hotfixes"));
    }
    if closed.iter().any(|gate| gate.gate == GateName::Quarantine) {
        return failure.hint(format!("`consign quarantine {called} --lift` ends the quarantine"));
    }
    failure.hint(format!("`consign why {called} {stage}` shows every gate"))
}

/// Runs a promotion as far as it goes, and nothing else. The failures are those of the environment.
///
/// # Errors
/// What ledger and remotes say.
pub(super) async fn go(world: &mut World, created: &Created) -> Result<(PromotionOutcome, Vec<Failure>), Failure> {
    world.only_project = Some(created.project.to_string());
    let limits = Limits { only: Some((created.stage.clone(), created.name.clone())) };
    let (outcome, failures) = crate::tick::tick(world, &limits).await?;
    if let Some(done) = outcome.promotions.into_iter().find(|promotion| promotion.name == created.name) {
        return Ok((done, failures));
    }
    // It did not run: another promotion of the stage goes first, or what the stage holds is being verified.
    let record = created.read(world).await?;
    let record = record.ok_or_else(|| Failure::new(FailureKind::Conflict, format!("promotion `{}` has just been removed", created.name)))?;
    let mut done = round::outcome_of(&created.project, &record, &created.called, false);
    if record.status.phase == PromotionPhase::Pending {
        done.message = "it waits for its turn: another promotion of the stage, or the verification of what it holds, comes first".into();
    }
    Ok((done, failures))
}
