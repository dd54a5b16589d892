//! Freight: an immutable bundle of exact artifact revisions, and what is known of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ArtifactReference, Chart, FreightName, GitCommit, GoDuration, Image, Metadata, Origin, OriginKey, StageName, null_is_default};

/// A Freight resource. Unlike other kinds it has no `spec`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Freight {
    /// `name` is the identity (`freight::identity`).
    pub metadata: Metadata,
    /// Human name, unique in the project.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub alias: String,
    /// When it was found; every ordering rests on it. Absent: its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discovered_at: Option<Timestamp>,
    /// The Warehouse it comes from.
    pub origin: Origin,
    /// Commits, in the order of the subscriptions.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub commits: Vec<GitCommit>,
    /// Images, in the order of the subscriptions.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub images: Vec<Image>,
    /// Charts, in the order of the subscriptions.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub charts: Vec<Chart>,
    /// Other artifacts.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub artifacts: Vec<ArtifactReference>,
    /// What happened to it.
    #[serde(skip_serializing_if = "FreightStatus::is_empty")]
    pub status: FreightStatus,
}

impl Freight {
    /// The freight's name.
    pub fn name(&self) -> FreightName {
        FreightName::new(self.metadata.name.as_str())
    }

    /// The time that orders freight: `discoveredAt`, else its creation, else the beginning of time.
    pub fn age_key(&self) -> Timestamp {
        self.discovered_at.or(self.metadata.creation_timestamp).unwrap_or(Timestamp::MIN)
    }

    /// The copy of the contents that stages and promotions keep.
    pub fn reference(&self) -> FreightReference {
        FreightReference {
            name: self.name(),
            origin: self.origin.clone(),
            commits: self.commits.clone(),
            images: self.images.clone(),
            charts: self.charts.clone(),
            artifacts: self.artifacts.clone(),
        }
    }
}

/// `status` of a Freight.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FreightStatus {
    /// Stages that hold it now.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub currently_in: BTreeMap<StageName, CurrentStage>,
    /// Stages in which it was verified; never shrinks.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub verified_in: BTreeMap<StageName, VerifiedStage>,
    /// Stages it was approved for by a person.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub approved_for: BTreeMap<StageName, ApprovedStage>,
    /// Set while no stage may take it (`consign quarantine`); ours, unknown to Kargo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<Quarantine>,
    /// Written by the `set-metadata` step.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty", deserialize_with = "null_is_default")]
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

impl FreightStatus {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A stage that holds the freight.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CurrentStage {
    /// When the freight entered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// A stage that verified the freight.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VerifiedStage {
    /// The first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Timestamp>,
    /// The longest completed stay.
    #[serde(skip_serializing_if = "Option::is_none", alias = "longestSoak")]
    pub longest_soak: Option<GoDuration>,
}

/// A stage the freight was approved for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApprovedStage {
    /// The first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<Timestamp>,
    /// Who approved; ours, Kargo keeps this only as an event.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub actor: String,
}

/// Why and since when no stage may take a freight.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Quarantine {
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Who.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub actor: String,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// A copy of a freight's contents, kept where the freight is used so that history survives its removal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FreightReference {
    /// The freight's name.
    pub name: FreightName,
    /// Its origin.
    pub origin: Origin,
    /// Its commits.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub commits: Vec<GitCommit>,
    /// Its images.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub images: Vec<Image>,
    /// Its charts.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub charts: Vec<Chart>,
    /// Its other artifacts.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub artifacts: Vec<ArtifactReference>,
}

/// What a stage holds: one freight for each requested origin, and how that combination was verified.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FreightCollection {
    /// SHA-1 of the sorted freight names joined with `,` (`freight::identity::collection_id`).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The freight of each origin.
    #[serde(deserialize_with = "null_is_default")]
    pub items: BTreeMap<OriginKey, FreightReference>,
    /// Verifications of this combination, newest first, at most ten.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub verification_history: Vec<super::VerificationInfo>,
}

impl FreightCollection {
    /// Whether the collection contains this freight.
    pub fn contains(&self, name: &FreightName) -> bool {
        self.items.values().any(|item| item.name == *name)
    }
}
