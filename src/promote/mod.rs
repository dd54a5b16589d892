//! Promotions: inflation, the step loop, resumption, retries. Emits transitions, writes no ledger.

pub mod step;
pub mod steps;
pub mod tools;
pub mod workspace;
