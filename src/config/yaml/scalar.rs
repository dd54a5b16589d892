//! What a scalar means: YAML 1.1 as Kargo's users get it (kubectl and the API machinery read definitions with go-yaml v2), measured case by
//! case in `conformance/yaml.json`.

use base64::Engine;
use serde_json::{Number, Value};

/// A resolved scalar.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(Number),
    Float(f64),
    Text(String),
}

/// Resolves a plain scalar without a tag.
pub(super) fn resolve_plain(text: &str) -> Scalar {
    let Some(first) = text.bytes().next() else { return Scalar::Null };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => word(text),
        b'.' => special_float(text).or_else(|| decimal_float(text)),
        b'+' | b'-' | b'0'..=b'9' => special_float(text).or_else(|| number(text)),
        _ => None,
    }
    .unwrap_or_else(|| Scalar::Text(text.to_owned()))
}

/// Resolves a scalar with an explicit tag (`int`, `bool`, ... of YAML's own; others mean text). `Err` says what does not fit.
pub(super) fn resolve_tagged(text: &str, tag: &str) -> Result<Scalar, String> {
    let misfit = || format!("`{text}` does not fit its tag `!!{tag}`");
    match tag {
        "str" => Ok(Scalar::Text(text.to_owned())),
        "binary" => {
            let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            let bytes = base64::engine::general_purpose::STANDARD.decode(compact).map_err(|_| "a `!!binary` value must be base64".to_owned())?;
            Ok(Scalar::Text(String::from_utf8_lossy(&bytes).into_owned()))
        }
        "timestamp" => {
            let mut parts = text.splitn(3, '-').map(|part| part.bytes().take_while(u8::is_ascii_digit).count());
            let dated = parts.next() == Some(4) && parts.next().is_some_and(|digits| digits > 0) && parts.next().is_some_and(|digits| digits > 0);
            if dated { Ok(Scalar::Text(text.to_owned())) } else { Err(misfit()) }
        }
        "null" | "bool" | "int" | "float" => match (tag, resolve_plain(text)) {
            ("null", Scalar::Null) => Ok(Scalar::Null),
            ("bool", Scalar::Bool(value)) => Ok(Scalar::Bool(value)),
            ("int", Scalar::Int(value)) => Ok(Scalar::Int(value)),
            ("float", Scalar::Float(value)) => Ok(Scalar::Float(value)),
            ("float", Scalar::Int(value)) => Ok(Scalar::Float(value.as_f64().unwrap_or_default())),
            _ => Err(misfit()),
        },
        _ => Ok(Scalar::Text(text.to_owned())),
    }
}

fn word(text: &str) -> Option<Scalar> {
    match text {
        "~" | "null" | "Null" | "NULL" => Some(Scalar::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => Some(Scalar::Bool(true)),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => Some(Scalar::Bool(false)),
        _ => None,
    }
}

fn special_float(text: &str) -> Option<Scalar> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    match rest {
        ".inf" | ".Inf" | ".INF" => Some(Scalar::Float(if negative { f64::NEG_INFINITY } else { f64::INFINITY })),
        ".nan" | ".NaN" | ".NAN" if rest.len() == text.len() => Some(Scalar::Float(f64::NAN)),
        _ => None,
    }
}

fn number(text: &str) -> Option<Scalar> {
    let digits = text.replace('_', "");
    integer(&digits).map(Scalar::Int).or_else(|| decimal_float(&digits))
}

/// Go's `ParseInt` and `ParseUint` with base 0: `0x`, `0o`, `0b`, and a leading `0` for octal.
fn integer(text: &str) -> Option<Number> {
    let (negative, magnitude) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match magnitude.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &magnitude[2..]),
        [b'0', b'o' | b'O', ..] => (8, &magnitude[2..]),
        [b'0', b'b' | b'B', ..] => (2, &magnitude[2..]),
        [b'0', _, ..] => (8, &magnitude[1..]),
        _ => (10, magnitude),
    };
    if !digits.bytes().next()?.is_ascii_alphanumeric() {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    let value = if negative { -value } else { value };
    i64::try_from(value).map(Number::from).ok().or_else(|| if text.starts_with('+') { None } else { u64::try_from(value).ok().map(Number::from) })
}

/// `[-+]? ( . digits | digits [. digits?] ) ( [eE] [-+]? digits )?`, within the range of a 64-bit float.
fn decimal_float(text: &str) -> Option<Scalar> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => all_digits(fraction),
        Some((whole, fraction)) => all_digits(whole) && (fraction.is_empty() || all_digits(fraction)),
        None => all_digits(mantissa),
    };
    let exponent_fits = exponent.is_none_or(|exponent| all_digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)));
    if !mantissa_fits || !exponent_fits {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Scalar::Float)
}

/// A float as JSON: whole numbers become integers, as they do on the way through Go's JSON. None: infinite or not a number.
pub(super) fn float_to_json(value: f64) -> Option<Value> {
    if value.fract() == 0.0 && value.abs() < 9.0e18 {
        #[allow(clippy::cast_possible_truncation, reason = "whole and within range, checked above")]
        return Some(Value::from(value as i64));
    }
    Number::from_f64(value).map(Value::Number)
}

/// A float as a mapping key: Go's `%g` in 32 bits.
pub(super) fn float_key(value: f64) -> String {
    if value.is_nan() {
        return ".nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.into();
    }
    #[allow(clippy::cast_possible_truncation, reason = "that is what Go does with keys")]
    let value = value as f32;
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    // A precision of "shortest" decides at six digits.
    if (-4..6).contains(&exponent) {
        format!("{value}")
    } else {
        format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
    }
}
