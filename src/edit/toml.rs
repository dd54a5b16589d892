//! `toml-update`: puts new scalars in the place of old ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use serde_json::{Number, Value};
use toml_edit::{ArrayOfTables, Document, Item, Table, TableLike};

use super::{EditError, Update, key_path, number};

/// Replaces the values at the updates' keys; of several updates of one key the last one wins. Every other byte stays.
///
/// # Errors
/// The text is not TOML; a key is malformed, not in the file or leads to no scalar; a value is no scalar.
pub fn update(text: &str, updates: &[Update]) -> Result<String, EditError> {
    let document = parse(text)?;
    let mut splices: BTreeMap<usize, (Range<usize>, String)> = BTreeMap::new();
    for update in updates {
        let old = find(document.as_table(), &update.key)?;
        let new = write(&update.value, old.is_float()).ok_or_else(|| EditError::NotScalarValue { key: update.key.clone() })?;
        let span = old.span().ok_or(EditError::Entangled)?;
        splices.insert(span.start, (span, new));
    }
    let mut out = String::with_capacity(text.len() + 64);
    let mut done = 0;
    for (range, new) in splices.values() {
        out.push_str(&text[done..range.start]);
        out.push_str(new);
        done = range.end;
    }
    out.push_str(&text[done..]);
    let after = parse(&out).map_err(|_| EditError::Entangled)?;
    if same(Place::Table(document.as_table()), Place::Table(after.as_table()), &splices) { Ok(out) } else { Err(EditError::Entangled) }
}

/// A value as the commit message shows it; `text` is the file before the edit, which says where a whole number is a float.
///
/// # Errors
/// As [`update`].
pub fn shown(text: &str, update: &Update) -> Result<String, EditError> {
    let document = parse(text)?;
    let old = find(document.as_table(), &update.key)?;
    write(&update.value, old.is_float()).ok_or_else(|| EditError::NotScalarValue { key: update.key.clone() })
}

fn parse(text: &str) -> Result<Document<&str>, EditError> {
    Document::parse(text).map_err(|error| EditError::Syntax { format: "TOML", message: error.to_string().trim_end().to_owned() })
}

fn find<'doc>(root: &'doc dyn TableLike, key: &str) -> Result<&'doc toml_edit::Value, EditError> {
    let parts = key_path::split(key).map_err(|reason| EditError::Key { key: key.to_owned(), reason })?;
    let found = match lookup(Place::Table(root), &parts) {
        Some(Place::Value(toml_edit::Value::Array(_))) => "an array",
        Some(Place::Value(toml_edit::Value::InlineTable(_))) => "an inline table",
        Some(Place::Value(scalar)) => return Ok(scalar),
        Some(Place::Table(_)) => "a table",
        Some(Place::Tables(_)) => "an array of tables",
        None => return Err(EditError::NotFound { key: key.to_owned() }),
    };
    Err(EditError::NotScalar { key: key.to_owned(), found })
}

/// Something a key path may lead to.
#[derive(Clone, Copy)]
enum Place<'doc> {
    Table(&'doc dyn TableLike),
    Tables(&'doc ArrayOfTables),
    Value(&'doc toml_edit::Value),
}

impl<'doc> Place<'doc> {
    fn of(item: &'doc Item) -> Option<Self> {
        match item {
            Item::None => None,
            Item::Table(table) => Some(Self::Table(table)),
            Item::ArrayOfTables(tables) => Some(Self::Tables(tables)),
            Item::Value(value) => Some(Self::Value(value)),
        }
    }
}

fn lookup<'doc>(place: Place<'doc>, parts: &[String]) -> Option<Place<'doc>> {
    let Some((part, rest)) = parts.split_first() else { return Some(place) };
    let below = match place {
        Place::Table(table) => Place::of(table.get(part)?)?,
        Place::Value(toml_edit::Value::InlineTable(table)) => Place::of(TableLike::get(table, part)?)?,
        Place::Value(toml_edit::Value::Array(array)) => Place::Value(array.get(part.parse().ok()?)?),
        Place::Value(_) => return None,
        Place::Tables(tables) => match part.parse::<usize>() {
            Ok(index) => Place::Table(tables.get(index)?),
            // Without an index, a sub-table means that of the last item that has it (measured).
            Err(_) => {
                let has_it = |table: &&'doc Table| matches!(table.get(part), Some(Item::Table(_) | Item::ArrayOfTables(_)));
                let items: Vec<&Table> = tables.iter().filter(has_it).collect();
                return items.into_iter().rev().find_map(|table| lookup(Place::Table(table), parts));
            }
        },
    };
    lookup(below, rest)
}

/// A scalar as TOML. None: it is none.
fn write(value: &Value, as_float: bool) -> Option<String> {
    match value {
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(write_number(number, as_float)),
        Value::String(text) => Some(write_string(text)),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn write_number(number: &Number, as_float: bool) -> String {
    let float = number::as_float(number);
    if float.fract() != 0.0 {
        return number::in_full(float);
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 53 bits")]
    let whole = number.as_i64().or_else(|| (float.abs() <= 9_007_199_254_740_992.0).then_some(float as i64));
    match whole {
        Some(whole) if !as_float => whole.to_string(),
        _ => format!("{}.0", number::in_full(float)),
    }
}

fn write_string(text: &str) -> String {
    if !text.chars().any(|char| char == '\'' || (char.is_ascii_control() && char != '\t')) {
        return format!("'{text}'");
    }
    let mut out = String::from("\"");
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            other if other.is_ascii_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(other));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// Whether `b` is `a` with the edited values, and only those, changed.
fn same(a: Place<'_>, b: Place<'_>, edited: &BTreeMap<usize, (Range<usize>, String)>) -> bool {
    use toml_edit::Value::{Array, InlineTable};
    match (a, b) {
        (Place::Table(a), Place::Table(b)) => same_table(a, b, edited),
        (Place::Value(InlineTable(a)), Place::Value(InlineTable(b))) => same_table(a, b, edited),
        (Place::Tables(a), Place::Tables(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same_table(a, b, edited)),
        (Place::Value(Array(a)), Place::Value(Array(b))) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(Place::Value(a), Place::Value(b), edited))
        }
        (Place::Value(a), Place::Value(b)) => match a.span().and_then(|span| edited.get(&span.start)) {
            Some((_, new)) => new.parse::<toml_edit::Value>().is_ok_and(|new| same_scalar(&new, b)),
            None => same_scalar(a, b),
        },
        _ => false,
    }
}

fn same_table(a: &dyn TableLike, b: &dyn TableLike, edited: &BTreeMap<usize, (Range<usize>, String)>) -> bool {
    let same_item = |a: &Item, b: &Item| match (Place::of(a), Place::of(b)) {
        (Some(a), Some(b)) => same(a, b, edited),
        (None, None) => true,
        _ => false,
    };
    a.len() == b.len() && a.iter().all(|(key, item)| b.get(key).is_some_and(|other| same_item(item, other)))
}

fn same_scalar(a: &toml_edit::Value, b: &toml_edit::Value) -> bool {
    use toml_edit::Value::{Boolean, Datetime, Float, Integer, String};
    match (a, b) {
        (String(a), String(b)) => a.value() == b.value(),
        (Integer(a), Integer(b)) => a.value() == b.value(),
        (Float(a), Float(b)) => a.value().to_bits() == b.value().to_bits(),
        (Boolean(a), Boolean(b)) => a.value() == b.value(),
        (Datetime(a), Datetime(b)) => a.value() == b.value(),
        _ => false,
    }
}

#[cfg(test)]
#[path = "toml_tests.rs"]
mod tests;
