//! `json-parse`: takes values out of a JSON file.

use serde_json::Value;

use super::config::{self, JsonParseConfig, StepConfig};
use super::files::{self, Stop, errored};
use super::parse;
use crate::diagnostic::Failure;
use crate::expr;
use crate::promote::step::{Effect, Step, StepResult, StepRun};

/// The `json-parse` step.
pub struct JsonParse;

#[async_trait::async_trait]
impl Step for JsonParse {
    fn kind(&self) -> &'static str {
        JsonParseConfig::KIND
    }

    fn schema(&self) -> Value {
        config::schema::<JsonParseConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: JsonParseConfig = config::read(config)?;
        files::settle(parse(run, &config).await)
    }
}

async fn parse(run: &mut StepRun<'_>, config: &JsonParseConfig) -> Result<StepResult, Stop> {
    let text = files::read_text(run.workspace, &config.path).await?;
    let document = document(&text).map_err(|reason| errored(format!("cannot read `{}`: {reason}", config.path)))?;
    parse::outputs(&config.path, document, &config.outputs, run.now)
}

/// A JSON text as a value; of equal keys the last one counts, numbers are 64-bit floats.
fn document(text: &str) -> Result<expr::Value, String> {
    let document: Value = serde_json::from_str(text).map_err(|error| format!("it is not valid JSON: {error}"))?;
    Ok(expr::Value::from_json(&document))
}
