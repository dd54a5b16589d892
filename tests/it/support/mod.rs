//! What tests share: sealed worlds, real servers, redaction.

pub mod git_server;
