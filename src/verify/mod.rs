//! Verification: analysis templates, measurements, verdicts.
//!
//! [`series`] brings it as far as it goes at one instant, with
//! the providers taking measurements; `outcome` decides. The rules are Argo Rollouts', in the version Kargo uses.

mod outcome;
pub mod prepare;
pub mod run;
pub mod series;
pub mod substitute;
