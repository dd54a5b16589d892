//! What tests share: sealed worlds, real servers, redaction.

pub mod git_server;
pub mod helm_repo;
pub mod project;
pub mod step_bench;
pub mod tools;
