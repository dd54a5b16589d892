//! What a change of files means for Kubernetes objects: a diff for each object, without the values of Secrets.

use std::collections::BTreeMap;

use serde_json::Value;
use similar::TextDiff;

use crate::promote::manifests::{ObjectIdentity, read_document, split_documents};

/// Files larger than this are named, not compared.
const MAX_FILE: usize = 2 * 1024 * 1024;
/// Lines around a change.
const CONTEXT: usize = 3;

/// A file on the two sides of a change; None: it is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileChange {
    /// Its path.
    pub path: String,
    /// Before.
    pub before: Option<String>,
    /// After.
    pub after: Option<String>,
}

/// How something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// It was not there before.
    Added,
    /// It is not there any more.
    Removed,
    /// It is another.
    Changed,
}

/// An object, or a file that holds none, and how it differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectChange {
    /// `Deployment web`, or the path of a file.
    pub name: String,
    /// Namespace; empty: none is written.
    pub namespace: String,
    /// How it differs.
    pub verb: Verb,
    /// Lines that came.
    pub added: usize,
    /// Lines that went.
    pub removed: usize,
    /// A unified diff without file names, or what can be said in its place.
    pub diff: String,
}

/// The differences of all objects in some files, in the order of their names. An object that moved from one file to another without
/// changing is no difference. Files without objects are compared as a whole.
pub fn object_changes(files: &[FileChange]) -> Vec<ObjectChange> {
    let mut before: BTreeMap<Key, &str> = BTreeMap::new();
    let mut after: BTreeMap<Key, &str> = BTreeMap::new();
    let mut changes = Vec::new();
    for file in files {
        let sides = [&file.before, &file.after];
        if sides.iter().any(|side| side.as_ref().is_some_and(|text| text.len() > MAX_FILE)) {
            changes.push(untold(file, "too large to be shown"));
            continue;
        }
        if sides.iter().any(|side| side.as_ref().is_some_and(|text| text.contains('\0'))) {
            changes.push(untold(file, "not a text file"));
            continue;
        }
        for (side, objects) in [(&file.before, &mut before), (&file.after, &mut after)] {
            for (key, text) in side.as_deref().map(|text| documents(&file.path, text)).unwrap_or_default() {
                objects.insert(key, text);
            }
        }
    }
    let keys: std::collections::BTreeSet<&Key> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let (old, new) = (before.get(key).copied(), after.get(key).copied());
        if old.map(str::trim) != new.map(str::trim) {
            changes.extend(compare(key, old, new));
        }
    }
    changes.sort_by(|one, two| (&one.namespace, &one.name).cmp(&(&two.namespace, &two.name)));
    changes
}

/// What is compared with what: an object by its identity, anything else by its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Object(ObjectIdentity),
    File(String),
}

/// The objects of a file. One with a document that is no object counts as a whole.
fn documents<'t>(path: &str, text: &'t str) -> Vec<(Key, &'t str)> {
    let whole = || vec![(Key::File(path.to_owned()), text)];
    let is_yaml = [".yaml", ".yml", ".json"].iter().any(|ending| path.ends_with(ending));
    if !is_yaml {
        return whole();
    }
    let mut found = Vec::new();
    for document in split_documents(text) {
        match read_document(document) {
            Ok(Value::Null) => {}
            Ok(value) => match ObjectIdentity::of(&value).filter(|identity| identity.is_named() && !identity.version.is_empty()) {
                // Without its version: another version of an object is the same object.
                Some(identity) => found.push((Key::Object(ObjectIdentity { version: String::new(), ..identity }), document)),
                None => return whole(),
            },
            Err(_) => return whole(),
        }
    }
    found
}

fn compare(key: &Key, old: Option<&str>, new: Option<&str>) -> Option<ObjectChange> {
    let (name, namespace) = match key {
        Key::Object(identity) => (format!("{} {}", identity.kind, identity.name), identity.namespace.clone()),
        Key::File(path) => (path.clone(), String::new()),
    };
    let verb = match (old, new) {
        (None, _) => Verb::Added,
        (_, None) => Verb::Removed,
        _ => Verb::Changed,
    };
    if [old, new].into_iter().flatten().any(holds_secret) {
        let (added, removed, diff) = secret_diff(old, new);
        return Some(ObjectChange { name, namespace, verb, added, removed, diff });
    }
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    let diff = TextDiff::from_lines(old, new);
    let mut text = String::new();
    let (mut added, mut removed) = (0, 0);
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        text.push_str(&format!("{}\n", hunk.header()));
        for change in hunk.iter_changes() {
            let sign = match change.tag() {
                similar::ChangeTag::Delete => {
                    removed += 1;
                    '-'
                }
                similar::ChangeTag::Insert => {
                    added += 1;
                    '+'
                }
                similar::ChangeTag::Equal => ' ',
            };
            text.push(sign);
            text.push_str(change.value().trim_end_matches(['\n', '\r']));
            text.push('\n');
        }
    }
    // Only line ends or the lack of one at the end differ.
    (added + removed > 0).then_some(ObjectChange { name, namespace, verb, added, removed, diff: text })
}

/// Whether a text is or may be a Secret: one by its kind, one within a list, or a text that cannot be read and says so.
fn holds_secret(text: &str) -> bool {
    fn within(value: &Value) -> bool {
        match value {
            Value::Object(fields) => {
                fields.get("kind").and_then(Value::as_str).is_some_and(|kind| kind == "Secret" || kind == "SecretList") || fields.values().any(within)
            }
            Value::Array(items) => items.iter().any(within),
            _ => false,
        }
    }
    split_documents(text).into_iter().any(|document| match read_document(document) {
        Ok(value) => within(&value),
        Err(_) => document.lines().any(|line| line.contains("kind") && line.contains("Secret")),
    })
}

/// Which keys of a Secret differ; of everything else only that it does.
fn secret_diff(old: Option<&str>, new: Option<&str>) -> (usize, usize, String) {
    let read = |text: Option<&str>| -> Option<Value> {
        let documents = split_documents(text?);
        match documents.as_slice() {
            [document] => read_document(document).ok().filter(|value| value["kind"] == "Secret"),
            _ => None,
        }
    };
    let (before, after) = (read(old), read(new));
    if (old.is_some() && before.is_none()) || (new.is_some() && after.is_none()) {
        return (0, 0, "  # it holds a Secret, so it is not shown\n".to_owned());
    }
    let keys = |value: &Option<Value>| -> BTreeMap<String, String> {
        let value = value.as_ref();
        let section = |name: &str| value.and_then(|value| value[name].as_object()).into_iter().flatten();
        let all = ["data", "stringData"].into_iter().flat_map(|name| section(name).map(move |(key, value)| (format!("{name}.{key}"), value.to_string())));
        all.collect()
    };
    let (before, after) = (keys(&before), keys(&after));
    let (mut added, mut removed, mut text) = (0, 0, String::new());
    for (key, value) in &before {
        if after.get(key) != Some(value) {
            removed += 1;
            text.push_str(&format!("-{key}: ****\n"));
        }
        if after.get(key).is_some_and(|new| new != value) {
            added += 1;
            text.push_str(&format!("+{key}: **** # another value\n"));
        }
    }
    for key in after.keys().filter(|key| !before.contains_key(*key)) {
        added += 1;
        text.push_str(&format!("+{key}: ****\n"));
    }
    if text.is_empty() {
        text.push_str("  # something other than its values differs\n");
    }
    (added, removed, text)
}

fn untold(file: &FileChange, why: &str) -> ObjectChange {
    let verb = match (&file.before, &file.after) {
        (None, _) => Verb::Added,
        (_, None) => Verb::Removed,
        _ => Verb::Changed,
    };
    ObjectChange { name: file.path.clone(), namespace: String::new(), verb, added: 0, removed: 0, diff: format!("  # {why}\n") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn change(path: &str, before: Option<&str>, after: Option<&str>) -> FileChange {
        FileChange { path: path.into(), before: before.map(str::to_owned), after: after.map(str::to_owned) }
    }

    #[test]
    fn objects_are_compared_wherever_they_stand() {
        let web = |image: &str| format!("apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  namespace: shop\nspec:\n  image: {image}\n");
        let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n";
        let before = format!("{}---\n{service}", web("web:1"));
        let changes = object_changes(&[
            change("all.yaml", Some(&before), None),
            change("web.yaml", None, Some(&web("web:2"))),
            change("service.yaml", None, Some(service)),
            change("notes.txt", None, Some("hello\n")),
        ]);
        let told: Vec<(&str, &str, Verb)> = changes.iter().map(|change| (change.name.as_str(), change.namespace.as_str(), change.verb)).collect();
        assert_eq!(told, [("notes.txt", "", Verb::Added), ("Deployment web", "shop", Verb::Changed)], "the service only moved");
        assert_eq!((changes[1].added, changes[1].removed), (1, 1));
        assert!(changes[1].diff.ends_with(" spec:\n-  image: web:1\n+  image: web:2\n"), "{}", changes[1].diff);
    }

    #[test]
    fn values_of_secrets_are_never_shown() {
        let secret = |data: &str| format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  annotations: {{last: s3cret}}\n{data}");
        let changes = object_changes(&[change(
            "secret.yaml",
            Some(&secret("data:\n  old: czNjcmV0\n  same: czNjcmV0\n  turned: czNjcmV0\n")),
            Some(&secret("data:\n  same: czNjcmV0\n  turned: czNjcmV0Mg==\nstringData:\n  new: s3cret\n")),
        )]);
        assert_eq!(changes[0].diff, "-data.old: ****\n-data.turned: ****\n+data.turned: **** # another value\n+stringData.new: ****\n");
        for (before, after) in [
            ("apiVersion: v1\nkind: List\nitems:\n- {kind: Secret, data: {a: s3cret}}\n", "apiVersion: v1\nkind: List\nitems: []\n"),
            ("kind: Secret\ndata: {a: s3cret}\n  broken: [", "kind: Secret\n"),
            ("a: 1\n---\nkind: Secret\nstringData: {a: s3cret}\n", "a: 2\n"),
            ("template:\n  kind: Secret\n  stringData: {a: s3cret}\n", "template: {}\n"),
        ] {
            let changes = object_changes(&[change("x.yaml", Some(before), Some(after))]);
            assert!(!changes.is_empty());
            assert!(changes.iter().all(|change| !change.diff.contains("s3cret")), "{changes:?}");
        }
    }

    #[test]
    fn what_cannot_be_compared_is_named() {
        let large = "x".repeat(MAX_FILE + 1);
        let changes = object_changes(&[change("a.yaml", Some(&large), None), change("b.bin", None, Some("a\0b"))]);
        assert_eq!(changes.iter().map(|change| change.diff.as_str()).collect::<Vec<_>>(), ["  # too large to be shown\n", "  # not a text file\n"]);
    }
}
