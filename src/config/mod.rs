//! Definitions and settings: YAML text to a checked [`crate::model::Project`].

pub mod admission;
mod knowledge;
pub mod yaml;

pub use knowledge::{CompileExpression, ExpressionError, ExpressionSite, Knowledge, RepositoryKind};
