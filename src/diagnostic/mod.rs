//! What went wrong and what to do about it.
//!
//! Two families: [`Failure`] is about acting (a remote, a tool, a race); its kind alone chooses heading and exit code.
//! Diagnostics are about the user's files: a code, a place, a label and a fix.

mod failure;

pub use failure::{Failure, FailureKind};
