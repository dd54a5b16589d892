//! `freight`: the bundles of artifacts there are.

use super::session::{Session, Stopped};
use super::why::find_freight;
use super::{Format, freight_alias, freight_create, print};
use crate::diagnostic::Failure;
use crate::ledger::{Scope, State};
use crate::model::{Freight, Project};
use crate::report::freight as report;
use crate::tick::view::{View, required};

/// Freight: list, show, create, alias.
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
    /// All freight, newest first
    List(ListArgs),
    /// One freight
    Show(ShowArgs),
}

/// Options of `freight list`.
#[derive(Clone, Debug, clap::Args)]
pub struct ListArgs {
    /// Only of this warehouse
    #[arg(long, value_name = "NAME")]
    pub warehouse: Option<String>,
    /// How to say it
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Options of `freight show`.
#[derive(Clone, Debug, clap::Args)]
pub struct ShowArgs {
    /// A freight: its name, its alias or the beginning of its name
    pub freight: String,
    /// How to say it
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Runs the verb; gives the exit code.
///
/// # Errors
/// Usage, for freight that is unknown; what stops the world from being opened.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    match &args.command {
        Command::Alias(args) => return freight_alias::run(session, args).await,
        Command::Create(args) => return freight_create::run(session, args).await,
        Command::List(_) | Command::Show(_) => {}
    }
    read(session, &args.command).await
}

/// The verbs that only read.
async fn read(session: &Session, command: &Command) -> Result<u8, Stopped> {
    let world = session.open(true).await?;
    let state = world.ledger.state_at(world.ledger_tip()).await?;
    match command {
        Command::Alias(_) | Command::Create(_) => {}
        Command::List(args) => {
            let mut list = report::List::default();
            for project in world.wanted_projects() {
                list.freight.extend(all(&state, project).await?);
            }
            list.freight.retain(|freight| args.warehouse.as_ref().is_none_or(|only| freight.origin.name == only.as_str()));
            list.freight.sort_by(|a, b| (b.age_key(), &a.metadata.name).cmp(&(a.age_key(), &b.metadata.name)));
            print(args.format, &list, || list.text(session.now));
        }
        Command::Show(args) => {
            let mut view = View::default();
            for project in world.wanted_projects() {
                view.freight.extend(all(&state, project).await?);
            }
            let freight = find_freight(&view, &args.freight)?;
            print(args.format, freight, || report::show(freight, session.now));
        }
    }
    Ok(0)
}

async fn all(state: &State, project: &Project) -> Result<Vec<Freight>, Failure> {
    state.load(&[Scope::AllFreight(project.name.clone())]).await?;
    let mut freight = Vec::new();
    for name in state.all_freight(&project.name)? {
        freight.extend(required(state, || state.freight(&project.name, &name)).await?.map(|record| (*record).clone()));
    }
    Ok(freight)
}
