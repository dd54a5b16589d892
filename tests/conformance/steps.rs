//! `steps.json`: the step kinds one at a time, each in a working directory of its own.
//!
//! This file builds the scene that every case shares (files, records, the actions before the step), runs the step through the registry the
//! product uses, and compares everything the case tells. What only some kinds need is beside it: repositories in [`git`], archives in
//! [`archive`], charts and their repositories in [`charts`].

#[path = "steps/archive.rs"]
mod archive;
#[path = "steps/charts.rs"]
mod charts;
#[path = "steps/compare.rs"]
mod compare;
#[path = "steps/files.rs"]
mod files;
#[path = "steps/git.rs"]
mod git;
#[path = "steps/objects.rs"]
pub mod objects;

use std::collections::BTreeMap;
use std::path::PathBuf;

use consign::diagnostic::Failure;
use consign::git::{Crew, PlainFlush, Settings, Stores};
use consign::model::{FreightReference, Origin, ProjectName, PromotionName, StageName, Warehouse, WarehouseName};
use consign::promote::step::{Doors, StepResult, StepRun};
use consign::promote::steps::{Registry, config};
use consign::promote::workspace::{GitAccess, Identity, Workspace};
use serde_json::{Map, Value, json};

use crate::harness::{Outcome, Runner};

pub fn prepare(_document: &Value) -> Runner {
    let registry = Registry::built_in();
    Box::new(move |case| {
        let kind = case["kind"].as_str().expect("kind");
        if registry.get(kind).is_none() {
            return Outcome::NotBuilt(kind.to_owned());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        match runtime.block_on(Scene::play(case, &registry)) {
            Ok(got) => compare::judge(case, &got),
            // A laptop without kustomize or helm may run the rest; CI has to have them.
            Err(problem) if problem.contains("is not on PATH") && std::env::var_os("CI").is_none() => {
                Outcome::NotBuilt(format!("{kind}` without its tool on `PATH"))
            }
            Err(problem) => Outcome::Differ(problem),
        }
    })
}

/// One case on stage.
pub struct Scene {
    /// Holds everything below.
    folder: tempfile::TempDir,
    /// The promotion's working directory.
    pub work: PathBuf,
    /// Text that stands for a placeholder in the case: `{{server}}` and its like.
    pub placeholders: Vec<(String, String)>,
    workspace: Workspace,
    doors: Doors,
    objects: objects::Objects,
    outputs: Map<String, Value>,
    steps_run: usize,
}

impl Scene {
    /// Runs a case; gives what came out in the form of `want`.
    async fn play(case: &Value, registry: &Registry) -> Result<Value, String> {
        let folder = tempfile::Builder::new().prefix("conformance-").tempdir().map_err(|error| error.to_string())?;
        let root = folder.path().canonicalize().map_err(|error| error.to_string())?;
        let (work, outside) = (root.join("work"), root.join("outside"));
        std::fs::create_dir(&work).map_err(|error| error.to_string())?;
        std::fs::create_dir(&outside).map_err(|error| error.to_string())?;
        std::fs::write(outside.join("secret.txt"), "secret\n").map_err(|error| error.to_string())?;
        let mut scene = Self {
            folder,
            placeholders: vec![("{{workDir}}".into(), work.display().to_string()), ("{{outside}}".into(), outside.display().to_string())],
            workspace: Workspace::at(&work),
            work,
            doors: charts::doors(),
            objects: objects::Objects::read(&case["context"]),
            outputs: Map::new(),
            steps_run: 0,
        };
        let mut repositories = git::Repositories::build(&mut scene, case)?;
        let _charts = charts::serve(&mut scene, case)?;
        files::write(&scene.work, &scene.filled(&case["files"]))?;

        for action in case["before"].as_array().into_iter().flatten() {
            let action = scene.filled(action);
            if let Some(kind) = action["step"].as_str() {
                let result = scene.run(case, registry, kind, &action["config"]).await?;
                if let Some(error) = result.error {
                    return Err(format!("`{kind}` before the step: {}", error.message));
                }
            } else if action.get("write").is_some() {
                files::write(&scene.work, &action["write"])?;
            } else if let Some(paths) = action["remove"].as_array() {
                for path in paths.iter().filter_map(Value::as_str) {
                    let path = scene.workspace.resolve(path).map_err(|error| error.to_string())?;
                    scene.workspace.remove(&path).map_err(|error| error.to_string())?;
                }
            } else {
                repositories.act(&mut scene, &action)?;
            }
            repositories.number(&mut scene)?;
        }

        let before = scene.snapshot(&repositories)?;
        repositories.before_step(&scene.workspace)?;
        let kind = case["kind"].as_str().expect("kind");
        let result = scene.run(case, registry, kind, &scene.filled(&case["config"])).await?;
        // What comes into being only when asked for is compared as it is then.
        scene.workspace.complete().await.map_err(|failure| whole(&failure))?;
        let after = scene.snapshot(&repositories)?;

        let mut got = Map::new();
        got.insert("status".into(), json!(result.status.as_str()));
        if let Some(error) = &result.error {
            got.insert("terminal".into(), json!(error.terminal));
            got.insert("error".into(), json!(error.message));
        }
        if !result.message.is_empty() && result.error.is_none() {
            got.insert("message".into(), json!(result.message));
        }
        if let Some(output) = &result.output {
            got.insert("output".into(), output.clone());
        }
        if let Some(wait) = result.retry_after {
            got.insert("retryAfter".into(), json!(format!("{}s", wait.as_secs())));
        }
        files::compare(&before, &after, &mut got);
        scene.objects.apply(&result.changes);
        scene.objects.observe(&mut got);
        repositories.observe(&mut scene, &mut got).await?;
        Ok(scene.named(Value::Object(got)))
    }

    /// Runs a step as the step loop does: first its configuration is checked.
    async fn run(&mut self, case: &Value, registry: &Registry, kind: &str, config: &Value) -> Result<StepResult, String> {
        let violations = registry.check(kind, config);
        if !violations.is_empty() {
            return Ok(StepResult::failed(config::invalid(kind, &violations)));
        }
        let step = registry.get(kind).ok_or_else(|| format!("the kind `{kind}` cannot be run"))?;
        self.steps_run += 1;
        let context = &case["context"];
        let freight: Vec<FreightReference> =
            context["freightCollection"]["items"].as_object().into_iter().flatten().map(|(_, item)| read(item)).collect::<Result<_, _>>()?;
        let target = freight.first().cloned().unwrap_or_default();
        let warehouses = warehouses(context)?;
        let requests = context["requestedFreight"].as_array().into_iter().flatten();
        let requested: Vec<Origin> = requests.map(|request| read(&request["origin"])).collect::<Result<_, _>>()?;
        let result = step
            .run(
                &mut StepRun {
                    project: &ProjectName::new(case["project"].as_str().unwrap_or("demo")),
                    stage: &StageName::new("test"),
                    promotion: &PromotionName::new(context["promotion"].as_str().unwrap_or("test.01k3v5n8r2.abc1234")),
                    alias: &format!("step-{}", self.steps_run),
                    now: "2026-03-02T09:00:00Z".parse().expect("a time"),
                    started_at: "2026-03-02T09:00:00Z".parse().expect("a time"),
                    freight: &freight,
                    target_freight: &target,
                    requested: &requested,
                    warehouses: &warehouses,
                    records: &self.objects,
                    scope: &|| Ok(json!({"ctx": {}, "vars": {}, "outputs": {}})),
                    outputs: &self.outputs,
                    workspace: &mut self.workspace,
                    doors: &self.doors,
                },
                config,
            )
            .await
            .map_err(|failure| format!("the environment failed: {}", whole(&failure)))?;
        Ok(result)
    }

    /// A value of the case with its placeholders filled in.
    pub fn filled(&self, value: &Value) -> Value {
        map_text(value, &|text| self.placeholders.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value)))
    }

    /// A result with what stands for a placeholder named by it.
    fn named(&self, value: Value) -> Value {
        map_text(&value, &|text| {
            self.placeholders.iter().filter(|(_, value)| !value.is_empty()).fold(text.to_owned(), |text, (name, value)| text.replace(value, name))
        })
    }

    /// Folder of the scene, for what stands beside the working directory.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Gives the workspace its way to repositories, with URLs that git is told to find elsewhere.
    pub fn open_git(&mut self, aliases: Vec<(String, String)>, policy: Option<&str>) -> Result<(), String> {
        let mut settings = Settings::new(self.beside("cache"));
        settings.local = true;
        settings.user_config = false;
        settings.config = aliases;
        let access = GitAccess {
            stores: Stores::without_credentials(settings),
            member: Crew::new(PlainFlush).join(),
            identity: Identity { name: "Kargo".into(), email: "no-reply@kargo.io".into() },
            signer: None,
            integration: policy.map(str::parse).transpose()?.unwrap_or_default(),
        };
        self.workspace = Workspace::at(&self.work).with_git(access);
        Ok(())
    }

    fn snapshot(&self, repositories: &git::Repositories) -> Result<files::Snapshot, String> {
        let mut snapshot = files::snapshot(&self.workspace)?;
        git::fill(repositories, &self.workspace, &mut snapshot)?;
        Ok(snapshot)
    }
}

fn warehouses(context: &Value) -> Result<BTreeMap<WarehouseName, Warehouse>, String> {
    let objects = context["objects"].as_array().into_iter().flatten().filter(|object| object["kind"] == "Warehouse");
    objects.map(|object| read::<Warehouse>(object).map(|warehouse| (WarehouseName::new(warehouse.metadata.name.as_str()), warehouse))).collect()
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, String> {
    serde_json::from_value(value.clone()).map_err(|error| format!("cannot read {value}: {error}"))
}

fn whole(failure: &Failure) -> String {
    let mut text = failure.message.clone();
    let mut source = std::error::Error::source(failure);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Applies a change to every text and key of a value.
fn map_text(value: &Value, change: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(change(text)),
        Value::Array(items) => Value::Array(items.iter().map(|item| map_text(item, change)).collect()),
        Value::Object(fields) => Value::Object(fields.iter().map(|(key, value)| (change(key), map_text(value, change))).collect()),
        other => other.clone(),
    }
}
