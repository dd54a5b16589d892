//! What went wrong and what to do about it.
//!
//! Two families: [`Failure`] is about acting (a remote, a tool, a race); its kind alone chooses heading and exit code.
//! A [`Diagnostic`] is about the user's files: a code, a place, a label and a fix.

#[allow(clippy::module_inception, reason = "the type's own file, in the room named after the family")]
mod diagnostic;
mod failure;
mod suggest;

pub use diagnostic::{Diagnostic, FileId, Label, Place, Position, Severity, SourceMap};
pub use failure::{Failure, FailureKind};
pub use suggest::nearest;
