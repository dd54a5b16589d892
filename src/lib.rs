//! consign moves releases through environments with nothing but Git.
//!
//! # The map of the house
//!
//! A tick reads like this list, top to bottom; data flows one way.
//!
//! | room | what comes in, what goes out |
//! | --- | --- |
//! | [`config`] | YAML text -> [`model::Project`], or diagnostics that point at the user's lines |
//! | [`expr`] | `${{ }}` template and context -> typed value; pure |
//! | [`discover`] | what exists upstream: commits, images, charts |
//! | [`freight`] | discovered artifacts -> freight: identity, alias, assembly, criteria; pure |
//! | [`plan`] | project, records, freight, now -> what to do, and the reason for every "no"; pure |
//! | [`promote`] | the step loop: runs a promotion as far as it goes; emits transitions, writes none |
//! | [`verify`] | analysis: measurements and their verdict |
//! | [`ledger`] | records, transactions by compare-and-swap, fsck |
//! | [`report`] | every sentence the user reads |
//!
//! Beside the road: [`model`] (the words, as types), [`diagnostic`] (errors, exit codes), [`edit`] (changes YAML, JSON and TOML in place;
//! pure), [`git`] (the only room that runs git or opens a repository), [`forge`] (pull requests), [`registry`] (images and charts), [`cli`]
//! (one file per verb) and `tick`, the conductor: the only one that knows the order of the rooms.
//!
//! Rooms know `model`, `diagnostic`, `expr` and the types of rooms above them in the table; `tests/it/house.rs` holds them to it.

pub mod cli;
pub mod config;
pub mod diagnostic;
pub mod discover;
pub mod edit;
pub mod expr;
pub mod forge;
pub mod freight;
pub mod git;
pub mod ledger;
pub mod model;
pub mod plan;
pub mod promote;
pub mod registry;
pub mod report;
pub mod verify;
