//! What a promotion would change, by Kubernetes object; values of Secrets are never shown.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use similar::TextDiff;

use super::words;
use crate::model::{FreightName, ProjectName, StageName};
use crate::promote::manifests::{ObjectIdentity, read_document, split_documents};

/// Comparing two files ends after this long with a coarser answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a promotion would change on one branch.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StageDiff {
    /// The project.
    pub project: ProjectName,
    /// The stage.
    pub stage: StageName,
    /// The freight.
    pub freight: FreightName,
    /// Its alias.
    pub alias: String,
    /// The repository; empty: nothing would be written.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// The branch.
    pub branch: String,
    /// The files that would change.
    pub files: Vec<FileDiff>,
    /// What is not shown, and why.
    pub notes: Vec<String>,
}

/// A file that would change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileDiff {
    /// Its path.
    pub path: String,
    /// How.
    pub change: Change,
    /// The objects in it that would change; empty: it holds none.
    pub objects: Vec<ObjectDiff>,
    /// A unified diff.
    pub diff: String,
}

/// An object that would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectDiff {
    /// API group and version.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Namespace as written; empty: none.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// How.
    pub change: Change,
    /// A unified diff.
    pub diff: String,
}

/// How something changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// New.
    Added,
    /// Different.
    #[default]
    Changed,
    /// Gone.
    Removed,
}

impl Change {
    fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

/// A file on one side of the comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    /// There is none.
    Absent,
    /// Its text.
    Text(String),
    /// Something that is not shown, in words.
    Opaque(String),
}

/// Compares two versions of a file. `secrets` are texts to mask wherever they stand.
pub fn file(path: &str, before: &Side, after: &Side, secrets: &[String]) -> FileDiff {
    let change = match (before, after) {
        (Side::Absent, _) => Change::Added,
        (_, Side::Absent) => Change::Removed,
        _ => Change::Changed,
    };
    let (Some(old), Some(new)) = (content(before), content(after)) else {
        let word = |side: &Side| match side {
            Side::Absent => "nothing".to_owned(),
            Side::Text(text) => format!("{} bytes of text", text.len()),
            Side::Opaque(what) => what.clone(),
        };
        return FileDiff { path: path.to_owned(), change, objects: Vec::new(), diff: format!("not shown: {} -> {}\n", word(before), word(after)) };
    };
    let (old, new) = (Documents::read(old), Documents::read(new));
    let (old, new) = (old.redacted(&new, "before"), new.redacted(&old, "after"));
    let objects = objects(path, &old, &new, secrets);
    let names = (
        if *before == Side::Absent { "/dev/null".into() } else { format!("a/{path}") },
        if *after == Side::Absent { "/dev/null".into() } else { format!("b/{path}") },
    );
    let diff = mask(&unified(&old.text(), &new.text(), &names.0, &names.1), secrets);
    FileDiff { path: path.to_owned(), change, objects, diff }
}

fn content(side: &Side) -> Option<&str> {
    match side {
        Side::Absent => Some(""),
        Side::Text(text) => Some(text),
        Side::Opaque(_) => None,
    }
}

fn unified(old: &str, new: &str, old_name: &str, new_name: &str) -> String {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    let text = diff.unified_diff().context_radius(3).header(old_name, new_name).to_string();
    if text.is_empty() && old != new { "only line ends differ\n".into() } else { text }
}

/// Masks values of secrets; short ones would mask half the text.
fn mask(text: &str, secrets: &[String]) -> String {
    let mut secrets: Vec<&String> = secrets.iter().filter(|secret| secret.len() >= 4).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.into_iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "****"))
}

/// The documents of a file. A file that holds no Kubernetes object is one document, as it is.
struct Documents(Vec<Document>);

struct Document {
    text: String,
    value: Option<Value>,
    identity: Option<ObjectIdentity>,
}

impl Documents {
    fn read(text: &str) -> Self {
        let documents: Vec<Document> = split_documents(text)
            .into_iter()
            .map(|text| {
                let value = read_document(text).ok();
                let identity = value.as_ref().and_then(ObjectIdentity::of).filter(ObjectIdentity::is_named);
                Document { text: text.to_owned(), value, identity }
            })
            .collect();
        // What is whole is kept whole, so that its diff shows every line.
        if documents.len() == 1 && !documents[0].may_hold_secret() {
            let mut documents = documents;
            text.clone_into(&mut documents[0].text);
            return Self(documents);
        }
        Self(documents)
    }

    fn text(&self) -> String {
        let texts: Vec<&str> = self.0.iter().map(|document| document.text.as_str()).collect();
        texts.join("---\n")
    }

    fn find(&self, identity: &ObjectIdentity) -> Option<&Document> {
        self.0.iter().find(|document| document.identity.as_ref() == Some(identity))
    }

    /// The same documents without the values of Secrets: `****` where the other side has the same value, else with the word for this side.
    fn redacted(&self, other: &Self, side: &str) -> Self {
        let redact = |document: &Document| {
            if !document.may_hold_secret() {
                return Document { text: document.text.clone(), value: None, identity: document.identity.clone() };
            }
            let Some(value) = &document.value else {
                let text = format!("# **** a document that may hold a Secret and cannot be read ({side})\n");
                return Document { text, value: None, identity: None };
            };
            let counterpart =
                document.identity.as_ref().and_then(|identity| other.find(identity)).or_else(|| other.0.first().filter(|_| other.0.len() == 1));
            let mut value = value.clone();
            let touched = hide(&mut value, counterpart.and_then(|document| document.value.as_ref()), side);
            let text = if touched { serde_saphyr::to_string(&value).unwrap_or_else(|_| "# ****\n".into()) } else { document.text.clone() };
            Document { text, value: None, identity: document.identity.clone() }
        };
        Self(self.0.iter().map(redact).collect())
    }
}

impl Document {
    fn may_hold_secret(&self) -> bool {
        self.text.contains("Secret")
    }
}

/// Hides the values of a Secret, also of one inside a list. True: there was one.
fn hide(value: &mut Value, other: Option<&Value>, side: &str) -> bool {
    match value {
        Value::Object(fields) if fields.get("kind").is_some_and(|kind| kind == "Secret") => {
            for part in ["data", "stringData"] {
                let theirs = other.and_then(|other| other.get(part));
                match fields.get_mut(part) {
                    Some(Value::Object(values)) => {
                        for (key, value) in values {
                            // Without a counterpart there is nothing it could differ from.
                            let same = other.is_none() || theirs.and_then(|theirs| theirs.get(key)) == Some(&*value);
                            *value = Value::String(if same { "****".into() } else { format!("**** ({side})") });
                        }
                    }
                    Some(odd) if !odd.is_null() => *odd = Value::String("****".into()),
                    _ => {}
                }
            }
            // Annotations may repeat the whole object.
            if let Some(Value::Object(annotations)) = fields.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations")) {
                annotations.values_mut().for_each(|value| *value = Value::String("****".into()));
            }
            true
        }
        Value::Object(fields) => {
            let mut touched = false;
            for (key, value) in fields {
                touched |= hide(value, other.and_then(|other| other.get(key)), side);
            }
            touched
        }
        Value::Array(items) => {
            let mut touched = false;
            for (index, item) in items.iter_mut().enumerate() {
                let named = |value: &Value| value.get("metadata").and_then(|metadata| metadata.get("name")).cloned();
                let name = named(item);
                let theirs = other.and_then(Value::as_array);
                let counterpart =
                    theirs.and_then(|theirs| theirs.iter().find(|their| name.is_some() && named(their) == name).or_else(|| theirs.get(index)));
                touched |= hide(item, counterpart, side);
            }
            touched
        }
        _ => false,
    }
}

fn objects(path: &str, old: &Documents, new: &Documents, secrets: &[String]) -> Vec<ObjectDiff> {
    let mut pairs: BTreeMap<&ObjectIdentity, [&str; 2]> = BTreeMap::new();
    for (side, documents) in [old, new].into_iter().enumerate() {
        for document in &documents.0 {
            if let Some(identity) = &document.identity {
                pairs.entry(identity).or_default()[side] = document.text.as_str();
            }
        }
    }
    let changed = pairs.into_iter().filter(|(_, [old, new])| old != new);
    changed
        .map(|(identity, [old, new])| {
            let change = match (old.is_empty(), new.is_empty()) {
                (true, _) => Change::Added,
                (_, true) => Change::Removed,
                _ => Change::Changed,
            };
            let name = format!("{path}#{}/{}", identity.kind, identity.name);
            let diff = mask(&unified(old, new, &format!("a/{name}"), &format!("b/{name}")), secrets);
            let api_version = if identity.group.is_empty() { identity.version.clone() } else { format!("{}/{}", identity.group, identity.version) };
            ObjectDiff { api_version, kind: identity.kind.clone(), namespace: identity.namespace.clone(), name: identity.name.clone(), change, diff }
        })
        .collect()
}

/// Diffs for people.
pub fn text(diffs: &[StageDiff], color: bool) -> String {
    let mut text = String::new();
    for diff in diffs {
        let to = if diff.repo_url.is_empty() { String::new() } else { format!(" -> `{}` of {}", diff.branch, diff.repo_url) };
        text.push_str(&format!("\n== {}: {}{to}\n", diff.stage, diff.alias));
        for note in &diff.notes {
            text.push_str(&format!("note: {}\n", words::one_line(note, 200)));
        }
        if diff.files.is_empty() && !diff.repo_url.is_empty() {
            text.push_str("nothing changes\n");
        }
        for file in &diff.files {
            if file.objects.len() > 1 {
                text.push_str(&format!("\n{} ({})\n", file.path, file.change.word()));
                for object in &file.objects {
                    let namespace = if object.namespace.is_empty() { String::new() } else { format!("{}/", object.namespace) };
                    text.push_str(&format!("{} {namespace}{} ({})\n", object.kind, object.name, object.change.word()));
                    text.push_str(&painted(&object.diff, color));
                }
            } else {
                let object = file.objects.first().map(|object| format!(": {} {}", object.kind, object.name)).unwrap_or_default();
                text.push_str(&format!("\n{} ({}){object}\n", file.path, file.change.word()));
                text.push_str(&painted(&file.diff, color));
            }
        }
    }
    text
}

fn painted(diff: &str, color: bool) -> String {
    if !color {
        return diff.to_owned();
    }
    let paint = |line: &str| match line.as_bytes().first() {
        Some(b'+') => format!("\u{1b}[32m{line}\u{1b}[0m\n"),
        Some(b'-') => format!("\u{1b}[31m{line}\u{1b}[0m\n"),
        Some(b'@') => format!("\u{1b}[36m{line}\u{1b}[0m\n"),
        _ => format!("{line}\n"),
    };
    diff.lines().map(paint).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn diff(old: &str, new: &str) -> FileDiff {
        file("app.yaml", &Side::Text(old.into()), &Side::Text(new.into()), &[])
    }

    #[test]
    fn a_changed_object_is_named_and_its_neighbour_is_not() {
        let old = "kind: A\nmetadata: {name: x}\nv: 1\n---\nkind: B\nmetadata: {name: y}\nv: 1\n";
        let shown = diff(old, &old.replacen("v: 1", "v: 2", 1));
        assert_eq!(shown.objects.len(), 1);
        assert_eq!((shown.objects[0].kind.as_str(), shown.objects[0].change), ("A", Change::Changed));
        assert!(shown.diff.contains("-v: 1\n+v: 2\n"), "{}", shown.diff);
    }

    #[test]
    fn values_of_secrets_are_never_shown_but_that_they_change_is() {
        let secret = |value: &str| {
            format!(
                "apiVersion: v1\nkind: List\nitems:\n- kind: Secret\n  metadata: {{name: s, annotations: {{last: {value}}}}}\n  stringData: {{a: same, b: {value}}}\n"
            )
        };
        let shown = diff(&secret("hunter1"), &secret("hunter2"));
        assert!(!shown.diff.contains("hunter") && !shown.diff.contains("same"), "{}", shown.diff);
        assert!(shown.diff.contains("**** (before)") && shown.diff.contains("**** (after)"), "{}", shown.diff);
        let added = file("s.yaml", &Side::Absent, &Side::Text(secret("hunter2")), &[]);
        assert!(!added.diff.contains("hunter2"), "{}", added.diff);
        let broken = diff("kind: Secret\ndata: {a: hunter1\n", "kind: Secret\ndata: {a: hunter2\n");
        assert!(!broken.diff.contains("hunter"), "{}", broken.diff);
    }

    #[test]
    fn a_secret_that_an_expression_read_is_masked_everywhere() {
        let shown = file("a.txt", &Side::Absent, &Side::Text("token=s3cret\n".into()), &["s3cret".into()]);
        assert!(shown.diff.contains("+token=****"), "{}", shown.diff);
    }

    #[test]
    fn what_is_no_text_is_only_named() {
        let shown = file("logo.png", &Side::Absent, &Side::Opaque("10 bytes, no text".into()), &[]);
        assert_eq!(shown.diff, "not shown: nothing -> 10 bytes, no text\n");
    }
}
