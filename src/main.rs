//! The `consign` binary: parse, run, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use consign::cli::{Cli, LogFormat};

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging(&cli);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "error: cannot start: {error}");
            return ExitCode::from(70);
        }
    };
    ExitCode::from(runtime.block_on(consign::cli::main(cli)))
}

/// Spans and logs are for us: off unless asked for with `-v` or `RUST_LOG`.
fn start_logging(cli: &Cli) {
    let level = match cli.global.verbose {
        0 => "off",
        1 => "consign=info",
        2 => "consign=debug",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match cli.global.log_format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().init(),
    }
}
