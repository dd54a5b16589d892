//! Edits of structured files that change what they are asked to change and not a byte more.
//!
//! Text and updates in, text out; pure. Each format parses the file for its byte positions, splices the new value in, and (YAML, TOML) reads
//! the result again to prove that nothing else has changed.

use serde_json::Value;

pub mod json;
pub mod key_path;
pub mod kustomization;
pub mod number;
pub mod toml;
pub mod yaml;

/// One value to set.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// Path of the value in the syntax of the format; see [`key_path`] and [`json`].
    pub key: String,
    /// The value, a scalar.
    pub value: Value,
}

/// Why a file was not edited. Nothing has been changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The file is not of its format.
    #[error("the file is not valid {format}: {message}")]
    Syntax {
        /// `YAML`, `JSON` or `TOML`.
        format: &'static str,
        /// The parser's words.
        message: String,
    },
    /// The key itself is wrong.
    #[error("key `{key}` is not valid: {reason}")]
    Key {
        /// The key as configured.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing stands at the key.
    #[error("key `{key}` is not in the file; only values that exist can be updated")]
    NotFound {
        /// The key as configured.
        key: String,
    },
    /// What stands at the key is no scalar.
    #[error("key `{key}` leads to {found} instead of a scalar")]
    NotScalar {
        /// The key as configured.
        key: String,
        /// What was found, with its article.
        found: &'static str,
    },
    /// The new value is no scalar.
    #[error("value for key `{key}` is not a scalar type")]
    NotScalarValue {
        /// The key as configured.
        key: String,
    },
    /// An array cannot take the key.
    #[error("key `{key}`: cannot set an array element by the non-numeric key `{part}`")]
    NotAnIndex {
        /// The key as configured.
        key: String,
        /// The part that should be a number.
        part: String,
    },
    /// The edit was made and read back, and something else had changed with it.
    #[error("the new values cannot be written into the file without changing something else in it")]
    Entangled,
}
