//! The ledger on a real branch of a real repository.

#![allow(clippy::field_reassign_with_default)]

mod branch;
mod trust;
