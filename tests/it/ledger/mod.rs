//! The ledger on a real branch of a real repository.

mod branch;
mod trust;
