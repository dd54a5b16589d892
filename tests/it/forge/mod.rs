//! Pull requests: proposals of plain Git over real bare repositories, and GitHub's over a test GitHub.

mod github;
mod journey;
mod plain;
