//! Diagnostics: what is wrong with the user's files, where, and what to write instead.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing to do.
    Note,
    /// Works, but hardly as meant.
    Warning,
    /// Cannot be used.
    Error,
}

impl Severity {
    /// The word users read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A file of a [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(usize);

/// A range of bytes in one file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file.
    pub file: FileId,
    /// The bytes.
    pub span: Range<usize>,
}

/// A place with a few words about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub place: Place,
    /// What is there, in a few words.
    pub text: String,
}

/// One finding about the user's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable identity of the rule, such as `config/unknown-stage`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// One short sentence, lowercase, names in backticks.
    pub message: String,
    /// The place it is about; None: no file is to blame.
    pub primary: Option<Label>,
    /// Other places that belong to it ("first defined here").
    pub related: Vec<Label>,
    /// The fix.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A finding without a place.
    pub fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Self { code, severity, message: message.into(), primary: None, related: Vec::new(), help: None }
    }

    /// An error.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    /// A warning.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    /// A note.
    pub fn note(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, message)
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, place: Place, label: impl Into<String>) -> Self {
        self.primary = Some(Label { place, text: label.into() });
        self
    }

    /// Points at another place.
    #[must_use]
    pub fn related(mut self, place: Place, label: impl Into<String>) -> Self {
        self.related.push(Label { place, text: label.into() });
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Line and column as editors count them: both from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

#[derive(Clone, Debug)]
struct Source {
    path: String,
    text: Arc<str>,
    line_starts: Vec<usize>,
    hidden: Vec<Range<usize>>,
}

/// The texts that diagnostics point into.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    sources: Vec<Source>,
}

impl SourceMap {
    /// Adds a file by the path users know it by.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<Arc<str>>) -> FileId {
        let text = text.into();
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        self.sources.push(Source { path: path.into(), text, line_starts, hidden: Vec::new() });
        FileId(self.sources.len() - 1)
    }

    /// The path of a file.
    pub fn path(&self, file: FileId) -> &str {
        &self.sources[file.0].path
    }

    /// The text of a file.
    pub fn text(&self, file: FileId) -> &str {
        &self.sources[file.0].text
    }

    /// Hides bytes of a file from everything that shows its lines: values of secrets.
    pub fn hide(&mut self, file: FileId, span: Range<usize>) {
        self.sources[file.0].hidden.push(span);
    }

    /// The text of a file as it may be shown: hidden bytes are `*`, places stay where they are.
    pub fn shown(&self, file: FileId) -> String {
        let source = &self.sources[file.0];
        if source.hidden.is_empty() {
            return source.text.as_ref().to_owned();
        }
        let mut shown = String::with_capacity(source.text.len());
        for (at, character) in source.text.char_indices() {
            if !character.is_whitespace() && source.hidden.iter().any(|span| span.contains(&at)) {
                shown.extend(std::iter::repeat_n('*', character.len_utf8()));
            } else {
                shown.push(character);
            }
        }
        shown
    }

    /// The text of a place; empty if the place is not within the file.
    pub fn slice(&self, place: &Place) -> &str {
        self.text(place.file).get(place.span.clone()).unwrap_or_default()
    }

    /// Where a byte of a file is, as editors count.
    pub fn position(&self, file: FileId, offset: usize) -> Position {
        let source = &self.sources[file.0];
        let line = source.line_starts.partition_point(|&start| start <= offset).max(1);
        let start = source.line_starts[line - 1];
        let column = source.text.get(start..offset).map_or(offset - start, |before| before.chars().count()) + 1;
        Position { line, column }
    }

    /// Start of a place, as editors count.
    pub fn start(&self, place: &Place) -> Position {
        self.position(place.file, place.span.start)
    }

    /// `path:line:column` of a place.
    pub fn describe(&self, place: &Place) -> String {
        let Position { line, column } = self.start(place);
        format!("{}:{line}:{column}", self.path(place.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_bytes_are_shown_as_stars_in_place() {
        let mut sources = SourceMap::default();
        let file = sources.add("a.yaml", "a: größe\nb: 2\n");
        sources.hide(file, 3.."a: größe".len());
        assert_eq!(sources.shown(file), "a: *******\nb: 2\n");
        assert_eq!(sources.text(file), "a: größe\nb: 2\n");
    }

    #[test]
    fn positions_count_characters_from_one() {
        let mut sources = SourceMap::default();
        let file = sources.add("a.yaml", "größe: 1\nb: 2\n");
        assert_eq!(sources.position(file, 0), Position { line: 1, column: 1 });
        assert_eq!(sources.position(file, "größe".len()), Position { line: 1, column: 6 });
        assert_eq!(sources.position(file, "größe: 1\nb".len()), Position { line: 2, column: 2 });
        assert_eq!(sources.position(file, "größe: 1\nb: 2\n".len()), Position { line: 3, column: 1 });
    }
}
