//! Records as YAML text.
//!
//! Written in one form only, so that the same record is the same blob: keys in the order of the types, hashes always quoted, and whatever a
//! YAML 1.1 or 1.2 reader could take for something other than text quoted too. Read back with the same meaning by either.

use serde::de::DeserializeOwned;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Map, Value};

/// Writes a value as one YAML document that ends in a newline.
pub(super) fn write(value: &Value) -> String {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let mut text = serde_saphyr::to_string_with_options(&Canonical(value), options)
        .expect("a JSON value has a YAML form and memory does not fail to be written");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Reads one YAML document. Duplicate keys are errors; `yes` and `on` are text.
///
/// # Errors
/// Text that is not one YAML document of that type, with line and column.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
        merge_keys: serde_saphyr::MergeKeyPolicy::AsOrdinary,
        budget: serde_saphyr::budget! { max_events: 8_000_000, max_nodes: 4_000_000, max_total_scalar_bytes: 256 << 20 },
    };
    serde_saphyr::from_slice_with_options(bytes, options).map_err(|error| error.to_string())
}

/// A JSON value on its way to the YAML writer.
struct Canonical<'a>(&'a Value);

impl Serialize for Canonical<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::String(text) => CanonicalText(text).serialize(serializer),
            Value::Array(items) => {
                let mut sequence = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    sequence.serialize_element(&Canonical(item))?;
                }
                sequence.end()
            }
            Value::Object(map) => serialize_map(map, serializer),
            scalar => scalar.serialize(serializer),
        }
    }
}

fn serialize_map<S: Serializer>(map: &Map<String, Value>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut entries = serializer.serialize_map(Some(map.len()))?;
    for (key, value) in map {
        entries.serialize_entry(key, &Canonical(value))?;
    }
    entries.end()
}

struct CanonicalText<'a>(&'a str);

impl Serialize for CanonicalText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if is_hash(self.0) {
            serde_saphyr::DoubleQuoted(self.0).serialize(serializer)
        } else if reads_well_as_block(self.0) {
            serde_saphyr::LitStr(self.0).serialize(serializer)
        } else {
            serializer.serialize_str(self.0)
        }
    }
}

/// Whether a text is a hash, abbreviated ones included: `123e456` is a number to some readers.
fn is_hash(text: &str) -> bool {
    let digits = text.rsplit_once(':').map_or(text, |(_, digits)| digits);
    digits.len() >= 7 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a text of several lines survives a literal block unchanged in every reader.
fn reads_well_as_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.contains('\n')
        && !body.starts_with([' ', '\t', '\n'])
        && body.split('\n').all(|line| !line.ends_with([' ', '\t']) && !line.starts_with('\t'))
        && !body.ends_with('\n')
        && text.chars().all(|c| c == '\n' || (' '..='~').contains(&c))
}
