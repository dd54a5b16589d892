//! What definitions are checked against and other rooms know. Handed in, so that nobody looks right: `config` comes first in the house.

use serde_json::Value;

use crate::model::{Freight, FreightName, Warehouse};

/// A kind of repository; each has its own idea of equal addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RepositoryKind {
    /// Git.
    Git,
    /// Container images.
    Image,
    /// Helm charts.
    Chart,
}

/// Completes a freight made by hand for a warehouse; the last argument says whether an alias is taken. `Err`: field and message of each violation.
pub type FreightByHand<'a> = dyn Fn(&Warehouse, Freight, &dyn Fn(&str) -> bool) -> Result<Freight, Vec<(String, String)>> + Sync + 'a;

/// Doors to what other rooms know. [`Knowledge::default`] knows nothing and objects to nothing.
#[derive(Clone, Copy)]
pub struct Knowledge<'a> {
    /// The names of all step kinds; empty: unknown, then no kind is doubted.
    pub step_kinds: &'a [String],
    /// The JSON Schema of a step kind's configuration.
    pub step_schema: &'a (dyn Fn(&str) -> Option<Value> + Sync),
    /// Whether a version constraint can be read; `Err` says why not.
    pub constraint: &'a (dyn Fn(&str) -> Result<(), String> + Sync),
    /// The form of an address in which equal repositories are equal.
    pub normalize: &'a (dyn Fn(RepositoryKind, &str) -> String + Sync),
    /// Completes a freight made by hand: checks its contents against the warehouse and names it.
    pub freight_by_hand: &'a FreightByHand<'a>,
    /// An alias for a freight of this name.
    pub freight_alias: &'a (dyn Fn(&FreightName) -> String + Sync),
    /// Whether an address of this machine (`file://`, a path) may be used (`--local`).
    pub local_url: &'a (dyn Fn(&str) -> bool + Sync),
}

impl Default for Knowledge<'_> {
    fn default() -> Self {
        Self {
            step_kinds: &[],
            step_schema: &|_| None,
            constraint: &|_| Ok(()),
            normalize: &|_, url| url.trim().to_lowercase(),
            freight_by_hand: &|_, freight, _| Ok(freight),
            freight_alias: &|name| name.as_str().chars().take(7).collect(),
            local_url: &|_| false,
        }
    }
}
