//! The built binary against a real server, from the first tick to the last.

mod races;
mod scale;
