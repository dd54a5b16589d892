//! The step loop: one tick of one promotion.
//!
//! A tick runs steps until the promotion ends, waits, or the environment fails. It takes the promotion as recorded and gives its new status
//! with what else changed; it writes nothing. The order of decisions and the messages a user's expressions can see (`stepMetas`) are
//! Kargo's, as measured; where we differ, the comment says so.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::inflate::namespace;
use super::step::{ChangedRecords, Doors, Effect, RecordChange, Records, Step, StepError, StepResult, StepRun};
use super::steps::{Registry, config};
use super::workspace::Workspace;
use crate::diagnostic::{Failure, FailureKind};
use crate::model::{
    FreightReference, GoDuration, ProjectName, Promotion, PromotionPhase, PromotionSpec, PromotionStatus, PromotionStep, StepMetadata, StepStatus,
    Warehouse, WarehouseName,
};

/// How often a waiting step is looked at, unless it says otherwise.
const POLL_INTERVAL: Duration = Duration::from_secs(300);
/// No step is looked at more often than this.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(10);
/// What is kept of one step's log, in bytes.
const LONGEST_LOG: usize = 64 * 1024;
/// The kind whose output is also merged into the output of the task it stands in.
const SHARES_WITH_TASK: &str = "compose-output";

/// The time. A step's duration counts, so the loop asks again after each.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// What expressions of a step can see of the promotion.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The promotion: its name, variables, freight.
    pub promotion: &'a Promotion,
    /// The step they stand in.
    pub step: &'a PromotionStep,
    /// Outputs by alias.
    pub outputs: &'a Map<String, Value>,
    /// What is known of the steps that were reached, the step's own entry included.
    pub metadata: &'a [StepMetadata],
    /// The freight of every requested origin.
    pub freight: &'a [FreightReference],
    /// The project's warehouses.
    pub warehouses: &'a BTreeMap<WarehouseName, Warehouse>,
    /// Metadata of stages and freight, changes of the promotion's earlier steps included.
    pub records: &'a dyn Records,
    /// Those changes.
    pub changes: &'a [RecordChange],
}

/// The door to the expression language.
pub trait Expressions: Send + Sync {
    /// Renders a step's `if`.
    ///
    /// # Errors
    /// Why it cannot be evaluated, or what it is instead of a boolean.
    fn condition(&self, scope: Scope<'_>, template: &str) -> Result<bool, String>;

    /// Renders a step's configuration, after its variables.
    ///
    /// # Errors
    /// Why it cannot be evaluated.
    fn config(&self, scope: Scope<'_>, config: &Value) -> Result<Value, String>;

    /// Values of secrets that were read so far: they appear in no message or log.
    fn masked(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What a tick gives to every promotion.
pub struct Engine<'a> {
    /// The kinds that can be run.
    pub registry: &'a Registry,
    /// The expression language.
    pub expressions: &'a dyn Expressions,
    /// The time.
    pub clock: &'a dyn Clock,
    /// The project.
    pub project: &'a ProjectName,
    /// Its warehouses.
    pub warehouses: &'a BTreeMap<WarehouseName, Warehouse>,
    /// What is recorded of its stages and freight.
    pub records: &'a dyn Records,
    /// The doors to the outside.
    pub doors: &'a Doors,
    /// Set when the process is asked to stop: no further step is begun.
    pub stop: &'a AtomicBool,
}

/// What came of a tick.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The promotion's new status.
    pub status: PromotionStatus,
    /// How long the waiting step asked to be left alone.
    pub suggested: Option<Duration>,
    /// When to run it again; None: it has ended, or the environment failed.
    pub requeue: Option<Requeue>,
    /// Changes to other records, in order.
    pub changes: Vec<RecordChange>,
    /// What external tools printed, by step.
    pub logs: Vec<StepLog>,
    /// Set when the environment failed: the step it failed in counts as not run, the steps before it have run.
    pub failure: Option<Failure>,
    /// Set when the process was asked to stop. The status says so as Kargo's engine does, but it is not a result and never recorded: the next
    /// tick resumes the step.
    pub stopped: bool,
}

/// When to run a promotion again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeue {
    /// A step waits: after this time.
    After(Duration),
    /// A step had its n-th error, below its threshold: after [`backoff`].
    Backoff(u32),
}

/// What external tools of a step printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepLog {
    /// The step.
    pub alias: String,
    /// The end of the text, if it was long.
    pub text: String,
}

/// Delay before the retry that follows the n-th error: 1 s, growing by half, at most 10 s, spread by half. `spread` is 0 to 1, from chance.
pub fn backoff(errors: u32, spread: f64) -> Duration {
    let exponent = i32::try_from(errors.saturating_sub(1)).unwrap_or(i32::MAX).min(16);
    let base = 1.5_f64.powi(exponent).min(10.0);
    Duration::from_secs_f64(base * (0.75 + 0.5 * spread.clamp(0.0, 1.0)))
}

/// Ends a promotion on request. Terminal promotions stay as they are; a step that waits becomes Aborted and keeps its message.
pub fn abort(status: &PromotionStatus, actor: &str, now: Timestamp) -> PromotionStatus {
    let mut status = status.clone();
    if status.phase.is_terminal() {
        return status;
    }
    let current = status.current_step;
    if let Some(metadata) = status.step_execution_metadata.get_mut(current)
        && metadata.status == Some(StepStatus::Running)
    {
        metadata.status = Some(StepStatus::Aborted);
        metadata.finished_at = Some(now);
    }
    status.phase = PromotionPhase::Aborted;
    status.message = format!("Promotion terminated by {}", if actor.is_empty() { "controller:promotion-controller" } else { actor });
    status.finished_at = Some(now);
    status
}

/// Takes a promotion back to its first step with nothing but its outputs, as Kargo does when it has lost the working directory. For promotions
/// that wait and whose record lacks what a replay needs, such as one taken over from a Kargo cluster.
pub fn restart(status: &PromotionStatus) -> PromotionStatus {
    let mut status = status.clone();
    if !status.phase.is_terminal() {
        status.current_step = 0;
        status.step_execution_metadata.clear();
        status.health_checks.clear();
    }
    status
}

/// Ends a promotion that cannot go on, for a reason outside its steps: its freight is gone or no longer available.
pub fn give_up(status: &PromotionStatus, reason: impl Into<String>, now: Timestamp) -> PromotionStatus {
    let mut status = status.clone();
    if !status.phase.is_terminal() {
        status.phase = PromotionPhase::Errored;
        status.message = reason.into();
        status.finished_at = Some(now);
    }
    status
}

impl Engine<'_> {
    /// Runs a promotion as far as it goes. `promotion.status` has its freight and freight collection; a terminal promotion comes back as it is.
    pub async fn tick(&self, promotion: &Promotion, workspace: &mut Workspace) -> Outcome {
        let mut status = promotion.status.clone();
        if status.phase.is_terminal() {
            return Outcome { status, ..Outcome::default() };
        }
        let now = self.clock.now();
        status.phase = PromotionPhase::Running;
        status.message.clear();
        status.started_at.get_or_insert(now);
        let freight: Vec<FreightReference> = status.freight_collection.iter().flat_map(|collection| collection.items.values()).cloned().collect();
        let target = status.freight.clone().unwrap_or_default();
        let mut run = Run { engine: self, promotion, freight, target, outcome: Outcome { status, ..Outcome::default() } };
        run.steps(workspace).await;
        let mut outcome = run.outcome;
        let record = &mut outcome.status.consign;
        record.written.extend(workspace.take_written());
        if !workspace.journal().is_empty() {
            record.checkouts.clone_from(workspace.journal());
        }
        outcome
    }
}

/// A tick under way.
struct Run<'a> {
    engine: &'a Engine<'a>,
    promotion: &'a Promotion,
    freight: Vec<FreightReference>,
    target: FreightReference,
    outcome: Outcome,
}

/// How a step left the loop.
enum Next {
    /// On to the next step.
    Step,
    /// The tick ends here.
    Tick,
}

impl Run<'_> {
    async fn steps(&mut self, workspace: &mut Workspace) {
        let promotion = self.promotion;
        let steps = &promotion.spec.steps;
        for (index, step) in steps.iter().enumerate().skip(self.outcome.status.current_step) {
            self.outcome.status.current_step = index;
            let entry = self.entry(step);
            if self.engine.stop.load(Ordering::Relaxed) {
                self.stop(entry);
                return;
            }
            if let Next::Tick = self.step(step, entry, workspace).await {
                return;
            }
        }
        let status = &mut self.outcome.status;
        status.current_step = steps.len().saturating_sub(1);
        (status.phase, status.message) = final_phase(&promotion.spec, &status.step_execution_metadata);
        status.finished_at = Some(self.engine.clock.now());
    }

    /// Index of the step's metadata; made if it is reached for the first time.
    fn entry(&mut self, step: &PromotionStep) -> usize {
        let all = &mut self.outcome.status.step_execution_metadata;
        all.iter().position(|metadata| metadata.alias == step.alias).unwrap_or_else(|| {
            all.push(StepMetadata { alias: step.alias.clone(), continue_on_error: step.continue_on_error, ..StepMetadata::default() });
            all.len() - 1
        })
    }

    async fn step(&mut self, step: &PromotionStep, entry: usize, workspace: &mut Workspace) -> Next {
        let before = self.outcome.status.step_execution_metadata[entry].clone();
        if before.started_at.is_none() {
            match self.is_skipped(step) {
                Ok(false) => {}
                Ok(true) => {
                    self.outcome.status.step_execution_metadata[entry].status = Some(StepStatus::Skipped);
                    return Next::Step;
                }
                Err(error) => {
                    self.give_up_step(entry, format!("error checking if step \"{}\" should be skipped: {error}", step.alias));
                    return Next::Step;
                }
            }
        }
        let engine = self.engine;
        let Some(kind) = engine.registry.get(&step.uses) else {
            self.give_up_step(entry, format!("step kind \"{}\" is not registered; see `consign steps` for the kinds there are", step.uses));
            return Next::Step;
        };
        let metadata = &mut self.outcome.status.step_execution_metadata[entry];
        if metadata.started_at.is_none() {
            metadata.started_at = Some(engine.clock.now());
            metadata.error_count = 0;
        }
        // Variables of a step without configuration are never evaluated, as in Kargo.
        let config = match step.config.as_ref().filter(|config| !config.is_null()) {
            None => Ok(Value::Object(Map::new())),
            Some(config) => self.with_scope(step, |scope| engine.expressions.config(scope, config)),
        };
        let config = match config {
            Ok(config) => config,
            Err(error) => {
                self.give_up_step(entry, format!("failed to build step context: failed to get step config: {error}"));
                return Next::Step;
            }
        };
        let result = match self.rebuild(step, kind, workspace).await {
            Ok(()) => self.run(step, kind, &config, workspace).await,
            Err(failure) => Err(failure),
        };
        match result {
            Ok(result) => self.settle(step, kind, entry, result),
            Err(failure) => {
                let all = &mut self.outcome.status.step_execution_metadata;
                all[entry] = before;
                if all[entry].status.is_none() && entry + 1 == all.len() {
                    all.pop();
                }
                self.outcome.failure = Some(failure);
                Next::Tick
            }
        }
    }

    /// A step that ends without having run: it gets neither a finish time nor a retry.
    fn give_up_step(&mut self, entry: usize, message: String) {
        let metadata = &mut self.outcome.status.step_execution_metadata[entry];
        metadata.status = Some(StepStatus::Errored);
        metadata.message = message;
    }

    fn is_skipped(&self, step: &PromotionStep) -> Result<bool, String> {
        if step.condition.is_empty() {
            return Ok(has_failures(&self.outcome.status.step_execution_metadata));
        }
        self.with_scope(step, |scope| self.engine.expressions.condition(scope, &step.condition)).map(|run| !run)
    }

    fn with_scope<T>(&self, step: &PromotionStep, evaluate: impl FnOnce(Scope<'_>) -> T) -> T {
        let records = ChangedRecords { base: self.engine.records, changes: &self.outcome.changes };
        evaluate(Scope {
            promotion: self.promotion,
            step,
            outputs: &self.outcome.status.state,
            metadata: &self.outcome.status.step_execution_metadata,
            freight: &self.freight,
            warehouses: self.engine.warehouses,
            records: &records,
            changes: &self.outcome.changes,
        })
    }

    /// Before the first step of a resumed promotion that needs files: runs the steps before it once more, in which commits and pushes of
    /// earlier ticks are restored instead of made again. What those steps say now changes nothing that is recorded.
    async fn rebuild(&mut self, step: &PromotionStep, kind: &dyn Step, workspace: &mut Workspace) -> Result<(), Failure> {
        if !kind.needs_files() {
            return Ok(());
        }
        let Some(journal) = workspace.take_resumption() else { return Ok(()) };
        workspace.set_replay(Some(journal));
        let promotion = self.promotion;
        for earlier in promotion.spec.steps.iter().take_while(|earlier| earlier.alias != step.alias) {
            let ran =
                self.outcome.status.step_execution_metadata.iter().any(|metadata| metadata.alias == earlier.alias && metadata.finished_at.is_some());
            let Some(kind) = self.engine.registry.get(&earlier.uses).filter(|kind| ran && kind.needs_files()) else { continue };
            let config = match earlier.config.as_ref().filter(|config| !config.is_null()) {
                None => Ok(Value::Object(Map::new())),
                Some(config) => self.with_scope(earlier, |scope| self.engine.expressions.config(scope, config)),
            };
            let lost = |why: String| {
                Failure::new(
                    FailureKind::Conflict,
                    format!("the files of promotion `{}` cannot be rebuilt: step `{}`: {why}", promotion.metadata.name, earlier.alias),
                )
                .hint("abort the promotion and promote the freight again")
            };
            let config = config.map_err(lost)?;
            // What acts outside is not done twice; what it left in files is gone.
            if kind.effect(&config) == Effect::Outside {
                continue;
            }
            let before = self
                .outcome
                .status
                .step_execution_metadata
                .iter()
                .find(|metadata| metadata.alias == earlier.alias)
                .and_then(|metadata| metadata.status);
            let result = self.run(earlier, kind, &config, workspace).await?;
            // A step whose failure was recorded may fail again.
            if let Some(error) = result.error.filter(|_| matches!(before, Some(StepStatus::Succeeded | StepStatus::Skipped))) {
                return Err(lost(error.message));
            }
        }
        workspace.set_replay(None);
        Ok(())
    }

    async fn run(&mut self, step: &PromotionStep, kind: &dyn Step, config: &Value, workspace: &mut Workspace) -> Result<StepResult, Failure> {
        let engine = self.engine;
        let violations = engine.registry.check(&step.uses, config);
        if !violations.is_empty() {
            return Ok(StepResult::failed(config::invalid(&step.uses, &violations)));
        }
        let outputs = self.outcome.status.state.clone();
        let records = ChangedRecords { base: engine.records, changes: &self.outcome.changes };
        let name = self.promotion.name();
        // Templates see what the step's configuration could name, so it is asked for in the same way.
        let seen = serde_json::json!({"ctx": "${{ ctx }}", "vars": "${{ vars }}", "outputs": "${{ outputs }}"});
        let this = &*self;
        let scope = || this.with_scope(step, |scope| engine.expressions.config(scope, &seen));
        let requested: Vec<_> = self.freight.iter().map(|freight| freight.origin.clone()).collect();
        let mut run = StepRun {
            project: engine.project,
            stage: &self.promotion.spec.stage,
            promotion: &name,
            alias: &step.alias,
            now: engine.clock.now(),
            started_at: self.outcome.status.started_at.unwrap_or_else(|| engine.clock.now()),
            freight: &self.freight,
            target_freight: &self.target,
            requested: &requested,
            warehouses: engine.warehouses,
            records: &records,
            scope: &scope,
            outputs: &outputs,
            workspace,
            doors: engine.doors,
        };
        match AssertUnwindSafe(kind.run(&mut run, config)).catch_unwind().await {
            Ok(result) => result,
            Err(panic) => Ok(StepResult::errored_for_good(format!("step panicked: {}", panic_text(panic.as_ref())))),
        }
    }

    /// Records what came of a run and decides how to go on.
    fn settle(&mut self, step: &PromotionStep, kind: &dyn Step, entry: usize, mut result: StepResult) -> Next {
        let secrets = self.engine.expressions.masked();
        for text in [&mut result.message, &mut result.log].into_iter().chain(result.error.as_mut().map(|error| &mut error.message)) {
            mask(text, &secrets);
        }
        self.store_output(step, result.output.as_ref());
        self.outcome.changes.extend(result.changes);
        if !result.log.is_empty() {
            self.outcome.logs.push(StepLog { alias: step.alias.clone(), text: tail(&result.log) });
        }
        let now = self.engine.clock.now();
        let (threshold, timeout) = limits(step, kind);
        let metadata = &mut self.outcome.status.step_execution_metadata[entry];
        let error = reconcile(metadata, step, result.status, result.message, result.error);

        if is_complete(metadata, step, error.as_ref(), threshold) {
            metadata.finished_at = Some(now);
        } else if timeout.is_some_and(|timeout| metadata.started_at.is_some_and(|started| now.duration_since(started) > timeout.signed())) {
            metadata.status = Some(StepStatus::Errored);
            metadata.message = format!("step \"{}\" timed out after {}", step.alias, timeout.unwrap_or_default());
            metadata.finished_at = Some(now);
        }
        if metadata.finished_at.is_some() {
            if metadata.status == Some(StepStatus::Succeeded) {
                self.outcome.status.health_checks.extend(result.health_check);
            }
            return Next::Step;
        }
        self.outcome.suggested = result.retry_after;
        match error {
            Some(error) => {
                metadata.message.push_str("; step will be retried");
                self.outcome.requeue = Some(Requeue::Backoff(metadata.error_count));
                self.outcome.status.message = error.message;
            }
            None => {
                let deadline = timeout.zip(metadata.started_at).map(|(timeout, started)| timeout.signed() - now.duration_since(started));
                self.outcome.requeue = Some(Requeue::After(wait(result.retry_after, deadline)));
            }
        }
        Next::Tick
    }

    /// Every attempt replaces the output of the one before; none at all is stored as null, and nulls stay (Kargo loses them between ticks).
    fn store_output(&mut self, step: &PromotionStep, output: Option<&Value>) {
        let state = &mut self.outcome.status.state;
        state.insert(step.alias.clone(), output.cloned().unwrap_or(Value::Null));
        let task = namespace(&step.alias).filter(|_| step.uses == SHARES_WITH_TASK);
        if let Some((task, Value::Object(fields))) = task.zip(output) {
            match state.entry(task).or_insert(Value::Null) {
                Value::Object(shared) => shared.extend(fields.clone()),
                other => *other = Value::Object(fields.clone()),
            }
        }
    }

    fn stop(&mut self, entry: usize) {
        let now = self.engine.clock.now();
        let status = &mut self.outcome.status;
        let metadata = &mut status.step_execution_metadata[entry];
        if metadata.started_at.is_some() && metadata.finished_at.is_none() {
            metadata.status = Some(StepStatus::Errored);
            metadata.message = format!("step \"{}\" was canceled due to context cancellation: context canceled", metadata.alias);
            metadata.finished_at = Some(now);
        }
        status.phase = PromotionPhase::Errored;
        status.message = "execution canceled: context canceled".into();
        status.finished_at = Some(now);
        self.outcome.stopped = true;
    }
}

/// Makes status, message and error of a result agree; gives the error as the promotion's message shows it.
fn reconcile(metadata: &mut StepMetadata, step: &PromotionStep, status: StepStatus, message: String, error: Option<StepError>) -> Option<StepError> {
    let alias = &step.alias;
    metadata.status = Some(status);
    let Some(error) = error else {
        // Failed without an error would in Kargo leave the step open and uncounted until its timeout; it is a failure like any other.
        let made = match status {
            StepStatus::Errored => Some("errored"),
            StepStatus::Failed => Some("failed"),
            _ => None,
        };
        let details = if message.is_empty() { "no details provided" } else { &message };
        let error = made.map(|verb| StepError { message: format!("step \"{alias}\" {verb}: {details}"), terminal: false });
        metadata.message = message;
        return error;
    };
    let text = match status {
        StepStatus::Errored => format!("error running step \"{alias}\": {}", error.message),
        _ => format!("step \"{alias}\": {}", error.message),
    };
    if status != StepStatus::Failed {
        metadata.status = Some(StepStatus::Errored);
    }
    metadata.message.clone_from(&text);
    Some(StepError { message: text, terminal: error.terminal })
}

/// Whether the step is done with, its timeout aside. Counts the error.
fn is_complete(metadata: &mut StepMetadata, step: &PromotionStep, error: Option<&StepError>, threshold: u32) -> bool {
    match (metadata.status, error) {
        (Some(StepStatus::Succeeded | StepStatus::Skipped), _) => true,
        (Some(StepStatus::Failed), Some(error)) if error.terminal => true,
        (_, Some(error)) if error.terminal => {
            metadata.message = format!("an unrecoverable error occurred: {}", error.message);
            true
        }
        (_, Some(_)) => {
            metadata.error_count += 1;
            let met = metadata.error_count >= threshold;
            if met {
                metadata.message = format!("step \"{}\" met error threshold of {threshold}: {}", step.alias, metadata.message);
            }
            met
        }
        (_, None) => false,
    }
}

/// Error threshold and timeout of a step; None: no timeout.
fn limits(step: &PromotionStep, kind: &dyn Step) -> (u32, Option<GoDuration>) {
    let defaults = kind.defaults();
    let retry = step.retry.as_ref();
    let threshold = retry.map(|retry| retry.error_threshold).filter(|threshold| *threshold > 0).unwrap_or(defaults.error_threshold);
    let timeout = retry.and_then(|retry| retry.timeout).or(defaults.timeout).filter(|timeout| timeout.signed().is_positive());
    (threshold, timeout)
}

/// How long to leave a waiting step alone. The deadline wins over the shortest interval; at the very deadline it is asked again at once.
fn wait(suggested: Option<Duration>, deadline: Option<SignedDuration>) -> Duration {
    let wait = suggested.unwrap_or(POLL_INTERVAL).max(SHORTEST_INTERVAL);
    deadline.map_or(wait, |left| wait.min(Duration::try_from(left).unwrap_or_default()))
}

/// Whether a step that counts has failed: what the implicit `if` asks.
pub fn has_failures(metadata: &[StepMetadata]) -> bool {
    metadata.iter().any(|one| !one.continue_on_error && matches!(one.status, Some(StepStatus::Failed | StepStatus::Errored)))
}

/// Phase and message once every step had its turn: those of the worst step that counts, the first of equals.
fn final_phase(spec: &PromotionSpec, metadata: &[StepMetadata]) -> (PromotionPhase, String) {
    let mut worst = (StepStatus::Succeeded, "");
    for (step, metadata) in spec.steps.iter().zip(metadata) {
        // A step that never got a status is none of the good ones.
        let status = metadata.status.unwrap_or(StepStatus::Errored);
        if !step.continue_on_error && status > worst.0 {
            worst = (status, &metadata.message);
        }
    }
    let phase = match worst.0 {
        StepStatus::Succeeded | StepStatus::Skipped => PromotionPhase::Succeeded,
        StepStatus::Aborted => PromotionPhase::Aborted,
        StepStatus::Failed => PromotionPhase::Failed,
        StepStatus::Running | StepStatus::Errored => PromotionPhase::Errored,
    };
    (phase, worst.1.to_owned())
}

/// Replaces secrets in a text.
fn mask(text: &mut String, secrets: &[String]) {
    for secret in secrets.iter().filter(|secret| !secret.is_empty() && text.contains(secret.as_str())).cloned().collect::<Vec<_>>() {
        *text = text.replace(&secret, "****");
    }
}

/// The end of a long text, from the start of a line if there is one.
fn tail(text: &str) -> String {
    if text.len() <= LONGEST_LOG {
        return text.to_owned();
    }
    let mut from = text.len() - LONGEST_LOG;
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let end = &text[from..];
    format!("...\n{}", end.split_once('\n').map_or(end, |(_, rest)| rest))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "for an unknown reason".to_owned())
}
