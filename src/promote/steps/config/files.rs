//! Configurations of the file steps.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{StepConfig, Violation, violation, whole};

/// `copy`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CopyConfig {
    /// File or folder to copy.
    #[schemars(length(min = 1))]
    pub in_path: String,
    /// Where to.
    #[schemars(length(min = 1))]
    pub out_path: String,
    /// Patterns of what to leave out, as in `.gitignore`, one a line. `.git` is left out anyway.
    #[schemars(length(min = 1))]
    pub ignore: Option<String>,
}

impl StepConfig for CopyConfig {
    const KIND: &'static str = "copy";
}

/// `delete`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeleteConfig {
    /// What to delete. Either this or `paths`.
    #[schemars(length(min = 1))]
    pub path: Option<String>,
    /// What to delete, several.
    #[schemars(length(min = 1), inner(length(min = 1)))]
    pub paths: Option<Vec<String>>,
    /// Whether the paths are patterns with `**`, `*`, `?`, `[..]` and `{a,b}`.
    #[serde(default)]
    pub paths_are_globs: bool,
    /// Whether a path that does not exist, or a pattern that matches nothing, is an error.
    #[serde(default)]
    pub strict: bool,
}

impl DeleteConfig {
    /// The paths, however they were given.
    pub fn entries(&self) -> impl Iterator<Item = &str> {
        self.path.iter().chain(self.paths.iter().flatten()).map(String::as_str)
    }
}

impl StepConfig for DeleteConfig {
    const KIND: &'static str = "delete";

    fn further(&self) -> Vec<Violation> {
        match (&self.path, &self.paths) {
            (Some(_), Some(_)) => vec![violation("", "only one of `path` and `paths` may be set")],
            (None, None) => vec![violation("", "one of `path` and `paths` is required")],
            _ => Vec::new(),
        }
    }
}

/// `file-write`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileWriteConfig {
    /// The file, relative.
    #[schemars(length(min = 1))]
    pub path: String,
    /// What it will contain, byte for byte.
    pub contents: String,
    /// Octal mode, `0600` by default.
    #[schemars(regex(pattern = r"^0[0-7]{3}\z"))]
    pub permissions: Option<String>,
    /// Whether an existing file may be replaced.
    #[serde(default)]
    pub overwrite: bool,
}

impl StepConfig for FileWriteConfig {
    const KIND: &'static str = "file-write";
}

/// `tar`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TarConfig {
    /// File or folder to archive.
    #[schemars(length(min = 1))]
    pub in_path: String,
    /// The archive.
    #[schemars(length(min = 1))]
    pub out_path: String,
    /// Patterns of what to leave out, as in `.gitignore`, one a line; replaces the default, `.git`.
    #[schemars(length(min = 1))]
    pub ignore: Option<String>,
    /// Whether to compress it.
    #[serde(default)]
    pub gzip: bool,
}

impl StepConfig for TarConfig {
    const KIND: &'static str = "tar";
}

/// `untar`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UntarConfig {
    /// The archive, compressed or not.
    #[schemars(length(min = 1))]
    pub in_path: String,
    /// The folder it is unpacked to; replaced as a whole.
    #[schemars(length(min = 1))]
    pub out_path: String,
    /// How many leading components to drop from the members' names.
    #[serde(default, deserialize_with = "whole")]
    #[schemars(range(min = 0))]
    pub strip_components: u64,
    /// Patterns of what to leave out, as in `.gitignore`, one a line; replaces the default, `.git`.
    #[schemars(length(min = 1))]
    pub ignore: Option<String>,
}

impl StepConfig for UntarConfig {
    const KIND: &'static str = "untar";
}
