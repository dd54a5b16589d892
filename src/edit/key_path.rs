//! Key paths of YAML and TOML edits: `image.tag`, `hosts.0`, `annotations.example\.com/owner`.

/// Splits a key into its parts.
///
/// `.` separates; `\.` and `\:` stand for themselves; a `:` is allowed only at the start of a part, where it is dropped (in Kargo it marks
/// a number as the key of a mapping, which needs no mark here). Blanks around the whole key are ignored.
///
/// # Errors
/// What is wrong: an empty key or part, another escape, a `:` elsewhere.
///
/// ```
/// assert_eq!(consign::edit::key_path::split(r"app\.io/name.:80.0").unwrap(), ["app.io/name", "80", "0"]);
/// ```
pub fn split(key: &str) -> Result<Vec<String>, String> {
    let key = key.trim();
    if key.is_empty() {
        return Err("it is empty".into());
    }
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut at_start = true;
    let mut chars = key.chars();
    while let Some(next) = chars.next() {
        match next {
            '.' => {
                if part.is_empty() {
                    return Err("it has an empty part".into());
                }
                parts.push(std::mem::take(&mut part));
                at_start = true;
                continue;
            }
            '\\' => match chars.next() {
                Some(escaped @ ('.' | ':')) => part.push(escaped),
                _ => return Err(r"a backslash stands only before `.` or `:`".into()),
            },
            ':' if at_start => {}
            ':' => return Err(r"a `:` inside a part is written `\:`".into()),
            other => part.push(other),
        }
        at_start = false;
    }
    if part.is_empty() {
        return Err("it has an empty part".into());
    }
    parts.push(part);
    Ok(parts)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::split;

    #[test]
    fn dots_separate_and_escapes_stand_for_themselves() {
        assert_eq!(split(" app.tag ").unwrap(), ["app", "tag"]);
        assert_eq!(split(r"a\.b.c\:d").unwrap(), ["a.b", "c:d"]);
        assert_eq!(split("ports.:8080").unwrap(), ["ports", "8080"]);
        assert_eq!(split("a[1]").unwrap(), ["a[1]"]);
    }

    #[test]
    fn bad_keys_are_refused() {
        for key in ["", "  ", ".a", "a.", "a..b", "a:b", r"a\b", r"a\", ":", "a.::b"] {
            assert!(split(key).is_err(), "{key}");
        }
    }
}
