//! Integration tests: one binary, one module per room or verb.

#![allow(clippy::unwrap_used)]

mod config;
mod git;
mod house;
mod ledger;
mod steps;
mod support;
mod verbs;
