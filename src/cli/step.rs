//! `step`: runs one promotion step alone in a folder.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use futures::FutureExt as _;
use serde_json::{Map, Value as Json, json};

use super::session::{Session, Stopped};
use super::{Format, eval, print};
use crate::config::Settings;
use crate::diagnostic::{Failure, FailureKind, nearest};
use crate::expr::{Context, ContextFile, Site, Value};
use crate::git::{self, Crew, PlainFlush, Stores};
use crate::model::{FreightName, FreightReference, Origin, ProjectName, PromotionName, StageName, StepStatus};
use crate::promote::step::{Doors, Records, StepResult, StepRun};
use crate::promote::steps::{Registry, config};
use crate::promote::tools::Tools;
use crate::promote::workspace::{GitAccess, Identity, Integration, Memory, Workspace};
use crate::report::step::{CheckReport, StepReport};

/// Runs one promotion step alone in a folder, as a promotion would.
///
/// The configuration is taken as it stands: expressions in it are not evaluated (`consign eval --config FILE` does that). What `git-clone`
/// checked out in the folder is remembered for later steps in it.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = kinds_help())]
pub struct Args {
    /// The kind, as in `uses`
    pub kind: String,
    /// The step's configuration, YAML or JSON; without one it is empty
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The working directory; `/` in the configuration means this folder
    #[arg(long, value_name = "DIR", required_unless_present = "check")]
    pub workdir: Option<PathBuf>,
    /// What the step sees of its promotion: the keys of `consign eval --context`
    #[arg(long, value_name = "FILE")]
    pub context: Option<PathBuf>,
    /// Only check the configuration: exit code 0, or 2 with all that is wrong
    #[arg(long)]
    pub check: bool,
    /// How to say what came of it
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// What makes the exit code 1
    #[arg(long, value_enum, default_value_t = FailOn::Failed)]
    pub fail_on: FailOn,
}

/// What makes `step` fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Nothing: the status is the answer.
    Never,
    /// A step that ends Failed or Errored.
    Failed,
}

fn kinds_help() -> String {
    let registry = Registry::built_in();
    let kinds: Vec<&str> = registry.kinds().collect();
    let mut lines = vec![String::from("Kinds:")];
    for row in kinds.chunks(4) {
        lines.push(row.iter().map(|kind| format!("  {kind:<22}")).collect::<String>().trim_end().to_owned());
    }
    lines.join("\n")
}

/// Runs the verb; gives the exit code.
///
/// # Errors
/// Usage, for an unknown kind, a file that cannot be read, or a folder that is not there; what the environment refuses.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    let registry = Registry::built_in();
    check_kind(&registry, args)?;
    let config = match &args.config {
        Some(path) => eval::read_file(path)?,
        None => Json::Null,
    };
    let config = if config.is_null() { json!({}) } else { config };
    let violations = registry.check(&args.kind, &config);
    if args.check {
        let report = CheckReport::new(violations);
        print(args.format, &report, || report.text());
        return Ok(if report.valid { 0 } else { FailureKind::Config.exit_code() });
    }
    let scene = Scene::read(session, args)?;
    let result = if violations.is_empty() {
        scene.run(session, &registry, &args.kind, &config).await?
    } else {
        // As the step loop answers.
        StepResult::failed(config::invalid(&args.kind, &violations))
    };
    if !result.log.is_empty() && !session.global.quiet {
        super::session::say(&result.log);
    }
    let report = StepReport::new(&result);
    print(args.format, &report, || report.text());
    let ended_badly = matches!(result.status, StepStatus::Failed | StepStatus::Errored | StepStatus::Aborted);
    Ok(u8::from(ended_badly && args.fail_on == FailOn::Failed))
}

fn check_kind(registry: &Registry, args: &Args) -> Result<(), Failure> {
    let is_known = config::schema_of(&args.kind).is_some();
    if registry.get(&args.kind).is_some() || (args.check && is_known) {
        return Ok(());
    }
    if is_known {
        return Err(Failure::new(FailureKind::Config, format!("steps of kind `{}` can be checked, but not run by this version", args.kind))
            .hint("`--check` checks the configuration"));
    }
    let near = nearest(&args.kind, config::kinds()).map(|near| format!("did you mean `{near}`?"));
    Err(Failure::new(FailureKind::Usage, format!("there is no step kind `{}`", args.kind))
        .hint(near.unwrap_or_else(|| "`consign step --help` lists the kinds".into())))
}

/// What stands around the step.
struct Scene {
    root: PathBuf,
    project: ProjectName,
    stage: StageName,
    promotion: PromotionName,
    alias: String,
    context: Context,
    target: FreightReference,
    known: Known,
    /// What templates see.
    scope: Json,
    outputs: Map<String, Json>,
}

/// What the context says of stages and freight.
#[derive(Default)]
struct Known {
    stages: BTreeMap<StageName, Map<String, Json>>,
    freight: BTreeMap<FreightName, (String, Map<String, Json>)>,
}

impl Records for Known {
    fn stage_metadata(&self, stage: &StageName) -> Option<Map<String, Json>> {
        self.stages.get(stage).cloned()
    }
    fn freight_metadata(&self, freight: &FreightName) -> Option<Map<String, Json>> {
        self.freight.get(freight).map(|(_, metadata)| metadata.clone())
    }
    fn freight_alias(&self, freight: &FreightName) -> Option<String> {
        self.freight.get(freight).map(|(alias, _)| alias.clone())
    }
    fn freight_by_alias(&self, alias: &str) -> Option<FreightName> {
        self.freight.iter().find(|(_, (known, _))| known == alias).map(|(name, _)| name.clone())
    }
}

impl Scene {
    fn read(session: &Session, args: &Args) -> Result<Self, Failure> {
        let workdir = args.workdir.clone().unwrap_or_else(|| ".".into());
        let root = workdir.canonicalize().ok().filter(|path| path.is_dir()).ok_or_else(|| {
            Failure::new(FailureKind::Usage, format!("`{}` is no folder", workdir.display()))
                .hint("make it first: a step runs in a folder that is there")
        })?;
        let (raw, file) = match &args.context {
            Some(path) => eval::read_context(path)?,
            None => (json!({}), ContextFile::default()),
        };
        let wrong = |error: String| {
            let path = args.context.as_deref().unwrap_or(Path::new("-"));
            Failure::new(FailureKind::Usage, format!("the context `{}` cannot be used: {error}", path.display()))
                .hint("it has the keys of `consign eval --context`")
        };
        let vars = eval::evaluate(&"${{ vars }}".into(), Site::Config, file.clone(), session.now).map_err(|error| wrong(error.to_string()))?;
        let context = file.into_context(Value::Nil, |_, _| Ok(Json::Null), session.now).map_err(wrong)?;
        let text =
            |pointer: &str, default: &str| raw.pointer(pointer).and_then(Json::as_str).filter(|text| !text.is_empty()).unwrap_or(default).to_owned();
        let stage = StageName::new(text("/ctx/stage", "test"));
        let target = text("/ctx/targetFreight/name", "");
        let target = context.freight.iter().find(|freight| freight.name == target.as_str()).or(context.freight.first()).cloned().unwrap_or_default();
        let alias_of = |name: &FreightName| {
            let records = raw["freight"].as_array().into_iter().flatten();
            records
                .filter(|record| record["metadata"]["name"] == name.as_str())
                .find_map(|record| record["alias"].as_str())
                .unwrap_or_default()
                .to_owned()
        };
        let mut known = Known { stages: (*context.stage_metadata).clone(), freight: BTreeMap::new() };
        // The step's own stage exists, whatever is said of it.
        known.stages.entry(stage.clone()).or_default();
        for (name, status) in context.freight_status.iter() {
            known.freight.insert(name.clone(), (alias_of(name), status.metadata.clone()));
        }
        let ctx = raw.get("ctx").cloned().unwrap_or_else(|| json!({}));
        let outputs = raw["outputs"].as_object().cloned().unwrap_or_default();
        Ok(Self {
            root,
            project: ProjectName::new(text("/ctx/project", "demo")),
            stage,
            promotion: PromotionName::new(text("/ctx/promotion", "test.00000000000000000000000000.0000000")),
            alias: text("/ctx/meta/step/alias", ""),
            scope: json!({"ctx": ctx, "vars": vars, "outputs": outputs.clone()}),
            outputs,
            context,
            target,
            known,
        })
    }

    async fn run(&self, session: &Session, registry: &Registry, kind: &str, config: &Json) -> Result<StepResult, Stopped> {
        let step = registry.get(kind).ok_or_else(|| Failure::new(FailureKind::Usage, format!("there is no step kind `{kind}`")))?;
        let settings = match session.root().await {
            Ok(root) => session.settings(&root)?,
            Err(_) => Settings::default(),
        };
        let cache = session.cache()?;
        let memory_file = memory_file(&cache, &self.root);
        let memory: Memory = std::fs::read(&memory_file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let steps = memory.steps + 1;
        let mut git = git::Settings::new(&cache);
        git.local = session.global.local;
        git.config = settings.git.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let access = GitAccess {
            stores: Stores::new(git, crate::tick::open::credentials(&settings, &session.env)),
            member: Crew::new(PlainFlush).join(),
            identity: Identity { name: settings.git.author.name.clone(), email: settings.git.author.email.clone() },
            signer: crate::tick::open::signer(&settings)?,
            integration: Integration::Rebase,
        };
        let mut workspace = Workspace::at(&self.root).with_git(access);
        let had_checkouts = memory.has_checkouts();
        workspace.take_up(memory).await?;
        let mut tools = Tools::default();
        (tools.kustomize, tools.helm) = (settings.tools.kustomize.clone(), settings.tools.helm.clone());
        let doors = Doors { tools, ..Doors::default() };
        // Each step of a folder has an alias of its own, as in a promotion.
        let alias = if self.alias.is_empty() { format!("step-{steps}") } else { self.alias.clone() };
        let requested: Vec<Origin> = if self.context.requested.is_empty() {
            self.context.freight.iter().map(|freight| freight.origin.clone()).collect()
        } else {
            self.context.requested.iter().map(|name| Origin::warehouse(name.as_str())).collect()
        };
        let mut step_run = StepRun {
            project: &self.project,
            stage: &self.stage,
            promotion: &self.promotion,
            alias: &alias,
            now: self.context.now,
            started_at: self.context.now,
            freight: &self.context.freight,
            target_freight: &self.target,
            requested: &requested,
            warehouses: &self.context.warehouses,
            records: &self.known,
            scope: &|| Ok(self.scope.clone()),
            outputs: &self.outputs,
            workspace: &mut workspace,
            doors: &doors,
        };
        let result = match AssertUnwindSafe(step.run(&mut step_run, config)).catch_unwind().await {
            Ok(result) => result?,
            Err(_) => return Err(Failure::new(FailureKind::Internal, format!("the step `{kind}` broke down")).into()),
        };
        if had_checkouts || !workspace.checkouts().is_empty() {
            let memory = workspace.remember(steps).await?;
            keep(&memory_file, &memory)?;
        }
        Ok(result)
    }
}

/// Where the checkouts of a folder are remembered.
fn memory_file(cache: &Path, folder: &Path) -> PathBuf {
    let name = git::Oid::of_blob(folder.as_os_str().as_encoded_bytes());
    cache.join("steps").join(format!("{name}.json"))
}

fn keep(path: &Path, memory: &Memory) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| Failure::new(FailureKind::Tool, format!("cannot write `{}`", path.display())).caused_by(error);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(cannot)?;
    }
    let text = serde_json::to_vec(memory).map_err(|error| Failure::new(FailureKind::Internal, "cannot write down the checkouts").caused_by(error))?;
    std::fs::write(path, text).map_err(cannot)
}
