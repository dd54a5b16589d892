//! The whole history, held against the rules.
