//! Integration tests: one binary, one module per room or verb.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

mod config;
mod forge;
mod git;
mod house;
mod journeys;
mod ledger;
mod promote;
mod steps;
mod support;
mod verbs;
