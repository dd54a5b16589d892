//! The words of the domain as types. Pure: no I/O, no clock.
//!
//! Resources have Kargo's shape and serialize to it, so definitions, ledger records and `--format json` share one form.

mod analysis;
mod artifact;
mod duration;
mod freight;
mod metadata;
mod names;
mod origin;
mod project;
mod promotion;
mod stage;
mod warehouse;

pub use analysis::*;
pub use artifact::*;
pub use duration::GoDuration;
pub use freight::*;
pub use metadata::Metadata;
pub use names::*;
pub use origin::{Origin, OriginKey, OriginKind};
pub use project::*;
pub use promotion::*;
pub use stage::*;
pub use warehouse::*;

use serde::{Deserialize, Deserializer};

/// Reads an explicit null as the default, as Kargo's admission does for optional fields.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
