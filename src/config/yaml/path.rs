//! Field paths: `spec.subscriptions[0].git.repoURL`, the way Kubernetes writes them.

use std::fmt;
use std::str::FromStr;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A field of a mapping.
    Field(String),
    /// An item of a list, from 0.
    Index(usize),
}

/// The route from the top of a document to a field. It becomes a place in a file only when it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(pub Vec<Segment>);

impl FieldPath {
    /// The document itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// The path of a field below this one.
    #[must_use]
    pub fn field(&self, name: impl Into<String>) -> Self {
        self.with(Segment::Field(name.into()))
    }

    /// The path of several fields, one below the other: `path.fields("sources.stages")`.
    #[must_use]
    pub fn fields(&self, dotted: &str) -> Self {
        dotted.split('.').fold(self.clone(), |path, name| path.field(name))
    }

    /// The path of an item below this one.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    /// The path one level up; None at the top.
    pub fn parent(&self) -> Option<Self> {
        self.0.split_last().map(|(_, rest)| Self(rest.to_vec()))
    }

    /// The path as a JSON pointer (RFC 6901).
    pub fn pointer(&self) -> String {
        self.0
            .iter()
            .map(|segment| match segment {
                Segment::Field(name) => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
                Segment::Index(index) => format!("/{index}"),
            })
            .collect()
    }

    fn with(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Field(name) if name.contains(['.', '[', ']', '"']) || name.is_empty() => write!(f, "[{name:?}]")?,
                Segment::Field(name) if at == 0 => f.write_str(name)?,
                Segment::Field(name) => write!(f, ".{name}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl FromStr for FieldPath {
    type Err = String;

    /// Reads what [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || format!("`{text}` is not a field path; expected a form such as `spec.steps[0].uses`");
        let mut path = Self::root();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(tail) = rest.strip_prefix("[\"") {
                let end = tail.find("\"]").ok_or_else(invalid)?;
                path = path.field(tail[..end].replace("\\\"", "\""));
                rest = &tail[end + 2..];
            } else if let Some(tail) = rest.strip_prefix('[') {
                let end = tail.find(']').ok_or_else(invalid)?;
                path = path.index(tail[..end].parse().map_err(|_| invalid())?);
                rest = &tail[end + 1..];
            } else {
                let tail = rest.strip_prefix('.').unwrap_or(rest);
                let end = tail.find(['.', '[']).unwrap_or(tail.len());
                if end == 0 {
                    return Err(invalid());
                }
                path = path.field(&tail[..end]);
                rest = &tail[end..];
            }
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn paths_read_what_they_print() {
        for text in ["", "spec", "spec.steps[0].uses", "metadata.annotations[\"kargo.akuity.io/color\"]", "[1][2].a"] {
            assert_eq!(text.parse::<FieldPath>().unwrap().to_string(), text);
        }
        for text in ["a..b", "a[", "a[x]", "."] {
            assert!(text.parse::<FieldPath>().is_err(), "{text}");
        }
        assert_eq!(FieldPath::root().field("a/b").index(3).pointer(), "/a~1b/3");
    }
}
