//! Every sentence the user reads; renders, never decides.

pub mod graph;
pub mod progress;
pub mod status;
pub mod table;
pub mod tick;
pub mod words;
