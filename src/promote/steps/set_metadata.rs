//! `set-metadata`: sets keys of the metadata of stages and freight.

use serde_json::Value;

use super::config::{self, MetadataKind, SetMetadataConfig, StepConfig};
use crate::diagnostic::Failure;
use crate::model::{FreightName, StageName};
use crate::promote::step::{Effect, RecordChange, Step, StepResult, StepRun};

/// The `set-metadata` step.
pub struct SetMetadata;

#[async_trait::async_trait]
impl Step for SetMetadata {
    fn kind(&self) -> &'static str {
        SetMetadataConfig::KIND
    }

    fn schema(&self) -> Value {
        config::schema::<SetMetadataConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    fn needs_files(&self) -> bool {
        false
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: SetMetadataConfig = config::read(config)?;
        let mut changes = Vec::new();
        for update in config.updates {
            let (kind, exists, change) = match update.kind {
                MetadataKind::Stage => {
                    let stage = StageName::new(update.name.as_str());
                    ("stage", run.records.stage_metadata(&stage).is_some(), RecordChange::StageMetadata { stage, values: update.values.clone() })
                }
                MetadataKind::Freight => {
                    let freight = FreightName::new(update.name.as_str());
                    let exists = run.records.freight_metadata(&freight).is_some();
                    ("freight", exists, RecordChange::FreightMetadata { freight, values: update.values.clone() })
                }
            };
            let problem = if !exists {
                format!("there is no {kind} `{}` in project `{}`", update.name, run.project)
            } else if update.values.contains_key("") {
                format!("metadata of {kind} `{}`: a key must not be empty", update.name)
            } else {
                changes.push(change);
                continue;
            };
            // What came before the mistake stays (measured).
            return Ok(StepResult { changes, ..StepResult::errored(problem) });
        }
        Ok(StepResult { changes, ..StepResult::succeeded() })
    }
}
