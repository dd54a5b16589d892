//! Failures of acting, and the exit codes they end in.

use std::error::Error;
use std::fmt;

/// Kinds of failure. `CLI.md` documents the exit codes; they never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// The command line is wrong.
    Usage,
    /// The user's files are wrong.
    Config,
    /// A policy, permission, protection or window says no.
    Refused,
    /// Somebody else moved first, and retries did not win.
    Conflict,
    /// Network, forge or registry.
    Remote,
    /// A tool is missing, too old or failed.
    Tool,
    /// Our own mistake.
    Internal,
}

impl FailureKind {
    /// The process's exit code for this kind.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Usage | Self::Config => 2,
            Self::Refused => 3,
            Self::Conflict => 4,
            Self::Remote => 5,
            Self::Tool => 6,
            Self::Internal => 70,
        }
    }
}

/// An action that did not happen, with what the user can do about it.
#[derive(Debug)]
pub struct Failure {
    /// Chooses heading and exit code.
    pub kind: FailureKind,
    /// One sentence: what we were doing, to which path, ref or pull request, and what went wrong.
    pub message: String,
    /// Each a sentence that says what to do.
    pub hints: Vec<String>,
    /// What caused it.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure with a message.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: Vec::new(), source: None }
    }

    /// Adds what the user can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
