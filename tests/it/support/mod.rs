//! What tests share: sealed worlds, real servers, redaction.

pub mod git_server;
pub mod github;
pub mod helm_repo;
pub mod machine;
pub mod monorepo;
pub mod project;
pub mod step_bench;
pub mod tools;
pub mod world;
