//! The working directory: writing a case's files, and what a step changed.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine as _;
use consign::promote::workspace::Workspace;
use serde_json::{Map, Value, json};

/// Everything in a working directory, by relative path.
pub type Snapshot = BTreeMap<String, Item>;

/// One path of a snapshot.
#[derive(Clone, PartialEq)]
pub enum Item {
    Folder,
    Link(String),
    File { bytes: Vec<u8>, mode: u32 },
}

/// Writes files as a case tells them.
pub fn write(root: &Path, files: &Value) -> Result<(), String> {
    let Some(files) = files.as_object() else { return Ok(()) };
    for (path, file) in files {
        let full = root.join(path);
        let result: std::io::Result<()> = (|| {
            if file["dir"] == true {
                std::fs::create_dir_all(&full)?;
            } else {
                std::fs::create_dir_all(full.parent().expect("below the root"))?;
                if let Some(target) = file["symlink"].as_str() {
                    return std::os::unix::fs::symlink(target, &full);
                }
                let bytes = match (file["text"].as_str(), file["base64"].as_str()) {
                    (Some(text), _) => text.as_bytes().to_vec(),
                    (_, Some(text)) => base64::engine::general_purpose::STANDARD.decode(text).map_err(std::io::Error::other)?,
                    _ => return Err(std::io::Error::other(format!("an unknown kind of file: {file}"))),
                };
                let existed = full.exists();
                std::fs::write(&full, bytes)?;
                if !existed {
                    std::fs::set_permissions(&full, PermissionsExt::from_mode(0o644))?;
                }
            }
            if let Some(mode) = file["mode"].as_str() {
                let mode = u32::from_str_radix(mode, 8).map_err(std::io::Error::other)?;
                std::fs::set_permissions(&full, PermissionsExt::from_mode(mode))?;
            }
            Ok(())
        })();
        result.map_err(|error| format!("cannot write {path}: {error}"))?;
    }
    Ok(())
}

/// What is there now. What git keeps for itself is left out; so is what is not a regular file, folder or link.
pub fn snapshot(workspace: &Workspace) -> Result<Snapshot, String> {
    fn walk(root: &Path, folder: &Path, found: &mut Snapshot) -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            let name = path.strip_prefix(root).expect("below the root").display().to_string();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                found.insert(name, Item::Folder);
                walk(root, &path, found)?;
            } else if kind.is_symlink() {
                found.insert(name, Item::Link(std::fs::read_link(&path)?.display().to_string()));
            } else if kind.is_file() {
                let mode = entry.metadata()?.permissions().mode() & 0o7777;
                // A file that may not be read is unchanged if its mode is.
                found.insert(name, Item::File { bytes: std::fs::read(&path).unwrap_or_default(), mode });
            }
        }
        Ok(())
    }
    let mut found = Snapshot::new();
    walk(workspace.root(), workspace.root(), &mut found).map_err(|error| error.to_string())?;
    Ok(found)
}

/// Puts `files` and `deleted` of a result together.
pub fn compare(before: &Snapshot, after: &Snapshot, got: &mut Map<String, Value>) {
    let mut files = Map::new();
    for (path, item) in after {
        if before.get(path) == Some(item) {
            continue;
        }
        let described = match item {
            Item::Folder => {
                let empty = !after.range(format!("{path}/")..).next().is_some_and(|(next, _)| next.starts_with(&format!("{path}/")));
                if !empty || before.contains_key(path) && matches!(before[path], Item::Folder) {
                    continue;
                }
                json!({"dir": true})
            }
            Item::Link(target) => json!({"symlink": target}),
            Item::File { bytes, mode } => {
                let mut file = Map::new();
                match std::str::from_utf8(bytes) {
                    Ok(text) => file.insert("text".into(), json!(text)),
                    Err(_) => file.insert("base64".into(), json!(base64::engine::general_purpose::STANDARD.encode(bytes))),
                };
                file.insert("mode".into(), json!(format!("{mode:04o}")));
                if let Some(Item::File { mode: old, .. }) = before.get(path)
                    && old != mode
                {
                    file.insert("modeChanged".into(), json!(true));
                }
                Value::Object(file)
            }
        };
        files.insert(path.clone(), described);
    }
    if !files.is_empty() {
        got.insert("files".into(), Value::Object(files));
    }
    let gone: Vec<&String> = before.keys().filter(|path| !after.contains_key(*path)).collect();
    let topmost: Vec<&&String> = gone.iter().filter(|path| !gone.iter().any(|other| path.starts_with(&format!("{other}/")))).collect();
    if !topmost.is_empty() {
        got.insert("deleted".into(), json!(topmost));
    }
}
