//! The command line: clap types and one file per verb; thin wrappers over the rooms.

pub mod eval;
pub mod fsck;
pub mod knowledge;
pub mod schema;
pub mod validate;

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
pub enum Verb {}
