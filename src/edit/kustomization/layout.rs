//! Writes a YAML document the way kustomize's writer lays it out: two blanks a level, lists not indented below their key, comments kept,
//! blank lines only after a comment that stands for itself.

use granit_parser::ScalarStyle;

use crate::edit::EditError;
use crate::edit::yaml::scalar;
use crate::edit::yaml::tree::{Comment, Entry, Kind, Node};

/// The text a document is read from, and the comments that were not yet written.
pub(super) struct Layout<'a> {
    text: &'a str,
    comments: &'a [Comment],
}

impl<'a> Layout<'a> {
    /// `comments` in the order of the text.
    pub(super) fn new(text: &'a str, comments: &'a [Comment]) -> Self {
        Self { text, comments }
    }

    /// Takes the comments that stand before a place.
    pub(super) fn above(&mut self, before: usize) -> Vec<String> {
        let count = self.comments.iter().take_while(|comment| comment.span.start < before).count();
        let (taken, rest) = self.comments.split_at(count);
        self.comments = rest;
        taken.iter().map(|comment| self.written(comment)).collect()
    }

    /// Takes the comment that stands behind a place, on the same line.
    pub(super) fn behind(&mut self, place: usize) -> Option<String> {
        let (next, rest) = self.comments.split_first()?;
        let between = self.text.get(place..next.span.start)?;
        if between.contains('\n') {
            return None;
        }
        self.comments = rest;
        Some(self.written(next))
    }

    fn written(&self, comment: &Comment) -> String {
        self.text[comment.span.clone()].trim_end().to_owned()
    }

    /// Writes the comments that stand before a place, a line each. A blank line after them stays if they belong to what is above: they follow
    /// it at once, or open the file.
    pub(super) fn head(&mut self, before: usize, indent: usize, out: &mut String) {
        let mut apart = false;
        while let Some((next, rest)) = self.comments.split_first().filter(|(next, _)| next.span.start < before) {
            self.comments = rest;
            apart |= self.is_apart(next);
            indented(out, indent, &self.written(next));
            let mut after = self.text[next.span.end..].lines().skip(1);
            if after.next().is_some_and(|line| line.trim().is_empty()) {
                if !apart && after.any(|line| !line.trim().is_empty()) {
                    out.push('\n');
                }
                apart = false;
            }
        }
    }

    /// Whether a blank line stands above a comment.
    fn is_apart(&self, comment: &Comment) -> bool {
        let line = self.text[..comment.span.start].trim_end_matches([' ', '\t']);
        line.strip_suffix('\n').is_some_and(|above| above.trim_end_matches([' ', '\t']).ends_with('\n'))
    }

    /// Takes what stands behind the last entry: comments that follow it at once, and those that stand for themselves at the end of the file.
    pub(super) fn foot(&mut self) -> (String, String) {
        let (mut close, mut end) = (String::new(), String::new());
        match self.comments.iter().find(|comment| self.is_apart(comment)).map(|comment| comment.span.start) {
            Some(start) => {
                self.head(start, 0, &mut close);
                self.head(usize::MAX, 0, &mut end);
            }
            None => self.head(usize::MAX, 0, &mut close),
        }
        (close.trim_end().to_owned(), end)
    }

    /// Writes an entry of a block mapping, from its key on. The caller has indented.
    pub(super) fn entry(&mut self, entry: &Entry, indent: usize, out: &mut String) -> Result<(), EditError> {
        out.push_str(&self.inline(&entry.key)?);
        out.push(':');
        self.value(&entry.value, entry.key.span.end, indent, indent, out)
    }

    /// Writes what follows `key:` or `-`, up to and with its line's end. `indent` is that of the line; `list` that of a list below.
    fn value(&mut self, node: &Node, opened: usize, indent: usize, list: usize, out: &mut String) -> Result<(), EditError> {
        for property in self.properties(node) {
            out.push(' ');
            out.push_str(property);
        }
        let block = match &node.kind {
            Kind::Scalar { style, .. } => matches!(style, ScalarStyle::Literal | ScalarStyle::Folded),
            Kind::Sequence { flow, .. } | Kind::Mapping { flow, .. } => !flow,
            Kind::Alias(_) => false,
        };
        if !block {
            let text = self.content(node)?;
            if !text.is_empty() {
                out.push(' ');
                out.push_str(&text);
            }
            let end = if node.is_unwritten() { opened } else { node.span.end };
            self.line_end(end, out);
            return Ok(());
        }
        match &node.kind {
            Kind::Scalar { text, style } => {
                out.push(' ');
                out.push_str(&block_header(text, *style));
                self.line_end(opened, out);
                block_body(text, *style, indent + 2, out);
            }
            Kind::Sequence { items, .. } => {
                self.line_end(opened, out);
                self.sequence(items, list, out)?;
            }
            Kind::Mapping { entries, .. } => {
                self.line_end(opened, out);
                self.mapping(entries, indent + 2, out)?;
            }
            Kind::Alias(_) => {}
        }
        Ok(())
    }

    fn line_end(&mut self, place: usize, out: &mut String) {
        if let Some(comment) = self.behind(place) {
            out.push(' ');
            out.push_str(&comment);
        }
        out.push('\n');
    }

    fn mapping(&mut self, entries: &[Entry], indent: usize, out: &mut String) -> Result<(), EditError> {
        for entry in entries {
            self.head(entry.key.start(), indent, out);
            blanks(out, indent);
            self.entry(entry, indent, out)?;
        }
        Ok(())
    }

    fn sequence(&mut self, items: &[Node], indent: usize, out: &mut String) -> Result<(), EditError> {
        for item in items {
            self.head(item.start(), indent, out);
            blanks(out, indent);
            self.item(item, indent, out)?;
        }
        Ok(())
    }

    /// Writes an item of a block sequence, from its dash on. Its first line holds the first line of what it is.
    fn item(&mut self, item: &Node, indent: usize, out: &mut String) -> Result<(), EditError> {
        out.push('-');
        let bare = item.anchor.is_none() && item.tag.is_none();
        match &item.kind {
            Kind::Mapping { entries, flow: false } if bare => {
                if let Some((first, rest)) = entries.split_first() {
                    out.push(' ');
                    self.entry(first, indent + 2, out)?;
                    self.mapping(rest, indent + 2, out)?;
                }
                Ok(())
            }
            Kind::Sequence { items, flow: false } if bare => {
                if let Some((first, rest)) = items.split_first() {
                    out.push(' ');
                    self.item(first, indent + 2, out)?;
                    self.sequence(rest, indent + 2, out)?;
                }
                Ok(())
            }
            _ => self.value(item, item.start(), indent, indent + 2, out),
        }
    }

    /// A node on one line, with its properties: a key, or part of a flow collection.
    pub(super) fn inline(&mut self, node: &Node) -> Result<String, EditError> {
        let mut parts: Vec<String> = self.properties(node).into_iter().map(str::to_owned).collect();
        let content = self.content(node)?;
        if !content.is_empty() {
            parts.push(content);
        }
        Ok(parts.join(" "))
    }

    fn properties(&self, node: &Node) -> Vec<&'a str> {
        let mut properties: Vec<_> = [&node.anchor, &node.tag].into_iter().flatten().map(|property| property.span.clone()).collect();
        properties.sort_by_key(|span| span.start);
        properties.into_iter().map(|span| &self.text[span]).collect()
    }

    fn content(&mut self, node: &Node) -> Result<String, EditError> {
        let text = self.text;
        let raw = &text[node.span.clone()];
        match &node.kind {
            Kind::Alias(name) => Ok(format!("*{name}")),
            Kind::Scalar { style: ScalarStyle::Literal | ScalarStyle::Folded, .. } => Err(EditError::Entangled),
            Kind::Scalar { .. } if !raw.contains('\n') => Ok(raw.to_owned()),
            Kind::Scalar { text, style: ScalarStyle::Plain } if scalar::is_plain(text, true) => Ok(text.clone()),
            Kind::Scalar { text, style } if *style != ScalarStyle::Plain => Ok(scalar::double_quoted(text)),
            Kind::Sequence { flow: true, .. } | Kind::Mapping { flow: true, .. }
                if self.comments.first().is_some_and(|next| node.span.contains(&next.span.start)) =>
            {
                // Comments between the members have no other place.
                self.above(node.span.end);
                Ok(raw.to_owned())
            }
            Kind::Sequence { items, flow: true } => {
                let items = items.iter().map(|item| self.inline(item)).collect::<Result<Vec<_>, _>>()?;
                Ok(format!("[{}]", items.join(", ")))
            }
            Kind::Mapping { entries, flow: true } => {
                let entries = entries.iter().map(|entry| self.pair(entry)).collect::<Result<Vec<_>, _>>()?;
                Ok(format!("{{{}}}", entries.join(", ")))
            }
            _ => Err(EditError::Entangled),
        }
    }

    /// An entry of a flow mapping.
    pub(super) fn pair(&mut self, entry: &Entry) -> Result<String, EditError> {
        let key = self.inline(&entry.key)?;
        let value = self.inline(&entry.value)?;
        Ok(if value.is_empty() { key } else { format!("{key}: {value}") })
    }
}

fn blanks(out: &mut String, count: usize) {
    out.extend(std::iter::repeat_n(' ', count));
}

fn indented(out: &mut String, indent: usize, line: &str) {
    blanks(out, indent);
    out.push_str(line);
    out.push('\n');
}

/// `|` or `>`, an indentation where the first line does not show it, and what happens to the line breaks at the end.
fn block_header(text: &str, style: ScalarStyle) -> String {
    let mark = if style == ScalarStyle::Literal { '|' } else { '>' };
    let indent = if text.starts_with([' ', '\n', '\t']) { "2" } else { "" };
    let chomp = match text.strip_suffix('\n') {
        None => "-",
        Some(rest) if rest.is_empty() || rest.ends_with('\n') => "+",
        Some(_) => "",
    };
    format!("{mark}{indent}{chomp}")
}

/// The lines of a block scalar. In a folded one a line break after a line of text takes an empty line; the writer that is imitated adds one
/// to the last line too, which a reader drops.
fn block_body(text: &str, style: ScalarStyle, indent: usize, out: &mut String) {
    let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or(text).split('\n').collect();
    let clipped = text.ends_with('\n') && !text.ends_with("\n\n");
    for (index, line) in lines.iter().enumerate() {
        if line.is_empty() {
            out.push('\n');
        } else {
            indented(out, indent, line);
        }
        let is_text = |line: &str| !line.is_empty() && !line.starts_with([' ', '\t']);
        let breaks = lines[index + 1..].iter().find(|line| !line.is_empty()).map_or(clipped, |next| is_text(next));
        if style == ScalarStyle::Folded && is_text(line) && breaks {
            out.push('\n');
        }
    }
}
