//! Operators on values.

use std::cmp::Ordering;
use std::sync::Arc;

use super::budget::Budget;
use super::methods;
use super::value::Value;

fn number(value: &Value) -> Option<f64> {
    match value {
        #[allow(clippy::cast_precision_loss)]
        Value::Int(int) => Some(*int as f64),
        Value::Float(float) => Some(*float),
        Value::Month(small) | Value::Weekday(small) => Some(f64::from(*small)),
        _ => None,
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(int) => Some(*int),
        Value::Month(small) | Value::Weekday(small) => Some(i64::from(*small)),
        _ => None,
    }
}

fn invalid(operator: &str, left: &Value, right: &Value) -> String {
    let hint = match (operator, left, right) {
        ("+", Value::Str(_), Value::Int(_) | Value::Float(_)) | ("+", Value::Int(_) | Value::Float(_), Value::Str(_)) => {
            "; turn the number into text with `string()`"
        }
        ("%", Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
            "; `%` takes integers and numbers from outside are floats, use `int()`"
        }
        (_, Value::Nil, _) | (_, _, Value::Nil) => "; `??` gives a missing value a default",
        _ => "",
    };
    format!("invalid operation: {} {operator} {}{hint}", left.type_name(), right.type_name())
}

/// Whether two values are equal. Numbers of either kind compare by value, also inside lists and maps; instants whatever their zone.
pub(super) fn equal(left: &Value, right: &Value, budget: &Budget) -> Result<bool, String> {
    budget.spend(left.size().weight.min(right.size().weight))?;
    Ok(same(left, right))
}

fn same(left: &Value, right: &Value) -> bool {
    if let (Some(left), Some(right)) = (integer(left), integer(right)) {
        return left == right;
    }
    if let (Some(left), Some(right)) = (number(left), number(right)) {
        // exact comparison is what the operator means
        #[allow(clippy::float_cmp)]
        return left == right;
    }
    if let (Some(left), Some(right)) = (left.as_text(), right.as_text()) {
        return left == right;
    }
    match (left, right) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Bytes(left), Value::Bytes(right)) => left == right,
        (Value::List(left), Value::List(right)) => {
            left.items.len() == right.items.len() && left.items.iter().zip(&right.items).all(|(left, right)| same(left, right))
        }
        (Value::Map(left), Value::Map(right)) => {
            left.entries.len() == right.entries.len() && left.entries.iter().zip(&right.entries).all(|((lk, lv), (rk, rv))| lk == rk && same(lv, rv))
        }
        (Value::Texts(left), Value::Texts(right)) => left.all() == right.all(),
        (Value::Map(map), Value::Texts(texts)) | (Value::Texts(texts), Value::Map(map)) => {
            let texts = texts.all();
            map.entries.len() == texts.len()
                && map.entries.iter().all(|(key, value)| value.as_text().is_some_and(|text| texts.get(key) == Some(text)))
        }
        (Value::Table(left), Value::Table(right)) => {
            left.entries.len() == right.entries.len()
                && left.entries.iter().all(|(key, value)| right.entries.iter().any(|(other, there)| identical_key(key, other) && same(value, there)))
        }
        (Value::Time(left), Value::Time(right)) => left.timestamp() == right.timestamp(),
        (Value::Duration(left), Value::Duration(right)) => left == right,
        (Value::Zone(left), Value::Zone(right)) => left == right,
        (Value::Version(left), Value::Version(right)) => left == right,
        (Value::Record(left), Value::Record(right)) => {
            std::ptr::eq(left.kind, right.kind) && left.values.iter().zip(&right.values).all(|(left, right)| same(left, right))
        }
        _ => false,
    }
}

/// Keys of a table are equal only when they are of one kind: the float 1 is not the integer 1.
pub(super) fn identical_key(left: &Value, right: &Value) -> bool {
    std::mem::discriminant(left) == std::mem::discriminant(right) && same(left, right)
}

/// The order of two values; an error for types that have none.
pub(super) fn order(operator: &str, left: &Value, right: &Value) -> Result<Option<Ordering>, String> {
    if let (Some(left), Some(right)) = (integer(left), integer(right)) {
        return Ok(Some(left.cmp(&right)));
    }
    if let (Some(left), Some(right)) = (number(left), number(right)) {
        return Ok(left.partial_cmp(&right));
    }
    if let (Some(left), Some(right)) = (left.as_text(), right.as_text()) {
        return Ok(Some(left.cmp(right)));
    }
    match (left, right) {
        (Value::Time(left), Value::Time(right)) => Ok(Some(left.timestamp().cmp(&right.timestamp()))),
        (Value::Duration(left), Value::Duration(right)) => Ok(Some(left.cmp(right))),
        _ => Err(invalid(operator, left, right)),
    }
}

/// `a + b`.
pub(super) fn add(left: &Value, right: &Value, budget: &Budget) -> Result<Value, String> {
    if let (Some(left), Some(right)) = (left.as_text(), right.as_text()) {
        budget.text(left.len() + right.len())?;
        return Ok(Value::text(format!("{left}{right}")));
    }
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Ok(Value::Int(left.wrapping_add(*right))),
        (Value::Time(time), Value::Duration(nanos)) | (Value::Duration(nanos), Value::Time(time)) => time.add_nanos(*nanos).map(Value::Time),
        (Value::Duration(left), Value::Duration(right)) => Ok(Value::Duration(left.wrapping_add(*right))),
        _ => floats("+", left, right, |left, right| left + right),
    }
}

fn floats(operator: &str, left: &Value, right: &Value, apply: impl Fn(f64, f64) -> f64) -> Result<Value, String> {
    match (left, right) {
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
            Ok(Value::Float(apply(number(left).unwrap_or_default(), number(right).unwrap_or_default())))
        }
        _ => Err(invalid(operator, left, right)),
    }
}

/// `a - b`.
pub(super) fn subtract(left: &Value, right: &Value) -> Result<Value, String> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Ok(Value::Int(left.wrapping_sub(*right))),
        (Value::Time(left), Value::Time(right)) => Ok(Value::Duration(left.since(right))),
        (Value::Time(time), Value::Duration(nanos)) => time.add_nanos(nanos.wrapping_neg()).map(Value::Time),
        (Value::Duration(left), Value::Duration(right)) => Ok(Value::Duration(left.wrapping_sub(*right))),
        _ => floats("-", left, right, |left, right| left - right),
    }
}

/// `a * b`.
pub(super) fn multiply(left: &Value, right: &Value) -> Result<Value, String> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Ok(Value::Int(left.wrapping_mul(*right))),
        (Value::Duration(left), Value::Duration(right) | Value::Int(right)) | (Value::Int(left), Value::Duration(right)) => {
            Ok(Value::Duration(left.wrapping_mul(*right)))
        }
        #[allow(clippy::cast_precision_loss)]
        (Value::Duration(nanos), Value::Float(float)) | (Value::Float(float), Value::Duration(nanos)) => Ok(Value::Float(*nanos as f64 * float)),
        _ => floats("*", left, right, |left, right| left * right),
    }
}

/// `a / b`, always a float.
pub(super) fn divide(left: &Value, right: &Value) -> Result<Value, String> {
    floats("/", left, right, |left, right| left / right)
}

/// `a ** b`, always a float.
pub(super) fn power(left: &Value, right: &Value) -> Result<Value, String> {
    floats("**", left, right, f64::powf)
}

/// `a % b`, integers only.
pub(super) fn modulo(left: &Value, right: &Value) -> Result<Value, String> {
    match (left, right) {
        (Value::Int(_), Value::Int(0)) => Err("integer divide by zero".into()),
        (Value::Int(left), Value::Int(right)) => Ok(Value::Int(left.wrapping_rem(*right))),
        _ => Err(invalid("%", left, right)),
    }
}

/// `a in b`.
pub(super) fn contains(needle: &Value, haystack: &Value, budget: &Budget) -> Result<bool, String> {
    let key = || match needle {
        Value::Nil => Ok(Arc::from("")),
        _ => needle.as_text().cloned().ok_or_else(|| format!("cannot look up {} in a map; its keys are text", needle.type_name())),
    };
    match haystack {
        Value::Nil => Ok(false),
        Value::List(list) => {
            budget.spend(list.items.len() as u64)?;
            for item in &list.items {
                if equal(item, needle, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Map(map) => Ok(map.entries.contains_key(&key()?)),
        Value::Texts(texts) => Ok(texts.get(&key()?).is_some()),
        Value::Table(table) => Ok(table.entries.iter().any(|(entry, _)| identical_key(entry, needle))),
        Value::Record(record) => {
            let name = needle.as_text().ok_or_else(|| format!("cannot use {} as field name", needle.type_name()))?;
            Ok(record.get(name).is_some())
        }
        other => Err(format!("operator \"in\" is not defined on {}", other.type_name())),
    }
}

/// `base[key]` and `base.key`.
pub(super) fn fetch(base: &Value, key: &Value) -> Result<Value, String> {
    if matches!(base, Value::Nil) {
        let hint = match key.as_text() {
            Some(key) => format!("; `?.{key}` gives nil instead"),
            None => "; `?.[...]` gives nil instead".into(),
        };
        return Err(format!("cannot fetch {} from nil{hint}", super::format::go_text(key)));
    }
    if let Some(name) = key.as_text()
        && let Some(method) = methods::find(base, name)
    {
        return Ok(method);
    }
    // what Kargo stores as a date wraps a time under this name, and users write it to compare two of them
    if matches!(base, Value::Time(_)) && key.as_text().is_some_and(|name| name.as_ref() == "Time") {
        return Ok(base.clone());
    }
    let index = |length: usize| {
        let index = key.as_integer().ok_or_else(|| format!("invalid operation: int({}); a list is indexed with a number", key.type_name()))?;
        position(index, length).ok_or_else(|| format!("index out of range: {index} (array length is {length})"))
    };
    match base {
        Value::List(list) => Ok(list.items[index(list.items.len())?].clone()),
        Value::Bytes(bytes) => Ok(Value::Int(i64::from(bytes[index(bytes.len())?]))),
        Value::Str(_) | Value::Quoted(_) => {
            let text = base.as_text().map(AsRef::as_ref).unwrap_or_default();
            let index = index(text.chars().count())?;
            Ok(Value::text(text.chars().nth(index).map(String::from).unwrap_or_default()))
        }
        Value::Map(map) => match key {
            Value::Nil => Ok(map.entries.get("").cloned().unwrap_or_default()),
            _ => {
                let key = key.as_text().ok_or_else(|| format!("cannot use {} as key of a map; its keys are text", key.type_name()))?;
                Ok(map.entries.get(key).cloned().unwrap_or_default())
            }
        },
        Value::Texts(texts) => {
            let empty = Arc::from("");
            let key = match key {
                Value::Nil => &empty,
                _ => key.as_text().ok_or_else(|| format!("cannot use {} as key of a map; its keys are text", key.type_name()))?,
            };
            // known to hold text, so a missing key is empty text
            Ok(Value::Str(texts.get(key).unwrap_or_else(|| "".into())))
        }
        Value::Table(table) => {
            Ok(table.entries.iter().find(|(entry, _)| identical_key(entry, key)).map(|(_, value)| value.clone()).unwrap_or_default())
        }
        Value::Record(record) => {
            let name = key.as_text().ok_or_else(|| format!("cannot use {} as field name of {}", key.type_name(), record.kind.name))?;
            record.get(name).cloned().ok_or_else(|| {
                let names = record.kind.fields.iter().map(|field| field.name);
                format!("cannot fetch {name} from {}{}", record.kind.name, super::error::suggestion(name, names))
            })
        }
        _ => Err(format!("cannot fetch {} from {}", super::format::go_text(key), base.type_name())),
    }
}

/// An index into something of that length; negative ones count from the end.
pub(super) fn position(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { length.checked_add(index)? } else { index };
    (0..length).contains(&index).then(|| usize::try_from(index).ok())?
}

/// `base[from:to]`; bounds outside are cut, negative ones count from the end.
pub(super) fn slice(base: &Value, from: Option<&Value>, to: Option<&Value>, budget: &Budget) -> Result<Value, String> {
    let length = match base {
        Value::List(list) => list.items.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Str(_) | Value::Quoted(_) => base.as_text().map_or(0, |text| text.chars().count()),
        _ => return Err(format!("cannot slice {}", base.type_name())),
    };
    let bound = |value: Option<&Value>, default: usize| match value {
        None => Ok(default),
        Some(value) => {
            let index = value.as_integer().ok_or_else(|| format!("invalid operation: int({}); a slice takes numbers", value.type_name()))?;
            let limit = i64::try_from(length).unwrap_or(i64::MAX);
            let index = if index < 0 { limit.saturating_add(index) } else { index };
            Ok::<usize, String>(usize::try_from(index.clamp(0, limit)).unwrap_or(length))
        }
    };
    let to = bound(to, length)?;
    let from = bound(from, 0)?.min(to);
    budget.spend(length as u64 / 16)?;
    Ok(match base {
        Value::List(list) => {
            budget.spend((to - from) as u64)?;
            Value::list(list.items[from..to].to_vec())
        }
        Value::Bytes(bytes) => Value::Bytes(bytes[from..to].into()),
        _ => {
            budget.text(to - from)?;
            let text = base.as_text().map(AsRef::as_ref).unwrap_or_default();
            Value::text(text.chars().skip(from).take(to - from).collect::<String>())
        }
    })
}
