//! Records that a case sets up, and what steps changed in them.

use consign::model::{FreightName, StageName};
use consign::promote::step::{RecordChange, Records, set_metadata};
use serde_json::{Map, Value, json};

const ALIAS_LABEL: &str = "kargo.akuity.io/alias";

/// The Stages and Freight of a case.
#[derive(Default)]
pub struct Objects {
    objects: Vec<Value>,
}

impl Objects {
    pub fn read(context: &Value) -> Self {
        let known = |object: &&Value| object["kind"] == "Stage" || object["kind"] == "Freight";
        Self { objects: context["objects"].as_array().into_iter().flatten().filter(known).cloned().collect() }
    }

    fn find(&self, kind: &str, name: &str) -> Option<&Value> {
        self.objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
    }

    fn metadata(&self, kind: &str, name: &str) -> Option<Map<String, Value>> {
        self.find(kind, name).map(|object| object["status"]["metadata"].as_object().cloned().unwrap_or_default())
    }

    /// Writes a step's changes, as the ledger would.
    pub fn apply(&mut self, changes: &[RecordChange]) {
        for change in changes {
            let (kind, name) = match change {
                RecordChange::StageMetadata { stage, .. } => ("Stage", stage.as_str()),
                RecordChange::FreightMetadata { freight, .. } | RecordChange::FreightAlias { freight, .. } => ("Freight", freight.as_str()),
            };
            let Some(object) = self.objects.iter_mut().find(|object| object["kind"] == kind && object["metadata"]["name"] == name) else {
                continue;
            };
            match change {
                RecordChange::StageMetadata { values, .. } | RecordChange::FreightMetadata { values, .. } => {
                    let mut metadata = object["status"]["metadata"].as_object().cloned().unwrap_or_default();
                    set_metadata(&mut metadata, values);
                    object["status"]["metadata"] = Value::Object(metadata);
                }
                RecordChange::FreightAlias { alias, .. } => {
                    object["alias"] = json!(alias);
                    object["metadata"]["labels"][ALIAS_LABEL] = json!(alias);
                }
            }
        }
    }

    /// `objects` of a result.
    pub fn observe(&self, got: &mut Map<String, Value>) {
        if self.objects.is_empty() {
            return;
        }
        let mut objects = Map::new();
        for object in &self.objects {
            let mut seen = Map::new();
            if let Some(metadata) = object["status"]["metadata"].as_object().filter(|metadata| !metadata.is_empty()) {
                seen.insert("metadata".into(), json!(metadata));
            }
            for (key, value) in [("alias", &object["alias"]), ("labels", &object["metadata"]["labels"])] {
                if object["kind"] == "Freight" && !value.is_null() {
                    seen.insert(key.into(), value.clone());
                }
            }
            objects.insert(
                format!("{}/{}", object["kind"].as_str().unwrap_or_default(), object["metadata"]["name"].as_str().unwrap_or_default()),
                Value::Object(seen),
            );
        }
        got.insert("objects".into(), Value::Object(objects));
    }
}

impl Records for Objects {
    fn stage_metadata(&self, stage: &StageName) -> Option<Map<String, Value>> {
        self.metadata("Stage", stage.as_str())
    }

    fn freight_metadata(&self, freight: &FreightName) -> Option<Map<String, Value>> {
        self.metadata("Freight", freight.as_str())
    }

    fn freight_alias(&self, freight: &FreightName) -> Option<String> {
        self.find("Freight", freight.as_str()).map(|object| object["alias"].as_str().unwrap_or_default().to_owned())
    }

    fn freight_by_alias(&self, alias: &str) -> Option<FreightName> {
        let found = self.objects.iter().find(|object| object["kind"] == "Freight" && object["alias"] == alias)?;
        Some(FreightName::new(found["metadata"]["name"].as_str()?))
    }
}
