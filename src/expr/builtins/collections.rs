//! Functions on lists and maps.

use std::sync::Arc;

use super::{Builtin, Machinery, Run, Shape, Signature, Type, Value, plain, ruled};
use crate::expr::budget::Budget;
use crate::expr::nature::Nature;
use crate::expr::ops;

pub(super) static TABLE: &[Builtin] = &[
    ruled("first", |n| element_rule("first", n), |a, _| Ok(end(&a[0], 0))),
    ruled("last", |n| element_rule("last", n), |a, _| Ok(end(&a[0], -1))),
    Builtin { name: "get", shape: Shape::Plain, signature: Signature::Get, run: Run::Plain(|a, _| get(&a[0], &a[1])) },
    ruled("take", take_rule, take),
    ruled(
        "keys",
        |n| map_rule("cannot get keys from", n),
        |a, m| {
            let pairs = pairs(&a[0], m).ok_or_else(|| format!("cannot get keys from {}", a[0].type_name()))??;
            Ok(Value::list(pairs.into_iter().map(|(key, _)| key).collect()))
        },
    ),
    ruled(
        "values",
        |n| map_rule("cannot get values from", n),
        |a, m| {
            let pairs = pairs(&a[0], m).ok_or_else(|| format!("cannot get values from {}", a[0].type_name()))??;
            Ok(Value::list(pairs.into_iter().map(|(_, value)| value).collect()))
        },
    ),
    ruled(
        "toPairs",
        |n| map_rule("cannot transform to pairs:", n),
        |a, m| {
            let pairs = pairs(&a[0], m).ok_or_else(|| format!("cannot transform {} to pairs", a[0].type_name()))??;
            Ok(Value::list(pairs.into_iter().map(|(key, value)| Value::list(vec![key, value])).collect()))
        },
    ),
    ruled("fromPairs", from_pairs_rule, from_pairs),
    ruled(
        "reverse",
        |n| list_rule("reverse", n),
        |a, m| {
            let items = items("reverse", &a[0])?;
            m.budget.elements(items.len())?;
            Ok(Value::list(items.into_iter().rev().collect()))
        },
    ),
    ruled("uniq", |n| list_rule("uniq", n), uniq),
    ruled("concat", concat_rule, |a, m| {
        let mut all = Vec::new();
        for argument in a {
            let items = items("concat", argument)?;
            m.budget.elements(items.len())?;
            all.extend(items);
        }
        Ok(Value::list(all))
    }),
    ruled(
        "flatten",
        |n| list_rule("flatten", n),
        |a, m| {
            items("flatten", &a[0])?;
            let mut flat = Vec::new();
            flatten(&a[0], &mut flat, m)?;
            Ok(Value::list(flat))
        },
    ),
    plain("sort", &[&[Type::List, Type::Text], &[Type::List]], Type::List, sort),
];

fn list_rule(name: &str, natures: &[Nature]) -> Result<Nature, String> {
    super::count(natures, 1)?;
    let nature = &natures[0];
    if nature.is_list() || nature.is_unknown() { Ok(Type::List.into()) } else { Err(format!("cannot {name} {nature}; `{name}` takes a list")) }
}

fn element_rule(name: &str, natures: &[Nature]) -> Result<Nature, String> {
    super::count(natures, 1)?;
    match &natures[0] {
        Nature::Unknown => Ok(Nature::Unknown),
        list if list.is_list() => Ok(Nature::Unknown),
        other => Err(format!("cannot get {name} element from {other}")),
    }
}

fn map_rule(what: &str, natures: &[Nature]) -> Result<Nature, String> {
    super::count(natures, 1)?;
    let nature = &natures[0];
    if nature.is_map() || nature.is_unknown() { Ok(Type::List.into()) } else { Err(format!("{what} {nature}")) }
}

fn from_pairs_rule(natures: &[Nature]) -> Result<Nature, String> {
    super::count(natures, 1)?;
    let nature = &natures[0];
    if nature.is_list() || nature.is_unknown() { Ok(Type::Table.into()) } else { Err(format!("cannot transform {nature} from pairs")) }
}

fn concat_rule(natures: &[Nature]) -> Result<Nature, String> {
    if natures.is_empty() {
        return Err("invalid number of arguments (expected at least 1, got 0)".into());
    }
    match natures.iter().find(|nature| !nature.is_list() && !nature.is_unknown()) {
        Some(nature) => Err(format!("cannot concat {nature}")),
        None => Ok(Type::List.into()),
    }
}

fn take_rule(natures: &[Nature]) -> Result<Nature, String> {
    super::count(natures, 2)?;
    if !natures[0].is_list() && !natures[0].is_unknown() {
        return Err(format!("cannot take from {}", natures[0]));
    }
    if !matches!(natures[1], Nature::Int | Nature::Unknown | Nature::Month | Nature::Weekday | Nature::Duration) {
        return Err(format!("cannot take {} elements; the count is an integer", natures[1]));
    }
    Ok(natures[0].clone())
}

fn items(name: &str, value: &Value) -> Result<Vec<Value>, String> {
    match value {
        Value::List(list) => Ok(list.items.clone()),
        Value::Bytes(bytes) => Ok(bytes.iter().map(|byte| Value::Int((*byte).into())).collect()),
        other => Err(format!("cannot {name} {}", other.type_name())),
    }
}

/// Key and value of all entries, sorted by key; None for what is no map.
fn pairs(value: &Value, machinery: &mut Machinery<'_>) -> Option<Result<Vec<(Value, Value)>, String>> {
    let pairs: Vec<(Value, Value)> = match value {
        Value::Map(map) => map.entries.iter().map(|(key, value)| (Value::Str(key.clone()), value.clone())).collect(),
        Value::Texts(texts) => texts.all().iter().map(|(key, text)| (Value::Str(key.clone()), Value::Str(text.clone()))).collect(),
        Value::Table(table) => table.entries.clone(),
        _ => return None,
    };
    Some(machinery.budget.elements(pairs.len()).map(|()| pairs))
}

fn end(value: &Value, index: i64) -> Value {
    match value {
        Value::List(list) => ops::position(index, list.items.len()).and_then(|index| list.items.get(index)).cloned().unwrap_or_default(),
        // text by character, and nil for everything without elements
        Value::Str(_) | Value::Quoted(_) | Value::Bytes(_) => ops::fetch(value, &Value::Int(index)).unwrap_or_default(),
        _ => Value::Nil,
    }
}

/// Like `[...]`, but nil instead of an error, and for a missing key of a map of texts.
/// A key of the wrong type stays an error.
fn get(base: &Value, key: &Value) -> Result<Value, String> {
    match base {
        Value::Texts(texts) => Ok(key.as_text().and_then(|key| texts.get(key)).map_or(Value::Nil, Value::Str)),
        Value::List(list) => match key.as_integer() {
            Some(index) => Ok(ops::position(index, list.items.len()).and_then(|index| list.items.get(index)).cloned().unwrap_or_default()),
            None => Err(format!("invalid operation: int({}); a list is indexed with a number", key.type_name())),
        },
        Value::Map(_) | Value::Table(_) => ops::fetch(base, key),
        _ => Ok(ops::fetch(base, key).unwrap_or_default()),
    }
}

fn take(arguments: &[Value], machinery: &mut Machinery<'_>) -> Result<Value, String> {
    let Value::List(list) = &arguments[0] else {
        return Err(format!("cannot take from {}", arguments[0].type_name()));
    };
    let Value::Int(count) = &arguments[1] else {
        return Err(format!("cannot take {} elements; use `int()`", arguments[1].type_name()));
    };
    let count = usize::try_from(*count).map_err(|_| format!("cannot take {count} elements"))?.min(list.items.len());
    machinery.budget.spend(count as u64)?;
    Ok(Value::list(list.items[..count].to_vec()))
}

fn from_pairs(arguments: &[Value], machinery: &mut Machinery<'_>) -> Result<Value, String> {
    let Value::List(list) = &arguments[0] else {
        return Err(format!("cannot transform {} from pairs", arguments[0].type_name()));
    };
    machinery.budget.elements(list.items.len())?;
    if let Some(map) = text_map(&list.items) {
        return Ok(map);
    }
    let mut entries: Vec<(Value, Value)> = Vec::new();
    for pair in &list.items {
        let (key, value) = pair_of(pair)?;
        if matches!(key, Value::List(_) | Value::Map(_) | Value::Texts(_) | Value::Table(_) | Value::Bytes(_)) {
            return Err(format!("a value of type {} cannot be a key", key.type_name()));
        }
        machinery.budget.spend(entries.len() as u64)?;
        match entries.iter_mut().find(|(there, _)| ops::identical_key(there, key)) {
            Some(entry) => entry.1 = value.clone(),
            None => entries.push((key.clone(), value.clone())),
        }
    }
    Ok(Value::table(entries, true))
}

fn pair_of(pair: &Value) -> Result<(&Value, &Value), String> {
    match pair {
        Value::List(pair) => match pair.items.as_slice() {
            [key, value] => Ok((key, value)),
            _ => Err(format!("invalid pair length {}; a pair is `[key, value]`", pair.items.len())),
        },
        other => Err(format!("invalid pair of type {}; a pair is `[key, value]`", other.type_name())),
    }
}

/// Pairs with text keys only are an ordinary table that can be written; kept apart because their keys sort.
fn text_map(pairs: &[Value]) -> Option<Value> {
    let mut entries: std::collections::BTreeMap<Arc<str>, Value> = std::collections::BTreeMap::new();
    for pair in pairs {
        let (key, value) = pair_of(pair).ok()?;
        entries.insert(key.as_text()?.clone(), value.clone());
    }
    Some(Value::table(entries.into_iter().map(|(key, value)| (Value::Str(key), value)).collect(), true))
}

fn uniq(arguments: &[Value], machinery: &mut Machinery<'_>) -> Result<Value, String> {
    let mut kept: Vec<Value> = Vec::new();
    for item in items("uniq", &arguments[0])? {
        let mut known = false;
        for there in &kept {
            if ops::equal(there, &item, machinery.budget)? {
                known = true;
                break;
            }
        }
        if !known {
            kept.push(item);
        }
    }
    Ok(Value::list(kept))
}

fn flatten(value: &Value, flat: &mut Vec<Value>, machinery: &mut Machinery<'_>) -> Result<(), String> {
    machinery.budget.spend(1)?;
    match value {
        Value::List(list) => {
            for item in &list.items {
                flatten(item, flat, machinery)?;
            }
        }
        other => {
            machinery.budget.elements(1)?;
            flat.push(other.clone());
        }
    }
    Ok(())
}

fn sort(arguments: &[Value], machinery: &mut Machinery<'_>) -> Result<Value, String> {
    let descending = match arguments.get(1) {
        Some(order) => descending(order)?,
        None => false,
    };
    // what is no list sorts to nothing, as in expr-lang
    let Value::List(list) = &arguments[0] else { return Ok(Value::Nil) };
    machinery.budget.elements(list.items.len())?;
    Ok(Value::list(sorted(list.items.clone(), descending, machinery.budget, |item| item)?))
}

/// Whether an order argument means descending.
pub(in crate::expr) fn descending(order: &Value) -> Result<bool, String> {
    match order.as_text().map(AsRef::as_ref) {
        Some("asc") => Ok(false),
        Some("desc") => Ok(true),
        Some(other) => Err(format!("invalid order `{other}`, expected `asc` or `desc`")),
        None => Err(format!("the order argument must be a string (got {})", order.type_name())),
    }
}

/// Sorts by a key, keeping the order of equal ones; an error if two keys have no order.
pub(in crate::expr) fn sorted<T>(mut items: Vec<T>, descending: bool, budget: &Budget, key: impl Fn(&T) -> &Value) -> Result<Vec<T>, String> {
    let comparisons = (items.len() as u64).saturating_mul(u64::from(items.len().max(2).ilog2()) + 1);
    budget.spend(comparisons)?;
    // having an order is an equivalence between types, so looking at neighbours is enough
    for pair in items.windows(2) {
        ops::order("<", key(&pair[0]), key(&pair[1]))?;
    }
    items.sort_by(|left, right| {
        let (left, right) = if descending { (right, left) } else { (left, right) };
        total_order(key(left), key(right))
    });
    Ok(items)
}

/// A total order on values that have one: NaN comes first, and integers beyond 2^53 come before the float they round to.
fn total_order(left: &Value, right: &Value) -> std::cmp::Ordering {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let tie = match (left, right) {
        (Value::Int(_), Value::Float(float)) if float.abs() >= EXACT => std::cmp::Ordering::Less,
        (Value::Float(float), Value::Int(_)) if float.abs() >= EXACT => std::cmp::Ordering::Greater,
        _ => std::cmp::Ordering::Equal,
    };
    let is_nan = |value: &Value| matches!(value, Value::Float(float) if float.is_nan());
    match ops::order("<", left, right) {
        Ok(Some(order)) => order.then(tie),
        _ => is_nan(right).cmp(&is_nan(left)),
    }
}
