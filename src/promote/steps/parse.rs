//! What the parse steps share: a document becomes the environment of expressions.

use jiff::Timestamp;
use serde_json::Map;

use super::config::ExpressionOutput;
use super::files::{Stop, errored};
use crate::expr::{self, Context, Site, Value};
use crate::promote::step::StepResult;

/// Evaluates outputs on a document, all or none.
pub(super) fn outputs(path: &str, document: Value, outputs: &[ExpressionOutput], now: Timestamp) -> Result<StepResult, Stop> {
    let mut context = Context::default();
    (context.document, context.now) = (document, now);
    let mut found = Map::new();
    for output in outputs {
        let value = expr::bare(Site::Parse, &output.from_expression, &context).and_then(|value| value.to_json());
        let value =
            value.map_err(|error| errored(format!("output `{}` of `{path}`, expression `{}`: {error}", output.name, output.from_expression)))?;
        found.insert(output.name.clone(), value);
    }
    Ok(StepResult::output(serde_json::Value::Object(found)))
}
