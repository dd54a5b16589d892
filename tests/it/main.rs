//! Integration tests: one binary, one module per room or verb.

#![allow(clippy::unwrap_used)]

mod config;
mod house;
mod git;
mod steps;
mod support;
