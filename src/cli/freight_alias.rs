//! `freight alias`: another name for a freight.

use super::ground::{Ground, record};
use super::session::{Session, Stopped};
use super::{Format, print};
use crate::diagnostic::{Failure, FailureKind};
use crate::freight::alias;
use crate::ledger::Stop;
use crate::model::Freight;
use crate::report::verbs;

/// Gives a freight another alias.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The freight: name, alias, or the beginning of its name
    pub freight: String,
    /// Its new alias
    pub new: String,
    /// How to say what was done
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Renames a freight; gives the exit code.
///
/// # Errors
/// Usage, for a freight that there is not or an alias that none can have; Config, if another has it; what the ledger says.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    if !alias::is_valid(&args.new) {
        return Err(Failure::new(FailureKind::Usage, format!("`{}` cannot be an alias", args.new))
            .hint("an alias has at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends")
            .into());
    }
    let world = session.open(false).await?;
    let project = world.project()?;
    let ground = Ground::read(&world, project).await?;
    let name = ground.freight(&args.freight)?.name();
    let before = ground.called(&name);
    let freight = world
        .ledger
        .transact(&world.occasion, |draft| {
            draft.set_freight_alias(&project.name, &name, &args.new)?;
            let freight: Freight = draft.freight_mut(&project.name, &name)?.clone();
            draft.say(format!("freight {before} is called {}", args.new));
            Ok::<_, Stop>(freight)
        })
        .await?;
    print(args.format, &record("Freight", &freight), || verbs::renamed(&freight, &before));
    Ok(0)
}
