//! Patterns in names and paths: `glob:`, `regex:`, `regexp:` and exact.

use regex::Regex;

use crate::expr;

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

/// Compiles a regular expression as Go's RE2 reads it. `Err`: what is wrong with it, on one line.
pub(crate) fn go_regex(pattern: &str) -> Result<Regex, String> {
    let wrong = |reason: &str| format!("the regular expression does not compile: {}", reason.rsplit_once("`: ").map_or(reason, |(_, reason)| reason));
    let translated = expr::compile_regex(pattern).map_err(|reason| wrong(&reason))?;
    // Names and paths are text, so the same expression is run on text.
    Regex::new(translated.as_str()).map_err(|error| wrong(error.to_string().lines().last().unwrap_or_default()))
}
