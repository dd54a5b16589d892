//! Every sentence the user reads; renders, never decides.

pub mod ledger_readme;
pub mod markdown;
