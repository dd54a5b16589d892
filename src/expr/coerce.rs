//! From the text of a rendered template to a typed value.

use super::value::Value;

/// A rendered template: the text as Kargo's engine would build it, and the text that is meant.
#[derive(Default)]
pub(super) struct Rendered {
    /// With the quotes of `quote()` and of JSON around times and versions.
    pub(super) literal: String,
    /// Without them.
    pub(super) exact: String,
    /// Whether a fragment has the two in different forms.
    pub(super) differs: bool,
    /// Characters of the template itself, outside expressions, that are double quotes.
    pub(super) quotes: usize,
    /// Whether the first and the last character come from the template itself.
    pub(super) outer: (bool, bool),
    /// Whether a quoting helper gave the last fragment, and it ends in a line break of its own.
    pub(super) own_newline: bool,
}

/// The typed value of a rendered template.
pub(super) fn coerce(rendered: Rendered) -> Value {
    let (body, newline) = match rendered.literal.strip_suffix('\n') {
        Some(body) => (body, true),
        None => (rendered.literal.as_str(), false),
    };
    let quoted = body.len() >= 2 && body.starts_with('"') && body.ends_with('"');
    if !quoted && let Some(value) = typed(body) {
        return value;
    }
    if rendered.differs {
        // text, and what a helper kept as text is free of the helper's quotes
        let text = match rendered.exact.strip_suffix('\n') {
            Some(text) if newline && rendered.own_newline => text,
            _ => &rendered.exact,
        };
        return Value::text(unquoted(text, &rendered).unwrap_or_else(|| text.to_owned()));
    }
    let mut text = unquoted(body, &rendered).unwrap_or_else(|| body.to_owned());
    if newline {
        text.push('\n');
    }
    Value::text(text)
}

/// Number, boolean or JSON; None for text.
fn typed(text: &str) -> Option<Value> {
    if let Some(float) = go_float(text) {
        return Some(Value::Float(float));
    }
    if let Some(bool) = go_bool(text) {
        return Some(Value::Bool(bool));
    }
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::Number(number)) => number.as_f64().map(Value::Float),
        Ok(json) => Some(Value::from_json(&json)),
        Err(_) => None,
    }
}

/// The text between outer quotes that belong together, without unescaping.
fn unquoted(text: &str, rendered: &Rendered) -> Option<String> {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let inner = body.strip_prefix('"')?.strip_suffix('"')?;
    let pair = match rendered.outer {
        // quotes of the template around everything, and no others in it
        (true, true) => rendered.quotes == 2,
        _ if rendered.differs => false,
        _ => !has_quote(inner),
    };
    pair.then(|| format!("{inner}{}", &text[body.len()..]))
}

/// Whether a double quote stands in the text without a backslash before it.
fn has_quote(text: &str) -> bool {
    let mut escaped = false;
    text.chars().any(|character| {
        let quote = character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        quote
    })
}

/// Go's `ParseBool`.
pub(super) fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Go's `ParseFloat`: decimal with exponent, digit-separating underscores, hexadecimal with `p` exponent, infinities and NaN.
/// None for other text and for numbers out of range.
pub(super) fn go_float(text: &str) -> Option<f64> {
    if text.is_empty() || text.len() > 1_000 || !text.is_ascii() {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let (negative, body) = match lower.as_bytes()[0] {
        b'-' => (true, &lower[1..]),
        b'+' => (false, &lower[1..]),
        _ => (false, lower.as_str()),
    };
    let sign = if negative { -1.0 } else { 1.0 };
    match body {
        "inf" | "infinity" => return Some(sign * f64::INFINITY),
        "nan" => return Some(f64::NAN),
        _ => {}
    }
    let (hex, digits) = body.strip_prefix("0x").map_or((false, body), |digits| (true, digits));
    if !underscores_separate(body) {
        return None;
    }
    let plain: String = digits.chars().filter(|character| *character != '_').collect();
    let float = if hex { hex_float(&plain)? } else { decimal_float(&plain)? };
    float.is_finite().then_some(sign * float)
}

/// Underscores only between digits; the prefix `0x` counts as a digit.
fn underscores_separate(text: &str) -> bool {
    let (mut after_digit, hex, body) = match text.strip_prefix("0x") {
        Some(body) => (true, true, body),
        None => (false, false, text),
    };
    let mut open = false;
    for byte in body.bytes() {
        let digit = if hex { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() };
        if byte == b'_' {
            if !after_digit {
                return false;
            }
            open = true;
        } else {
            if open && !digit {
                return false;
            }
            open = false;
        }
        after_digit = digit;
    }
    !open
}

fn decimal_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('e').map_or((text, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let dots = mantissa.bytes().filter(|byte| *byte == b'.').count();
    if digits == 0 || dots > 1 || digits + dots != mantissa.len() {
        return None;
    }
    if let Some(exponent) = exponent {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if exponent.is_empty() || !exponent.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
    }
    text.parse().ok()
}

fn hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let exponent: i32 = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0_f64;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let shift = exponent.saturating_sub(4 * i32::try_from(fraction.len()).ok()?);
    Some(value * 2.0_f64.powi(shift))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_are_what_go_reads() {
        for (text, float) in [
            ("1e3", 1000.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("+007", 7.0),
            ("1_000", 1000.0),
            ("2026_01_02", 20_260_102.0),
            ("0x1p4", 16.0),
            ("0x1.8p1", 3.0),
            ("-Inf", f64::NEG_INFINITY),
            ("1e-400", 0.0),
        ] {
            assert_eq!(go_float(text), Some(float), "{text}");
        }
        assert!(go_float("NaN").unwrap().is_nan());
        for text in [
            "", "1_", "1_e5", "1e_5", "1_.5", "1__0", "_1", "0x10", "0b11", "4e", "4e+", "1e400", "--5", "1,000", "1 000", "1.2.3", "infra", "1p3",
            "١", ".",
        ] {
            assert_eq!(go_float(text), None, "{text}");
        }
    }
}
