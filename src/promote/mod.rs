//! Promotions: inflation, the step loop, resumption, retries. Emits transitions, writes no ledger.

pub mod closure;
pub mod engine;
pub mod expressions;
pub mod inflate;
pub mod manifests;
mod optimism;
pub mod step;
pub mod steps;
pub mod tools;
pub mod workspace;

pub use optimism::{first_outside, is_optimistic};
use serde_json::Value;

use step::Violation;

/// Checks an evaluated configuration of any kind of the catalogue. Empty: valid, or a kind the catalogue does not know.
pub fn check_config(kind: &str, config: &Value) -> Vec<Violation> {
    steps::config::check(kind, config).unwrap_or_default()
}
