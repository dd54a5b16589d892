//! How a scalar is written so that every reader, YAML 1.1 or 1.2, reads it back as what it is.

use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::RegexSet;
use serde_json::Value;

use crate::edit::number;

/// A scalar of a step's configuration as YAML; `in_flow`: inside `[]` or `{}`. None: it is no scalar.
///
/// ```
/// use consign::edit::yaml::scalar::write;
/// use serde_json::json;
/// assert_eq!(write(&json!("v1.2"), false).unwrap(), "v1.2");
/// assert_eq!(write(&json!("1.20"), false).unwrap(), r#""1.20""#);
/// assert_eq!(write(&json!(2_000_000), false).unwrap(), "2000000");
/// ```
pub fn write(value: &Value, in_flow: bool) -> Option<String> {
    match value {
        Value::Null => Some("null".into()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number::whole_in_full(number)),
        Value::String(text) => Some(write_string(text, in_flow)),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// A string as YAML: bare where that is safe, else in double quotes.
pub fn write_string(text: &str, in_flow: bool) -> String {
    if reads_as_string(text) && is_plain(text, in_flow) && !looks_typed(text) { text.to_owned() } else { double_quoted(text) }
}

/// Whether a YAML 1.1 and a YAML 1.2 reader take the bare text for a string.
pub fn reads_as_string(text: &str) -> bool {
    static OTHER_TYPES: LazyLock<RegexSet> = LazyLock::new(|| {
        RegexSet::new([
            r"^(~|null|Null|NULL)?$",
            r"^(?i:y|yes|n|no|on|off|true|false)$",
            // Integers: binary, octal of both versions, decimal, hexadecimal, base 60.
            r"^[-+]?(0b[01_]+|0o?[0-7_]+|[0-9][0-9_]*|0[xX][0-9a-fA-F_]+|[1-9][0-9_]*(:[0-5]?[0-9])+)$",
            r"^[-+]?([0-9][0-9_]*)?\.[0-9_]*([eE][-+]?[0-9]+)?$",
            r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?$",
            r"^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*$",
            r"^([-+]?\.(?i:inf)|\.(?i:nan))$",
            // Timestamps; merge and default keys.
            r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}.*)?$",
            r"^(<<|=)$",
        ])
        .expect("the expressions are constants")
    });
    !OTHER_TYPES.is_match(text)
}

/// Whether Kargo quotes the text although YAML reads it as a string: it is a number or boolean of Go, or JSON.
fn looks_typed(text: &str) -> bool {
    static GO: LazyLock<RegexSet> = LazyLock::new(|| {
        RegexSet::new([
            r"^([tTfF]|TRUE|FALSE|True|False|true|false)$",
            r"^[-+]?(?i:inf|infinity|nan)$",
            r"^[-+]?0[xX][0-9a-fA-F_]*\.?[0-9a-fA-F_]*[pP][-+]?[0-9]+$",
        ])
        .expect("the expressions are constants")
    });
    GO.is_match(text) || serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Whether the bare text is read as one plain scalar.
pub fn is_plain(text: &str, in_flow: bool) -> bool {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return false };
    let second = chars.next();
    let opens = match first {
        // Readers of YAML 1.1 see a key here.
        '?' | ':' if in_flow => true,
        '-' | '?' | ':' => second.is_none_or(|second| second == ' ' || (in_flow && is_flow_indicator(second))),
        ',' | '[' | ']' | '{' | '}' | '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => true,
        _ => false,
    };
    !opens
        && text.trim() == text
        && !text.ends_with(':')
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.starts_with("---")
        && !text.starts_with("...")
        && text.chars().all(is_printable)
        && !(in_flow && has_loose_end(text))
}

/// Whether a flow collection may end the bare text early: at a comma or bracket, or, for some readers, at a colon that stands before something
/// else than a letter, a digit or a slash.
fn has_loose_end(text: &str) -> bool {
    text.contains(is_flow_indicator)
        || text.match_indices(':').any(|(at, _)| !text[at + 1..].starts_with(|next: char| next.is_alphanumeric() || next == '/'))
}

fn is_flow_indicator(char: char) -> bool {
    matches!(char, ',' | '[' | ']' | '{' | '}')
}

/// Whether a character may stand as itself on a line and is seen there.
fn is_printable(char: char) -> bool {
    !char.is_control()
        && (char == ' ' || !char.is_whitespace())
        && !matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{ffff}' | '\u{e000}'..='\u{f8ff}')
}

/// A string in double quotes, with escapes that YAML, JSON-like readers of YAML and Go share.
pub fn double_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            other if is_printable(other) => out.push(other),
            other if other < '\u{80}' => {
                let _ = write!(out, "\\x{:02x}", u32::from(other));
            }
            other if other <= '\u{ffff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(other));
            }
            other => {
                let _ = write!(out, "\\U{:08x}", u32::from(other));
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_that_a_reader_takes_for_something_else_are_quoted() {
        for text in [
            "42", "1.10", "010", "1e3", "1_000", "+5", ".5", "-0", "1.", "0x1p4", "0x10", "0o17", ".inf", "0b11", "1:30", "yes", "n", "On", "",
            "~", "Null", "null", "t", "NaN", "-Infinity", "2026-01-15", "2026-01-15T08:30:00Z", "<<", "a: b", "- x", "host:", " x", "*x", "x #y",
            "[a", "`c`", "two\nlines", "\u{a0}x", "12345e6", "-", "?",
        ] {
            assert_eq!(write_string(text, false), double_quoted(text), "{text}");
        }
    }

    #[test]
    fn other_strings_are_bare() {
        for text in ["v1.2.3", "1.2.3", "sha-9c1f", "a,b", "r.example.com/shop/web:1.4.0", "2026.01.15-rc.1", "--port=80", "a b", "café", "-x", "12e", "it's", "a#b"] {
            assert_eq!(write_string(text, false), text);
        }
        assert_eq!(write_string("a,b", true), "\"a,b\"");
    }
}
