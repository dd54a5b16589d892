//! Writes a document anew: two blanks of indentation, dashes below their key, no blank lines, comments where they were.

use std::fmt::Write as _;

use granit_parser::ScalarStyle;

use super::scalar;
use super::style::{Kind, Scalar, Value};

/// The document as text.
pub(super) fn document(root: &Value) -> String {
    let mut out = String::new();
    match &root.kind {
        Kind::Sequence { items, flow: false } if !items.is_empty() => block(root, 0, &mut out),
        Kind::Mapping { entries, flow: false } if !entries.is_empty() => block(root, 0, &mut out),
        _ => {
            value(root, 0, &mut out);
            out = out.trim_start_matches(' ').to_owned();
            comments(&root.foot, 0, &mut out);
        }
    }
    out
}

fn comments(lines: &[String], indent: usize, out: &mut String) {
    for line in lines {
        let _ = writeln!(out, "{:indent$}{}", "", line.trim_end());
    }
}

/// The entries or items of a block collection, each on lines of its own.
fn block(collection: &Value, indent: usize, out: &mut String) {
    match &collection.kind {
        Kind::Mapping { entries, .. } => {
            for entry in entries {
                comments(&entry.head, indent, out);
                if is_flow(&entry.value) {
                    comments(&entry.value.foot, indent, out);
                }
                let _ = write!(out, "{:indent$}{}:", "", key(&entry.key));
                value(&entry.value, indent, out);
            }
        }
        Kind::Sequence { items, .. } => {
            for item in items {
                comments(&item.head, indent, out);
                let _ = write!(out, "{:indent$}-", "");
                item_value(&item.value, indent, out);
            }
        }
        Kind::Scalar(_) | Kind::Alias(_) => {}
    }
    comments(&collection.foot, indent, out);
}

fn is_flow(value: &Value) -> bool {
    match &value.kind {
        Kind::Mapping { entries, flow } => *flow || entries.is_empty(),
        Kind::Sequence { items, flow } => *flow || items.is_empty(),
        _ => false,
    }
}

/// Anchor and tag, each with a blank before it.
fn properties(value: &Value) -> String {
    let anchor = value.anchor.iter().map(|anchor| format!(" &{anchor}"));
    anchor.chain(value.tag.iter().map(|tag| format!(" {tag}"))).collect()
}

fn comment(value: &Value) -> String {
    value.comment.as_ref().map(|comment| format!(" {}", comment.trim_end())).unwrap_or_default()
}

/// What stands behind a dash: a block collection begins on the same line where it can.
fn item_value(item: &Value, indent: usize, out: &mut String) {
    let first = match &item.kind {
        Kind::Mapping { entries, flow: false } => entries.first().map(|entry| entry.head.is_empty() && !is_flow_with_foot(&entry.value)),
        Kind::Sequence { items, flow: false } => items.first().map(|item| item.head.is_empty()),
        _ => None,
    };
    match first {
        None => value(item, indent, out),
        Some(inline) => {
            let properties = properties(item);
            let comment = comment(item);
            let mut inner = String::new();
            block(item, indent + 2, &mut inner);
            if inline && properties.is_empty() && comment.is_empty() {
                let _ = write!(out, " {}", &inner[indent + 2..]);
            } else {
                let _ = write!(out, "{properties}{comment}\n{inner}");
            }
        }
    }
}

fn is_flow_with_foot(value: &Value) -> bool {
    is_flow(value) && !value.foot.is_empty()
}

/// What stands behind a key: on the same line, or below it.
fn value(value: &Value, indent: usize, out: &mut String) {
    let properties = properties(value);
    let comment = comment(value);
    match &value.kind {
        Kind::Scalar(Scalar { text, style: style @ (ScalarStyle::Literal | ScalarStyle::Folded), written }) if can_be_block(text) => {
            let folded = *style == ScalarStyle::Folded && !written.starts_with(' ');
            let lines = if folded { written.as_str() } else { text.as_str() };
            let chomp = if !text.ends_with('\n') {
                "-"
            } else if text.ends_with("\n\n") {
                "+"
            } else {
                ""
            };
            let hint = if lines.trim_start_matches('\n').starts_with(' ') { "2" } else { "" };
            let _ = writeln!(out, "{properties} {}{hint}{chomp}{comment}", if folded { '>' } else { '|' });
            let lines = if chomp == "+" { lines.strip_suffix('\n').unwrap_or(lines) } else { lines.trim_end_matches('\n') };
            for line in lines.split('\n') {
                let line = if line.is_empty() { String::new() } else { format!("{:width$}{line}", "", width = indent + 2) };
                let _ = writeln!(out, "{line}");
            }
        }
        Kind::Mapping { .. } | Kind::Sequence { .. } if !is_flow(value) => {
            let _ = writeln!(out, "{properties}{comment}");
            let deeper = if matches!(value.kind, Kind::Mapping { .. }) { indent + 2 } else { indent };
            block(value, deeper, out);
        }
        _ => {
            let inline = inline(value, false);
            let blank = if inline.is_empty() { "" } else { " " };
            let _ = writeln!(out, "{properties}{blank}{inline}{comment}");
        }
    }
}

/// A block scalar shows no trace of what cannot stand in one.
fn can_be_block(text: &str) -> bool {
    !text.trim_matches('\n').is_empty() && text.chars().all(|char| matches!(char, '\n' | '\t') || !char.is_control())
}

fn key(key: &Value) -> String {
    let properties = properties(key);
    let text = match &key.kind {
        // The colon would be read as a part of the name.
        Kind::Alias(name) => format!("*{name} "),
        _ => inline(key, false),
    };
    format!("{properties} {text}").trim_start().to_owned()
}

/// A value on one line, without anchor, tag and comment.
fn inline(value: &Value, in_flow: bool) -> String {
    let with_properties = |value: &Value| {
        let properties = properties(value);
        format!("{properties} {}", inline(value, true)).trim_start().trim_end().to_owned()
    };
    match &value.kind {
        Kind::Alias(name) => format!("*{name}"),
        Kind::Sequence { items, .. } => {
            let items: Vec<String> = items.iter().map(|item| with_properties(&item.value)).collect();
            format!("[{}]", items.join(", "))
        }
        Kind::Mapping { entries, .. } => {
            let entries = entries.iter().map(|entry| format!("{}: {}", key(&entry.key), with_properties(&entry.value)).trim_end().to_owned());
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Kind::Scalar(Scalar { text, style, written }) => {
            let one_line = !written.contains('\n');
            match style {
                ScalarStyle::Plain if one_line && (!in_flow || written.is_empty() || scalar::is_plain(text, true)) => written.clone(),
                ScalarStyle::Plain if !one_line && scalar::is_plain(text, in_flow) => text.clone(),
                ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted if one_line => written.clone(),
                _ => scalar::double_quoted(text),
            }
        }
    }
}
