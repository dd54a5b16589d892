//! Errors of expressions: what is wrong, and where in the expression's text.

use std::fmt;

/// Why an expression or template has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprError {
    /// One sentence, lowercase, with the fix where one is known.
    pub message: String,
    /// Line and column, from 1, in characters, inside the text of the expression (which starts right after the opening delimiter of a
    /// template). None for what has no place: an unclosed delimiter, a result that cannot be written as JSON.
    pub position: Option<(usize, usize)>,
    /// The line of the expression that the position points into.
    pub snippet: Option<String>,
    /// Whether the text itself is wrong, whatever the values: the error shows when it is compiled, before anything runs.
    pub compile: bool,
}

impl ExprError {
    /// An error without a place.
    pub(super) fn placeless(message: impl Into<String>) -> Self {
        Self { message: message.into(), position: None, snippet: None, compile: false }
    }

    /// An error at a character offset of the source.
    pub(super) fn at(source: &str, offset: u32, message: String, compile: bool) -> Self {
        let (mut line, mut column) = (1, 1);
        for character in source.chars().take(offset as usize) {
            if character == '\n' {
                line += 1;
                column = 1;
            } else {
                column += 1;
            }
        }
        let snippet = source.split('\n').nth(line - 1).filter(|line| !line.trim().is_empty()).map(|line| line.replace('\t', " "));
        Self { message, position: Some((line, column)), snippet, compile }
    }

    /// The same error with a text in front of the message.
    #[must_use]
    pub fn prefixed(mut self, prefix: &str) -> Self {
        self.message = format!("{prefix}{}", self.message);
        self
    }
}

impl fmt::Display for ExprError {
    /// `message (line:column)`, then the line and a mark under the place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let Some((line, column)) = self.position else { return Ok(()) };
        write!(f, " ({line}:{column})")?;
        if let Some(snippet) = &self.snippet {
            let shown: String = snippet.chars().take(160).collect();
            write!(f, "\n | {shown}")?;
            if column <= 160 {
                write!(f, "\n | {}^", ".".repeat(column - 1))?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ExprError {}

/// An error on its way up: a message and the character offset it belongs to.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: u32,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(at: u32, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// The candidate that a user most likely meant by `name`, if one is close.
pub(super) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.chars().count() > 40 {
        return None;
    }
    let limit = match name.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .filter(|candidate| *candidate != name)
        .map(|candidate| (distance(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean ...?` for the nearest candidate, or nothing.
pub(super) fn suggestion<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates).map(|candidate| format!("; did you mean `{candidate}`?")).unwrap_or_default()
}

/// Levenshtein distance in characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(l != *r);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_error_points_at_its_character() {
        let error = ExprError::at("é +\n  nope.x", 6, "no".into(), false);
        assert_eq!(error.position, Some((2, 3)));
        assert_eq!(error.to_string(), "no (2:3)\n |   nope.x\n | ..^");
    }

    #[test]
    fn the_nearest_name_is_suggested() {
        assert_eq!(nearest("sucess", ["success", "status"]), Some("success"));
        assert_eq!(nearest("tag", ["Tag", "Digest"]), Some("Tag"));
        assert_eq!(nearest("x", ["warehouse"]), None);
    }
}
