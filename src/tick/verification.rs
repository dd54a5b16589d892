//! Verifications of a project's stages, as far as they go now.

use jiff::Timestamp;

use super::World;
use super::view::View;
use crate::diagnostic::Failure;
use crate::model::{Project, StageName, VerificationInfo};

/// What came of looking at one stage's verification.
pub struct Look {
    /// The stage.
    pub stage: StageName,
    /// The verification.
    pub info: VerificationInfo,
    /// Whether it is another than before.
    pub changed: bool,
    /// When to look again.
    pub next: Option<Timestamp>,
    /// What its jobs printed.
    pub log: String,
}

/// Starts or continues the verification of each stage.
///
/// # Errors
/// What stops all of them.
pub async fn look(_world: &World, _project: &Project, _view: &View, _stages: &[StageName]) -> Result<Vec<Look>, Failure> {
    Ok(Vec::new())
}
