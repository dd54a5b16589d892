//! Definitions and settings: YAML text to a checked [`crate::model::Project`].

pub mod yaml;
