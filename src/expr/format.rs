//! Values as text: JSON as Go writes it, and Go's `%v`.

use std::fmt::Write as _;

use super::value::Value;

/// How much may be written at once.
pub(super) const MAX_WRITTEN: u64 = 4_000_000;

/// A float as Go's JSON writes it: plain digits up to 1e21, whole numbers without fraction.
pub(super) fn json_float(float: f64) -> String {
    let magnitude = float.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{float:e}");
        return match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
            _ => text,
        };
    }
    format!("{float}")
}

/// A float as `string()` writes it: Go's `%v`, but large numbers keep their digits instead of an exponent.
pub(super) fn plain_float(float: f64) -> String {
    if float.is_nan() {
        return "NaN".into();
    }
    if float.is_infinite() {
        return if float > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    let magnitude = float.abs();
    if magnitude == 0.0 || (1e-4..1e21).contains(&magnitude) {
        return format!("{float}");
    }
    let text = format!("{float:e}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let (sign, exponent) = exponent.strip_prefix('-').map_or(("+", exponent), |exponent| ("-", exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// A JSON string literal. Line separators are escaped, as Go does.
fn write_json_string(out: &mut String, text: &str, html: bool) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' if html => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            '\u{0}'..='\u{1f}' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

/// How JSON text looks.
#[derive(Clone, Copy, Default)]
pub(super) struct Style {
    /// Two spaces a level; else compact.
    pub(super) indented: bool,
    /// `<`, `>` and `&` as `\u003c` and so on.
    pub(super) html: bool,
}

/// A value as JSON text.
pub(super) fn json_text(value: &Value, style: Style) -> Result<String, String> {
    if value.size().weight > MAX_WRITTEN {
        return Err("the value is too large to be written".into());
    }
    let mut out = String::new();
    write_json(&mut out, value, style, 0)?;
    Ok(out)
}

fn unwritable(value: &Value) -> String {
    match value {
        Value::Float(_) => "the number is infinite or not a number, which JSON cannot hold; `string()` turns it into text".into(),
        Value::Function(function) => format!("`{function}` is a function; call it with `()`"),
        Value::Table(_) => unwritable_table(),
        other => format!("a value of type {} cannot be written", other.type_name()),
    }
}

fn write_json(out: &mut String, value: &Value, style: Style, level: usize) -> Result<(), String> {
    match value {
        Value::Nil => out.push_str("null"),
        Value::Bool(bool) => out.push_str(if *bool { "true" } else { "false" }),
        Value::Int(int) | Value::Duration(int) => {
            let _ = write!(out, "{int}");
        }
        Value::Month(number) | Value::Weekday(number) => {
            let _ = write!(out, "{number}");
        }
        Value::Float(float) if float.is_finite() => out.push_str(&json_float(*float)),
        Value::Str(text) => write_json_string(out, text, style.html),
        Value::Quoted(quoted) => write_json_string(out, &quoted.literal, style.html),
        Value::Bytes(bytes) => {
            use base64::Engine as _;
            write_json_string(out, &base64::engine::general_purpose::STANDARD.encode(bytes), style.html);
        }
        Value::Time(time) => write_json_string(out, &time.rfc3339(), style.html),
        Value::Zone(zone) => write_json_string(out, zone.name(), style.html),
        Value::Version(version) => write_json_string(out, &version.to_string(), style.html),
        Value::List(list) => {
            let items = list.items.iter().map(|item| (None, item));
            write_group(out, ['[', ']'], items, style, level)?;
        }
        Value::Map(map) => {
            let entries = map.entries.iter().map(|(key, value)| (Some(key.as_ref()), value));
            write_group(out, ['{', '}'], entries, style, level)?;
        }
        Value::Texts(texts) => {
            let entries: Vec<(&str, Value)> = texts.all().iter().map(|(key, text)| (key.as_ref(), Value::Str(text.clone()))).collect();
            write_group(out, ['{', '}'], entries.iter().map(|(key, value)| (Some(*key), value)), style, level)?;
        }
        Value::Table(table) if table.writable => {
            let mut entries = Vec::new();
            for (key, value) in &table.entries {
                entries.push((Some(key.as_text().ok_or_else(unwritable_table)?.as_ref()), value));
            }
            entries.sort_by_key(|(key, _)| *key);
            write_group(out, ['{', '}'], entries.into_iter(), style, level)?;
        }
        Value::Record(record) => {
            write_group(out, ['{', '}'], record.written().map(|(key, value)| (Some(key), value)), style, level)?;
        }
        Value::Float(_) | Value::Function(_) | Value::Table(_) => return Err(unwritable(value)),
    }
    Ok(())
}

fn unwritable_table() -> String {
    "a map with keys that are not known to be text, such as a result of `groupBy`, cannot be written; take parts of it".into()
}

fn write_group<'a>(
    out: &mut String,
    brackets: [char; 2],
    entries: impl Iterator<Item = (Option<&'a str>, &'a Value)>,
    style: Style,
    level: usize,
) -> Result<(), String> {
    out.push(brackets[0]);
    let mut empty = true;
    for (key, value) in entries {
        if !empty {
            out.push(',');
        }
        empty = false;
        if style.indented {
            out.push('\n');
            out.push_str(&"  ".repeat(level + 1));
        }
        if let Some(key) = key {
            write_json_string(out, key, style.html);
            out.push(':');
            if style.indented {
                out.push(' ');
            }
        }
        write_json(out, value, style, level + 1)?;
    }
    if style.indented && !empty {
        out.push('\n');
        out.push_str(&"  ".repeat(level));
    }
    out.push(brackets[1]);
    Ok(())
}

/// A value as JSON. Whole floats become integers; times, versions and records what they are written as.
pub(super) fn to_json(value: &Value) -> Result<serde_json::Value, String> {
    if value.size().weight > MAX_WRITTEN {
        return Err("the value is too large to be written".into());
    }
    Ok(match value {
        Value::Nil => serde_json::Value::Null,
        Value::Bool(bool) => (*bool).into(),
        Value::Int(int) | Value::Duration(int) => (*int).into(),
        Value::Month(number) | Value::Weekday(number) => (*number).into(),
        Value::Float(float) => json_number(*float).ok_or_else(|| unwritable(value))?,
        Value::Str(text) => text.as_ref().into(),
        Value::Quoted(quoted) => quoted.exact.as_ref().into(),
        Value::List(list) => serde_json::Value::Array(list.items.iter().map(to_json).collect::<Result<_, _>>()?),
        Value::Map(map) => object(map.entries.iter().map(|(key, value)| (key.as_ref(), value)))?,
        Value::Texts(texts) => texts.all().iter().map(|(key, text)| (key.to_string(), serde_json::Value::from(text.as_ref()))).collect(),
        Value::Record(record) => object(record.written())?,
        Value::Table(table) if table.writable => {
            let entries: Option<Vec<(&str, &Value)>> = table.entries.iter().map(|(key, value)| Some((key.as_text()?.as_ref(), value))).collect();
            let mut entries = entries.ok_or_else(unwritable_table)?;
            entries.sort_by_key(|(key, _)| *key);
            object(entries.into_iter())?
        }
        Value::Bytes(_) | Value::Time(_) | Value::Zone(_) | Value::Version(_) => {
            serde_json::from_str(&json_text(value, Style::default())?).map_err(|error| error.to_string())?
        }
        Value::Table(_) | Value::Function(_) => return Err(unwritable(value)),
    })
}

fn object<'a>(entries: impl Iterator<Item = (&'a str, &'a Value)>) -> Result<serde_json::Value, String> {
    Ok(serde_json::Value::Object(entries.map(|(key, value)| Ok((key.to_owned(), to_json(value)?))).collect::<Result<_, String>>()?))
}

/// A float as JSON number, an integer where it is whole and fits; None for infinities and NaN.
pub(super) fn json_number(float: f64) -> Option<serde_json::Value> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if float.fract() == 0.0 && (-LIMIT..LIMIT).contains(&float) {
        // the range was checked and the fraction is zero
        #[allow(clippy::cast_possible_truncation)]
        return Some((float as i64).into());
    }
    serde_json::Number::from_f64(float).map(serde_json::Value::Number)
}

/// Go's `%v`.
pub(super) fn go_text(value: &Value) -> String {
    let joined = |texts: Vec<String>| texts.join(" ");
    match value {
        Value::Nil => "<nil>".into(),
        Value::Bool(bool) => bool.to_string(),
        Value::Int(int) => int.to_string(),
        Value::Float(float) => plain_float(*float),
        Value::Str(text) => text.to_string(),
        Value::Quoted(quoted) => quoted.literal.to_string(),
        Value::Bytes(bytes) => format!("[{}]", joined(bytes.iter().map(u8::to_string).collect())),
        Value::List(list) => format!("[{}]", joined(list.items.iter().map(go_text).collect())),
        Value::Map(map) => format!("map[{}]", joined(map.entries.iter().map(|(key, value)| format!("{key}:{}", go_text(value))).collect())),
        Value::Texts(texts) => format!("map[{}]", joined(texts.all().iter().map(|(key, text)| format!("{key}:{text}")).collect())),
        Value::Table(table) => {
            let mut entries: Vec<String> = table.entries.iter().map(|(key, value)| format!("{}:{}", go_text(key), go_text(value))).collect();
            entries.sort();
            format!("map[{}]", joined(entries))
        }
        Value::Time(time) => time.go_string(),
        Value::Duration(nanos) => go_duration(*nanos),
        Value::Month(month) => super::gotime::month_name(*month).into(),
        Value::Weekday(day) => super::gotime::weekday_name(*day).into(),
        Value::Zone(zone) => zone.name().into(),
        Value::Version(version) => version.to_string(),
        Value::Record(record) => format!("{{{}}}", joined(record.values.iter().map(go_text).collect())),
        Value::Function(function) => function.to_string(),
    }
}

/// A duration as Go writes it.
pub(super) fn go_duration(nanos: i64) -> String {
    crate::model::GoDuration(jiff::SignedDuration::from_nanos(nanos)).to_string()
}

/// Go's `%q`: a quoted literal.
pub(super) fn go_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            _ if u32::from(character) < 0x20 || character == '\u{7f}' => {
                let _ = write!(out, "\\x{:02x}", u32::from(character));
            }
            _ if character.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn floats_are_written_as_go_does() {
        for (float, json, plain) in [
            (1.0, "1", "1"),
            (1e20, "100000000000000000000", "100000000000000000000"),
            (1e21, "1e+21", "1e+21"),
            (1e-7, "1e-7", "1e-07"),
            (0.00001, "0.00001", "1e-05"),
            (1_234_567.5, "1234567.5", "1234567.5"),
            (-0.25, "-0.25", "-0.25"),
        ] {
            assert_eq!(json_float(float), json);
            assert_eq!(plain_float(float), plain);
        }
    }

    #[test]
    fn what_json_cannot_hold_is_an_error() {
        for value in [Value::Float(f64::INFINITY), Value::table(vec![], false), Value::table(vec![(Value::Int(1), Value::Nil)], true)] {
            assert!(to_json(&value).is_err(), "{value:?}");
            assert!(json_text(&value, Style::default()).is_err(), "{value:?}");
        }
    }
}
