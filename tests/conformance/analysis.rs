//! Verification: runs from templates, measurements tick by tick, conditions, providers, and what a stage's record says of it.

use std::collections::BTreeMap;

use consign::expr::Value as Expr;
use consign::verify::providers::Observation;
use consign::verify::run::{AnalysisRun, Argument, Measurement, Metric, Phase, RunSpec};
use consign::verify::series::{self, Measure};
use consign::verify::{condition, prepare, providers, substitute};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::harness::{Outcome, Runner, judge};

#[path = "analysis/http.rs"]
mod http;
#[path = "analysis/jobs.rs"]
mod jobs;
#[path = "analysis/stage.rs"]
mod stage;

type Secrets = BTreeMap<String, BTreeMap<String, String>>;

/// Runs the cases of `analysis.json`.
pub fn prepare(_: &Value) -> Runner {
    Box::new(|case| {
        let got = match case["form"].as_str().expect("form") {
            "series" => series_of(case),
            "condition" => condition_of(case),
            "web" => http::web(case),
            "prometheus" => http::prometheus(case),
            "job" => jobs::job(case),
            "substitution" => substitution(case),
            "args" => stage::args(case),
            "build" => stage::build(case),
            "lifecycle" => stage::lifecycle(case),
            form => return Outcome::Differ(format!("unknown form {form}")),
        };
        judge(case, &got, same)
    })
}

/// Equal; of messages and errors counts that there is one, and in sentences about a metric everything but what its provider said.
fn same(want: &Value, got: &Value) -> bool {
    match (want, got) {
        (Value::Object(want), Value::Object(got)) => {
            let keys = want.keys().chain(got.keys());
            keys.into_iter().all(|key| match key.as_str() {
                "message" | "error" | "runMessage" | "invalid" | "decodeError" => meaning(want.get(key)) == meaning(got.get(key)),
                _ => same(want.get(key).unwrap_or(&Value::Null), got.get(key).unwrap_or(&Value::Null)),
            })
        }
        (Value::Array(want), Value::Array(got)) => want.len() == got.len() && want.iter().zip(got).all(|(want, got)| same(want, got)),
        _ => want == got,
    }
}

fn meaning(message: Option<&Value>) -> Option<String> {
    let text = message?.as_str().filter(|text| !text.is_empty())?;
    let counted = text.starts_with("Metric \"") || text.starts_with("Metric assessed") || ["Metric Terminated", "Run Terminated"].contains(&text);
    Some(if counted { text.split(": \"Error Message").next().unwrap_or_default().to_owned() } else { String::new() })
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).expect("the case has the model's shape")
}

fn list<T: serde::de::DeserializeOwned>(value: &Value) -> Vec<T> {
    value.as_array().into_iter().flatten().map(read).collect()
}

fn secrets_of(case: &Value) -> Secrets {
    case.get("secrets").map(read).unwrap_or_default()
}

fn time(value: &Value) -> Timestamp {
    value.as_str().expect("a time").parse().expect("a time")
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// A duration as Go writes it, to the second.
fn go_duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// Takes away what the cases leave out: empty objects and texts.
fn compact(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.values_mut().for_each(compact);
        fields.retain(|_, field| field.as_object().is_none_or(|object| !object.is_empty()));
    } else if let Value::Array(items) = value {
        items.iter_mut().for_each(compact);
    }
}

/// A provider that says what the case scripts.
struct Script {
    metrics: BTreeMap<String, Vec<Map<String, Value>>>,
}

impl Script {
    fn step(&self, metric: &Metric, number: usize) -> &Map<String, Value> {
        let steps = &self.metrics[&metric.name];
        &steps[(number - 1).min(steps.len() - 1)]
    }

    fn outcome(step: &Map<String, Value>, metric: &Metric, started: Timestamp, finished: Timestamp) -> Measurement {
        let mut measurement = Measurement { started_at: Some(started), finished_at: Some(finished), ..Measurement::default() };
        if let Some(error) = step.get("error") {
            return Measurement::error(error.as_str().expect("text"), started, finished);
        }
        if let Some(phase) = step.get("phase") {
            measurement.phase = Some(read(phase));
            measurement.message = step.get("message").map(read).unwrap_or_default();
            return measurement;
        }
        let value = Expr::from_json(&step["value"]);
        let text = consign::expr::go_json(&value).expect("JSON");
        Observation { value, text, metadata: Vec::new() }.judge(metric, started, finished)
    }
}

fn taken(step: &Map<String, Value>) -> SignedDuration {
    let duration: consign::model::GoDuration = step.get("takes").map_or("0s", |takes| takes.as_str().expect("text")).parse().expect("a duration");
    duration.signed()
}

#[async_trait::async_trait]
impl Measure for Script {
    async fn run(&self, _: &AnalysisRun, metric: &Metric, number: usize, now: Timestamp) -> Measurement {
        let step = self.step(metric, number);
        if step.get("async").is_some_and(|flag| *flag == json!(true)) {
            return Measurement { phase: Some(Phase::Running), started_at: Some(now), resume_at: Some(now + taken(step)), ..Measurement::default() };
        }
        Self::outcome(step, metric, now, now + taken(step))
    }

    async fn resume(&self, run: &AnalysisRun, metric: &Metric, measurement: Measurement, now: Timestamp) -> Measurement {
        let result = run.status.metric_results.iter().find(|result| result.name == metric.name).expect("a result");
        let number = usize::try_from(result.count + result.error).expect("a count") + 1;
        Self::outcome(self.step(metric, number), metric, measurement.started_at.expect("a start"), now)
    }

    async fn terminate(&self, _: &AnalysisRun, _: &Metric, measurement: Measurement, _: Timestamp) -> Measurement {
        measurement
    }
}

fn series_of(case: &Value) -> Value {
    let mut run = match stage::run_of_templates(case) {
        Ok(run) => run,
        Err(message) => return json!({ "error": message }),
    };
    let secrets = secrets_of(case);
    let script = Script { metrics: read(&case["script"]) };
    let order: Vec<String> = run.spec.metrics.iter().map(|metric| metric.name.clone()).collect();
    let given: Option<Vec<Timestamp>> = case.get("ticks").map(list::<Timestamp>);
    let terminate_at = case.get("terminateAt").map(time);
    let (mut now, mut ticks, mut index) = (time(&case["start"]), Vec::new(), 0);
    loop {
        if terminate_at.is_some_and(|at| now >= at) {
            run.spec.terminate = true;
        }
        let next = block_on(series::look(&mut run, now, &secrets, &script));
        let measured = run.status.metric_results.iter().flat_map(|result| &result.measurements).filter_map(|measurement| measurement.finished_at);
        let after = measured.max().unwrap_or(now).max(now);
        index += 1;
        let following = match &given {
            Some(given) => given.get(index).copied(),
            None if run.status.phase.is_some_and(Phase::is_completed) => None,
            None => {
                let pending = terminate_at.filter(|at| *at > now);
                [next, pending].into_iter().flatten().min()
            }
        };
        ticks.push(tick(&run, &order, now, next.map(|next| next.duration_since(after)), following.is_none()));
        match following {
            Some(following) if index < 200 => now = following.max(after),
            _ => break,
        }
    }
    let mut got = json!({"ticks": ticks, "runSummary": run.status.run_summary});
    let status = &run.status;
    for (key, at) in [("startedAt", status.started_at), ("completedAt", status.completed_at)] {
        if let Some(at) = at {
            got[key] = json!(at);
        }
    }
    if let Some(dry) = status.dry_run_summary {
        got["dryRunSummary"] = json!(dry);
    }
    got
}

fn tick(run: &AnalysisRun, order: &[String], now: Timestamp, next: Option<SignedDuration>, is_last: bool) -> Value {
    let mut results: Vec<_> = run.status.metric_results.iter().collect();
    results.sort_by_key(|result| order.iter().position(|name| *name == result.name));
    let metrics: Vec<Value> = results
        .into_iter()
        .map(|result| {
            let mut value = serde_json::to_value(result).expect("serializes");
            let fields = value.as_object_mut().expect("an object");
            if !is_last {
                fields.remove("measurements");
            }
            value
        })
        .collect();
    let mut tick = json!({"now": now, "nextIn": next.map(|next| go_duration(next.max(SignedDuration::ZERO))), "metrics": metrics});
    if let Some(phase) = run.status.phase {
        tick["phase"] = json!(phase);
    }
    if !run.status.message.is_empty() {
        tick["message"] = json!(run.status.message);
    }
    tick
}

fn condition_of(case: &Value) -> Value {
    let float = |text: &Value| -> f64 { text.as_str().expect("text").parse().expect("a float") };
    let result = if let Some(text) = case.get("resultFloat") {
        Expr::from(float(text))
    } else if let Some(Value::Array(texts)) = case.get("resultFloats") {
        Expr::list(texts.iter().map(|text| Expr::from(float(text))).collect())
    } else {
        Expr::from_json(&case["result"])
    };
    let text = |key: &str| case.get(key).map(read).unwrap_or_default();
    let metric = Metric { success_condition: text("success"), failure_condition: text("failure"), ..Metric::default() };
    let (phase, message) = condition::judge(&metric, &result, Timestamp::UNIX_EPOCH);
    if message.is_empty() { json!({ "phase": phase }) } else { json!({"phase": phase, "error": message}) }
}

fn substitution(case: &Value) -> Value {
    let metric: Metric = read(&case["metric"]);
    let args: Vec<Argument> = list(&case["args"]);
    let substituted = substitute::values(&args, None).and_then(|values| substitute::metric(&metric, &values));
    let metric = match substituted {
        Ok(metric) => metric,
        Err(message) => return json!({ "error": message }),
    };
    if let Err(message) = providers::check(&metric) {
        return json!({ "decodeError": message });
    }
    let mut value = serde_json::to_value(&metric).expect("serializes");
    compact(&mut value);
    let mut got = json!({ "metric": value });
    if let Err(message) = prepare::validate(&[metric]) {
        got["invalid"] = json!(message);
    }
    got
}

/// One look at a run of one metric.
fn look_once(case: &Value, metric: &Value, provider: &dyn Measure, now: Timestamp) -> AnalysisRun {
    let spec = RunSpec { metrics: vec![read(metric)], args: list(&case["args"]), ..RunSpec::default() };
    let mut run = AnalysisRun { spec, ..AnalysisRun::default() };
    run.metadata.name = "0b7c54b1-6d0e-4f7c-9a55-3f1d5f6f2a10".into();
    block_on(series::look(&mut run, now, &secrets_of(case), provider));
    run
}
