//! The reader: splits a stream into documents, then builds the tree of each from the parser's events.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::Value;

use super::scalar::{Scalar, float_key, float_to_json, resolve_plain, resolve_tagged};
use super::{Content, Entry, Node};

const BYTE_ORDER_MARK: char = '\u{feff}';

/// How to read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// What a repeated key is.
    pub duplicate_keys: DuplicateKeys,
    /// What is too much.
    pub limits: Limits,
}

/// What a repeated key of a mapping is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DuplicateKeys {
    /// An error.
    #[default]
    Refuse,
    /// The last one counts, as for Kargo's steps.
    LastWins,
}

/// What is too much.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the text.
    pub bytes: usize,
    /// Levels of lists and mappings within each other.
    pub depth: usize,
    /// Values that aliases may grow to, in all.
    pub aliased: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 32 << 20, depth: 1000, aliased: 1_000_000 }
    }
}

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct YamlError {
    /// What is wrong.
    pub message: String,
    /// Where, in bytes of the whole text.
    pub span: Range<usize>,
    /// The earlier place it is about (the first of two equal keys).
    pub earlier: Option<Range<usize>>,
    /// What to do.
    pub help: Option<String>,
}

impl YamlError {
    fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), span, earlier: None, help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// What came of reading a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Documents {
    /// The documents in order; None for an empty one. Those before the error, if there is one.
    pub documents: Vec<Option<Node>>,
    /// Why reading stopped.
    pub error: Option<YamlError>,
}

/// Reads all documents of a text.
///
/// Documents are split at lines that begin with `---`, as kubectl does: such a line may carry a comment and nothing else. Spans are bytes of
/// `text`. Reading stops at the first document that is wrong: after it nothing is certain.
pub fn parse_documents(text: &str, options: &Options) -> Documents {
    let mut read = Documents::default();
    if text.len() > options.limits.bytes {
        let error = YamlError::new(0..0, format!("the text has {} bytes; at most {} are read", text.len(), options.limits.bytes));
        return Documents { error: Some(error), ..read };
    }
    for chunk in split(text) {
        match chunk.and_then(|range| parse_document(text, range, options)) {
            Ok(document) => read.documents.push(document),
            Err(error) => {
                read.error = Some(error);
                break;
            }
        }
    }
    read
}

/// Splits as the API machinery's document reader does: a `---` line ends the document before it, and begins the next one if there was none.
fn split(text: &str) -> Vec<Result<Range<usize>, YamlError>> {
    let mut chunks = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        if let Some(rest) = line.strip_prefix("---") {
            let rest_trimmed = rest.trim();
            if !rest_trimmed.is_empty() && !rest_trimmed.starts_with('#') {
                chunks.push(Err(YamlError::new(at..at + line.trim_end().len(), "a document separator is `---` alone on its line")
                    .help("put what follows `---` on a line of its own")));
                return chunks;
            }
            if at > start {
                chunks.push(Ok(start..at));
                start = end;
            }
        }
        at = end;
    }
    if at > start {
        chunks.push(Ok(start..at));
    }
    chunks
}

fn parse_document(text: &str, range: Range<usize>, options: &Options) -> Result<Option<Node>, YamlError> {
    // A byte order mark is presentation wherever a document starts.
    let offset = range.start + if text[range.clone()].starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
    let body = &text[offset..range.end];
    // The parser refuses a byte order mark inside a document, Kargo's reader does not: a stand-in of the same length takes its place meanwhile.
    let stand_in = body.contains(BYTE_ORDER_MARK).then(|| ('\u{e000}'..='\u{f8ff}').find(|c| !body.contains(*c))).flatten();
    let parsed: Cow<'_, str> =
        stand_in.map_or(Cow::Borrowed(body), |stand_in| body.replace(BYTE_ORDER_MARK, stand_in.encode_utf8(&mut [0; 4])).into());
    let limits = options.limits;
    let parser_options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: limits.depth,
        block_nesting_limit: limits.depth,
        max_directive_bytes: 256,
    };
    let mut builder =
        Builder { body, stand_in, offset, options: *options, stack: Vec::new(), anchors: HashMap::new(), decoded: 0, aliased: 0, root: None };
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(&parsed, parser_options) {
        let (event, span) = event.map_err(|error| {
            let at = offset + error.marker().byte_offset().unwrap_or_default().min(body.len());
            let wrong = YamlError::new(at..at, error.kind().to_string());
            // The usual reason for "mapping values are not allowed": a template or sentence with `: ` in it.
            let line = text[..at].rsplit('\n').next().unwrap_or_default();
            if line.trim_start().contains(": ") && text[at..].starts_with(':') {
                wrong.help("quote the text: written bare it cannot contain `: `")
            } else {
                wrong
            }
        })?;
        match event {
            Event::DocumentStart(_, version) => {
                if let Some(version) = version.filter(|version| (version.major, version.minor) != (1, 1)) {
                    return Err(YamlError::new(offset..offset, format!("YAML {}.{} is not read", version.major, version.minor))
                        .help("take away the `%YAML` line"));
                }
                documents += 1;
                if documents > 1 {
                    return Err(YamlError::new(builder.bytes(&span), "a document begins after `...` without `---`")
                        .help("separate documents with a line `---`"));
                }
            }
            event => builder.event(event, &span)?,
        }
    }
    Ok(builder.root.filter(|root| !(root.content == Content::Null && root.span.is_empty())))
}

/// An open list or mapping.
struct Frame {
    start: usize,
    anchor: usize,
    kind: FrameKind,
}

enum FrameKind {
    List(Vec<Node>),
    Mapping { entries: Vec<Entry>, explicit: HashMap<String, usize>, merged: Vec<Entry>, key: Option<Key> },
}

/// A key that waits for its value.
struct Key {
    text: String,
    span: Range<usize>,
    merge: bool,
}

struct Builder<'t> {
    body: &'t str,
    stand_in: Option<char>,
    offset: usize,
    options: Options,
    stack: Vec<Frame>,
    anchors: HashMap<usize, (Node, usize)>,
    decoded: usize,
    aliased: usize,
    root: Option<Node>,
}

impl Builder<'_> {
    fn bytes(&self, span: &Span) -> Range<usize> {
        let range = span.byte_range().unwrap_or(0..0);
        self.offset + range.start..self.offset + range.end
    }

    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), YamlError> {
        let bytes = self.bytes(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let node_or_key = self.scalar(&text, style, tag.as_deref(), bytes)?;
                self.put(node_or_key, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.open(bytes, anchor, FrameKind::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => {
                self.open(bytes, anchor, FrameKind::Mapping { entries: Vec::new(), explicit: HashMap::new(), merged: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(bytes.end),
            Event::Alias(id) => self.alias(id, bytes),
            _ => Ok(()),
        }
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Range<usize>) -> Result<(Node, Scalar), YamlError> {
        let restored = self.stand_in.map(|stand_in| text.replace(stand_in, BYTE_ORDER_MARK.encode_utf8(&mut [0; 4])));
        let text = restored.as_deref().unwrap_or(text);
        let plain = style == ScalarStyle::Plain;
        if plain && text.contains(['\u{85}', '\u{2028}', '\u{2029}']) {
            return Err(
                YamlError::new(span, "a line break that only YAML 1.1 knows stands in a bare text").help("quote the text, or write a line break")
            );
        }
        let core = tag.and_then(|tag| tag.suffix_in_namespace("tag:yaml.org,2002:"));
        let scalar = match (tag, core.as_deref()) {
            (_, Some(name)) => resolve_tagged(text, name).map_err(|message| YamlError::new(span.clone(), message))?,
            (Some(_), None) => Scalar::Text(text.to_owned()),
            (None, None) if plain => resolve_plain(text),
            (None, None) => Scalar::Text(text.to_owned()),
        };
        let content = match &scalar {
            Scalar::Null => Content::Null,
            Scalar::Bool(value) => Content::Bool(*value),
            Scalar::Int(value) => Content::Number(value.clone()),
            // Not finite: refused as a value, fine as a key; see `put`.
            Scalar::Float(value) => match float_to_json(*value) {
                Some(Value::Number(number)) => Content::Number(number),
                _ => Content::Null,
            },
            Scalar::Text(value) => Content::Text(value.clone()),
        };
        // Trailing line breaks belong to the layout of a block scalar, not to what a diagnostic should underline.
        let source = &self.body[span.start - self.offset..(span.end - self.offset).min(self.body.len())];
        let span = span.start..span.start + source.trim_end().len();
        Ok((Node { span, content, bare: plain && tag.is_none() }, scalar))
    }

    /// Puts a scalar where the open frame wants it: as a key or as a value.
    fn put(&mut self, (node, scalar): (Node, Scalar), anchor: usize) -> Result<(), YamlError> {
        self.decoded += 1;
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), 1));
        }
        if let Some(Frame { kind: FrameKind::Mapping { key: key @ None, .. }, .. }) = self.stack.last_mut() {
            let text = match &scalar {
                Scalar::Null => {
                    return Err(YamlError::new(node.span, "a key is missing or null").help("write `\"\"` or `\"null\"` if that is meant"));
                }
                Scalar::Bool(value) => value.to_string(),
                Scalar::Int(value) => value.to_string(),
                Scalar::Float(value) => float_key(*value),
                Scalar::Text(value) => value.clone(),
            };
            *key = Some(Key { merge: node.bare && text == "<<", text, span: node.span });
            return Ok(());
        }
        if matches!(scalar, Scalar::Float(value) if !value.is_finite()) {
            return Err(YamlError::new(node.span, "infinity and not-a-number have no JSON form").help("quote it if text is meant"));
        }
        self.value(node)
    }

    fn open(&mut self, span: Range<usize>, anchor: usize, kind: FrameKind) -> Result<(), YamlError> {
        if let Some(Frame { kind: FrameKind::Mapping { key: None, .. }, .. }) = self.stack.last() {
            return Err(YamlError::new(span, "a list or mapping cannot be a key")
                .help("quote the text if it begins with `{` or `[`, such as a `{{ }}` template"));
        }
        if self.stack.len() >= self.options.limits.depth {
            return Err(YamlError::new(span, format!("more than {} levels within each other", self.options.limits.depth)));
        }
        self.stack.push(Frame { start: span.start, anchor, kind });
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), YamlError> {
        let Some(Frame { start, anchor, kind }) = self.stack.pop() else { return Ok(()) };
        let content = match kind {
            FrameKind::List(items) => Content::List(items),
            FrameKind::Mapping { mut entries, explicit, merged, .. } => {
                for entry in merged {
                    if !explicit.contains_key(&entry.key) {
                        match entries.iter_mut().find(|there| there.key == entry.key) {
                            Some(there) => *there = entry,
                            None => entries.push(entry),
                        }
                    }
                }
                Content::Mapping(entries)
            }
        };
        self.decoded += 1;
        let end = start.max(self.offset + self.body[..end - self.offset].trim_end().len());
        let node = Node { span: start..end, content, bare: false };
        if anchor != 0 {
            let size = size(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        self.value(node)
    }

    fn alias(&mut self, id: usize, span: Range<usize>) -> Result<(), YamlError> {
        let Some((node, size)) = self.anchors.get(&id) else {
            return Err(YamlError::new(span, "the anchor contains itself"));
        };
        self.aliased += size;
        self.decoded += size;
        // go-yaml's measure of an alias bomb: a large document made of almost nothing but aliases.
        #[allow(clippy::cast_precision_loss, reason = "a ratio")]
        let ratio = self.aliased as f64 / self.decoded as f64;
        let allowed = match self.decoded {
            ..=400_000 => 0.99,
            4_000_000.. => 0.10,
            #[allow(clippy::cast_precision_loss, reason = "a ratio")]
            decoded => 0.99 - 0.89 * ((decoded - 400_000) as f64 / 3_600_000.0),
        };
        if self.aliased > self.options.limits.aliased || (self.aliased > 100 && self.decoded > 1000 && ratio > allowed) {
            return Err(YamlError::new(span, "aliases grow the document beyond all measure").help("write the values out, or share fewer of them"));
        }
        let node = Node { span, ..node.clone() };
        if let Some(Frame { kind: FrameKind::Mapping { key: None, .. }, .. }) = self.stack.last() {
            let scalar = match &node.content {
                Content::Null => Scalar::Null,
                Content::Bool(value) => Scalar::Bool(*value),
                Content::Number(value) => Scalar::Int(value.clone()),
                Content::Text(value) => Scalar::Text(value.clone()),
                Content::List(_) | Content::Mapping(_) => return Err(YamlError::new(node.span, "a list or mapping cannot be a key")),
            };
            return self.put((Node { bare: false, ..node }, scalar), 0);
        }
        self.value(node)
    }

    /// Puts a finished value into the open frame.
    fn value(&mut self, node: Node) -> Result<(), YamlError> {
        let last_wins = self.options.duplicate_keys == DuplicateKeys::LastWins;
        match self.stack.last_mut().map(|frame| &mut frame.kind) {
            None => self.root = Some(node),
            Some(FrameKind::List(items)) => items.push(node),
            Some(FrameKind::Mapping { entries, explicit, merged, key }) => {
                let Some(Key { text, span, merge }) = key.take() else {
                    return Err(YamlError::new(node.span, "a list or mapping cannot be a key"));
                };
                if merge {
                    merge_into(merged, node)?;
                    return Ok(());
                }
                let entry = Entry { key: text, key_span: span, value: node };
                match explicit.get(&entry.key) {
                    None => {
                        explicit.insert(entry.key.clone(), entries.len());
                        entries.push(entry);
                    }
                    Some(&first) if last_wins => entries[first] = entry,
                    Some(&first) => {
                        return Err(YamlError {
                            message: format!("the key `{}` is given twice", entry.key),
                            span: entry.key_span,
                            earlier: Some(entries[first].key_span.clone()),
                            help: Some("keep one of them".into()),
                        });
                    }
                }
            }
        }
        Ok(())
    }
}

/// Adds what a `<<` brings. Of several mappings in one list the first wins.
fn merge_into(merged: &mut Vec<Entry>, node: Node) -> Result<(), YamlError> {
    let wrong = |span: Range<usize>| YamlError::new(span, "`<<` takes a mapping or a list of mappings");
    let sources = match node.content {
        Content::Mapping(entries) => vec![entries],
        Content::List(items) => items
            .into_iter()
            .rev()
            .map(|item| match item.content {
                Content::Mapping(entries) => Ok(entries),
                _ => Err(wrong(item.span)),
            })
            .collect::<Result<_, _>>()?,
        _ => return Err(wrong(node.span)),
    };
    for entry in sources.into_iter().flatten() {
        match merged.iter_mut().find(|there| there.key == entry.key) {
            Some(there) => *there = entry,
            None => merged.push(entry),
        }
    }
    Ok(())
}

fn size(node: &Node) -> usize {
    1 + match &node.content {
        Content::List(items) => items.iter().map(size).sum(),
        Content::Mapping(entries) => entries.iter().map(|entry| 1 + size(&entry.value)).sum(),
        _ => 0,
    }
}
