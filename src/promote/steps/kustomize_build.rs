//! `kustomize-build`: renders a kustomization into a file, or into a folder with a file for each object.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::config::{KustomizeBuildConfig, KustomizeOutputFormat, read, schema};
use super::render::{bring, is_file_path, likely_bases, link_outside, look, relative, remote_failure};
use crate::diagnostic::{Failure, FailureKind};
use crate::promote::closure::{self, Closure};
use crate::promote::manifests::{Modes, ObjectIdentity, make_folder, plain_name, read_document, split_documents, write_file};
use crate::promote::step::{Effect, Step, StepResult, StepRun};
use crate::promote::tools::{ToolOutput, Tools};
use crate::promote::workspace::Workspace;

/// `kustomize-build`.
#[derive(Clone, Copy, Debug, Default)]
pub struct KustomizeBuild;

#[async_trait::async_trait]
impl Step for KustomizeBuild {
    fn kind(&self) -> &'static str {
        "kustomize-build"
    }

    fn schema(&self) -> Value {
        schema::<KustomizeBuildConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: KustomizeBuildConfig = read(config)?;
        // Not anchored: `..` that climbs out is an error here (measured).
        let folder = match run.workspace.resolve(&config.path) {
            Ok(folder) => folder,
            Err(error) => return Ok(StepResult::errored(error.to_string())),
        };
        let tools = &run.doors.tools;
        let start = relative(run.workspace, &folder);
        let needs = likely_bases(run.workspace, &folder)?;
        let closure = bring(run.workspace, &needs, |workspace| closure::of_kustomization(&start, |path| look(workspace, path))).await?;
        if let Some(result) = refuse(tools, run.workspace, &closure)? {
            return Ok(result);
        }
        let mut output = build(tools, run.workspace, &folder, &closure, &config).await?;
        if !output.success && run.workspace.complete().await? {
            output = build(tools, run.workspace, &folder, &closure, &config).await?;
        }
        if !output.success {
            if !closure.remote.is_empty()
                && let Some(failure) = remote_failure("kustomize", &output)
            {
                return Err(failure);
            }
            let message = format!("cannot build the kustomization in `{}`: {}", config.path, output.complaint(run.workspace.root()));
            return Ok(StepResult { log: output.stderr, ..StepResult::errored(message) });
        }
        let out = run.workspace.follow(&config.out_path).await?;
        let written = write(run.workspace, &config, &out, &output.stdout);
        let result =
            written.map_or_else(|error| StepResult::errored(format!("cannot write to `{}`: {error}", config.out_path)), |()| StepResult::succeeded());
        Ok(StepResult { log: output.stderr, ..result })
    }
}

/// What a kustomization may not read.
fn refuse(tools: &Tools, workspace: &Workspace, closure: &Closure) -> Result<Option<StepResult>, Failure> {
    if let Some(reference) = closure.outside.first() {
        let message = format!("`{}` in `{}` leads out of the working directory", reference.written, reference.file.display());
        return Ok(Some(StepResult::errored(message)));
    }
    if let Some(link) = link_outside(workspace, closure) {
        return Ok(Some(StepResult::errored(format!("`{link}` is a symbolic link that leads out of the working directory"))));
    }
    match closure.remote.first() {
        Some(reference) if !tools.remote_bases => Err(Failure::new(
            FailureKind::Refused,
            format!("`{}` in `{}` would be fetched from the network", reference.written, reference.file.display()),
        )
        .hint("copy it into the repository, or clone its repository with `git-clone` and refer to the folder")
        .hint("or allow it with `tools.remoteBases: true` in `consign.yaml`")),
        _ => Ok(None),
    }
}

async fn build(tools: &Tools, workspace: &Workspace, folder: &Path, closure: &Closure, config: &KustomizeBuildConfig) -> Result<ToolOutput, Failure> {
    let kustomize = tools.kustomize().await?;
    // Bases beside the kustomization are the rule, and patches from elsewhere in the workspace are allowed as in Kargo; what leads out of the
    // workspace was refused above. Objects come in the order in which they were read, as in Kargo; the executable alone would sort them.
    // `sortOptions` of a kustomization still count.
    let mut command = tools.command(&kustomize, workspace.root())?.args(["build", "--load-restrictor", "LoadRestrictionsNone", "--reorder", "none"]);
    // Remote bases are cloned by git: over the network only, and only where that is allowed.
    command = command.env("GIT_ALLOW_PROTOCOL", if tools.remote_bases { "https:ssh:http" } else { "" }).env("GIT_TERMINAL_PROMPT", "0");
    if closure.charts {
        let helm = tools.helm().await?;
        command = command.args(["--enable-helm", "--helm-command"]).arg(helm.path());
        if let Some(plugin) = config.plugin.as_ref().and_then(|plugin| plugin.helm.as_ref()) {
            if !plugin.kube_version.is_empty() {
                command = command.arg("--helm-kube-version").arg(&plugin.kube_version);
            }
            for version in &plugin.api_versions {
                command = command.arg("--helm-api-versions").arg(version);
            }
        }
    }
    let mut output = command.arg("--").arg(folder).run().await?;
    // We know, and nothing in the user's files is wrong.
    output.stderr = output.stderr.split_inclusive('\n').filter(|line| !line.starts_with("Flag --reorder has been deprecated")).collect();
    Ok(output)
}

fn write(workspace: &Workspace, config: &KustomizeBuildConfig, out: &Path, rendered: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    if is_file_path(&config.out_path) {
        return Ok(write_file(workspace.root(), out, rendered, Modes::PRIVATE)?);
    }
    let rendered = std::str::from_utf8(rendered)?;
    let mut objects = Vec::new();
    for document in split_documents(rendered) {
        objects.push((ObjectIdentity::of(&read_document(document)?).unwrap_or_default(), document));
    }
    let namespaces: BTreeSet<&str> = objects.iter().filter_map(|(object, _)| object.effective_namespace()).collect();
    make_folder(out, Modes::PRIVATE)?;
    for (object, document) in &objects {
        let name = match config.output_format {
            KustomizeOutputFormat::Kargo => object.kargo_file_name(),
            KustomizeOutputFormat::Kustomize => object.kustomize_file_name(namespaces.len() > 1),
        };
        write_file(workspace.root(), &out.join(plain_name(name)?), document.as_bytes(), Modes::PRIVATE)?;
    }
    Ok(())
}
