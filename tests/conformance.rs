//! What Kargo's own engine does, case by case, through the rooms that the product uses. `tests/conformance/README.md` says how.
//!
//! Prints one line a file; exits 1 if any case differs. `CONFORMANCE_DIR=DIR` runs the cases of another folder, `CONFORMANCE_REPORT=FILE` writes
//! which ids passed how, `CONFORMANCE_ONLY=FILE[/ID-PART]` runs one file or the cases whose id contains a text, with what came out.

#![allow(clippy::disallowed_methods, reason = "a test's own clock")]

#[path = "conformance/analysis.rs"]
mod analysis;
#[path = "conformance/availability.rs"]
mod availability;
#[path = "conformance/definitions.rs"]
mod definitions;
#[path = "conformance/engine.rs"]
mod engine;
#[path = "conformance/expressions.rs"]
mod expressions;
#[path = "conformance/freight.rs"]
mod freight;
#[path = "conformance/git_discovery.rs"]
mod git_discovery;
#[path = "conformance/harness.rs"]
mod harness;
#[path = "conformance/step_config.rs"]
mod step_config;
#[path = "conformance/steps.rs"]
mod steps;
#[path = "conformance/yaml.rs"]
mod yaml;

use harness::Family;

fn main() -> std::process::ExitCode {
    let families: Vec<Family> = vec![
        // one line per file, in alphabetical order
        Family { file: "analysis", prepare: analysis::prepare },
        Family { file: "availability", prepare: availability::prepare },
        Family { file: "definitions", prepare: definitions::prepare },
        Family { file: "engine", prepare: engine::prepare },
        Family { file: "expressions", prepare: expressions::prepare },
        Family { file: "freight", prepare: freight::prepare },
        Family { file: "git-discovery", prepare: git_discovery::prepare },
        Family { file: "step-config", prepare: step_config::prepare },
        Family { file: "steps", prepare: steps::prepare },
        Family { file: "yaml", prepare: yaml::prepare },
    ];
    harness::run(&families)
}
