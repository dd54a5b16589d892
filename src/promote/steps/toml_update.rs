//! `toml-update`: sets values of a TOML file and keeps everything else in it.

use serde_json::Value;

use super::config::{self, StepConfig, TomlUpdateConfig};
use super::{files, structured};
use crate::diagnostic::Failure;
use crate::edit::toml;
use crate::promote::step::{Effect, Step, StepResult, StepRun};

/// The `toml-update` step.
pub struct TomlUpdate;

#[async_trait::async_trait]
impl Step for TomlUpdate {
    fn kind(&self) -> &'static str {
        TomlUpdateConfig::KIND
    }

    fn schema(&self) -> Value {
        config::schema::<TomlUpdateConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: TomlUpdateConfig = config::read(config)?;
        files::settle(structured::update(run.workspace, &config.path, config.updates, toml::update, toml::shown).await)
    }
}
