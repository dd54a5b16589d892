//! The `consign` binary.

fn main() {}
