//! Archives as a case describes them.

use std::io::Read as _;

use base64::Engine as _;
use serde_json::{Value, json};

/// How an archive that was written differs from the wanted one; None: not at all.
pub fn differs(want: &Value, got: &Value) -> Option<String> {
    let bytes = match (&got["text"], &got["base64"]) {
        (Value::String(text), _) => text.clone().into_bytes(),
        (_, Value::String(text)) => base64::engine::general_purpose::STANDARD.decode(text).expect("the snapshot wrote it"),
        _ => return Some("it is no file".into()),
    };
    match read(&bytes) {
        Ok(archive) => (archive != *want).then(|| format!("it is {archive}, not {want}")),
        Err(error) => Some(format!("it cannot be read: {error}")),
    }
}

fn read(bytes: &[u8]) -> std::io::Result<Value> {
    let gzip = bytes.starts_with(&[0x1f, 0x8b]);
    let mut plain = Vec::new();
    if gzip {
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain)?;
    } else {
        plain.extend_from_slice(bytes);
    }
    let mut members = Vec::new();
    for entry in tar::Archive::new(plain.as_slice()).entries()? {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mode = format!("{:04o}", entry.header().mode()?);
        members.push(match entry.header().entry_type() {
            tar::EntryType::Directory => json!({"name": name, "type": "dir", "mode": mode}),
            tar::EntryType::Symlink => {
                json!({"name": name, "type": "symlink", "link": entry.link_name_bytes().map(|link| String::from_utf8_lossy(&link).into_owned())})
            }
            tar::EntryType::Regular => {
                let mut text = String::new();
                entry.read_to_string(&mut text)?;
                json!({"name": name, "type": "file", "mode": mode, "text": text})
            }
            other => json!({"name": name, "type": format!("{other:?}")}),
        });
    }
    Ok(json!({"gzip": gzip, "members": members}))
}
