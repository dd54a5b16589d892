//! Every sentence the user reads; renders, never decides.

pub mod diagnostics;
pub mod discovery;
pub mod failures;
pub mod freight;
pub mod fsck;
pub mod graph;
pub mod history;
pub mod ledger_readme;
pub mod manifest_diff;
pub mod markdown;
pub mod plan;
pub mod progress;
pub mod pull_request;
pub mod status;
pub mod step;
pub mod table;
pub mod tick;
pub mod verbs;
pub mod words;
