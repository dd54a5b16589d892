//! Warehouses: what is watched, and what was found.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ArtifactReference, Metadata, WarehouseName, null_is_default};

/// A Warehouse resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Warehouse {
    /// Name and project.
    pub metadata: Metadata,
    /// What it watches.
    pub spec: WarehouseSpec,
    /// What it found.
    pub status: WarehouseStatus,
}

impl Warehouse {
    /// The warehouse's name.
    pub fn name(&self) -> WarehouseName {
        WarehouseName::new(self.metadata.name.as_str())
    }
}

/// `spec` of a Warehouse, defaults of admission applied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WarehouseSpec {
    /// Discovery period as written; a runner looks at every tick.
    pub interval: String,
    /// Whether freight is made without being asked.
    pub freight_creation_policy: FreightCreationPolicy,
    /// The repositories, in order.
    pub subscriptions: Vec<Subscription>,
    /// A condition on automatic creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freight_creation_criteria: Option<FreightCreationCriteria>,
}

/// Whether freight is made without being asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FreightCreationPolicy {
    /// The newest combination becomes freight.
    #[default]
    Automatic,
    /// Only `consign freight create` makes freight.
    Manual,
}

/// `spec.freightCreationCriteria`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FreightCreationCriteria {
    /// A bare expression; blank means no condition.
    pub expression: String,
}

/// One entry of `spec.subscriptions`: a type key and, beside it, an optional name.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// Name of the subscription, part of the freight's identity when set.
    pub name: String,
    /// What is watched.
    pub source: Source,
}

/// What a subscription watches.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A Git repository.
    Git(GitSubscription),
    /// A container image repository.
    Image(ImageSubscription),
    /// A Helm chart repository.
    Chart(ChartSubscription),
    /// Anything else, by type key.
    Generic {
        /// The type key.
        kind: String,
        /// `config` and `discoveryLimit`.
        subscription: GenericSubscription,
    },
}

impl Serialize for Subscription {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(None)?;
        if !self.name.is_empty() {
            map.serialize_entry("name", &self.name)?;
        }
        match &self.source {
            Source::Git(git) => map.serialize_entry("git", git)?,
            Source::Image(image) => map.serialize_entry("image", image)?,
            Source::Chart(chart) => map.serialize_entry("chart", chart)?,
            Source::Generic { kind, subscription } => map.serialize_entry(kind, subscription)?,
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Subscription {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let mut map = BTreeMap::<String, Value>::deserialize(deserializer)?;
        let name = match map.remove("name") {
            Some(Value::String(name)) => name,
            None | Some(Value::Null) => String::new(),
            Some(_) => return Err(D::Error::custom("the name of a subscription is text")),
        };
        let Some((kind, body)) = map.pop_first() else {
            return Err(D::Error::custom("a subscription needs a type: `git`, `image` or `chart`"));
        };
        if !map.is_empty() {
            return Err(D::Error::custom("a subscription has exactly one type"));
        }
        let source = match kind.as_str() {
            "git" => Source::Git(serde_json::from_value(body).map_err(D::Error::custom)?),
            "image" => Source::Image(serde_json::from_value(body).map_err(D::Error::custom)?),
            "chart" => Source::Chart(serde_json::from_value(body).map_err(D::Error::custom)?),
            _ => Source::Generic { subscription: serde_json::from_value(body).map_err(D::Error::custom)?, kind },
        };
        Ok(Self { name, source })
    }
}

/// `git:` of a subscription.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GitSubscription {
    /// Repository URL as written.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// Branch; empty: the remote's default.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub branch: String,
    /// How candidates are chosen.
    pub commit_selection_strategy: CommitSelectionStrategy,
    /// SemVer only: whether a tag must be a full `x.y.z`. Default true, written by `config`.
    pub strict_semvers: bool,
    /// SemVer only: a constraint; empty: none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub semver_constraint: String,
    /// Tags that may be taken; RE2, unanchored.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub allow_tags_regexes: Vec<String>,
    /// Tags that are left out; RE2, unanchored.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub ignore_tags_regexes: Vec<String>,
    /// Removed from Kargo; a non-empty one makes discovery fail.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub allow_tags: String,
    /// Removed from Kargo; a non-empty one makes discovery fail.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub ignore_tags: Vec<String>,
    /// A bare expression about each candidate; empty: none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub expression_filter: String,
    /// Patterns of paths a commit must touch.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub include_paths: Vec<String>,
    /// Patterns of paths that do not count.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub exclude_paths: Vec<String>,
    /// Most results, 1 to 100; 0 means 20.
    pub discovery_limit: u32,
    /// NewestFromBranch only: nothing older.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Kept as written; our stores are always blobless where the server can.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub blobless: bool,
    /// Skip the verification of the server's certificate.
    #[serde(rename = "insecureSkipTLSVerify", skip_serializing_if = "std::ops::Not::not")]
    pub insecure_skip_tls_verify: bool,
}

/// How commits are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommitSelectionStrategy {
    /// First-parent history of a branch, newest first.
    #[default]
    NewestFromBranch,
    /// Tags in descending byte order.
    Lexical,
    /// Tags by creation time.
    NewestTag,
    /// Tags by semantic version.
    SemVer,
}

/// `image:` of a subscription.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageSubscription {
    /// Repository without scheme and tag.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// How candidates are chosen.
    pub image_selection_strategy: ImageSelectionStrategy,
    /// SemVer: a constraint. Digest: the tag.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub constraint: String,
    /// SemVer only: whether a tag must be a full `x.y.z`.
    pub strict_semvers: bool,
    /// Tags that may be taken.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub allow_tags_regexes: Vec<String>,
    /// Tags that are left out.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub ignore_tags_regexes: Vec<String>,
    /// Removed from Kargo.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub allow_tags: String,
    /// Removed from Kargo.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub ignore_tags: Vec<String>,
    /// `<os>/<arch>[/<variant>]`; empty: no filter.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub platform: String,
    /// Most results, 1 to 100; 0 means 20.
    pub discovery_limit: u32,
    /// Whether what a tag points to may be remembered.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cache_by_tag: bool,
    /// Skip the verification of the server's certificate.
    #[serde(rename = "insecureSkipTLSVerify", skip_serializing_if = "std::ops::Not::not")]
    pub insecure_skip_tls_verify: bool,
}

/// How images are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImageSelectionStrategy {
    /// By semantic version of the tag.
    #[default]
    SemVer,
    /// What one mutable tag points to.
    Digest,
    /// Tags in descending byte order.
    Lexical,
    /// By creation time of the image.
    NewestBuild,
}

/// `chart:` of a subscription.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ChartSubscription {
    /// `http(s)://` (classic repository) or `oci://` (one chart).
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// Chart name; classic repositories only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// A constraint; empty: none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub semver_constraint: String,
    /// Most results, 1 to 100; 0 means 20.
    pub discovery_limit: u32,
    /// Skip the verification of the server's certificate.
    #[serde(rename = "insecureSkipTLSVerify", skip_serializing_if = "std::ops::Not::not")]
    pub insecure_skip_tls_verify: bool,
}

/// Body of a subscription of another type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GenericSubscription {
    /// Type-specific.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Value>,
    /// Most results, 1 to 100; 0 means 20.
    pub discovery_limit: u32,
}

/// `status` of a Warehouse.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WarehouseStatus {
    /// Name of the freight made of the newest artifacts.
    #[serde(rename = "lastFreightID", skip_serializing_if = "super::FreightName::is_empty")]
    pub last_freight_id: super::FreightName,
    /// What the last good look found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discovered_artifacts: Option<DiscoveredArtifacts>,
    /// Set while looking fails; ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing: Option<FailingSource>,
    /// The freight there is, newest first: what a reader needs to choose without opening every freight record; ours.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub freight: Vec<LiveFreight>,
}

/// One line of a warehouse's list of freight.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LiveFreight {
    /// The freight.
    pub name: super::FreightName,
    /// Its alias, kept equal to the record's.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub alias: String,
    /// What orders it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discovered_at: Option<Timestamp>,
}

/// Since when and why a warehouse cannot look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FailingSource {
    /// The first failed look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The last good look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_good: Option<Timestamp>,
    /// The reason, one line.
    pub reason: String,
}

/// What the subscriptions of a warehouse found; in each list index 0 is the best match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DiscoveredArtifacts {
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discovered_at: Option<Timestamp>,
    /// One entry per git subscription, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub git: Vec<GitDiscovery>,
    /// One entry per image subscription.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub images: Vec<ImageDiscovery>,
    /// One entry per chart subscription.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub charts: Vec<ChartDiscovery>,
    /// One entry per generic subscription.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub results: Vec<GenericDiscovery>,
}

/// What a git subscription found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GitDiscovery {
    /// As the subscription spells it.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// The subscription's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subscription_name: String,
    /// Commits, best first.
    #[serde(deserialize_with = "null_is_default")]
    pub commits: Vec<DiscoveredCommit>,
}

/// A commit that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DiscoveredCommit {
    /// Full id in hex; of a tag the peeled commit.
    pub id: String,
    /// Branch as the subscription names it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub branch: String,
    /// Tag, for the tag strategies.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tag: String,
    /// First paragraph in one line, cut to 80 bytes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// `Name <email>`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// `Name <email>`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub committer: String,
    /// Tagger or commit date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creator_date: Option<Timestamp>,
}

/// What an image subscription found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageDiscovery {
    /// As the subscription spells it.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// The subscription's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subscription_name: String,
    /// As configured.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub platform: String,
    /// Images, best first.
    #[serde(deserialize_with = "null_is_default")]
    pub references: Vec<DiscoveredImage>,
}

/// An image that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DiscoveredImage {
    /// Tag.
    pub tag: String,
    /// Digest of index or manifest.
    pub digest: String,
    /// Collected annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub annotations: BTreeMap<String, String>,
    /// When it was built; None where it does not say.
    pub created_at: Option<Timestamp>,
}

/// What a chart subscription found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ChartDiscovery {
    /// As the subscription spells it.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// Chart name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Constraint as configured.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub semver_constraint: String,
    /// Versions, best first.
    #[serde(deserialize_with = "null_is_default")]
    pub versions: Vec<String>,
    /// The subscription's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subscription_name: String,
}

/// What a generic subscription found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GenericDiscovery {
    /// The subscription's name.
    pub name: String,
    /// Artifacts, best first.
    #[serde(deserialize_with = "null_is_default")]
    pub artifact_references: Vec<ArtifactReference>,
}
