//! Functions in the conditions of AnalysisTemplates, as Argo Rollouts has them.

use super::{Budget, Scope, Value};

/// `asInt(x)`: numbers are truncated, text must be a whole number.
pub(super) fn as_int(arguments: &[Value], _: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    let value = &arguments[0];
    match value.as_text() {
        Some(text) => text.parse().map(Value::Int).map_err(|_| format!("asInt(): `{text}` is not a whole number")),
        None => value.as_integer().map(Value::Int).ok_or_else(|| format!("asInt() not supported on {}", value.type_name())),
    }
}

/// `asFloat(x)`.
pub(super) fn as_float(arguments: &[Value], _: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    match &arguments[0] {
        #[allow(clippy::cast_precision_loss)]
        Value::Int(int) => Ok(Value::Float(*int as f64)),
        Value::Float(float) => Ok(Value::Float(*float)),
        value => match value.as_text() {
            Some(text) => crate::expr::coerce::go_float(text).map(Value::Float).ok_or_else(|| format!("asFloat(): `{text}` is not a number")),
            None => Err(format!("asFloat() not supported on {}", value.type_name())),
        },
    }
}

fn float(name: &str, value: &Value) -> Result<f64, String> {
    match value {
        #[allow(clippy::cast_precision_loss)]
        Value::Int(int) => Ok(*int as f64),
        Value::Float(float) => Ok(*float),
        other => Err(format!("{name}() takes a float, got {}", other.type_name())),
    }
}

/// `isNaN(x)`.
pub(super) fn is_nan(arguments: &[Value], _: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    Ok(float("isNaN", &arguments[0])?.is_nan().into())
}

/// `isInf(x)`.
pub(super) fn is_inf(arguments: &[Value], _: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    Ok(float("isInf", &arguments[0])?.is_infinite().into())
}

/// `isNil(x)`. Argo looks at the whole result whatever `x` is; we look at `x`.
pub(super) fn is_nil(arguments: &[Value], _: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    Ok(arguments[0].is_nil().into())
}

/// `default(x, fallback)`. As [`is_nil`].
pub(super) fn default(arguments: &[Value], _: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    Ok(if arguments[0].is_nil() { arguments[1].clone() } else { arguments[0].clone() })
}
