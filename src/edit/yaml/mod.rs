//! YAML: updates of scalars, merges of files.

pub mod kubernetes;
pub mod merge;
pub mod scalar;
mod style;
pub mod tree;
pub mod update;
mod write;

pub use merge::{MergeError, merge};
pub use update::{shown, update};
