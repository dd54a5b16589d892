//! Durations as Go writes them (`1h30m`, `300ms`), which is how every Kargo definition and record does.

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A signed duration with Go's text form. Nanosecond precision, about 292 years either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(pub SignedDuration);

impl GoDuration {
    /// Whole seconds.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(SignedDuration::from_secs(seconds))
    }

    /// As jiff's duration, for arithmetic with timestamps.
    pub const fn signed(self) -> SignedDuration {
        self.0
    }

    /// For timers: negative durations become zero.
    pub fn unsigned(self) -> std::time::Duration {
        std::time::Duration::try_from(self.0).unwrap_or_default()
    }
}

impl FromStr for GoDuration {
    type Err = String;

    /// Parses as Go's `time.ParseDuration` does: optional sign, then numbers with a unit of `ns us µs ms s m h`; a bare `0` is allowed.
    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || format!("`{text}` is not a duration; expected a form such as `90s`, `5m` or `1h30m`");
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Self::default());
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total: i128 = 0;
        while !rest.is_empty() {
            let number_end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(invalid)?;
            let (number, tail) = rest.split_at(number_end);
            let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, after) = tail.split_at(unit_end);
            let scale: i128 = match unit {
                "ns" => 1,
                "us" | "µs" | "μs" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                _ => return Err(invalid()),
            };
            let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
            if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || whole.len() > 19 {
                return Err(invalid());
            }
            let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
            total += whole * scale;
            let mut unit_part = scale;
            for digit in fraction.bytes() {
                unit_part /= 10;
                total += i128::from(digit - b'0') * unit_part;
            }
            if total > i128::from(i64::MAX) {
                return Err(invalid());
            }
            rest = after;
        }
        let nanos = i64::try_from(total).map_err(|_| invalid())?;
        Ok(Self(SignedDuration::from_nanos(if negative { -nanos } else { nanos })))
    }
}

impl fmt::Display for GoDuration {
    /// Go's `Duration.String`: `1h30m0s`, `5m0s`, `1.5s`, `300ms`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let magnitude = nanos.unsigned_abs();
        if nanos < 0 {
            f.write_str("-")?;
        }
        let with_fraction = |value: u128, unit: u128| {
            let (whole, rest) = (value / unit, value % unit);
            if rest == 0 {
                return whole.to_string();
            }
            let width = unit.ilog10() as usize;
            format!("{whole}.{}", format!("{rest:0width$}").trim_end_matches('0'))
        };
        match magnitude {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{magnitude}ns"),
            1_000..1_000_000 => write!(f, "{}µs", with_fraction(magnitude, 1_000)),
            1_000_000..1_000_000_000 => write!(f, "{}ms", with_fraction(magnitude, 1_000_000)),
            _ => {
                let seconds = magnitude / 1_000_000_000;
                let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
                if hours > 0 {
                    write!(f, "{hours}h")?;
                }
                if seconds >= 60 {
                    write!(f, "{minutes}m")?;
                }
                write!(f, "{}s", with_fraction(magnitude % 60_000_000_000, 1_000_000_000))
            }
        }
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print_as_go_does() {
        for (text, printed) in [
            ("5m", "5m0s"),
            ("1h30m", "1h30m0s"),
            ("90s", "1m30s"),
            ("1500ms", "1.5s"),
            ("300ms", "300ms"),
            ("-5m", "-5m0s"),
            ("1.5h", "1h30m0s"),
            (".5h", "30m0s"),
            ("0", "0s"),
            ("1us", "1µs"),
            ("100ns", "100ns"),
        ] {
            assert_eq!(text.parse::<GoDuration>().unwrap().to_string(), printed, "{text}");
        }
        for text in ["", "5", "m", "5 m", "1d", "abc5s", "-", "1.2.3s", "9999999h"] {
            assert!(text.parse::<GoDuration>().is_err(), "{text}");
        }
    }
}
