//! `yaml-merge`: lays files over each other, as a strategic merge patch where Kubernetes has a say.
//!
//! - Mappings merge; a scalar or a list of a later file takes the place of an earlier one, with its type and its quotes; null removes.
//! - Nothing changes its kind: a list over a mapping is an error.
//! - Comments of the first file stay; of later files those behind a value come along.

use std::cmp::Ordering;

use super::kubernetes::{self, ListMerge};
use super::style::{self, Entry, Item, Kind, Value};
use super::tree;
use super::write;

const DIRECTIVE: &str = "$patch";

/// Why files were not merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{file}`: {reason}")]
pub struct MergeError {
    /// The file that stands in the way.
    pub file: String,
    /// Why.
    pub reason: String,
}

/// Merges files, given as name and text, from first to last. Empty ones are skipped; without any the result is empty. The result is written
/// anew, a single file too: blank lines go, indentation becomes even, keys that come in are sorted behind those that were there.
///
/// # Errors
/// A file is not YAML, or has several documents; a value changes its kind; an alias loses its anchor.
pub fn merge(files: &[(&str, &str)]) -> Result<String, MergeError> {
    let mut merged: Option<Value> = None;
    let mut last = "";
    for (file, text) in files {
        let fail = |reason: String| MergeError { file: (*file).to_owned(), reason };
        let document = tree::parse(text, true).map_err(|error| fail(error.to_string()))?;
        if document.more {
            return Err(fail("it has several documents; only one can be merged".into()));
        }
        let Some(value) = style::detach(text, &document).map_err(fail)? else { continue };
        last = file;
        merged = match merged {
            None => Some(value),
            Some(base) => {
                let kind = ["apiVersion", "kind"].map(|key| base.get(key).or_else(|| value.get(key)).and_then(Value::text).unwrap_or_default().to_owned());
                let kind = kubernetes::Kind::of(&kind[0], &kind[1]);
                Merger { kind, path: Vec::new() }.value(base, value).map_err(fail)?
            }
        };
    }
    let Some(merged) = merged else { return Ok(String::new()) };
    let text = write::document(&merged);
    // Whatever was written must be read back as what was meant; an alias may have lost its anchor, or come before it.
    let sound = tree::parse(&text, false).is_ok_and(|document| document.root.is_some_and(|root| means(&merged, &root)));
    if sound {
        Ok(text)
    } else {
        Err(MergeError { file: last.to_owned(), reason: "merging it in leaves an alias without its anchor, or a text that cannot be written".into() })
    }
}

struct Merger<'a> {
    kind: Option<kubernetes::Kind<'a>>,
    path: Vec<String>,
}

impl Merger<'_> {
    /// The merged value; None: it is removed.
    fn value(&mut self, base: Value, patch: Value) -> Result<Option<Value>, String> {
        if patch.is_null() {
            return Ok(None);
        }
        match directive(&patch) {
            Some("delete") => return Ok(None),
            Some("replace") => return Ok(Some(without_directives(patch))),
            _ => {}
        }
        if base.is_null() {
            return Ok(Some(without_directives(patch)));
        }
        let Value { kind: base_kind, anchor, tag, comment, foot } = base;
        let kind = match (base_kind, patch.kind) {
            (Kind::Mapping { entries, flow }, Kind::Mapping { entries: patches, .. }) => {
                let kind = Kind::Mapping { entries: self.entries(entries, patches)?, flow };
                return Ok(Some(Value { kind, anchor, tag, comment: patch.comment.or(comment), foot }));
            }
            (Kind::Sequence { items, flow }, Kind::Sequence { items: patches, flow: patch_flow }) => match self.list() {
                Some(how) => Kind::Sequence { items: self.items(how, items, patches)?, flow },
                None => Kind::Sequence { items: patches.into_iter().map(item_without_directives).collect(), flow: patch_flow },
            },
            (Kind::Scalar(_) | Kind::Alias(_), new @ (Kind::Scalar(_) | Kind::Alias(_))) => new,
            (old, new) => {
                return Err(format!("`{}` is {} before it and {} in it", self.path.join("."), name(&old), name(&new)));
            }
        };
        // An alias cannot carry an anchor.
        let anchor = patch.anchor.or(anchor).filter(|_| !matches!(kind, Kind::Alias(_)));
        Ok(Some(Value { kind, anchor, tag: patch.tag, comment: patch.comment.or(comment), foot }))
    }

    fn entries(&mut self, base: Vec<Entry>, patches: Vec<Entry>) -> Result<Vec<Entry>, String> {
        let mut patches: Vec<Option<Entry>> = patches.into_iter().filter(|entry| entry.key.text() != Some(DIRECTIVE)).map(Some).collect();
        let mut merged = Vec::with_capacity(base.len());
        for entry in base {
            // The last of several patches of one key wins, as readers see it.
            let same = |patch: &Option<Entry>| patch.as_ref().is_some_and(|patch| compare(&patch.key, &entry.key) == Ordering::Equal);
            let mut patch = None;
            for candidate in patches.iter_mut().filter(|candidate| same(candidate)) {
                patch = candidate.take();
            }
            let Some(patch) = patch else {
                merged.push(entry);
                continue;
            };
            self.path.push(entry.key.text().unwrap_or_default().to_owned());
            let value = self.value(entry.value, patch.value)?;
            self.path.pop();
            merged.extend(value.map(|value| Entry { head: entry.head, key: entry.key, value }));
        }
        let mut new: Vec<Entry> = patches.into_iter().flatten().filter(|entry| !entry.value.is_null() && directive(&entry.value) != Some("delete")).collect();
        new.sort_by(|a, b| compare(&a.key, &b.key));
        merged.extend(new.into_iter().map(|entry| Entry { head: Vec::new(), key: entry.key, value: without_directives(entry.value) }));
        Ok(merged)
    }

    fn list(&self) -> Option<ListMerge> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        self.kind.as_ref()?.list(&path)
    }

    fn items(&mut self, how: ListMerge, base: Vec<Item>, patches: Vec<Item>) -> Result<Vec<Item>, String> {
        if patches.iter().any(|patch| directive(&patch.value) == Some("replace")) {
            let kept = patches.into_iter().filter(|patch| directive(&patch.value) != Some("replace") || has_more(&patch.value));
            return Ok(kept.map(item_without_directives).collect());
        }
        let mut merged: Vec<Option<Item>> = base.into_iter().map(Some).collect();
        for patch in patches {
            let same = |item: &Value| match how {
                ListMerge::Set => item.text().is_some() && item.text() == patch.value.text(),
                ListMerge::ByKey(key) => {
                    let wanted = patch.value.get(key).and_then(Value::text);
                    wanted.is_some() && item.get(key).and_then(Value::text) == wanted
                }
            };
            let found = merged.iter_mut().find(|item| item.as_ref().is_some_and(|item| same(&item.value)));
            match found.map(|slot| (slot.take(), slot)) {
                Some((Some(item), slot)) => {
                    *slot = self.value(item.value, patch.value)?.map(|value| Item { head: item.head, value });
                }
                _ if directive(&patch.value) == Some("delete") => {}
                _ => merged.push(Some(Item { head: Vec::new(), value: without_directives(patch.value) })),
            }
        }
        Ok(merged.into_iter().flatten().collect())
    }
}

fn name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Scalar(_) => "a scalar",
        Kind::Sequence { .. } => "a list",
        Kind::Mapping { .. } => "a mapping",
        Kind::Alias(_) => "an alias",
    }
}

fn compare(a: &Value, b: &Value) -> Ordering {
    let text = |key: &Value| match &key.kind {
        Kind::Alias(name) => format!("*{name}"),
        _ => key.text().unwrap_or_default().to_owned(),
    };
    text(a).cmp(&text(b))
}

/// `$patch` of a mapping.
fn directive(value: &Value) -> Option<&str> {
    value.get(DIRECTIVE)?.text()
}

fn has_more(value: &Value) -> bool {
    matches!(&value.kind, Kind::Mapping { entries, .. } if entries.len() > 1)
}

/// A value of a patch that meets nothing: what it would remove is not there.
fn without_directives(mut value: Value) -> Value {
    match &mut value.kind {
        Kind::Mapping { entries, .. } => {
            let all = std::mem::take(entries);
            let kept = all.into_iter().filter(|entry| {
                entry.key.text() != Some(DIRECTIVE) && !entry.value.is_null() && directive(&entry.value) != Some("delete")
            });
            *entries = kept.map(|entry| Entry { value: without_directives(entry.value), ..entry }).collect();
        }
        Kind::Sequence { items, .. } => {
            let all = std::mem::take(items);
            *items = all.into_iter().filter(|item| directive(&item.value) != Some("delete")).map(item_without_directives).collect();
        }
        Kind::Scalar(_) | Kind::Alias(_) => {}
    }
    value
}

fn item_without_directives(item: Item) -> Item {
    Item { value: without_directives(item.value), ..item }
}

/// Whether a tree that was read is what was to be written.
fn means(value: &Value, node: &tree::Node) -> bool {
    let properties = value.anchor.as_deref() == node.anchor.as_ref().map(|anchor| anchor.name.as_str()) && value.tag.is_some() == node.tag.is_some();
    properties
        && match (&value.kind, &node.kind) {
            (Kind::Scalar(scalar), tree::Kind::Scalar { text, .. }) => scalar.text == *text && value.is_null() == node.is_null(),
            (Kind::Alias(a), tree::Kind::Alias(b)) => a == b,
            (Kind::Sequence { items, .. }, tree::Kind::Sequence { items: read, .. }) => {
                items.len() == read.len() && items.iter().zip(read).all(|(item, read)| means(&item.value, read))
            }
            (Kind::Mapping { entries, .. }, tree::Kind::Mapping { entries: read, .. }) => {
                entries.len() == read.len()
                    && entries.iter().zip(read).all(|(entry, read)| means(&entry.key, &read.key) && means(&entry.value, &read.value))
            }
            _ => false,
        }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
