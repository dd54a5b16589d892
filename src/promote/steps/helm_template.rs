//! `helm-template`: renders a chart into a file or a folder, without a cluster.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::config::{HelmOutLayout, HelmTemplateConfig, read, schema};
use super::helm::{Resolve, confine, dependencies, list_item, resolve};
use super::render::{bring, escaping_link, is_file_path, look, relative, remote_failure};
use crate::diagnostic::{Failure, FailureKind};
use crate::promote::closure;
use crate::promote::manifests::{Modes, ObjectIdentity, make_folder, plain_name, read_document, write_file};
use crate::promote::step::{Effect, Step, StepResult, StepRun};
use crate::promote::tools::{ToolOutput, Tools};
use crate::promote::workspace::{Need, Workspace};

/// `helm-template`.
#[derive(Clone, Copy, Debug, Default)]
pub struct HelmTemplate;

#[async_trait::async_trait]
impl Step for HelmTemplate {
    fn kind(&self) -> &'static str {
        "helm-template"
    }

    fn schema(&self) -> Value {
        schema::<HelmTemplateConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: HelmTemplateConfig = read(config)?;
        let (tools, workspace) = (&run.doors.tools, &mut *run.workspace);
        let paths = Paths::of(workspace, &config).await?;
        let start = relative(workspace, &paths.chart);
        let values: Vec<PathBuf> = paths.values.iter().map(|path| relative(workspace, path)).collect();
        let first = paths.values.iter().cloned().map(Need::File).chain([Need::Tree(paths.chart.clone())]).collect::<Vec<_>>();
        bring(workspace, &first, |workspace| closure::of_chart(&start, values.iter().map(PathBuf::as_path), |path| look(workspace, path))).await?;
        if let Some(message) = unfit(workspace, &config, &paths) {
            return Ok(StepResult::errored(message));
        }
        if config.build_dependencies {
            let wrong = |message: String| Ok(StepResult::errored(format!("cannot build the dependencies of `{}`: {message}", config.path)));
            let all = match dependencies(workspace, &paths.chart).and_then(|all| confine(workspace, &paths.chart, &all).map(|()| all)) {
                Ok(all) => all,
                Err(message) => return wrong(message),
            };
            let output = resolve(tools, workspace, &paths.chart, &all, Resolve::AsLocked).await?;
            if !output.success {
                return remote_failure("helm", &output).map_or_else(|| wrong(output.complaint(workspace.root())), Err);
            }
        }
        let project = run.project.as_ref();
        let result = render(tools, workspace, project, &config, &paths).await?;
        if result.error.is_some() && workspace.complete().await? {
            return render(tools, workspace, project, &config, &paths).await;
        }
        Ok(result)
    }
}

/// The paths of a configuration, resolved.
struct Paths {
    chart: PathBuf,
    out: PathBuf,
    values: Vec<PathBuf>,
}

impl Paths {
    async fn of(workspace: &mut Workspace, config: &HelmTemplateConfig) -> Result<Self, Failure> {
        let mut values = Vec::with_capacity(config.values_files.len());
        for path in &config.values_files {
            values.push(workspace.follow(path).await?);
        }
        Ok(Self { chart: workspace.follow(&config.path).await?, out: workspace.follow(&config.out_path).await?, values })
    }
}

/// What helm would take for something else: a path that does not exist is a chart of a repository to it.
fn unfit(workspace: &Workspace, config: &HelmTemplateConfig, paths: &Paths) -> Option<String> {
    if !paths.chart.exists() {
        return Some(format!("there is no chart at `{}`", config.path));
    }
    if let Some(link) = escaping_link(workspace, &paths.chart) {
        return Some(format!("`{}` is a symbolic link that leads out of the working directory", workspace.display(&link)));
    }
    let missing = config.values_files.iter().zip(&paths.values).find(|(_, path)| !path.exists() && !config.ignore_missing_value_files);
    missing.map(|(written, _)| format!("values file `{written}` does not exist; set `ignoreMissingValueFiles: true` if it may be missing"))
}

async fn render(tools: &Tools, workspace: &Workspace, project: &str, config: &HelmTemplateConfig, paths: &Paths) -> Result<StepResult, Failure> {
    let helm = tools.helm().await?;
    let mut command = tools.command(&helm, workspace.root())?.arg("template");
    let into_folder = !is_file_path(&config.out_path) && config.out_layout == HelmOutLayout::Helm;
    // Rendered aside, so that an old render neither survives a failure half overwritten nor has hooks appended to it.
    let aside = tempfile::tempdir().map_err(|error| Failure::new(FailureKind::Tool, "cannot make a temporary folder for the rendered chart").caused_by(error))?;
    if into_folder {
        command = command.arg("--output-dir").arg(aside.path());
        if config.use_release_name {
            command = command.arg("--release-name");
        }
    }
    command = command.arg("--namespace").arg(config.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or(project));
    for path in paths.values.iter().filter(|path| path.exists()) {
        command = command.arg("--values").arg(list_item(path));
    }
    for value in &config.set_values {
        command = command.arg(if value.literal { "--set-literal" } else { "--set" }).arg(format!("{}={}", value.key, value.value));
    }
    if config.include_crds {
        command = command.arg("--include-crds");
    }
    if config.disable_hooks {
        command = command.arg("--no-hooks");
    }
    if config.skip_tests {
        command = command.arg("--skip-tests");
    }
    if !config.kube_version.is_empty() {
        command = command.arg("--kube-version").arg(&config.kube_version);
    }
    for version in &config.api_versions {
        command = command.arg("--api-versions").arg(list_item(Path::new(version)));
    }
    let output = command.args(["--", &config.release_name]).arg(&paths.chart).run().await?;
    if !output.success {
        let message = format!("cannot render the chart in `{}`: {}", config.path, output.complaint(workspace.root()));
        return Ok(StepResult { log: output.stderr, ..StepResult::errored(message) });
    }
    let written = if into_folder {
        copy(workspace, aside.path(), &paths.out)
    } else if is_file_path(&config.out_path) {
        write_file(workspace.root(), &paths.out, &output.stdout, Modes::PRIVATE).map_err(Into::into)
    } else {
        write_flat(workspace, &paths.out, &output)
    };
    let result = written.map_or_else(|error| StepResult::errored(format!("cannot write to `{}`: {error}", config.out_path)), |()| StepResult::succeeded());
    Ok(StepResult { log: output.stderr, ..result })
}

type Written = Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn copy(workspace: &Workspace, from: &Path, to: &Path) -> Written {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(workspace, &entry.path(), &target)?;
        } else {
            write_file(workspace.root(), &target, &std::fs::read(entry.path())?, Modes::SHARED)?;
        }
    }
    Ok(())
}

/// A file for each object. The files hold the text between the markers; what starts the stream keeps its marker (measured), and hooks, which
/// come last, lose the comment that names their template.
fn write_flat(workspace: &Workspace, out: &Path, output: &ToolOutput) -> Written {
    make_folder(out, Modes::PRIVATE)?;
    let rendered = std::str::from_utf8(&output.stdout)?;
    let mut objects = Vec::new();
    for document in rendered.split("\n---\n").map(str::trim).filter(|document| !document.is_empty() && *document != "---") {
        objects.push((document, read_document(document)?));
    }
    let hooks = objects.iter().rev().take_while(|(_, object)| is_hook(object)).count();
    let resources = objects.len() - hooks;
    let mut unnamed = 0..;
    for (index, (document, object)) in objects.iter().enumerate() {
        let name = match ObjectIdentity::of(object).filter(ObjectIdentity::is_named) {
            Some(identity) => identity.flat_file_name(),
            None => format!("resource-{}.yaml", unnamed.next().unwrap_or(0)),
        };
        let is_hook = index >= resources;
        let text = if is_hook { document.split_once('\n').filter(|(first, _)| first.starts_with("# Source: ")).map_or(*document, |(_, rest)| rest) } else { document };
        write_file(workspace.root(), &out.join(plain_name(name)?), text.as_bytes(), Modes::PRIVATE)?;
    }
    Ok(())
}

fn is_hook(object: &Value) -> bool {
    object["metadata"]["annotations"].get("helm.sh/hook").is_some()
}
