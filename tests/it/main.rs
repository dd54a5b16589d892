//! Integration tests: one binary, one module per room or verb.

mod git;
mod steps;
mod support;
