//! `freight`: its verbs.

use super::session::{Session, Stopped};
use super::{freight_alias, freight_create};

/// Freight: create, alias.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do with freight.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Give a freight another alias
    Alias(freight_alias::Args),
    /// Make a freight of chosen artifacts
    Create(freight_create::Args),
}

/// Runs a verb of freight; gives the exit code.
///
/// # Errors
/// As the verb.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    match &args.command {
        Command::Alias(args) => freight_alias::run(session, args).await,
        Command::Create(args) => freight_create::run(session, args).await,
    }
}
