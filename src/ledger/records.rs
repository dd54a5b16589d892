//! The files of the ledger: where they live, what they hold, how they are written and read.
//!
//! Each record is a Kargo-shaped YAML document (`apiVersion`, `kind`, `metadata`, `status`, and `spec` where it is frozen), so that a person can
//! read it on the forge and apply it to a Kargo cluster. The version of its schema is the annotation `consign.dev/schema`: an annotation, because
//! a cluster keeps annotations it does not know and refuses fields it does not know.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::{Freight, FreightName, Metadata, ProjectName, Promotion, PromotionName, StageName, StageStatus, WarehouseName, WarehouseStatus};

use super::yaml;

/// The annotation that carries the schema version.
pub const SCHEMA_ANNOTATION: &str = "consign.dev/schema";

const HAS_JSON: &str = "records have text keys and finite numbers only, so they have a JSON form";

const KARGO: &str = "kargo.akuity.io/v1alpha1";

/// The README at the root of the branch.
pub const README: &str = "README.md";

/// The record of the ledger itself.
pub const LEDGER: &str = "ledger.yaml";

/// Most bytes of one log; the beginning and the end are kept.
pub const LOG_LIMIT: usize = 64 * 1024;

/// What is known of a Warehouse.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WarehouseRecord {
    /// Name and project.
    pub metadata: Metadata,
    /// What was found, and the list of freight.
    pub status: WarehouseStatus,
}

/// What is known of a Stage. The recipe stays in the definitions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StageRecord {
    /// Name and project.
    pub metadata: Metadata,
    /// What it holds and held.
    pub status: StageStatus,
}

/// What belongs to no project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LedgerRecord {
    /// Its name, `consign`.
    pub metadata: Metadata,
    /// Counters and cursors.
    pub status: LedgerStatus,
}

/// `status` of the ledger's own record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LedgerStatus {
    /// The highest number given to a plain-git proposal so far.
    pub proposals: u64,
    /// How far commands were read, by what they were read from (a forge repository).
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "crate::model::null_is_default")]
    pub cursors: BTreeMap<String, String>,
}

/// A record, shared: cloning is cheap, changing copies first.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// `ledger.yaml`.
    Ledger(Arc<LedgerRecord>),
    /// A Warehouse.
    Warehouse(Arc<WarehouseRecord>),
    /// A Freight.
    Freight(Arc<Freight>),
    /// A Stage.
    Stage(Arc<StageRecord>),
    /// A Promotion.
    Promotion(Arc<Promotion>),
}

/// A type that is kept as a record.
pub trait Stored: Serialize + DeserializeOwned + Clone + Default + PartialEq + Send + Sync + 'static {
    /// The record that shares it.
    fn share(record: Arc<Self>) -> Record;
    /// The value inside a record, if it is of this type.
    fn shared(record: &Record) -> Option<&Arc<Self>>;
    /// The value inside a record, for changing it.
    fn shared_mut(record: &mut Record) -> Option<&mut Arc<Self>>;
    /// The record's metadata.
    fn metadata_mut(&mut self) -> &mut Metadata;
}

macro_rules! stored {
    ($type:ty, $variant:ident) => {
        impl Stored for $type {
            fn share(record: Arc<Self>) -> Record {
                Record::$variant(record)
            }
            fn shared(record: &Record) -> Option<&Arc<Self>> {
                match record {
                    Record::$variant(inner) => Some(inner),
                    _ => None,
                }
            }
            fn shared_mut(record: &mut Record) -> Option<&mut Arc<Self>> {
                match record {
                    Record::$variant(inner) => Some(inner),
                    _ => None,
                }
            }
            fn metadata_mut(&mut self) -> &mut Metadata {
                &mut self.metadata
            }
        }
    };
}

stored!(LedgerRecord, Ledger);
stored!(WarehouseRecord, Warehouse);
stored!(Freight, Freight);
stored!(StageRecord, Stage);
stored!(Promotion, Promotion);

impl Record {
    /// `kind` of the record.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ledger(_) => "Ledger",
            Self::Warehouse(_) => "Warehouse",
            Self::Freight(_) => "Freight",
            Self::Stage(_) => "Stage",
            Self::Promotion(_) => "Promotion",
        }
    }

    /// The record's body, without kind and schema, as one line of JSON: what the cache keeps.
    pub(super) fn to_json(&self) -> String {
        match self {
            Self::Ledger(record) => serde_json::to_string(record.as_ref()),
            Self::Warehouse(record) => serde_json::to_string(record.as_ref()),
            Self::Freight(record) => serde_json::to_string(record.as_ref()),
            Self::Stage(record) => serde_json::to_string(record.as_ref()),
            Self::Promotion(record) => serde_json::to_string(record.as_ref()),
        }
        .expect(HAS_JSON)
    }

    /// Reads what [`to_json`](Self::to_json) wrote; None for anything else.
    pub(super) fn from_json(kind: &str, json: &[u8]) -> Option<Self> {
        fn typed<T: Stored>(json: &[u8]) -> Option<Record> {
            serde_json::from_slice::<T>(json).ok().map(|record| T::share(Arc::new(record)))
        }
        match kind {
            "Ledger" => typed::<LedgerRecord>(json),
            "Warehouse" => typed::<WarehouseRecord>(json),
            "Freight" => typed::<Freight>(json),
            "Stage" => typed::<StageRecord>(json),
            "Promotion" => typed::<Promotion>(json),
            _ => None,
        }
    }

    /// The record's file, always the same bytes for the same record.
    pub fn to_yaml(&self) -> String {
        let body = match self {
            Self::Ledger(record) => serde_json::to_value(record.as_ref()),
            Self::Warehouse(record) => serde_json::to_value(record.as_ref()),
            Self::Freight(record) => serde_json::to_value(record.as_ref()),
            Self::Stage(record) => serde_json::to_value(record.as_ref()),
            Self::Promotion(record) => serde_json::to_value(record.as_ref()),
        }
        .expect(HAS_JSON);
        let Value::Object(body) = body else { unreachable!("records are structs") };
        let mut document = Map::new();
        document.insert("apiVersion".to_owned(), Value::from(api_version(self.kind())));
        document.insert("kind".to_owned(), Value::from(self.kind()));
        document.extend(body);
        set_schema(&mut document, Schemas::CURRENT.version());
        yaml::write(&Value::Object(document))
    }

    /// Reads a record's file, an older one after migrating it.
    ///
    /// # Errors
    /// Text that is not a record of a kind we know, or one of a newer schema.
    pub fn from_yaml(bytes: &[u8]) -> Result<Self, Unreadable> {
        Schemas::CURRENT.read(bytes)
    }

    fn of_kind(kind: &str, body: Value) -> Result<Self, Unreadable> {
        fn typed<T: Stored>(body: Value) -> Result<Record, Unreadable> {
            serde_json::from_value::<T>(body).map(|record| T::share(Arc::new(record))).map_err(|error| Unreadable::Malformed(error.to_string()))
        }
        match kind {
            "Ledger" => typed::<LedgerRecord>(body),
            "Warehouse" => typed::<WarehouseRecord>(body),
            "Freight" => typed::<Freight>(body),
            "Stage" => typed::<StageRecord>(body),
            "Promotion" => typed::<Promotion>(body),
            _ => Err(Unreadable::Malformed(format!("`kind: {kind}` is not a kind of record"))),
        }
    }
}

fn api_version(kind: &str) -> &'static str {
    if kind == "Ledger" { "consign.dev/v1alpha1" } else { KARGO }
}

fn set_schema(document: &mut Map<String, Value>, version: usize) {
    let metadata = document.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(metadata) = metadata else { return };
    let annotations = metadata.entry("annotations").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(annotations) = annotations {
        // Sorted like every map of a record: preserve_order keeps insertion order, and the annotations came sorted.
        let mut sorted: BTreeMap<String, Value> = std::mem::take(annotations).into_iter().collect();
        sorted.insert(SCHEMA_ANNOTATION.to_owned(), Value::from(version.to_string()));
        annotations.extend(sorted);
    }
}

/// Why a file is not a record we can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The text is not such a record.
    #[error("{0}")]
    Malformed(String),
    /// A newer consign has written it.
    #[error("it has schema version {found}, and this consign reads versions up to {known}")]
    Newer {
        /// Its version.
        found: usize,
        /// The newest we know.
        known: usize,
    },
}

/// Changes a document of one schema version, given its kind, into one of the next.
pub type Migration = fn(kind: &str, document: &mut Map<String, Value>) -> Result<(), String>;

/// The chain of migrations: entry `i` leads from version `i + 1` to `i + 2`.
pub struct Schemas(&'static [Migration]);

impl Schemas {
    /// What this build writes.
    pub const CURRENT: Self = Self(&[]);

    /// The version that is written.
    pub const fn version(&self) -> usize {
        self.0.len() + 1
    }

    /// The schema version of a file without reading the rest; a record without the annotation was written by hand and counts as the first.
    ///
    /// # Errors
    /// Text that is not YAML, or a version that is not a number.
    pub fn version_of(bytes: &[u8]) -> Result<usize, Unreadable> {
        schema_of(&yaml::read(bytes).map_err(Unreadable::Malformed)?)
    }

    fn read(&self, bytes: &[u8]) -> Result<Record, Unreadable> {
        let mut document: Map<String, Value> = yaml::read(bytes).map_err(Unreadable::Malformed)?;
        let Some(Value::String(kind)) = document.shift_remove("kind") else {
            return Err(Unreadable::Malformed("it has no `kind`".to_owned()));
        };
        let found = schema_of(&document)?;
        if found > self.version() {
            return Err(Unreadable::Newer { found, known: self.version() });
        }
        for migration in &self.0[found - 1..] {
            migration(&kind, &mut document).map_err(Unreadable::Malformed)?;
        }
        let annotated = document.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"));
        if let Some(Value::Object(annotations)) = annotated {
            annotations.shift_remove(SCHEMA_ANNOTATION);
        }
        document.shift_remove("apiVersion");
        Record::of_kind(&kind, Value::Object(document))
    }
}

fn schema_of(document: &Map<String, Value>) -> Result<usize, Unreadable> {
    let annotation =
        document.get("metadata").and_then(|metadata| metadata.get("annotations")).and_then(|annotations| annotations.get(SCHEMA_ANNOTATION));
    let Some(annotation) = annotation else { return Ok(1) };
    let version = annotation.as_str().and_then(|text| text.parse().ok()).filter(|version| *version >= 1);
    version.ok_or_else(|| Unreadable::Malformed(format!("the annotation `{SCHEMA_ANNOTATION}` is not a version number")))
}

/// Where a file of the ledger lives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordPath {
    /// `README.md`.
    Readme,
    /// `ledger.yaml`.
    Ledger,
    /// `<project>/warehouses/<name>.yaml`.
    Warehouse(ProjectName, WarehouseName),
    /// `<project>/freight/<2 hex>/<name>.yaml`.
    Freight(ProjectName, FreightName),
    /// `<project>/stages/<name>.yaml`.
    Stage(ProjectName, StageName),
    /// `<project>/promotions/<stage>/<name>.yaml`.
    Promotion(ProjectName, StageName, PromotionName),
    /// `<project>/logs/<stage>/<name>.txt`: what the steps of a promotion, or a verification, printed.
    Log(ProjectName, StageName, String),
    /// `<project>/retired/stages/<name>.yaml`: the record of a Stage that is gone from the definitions.
    RetiredStage(ProjectName, StageName),
    /// `<project>/retired/warehouses/<name>.yaml`.
    RetiredWarehouse(ProjectName, WarehouseName),
}

impl RecordPath {
    /// The project it belongs to.
    pub fn project(&self) -> Option<&ProjectName> {
        match self {
            Self::Readme | Self::Ledger => None,
            Self::Warehouse(project, _)
            | Self::Freight(project, _)
            | Self::Stage(project, _)
            | Self::Promotion(project, _, _)
            | Self::Log(project, _, _)
            | Self::RetiredStage(project, _)
            | Self::RetiredWarehouse(project, _) => Some(project),
        }
    }

    /// The folder of a project's warehouses.
    pub fn warehouses(project: &ProjectName) -> String {
        format!("{project}/warehouses")
    }

    /// The folder of a project's stages.
    pub fn stages(project: &ProjectName) -> String {
        format!("{project}/stages")
    }

    /// The folder of a project's freight.
    pub fn all_freight(project: &ProjectName) -> String {
        format!("{project}/freight")
    }

    /// The folder of a stage's promotions.
    pub fn promotions(project: &ProjectName, stage: &StageName) -> String {
        format!("{project}/promotions/{stage}")
    }
}

/// The folder of a freight within `freight/`: records are spread so that no folder grows beyond what a forge shows.
fn shard(name: &FreightName) -> &str {
    name.as_str().get(..2).unwrap_or("00")
}

impl fmt::Display for RecordPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Readme => f.write_str(README),
            Self::Ledger => f.write_str(LEDGER),
            Self::Warehouse(project, name) => write!(f, "{project}/warehouses/{name}.yaml"),
            Self::Freight(project, name) => write!(f, "{project}/freight/{}/{name}.yaml", shard(name)),
            Self::Stage(project, name) => write!(f, "{project}/stages/{name}.yaml"),
            Self::Promotion(project, stage, name) => write!(f, "{project}/promotions/{stage}/{name}.yaml"),
            Self::Log(project, stage, name) => write!(f, "{project}/logs/{stage}/{name}.txt"),
            Self::RetiredStage(project, name) => write!(f, "{project}/retired/stages/{name}.yaml"),
            Self::RetiredWarehouse(project, name) => write!(f, "{project}/retired/warehouses/{name}.yaml"),
        }
    }
}

impl FromStr for RecordPath {
    type Err = ();

    /// Reads a path; an error if no file of the ledger lives there.
    fn from_str(path: &str) -> Result<Self, ()> {
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(());
        }
        let parts: Vec<&str> = path.split('/').collect();
        let yaml = |file: &str| file.strip_suffix(".yaml").filter(|name| !name.is_empty()).map(str::to_owned).ok_or(());
        let found = match parts.as_slice() {
            [README] => Self::Readme,
            [LEDGER] => Self::Ledger,
            [project, "warehouses", file] => Self::Warehouse((*project).into(), yaml(file)?.into()),
            [project, "stages", file] => Self::Stage((*project).into(), yaml(file)?.into()),
            [project, "freight", _, file] => Self::Freight((*project).into(), yaml(file)?.into()),
            [project, "promotions", stage, file] => Self::Promotion((*project).into(), (*stage).into(), yaml(file)?.into()),
            [project, "logs", stage, file] => {
                Self::Log((*project).into(), (*stage).into(), file.strip_suffix(".txt").filter(|name| !name.is_empty()).ok_or(())?.to_owned())
            }
            [project, "retired", "stages", file] => Self::RetiredStage((*project).into(), yaml(file)?.into()),
            [project, "retired", "warehouses", file] => Self::RetiredWarehouse((*project).into(), yaml(file)?.into()),
            _ => return Err(()),
        };
        // A freight in the wrong folder, or a path with a second spelling, is nobody's.
        if found.to_string() == path { Ok(found) } else { Err(()) }
    }
}

/// Cuts a log to [`LOG_LIMIT`] bytes: a quarter from the beginning, the rest from the end, where errors are.
pub fn bounded_log(text: &str) -> String {
    if text.len() <= LOG_LIMIT {
        return text.to_owned();
    }
    let head = text.floor_char_boundary(LOG_LIMIT / 4);
    let tail = text.ceil_char_boundary(text.len() - (LOG_LIMIT - LOG_LIMIT / 4 - 64));
    format!("{}\n[{} bytes left out]\n{}", &text[..head], tail - head, &text[tail..])
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
