//! Names as types: a `StageName` is never mistaken for a `WarehouseName`.
//!
//! The types carry text that was checked at the border (`config` for definitions, `ledger` for records); they do not check again.

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps a text that is known to be a valid name.
            pub fn new(name: impl Into<String>) -> Self {
                Self(name.into())
            }
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
            /// Whether there is no name at all.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.to_owned())
            }
        }
        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self(name)
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }
        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }
    };
}

name!(
    /// Name of a Project: the namespace of everything in it.
    ProjectName
);
name!(
    /// Name of a Warehouse within its project.
    WarehouseName
);
name!(
    /// Name of a Stage within its project.
    StageName
);
name!(
    /// Name of a Freight: the SHA-1 of its contents in lower-case hex (`freight::identity`).
    FreightName
);
name!(
    /// Name of a Promotion: `<stage>.<ulid>.<first 7 of freight>`; text order is creation order within a stage.
    PromotionName
);
