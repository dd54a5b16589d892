//! `release`: lifts what stops auto-promotion of a stage.

use super::Format;
use super::hold::{Change, change};
use super::session::{Session, Stopped};

/// Lifts the holds of a stage: those set by hand, and those that promotions of other freight have set.
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
    /// How to say what was done
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Lifts holds; gives the exit code.
///
/// # Errors
/// Usage, for a stage or origin that there is not; what the ledger says.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    change(session, args.stage.as_deref(), args.origin.as_deref(), Change::Release, args.format).await
}
