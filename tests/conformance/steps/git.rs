//! Repositories: setting them up, what others do to them, and what a step left in them.

use serde_json::{Map, Value};

use super::Scene;

/// The bare repositories of a case.
pub struct Repositories;

impl Repositories {
    /// Makes them.
    pub fn build(_scene: &mut Scene, case: &Value) -> Result<Self, String> {
        match case.get("repos") {
            None => Ok(Self),
            Some(_) => Err("repositories are not made yet".into()),
        }
    }

    /// An action before the step that is not the scene's own: commits of somebody else.
    pub fn act(&mut self, _scene: &mut Scene, action: &Value) -> Result<(), String> {
        Err(format!("an unknown action: {action}"))
    }

    /// Remembers the refs as they are now.
    pub fn before_step(&mut self) {}

    /// `repos`, `commits`, `worktrees` and `localTags` of a result.
    pub async fn observe(&mut self, _scene: &mut Scene, _got: &mut Map<String, Value>) -> Result<(), String> {
        Ok(())
    }
}
