//! Compares what came out with what a case wants.

use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::{archive, charts};
use crate::harness::Outcome;

/// Members of a result whose absence means the empty value, and which are compared whenever a case wants them or we have them.
const COMPARED: [&str; 14] = [
    "status",
    "terminal",
    "output",
    "message",
    "retryAfter",
    "files",
    "deleted",
    "objects",
    "repos",
    "commits",
    "worktrees",
    "localTags",
    "requests",
    "filesOmitted",
];

/// Judges a result: as Kargo, or as the case's sane result.
pub fn judge(case: &Value, got: &Value) -> Outcome {
    let want = &case["want"];
    let unknown: Vec<&String> =
        want.as_object().into_iter().flatten().map(|(key, _)| key).filter(|key| !COMPARED.contains(&key.as_str()) && *key != "error").collect();
    if !unknown.is_empty() {
        return Outcome::Differ(format!("the case wants {unknown:?}, which nothing compares"));
    }
    let first = difference(want, got, None);
    let Some(first) = first else { return Outcome::AsKargo };
    if let Some(sane) = case["sane"].as_object() {
        let mut merged = want.as_object().cloned().unwrap_or_default();
        for (key, value) in sane {
            if value.is_null() {
                merged.shift_remove(key);
            } else {
                merged.insert(key.clone(), value.clone());
            }
        }
        // A `sane` that turns an error into a success may leave output and files to the reader; Kargo's cannot stand in for them.
        if want["status"] != merged["status"] && merged["status"] == "Succeeded" {
            for key in ["output", "files"].into_iter().filter(|key| got.get(*key).is_some()) {
                merged.entry(key).or_insert_with(|| got[key].clone());
            }
        }
        let merged = Value::Object(merged);
        return match difference(&merged, got, Some(case)) {
            None => Outcome::Sane,
            Some(second) => Outcome::Differ(format!("sane: {second}; as Kargo: {first}\n    got {got}\n    want {want}\n    sane {}", case["sane"])),
        };
    }
    Outcome::Differ(format!("{first}\n    got {got}\n    want {want}\n    quirk {}", case["quirk"]))
}

/// The first member that differs; None: all is the same. With a case it is the sane result that is wanted.
fn difference(want: &Value, got: &Value, sane: Option<&Value>) -> Option<String> {
    for key in COMPARED {
        let (want, got) = (&want[key], &got[key]);
        if let Some(case) = sane.filter(|case| case.get("repos").is_some()) {
            let told = case["sane"].get(key);
            // A work tree that is no longer told of was left in the middle of something; then it is clean.
            let clean = key == "worktrees" && got.as_object().is_none_or(|all| all.values().all(|one| one.get("status").is_none()));
            // Where Kargo errs and success is expected, the case does not tell what else there is then.
            let untold = told.is_none() && case["want"]["status"] == "Errored" && case["sane"]["status"] == "Succeeded";
            if clean && (untold || told.is_some_and(Value::is_null)) || untold && key == "files" {
                continue;
            }
        }
        let same = match key {
            "files" => {
                if let Some(problem) = files(want, got, sane.is_some()) {
                    return Some(problem);
                }
                true
            }
            "output" => output(want, got, sane.is_some()),
            "worktrees" => worktrees(want, got),
            "message" => quoted(want) == quoted(got),
            "deleted" => sorted(want) == sorted(got),
            // A folder nested into itself: the case leaves its hundreds of files out.
            "filesOmitted" => want != &json!(true),
            "objects" => objects(want, got),
            _ => same(want, got),
        };
        if !same {
            return Some(format!("`{key}` is {got}, not {want}"));
        }
    }
    None
}

/// Objects as a case tells them: one that is about metadata leaves out alias and labels.
fn objects(want: &Value, got: &Value) -> bool {
    let (Some(want), Some(got)) = (want.as_object(), got.as_object()) else { return want == got };
    want.len() == got.len()
        && want.iter().all(|(name, want)| {
            let Some(mut seen) = got.get(name).and_then(Value::as_object).cloned() else { return false };
            seen.retain(|key, _| key == "metadata" || want.get("alias").is_some() || want.get("labels").is_some());
            same(want, &Value::Object(seen))
        })
}

fn output(want: &Value, got: &Value, sane: bool) -> bool {
    if same(want, got) {
        return true;
    }
    // A commit message may show a value either way where a case is about how values are written (the file's notes say so).
    let (Some(want), Some(got)) = (want.as_object(), got.as_object()) else { return false };
    let keys = |line: &str| line.split_once(": ").map_or(line, |(key, _)| key).to_owned();
    sane && want.len() == got.len()
        && want.iter().all(|(key, value)| match (key.as_str(), value.as_str(), got.get(key).and_then(Value::as_str)) {
            ("commitMessage", Some(want), Some(got)) => want.lines().map(keys).eq(got.lines().map(keys)),
            _ => got.get(key).is_some_and(|other| same(value, other)),
        })
}

/// What a message names: the texts in quotes.
fn quoted(message: &Value) -> Option<Vec<String>> {
    let text = message.as_str()?.replace('`', "\"");
    Some(text.split('"').skip(1).step_by(2).map(str::to_owned).collect())
}

/// Work trees are compared by what git's status tells of each path, not by whether it is staged: a lazy checkout has no index.
fn worktrees(want: &Value, got: &Value) -> bool {
    let plain = |trees: &Value| {
        let mut trees = trees.clone();
        for tree in trees.as_object_mut().into_iter().flat_map(Map::values_mut) {
            let lines = tree["status"].as_array().cloned().unwrap_or_default();
            let mut lines: Vec<String> = lines
                .iter()
                .filter_map(Value::as_str)
                .map(|line| match line.split_at(2) {
                    ("A ", path) => format!("??{path}"),
                    (letters, path) => format!("{}{path}", letters.trim()),
                })
                .collect();
            lines.sort();
            tree["status"] = json!(lines);
        }
        trees
    };
    plain(want) == plain(got)
}

fn sorted(list: &Value) -> Vec<String> {
    let mut all: Vec<String> = list.as_array().into_iter().flatten().map(|one| one.as_str().unwrap_or_default().to_owned()).collect();
    all.sort();
    all
}

/// Equal as values: 42 is 42.0, and an absent list or object is an empty one.
pub fn same(want: &Value, got: &Value) -> bool {
    match (want, got) {
        (Value::Number(want), Value::Number(got)) => want == got || want.as_f64() == got.as_f64(),
        (Value::Array(want), Value::Array(got)) => want.len() == got.len() && want.iter().zip(got).all(|(want, got)| same(want, got)),
        (Value::Object(want), Value::Object(got)) => {
            want.len() == got.len() && want.iter().all(|(key, value)| got.get(key).is_some_and(|other| same(value, other)))
        }
        _ => want == got,
    }
}

fn files(want: &Value, got: &Value, sane: bool) -> Option<String> {
    let none = Map::new();
    let (want, got) = (want.as_object().unwrap_or(&none), got.as_object().unwrap_or(&none));
    for (path, file) in want {
        if sane && means_the_same(path, file, got.get(path).unwrap_or(&Value::Null)) {
            continue;
        }
        let Some(ours) = got.get(path) else { return Some(format!("the file `{path}` is unchanged or missing")) };
        if let Some(problem) = file_differs(file, ours) {
            return Some(format!("the file `{path}`: {problem}"));
        }
    }
    got.keys().find(|path| !want.contains_key(*path)).map(|path| format!("the file `{path}` was not to be changed: {}", got[path]))
}

/// Whether a TOML file has the same values and comments as a sane one (any result that means the same is as good, say the file's notes).
fn means_the_same(path: &str, want: &Value, got: &Value) -> bool {
    let (true, Some(want), Some(got)) = (path.ends_with(".toml"), want["text"].as_str(), got["text"].as_str()) else { return false };
    let read = |text: &str| text.parse::<toml_edit::DocumentMut>().ok().and_then(|read| toml_edit::de::from_document::<Value>(read).ok());
    let comments = |text: &str| -> Vec<String> { text.lines().filter_map(|line| line.split_once('#')).map(|(_, text)| text.to_owned()).collect() };
    read(want).is_some() && read(want) == read(got) && comments(want) == comments(got)
}

fn file_differs(want: &Value, got: &Value) -> Option<String> {
    if let Some(mode) = want.get("mode") {
        if got["mode"] != *mode {
            return Some(format!("its mode is {}, not {mode}", got["mode"]));
        }
    } else if got["modeChanged"] == true {
        return Some(format!("its mode was changed to {}", got["mode"]));
    }
    if let Some(archive) = want.get("archive") {
        return archive::differs(archive, got);
    }
    if let Some(chart) = want.get("chart") {
        return charts::differs(chart, got);
    }
    if let (Some(want), Some(got)) = (bytes(want), bytes(got)) {
        return (want != got).then(|| format!("its bytes are {:?}, not {:?}", String::from_utf8_lossy(&got), String::from_utf8_lossy(&want)));
    }
    for key in ["text", "symlink", "dir"] {
        let same = match (want[key].as_str(), got[key].as_str()) {
            (Some(want), Some(got)) => matches(want, got),
            _ => want[key] == got[key],
        };
        if !same {
            return Some(format!("its {key} is {}, not {}", got[key], want[key]));
        }
    }
    None
}

/// The bytes of a file of which one side is told as base64.
fn bytes(file: &Value) -> Option<Vec<u8>> {
    match (&file["text"], &file["base64"]) {
        (Value::String(text), _) if !text.contains("{{") => Some(text.clone().into_bytes()),
        (_, Value::String(text)) => base64::engine::general_purpose::STANDARD.decode(text).ok(),
        _ => None,
    }
}

/// Whether a text matches a wanted one in which `{{time}}` and `{{digest}}` stand for a word that no case can know.
fn matches(want: &str, got: &str) -> bool {
    if !want.contains("{{time}}") && !want.contains("{{digest}}") {
        return want == got;
    }
    let pattern = regex::escape(want).replace(r"\{\{time\}\}", r"\S+").replace(r"\{\{digest\}\}", r"\S+");
    regex::Regex::new(&format!(r"\A{pattern}\z")).expect("an escaped text").is_match(got)
}
