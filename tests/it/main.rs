//! Integration tests: one binary, one module per room or verb.

mod git;
mod promote;
mod steps;
mod support;
