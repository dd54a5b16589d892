//! Regular expressions as Go writes them (RE2), run by the `regex` crate.

use regex::bytes::{Regex, RegexBuilder};

/// Compiles a Go regular expression. Linear time, like RE2.
///
/// # Errors
/// A pattern that Go refuses too, such as one with look-around.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    let translated = translate(pattern).map_err(|reason| format!("error parsing regexp `{pattern}`: {reason}"))?;
    RegexBuilder::new(&translated).size_limit(4 << 20).build().map_err(|error| {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
        format!("error parsing regexp `{pattern}`: {reason}")
    })
}

/// Go's classes are ASCII, its brackets do not nest, and a brace that is no repetition is literal.
fn translate(pattern: &str) -> Result<String, &'static str> {
    let characters: Vec<char> = pattern.chars().collect();
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut index = 0;
    let mut class = false;
    let mut class_start = 0;
    while index < characters.len() {
        let character = characters[index];
        let next = characters.get(index + 1).copied();
        index += 1;
        match character {
            '\\' => {
                let Some(escaped) = next else { return Err("trailing backslash") };
                index += 1;
                match escaped {
                    'Q' => {
                        let rest: String = characters[index..].iter().collect();
                        let quoted = rest.split("\\E").next().unwrap_or_default();
                        out.push_str(&regex::escape(quoted));
                        index = (index + quoted.chars().count() + 2).min(characters.len());
                    }
                    'd' => out.push_str(if class { "0-9" } else { "[0-9]" }),
                    'w' => out.push_str(if class { "0-9A-Za-z_" } else { "[0-9A-Za-z_]" }),
                    's' => out.push_str(if class { "\\t\\n\\f\\r " } else { "[\\t\\n\\f\\r ]" }),
                    // a nested class means the same as Go's negated class inside brackets
                    'D' => out.push_str("[^0-9]"),
                    'W' => out.push_str("[^0-9A-Za-z_]"),
                    'S' => out.push_str("[^\\t\\n\\f\\r ]"),
                    'b' if !class => out.push_str("(?-u:\\b)"),
                    'B' if !class => out.push_str("(?-u:\\B)"),
                    'A' | 'z' if !class => out.extend(['\\', escaped]),
                    'a' | 'f' | 't' | 'n' | 'r' | 'v' | 'x' | 'p' | 'P' => out.extend(['\\', escaped]),
                    '0'..='7' => {
                        // octal; `\1` alone would be a reference, which neither knows
                        let digits: String = characters[index - 1..].iter().take(3).take_while(|digit| digit.is_digit(8)).collect();
                        if escaped != '0' && digits.len() < 2 {
                            return Err("invalid escape sequence");
                        }
                        index += digits.len() - 1;
                        let code = u32::from_str_radix(&digits, 8).unwrap_or_default();
                        out.push_str(&format!("\\x{{{code:x}}}"));
                    }
                    _ if escaped.is_ascii_punctuation() => out.push_str(&regex::escape(&escaped.to_string())),
                    _ => return Err("invalid escape sequence"),
                }
            }
            '[' if !class => {
                class = true;
                out.push('[');
                if next == Some('^') {
                    out.push('^');
                    index += 1;
                }
                class_start = index;
            }
            ']' if class && index - 1 == class_start => out.push_str("\\]"),
            ']' if class => {
                class = false;
                out.push(']');
            }
            '[' if next == Some(':') => {
                let rest: String = characters[index - 1..].iter().collect();
                match rest.find(":]") {
                    Some(end) => {
                        out.push_str(&rest[..end + 2]);
                        index += rest[..end + 2].chars().count() - 1;
                    }
                    None => out.push_str("\\["),
                }
            }
            '[' => out.push_str("\\["),
            '&' | '~' if class => out.extend(['\\', character]),
            '-' if class && next == Some('-') => out.push_str("\\-"),
            '{' if !class => {
                let rest: String = characters[index..].iter().collect();
                let (bounds, closed) = rest.split_once('}').map_or(("", false), |(bounds, _)| (bounds, true));
                let number = |text: &str| !text.is_empty() && text.len() < 10 && text.bytes().all(|digit| digit.is_ascii_digit());
                let (low, high) = bounds.split_once(',').unwrap_or((bounds, bounds));
                if closed && number(low) && (high.is_empty() || number(high)) {
                    if [low, high].iter().any(|bound| bound.parse::<u32>().is_ok_and(|bound| bound > 1000)) {
                        return Err("invalid repeat count");
                    }
                    out.push('{');
                } else {
                    out.push_str("\\{");
                }
            }
            _ => out.push(character),
        }
    }
    if class { Err("missing closing ]") } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        for (pattern, text, matches) in [
            (r"^\d+$", "12", true),
            (r"^\d+$", "١٢", false),
            (r"^[\w.-]+$", "a_b-1.c", true),
            (r"^[\D]$", "1", false),
            (r"^[\D]$", "x", true),
            (r"a{,2}", "a{,2}", true),
            (r"a{2}", "aa", true),
            (r"\Qa.b\E$", "a.b", true),
            (r"\Qa.b\E$", "axb", false),
            (r"[[]", "[", true),
            (r"[a&&b]", "&", true),
            (r"[]a]", "]", true),
            (r"[[:alpha:]]+", "abc", true),
            (r"\bfix\b", "a fix b", true),
            (r"\101\_\/", "A_/", true),
            (r"(?i)ABC", "abc", true),
        ] {
            assert_eq!(compile(pattern).unwrap().is_match(text.as_bytes()), matches, "{pattern} {text}");
        }
        for pattern in ["[", "(?=a)", "a(", "\\", r"\1", "a{1001}", "*"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
