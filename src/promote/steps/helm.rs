//! What `helm-template` and `helm-update-chart` share: charts, their dependencies, and running `helm dependency`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::render::{escaping_link, relative};
use crate::diagnostic::{Failure, FailureKind};
use crate::promote::closure::join;
use crate::promote::manifests::{Modes, read_document, write_file};
use crate::promote::tools::{ToolOutput, Tools};
use crate::promote::workspace::Workspace;

/// A dependency of a chart, as `Chart.yaml` or `Chart.lock` has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Dependency {
    /// Its name.
    pub(super) name: String,
    /// Version or range; of a lock: the version.
    #[serde(default, deserialize_with = "text")]
    pub(super) version: String,
    /// Where it comes from; empty: the chart's `charts` folder.
    #[serde(default)]
    pub(super) repository: String,
}

/// A version may be written as a number (`1.10` is a mistake that helm makes one of, too).
fn text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => text,
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    })
}

#[derive(Deserialize)]
struct WithDependencies {
    #[serde(default)]
    dependencies: Option<Vec<Dependency>>,
}

/// The dependencies named in a file of a chart.
///
/// # Errors
/// The file is no YAML or its `dependencies` are none.
pub(super) fn dependencies_in(text: &str) -> Result<Vec<Dependency>, String> {
    let document = read_document(text)?;
    if document.is_null() {
        return Ok(Vec::new());
    }
    serde_json::from_value::<WithDependencies>(document).map(|file| file.dependencies.unwrap_or_default()).map_err(|error| error.to_string())
}

/// All dependencies of a chart: of `Chart.yaml`, and of the `requirements.yaml` that charts of API version 1 have.
///
/// # Errors
/// A message for the user: there is no `Chart.yaml`, or it cannot be read.
pub(super) fn dependencies(workspace: &Workspace, chart: &Path) -> Result<Vec<Dependency>, String> {
    let mut all = Vec::new();
    for (name, optional) in [("Chart.yaml", false), ("requirements.yaml", true)] {
        let file = chart.join(name);
        match std::fs::read_to_string(&file) {
            Ok(text) => all.extend(dependencies_in(&text).map_err(|error| format!("`{}` cannot be read: {error}", workspace.display(&file)))?),
            Err(error) if optional && error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(format!("`{}` is no chart: it has no `Chart.yaml`", workspace.display(chart))),
            Err(error) => return Err(format!("`{}` cannot be read: {error}", workspace.display(&file))),
        }
    }
    Ok(all)
}

/// Keeps `file://` dependencies inside of the working directory, links in them included.
///
/// # Errors
/// A message for the user.
pub(super) fn confine(workspace: &Workspace, chart: &Path, dependencies: &[Dependency]) -> Result<(), String> {
    for dependency in dependencies {
        let Some(path) = dependency.repository.strip_prefix("file://") else { continue };
        let wrong = |what: &str| format!("dependency `{}`: {what}", dependency.repository);
        if Path::new(path).is_absolute() {
            return Err(wrong("its path must be relative to the chart"));
        }
        let folder = join(&relative(workspace, chart), path).ok_or_else(|| wrong("it leads out of the working directory"))?;
        let folder = workspace.root().join(folder);
        if !folder.exists() {
            return Err(wrong(&format!("there is no `{}`", workspace.display(&folder))));
        }
        if let Some(link) = escaping_link(workspace, &folder) {
            return Err(wrong(&format!("`{}` is a symbolic link that leads out of the working directory", workspace.display(&link))));
        }
    }
    Ok(())
}

/// How dependencies are brought into a chart's `charts` folder.
#[derive(Clone, Copy, Debug)]
pub(super) enum Resolve {
    /// As locked; as [`Resolve::Anew`] without a lock.
    AsLocked,
    /// Within the ranges of `Chart.yaml`; writes the lock.
    Anew,
}

/// Runs `helm dependency build` or `update` on a chart with these dependencies.
///
/// # Errors
/// Tool, or Internal if credentials cannot be handed over. That helm fails is in the output.
pub(super) async fn resolve(
    tools: &Tools,
    workspace: &Workspace,
    chart: &Path,
    dependencies: &[Dependency],
    how: Resolve,
) -> Result<ToolOutput, Failure> {
    let helm = tools.helm().await?;
    let verb = match how {
        Resolve::AsLocked => "build",
        Resolve::Anew => "update",
    };
    let command = tools.command(&helm, workspace.root())?;
    if let Some(text) = repositories(tools, dependencies) {
        let file = command.folder().join("config").join("repositories.yaml");
        write_file(command.folder(), &file, text.as_bytes(), Modes::PRIVATE)
            .map_err(|error| Failure::new(FailureKind::Tool, "cannot hand credentials to helm").caused_by(error))?;
    }
    let mut output = command.args(["dependency", verb, "--"]).arg(chart).run().await?;
    // Why a repository did not answer is part of the progress that helm prints; its error only names what is missing then.
    output.stderr = format!("{}\n{}", String::from_utf8_lossy(&output.stdout).trim(), output.stderr).trim().to_owned();
    Ok(output)
}

/// helm's list of repositories: those of the dependencies, since helm builds from a lock only what it finds in its list, with their credentials.
/// None: no dependency comes from a classic repository.
fn repositories(tools: &Tools, dependencies: &[Dependency]) -> Option<String> {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let urls: BTreeSet<&str> =
        dependencies.iter().map(|one| one.repository.as_str()).filter(|url| url.starts_with("http://") || url.starts_with("https://")).collect();
    let mut text = String::from("apiVersion: \"\"\nrepositories:\n");
    for (number, url) in urls.iter().enumerate() {
        let _ = write!(text, "- {{name: repository-{number}, url: {}", quoted(url));
        let login = tools.chart_credentials.repositories.iter().find(|one| one.url.trim_end_matches('/') == url.trim_end_matches('/'));
        if let Some(login) = login {
            let _ = write!(text, ", username: {}, password: {}", quoted(&login.username), quoted(&login.password));
        }
        text.push_str("}\n");
    }
    (!urls.is_empty()).then_some(text)
}

/// A path for a flag of helm that takes a list separated by commas.
pub(super) fn list_item(path: &Path) -> String {
    let path = path.display().to_string();
    if path.contains([',', '"', '\n']) { format!("\"{}\"", path.replace('"', "\"\"")) } else { path }
}

/// The lock of a chart.
#[derive(Clone, Debug)]
pub(super) struct Lock {
    /// Where it is.
    pub(super) file: PathBuf,
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    /// What it locks.
    pub(super) dependencies: Vec<Dependency>,
}

impl Lock {
    /// Reads the lock of a chart; None: there is none.
    ///
    /// # Errors
    /// A message for the user: it cannot be read.
    pub(super) fn read(workspace: &Workspace, chart: &Path) -> Result<Option<Self>, String> {
        // `requirements.lock` belongs to charts of API version 1.
        for name in ["Chart.lock", "requirements.lock"] {
            let file = chart.join(name);
            let unreadable = |error: &dyn std::fmt::Display| format!("`{}` cannot be read: {error}", workspace.display(&file));
            match std::fs::read(&file) {
                Ok(bytes) => {
                    let dependencies = dependencies_in(&String::from_utf8_lossy(&bytes)).map_err(|error| unreadable(&error))?;
                    return Ok(Some(Self { file, bytes, dependencies }));
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(&error)),
            }
        }
        Ok(None)
    }
}
