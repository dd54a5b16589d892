//! Failures, as people read them on stderr.

use crate::diagnostic::{Failure, FailureKind};

/// The heading, what caused it, and what to do about it.
pub fn text(failure: &Failure) -> String {
    let heading = match failure.kind {
        FailureKind::Usage => "error",
        FailureKind::Config => "error in the configuration",
        FailureKind::Refused => "refused",
        FailureKind::Conflict => "lost a race",
        FailureKind::Remote => "remote failed",
        FailureKind::Tool => "tool failed",
        FailureKind::Internal => "this is a mistake of consign itself",
    };
    let mut text = format!("{heading}: {}\n", failure.message);
    let mut source = std::error::Error::source(failure);
    while let Some(cause) = source {
        text.push_str(&format!("  caused by: {cause}\n"));
        source = cause.source();
    }
    if !failure.hints.is_empty() {
        text.push('\n');
    }
    for hint in &failure.hints {
        text.push_str(&format!("hint: {hint}\n"));
    }
    text
}
