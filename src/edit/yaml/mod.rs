//! YAML: updates of scalars, merges of files.

pub mod kubernetes;
pub mod merge;
pub mod scalar;
pub mod tree;
pub mod update;
mod write;

pub use merge::merge;
pub use update::{shown, update};
