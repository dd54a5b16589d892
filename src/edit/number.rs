//! How numbers are written.

use serde_json::Number;

/// As Go's `%v` prints a 64-bit float: the shortest digits that read back the same, with an exponent from a million up and below a
/// ten-thousandth. Commit messages show numbers so.
pub fn general(number: f64) -> String {
    if number == 0.0 {
        return if number.is_sign_negative() { "-0" } else { "0" }.into();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return in_full(number);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// All digits, no exponent: `1000000`, `0.00001`.
pub fn in_full(number: f64) -> String {
    format!("{number}")
}

/// A number of a step's configuration in YAML: whole numbers in all their digits, others as [`general`].
pub fn whole_in_full(number: &Number) -> String {
    if number.is_i64() || number.is_u64() {
        return number.to_string();
    }
    let float = as_float(number);
    if float.fract() == 0.0 { in_full(float) } else { general(float) }
}

/// The number as a 64-bit float; every JSON number has one.
pub fn as_float(number: &Number) -> f64 {
    number.as_f64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_go_prints_them() {
        for (number, text) in [
            (1.5, "1.5"),
            (999_999.0, "999999"),
            (1e6, "1e+06"),
            (1_767_225_600.0, "1.7672256e+09"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (1e21, "1e+21"),
            (-3.0, "-3"),
            (12_345_678_901_234_567_890.0, "1.2345678901234567e+19"),
            (1_234_567.5, "1.2345675e+06"),
        ] {
            assert_eq!(general(number), text);
        }
        assert_eq!(in_full(1e21), "1000000000000000000000");
        assert_eq!(in_full(0.00001), "0.00001");
    }
}
