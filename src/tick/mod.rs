//! The conductor: the only one that knows the order of the rooms and writes ledger transactions.

pub mod outcome;
