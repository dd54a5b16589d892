//! Integration tests: one binary, one module per room or verb.

#![allow(clippy::unwrap_used)]

mod forge;
mod house;
mod git;
mod steps;
mod support;
