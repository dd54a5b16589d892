//! `yaml-update`: puts new scalars in the place of old ones.

use std::collections::BTreeMap;
use std::ops::Range;

use granit_parser::ScalarStyle;
use serde_json::Value;

use super::scalar;
use super::tree::{self, Kind, Node};
use crate::edit::{EditError, Update, key_path};

const CORE: &str = "tag:yaml.org,2002:";

/// Replaces the values at the updates' keys in the first document of `text`; of several updates of one key the last one wins.
///
/// Comments, anchors, brackets, line ends and a byte order mark stay; a missing line break at the end of the file is added. In a file that
/// is JSON, strings are written as JSON.
///
/// # Errors
/// The text is not YAML; a key is malformed, not in the file, or leads through an alias or to something that is no scalar; a value is no
/// scalar.
pub fn update(text: &str, updates: &[Update]) -> Result<String, EditError> {
    let document = tree::parse(text, false)?;
    let style = Writing { json: is_json(text) };
    let mut edits: BTreeMap<usize, Edit<'_>> = BTreeMap::new();
    for update in updates {
        let target = find(document.root.as_ref(), &update.key)?;
        let splices = splices(text, &target, &update.value, &style).ok_or_else(|| EditError::NotScalarValue { key: update.key.clone() })??;
        edits.insert(std::ptr::from_ref(target.node).addr(), Edit { splices, value: &update.value });
    }
    let mut splices: Vec<&(Range<usize>, String)> = edits.values().flat_map(|edit| &edit.splices).collect();
    splices.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len() + 64);
    let mut done = 0;
    for (range, replacement) in splices {
        if range.start < done {
            return Err(EditError::Entangled);
        }
        out.push_str(&text[done..range.start]);
        out.push_str(replacement);
        done = range.end;
    }
    out.push_str(&text[done..]);
    if !out.is_empty() && !out.ends_with('\n') {
        out.push_str(if out.contains("\r\n") { "\r\n" } else { "\n" });
    }
    let after = tree::parse(&out, false).map_err(|_| EditError::Entangled)?;
    match (&document.root, &after.root) {
        (None, None) => {}
        (Some(before), Some(after)) if is_as_expected(before, after, &edits) => {}
        _ => return Err(EditError::Entangled),
    }
    Ok(out)
}

/// A value as the commit message shows it.
pub fn shown(value: &Value) -> String {
    scalar::write(value, false).unwrap_or_else(|| value.to_string())
}

struct Edit<'a> {
    splices: Vec<(Range<usize>, String)>,
    value: &'a Value,
}

struct Writing {
    json: bool,
}

struct Target<'tree> {
    node: &'tree Node,
    /// The key, if the node is the value of a mapping.
    key: Option<&'tree Node>,
    in_flow: bool,
}

fn is_json(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}');
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn find<'tree>(root: Option<&'tree Node>, key: &str) -> Result<Target<'tree>, EditError> {
    let parts = key_path::split(key).map_err(|reason| EditError::Key { key: key.to_owned(), reason })?;
    let not_found = || EditError::NotFound { key: key.to_owned() };
    let mut target = Target { node: root.ok_or_else(not_found)?, key: None, in_flow: false };
    for part in &parts {
        target = match &target.node.kind {
            Kind::Mapping { entries, flow } => {
                let entry = entries.iter().find(|entry| entry.key.scalar().is_some_and(|(text, _)| text == part)).ok_or_else(not_found)?;
                Target { node: &entry.value, key: Some(&entry.key), in_flow: target.in_flow || *flow }
            }
            Kind::Sequence { items, flow } => {
                let index: usize = part.parse().map_err(|_| match part.parse::<i64>() {
                    Ok(_) => not_found(),
                    Err(_) => EditError::NotAnIndex { key: key.to_owned(), part: part.clone() },
                })?;
                Target { node: items.get(index).ok_or_else(not_found)?, key: None, in_flow: target.in_flow || *flow }
            }
            Kind::Alias(_) => return Err(EditError::NotScalar { key: key.to_owned(), found: "an alias, whose anchor is the place to edit," }),
            Kind::Scalar { .. } => return Err(not_found()),
        };
    }
    let found = match &target.node.kind {
        Kind::Scalar { .. } => return Ok(target),
        Kind::Mapping { .. } => "a mapping",
        Kind::Sequence { .. } => "a sequence",
        Kind::Alias(_) => "an alias, whose anchor is the place to edit,",
    };
    Err(EditError::NotScalar { key: key.to_owned(), found })
}

type Splices = Vec<(Range<usize>, String)>;

/// What to replace by what, in the order of the text. None: the value is no scalar.
fn splices(text: &str, target: &Target<'_>, value: &Value, style: &Writing) -> Option<Result<Splices, EditError>> {
    let new = match value {
        Value::String(string) if style.json => Value::from(string.as_str()).to_string(),
        _ => scalar::write(value, target.in_flow)?,
    };
    Some(place(text, target, value, new))
}

fn place(text: &str, target: &Target<'_>, value: &Value, new: String) -> Result<Splices, EditError> {
    let node = target.node;
    let mut splices = Vec::new();
    // A type tag that contradicts the new value goes; any other stays.
    let tag = node.tag.as_ref();
    let dropped = tag.filter(|tag| tag.name.strip_prefix(CORE).is_some_and(|kind| !fits(kind, value)));
    if let Some(tag) = dropped {
        let end = tag.span.end + text[tag.span.end..].len() - text[tag.span.end..].trim_start_matches([' ', '\t']).len();
        splices.push((tag.span.start..if node.is_unwritten() { tag.span.end } else { end }, String::new()));
    }
    let (_, style) = node.scalar().expect("only scalars are found");
    if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
        let (header, body) = block(text, target).ok_or(EditError::Entangled)?;
        splices.push((header, new));
        splices.push((body, String::new()));
    } else if node.is_unwritten() {
        let properties = [&node.anchor, &node.tag].into_iter().flatten().map(|property| property.span.end).max();
        if let Some(end) = properties {
            // The tag may go at the same spot: what follows it then needs the blank all the same.
            splices.push((end..end, format!(" {new}")));
        } else if let Some(key) = target.key {
            splices.push(after_key(text, key, target.in_flow, &new).ok_or(EditError::Entangled)?);
        } else {
            let at = node.span.start;
            let blank = if text[..at].ends_with(['-', '?']) { " " } else { "" };
            splices.push((at..at, format!("{blank}{new}")));
        }
    } else {
        splices.push((node.span.clone(), new));
    }
    splices.sort_by_key(|(range, _)| range.start);
    Ok(splices)
}

fn fits(tag: &str, value: &Value) -> bool {
    match value {
        Value::String(_) => tag == "str",
        Value::Number(number) => tag == if number.is_f64() { "float" } else { "int" },
        Value::Bool(_) => tag == "bool",
        Value::Null => tag == "null",
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// Where the value of a key that has none is written: behind its colon, which is added where a flow mapping goes without one.
fn after_key(text: &str, key: &Node, in_flow: bool, new: &str) -> Option<(Range<usize>, String)> {
    let mut at = key.span.end;
    loop {
        let rest = &text[at..];
        let trimmed = rest.trim_start();
        let next = at + rest.len() - trimmed.len();
        match trimmed.chars().next() {
            Some('#') => at = next + trimmed.find('\n')?,
            Some(':') => return Some((next + 1..next + 1, format!(" {new}"))),
            _ if in_flow => return Some((key.span.end..key.span.end, format!(": {new}"))),
            _ => return None,
        }
    }
}

/// Header and body of a block scalar: its `|` or `>` with indicators, and what must go below it.
fn block(text: &str, target: &Target<'_>) -> Option<(Range<usize>, Range<usize>)> {
    let node = target.node;
    let floor = [&node.anchor, &node.tag].into_iter().flatten().map(|property| property.span.end).chain(target.key.map(|key| key.span.end)).max();
    // The header is the last line above the content that is not blank. Without content the span stands below the header, or on it if the
    // text ends there.
    let on_header = text[node.span.clone()].starts_with(['|', '>']) && node.scalar().is_some_and(|(content, _)| content.is_empty());
    let mut line_end = if on_header { node.span.end } else { text[..node.span.start].rfind('\n').unwrap_or(node.span.start) };
    loop {
        let line_start = text[..line_end].rfind('\n').map_or(0, |at| at + 1);
        if !text[line_start..line_end].trim().is_empty() {
            let from = floor.map_or(line_start, |floor| floor.max(line_start));
            let header = header(text, from..line_end)?;
            let content_end = line_end + text[line_end..node.span.end.max(line_end)].trim_end().len();
            // Blank lines are content where the header says to keep them.
            let keeps = text[header.clone()].contains('+');
            let line = text[..line_end].strip_suffix('\r').map_or(line_end, str::len);
            let end = if keeps { kept_end(text, node.span.end) } else { content_end };
            return Some((header, line..end.max(line)));
        }
        line_end = line_start.checked_sub(1)?;
    }
}

/// The end of the last line of a body whose final line breaks count, without its own line break.
fn kept_end(text: &str, end: usize) -> usize {
    let body = &text[..end];
    let body = body.rfind('\n').filter(|at| body[*at..].trim().is_empty()).map_or(body, |at| &body[..at]);
    body.strip_suffix('\r').unwrap_or(body).len()
}

fn header(text: &str, line: Range<usize>) -> Option<Range<usize>> {
    text[line.clone()].char_indices().filter(|(_, char)| matches!(char, '|' | '>')).find_map(|(offset, _)| {
        let start = line.start + offset;
        let after = text[start + 1..line.end].trim_start_matches(|char: char| char.is_ascii_digit() || matches!(char, '+' | '-'));
        let comment = after.trim_start();
        (comment.is_empty() || (comment.starts_with('#') && comment.len() < after.len())).then(|| start..line.end - after.len())
    })
}

/// Whether `after` is `before` with the edited values, and only those, changed.
fn is_as_expected(before: &Node, after: &Node, edits: &BTreeMap<usize, Edit<'_>>) -> bool {
    let anchors = before.anchor.as_ref().map(|anchor| &anchor.name) == after.anchor.as_ref().map(|anchor| &anchor.name);
    if let Some(edit) = edits.get(&std::ptr::from_ref(before).addr()) {
        return anchors && is_value(after, edit.value);
    }
    let tags = before.tag.as_ref().map(|tag| &tag.name) == after.tag.as_ref().map(|tag| &tag.name);
    anchors
        && tags
        && match (&before.kind, &after.kind) {
            (Kind::Scalar { text: a, style: x }, Kind::Scalar { text: b, style: y }) => a == b && x == y,
            (Kind::Alias(a), Kind::Alias(b)) => a == b,
            (Kind::Sequence { items: a, .. }, Kind::Sequence { items: b, .. }) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_as_expected(a, b, edits))
            }
            (Kind::Mapping { entries: a, .. }, Kind::Mapping { entries: b, .. }) => {
                a.len() == b.len()
                    && a.iter().zip(b).all(|(a, b)| is_as_expected(&a.key, &b.key, edits) && is_as_expected(&a.value, &b.value, edits))
            }
            _ => false,
        }
}

fn is_value(node: &Node, value: &Value) -> bool {
    let Some((text, style)) = node.scalar() else { return false };
    let plain = style == ScalarStyle::Plain;
    match value {
        Value::String(string) => text == string && (!plain || node.tag.is_some() || scalar::reads_as_string(text)),
        _ => plain && scalar::write(value, false).is_some_and(|written| written == text),
    }
}

#[cfg(test)]
#[path = "update_tests.rs"]
mod tests;
