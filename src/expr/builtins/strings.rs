//! Functions on text, and between text and other types.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

use super::{Builtin, Machinery, Type, Value, integer, plain, ruled, text};
use crate::expr::format::{self, Style};
use crate::expr::nature::Nature;

const T: Type = Type::Text;

pub(super) static TABLE: &[Builtin] = &[
    ruled("len", len_rule, len),
    plain("type", &[&[Type::Any]], T, |a, _| Ok(type_of(&a[0]).into())),
    plain("string", &[&[Type::Any]], T, string),
    plain("trim", &[&[T], &[T, T]], T, |a, m| trimmed("trim", a, m)),
    plain("trimPrefix", &[&[T, T], &[T]], T, |a, _| {
        let (subject, prefix) = (text("trimPrefix", a, 0)?, if a.len() > 1 { text("trimPrefix", a, 1)? } else { " " });
        Ok(subject.strip_prefix(prefix).unwrap_or(subject).into())
    }),
    plain("trimSuffix", &[&[T, T], &[T]], T, |a, _| {
        let (subject, suffix) = (text("trimSuffix", a, 0)?, if a.len() > 1 { text("trimSuffix", a, 1)? } else { " " });
        Ok(subject.strip_suffix(suffix).unwrap_or(subject).into())
    }),
    plain("upper", &[&[T]], T, |a, m| {
        let subject = text("upper", a, 0)?;
        m.budget.text(subject.len())?;
        // character by character, as Go does: `ß` stays
        Ok(subject.chars().map(|character| single(character.to_uppercase(), character)).collect::<String>().into())
    }),
    plain("lower", &[&[T]], T, |a, m| {
        let subject = text("lower", a, 0)?;
        m.budget.text(subject.len())?;
        Ok(subject.chars().map(|character| single(character.to_lowercase(), character)).collect::<String>().into())
    }),
    plain("split", &[&[T, T], &[T, T, Type::Int]], Type::List, |a, m| split("split", a, m, false)),
    plain("splitAfter", &[&[T, T], &[T, T, Type::Int]], Type::List, |a, m| split("splitAfter", a, m, true)),
    plain("replace", &[&[T, T, T, Type::Int], &[T, T, T]], T, replace),
    plain("repeat", &[&[T, Type::Int]], T, repeat),
    plain("join", &[&[Type::List, T], &[Type::List]], T, join),
    plain("indexOf", &[&[T, T]], Type::Int, |a, _| {
        let subject = text("indexOf", a, 0)?;
        Ok(position(subject, subject.find(text("indexOf", a, 1)?)))
    }),
    plain("lastIndexOf", &[&[T, T]], Type::Int, |a, _| {
        let subject = text("lastIndexOf", a, 0)?;
        Ok(position(subject, subject.rfind(text("lastIndexOf", a, 1)?)))
    }),
    plain("hasPrefix", &[&[T, T]], Type::Bool, |a, _| Ok(text("hasPrefix", a, 0)?.starts_with(text("hasPrefix", a, 1)?).into())),
    plain("hasSuffix", &[&[T, T]], Type::Bool, |a, _| Ok(text("hasSuffix", a, 0)?.ends_with(text("hasSuffix", a, 1)?).into())),
    plain("toJSON", &[&[Type::Any]], T, |a, m| {
        let json = format::json_text(&a[0], Style { indented: true, html: true })?;
        m.budget.text(json.len())?;
        Ok(json.into())
    }),
    plain("fromJSON", &[&[T]], Type::Any, |a, m| {
        let subject = text("fromJSON", a, 0)?;
        m.budget.text(subject.len())?;
        let json: serde_json::Value = serde_json::from_str(subject).map_err(|error| format!("the text is not JSON: {error}"))?;
        let value = Value::from_json(&json);
        m.budget.elements(usize::try_from(value.size().weight).unwrap_or(usize::MAX))?;
        Ok(value)
    }),
    plain("toBase64", &[&[T]], T, |a, m| {
        let subject = text("toBase64", a, 0)?;
        m.budget.text(subject.len() * 4 / 3)?;
        Ok(STANDARD.encode(subject).into())
    }),
    plain("fromBase64", &[&[T]], T, |a, m| {
        let subject = text("fromBase64", a, 0)?;
        m.budget.text(subject.len())?;
        // Go ignores line breaks
        let subject: String = subject.chars().filter(|character| !matches!(character, '\r' | '\n')).collect();
        let lenient = GeneralPurpose::new(&base64::alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));
        let bytes = lenient.decode(subject).map_err(|error| format!("illegal base64 data: {error}"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned().into())
    }),
];

fn single(mut mapped: impl ExactSizeIterator<Item = char>, original: char) -> char {
    match (mapped.len(), mapped.next()) {
        (1, Some(character)) => character,
        _ => original,
    }
}

/// A byte offset as a number of characters; -1 for none.
fn position(subject: &str, found: Option<usize>) -> Value {
    Value::Int(found.map_or(-1, |offset| i64::try_from(subject[..offset].chars().count()).unwrap_or(i64::MAX)))
}

fn len_rule(natures: &[Nature]) -> Result<Nature, String> {
    super::count(natures, 1)?;
    let nature = &natures[0];
    if nature.is_text() || nature.is_list() || nature.is_map() || nature.is_unknown() {
        Ok(Nature::Int)
    } else {
        Err(format!("invalid argument for len (type {nature})"))
    }
}

fn len(arguments: &[Value], machinery: &mut Machinery<'_>) -> Result<Value, String> {
    let length = match &arguments[0] {
        Value::List(list) => list.items.len(),
        Value::Map(map) => map.entries.len(),
        Value::Texts(texts) => texts.entries.len(),
        Value::Table(table) => table.entries.len(),
        Value::Bytes(bytes) => bytes.len(),
        other => {
            let text = other.as_text().ok_or_else(|| format!("invalid argument for len (type {})", other.type_name()))?;
            machinery.budget.spend(text.len() as u64 / 32)?;
            text.chars().count()
        }
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Time(_) => "time.Time",
        Value::Duration(_) => "time.Duration",
        Value::Month(_) => "time.Month",
        Value::Weekday(_) => "time.Weekday",
        Value::Bytes(_) => "array",
        Value::Function(_) => "func",
        // pointers to the host's objects
        Value::Record(_) | Value::Version(_) | Value::Zone(_) => "unknown",
        other => other.type_name(),
    }
}

fn string(arguments: &[Value], machinery: &mut Machinery<'_>) -> Result<Value, String> {
    if arguments[0].size().weight > format::MAX_WRITTEN {
        return Err("the value is too large to be written".into());
    }
    let text = format::go_text(&arguments[0]);
    machinery.budget.text(text.len())?;
    Ok(text.into())
}

fn trimmed(name: &str, arguments: &[Value], machinery: &mut Machinery<'_>) -> Result<Value, String> {
    let subject = text(name, arguments, 0)?;
    machinery.budget.text(subject.len())?;
    if arguments.len() == 1 {
        return Ok(subject.trim().into());
    }
    let cut = text(name, arguments, 1)?;
    machinery.budget.spend(cut.len() as u64 * 16)?;
    Ok(subject.trim_matches(|character| cut.contains(character)).into())
}

/// Go's `SplitN` and `SplitAfterN`.
fn split(name: &str, arguments: &[Value], machinery: &mut Machinery<'_>, keep: bool) -> Result<Value, String> {
    let (subject, separator) = (text(name, arguments, 0)?, text(name, arguments, 1)?);
    let limit = if arguments.len() > 2 { integer(name, arguments, 2)? } else { -1 };
    machinery.budget.text(subject.len())?;
    if limit == 0 {
        return Ok(Value::Nil);
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut parts: Vec<Value> = Vec::new();
    let mut rest = subject;
    if separator.is_empty() {
        while parts.len() + 1 < limit
            && let Some(character) = rest.chars().next()
            && rest.len() > character.len_utf8()
        {
            let (part, after) = rest.split_at(character.len_utf8());
            parts.push(part.into());
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(rest.into());
        }
    } else {
        while parts.len() + 1 < limit
            && let Some(offset) = rest.find(separator)
        {
            let end = offset + separator.len();
            parts.push(rest[..if keep { end } else { offset }].into());
            rest = &rest[end..];
        }
        parts.push(rest.into());
    }
    machinery.budget.elements(parts.len())?;
    Ok(Value::list(parts))
}

fn replace(arguments: &[Value], machinery: &mut Machinery<'_>) -> Result<Value, String> {
    let (subject, old, new) = (text("replace", arguments, 0)?, text("replace", arguments, 1)?, text("replace", arguments, 2)?);
    let limit = if arguments.len() > 3 { integer("replace", arguments, 3)? } else { -1 };
    let hits = if old.is_empty() { subject.chars().count() + 1 } else { subject.matches(old).count() };
    let hits = usize::try_from(limit).map_or(hits, |limit| hits.min(limit));
    machinery.budget.text(subject.len().saturating_add(hits.saturating_mul(new.len())))?;
    Ok(subject.replacen(old, new, hits).into())
}

fn repeat(arguments: &[Value], machinery: &mut Machinery<'_>) -> Result<Value, String> {
    let subject = text("repeat", arguments, 0)?;
    let times = integer("repeat", arguments, 1)?;
    let times = usize::try_from(times).map_err(|_| format!("invalid argument for repeat (expected positive integer, got {times})"))?;
    if times > 1_000_000 {
        return Err("memory budget exceeded: text is repeated at most 1,000,000 times".into());
    }
    // text counts like elements here, as in expr-lang
    machinery.budget.elements(subject.len().saturating_mul(times))?;
    machinery.budget.text(subject.len().saturating_mul(times))?;
    Ok(subject.repeat(times).into())
}

fn join(arguments: &[Value], machinery: &mut Machinery<'_>) -> Result<Value, String> {
    let Value::List(list) = &arguments[0] else {
        return Err(format!("invalid argument for join (type {})", arguments[0].type_name()));
    };
    let glue = if arguments.len() > 1 { text("join", arguments, 1)? } else { "" };
    let mut joined = String::new();
    for (index, item) in list.items.iter().enumerate() {
        let item =
            item.as_text().ok_or_else(|| format!("cannot join {}; turn the elements into text with `map(..., string(#))`", item.type_name()))?;
        machinery.budget.text(item.len() + glue.len())?;
        if index > 0 {
            joined.push_str(glue);
        }
        joined.push_str(item);
    }
    Ok(joined.into())
}
