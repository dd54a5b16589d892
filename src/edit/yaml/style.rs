//! A YAML document as it is written, detached from its text: values with their quotes, anchors, tags and comments.

use granit_parser::ScalarStyle;

use super::tree::{self, Document};

/// A value.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub kind: Kind,
    /// Without its `&`.
    pub anchor: Option<String>,
    /// As written.
    pub tag: Option<String>,
    /// The comment behind it, with its `#`.
    pub comment: Option<String>,
    /// Comments on lines of their own after the last entry or item.
    pub foot: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Scalar(Scalar),
    Sequence { items: Vec<Item>, flow: bool },
    Mapping { entries: Vec<Entry>, flow: bool },
    /// Without its `*`.
    Alias(String),
}

#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub text: String,
    pub style: ScalarStyle,
    /// How it stands in its file; for a folded block the lines of its body, without their common indentation.
    pub written: String,
}

/// An item of a sequence and the comments on the lines above it.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub head: Vec<String>,
    pub value: Value,
}

/// An entry of a mapping and the comments on the lines above it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub head: Vec<String>,
    pub key: Value,
    pub value: Value,
}

impl Value {
    /// Text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// Whether a reader takes it for null.
    pub fn is_null(&self) -> bool {
        let Kind::Scalar(Scalar { text, style: ScalarStyle::Plain, .. }) = &self.kind else { return false };
        self.tag.as_deref().is_none_or(|tag| tag == "!!null") && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// The value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let Kind::Mapping { entries, .. } = &self.kind else { return None };
        entries.iter().find(|entry| entry.key.text() == Some(key)).map(|entry| &entry.value)
    }
}

/// Detaches a document from its text. Err: what it has that cannot be written anew.
pub(super) fn detach(text: &str, document: &Document) -> Result<Option<Value>, String> {
    let Some(root) = &document.root else { return Ok(None) };
    let mut reader = Reader { text, comments: document.comments.iter().map(|comment| comment.span.clone()).peekable(), done: 0 };
    let mut value = reader.value(root, None)?;
    value.foot.extend(reader.comments.map(|span| text[span].to_owned()));
    Ok(Some(value))
}

struct Reader<'a, I: Iterator<Item = std::ops::Range<usize>>> {
    text: &'a str,
    comments: std::iter::Peekable<I>,
    /// The end of what has been read.
    done: usize,
}

impl<I: Iterator<Item = std::ops::Range<usize>>> Reader<'_, I> {
    /// Comments before a position.
    fn above(&mut self, position: usize) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(span) = self.comments.next_if(|span| span.start < position) {
            self.done = self.done.max(span.end);
            found.push(self.text[span].to_owned());
        }
        found
    }

    /// The comment on the same line behind a position.
    fn behind(&mut self, position: Option<usize>) -> Option<String> {
        let position = position?;
        let text = self.text;
        let span = self.comments.next_if(|span| span.start >= position && !text[position..span.start].contains('\n'))?;
        self.done = self.done.max(span.end);
        Some(text[span].to_owned())
    }

    /// Comments on lines of their own that follow at once and are indented at least as deep as a collection.
    fn below(&mut self, column: usize) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(span) = self.comments.peek().cloned() {
            let between = self.text.get(self.done..span.start).unwrap_or("x");
            if column == 0 || self.column(span.start) < column || !between.trim().is_empty() {
                break;
            }
            found.extend(self.above(span.end));
        }
        found
    }

    fn column(&self, position: usize) -> usize {
        position - self.text[..position].rfind('\n').map_or(0, |at| at + 1)
    }

    /// `line`: where the line of a value begins to be its own, behind its key or dash; None: a key, or the root, has no comment of its own.
    fn value(&mut self, node: &tree::Node, line: Option<usize>) -> Result<Value, String> {
        let mut comment = None;
        let mut foot = Vec::new();
        let kind = match &node.kind {
            tree::Kind::Alias(name) => {
                self.done = node.span.end;
                comment = self.behind(line.map(|_| node.span.end));
                Kind::Alias(name.clone())
            }
            tree::Kind::Scalar { text, style } => {
                let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                if block || node.is_unwritten() {
                    comment = self.behind(line);
                }
                self.done = self.done.max(node.span.end);
                if comment.is_none() && !block {
                    comment = self.behind(line.map(|_| node.span.end));
                }
                let written = if *style == ScalarStyle::Folded { self.body(node) } else { self.text[node.span.clone()].to_owned() };
                Kind::Scalar(Scalar { text: text.clone(), style: *style, written })
            }
            tree::Kind::Sequence { items, flow } => {
                if !flow {
                    comment = self.behind(line);
                }
                let mut read = Vec::new();
                for item in items {
                    let head = self.above(item.start());
                    read.push(Item { head, value: self.value(item, Some(item.start()))? });
                }
                self.close(node, *flow, line, &mut comment, &mut foot);
                Kind::Sequence { items: read, flow: *flow }
            }
            tree::Kind::Mapping { entries, flow } => {
                if !flow {
                    comment = self.behind(line);
                }
                let mut read = Vec::new();
                for entry in entries {
                    if matches!(entry.key.kind, tree::Kind::Sequence { .. } | tree::Kind::Mapping { .. }) {
                        return Err("it has a key that is a list or a mapping".into());
                    }
                    let head = self.above(entry.key.start());
                    let key = self.value(&entry.key, None)?;
                    read.push(Entry { head, key, value: self.value(&entry.value, Some(entry.key.span.end))? });
                }
                self.close(node, *flow, line, &mut comment, &mut foot);
                Kind::Mapping { entries: read, flow: *flow }
            }
        };
        let tag = node.tag.as_ref().map(|tag| self.text[tag.span.clone()].to_owned());
        Ok(Value { kind, anchor: node.anchor.as_ref().map(|anchor| anchor.name.clone()), tag, comment, foot })
    }

    fn close(&mut self, node: &tree::Node, flow: bool, line: Option<usize>, comment: &mut Option<String>, foot: &mut Vec<String>) {
        if flow {
            foot.extend(self.above(node.span.end));
            self.done = self.done.max(node.span.end);
            *comment = self.behind(line.map(|_| node.span.end));
        } else {
            foot.extend(self.below(self.column(node.span.start)));
        }
    }

    /// The lines of a folded block without their common indentation.
    fn body(&self, node: &tree::Node) -> String {
        let start = node.span.start - self.column(node.span.start);
        let lines: Vec<&str> = self.text[start..node.span.end].lines().collect();
        let indent = lines.iter().filter(|line| !line.trim().is_empty()).map(|line| line.len() - line.trim_start_matches(' ').len()).min();
        lines.iter().map(|line| line.get(indent.unwrap_or(0)..).unwrap_or("").trim_end_matches('\r')).collect::<Vec<_>>().join("\n")
    }
}
