//! `helm-update-chart`: sets dependencies of a chart, resolves them anew and locks them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::config::{HelmUpdateChartConfig, read, schema};
use super::helm::{Dependency, Lock, Resolve, confine, dependencies, dependencies_in, resolve};
use super::render::{bring, look, relative, remote_failure};
use crate::diagnostic::Failure;
use crate::edit::{Update, yaml};
use crate::promote::closure;
use crate::promote::manifests::{Modes, write_file};
use crate::promote::step::{Effect, Step, StepResult, StepRun};
use crate::promote::workspace::{Need, Workspace};

/// `helm-update-chart`.
#[derive(Clone, Copy, Debug, Default)]
pub struct HelmUpdateChart;

#[async_trait::async_trait]
impl Step for HelmUpdateChart {
    fn kind(&self) -> &'static str {
        "helm-update-chart"
    }

    fn schema(&self) -> Value {
        schema::<HelmUpdateChartConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: HelmUpdateChartConfig = read(config)?;
        let workspace = &mut *run.workspace;
        let chart = workspace.follow(&config.path).await?;
        let start = relative(workspace, &chart);
        bring(workspace, &[Need::Tree(chart.clone())], |workspace| closure::of_chart(&start, [], |path| look(workspace, path))).await?;
        let before = match prepare(workspace, &chart, &config) {
            Ok(before) => before,
            Err(message) => return Ok(StepResult::errored(message)),
        };
        let Some(before) = before else { return Ok(StepResult::succeeded()) };
        let output = match resolve(&run.doors.tools, workspace, &chart, &before.dependencies, Resolve::Anew).await {
            Ok(output) if output.success => output,
            failed => {
                before.restore_definition(workspace, &chart)?;
                let output = failed?;
                return match remote_failure("helm", &output) {
                    Some(failure) => Err(failure),
                    None => {
                        let message = format!("cannot update the dependencies of `{}`: {}", config.path, output.complaint(workspace.root()));
                        Ok(StepResult { log: output.stderr, ..StepResult::errored(message) })
                    }
                };
            }
        };
        let result = conclude(workspace, &chart, &config.path, before).unwrap_or_else(StepResult::errored);
        Ok(StepResult { log: output.stderr, ..result })
    }
}

/// A chart before its dependencies are resolved.
struct Before {
    /// `Chart.yaml` as it was, if the step edited it.
    definition: Option<String>,
    dependencies: Vec<Dependency>,
    lock: Option<Lock>,
}

impl Before {
    /// A failed step leaves the chart's definition as it was.
    fn restore_definition(&self, workspace: &Workspace, chart: &Path) -> Result<(), Failure> {
        let Some(text) = &self.definition else { return Ok(()) };
        write_file(workspace.root(), &chart.join("Chart.yaml"), text.as_bytes(), Modes::PRIVATE)
            .map_err(|error| Failure::new(crate::diagnostic::FailureKind::Tool, "cannot restore `Chart.yaml`").caused_by(error))
    }
}

/// Edits `Chart.yaml`. None: there are no dependencies, so there is nothing to do.
fn prepare(workspace: &Workspace, chart: &Path, config: &HelmUpdateChartConfig) -> Result<Option<Before>, String> {
    let all = dependencies(workspace, chart)?;
    let definition = edit(workspace, chart, config)?;
    if all.is_empty() {
        return Ok(None);
    }
    let lock = Lock::read(workspace, chart).and_then(|lock| confine(workspace, chart, &all).map(|()| lock))?;
    let Some((old, new)) = definition else { return Ok(Some(Before { definition: None, dependencies: all, lock })) };
    let file = chart.join("Chart.yaml");
    write_file(workspace.root(), &file, new.as_bytes(), Modes::PRIVATE)
        .map_err(|error| format!("cannot write `{}`: {error}", workspace.display(&file)))?;
    Ok(Some(Before { definition: Some(old), dependencies: all, lock }))
}

/// `Chart.yaml` before and after the explicit updates; None: they change nothing.
fn edit(workspace: &Workspace, chart: &Path, config: &HelmUpdateChartConfig) -> Result<Option<(String, String)>, String> {
    let Some(charts) = &config.charts else { return Ok(None) };
    let file = chart.join("Chart.yaml");
    let shown = workspace.display(&file);
    let text = std::fs::read_to_string(&file).map_err(|error| format!("`{shown}` cannot be read: {error}"))?;
    let declared = dependencies_in(&text).map_err(|error| format!("`{shown}` cannot be read: {error}"))?;
    let mut updates = Vec::new();
    for wanted in charts {
        let matching = || declared.iter().enumerate().filter(|(_, one)| one.name == wanted.name && one.repository == wanted.repository);
        if matching().next().is_none() {
            let name = &wanted.name;
            let hint = match declared.iter().find(|one| one.name == *name) {
                Some(one) => format!("; `{name}` comes from `{}` there", one.repository),
                None => String::new(),
            };
            return Err(format!("no dependency in `{shown}` has the name `{name}` and the repository `{}`{hint}", wanted.repository));
        }
        for (index, _) in matching().filter(|(_, one)| one.version != wanted.version) {
            updates.push(Update { key: format!("dependencies.{index}.version"), value: json!(wanted.version) });
        }
    }
    if updates.is_empty() {
        return Ok(None);
    }
    let edited = yaml::update(&text, &updates).map_err(|error| format!("`{shown}`: {error}"))?;
    Ok(Some((text, edited)))
}

/// What changed in the lock. A lock in which only time and digest changed is put back, so that nothing is committed for it.
fn conclude(workspace: &Workspace, chart: &Path, path: &str, before: Before) -> Result<StepResult, String> {
    let after = Lock::read(workspace, chart)?;
    let of = |lock: &Option<Lock>| lock.as_ref().map(|lock| lock.dependencies.clone()).unwrap_or_default();
    let (old, new) = (of(&before.lock), of(&after));
    if let Some(lock) = &before.lock
        && old == new
    {
        write_file(workspace.root(), &lock.file, &lock.bytes, Modes::PRIVATE)
            .map_err(|error| format!("cannot write `{}`: {error}", workspace.display(&lock.file)))?;
    }
    let changes = changes(&versions(&old), &versions(&new));
    if changes.is_empty() {
        return Ok(StepResult::succeeded());
    }
    let mut message = format!("Updated chart dependencies for {path}\n");
    for (name, change) in changes {
        let _ = write!(message, "\n- {name}: {change}");
    }
    Ok(StepResult::output(json!({"commitMessage": message})))
}

/// Versions by name; a chart may be a dependency several times under other aliases.
fn versions(dependencies: &[Dependency]) -> BTreeMap<&str, String> {
    let mut versions = BTreeMap::<&str, String>::new();
    for dependency in dependencies {
        let known = versions.entry(&dependency.name).or_default();
        if !known.is_empty() {
            known.push_str(", ");
        }
        known.push_str(&dependency.version);
    }
    versions
}

fn changes<'a>(old: &BTreeMap<&'a str, String>, new: &BTreeMap<&'a str, String>) -> BTreeMap<&'a str, String> {
    let removed = old.keys().filter(|name| !new.contains_key(*name)).map(|name| (*name, "removed".to_owned()));
    let there = new.iter().filter_map(|(name, version)| match old.get(name) {
        Some(before) if before == version => None,
        Some(before) => Some((*name, format!("{before} -> {version}"))),
        None => Some((*name, version.clone())),
    });
    removed.chain(there).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dependency(name: &str, version: &str) -> Dependency {
        Dependency { name: name.into(), version: version.into(), repository: String::new() }
    }

    #[test]
    fn changes_are_told_by_name() {
        let old = [dependency("gone", "1.0.0"), dependency("same", "2.0.0"), dependency("moved", "3.0.0"), dependency("twice", "1.0.0")];
        let new = [
            dependency("moved", "3.1.0"),
            dependency("same", "2.0.0"),
            dependency("added", "0.1.0"),
            dependency("twice", "1.0.0"),
            dependency("twice", "2.0.0"),
        ];
        let told: Vec<String> = changes(&versions(&old), &versions(&new)).into_iter().map(|(name, change)| format!("{name}: {change}")).collect();
        assert_eq!(told, ["added: 0.1.0", "gone: removed", "moved: 3.0.0 -> 3.1.0", "twice: 1.0.0 -> 1.0.0, 2.0.0"]);
    }
}
