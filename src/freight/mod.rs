//! Freight: discovered artifacts become immutable, named bundles. Pure.
//!
//! [`assemble`] makes freight from what a warehouse found, [`identity`] names it by its contents exactly as Kargo does, [`alias`] gives it
//! a name people can say. [`url`] and [`semver`] are the two comparisons everything rests on.

pub mod alias;
pub mod assemble;
pub mod identity;
pub mod semver;
pub mod url;
