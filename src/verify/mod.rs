//! Verification: analysis templates, measurements, verdicts.
//!
//! [`build`] makes a run from a stage's verification and the templates it names; [`series`] brings it as far as it goes at one instant, with
//! the providers taking measurements; `outcome` decides. The rules are Argo Rollouts', in the version Kargo uses.

pub mod build;
mod outcome;
pub mod prepare;
pub mod run;
pub mod series;
pub mod substitute;
