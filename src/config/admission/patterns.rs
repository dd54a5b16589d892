//! Patterns in names and paths: `glob:`, `regex:`, `regexp:` and exact.

use std::borrow::Cow;

use regex::Regex;

/// A pattern for stage names: exact, or with a prefix that says how to read it.
#[derive(Debug)]
pub(crate) enum NamePattern<'t> {
    /// The very name.
    Exact(&'t str),
    /// A glob or regular expression.
    Pattern,
}

impl<'t> NamePattern<'t> {
    /// Reads a `stageSelector.name`. `Err`: what is wrong with it.
    pub(crate) fn parse(text: &'t str) -> Result<Self, String> {
        match text.split_once(':') {
            None => Ok(Self::Exact(text)),
            Some(("glob", pattern)) => globset::GlobBuilder::new(pattern)
                .literal_separator(true)
                .build()
                .map(|_| Self::Pattern)
                .map_err(|error| format!("the pattern does not compile: {}", error.kind())),
            Some(("regex" | "regexp", pattern)) => go_regex(pattern).map(|_| Self::Pattern),
            Some((prefix, _)) => Err(format!("`{prefix}:` is not a kind of pattern; known: `glob:`, `regex:`, `regexp:`")),
        }
    }
}

/// Compiles a regular expression as Go's RE2 reads it (`\d`, `\w`, `\s` and `\b` are ASCII). `Err`: what is wrong with it, on one line.
pub(crate) fn go_regex(pattern: &str) -> Result<Regex, String> {
    let translated = ascii_classes(pattern);
    Regex::new(&translated).map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().rev().find_map(|line| line.strip_prefix("error: ")).unwrap_or_else(|| text.lines().last().unwrap_or_default());
        format!("the regular expression does not compile: {reason}")
    })
}

/// Perl classes of RE2 are ASCII; those of the `regex` crate are Unicode unless told otherwise.
fn ascii_classes(pattern: &str) -> Cow<'_, str> {
    if !pattern.contains('\\') {
        return Cow::Borrowed(pattern);
    }
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut in_class = false;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('d') => out.push_str("[0-9]"),
                Some('w') => out.push_str("[0-9A-Za-z_]"),
                Some('s') => out.push_str(r"[\t\n\f\r ]"),
                Some('D') if !in_class => out.push_str("[^0-9]"),
                Some('W') if !in_class => out.push_str("[^0-9A-Za-z_]"),
                Some('S') if !in_class => out.push_str(r"[^\t\n\f\r ]"),
                Some('b') if !in_class => out.push_str(r"(?-u:\b)"),
                Some('z') => out.push_str(r"\z"),
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            '[' => {
                in_class = true;
                out.push(c);
            }
            ']' => {
                in_class = false;
                out.push(c);
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}
