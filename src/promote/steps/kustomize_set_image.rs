//! `kustomize-set-image`: sets images in a kustomization, those configured or those of the freight.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::config::{KustomizeSetImageConfig, read, schema};
use crate::diagnostic::Failure;
use crate::edit::kustomization::{ImageUpdate, set_images};
use crate::model::Source;
use crate::promote::closure::KUSTOMIZATION_FILES;
use crate::promote::manifests::{Modes, write_file};
use crate::promote::step::{Effect, Step, StepResult, StepRun};
use crate::promote::workspace::{EntryKind, Need, Workspace};

/// `kustomize-set-image`.
#[derive(Clone, Copy, Debug, Default)]
pub struct KustomizeSetImage;

#[async_trait::async_trait]
impl Step for KustomizeSetImage {
    fn kind(&self) -> &'static str {
        "kustomize-set-image"
    }

    fn schema(&self) -> Value {
        schema::<KustomizeSetImageConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: KustomizeSetImageConfig = read(config)?;
        let folder = run.workspace.follow(&config.path).await?;
        run.workspace.need(&KUSTOMIZATION_FILES.map(|name| Need::File(folder.join(name)))).await?;
        let file = match kustomization_file(run.workspace, &folder, &config.path)? {
            Ok(file) => file,
            Err(message) => return Ok(StepResult::errored(message)),
        };
        let updates = if config.images.is_empty() { of_freight(run) } else { Ok(configured(&config)) };
        Ok(updates.and_then(|updates| apply(run.workspace, &file, &config.path, &updates)).unwrap_or_else(StepResult::errored))
    }
}

/// The one kustomization of a folder; a link does not count (measured).
fn kustomization_file(workspace: &Workspace, folder: &Path, shown: &str) -> Result<Result<PathBuf, String>, Failure> {
    let mut found = Vec::new();
    for name in KUSTOMIZATION_FILES {
        if workspace.entry(&folder.join(name))? == Some(EntryKind::File) {
            found.push(name);
        }
    }
    Ok(match found.as_slice() {
        [only] => Ok(folder.join(only)),
        [] => Err(format!("there is no kustomization in `{shown}`: a file named {}", KUSTOMIZATION_FILES.map(|name| format!("`{name}`")).join(", "))),
        several => Err(format!("`{shown}` has several kustomizations, {}; kustomize reads only a single one", several.join(" and "))),
    })
}

fn configured(config: &KustomizeSetImageConfig) -> Vec<ImageUpdate> {
    let images = config.images.iter().cloned();
    images.map(|image| ImageUpdate { name: if image.name.is_empty() { image.image } else { image.name }, new_name: image.new_name, tag: image.tag, digest: image.digest }).collect()
}

/// Every image of the freight, if it is clear where each comes from.
fn of_freight(run: &StepRun<'_>) -> Result<Vec<ImageUpdate>, String> {
    const AMBIGUOUS: &str = "it is not clear which images to set, so `images` must say it";
    let images: Vec<_> = run.freight.iter().flat_map(|freight| &freight.images).collect();
    let mut subscribed = Vec::new();
    for origin in run.requested {
        let warehouse = run.warehouses.get(origin.name.as_str()).ok_or_else(|| format!("{AMBIGUOUS}: there is no warehouse `{}`", origin.name))?;
        subscribed.extend(warehouse.spec.subscriptions.iter().filter_map(|one| match &one.source {
            Source::Image(image) => Some((image.repo_url.as_str(), &origin.name)),
            _ => None,
        }));
    }
    for image in &images {
        let sources: Vec<String> = subscribed.iter().filter(|(url, _)| *url == image.repo_url).map(|(_, warehouse)| format!("`{warehouse}`")).collect();
        if sources.len() > 1 {
            return Err(format!("{AMBIGUOUS}: `{}` is subscribed to more than once, by {}", image.repo_url, sources.join(" and ")));
        }
    }
    Ok(images
        .into_iter()
        .map(|image| ImageUpdate { name: image.repo_url.clone(), new_name: String::new(), tag: image.tag.clone(), digest: image.digest.clone() })
        .collect())
}

fn apply(workspace: &Workspace, file: &Path, path: &str, updates: &[ImageUpdate]) -> Result<StepResult, String> {
    if updates.is_empty() {
        return Ok(StepResult::succeeded());
    }
    let shown = workspace.display(file);
    let text = std::fs::read_to_string(file).map_err(|error| format!("`{shown}` cannot be read: {error}"))?;
    let edited = set_images(&text, updates).map_err(|error| format!("`{shown}`: {error}"))?;
    if edited.text != text {
        write_file(workspace.root(), file, edited.text.as_bytes(), Modes::PRIVATE).map_err(|error| format!("cannot write `{shown}`: {error}"))?;
    }
    let plural = if edited.images.len() == 1 { "" } else { "s" };
    let lines: Vec<String> = edited.images.iter().map(|image| format!("- {image}")).collect();
    Ok(StepResult::output(json!({"commitMessage": format!("Updated {path} to use new image{plural}\n\n{}", lines.join("\n"))})))
}
