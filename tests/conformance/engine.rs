//! `engine.json`: what a promotion is inflated to, and what each tick of it does.
//!
//! `uses: scripted` is a step kind of the cases' own; it comes in through the registry's door as a user's kind would. Messages are compared in
//! full where the engine itself words them, and up to the quotation where they quote an expression error or a schema's.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use consign::config::Knowledge;
use consign::config::admission::kinds::Kind;
use consign::config::admission::{Layer, NamespaceState, World, admit};
use consign::diagnostic::Failure;
use consign::expr::Context;
use consign::model::{
    Freight, FreightCollection, FreightStatus, GoDuration, HealthCheck, ProjectName, Promotion, PromotionPhase, PromotionStatus, PromotionTask,
    Stage, StepStatus, TaskKind, Warehouse, WarehouseName,
};
use consign::promote::engine::{self, Clock, Engine, Outcome as Tick, Requeue};
use consign::promote::expressions::Evaluator;
use consign::promote::inflate::{self, InflateError, Resource, freight_collection, promotion_name};
use consign::promote::step::{Doors, Effect, Records, Step, StepDefaults, StepError, StepResult, StepRun};
use consign::promote::steps::Registry;
use consign::promote::workspace::Workspace;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::harness::{Outcome, Runner, judge};
use crate::steps::objects::Objects;

const UI: &str = "https://kargo.example.com";

pub fn prepare(_document: &Value) -> Runner {
    Box::new(|case| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        match runtime.block_on(play(case)) {
            Ok(got) => judge(case, &got, same),
            Err(problem) => Outcome::Differ(problem),
        }
    })
}

async fn play(case: &Value) -> Result<Value, String> {
    if let Some(refused) = admission(case) {
        return Ok(json!({"inflated": refused}));
    }
    let ulid = ulid::Ulid::from_parts(1_772_442_000_000, 42);
    let mut stage: Stage = match serde_json::from_value(case["stage"].clone()) {
        Ok(stage) => stage,
        Err(error) => return Ok(json!({"inflated": {"error": error.to_string(), "at": "stage"}})),
    };
    let mut tasks = BTreeMap::new();
    for task in case["tasks"].as_array().into_iter().flatten() {
        let kind = if task["kind"] == "ClusterPromotionTask" { TaskKind::ClusterPromotionTask } else { TaskKind::PromotionTask };
        let task: PromotionTask = serde_json::from_value(task.clone()).map_err(|error| error.to_string())?;
        tasks.insert((kind, task.metadata.name.clone()), task);
    }
    let inflated = match inflate::inflate(&stage, &tasks) {
        Ok(inflated) => inflated,
        Err(errors) => return Ok(json!({"inflated": refused(&errors)})),
    };
    let freight: Vec<Freight> = read_all(&case["freight"])?;
    let wanted = case["promote"].as_str().unwrap_or_default();
    let mut promoted = freight.iter().find(|freight| freight.metadata.name == wanted).cloned();
    let Some(target) = promoted.clone().filter(|freight| available(&stage, freight)) else {
        return Ok(json!({"inflated": {"error": "the freight is not available to this stage", "at": "promotion", "path": "spec.freight"}}));
    };

    let mut got = Map::new();
    let mut promotion = Promotion::default();
    promotion.metadata.name = promotion_name(&stage.name(), ulid, &target.name()).to_string();
    promotion.metadata.namespace.clone_from(&stage.metadata.namespace);
    if let Some(actor) = case["actor"].as_str() {
        promotion.metadata.annotations.insert("kargo.akuity.io/create-actor".into(), actor.into());
    }
    got.insert("name".into(), json!(promotion.metadata.name));
    promotion.spec.stage = stage.name();
    promotion.spec.freight = target.name();
    promotion.spec.vars = inflated.vars;
    promotion.spec.steps = inflated.steps;
    got.insert("inflated".into(), json!(promotion.spec.steps));
    if !promotion.spec.vars.is_empty() {
        got.insert("vars".into(), json!(promotion.spec.vars));
    }
    let items = freight_collection(&stage, &target.reference());
    if stage.spec.requested_freight.len() > 1 {
        let names: Map<String, Value> = items.iter().map(|(origin, freight)| (origin.0.to_string(), json!(freight.name))).collect();
        got.insert("freightCollection".into(), Value::Object(names));
    }
    promotion.status.freight = Some(target.reference());
    promotion.status.freight_collection = Some(FreightCollection { items, ..FreightCollection::default() });

    let script = Arc::new(Script::default());
    let registry = Registry::built_in()
        .with(Box::new(Scripted { kind: "scripted", defaults: StepDefaults::default(), script: script.clone() }))
        .with(Box::new(Scripted {
            kind: "scripted-patient",
            defaults: StepDefaults { error_threshold: 3, timeout: Some(GoDuration::from_secs(600)) },
            script: script.clone(),
        }));
    let warehouses: BTreeMap<WarehouseName, Warehouse> = read_all::<Warehouse>(&case["warehouses"])?
        .into_iter()
        .map(|warehouse| (WarehouseName::new(warehouse.metadata.name.as_str()), warehouse))
        .collect();
    let records: Vec<Value> =
        std::iter::once(case["stage"].clone()).chain(case["freight"].as_array().cloned().unwrap_or_default()).map(with_kind).collect();
    let mut objects = Objects::read(&json!({"objects": records}));
    let config_maps: BTreeMap<String, BTreeMap<String, String>> = case["objects"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|object| object["kind"] == "ConfigMap")
        .map(|object| {
            Ok((
                object["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
                serde_json::from_value(object["data"].clone()).map_err(|error| error.to_string())?,
            ))
        })
        .collect::<Result<_, String>>()?;
    let project = ProjectName::new(stage.metadata.namespace.as_str());
    let mut workspace = Workspace::temporary().map_err(|failure| failure.message)?;
    let mut ticks = Vec::new();
    for (number, tick) in case["ticks"].as_array().into_iter().flatten().enumerate() {
        let now: Timestamp = tick["now"].as_str().expect("now").parse().map_err(|error| format!("{error}"))?;
        *script.clock.lock().expect("no poison") = now;
        script.tick.store(number, Ordering::Relaxed);
        if let (Some(status), Some(freight)) = (tick.get("freightStatus"), promoted.as_mut()) {
            freight.status = serde_json::from_value(status.clone()).map_err(|error| error.to_string())?;
        }
        if tick["deleteFreight"] == true {
            promoted = None;
        }
        if let Some(request) = tick["abort"].as_str() {
            let request: Value = serde_json::from_str(request).unwrap_or_default();
            // A request without an actor is recorded for the user who made it, as the notes say.
            promotion.status = engine::abort(&promotion.status, request["actor"].as_str().unwrap_or("kubernetes:mara"), now);
        }
        if tick["lostWorkdir"] == true {
            workspace = Workspace::temporary().map_err(|failure| failure.message)?;
            promotion.status = engine::restart(&promotion.status);
        }
        script.stop.store(tick["cancel"] == true, Ordering::Relaxed);
        let outcome = match &promoted {
            _ if tick["current"] == false || promotion.status.phase.is_terminal() => Tick { status: promotion.status.clone(), ..Tick::default() },
            None => ended(engine::give_up(&promotion.status, format!("Freight \"{wanted}\" not found in namespace \"{project}\""), now)),
            Some(freight) if !available(&stage, freight) => ended(engine::give_up(
                &promotion.status,
                format!("Freight \"{wanted}\" is not available to Stage \"{}\" in namespace \"{project}\"", stage.metadata.name),
                now,
            )),
            Some(freight) => {
                let mut base = Context::default();
                base.config_maps = Arc::new(config_maps.clone());
                base.stage_metadata = Arc::new([(stage.name(), objects.stage_metadata(&stage.name()).unwrap_or_default())].into());
                base.freight_status = Arc::new(
                    [(
                        freight.name(),
                        FreightStatus { metadata: objects.freight_metadata(&freight.name()).unwrap_or_default(), ..freight.status.clone() },
                    )]
                    .into(),
                );
                base.now = now;
                let evaluator = Evaluator {
                    base,
                    project: project.to_string(),
                    ui_base_url: UI.into(),
                    freight_alias: freight.alias.clone(),
                    requested: stage.spec.requested_freight.iter().map(|request| request.origin.name.clone()).collect(),
                };
                let doors = Doors::default();
                let engine = Engine {
                    registry: &registry,
                    expressions: &evaluator,
                    clock: &*script,
                    project: &project,
                    warehouses: &warehouses,
                    records: &objects,
                    doors: &doors,
                    stop: &script.stop,
                };
                engine.tick(&promotion, &mut workspace).await
            }
        };
        if let Some(failure) = &outcome.failure {
            return Err(format!("the environment failed: {}", failure.message));
        }
        objects.apply(&outcome.changes);
        ticks.push(seen(&outcome, &workspace)?);
        promotion.status = outcome.status;
        stage.status.last_promotion = None;
    }
    if !ticks.is_empty() {
        got.insert("ticks".into(), json!(ticks));
    }
    let invocations = std::mem::take(&mut *script.invocations.lock().expect("no poison"));
    if !invocations.is_empty() {
        got.insert("invocations".into(), json!(invocations));
    }
    for (key, metadata) in [("stageMetadata", objects.stage_metadata(&stage.name())), ("freightMetadata", objects.freight_metadata(&target.name()))] {
        if let Some(metadata) = metadata.filter(|metadata| !metadata.is_empty()) {
            got.insert(key.into(), json!(metadata));
        }
    }
    let text = Value::Object(got).to_string().replace(&ulid.to_string().to_lowercase(), "<ulid>");
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

/// What refuses the definitions before they can be inflated: their types, which `config` knows.
fn admission(case: &Value) -> Option<Value> {
    let knowledge = Knowledge::default();
    let world = World {
        namespace: &|_| NamespaceState::Project,
        warehouses: &BTreeMap::new(),
        aliases: &std::collections::BTreeSet::new(),
        now: Timestamp::UNIX_EPOCH,
        knowledge: &knowledge,
    };
    let tasks = case["tasks"].as_array().into_iter().flatten().map(|task| ("task", task));
    tasks.chain([("stage", &case["stage"])]).find_map(|(at, document)| {
        let kind = Kind::find(document["kind"].as_str().unwrap_or_default())?;
        let refused = admit(kind, document, &world).refused;
        let types: Vec<_> = refused.iter().filter(|finding| finding.layer == Layer::Schema).collect();
        let first = types.first()?;
        Some(json!({"error": first.message, "at": at, "path": first.path.to_string()}))
    })
}

/// A Stage or Freight of a case may leave its kind out.
fn with_kind(mut object: Value) -> Value {
    if object.get("kind").is_none() {
        object["kind"] = json!(if object.get("spec").is_some() { "Stage" } else { "Freight" });
    }
    object
}

fn ended(status: PromotionStatus) -> Tick {
    Tick { status, ..Tick::default() }
}

fn read_all<T: serde::de::DeserializeOwned>(list: &Value) -> Result<Vec<T>, String> {
    if list.is_null() { Ok(Vec::new()) } else { serde_json::from_value(list.clone()).map_err(|error| error.to_string()) }
}

/// Kargo's rule for the simple requests of these cases: straight from the warehouse, or verified in a stage upstream, or approved.
fn available(stage: &Stage, freight: &Freight) -> bool {
    stage.spec.requested_freight.iter().any(|request| {
        request.origin == freight.origin
            && (request.sources.direct
                || freight.status.approved_for.contains_key(&stage.name())
                || request.sources.stages.iter().any(|upstream| freight.status.verified_in.contains_key(upstream)))
    })
}

fn refused(errors: &[InflateError]) -> Value {
    let at = |error: &InflateError| match error.resource {
        Resource::Stage => "stage",
        Resource::Task(..) => "task",
        Resource::Promotion => "promotion",
    };
    let more: Vec<Value> = errors[1..].iter().map(|error| json!({"path": error.path, "error": error.message})).collect();
    let mut refused = json!({"error": errors[0].message, "at": at(&errors[0]), "path": errors[0].path});
    if !more.is_empty() {
        refused["more"] = json!(more);
    }
    refused
}

/// A tick in the form of a case.
fn seen(outcome: &Tick, workspace: &Workspace) -> Result<Value, String> {
    let status = &outcome.status;
    let mut seen = json!({
        "phase": status.phase,
        "currentStep": status.current_step,
        "state": without_nulls(&Value::Object(status.state.clone())),
        "suggestedRequeue": outcome.suggested.map(|wait| go(wait).to_string()),
        "requeueAfter": outcome.requeue.map(|requeue| match requeue {
            Requeue::After(wait) => go(wait).to_string(),
            Requeue::Backoff(_) => "backoff".to_owned(),
        }),
    });
    if status.phase == PromotionPhase::Pending {
        seen["phase"] = json!("Pending");
    }
    if !status.message.is_empty() {
        seen["message"] = json!(status.message);
    }
    if !status.health_checks.is_empty() {
        seen["healthChecks"] = json!(status.health_checks);
    }
    let steps = status.step_execution_metadata.iter().map(|metadata| {
        let mut step = json!({
            "alias": metadata.alias,
            "status": metadata.status.map_or("", StepStatus::as_str),
            "started": metadata.started_at.is_some(),
            "finished": metadata.finished_at.is_some(),
        });
        if !metadata.message.is_empty() {
            step["message"] = json!(metadata.message);
        }
        if metadata.error_count > 0 {
            step["errorCount"] = json!(metadata.error_count);
        }
        if metadata.continue_on_error {
            step["continueOnError"] = json!(true);
        }
        step
    });
    seen["steps"] = steps.collect();
    let mut files = Map::new();
    for path in workspace.list(workspace.root()).map_err(|failure| failure.message)? {
        files.insert(workspace.display(&path), json!(std::fs::read_to_string(&path).map_err(|error| error.to_string())?));
    }
    if !files.is_empty() {
        seen["files"] = Value::Object(files);
    }
    Ok(seen)
}

fn go(wait: Duration) -> GoDuration {
    GoDuration(wait.try_into().expect("a short time"))
}

/// The cases tell a state as Kargo writes it, by a JSON merge patch, in which nulls are lost.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            Value::Object(fields.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
        other => other.clone(),
    }
}

/// Compares member by member; a member that a case leaves out is one that we must not have.
fn same(want: &Value, got: &Value) -> bool {
    if let Some(refusal) = want["inflated"].as_object() {
        let mut ours: Vec<&str> = vec![got["inflated"]["path"].as_str().unwrap_or_default()];
        ours.extend(got["inflated"]["more"].as_array().into_iter().flatten().filter_map(|one| one["path"].as_str()));
        let mut theirs: Vec<&str> = refusal.get("path").and_then(Value::as_str).into_iter().collect();
        theirs.extend(refusal.get("more").and_then(Value::as_array).into_iter().flatten().filter_map(|one| one["path"].as_str()));
        // What is wrong only with the whole has no path in Kargo; ours may name the step.
        return got["inflated"]["at"] == refusal["at"] && (theirs.is_empty() || theirs == ours);
    }
    let keys: Vec<&String> = want.as_object().into_iter().chain(got.as_object()).flat_map(Map::keys).collect();
    keys.into_iter().all(|key| match key.as_str() {
        // Kargo's ticks are told only where they matter.
        "ticks" => {
            let (want, got) = (want["ticks"].as_array(), got["ticks"].as_array());
            match (want, got) {
                (Some(want), Some(got)) => want.len() == got.len() && want.iter().zip(got).all(|(want, got)| same_value(want, got)),
                (want, got) => want.is_none() && got.is_none(),
            }
        }
        _ => same_value(&want[key], &got[key]),
    })
}

fn same_value(want: &Value, got: &Value) -> bool {
    match (want, got) {
        (Value::String(want), Value::String(got)) => want == got || same_message(want, got),
        (Value::Number(want), Value::Number(got)) => want.as_f64() == got.as_f64(),
        (Value::Array(want), Value::Array(got)) => want.len() == got.len() && want.iter().zip(got).all(|(want, got)| same_value(want, got)),
        (Value::Object(want), Value::Object(got)) => {
            want.len() == got.len() && want.iter().all(|(key, value)| got.get(key).is_some_and(|other| same_value(value, other)))
        }
        _ => want == got,
    }
}

/// Whether two messages are equal up to where they quote what is worded elsewhere.
fn same_message(want: &str, got: &str) -> bool {
    let quotes = ["should be skipped: ", "failed to get step config: ", "is not registered; ", " config: "];
    let cut = |text: &str, quote: &str| text.find(quote).map(|at| text[..at + quote.len()].to_owned());
    quotes.iter().any(|quote| match (cut(want, quote), cut(got, quote)) {
        (Some(want), Some(got)) => want == got,
        _ => false,
    }) && variable(want) == variable(got)
}

/// The variable that a message blames.
fn variable(message: &str) -> Option<&str> {
    message.split_once("promotion variable \"")?.1.split('"').next()
}

/// What the scripted steps share.
struct Script {
    clock: Mutex<Timestamp>,
    tick: std::sync::atomic::AtomicUsize,
    stop: AtomicBool,
    counts: Mutex<HashMap<String, usize>>,
    invocations: Mutex<Vec<Value>>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            clock: Mutex::new(Timestamp::UNIX_EPOCH),
            tick: 0.into(),
            stop: AtomicBool::new(false),
            counts: Mutex::default(),
            invocations: Mutex::default(),
        }
    }
}

impl Clock for Script {
    fn now(&self) -> Timestamp {
        *self.clock.lock().expect("no poison")
    }
}

/// The step kind of the cases.
struct Scripted {
    kind: &'static str,
    defaults: StepDefaults,
    script: Arc<Script>,
}

#[async_trait::async_trait]
impl Step for Scripted {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn schema(&self) -> Value {
        json!({"type": "object"})
    }

    fn defaults(&self) -> StepDefaults {
        self.defaults
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let number = {
            let mut counts = self.script.counts.lock().expect("no poison");
            let count = counts.entry(run.alias.to_owned()).or_default();
            *count += 1;
            *count - 1
        };
        let mut invocation = json!({"tick": self.script.tick.load(Ordering::Relaxed), "alias": run.alias});
        let mut shown = config.as_object().cloned().unwrap_or_default();
        let results = shown.shift_remove("results").unwrap_or_default();
        if !shown.is_empty() {
            invocation["config"] = Value::Object(shown);
        }
        self.script.invocations.lock().expect("no poison").push(invocation);
        let results = results.as_array().cloned().unwrap_or_default();
        let Some(script) = results.get(number).or_else(|| results.last()) else { return Ok(StepResult::succeeded()) };
        if let Some(takes) = script["takes"].as_str() {
            let takes: GoDuration = takes.parse().expect("a duration");
            *self.script.clock.lock().expect("no poison") += takes.signed();
        }
        if script["cancel"] == true {
            self.script.stop.store(true, Ordering::Relaxed);
        }
        if let Some(text) = script["panic"].as_str() {
            std::panic::resume_unwind(Box::new(text.to_owned()));
        }
        let status = script["status"].as_str().unwrap_or("Succeeded");
        let Ok(status) = serde_json::from_value::<StepStatus>(json!(status)) else {
            return Ok(StepResult::errored_for_good(format!("the status `{status}` does not exist")));
        };
        Ok(StepResult {
            output: script.get("output").cloned(),
            message: script["message"].as_str().unwrap_or_default().to_owned(),
            error: script["error"].as_str().map(|message| StepError { message: message.to_owned(), terminal: script["terminal"] == true }),
            retry_after: script["retryAfter"].as_str().map(|wait| wait.parse::<GoDuration>().expect("a duration").unsigned()),
            health_check: script
                .get("healthCheck")
                .map(|check| HealthCheck { uses: check["kind"].as_str().unwrap_or_default().to_owned(), config: check["input"].clone() }),
            ..StepResult::with_status(status)
        })
    }
}
