//! Verification: analysis templates, measurements, verdicts.
//!
//! [`lifecycle`] says what becomes of a stage's record; [`build`] makes a run from the stage's verification and the templates it names; [`series`]
//! brings it as far as it goes at one instant, with the [`providers`] taking measurements, whose results [`condition`] judges; `outcome` decides.
//! The rules are Argo Rollouts', in the version Kargo uses.

pub mod build;
pub mod condition;
pub mod lifecycle;
mod outcome;
pub mod prepare;
pub mod providers;
pub mod run;
pub mod series;
pub mod substitute;
