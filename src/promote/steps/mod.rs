//! The step kinds, one file each.

use super::step::Step;

/// Every built-in step kind, sorted by name.
pub fn all() -> Vec<Box<dyn Step>> {
    vec![]
}
