//! The command line: clap types and one file per verb; thin wrappers over the rooms.

pub mod abort;
pub mod adopt;
pub mod approve;
pub mod demo;
pub mod discover;
pub mod eval;
pub mod freight;
pub mod freight_alias;
pub mod freight_create;
pub mod fsck;
pub mod graph;
mod ground;
pub mod history;
pub mod hold;
pub mod init;
pub mod logs;
pub mod plan;
pub mod promote;
pub mod quarantine;
pub mod reject;
pub mod release;
mod restore;
pub mod retry;
pub mod reverify;
pub mod rollback;
pub mod run;
pub mod schema;
pub mod session;
pub mod status;
pub mod step;
pub mod validate;
pub mod why;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Moves releases through environments with nothing but Git.
#[derive(Debug, Parser)]
#[command(name = "consign", version, about, long_about = None, propagate_version = true, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 done, nothing to do or waiting; 1 a promotion or verification failed and --fail-on asks; 2 command line or configuration \
wrong; 3 refused; 4 lost a race; 5 a remote failed; 6 a tool is missing or failed; 70 our own bug.\n\nStart with `consign demo`, or `consign init` in a repository of yours."
)]
pub struct Cli {
    /// What is the same for all verbs.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Options of every verb.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every verb")]
pub struct Global {
    /// A checkout of the config repository, or its URL [default: the repository of the current folder]
    #[arg(short = 'C', long = "repo", global = true, value_name = "DIR|URL")]
    pub repo: Option<String>,
    /// A folder of definitions, instead of those of `consign.yaml` (default `.consign`)
    #[arg(long, global = true, value_name = "PATH")]
    pub definitions: Vec<String>,
    /// The project, where there are several
    #[arg(long, global = true, value_name = "NAME", env = "CONSIGN_PROJECT")]
    pub project: Option<String>,
    /// Who asks for this [default: the person behind the CI event; outside CI `cli:<user>`]
    #[arg(long, global = true, value_name = "NAME", env = "CONSIGN_ACTOR")]
    pub actor: Option<String>,
    /// Allow `file://` and bare-path remotes, and read definitions from the working tree
    #[arg(long, global = true, env = "CONSIGN_LOCAL", value_parser = clap::builder::FalseyValueParser::new())]
    pub local: bool,
    /// Run as if it were this instant (RFC 3339)
    #[arg(long, global = true, value_name = "RFC3339", env = "CONSIGN_NOW")]
    pub now: Option<jiff::Timestamp>,
    /// Say only what went wrong
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more; twice: everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Colours
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// Form of log lines on stderr
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Where stores and caches are kept
    #[arg(long, global = true, value_name = "DIR", env = "CONSIGN_CACHE", hide = true)]
    pub cache: Option<PathBuf>,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Form of what a verb prints on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// End a promotion that has not ended
    Abort(abort::Args),
    /// Accept what somebody else did to a stage's files
    Adopt(adopt::Args),
    /// Approve a freight for a stage, or a promotion that waits
    Approve(approve::Args),
    /// Build an example in a folder and run it, offline
    Demo(demo::Args),
    /// What each subscription finds now; writes nothing
    Discover(discover::Args),
    /// Evaluate an expression or template
    Eval(eval::EvalArgs),
    /// Freight: list, show, create, alias
    Freight(freight::Args),
    /// Check that the ledger equals its history
    Fsck(FsckArgs),
    /// The pipeline as a drawing
    Graph(graph::Args),
    /// Promotions, newest first
    History(history::Args),
    /// Stop auto-promotion of a stage
    Hold(hold::Args),
    /// Write a first project into this repository
    Init(init::Args),
    /// What the steps of a promotion or the jobs of a verification printed
    Logs(logs::Args),
    /// What a tick would do, and the reason for every "no"; writes nothing
    Plan(plan::Args),
    /// Promote a freight to a stage
    Promote(promote::Args),
    /// Keep every stage from taking a freight
    Quarantine(quarantine::Args),
    /// Say no to a promotion that waits
    Reject(reject::Args),
    /// Lift what stops auto-promotion of a stage
    Release(release::Args),
    /// Promote the freight of an ended promotion again
    Retry(retry::Args),
    /// Verify what a stage holds once more
    Reverify(reverify::Args),
    /// Go back to what an earlier promotion wrote
    Rollback(rollback::Args),
    /// A tick: look, decide, act, write down, tell
    Run(run::Args),
    /// JSON Schemas for editors
    Schema(schema::Args),
    /// Stages with what they hold and wait for
    Status(status::Args),
    /// Run one promotion step alone in a folder
    Step(step::Args),
    /// Check definitions and settings
    Validate(validate::Args),
    /// Every gate of a freight and a stage, and what opens it
    Why(why::Args),
}

/// Walks the ledger's history and checks that every commit is a legal change of the one before.
#[derive(Clone, Copy, Debug, Args)]
pub struct FsckArgs {
    /// How to say what was found.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Prints a document on stdout, as JSON or as text.
#[allow(clippy::print_stdout, reason = "what a verb prints is its result")]
pub fn print<T: serde::Serialize>(format: Format, document: &T, text: impl FnOnce() -> String) {
    use std::io::Write as _;
    let output = match format {
        Format::Text => text(),
        Format::Json => serde_json::to_string_pretty(document).unwrap_or_default() + "\n",
    };
    // A reader that has gone away is no reason to fail.
    let _ = std::io::stdout().write_all(output.as_bytes());
}

/// Runs the command line; gives the exit code.
pub async fn main(cli: Cli) -> u8 {
    let session = session::Session::new(cli.global);
    let result = dispatch(&session, cli.verb).await;
    result.unwrap_or_else(|stopped| session.explain(&stopped))
}

async fn dispatch(session: &session::Session, verb: Verb) -> Result<u8, session::Stopped> {
    match verb {
        Verb::Abort(args) => abort::run(session, &args).await,
        Verb::Adopt(args) => adopt::run(session, &args).await,
        Verb::Approve(args) => approve::run(session, &args).await,
        Verb::Demo(args) => demo::run(session, &args).await,
        Verb::Discover(args) => discover::run(session, &args).await,
        Verb::Freight(args) => freight::run(session, &args).await,
        Verb::Graph(args) => graph::run(session, &args).await,
        Verb::History(args) => history::run(session, &args).await,
        Verb::Hold(args) => hold::run(session, &args).await,
        Verb::Init(args) => init::run(session, &args).await,
        Verb::Logs(args) => logs::run(session, &args).await,
        Verb::Plan(args) => plan::run(session, &args).await,
        Verb::Promote(args) => promote::run(session, &args).await,
        Verb::Quarantine(args) => quarantine::run(session, &args).await,
        Verb::Reject(args) => reject::run(session, &args).await,
        Verb::Release(args) => release::run(session, &args).await,
        Verb::Retry(args) => retry::run(session, &args).await,
        Verb::Reverify(args) => reverify::run(session, &args).await,
        Verb::Rollback(args) => rollback::run(session, &args).await,
        Verb::Run(args) => run::run(session, &args).await,
        Verb::Status(args) => status::run(session, &args).await,
        Verb::Step(args) => step::run(session, &args).await,
        Verb::Why(args) => why::run(session, &args).await,
        Verb::Validate(args) => {
            let root = session.root().await?;
            let surroundings = validate::Surroundings {
                root: &root,
                definitions: &session.global.definitions,
                env: &|name| session.env.get(name).cloned(),
                now: session.now,
                knowledge: crate::tick::knowledge::knowledge(session.global.local),
                color: session.color(),
                width: 100,
            };
            Ok(validate::run(&args, &surroundings, &mut std::io::stdout())?)
        }
        Verb::Schema(args) => {
            schema::run(&args, &crate::tick::knowledge::knowledge(session.global.local), &mut std::io::stdout())?;
            Ok(0)
        }
        Verb::Eval(args) => {
            let value = eval::eval(&args, session.now)?;
            print(Format::Json, &value, String::new);
            Ok(0)
        }
        Verb::Fsck(args) => {
            let world = session.open(true).await?;
            let answer = fsck::run(world.ledger.branch().as_ref(), &world.stores, args.format).await?;
            print(Format::Text, &(), || answer.text.clone());
            Ok(if answer.ok { 0 } else { 3 })
        }
    }
}
