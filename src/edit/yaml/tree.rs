//! A YAML document as a tree that knows where each node stands in the text.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

use crate::edit::EditError;

/// The first document of a YAML text.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its root; None: the text has no document, or an empty one.
    pub root: Option<Node>,
    /// Its comments in the order of the text; empty unless asked for.
    pub comments: Vec<Comment>,
    /// Whether another document follows.
    pub more: bool,
}

/// A comment.
#[derive(Clone, Debug)]
pub struct Comment {
    /// Where it stands, from the `#` to the end of its line.
    pub span: Range<usize>,
}

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// The bytes of its content, without anchor and tag. Empty for a value that is not written. Of a block scalar: the lines of its body.
    /// Of a block collection: from its first key or item (a sequence: its first dash).
    pub span: Range<usize>,
    /// `&name`.
    pub anchor: Option<Property>,
    /// `!tag`.
    pub tag: Option<Property>,
}

/// An anchor or a tag.
#[derive(Clone, Debug)]
pub struct Property {
    /// Where it stands, with its `&` or `!`.
    pub span: Range<usize>,
    /// The anchor's name, or the tag resolved: `tag:yaml.org,2002:str`.
    pub name: String,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A scalar.
    Scalar {
        /// Its content, escapes and folding undone. Empty for a value that is not written.
        text: String,
        /// How it is written.
        style: ScalarStyle,
    },
    /// A sequence.
    Sequence {
        /// Its items.
        items: Vec<Node>,
        /// `[a, b]`.
        flow: bool,
    },
    /// A mapping.
    Mapping {
        /// Its entries in the order of the text, duplicates included.
        entries: Vec<Entry>,
        /// `{a: b}`.
        flow: bool,
    },
    /// `*name`.
    Alias(String),
}

/// An entry of a mapping.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: Node,
    /// The value.
    pub value: Node,
}

impl Node {
    /// Content and style of a scalar.
    pub fn scalar(&self) -> Option<(&str, ScalarStyle)> {
        match &self.kind {
            Kind::Scalar { text, style } => Some((text, *style)),
            _ => None,
        }
    }

    /// Where the node begins, anchor and tag included.
    pub fn start(&self) -> usize {
        [&self.anchor, &self.tag].into_iter().flatten().map(|property| property.span.start).fold(self.span.start, usize::min)
    }

    /// Whether the value is not written at all (`key:`).
    pub fn is_unwritten(&self) -> bool {
        self.span.is_empty() && matches!(self.kind, Kind::Scalar { style: ScalarStyle::Plain, .. })
    }

    /// Whether a reader takes it for null.
    pub fn is_null(&self) -> bool {
        let Kind::Scalar { text, style: ScalarStyle::Plain } = &self.kind else { return false };
        match &self.tag {
            Some(tag) => tag.name == "tag:yaml.org,2002:null",
            None => matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"),
        }
    }
}

/// Reads the first document of a text, with its comments if `comments` says so.
///
/// # Errors
/// The text is not YAML up to the end of its first document.
pub fn parse(text: &str, comments: bool) -> Result<Document, EditError> {
    let options = granit_parser::options! { emit_anchor_events: true, emit_comments: comments, max_buffered_comment_events: usize::MAX };
    let mut reader = Reader { parser: Parser::new_from_str_with_options(text, options), anchors: HashMap::new(), comments: Vec::new(), ahead: None };
    let mut root = None;
    let mut more = false;
    while let Some((event, span)) = reader.next()? {
        match event {
            Event::StreamStart => {}
            Event::DocumentStart(..) => {
                root = Some(reader.node()?);
                reader.next()?;
                // The text after the first document is nobody's business here: it need not even be YAML.
                more = matches!(reader.next(), Ok(Some((Event::DocumentStart(..), _))) | Err(_));
                break;
            }
            Event::StreamEnd => break,
            _ => return Err(unexpected(&span)),
        }
    }
    Ok(Document { root: root.filter(|root| !(root.is_unwritten() && root.tag.is_none() && root.anchor.is_none())), comments: reader.comments, more })
}

fn unexpected(span: &Span) -> EditError {
    EditError::Syntax { format: "YAML", message: format!("unexpected content in line {}", span.start.line()) }
}

struct Reader<'text> {
    parser: Parser<'text, granit_parser::StrInput<'text>>,
    anchors: HashMap<usize, String>,
    comments: Vec<Comment>,
    ahead: Option<(Event<'text>, Span)>,
}

impl<'text> Reader<'text> {
    /// The next event that is no comment.
    fn next(&mut self) -> Result<Option<(Event<'text>, Span)>, EditError> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead));
        }
        loop {
            match self.parser.next_event() {
                None => return Ok(None),
                Some(Err(error)) => return Err(EditError::Syntax { format: "YAML", message: error.to_string() }),
                Some(Ok((Event::Comment(..), span))) => self.comments.push(Comment { span: bytes(&span) }),
                Some(Ok(next)) => return Ok(Some(next)),
            }
        }
    }

    fn peek(&mut self) -> Result<Option<&Event<'text>>, EditError> {
        if self.ahead.is_none() {
            self.ahead = self.next()?;
        }
        Ok(self.ahead.as_ref().map(|(event, _)| event))
    }

    /// The anchor of the node just begun.
    fn anchor(&mut self) -> Result<Option<Property>, EditError> {
        if !matches!(self.peek()?, Some(Event::Anchor(..))) {
            return Ok(None);
        }
        let Some((Event::Anchor(id, name), span)) = self.next()? else { return Ok(None) };
        self.anchors.insert(id, name.to_string());
        Ok(Some(Property { span: bytes(&span), name: name.into_owned() }))
    }

    fn node(&mut self) -> Result<Node, EditError> {
        let Some((event, span)) = self.next()? else {
            return Err(EditError::Syntax { format: "YAML", message: "it ends too early".into() });
        };
        let tag = event.tag().map(|tag| Property {
            span: span.tag_span().as_ref().map_or(0..0, bytes),
            name: format!("{}{}", tag.handle(), tag.suffix()),
        });
        let mut place = bytes(&span);
        let (kind, anchor) = match event {
            Event::Alias(id) => (Kind::Alias(self.anchors.get(&id).cloned().unwrap_or_default()), None),
            Event::Scalar(text, style, ..) => {
                let unwritten = style == ScalarStyle::Plain && place.is_empty();
                let text = if unwritten { String::new() } else { text.into_owned() };
                (Kind::Scalar { text, style }, self.anchor()?)
            }
            Event::SequenceStart(style, ..) => {
                let anchor = self.anchor()?;
                let mut items = Vec::new();
                while !matches!(self.peek()?, Some(Event::SequenceEnd)) {
                    items.push(self.node()?);
                }
                place.end = self.end(place.end)?;
                (Kind::Sequence { items, flow: style == StructureStyle::Flow }, anchor)
            }
            Event::MappingStart(style, ..) => {
                let anchor = self.anchor()?;
                let mut entries = Vec::new();
                while !matches!(self.peek()?, Some(Event::MappingEnd)) {
                    let key = self.node()?;
                    entries.push(Entry { key, value: self.node()? });
                }
                place.end = self.end(place.end)?;
                (Kind::Mapping { entries, flow: style == StructureStyle::Flow }, anchor)
            }
            _ => return Err(unexpected(&span)),
        };
        Ok(Node { kind, span: place, anchor, tag })
    }

    /// Consumes the end event of a collection; where it stands.
    fn end(&mut self, otherwise: usize) -> Result<usize, EditError> {
        Ok(self.next()?.map_or(otherwise, |(_, span)| bytes(&span).end))
    }
}

fn bytes(span: &Span) -> Range<usize> {
    span.byte_range().expect("a parser over a string counts bytes")
}
