//! `expressions.json`: templates and bare expressions through the function behind `consign eval`.

use consign::cli::eval::evaluate;
use consign::expr::Site;
use jiff::Timestamp;
use serde_json::Value;

use crate::harness::{Outcome, Runner, judge};

/// Prepares the runner.
pub fn prepare(_document: &Value) -> Runner {
    Box::new(run)
}

fn run(case: &Value) -> Outcome {
    let site = case["site"].as_str().map_or(Site::Config, |name| Site::find(name).expect("a known site"));
    let context = case.get("context").cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let context = match serde_json::from_value(context) {
        Ok(context) => context,
        Err(error) => return Outcome::Differ(format!("the context cannot be read: {error}")),
    };
    let got = evaluate(&case["template"], site, context, Timestamp::UNIX_EPOCH);
    match (case["error"] == true, got) {
        (false, Ok(value)) => judge(case, &value, same),
        (false, Err(error)) => Outcome::Differ(format!("error: {error}\n    want {}", case["want"])),
        (true, Ok(value)) => match case.get("sane") {
            Some(sane) if same(sane, &value) => Outcome::Sane,
            _ => Outcome::Differ(format!("got {value}\n    want an error: {} at {}", case["errorContains"], case["errorAt"])),
        },
        (true, Err(error)) => {
            let at = error.error.position.map(|(line, column)| format!("{line}:{column}"));
            let subject_fits = case["errorContains"].as_str().is_none_or(|text| names_fit(text, &error.subject));
            if at.as_deref() == case["errorAt"].as_str() && subject_fits {
                Outcome::AsKargo
            } else {
                Outcome::Differ(format!(
                    "error at {}: {error}\n    want one at {}: {}",
                    at.unwrap_or_default(),
                    case["errorAt"],
                    case["errorContains"]
                ))
            }
        }
    }
}

/// Where the measured message names a variable, ours names the same one.
fn names_fit(message: &str, subject: &str) -> bool {
    match message.split_once("variable \"") {
        Some((_, rest)) => rest.split('"').next().is_some_and(|name| subject.contains(&format!("`{name}`"))),
        None => true,
    }
}

/// Equality of JSON; numbers as 64-bit floats, `{"$number": ...}` included.
fn same(left: &Value, right: &Value) -> bool {
    if let (Some(left), Some(right)) = (number(left), number(right)) {
        return left.to_bits() == right.to_bits() || (left == 0.0 && right == 0.0) || (left.is_nan() && right.is_nan());
    }
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right)),
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len() && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| same(value, other)))
        }
        _ => left == right,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Object(entries) if entries.len() == 1 => entries.get("$number")?.as_str()?.parse().ok(),
        _ => None,
    }
}
