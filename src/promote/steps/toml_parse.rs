//! `toml-parse`: takes values out of a TOML file.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use toml_edit::{Document, Item, TableLike};

use super::config::{self, StepConfig, TomlParseConfig};
use super::files::{self, Stop, errored};
use super::parse;
use crate::diagnostic::Failure;
use crate::expr;
use crate::promote::step::{Effect, Step, StepResult, StepRun};

/// The `toml-parse` step.
pub struct TomlParse;

#[async_trait::async_trait]
impl Step for TomlParse {
    fn kind(&self) -> &'static str {
        TomlParseConfig::KIND
    }

    fn schema(&self) -> Value {
        config::schema::<TomlParseConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: TomlParseConfig = config::read(config)?;
        files::settle(parse(run, &config).await)
    }
}

async fn parse(run: &mut StepRun<'_>, config: &TomlParseConfig) -> Result<StepResult, Stop> {
    let text = files::read_text(run.workspace, &config.path).await?;
    let document = document(&text).map_err(|reason| errored(format!("cannot read `{}`: {reason}", config.path)))?;
    parse::outputs(&config.path, document, &config.outputs, run.now)
}

/// A TOML text as a value: integers stay integers, a date with a zone is an instant, other dates and times are text.
fn document(text: &str) -> Result<expr::Value, String> {
    if text.is_empty() {
        return Err("it is empty".into());
    }
    let document = Document::parse(text).map_err(|error| format!("it is not valid TOML: {}", error.to_string().trim_end()))?;
    Ok(table(document.as_table()))
}

fn table(table: &dyn TableLike) -> expr::Value {
    let entries: BTreeMap<Arc<str>, expr::Value> = table.iter().map(|(key, entry)| (Arc::from(key), item(entry))).collect();
    expr::Value::map(entries)
}

fn item(item: &Item) -> expr::Value {
    match item {
        Item::None => expr::Value::Nil,
        Item::Table(inner) => table(inner),
        Item::ArrayOfTables(tables) => expr::Value::list(tables.iter().map(|inner| table(inner)).collect()),
        Item::Value(inner) => value(inner),
    }
}

fn value(value: &toml_edit::Value) -> expr::Value {
    match value {
        toml_edit::Value::String(text) => expr::Value::text(text.value().as_str()),
        toml_edit::Value::Integer(number) => expr::Value::Int(*number.value()),
        toml_edit::Value::Float(number) => expr::Value::Float(*number.value()),
        toml_edit::Value::Boolean(flag) => expr::Value::Bool(*flag.value()),
        toml_edit::Value::Datetime(moment) => {
            // TOML lets a blank stand for the T.
            let text = moment.value().to_string().replacen(' ', "T", 1);
            expr::Time::from_rfc3339(&text).map_or_else(|_| expr::Value::text(text), expr::Value::Time)
        }
        toml_edit::Value::Array(items) => expr::Value::list(items.iter().map(self::value).collect()),
        toml_edit::Value::InlineTable(inner) => table(inner),
    }
}
