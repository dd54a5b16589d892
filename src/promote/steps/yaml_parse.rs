//! `yaml-parse`: takes values out of a YAML file.

use serde_json::Value;

use super::config::{self, StepConfig, YamlParseConfig};
use super::files::{self, Stop, errored};
use super::parse;
use crate::config::yaml;
use crate::diagnostic::Failure;
use crate::expr;
use crate::promote::step::{Effect, Step, StepResult, StepRun};

/// The `yaml-parse` step.
pub struct YamlParse;

#[async_trait::async_trait]
impl Step for YamlParse {
    fn kind(&self) -> &'static str {
        YamlParseConfig::KIND
    }

    fn schema(&self) -> Value {
        config::schema::<YamlParseConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: YamlParseConfig = config::read(config)?;
        files::settle(parse(run, &config).await)
    }
}

async fn parse(run: &mut StepRun<'_>, config: &YamlParseConfig) -> Result<StepResult, Stop> {
    let text = files::read_text(run.workspace, &config.path).await?;
    let document = document(&text).map_err(|reason| errored(format!("cannot read `{}`: {reason}", config.path)))?;
    parse::outputs(&config.path, document, &config.outputs, run.now)
}

/// The first document of a YAML text as a value, read as Kargo's users get it: by YAML 1.1, and of equal keys the last one counts.
fn document(text: &str) -> Result<expr::Value, String> {
    if text.is_empty() {
        return Err("it is empty".into());
    }
    let options = yaml::Options { duplicate_keys: yaml::DuplicateKeys::LastWins, ..yaml::Options::default() };
    let read = yaml::parse_documents(text, &options);
    match (read.documents.into_iter().next(), read.error) {
        (Some(document), _) => Ok(document.map_or(expr::Value::Nil, |document| expr::Value::from_json(&document.to_json()))),
        (None, Some(error)) => {
            let line = text[..error.span.start.min(text.len())].matches('\n').count() + 1;
            Err(format!("it is not valid YAML, line {line}: {error}"))
        }
        (None, None) => Ok(expr::Value::Nil),
    }
}
