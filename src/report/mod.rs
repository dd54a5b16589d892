//! Every sentence the user reads; renders, never decides.

pub mod graph;
pub mod progress;
