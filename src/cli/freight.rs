//! `freight`: its verbs.

use super::session::{Session, Stopped};
use super::{freight_alias, freight_create};

/// What to do with freight.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Verb {
    /// Give a freight another alias
    Alias(freight_alias::Args),
    /// Make a freight of chosen artifacts
    Create(freight_create::Args),
}

/// Runs a verb of freight; gives the exit code.
///
/// # Errors
/// As the verb.
pub async fn run(session: &Session, verb: &Verb) -> Result<u8, Stopped> {
    match verb {
        Verb::Alias(args) => freight_alias::run(session, args).await,
        Verb::Create(args) => freight_create::run(session, args).await,
    }
}
