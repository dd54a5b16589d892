//! `consign validate`: are the definitions right, and if not, where and what to write instead.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::config::{Knowledge, LoadOptions, Settings, SourceFile, load};
use crate::diagnostic::{Diagnostic, Failure, FailureKind, Severity};
use crate::report::diagnostics;

/// Checks definitions and `consign.yaml`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Files or folders to check instead of the definitions folders of `consign.yaml`.
    pub paths: Vec<PathBuf>,
    /// Unknown fields of a resource are errors.
    #[arg(long)]
    pub strict: bool,
    /// How to show what was found.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Formats of what was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Framed text for people.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// Annotations of GitHub Actions.
    Github,
    /// SARIF, for code scanning.
    Sarif,
}

/// What the verb needs from its surroundings.
pub struct Surroundings<'a> {
    /// Root of the checkout.
    pub root: &'a Path,
    /// Folders given with `--definitions`; empty: those of `consign.yaml`.
    pub definitions: &'a [String],
    /// Environment variables.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Now.
    pub now: jiff::Timestamp,
    /// What other rooms know.
    pub knowledge: Knowledge<'a>,
    /// Whether text is coloured.
    pub color: bool,
    /// Width of the terminal, in characters.
    pub width: usize,
}

/// Runs the verb; gives the exit code: 0, or 2 if there is an error.
///
/// # Errors
/// A [`Failure`] if a given path cannot be read.
pub fn run(args: &Args, surroundings: &Surroundings<'_>, out: &mut dyn Write) -> Result<u8, Failure> {
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut settings_sources = crate::diagnostic::SourceMap::default();
    let settings = match std::fs::read(surroundings.root.join(SETTINGS)) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let (settings, diagnostics) = Settings::parse(SETTINGS, &text, surroundings.env, &mut settings_sources);
            found = diagnostics;
            settings
        }
        Err(_) => Settings::default(),
    };
    let files = if args.paths.is_empty() {
        let folders = if surroundings.definitions.is_empty() { &settings.definitions } else { surroundings.definitions };
        read_definitions(surroundings.root, folders)?
    } else {
        read_paths(&args.paths)?
    };
    let options = LoadOptions { strict: args.strict, now: surroundings.now, knowledge: surroundings.knowledge };
    let loaded = load(&files, &options);
    if loaded.resources.is_empty() && loaded.diagnostics.is_empty() {
        found.push(
            Diagnostic::warning("config/nothing", "there are no definitions here")
                .help("`consign init` writes a first project; `definitions:` in `consign.yaml` says where they are"),
        );
    }
    let wrong = |diagnostics: &[Diagnostic]| diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    let exit_code = if wrong(&found) || wrong(&loaded.diagnostics) { FailureKind::Config.exit_code() } else { 0 };
    show(args.format, &found, &settings_sources, &loaded, surroundings, out)
        .map_err(|error| Failure::new(FailureKind::Internal, "the result cannot be written").caused_by(error))?;
    Ok(exit_code)
}

/// Name of the settings file.
const SETTINGS: &str = "consign.yaml";

fn show(
    format: Format,
    settings: &[Diagnostic],
    settings_sources: &crate::diagnostic::SourceMap,
    loaded: &crate::config::Loaded,
    surroundings: &Surroundings<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Text => {
            for (diagnostics, sources) in [(settings, settings_sources), (&loaded.diagnostics, &loaded.sources)] {
                out.write_all(diagnostics::text(diagnostics, sources, surroundings.color, surroundings.width).as_bytes())?;
            }
            let resources: Vec<String> = loaded.resources.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            if settings.is_empty() && loaded.diagnostics.is_empty() {
                writeln!(out, "all is well: {}", resources.join(", "))?;
            }
            Ok(())
        }
        Format::Json => {
            let mut document = diagnostics::json(&loaded.diagnostics, &loaded.sources, &loaded.resources);
            let own = diagnostics::json(settings, settings_sources, &loaded.resources);
            document["ok"] = (document["ok"] == true && own["ok"] == true).into();
            let mut all = own["diagnostics"].as_array().cloned().unwrap_or_default();
            all.extend(document["diagnostics"].as_array().cloned().unwrap_or_default());
            document["diagnostics"] = all.into();
            writeln!(out, "{document:#}")
        }
        Format::Github => {
            out.write_all(diagnostics::github(settings, settings_sources).as_bytes())?;
            out.write_all(diagnostics::github(&loaded.diagnostics, &loaded.sources).as_bytes())
        }
        Format::Sarif => {
            let mut log = diagnostics::sarif(&loaded.diagnostics, &loaded.sources);
            let own = diagnostics::sarif(settings, settings_sources);
            for part in ["/runs/0/results", "/runs/0/tool/driver/rules"] {
                let more = own.pointer(part).and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
                if let Some(list) = log.pointer_mut(part).and_then(serde_json::Value::as_array_mut) {
                    list.extend(more);
                }
            }
            writeln!(out, "{log:#}")
        }
    }
}

/// Reads the definitions folders of a checkout; a folder that is not there holds nothing.
///
/// # Errors
/// A [`Failure`] if something that is there cannot be read.
pub fn read_definitions(root: &Path, folders: &[String]) -> Result<Vec<SourceFile>, Failure> {
    let mut files = Vec::new();
    for folder in folders {
        let path = root.join(folder);
        if path.exists() {
            read_into(&path, &folder_name(folder), &mut files)?;
        }
    }
    Ok(files)
}

fn folder_name(folder: &str) -> String {
    let name = folder.trim_start_matches("./").trim_end_matches('/');
    if name.is_empty() { ".".into() } else { name.to_owned() }
}

/// Reads files, and folders with everything in them.
///
/// # Errors
/// A [`Failure`] if one cannot be read.
pub fn read_paths(paths: &[PathBuf]) -> Result<Vec<SourceFile>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        read_into(path, &path.to_string_lossy(), &mut files)?;
    }
    Ok(files)
}

fn read_into(path: &Path, shown: &str, files: &mut Vec<SourceFile>) -> Result<(), Failure> {
    let cannot = |error: io::Error| {
        Failure::new(FailureKind::Usage, format!("`{shown}` cannot be read: {error}")).hint("name files or folders that are there")
    };
    if !std::fs::metadata(path).map_err(cannot)?.is_dir() {
        let bytes = std::fs::read(path).map_err(cannot)?;
        // Settings are checked on their own.
        if path.file_name().is_none_or(|name| name != SETTINGS) {
            files.push(SourceFile { path: shown.to_owned(), bytes });
        }
        return Ok(());
    }
    let mut names: Vec<String> = std::fs::read_dir(path)
        .map_err(cannot)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name != ".git")
        .collect();
    names.sort();
    for name in names {
        let below = path.join(&name);
        let shown = if shown == "." { name.clone() } else { format!("{}/{name}", shown.trim_end_matches('/')) };
        let is_yaml = below.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("yaml") || ending.eq_ignore_ascii_case("yml"));
        if is_yaml || below.is_dir() {
            read_into(&below, &shown, files)?;
        }
    }
    Ok(())
}
