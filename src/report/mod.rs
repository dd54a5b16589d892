//! Every sentence the user reads; renders, never decides.

pub mod diagnostics;
