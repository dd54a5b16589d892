//! `{{ args.<name> }}` in metrics. Pure.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::run::{Argument, Metric};

/// Resolves keys of secrets.
pub trait Secrets: Sync {
    /// The value of a key; None: there is none.
    fn get(&self, name: &str, key: &str) -> Option<String>;
}

impl Secrets for BTreeMap<String, BTreeMap<String, String>> {
    fn get(&self, name: &str, key: &str) -> Option<String> {
        BTreeMap::get(self, name)?.get(key).cloned()
    }
}

impl Secrets for crate::expr::Secrets {
    fn get(&self, name: &str, key: &str) -> Option<String> {
        Self::get(self, name, key)
    }
}

/// What stands for a secret where its value is not needed, as in validation.
pub const PLACEHOLDER: &str = "temp-for-secret";

/// The values of a run's arguments, by name.
///
/// # Errors
/// A message: an argument without a value, a secret that is not there, a field of a cluster's object.
pub fn values(args: &[Argument], secrets: Option<&dyn Secrets>) -> Result<BTreeMap<String, String>, String> {
    let mut values = BTreeMap::new();
    for arg in args {
        let from = arg.value_from.as_ref();
        let value = match (&arg.value, from.and_then(|from| from.secret_key_ref.as_ref())) {
            // The stage's value is what its author meant; a secret is only a template's default.
            (Some(value), _) => value.clone(),
            (None, Some(secret)) => match secrets {
                None => PLACEHOLDER.to_owned(),
                Some(secrets) => secrets
                    .get(&secret.name, &secret.key)
                    .ok_or_else(|| format!("argument `{}`: the secret `{}` has no key `{}`", arg.name, secret.name, secret.key))?,
            },
            (None, None) if from.is_some_and(|from| from.field_ref.is_some()) => {
                return Err(format!("argument `{}`: `fieldRef` reads an object of a cluster, and there is none; give it a value", arg.name));
            }
            (None, None) => return Err(format!("argument `{}` was not supplied", arg.name)),
        };
        values.insert(arg.name.clone(), value);
    }
    Ok(values)
}

static PLACE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?s)\{\{(.*?)(\}\}|$)").expect("a constant pattern"));

/// A text with its arguments in place. Values are not looked at again.
///
/// # Errors
/// A message that names what is not an argument.
pub fn text(template: &str, values: &BTreeMap<String, String>) -> Result<String, String> {
    let mut result = String::with_capacity(template.len());
    let mut rest = 0;
    for found in PLACE.captures_iter(template) {
        let (whole, inner) = (found.get(0).expect("the whole match"), found.get(1).expect("the group always takes part").as_str());
        let value = inner.trim().strip_prefix("args.").filter(|_| &found[2] == "}}").and_then(|name| values.get(name));
        let value = value.ok_or_else(|| format!("failed to resolve {}", whole.as_str()))?;
        result.push_str(&template[rest..whole.start()]);
        result.push_str(value);
        rest = whole.end();
    }
    result.push_str(&template[rest..]);
    Ok(result)
}

fn value(value: &Value, values: &BTreeMap<String, String>) -> Result<Value, String> {
    Ok(match value {
        Value::String(template) => Value::String(text(template, values)?),
        Value::Array(items) => Value::Array(items.iter().map(|item| self::value(item, values)).collect::<Result<_, _>>()?),
        Value::Object(fields) => {
            let mut object = Map::new();
            for (key, field) in fields {
                object.insert(text(key, values)?, self::value(field, values)?);
            }
            Value::Object(object)
        }
        other => other.clone(),
    })
}

/// A metric with its arguments in place, wherever text stands in it.
///
/// # Errors
/// A message, as for [`text`].
pub fn metric(metric: &Metric, values: &BTreeMap<String, String>) -> Result<Metric, String> {
    let whole = serde_json::to_value(metric).map_err(|error| error.to_string())?;
    serde_json::from_value(value(&whole, values)?).map_err(|error| error.to_string())
}
