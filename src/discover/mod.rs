//! What exists upstream: one file per kind of source.
