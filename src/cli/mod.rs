//! The command line: clap types and one file per verb; thin wrappers over the rooms.

pub mod eval;
