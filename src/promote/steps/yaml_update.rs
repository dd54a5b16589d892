//! `yaml-update`: sets values of a YAML file and keeps everything else in it.

use serde_json::Value;

use super::config::{self, StepConfig, YamlUpdateConfig};
use super::{files, structured};
use crate::diagnostic::Failure;
use crate::edit::yaml;
use crate::promote::step::{Effect, Step, StepResult, StepRun};

/// The `yaml-update` step.
pub struct YamlUpdate;

#[async_trait::async_trait]
impl Step for YamlUpdate {
    fn kind(&self) -> &'static str {
        YamlUpdateConfig::KIND
    }

    fn schema(&self) -> Value {
        config::schema::<YamlUpdateConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: YamlUpdateConfig = config::read(config)?;
        files::settle(structured::update(run.workspace, &config.path, config.updates, yaml::update, |_, update| Ok(yaml::shown(&update.value))).await)
    }
}
