//! What a measured value means: `successCondition` and `failureCondition`. Pure.

use crate::expr::{Context, Program, Value};

use super::run::{Metric, Phase};

/// The phase of a measurement of `result`, and the message if that is Error.
///
/// Both conditions are always evaluated, success first, so that a mistake in one does not hide behind the other.
pub fn judge(metric: &Metric, result: &Value, now: jiff::Timestamp) -> (Phase, String) {
    let evaluate = |field: &str, condition: &str| {
        if condition.is_empty() {
            return Ok(None);
        }
        holds(condition, result, now).map(Some).map_err(|reason| format!("cannot evaluate {field} `{condition}`: {reason}"))
    };
    let both = evaluate("successCondition", &metric.success_condition)
        .and_then(|success| Ok((success, evaluate("failureCondition", &metric.failure_condition)?)));
    let phase = match both {
        Err(message) => return (Phase::Error, message),
        Ok((None, None)) | Ok((Some(true), None | Some(false))) | Ok((None, Some(false))) => Phase::Successful,
        Ok((_, Some(true))) | Ok((Some(false), None)) => Phase::Failed,
        Ok((Some(false), Some(false))) => Phase::Inconclusive,
    };
    (phase, String::new())
}

fn holds(condition: &str, result: &Value, now: jiff::Timestamp) -> Result<bool, String> {
    let mut context = Context::default();
    (context.result, context.now) = (result.clone(), now);
    let outcome = Program::compile_condition(condition, result).and_then(|program| program.evaluate(&context));
    match outcome {
        Ok(Value::Bool(holds)) => Ok(holds),
        // Without data every comparison fails somehow; how is beside the point.
        _ if is_empty(result) => Err("the metric's provider returned no data".into()),
        Ok(other) => Err(format!("expected a boolean, but got {}", other.type_name())),
        Err(error) => Err(error.message),
    }
}

fn is_empty(result: &Value) -> bool {
    match result {
        Value::Nil => true,
        Value::List(list) => list.items.is_empty(),
        Value::Map(map) => map.entries.is_empty(),
        Value::Str(text) => text.is_empty(),
        _ => false,
    }
}
