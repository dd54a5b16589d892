//! Definitions and settings: YAML text to a checked [`crate::model::Project`].
//!
//! [`load`] is the door for definitions: text ([`yaml`]) -> admitted objects ([`admission`]) -> projects, then checks. A place in a file is
//! computed late: until something is shown, a [`yaml::FieldPath`] says where. [`Settings`] are `consign.yaml`.

pub mod admission;
pub mod builtin;
mod check;
mod document;
mod knowledge;
mod load;
mod secret;
mod settings;
mod settings_file;
pub mod yaml;

pub use knowledge::{FreightByHand, Knowledge, RepositoryKind};
pub use load::{LoadOptions, Loaded, SourceFile, load};
pub use secret::Secret;
pub use settings::*;
