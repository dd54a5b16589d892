//! `run`: a tick.

use clap::ValueEnum;

use super::session::{Session, Stopped};
use super::{Format, print};
use crate::model::{PromotionPhase, VerificationPhase};
use crate::report;
use crate::tick::outcome::Outcome;
use crate::tick::round::Limits;

/// Looks, decides, acts until nothing more can be done without the outside world, writes down, tells, and exits.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// How to say what happened.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// What makes the exit code 1, or 5 for a source that fails.
    #[arg(long, value_enum, default_value_t = FailOn::Never)]
    pub fail_on: FailOn,
}

/// What makes a verb fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Nothing: what happened is written down.
    Never,
    /// A promotion or verification that ended badly.
    Failed,
    /// That, and a source that cannot be looked at.
    Remote,
}

/// Runs a tick; gives the exit code.
///
/// # Errors
/// What stopped the whole tick.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    let world = session.open(false).await?;
    let (outcome, failures) = crate::tick::tick(&world, &Limits::default()).await?;
    print(args.format, &outcome, || report::tick::text(&outcome));
    let mut code = 0;
    let looks_failed = outcome.failing.len();
    for failure in &failures {
        let is_look = outcome.failing.iter().any(|failing| failing.reason == failure.message);
        if is_look && args.fail_on != FailOn::Remote {
            continue;
        }
        code = code.max(session.explain(&Stopped::Failed(crate::diagnostic::Failure {
            kind: failure.kind,
            message: failure.message.clone(),
            hints: failure.hints.clone(),
            source: None,
        })));
    }
    if args.fail_on == FailOn::Remote && looks_failed > 0 && code == 0 {
        code = crate::diagnostic::FailureKind::Remote.exit_code();
    }
    if code == 0 && args.fail_on != FailOn::Never && ended_badly(&outcome) {
        code = 1;
    }
    Ok(code)
}

/// Whether a promotion or verification of a tick ended badly.
pub fn ended_badly(outcome: &Outcome) -> bool {
    let promotion = |phase| matches!(phase, PromotionPhase::Failed | PromotionPhase::Errored | PromotionPhase::Refused);
    let verification = |phase| matches!(phase, VerificationPhase::Failed | VerificationPhase::Error);
    outcome.promotions.iter().any(|outcome| outcome.changed && promotion(outcome.phase))
        || outcome.verifications.iter().any(|outcome| outcome.changed && verification(outcome.phase))
}
