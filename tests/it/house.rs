//! The arrows between rooms: who may know whom, and which rooms touch the world. The map is in `src/lib.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// For each room, the rooms it may name. Data flows from top to bottom; nobody looks down.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("diagnostic", &["model"]),
    ("expr", &["model", "diagnostic"]),
    ("edit", &["model", "diagnostic"]),
    ("git", &["model", "diagnostic"]),
    ("forge", &["model", "diagnostic", "git"]),
    ("registry", &["model", "diagnostic"]),
    ("config", &["model", "diagnostic", "expr"]),
    ("discover", &["model", "diagnostic", "expr", "git", "registry", "config", "freight"]),
    ("freight", &["model", "diagnostic", "expr"]),
    ("plan", &["model", "diagnostic", "expr", "freight"]),
    ("promote", &["model", "diagnostic", "expr", "edit", "git", "forge", "registry", "config", "freight", "plan"]),
    ("verify", &["model", "diagnostic", "expr", "config", "freight", "plan", "promote"]),
    ("ledger", &["model", "diagnostic", "git", "config", "freight", "plan", "promote", "verify"]),
    ("report", &["model", "diagnostic", "config", "discover", "freight", "plan", "promote", "verify", "ledger", "forge", "tick"]),
    ("tick", &["*"]),
    ("cli", &["*"]),
];

/// Rooms that take values and give values: no I/O, no async, no clock, no environment.
const PURE: &[&str] = &["model", "expr", "edit", "freight", "plan"];
const IMPURE_WORDS: &[&str] =
    &["std::fs", "std::process", "std::env::", "std::net", "tokio::", "reqwest::", "async fn", "Timestamp::now", "SystemTime::now", "Zoned::now"];

/// The only room that starts `git` or opens a repository, and the words that do it.
const GIT_WORDS: &[&str] = &["gix::open", "gix::init", "Command::new(\"git\")"];

#[test]
fn rooms_know_only_the_rooms_above_them() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> = MAY_KNOW.iter().map(|(room, rooms)| (*room, rooms.iter().copied().collect())).collect();
    let mut wrong = Vec::new();
    for file in sources() {
        let room = room_of(&file);
        if room == "lib" || room == "main" {
            continue;
        }
        let known = allowed.get(room.as_str()).unwrap_or_else(|| panic!("room `{room}` is not on the map in tests/it/house.rs"));
        for (number, line) in code_lines(&file) {
            for other in named_rooms(&line) {
                if other != room && !known.contains(other.as_str()) && !known.contains("*") && allowed.contains_key(other.as_str()) {
                    wrong.push(format!("{}:{number}: `{room}` may not know `{other}`", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_rooms_touch_nothing_outside() {
    let mut wrong = Vec::new();
    for file in sources().into_iter().filter(|file| PURE.contains(&room_of(file).as_str())) {
        for (number, line) in code_lines(&file) {
            if let Some(word) = IMPURE_WORDS.iter().find(|word| line.contains(**word)) {
                wrong.push(format!("{}:{number}: `{word}` in a pure room", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_git_room_runs_git() {
    let mut wrong = Vec::new();
    for file in sources().into_iter().filter(|file| room_of(file) != "git") {
        for (number, line) in code_lines(&file) {
            if let Some(word) = GIT_WORDS.iter().find(|word| line.contains(**word)) {
                wrong.push(format!("{}:{number}: `{word}` outside of the git room", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 20, "the sources are where the test looks");
    found.sort();
    found
}

fn room_of(file: &Path) -> String {
    let relative = file.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    relative.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// Lines of product code: comments and everything from the first test module on are left out.
fn code_lines(file: &Path) -> Vec<(usize, String)> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(index, line)| (index + 1, line.to_owned()))
        .collect()
}

/// Rooms named by `crate::room` or inside `use crate::{room::.., room::..}`.
fn named_rooms(line: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (start, _) in line.match_indices("crate::") {
        let rest = &line[start + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            let mut at_head = true;
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        rooms.push(std::mem::take(&mut word));
                        at_head = true;
                    }
                    c if depth == 0 && at_head && (c.is_alphanumeric() || c == '_') => word.push(c),
                    ':' if depth == 0 => at_head = false,
                    _ => {}
                }
            }
            rooms.push(word);
        } else {
            rooms.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    rooms.retain(|room| !room.is_empty());
    rooms
}
