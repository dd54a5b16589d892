//! `plan`: what a tick would do, the reason for every "no", and with `--diff` what it would write.

use super::session::{Session, Stopped};
use super::{Format, print};
use crate::tick::preview;

/// What a tick would do; writes nothing.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Args {
    /// Render what the promotions would write and compare it with what the branches hold
    #[arg(long)]
    pub diff: bool,
    /// How to say it
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Runs the verb; gives the exit code.
///
/// # Errors
/// What stops the whole plan: the world cannot be opened, the ledger not read.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    let world = session.open(true).await?;
    let report = preview::preview(&world, args.diff).await?;
    print(args.format, &report, || report.text(session.now, session.color()));
    Ok(0)
}
