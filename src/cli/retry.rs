//! `retry`: another promotion of the same freight.

use super::ground::{Ground, record};
use super::promote::{Choice, Request, create, go};
use super::session::{Session, Stopped};
use super::{Format, print};
use crate::diagnostic::{Failure, FailureKind};
use crate::report::verbs;

/// Promotes the freight of an ended promotion once more, with the recipe as it is now.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The promotion: its name, or the beginning of it
    pub promotion: String,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// How to say what was done
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Retries; gives the exit code.
///
/// # Errors
/// Usage, for a promotion that there is not; Refused, if it has not ended or a gate is closed; what ledger and remotes say.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    let mut world = session.open(false).await?;
    let (stage, freight) = {
        let (_, promotion) = Ground::of_promotion(&world, &args.promotion).await?;
        let name = &promotion.metadata.name;
        if !promotion.status.phase.is_terminal() {
            return Err(Failure::new(FailureKind::Refused, format!("promotion `{name}` has not ended"))
                .hint(format!("`consign run` goes on with it; `consign abort {name}` ends it"))
                .into());
        }
        (promotion.spec.stage.clone(), promotion.spec.freight.clone())
    };
    let reason = if args.reason.is_empty() { format!("once more after {}", args.promotion) } else { args.reason.clone() };
    let request = Request { trigger: "cli", reason, ..Request::default() };
    let created = create(&world, stage.as_str(), &Choice::Exactly(freight), &request).await?;
    let (outcome, failures) = go(&mut world, &created).await?;
    let promotion = created.read(&world).await?;
    print(args.format, &record("Promotion", &promotion), || verbs::promoted(&outcome));
    let mut code = 0;
    for failure in failures {
        code = code.max(session.explain(&Stopped::Failed(failure)));
    }
    Ok(code)
}
