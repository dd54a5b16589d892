//! Values as YAML, in the style of Go's yaml.v3: four spaces a level, lists inside maps indented, keys sorted.

use super::format::{MAX_WRITTEN, go_text, json_float};
use super::value::Value;

/// A value as a YAML document, with a newline at its end.
pub(super) fn write(value: &Value) -> Result<String, String> {
    if value.size().weight > MAX_WRITTEN {
        return Err("the value is too large to be written".into());
    }
    let mut out = String::new();
    block(&mut out, value, 0, Place::Root)?;
    Ok(out)
}

/// Where a value stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Root,
    /// After `key:`.
    Entry,
    /// After `- `.
    Item,
}

/// Indentation of what is inside something at `indent`: the next multiple of four, two inside an item of a list.
fn inner(indent: usize, place: Place) -> usize {
    match place {
        Place::Root => indent,
        Place::Entry => (indent + 4) / 4 * 4,
        Place::Item => indent + 2,
    }
}

/// Writes a value where the cursor stands, ends with a newline.
fn block(out: &mut String, value: &Value, indent: usize, place: Place) -> Result<(), String> {
    match value {
        Value::List(list) if !list.items.is_empty() => {
            let indent = inner(indent, place);
            if place == Place::Entry {
                out.push('\n');
            }
            for (index, item) in list.items.iter().enumerate() {
                if index > 0 || place != Place::Item {
                    out.push_str(&" ".repeat(indent));
                }
                out.push_str("- ");
                block(out, item, indent, Place::Item)?;
            }
        }
        Value::Map(map) => entries(out, map.entries.iter().map(|(key, value)| (key.as_ref(), value)), indent, place)?,
        Value::Texts(texts) => {
            let texts: Vec<(&str, Value)> = texts.all().iter().map(|(key, text)| (key.as_ref(), Value::Str(text.clone()))).collect();
            entries(out, texts.iter().map(|(key, value)| (*key, value)), indent, place)?;
        }
        Value::Record(record) => entries(out, record.written(), indent, place)?,
        Value::Table(table) => {
            let mut sorted: Vec<(String, &Value)> = table.entries.iter().map(|(key, value)| (go_text(key), value)).collect();
            sorted.sort_by(|left, right| left.0.cmp(&right.0));
            entries(out, sorted.iter().map(|(key, value)| (key.as_str(), *value)), indent, place)?;
        }
        scalar => {
            if place == Place::Entry {
                out.push(' ');
            }
            let content = inner(indent, if place == Place::Root { Place::Entry } else { place });
            write_scalar(out, scalar, content, content - indent)?;
        }
    }
    Ok(())
}

fn entries<'a>(out: &mut String, entries: impl Iterator<Item = (&'a str, &'a Value)>, indent: usize, place: Place) -> Result<(), String> {
    let mut entries = entries.peekable();
    if entries.peek().is_none() {
        out.push_str(if place == Place::Entry { " {}\n" } else { "{}\n" });
        return Ok(());
    }
    let indent = inner(indent, place);
    if place == Place::Entry {
        out.push('\n');
    }
    let mut first = true;
    for (key, value) in entries {
        if !(first && place == Place::Item) {
            out.push_str(&" ".repeat(indent));
        }
        first = false;
        out.push_str(&inline(key));
        out.push(':');
        block(out, value, indent, Place::Entry)?;
    }
    Ok(())
}

/// Writes a scalar; text of several lines goes to column `indent`, which is `deeper` than what holds it.
fn write_scalar(out: &mut String, value: &Value, indent: usize, deeper: usize) -> Result<(), String> {
    let text = match value {
        Value::Nil => "null".into(),
        Value::Bool(bool) => bool.to_string(),
        Value::Int(int) | Value::Duration(int) => int.to_string(),
        Value::Month(small) | Value::Weekday(small) => small.to_string(),
        Value::Float(float) if float.is_nan() => ".nan".into(),
        Value::Float(float) if float.is_infinite() => if *float > 0.0 { ".inf" } else { "-.inf" }.into(),
        Value::Float(float) => json_float(*float),
        Value::List(_) => "[]".into(),
        Value::Time(time) => time.rfc3339(),
        Value::Bytes(bytes) => {
            out.push('\n');
            for byte in bytes.iter() {
                out.push_str(&format!("{}- {byte}\n", " ".repeat(indent)));
            }
            return Ok(());
        }
        Value::Str(_) | Value::Quoted(_) => {
            let text = value.as_text().map(AsRef::as_ref).unwrap_or_default();
            if let Some(literal) = literal_block(text, indent, deeper) {
                out.push_str(&literal);
                return Ok(());
            }
            inline(text)
        }
        Value::Version(version) => inline(&version.to_string()),
        Value::Zone(zone) => inline(zone.name()),
        Value::Function(function) => return Err(format!("`{function}` is a function; call it with `()`")),
        Value::Map(_) | Value::Texts(_) | Value::Record(_) | Value::Table(_) => "{}".into(),
    };
    out.push_str(&text);
    out.push('\n');
    Ok(())
}

/// Text of several lines as a block: `|`, with `-` where no newline ends it and `+` where several do.
fn literal_block(text: &str, indent: usize, deeper: usize) -> Option<String> {
    let printable = |character: char| character == '\n' || character == '\t' || !character.is_control();
    if !text.contains('\n')
        || !text.chars().all(printable)
        || text.contains(" \n")
        || text.contains(['\u{feff}', '\u{85}', '\u{2028}', '\u{2029}'])
        || text.ends_with(' ')
    {
        return None;
    }
    let chomp = match text {
        _ if !text.ends_with('\n') => "-",
        "\n" => "+",
        _ if text.ends_with("\n\n") => "+",
        _ => "",
    };
    // a first line that starts with a blank or is empty needs the indentation spelled out
    let hint = if text.starts_with([' ', '\n', '\t']) { deeper.to_string() } else { String::new() };
    let mut out = format!("|{hint}{chomp}\n");
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        if !line.is_empty() {
            out.push_str(&" ".repeat(indent));
            out.push_str(line);
        }
        out.push('\n');
    }
    Some(out)
}

/// Text in one line: plain where it reads as the same text, else quoted.
fn inline(text: &str) -> String {
    if reads_as_other(text) || text.chars().any(|character| character.is_control()) || text.contains(['\u{feff}', '\u{2028}', '\u{2029}']) {
        return double_quoted(text);
    }
    if plain_allowed(text) { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

/// Whether the bare text would be read as something else than text, by YAML 1.2 or 1.1.
fn reads_as_other(text: &str) -> bool {
    if text.is_empty() {
        return true;
    }
    let lower = text.to_ascii_lowercase();
    let cased = text == lower || text == text.to_ascii_uppercase() || capitalised(text);
    if cased && matches!(lower.as_str(), "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n") {
        return true;
    }
    if text == "~" || text == "<<" || (cased && matches!(lower.trim_start_matches(['+', '-']), ".inf")) || (cased && lower == ".nan") {
        return true;
    }
    let first = text.as_bytes()[0];
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return false;
    }
    let digits = lower.replace('_', "");
    let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(&digits);
    let radix = [("0x", 16), ("0o", 8), ("0b", 2)]
        .iter()
        .any(|(prefix, base)| unsigned.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.chars().all(|digit| digit.is_digit(*base))));
    radix || is_float(unsigned) || is_timestamp(text) || is_base60(text)
}

fn capitalised(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|first| first.is_ascii_uppercase()) && characters.all(|character| !character.is_ascii_uppercase())
}

fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once('e').map_or((text, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let dots = mantissa.bytes().filter(|byte| *byte == b'.').count();
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && exponent.bytes().all(|byte| byte.is_ascii_digit())
    });
    digits > 0 && dots <= 1 && digits + dots == mantissa.len() && exponent_fits
}

fn is_timestamp(text: &str) -> bool {
    let date = text.get(..10).unwrap_or(text);
    let bytes = date.as_bytes();
    let shape = bytes.len() >= 8 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-';
    if !shape {
        return false;
    }
    let (day, rest) = text.split_at(text.find(['T', 't', ' ']).unwrap_or(text.len()));
    let parts: Vec<&str> = day.split('-').collect();
    let numbers = parts.len() == 3 && parts.iter().all(|part| (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()));
    numbers && (rest.is_empty() || rest[1..].starts_with(|first: char| first.is_ascii_digit()) && rest.contains(':'))
}

fn is_base60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    unsigned.contains(':')
        && unsigned.split(':').enumerate().all(|(index, part)| {
            let part = part.split('.').next().unwrap_or(part);
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') && (index == 0 || part.len() <= 2)
        })
}

/// Whether the text may stand bare in a block.
fn plain_allowed(text: &str) -> bool {
    let first = text.chars().next().unwrap_or(' ');
    let second = text.chars().nth(1);
    if text.starts_with(' ') || text.ends_with(' ') || text.starts_with("---") || text.starts_with("...") {
        return false;
    }
    if matches!(first, '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`') {
        return false;
    }
    if matches!(first, '-' | '?' | ':') && second.is_none_or(|second| second == ' ') {
        return false;
    }
    !text.contains(": ") && !text.ends_with(':') && !text.contains(" #")
}

fn double_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\0' => out.push_str("\\0"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\u{1b}' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            _ if u32::from(character) < 0x100 && character.is_control() => out.push_str(&format!("\\x{:02X}", u32::from(character))),
            '\u{feff}' => out.push_str("\\uFEFF"),
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
    fn nested_values_are_indented_as_go_does() {
        let json: serde_json::Value = serde_json::json!({"a": [{"b": 1, "c": {"d": [1, [2, 3]]}}, []], "e": {}, "f": "x: y", "g": "🚀", "h": "a\nb"});
        let expected = "a:\n    - b: 1\n      c:\n        d:\n            - 1\n            - - 2\n              - 3\n    - []\ne: {}\nf: 'x: y'\ng: 🚀\nh: |-\n    a\n    b\n";
        assert_eq!(write(&Value::from_json(&json)).unwrap(), expected);
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["yes", "0x1f", "2026-01-02", "12:30", "- a", "#", "", " x", "a: b", "'", "\u{7f}", "a \nb", "\n", "  x\n", "null", "1_000"] {
            let json = serde_json::json!({"k": [text]});
            let yaml = write(&Value::from_json(&json)).unwrap();
            let back: serde_json::Value = serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{text:?}: {yaml:?}: {error}"));
            assert_eq!(back, json, "{yaml:?}");
        }
    }
}
