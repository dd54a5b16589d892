//! Where Freight comes from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::WarehouseName;

/// The source of a Freight. Kargo knows one kind of origin, the Warehouse.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// Always `Warehouse`.
    #[serde(default)]
    pub kind: OriginKind,
    /// The Warehouse's name.
    #[serde(default)]
    pub name: WarehouseName,
}

/// The kinds of origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OriginKind {
    /// A Warehouse of the same project.
    #[default]
    Warehouse,
}

impl Origin {
    /// The origin of a Warehouse's freight.
    pub fn warehouse(name: impl Into<WarehouseName>) -> Self {
        Self { kind: OriginKind::Warehouse, name: name.into() }
    }
}

impl fmt::Display for Origin {
    /// Kargo's canonical text, used as key in records: `Warehouse/<name>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Warehouse/{}", self.name)
    }
}

/// An [`Origin`] as a map key: serialized as `Warehouse/<name>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OriginKey(pub Origin);

impl Serialize for OriginKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for OriginKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for OriginKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some(("Warehouse", name)) => Ok(Self(Origin::warehouse(name))),
            _ => Err(format!("`{text}` is not an origin; expected `Warehouse/<name>`")),
        }
    }
}

impl From<Origin> for OriginKey {
    fn from(origin: Origin) -> Self {
        Self(origin)
    }
}
