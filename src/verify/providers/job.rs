//! `job`: containers that end with 0, run by docker or podman or, if a setting allows it, as processes of this machine.
//!
//! A look blocks until the job has ended, its deadline has passed or its retries want more patience than a tick has; what is left then goes
//! on in the next tick, which knows how many attempts have failed. An attempt that was cut off with its tick is made again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::super::run::{Measurement, Phase};
use crate::model::null_is_default;

mod attempt;
pub use attempt::{Jobs, Runner};

/// Attempts after the first where nothing is said, as Kubernetes has it.
const BACKOFF_LIMIT: u32 = 6;
/// How long a job may take where nothing is said: a tick must end.
const DEADLINE: Duration = Duration::from_secs(600);
/// Pauses before the retries that one tick makes; more retries are left to the next.
const PAUSES: [u64; 6] = [1, 2, 4, 8, 8, 7];

/// `provider.job` of a metric, as far as it can be run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Job {
    spec: JobSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JobSpec {
    backoff_limit: Option<u32>,
    active_deadline_seconds: Option<u64>,
    template: PodTemplate,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PodTemplate {
    spec: PodSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodSpec {
    #[serde(deserialize_with = "null_is_default")]
    init_containers: Vec<Container>,
    #[serde(deserialize_with = "null_is_default")]
    containers: Vec<Container>,
    #[serde(deserialize_with = "null_is_default")]
    volumes: Vec<serde_json::Value>,
}

/// A container of a job.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    name: String,
    image: String,
    #[serde(deserialize_with = "null_is_default")]
    command: Vec<String>,
    #[serde(deserialize_with = "null_is_default")]
    args: Vec<String>,
    #[serde(deserialize_with = "null_is_default")]
    env: Vec<Variable>,
    #[serde(deserialize_with = "null_is_default")]
    env_from: Vec<serde_json::Value>,
    working_dir: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Variable {
    name: String,
    value: String,
    value_from: Option<VariableSource>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct VariableSource {
    secret_key_ref: Option<super::super::run::SecretKeyRef>,
}

/// Where a job stands, in the words of Kubernetes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Status {
    /// How it ended, if it has.
    #[serde(deserialize_with = "null_is_default")]
    pub conditions: Vec<Condition>,
}

/// A condition of a job.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// `Complete`, `Failed` and others.
    #[serde(rename = "type")]
    pub kind: String,
    /// Why, in a sentence.
    pub message: String,
}

/// A container that waits.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Waiting {
    /// Where: pod and container, or the container alone.
    pub place: String,
    /// `ErrImagePull` and others.
    pub reason: String,
    /// More about it.
    pub message: String,
}

/// Reasons to wait that do not pass by themselves.
const HOPELESS: [&str; 3] = ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"];

/// What a job's status means: its phase and, where it has one, a message. Of several conditions the last one counts.
pub fn assess(status: &Status, waiting: &[Waiting]) -> (Phase, String) {
    let ended = status.conditions.iter().rev().find_map(|condition| match condition.kind.as_str() {
        "Complete" => Some((Phase::Successful, String::new())),
        "Failed" => Some((Phase::Failed, condition.message.clone())),
        _ => None,
    });
    if let Some(ended) = ended {
        return ended;
    }
    match waiting.iter().find(|waiting| HOPELESS.contains(&waiting.reason.as_str())) {
        Some(waiting) => (Phase::Inconclusive, format!("{} cannot start ({}): {}", waiting.place, waiting.reason, waiting.message)),
        None => (Phase::Running, String::new()),
    }
}

/// When to look again at a job that runs: the longer it runs, the later, as the square root of twice the seconds it has taken.
pub fn next_look(started: Timestamp, now: Timestamp) -> Timestamp {
    let elapsed = now.duration_since(started).as_secs_f64().max(0.0);
    #[allow(clippy::cast_possible_truncation)]
    let pause = SignedDuration::from_secs((elapsed * 2.0).sqrt() as i64);
    now.checked_add(pause).unwrap_or(now)
}

/// The longest name of a container.
const NAME_LENGTH: usize = 63;

/// The name of a job: of the run, the metric and the number of the measurement, cut in the metric where it is too long.
pub fn name(run: &str, metric: &str, number: usize) -> String {
    let number = number.to_string();
    let room = NAME_LENGTH.saturating_sub(run.len() + number.len() + 2);
    let cut = &metric[..metric.floor_char_boundary(room.min(metric.len()))];
    format!("{run}.{cut}.{number}")
}

/// Where a job stands after a look.
pub struct Stands {
    /// Conditions.
    pub status: Status,
    /// What waits.
    pub waiting: Vec<Waiting>,
}

impl Stands {
    /// The measurement of such a job.
    pub fn settle(&self, mut measurement: Measurement, now: Timestamp) -> Measurement {
        let (phase, message) = assess(&self.status, &self.waiting);
        measurement.phase = Some(phase);
        measurement.message = message;
        if phase.is_completed() {
            measurement.finished_at = Some(now);
            measurement.resume_at = None;
        } else {
            let started = measurement.started_at.unwrap_or(now);
            measurement.resume_at = Some(next_look(started, now));
        }
        measurement
    }
}

/// What came of the attempts of one look.
pub struct Attempts {
    /// Where the job stands, or why it cannot be run.
    pub stands: Result<Stands, String>,
    /// Attempts that failed, earlier ones included.
    pub failed: u32,
    /// What it printed, values of its secrets masked.
    pub log: String,
}

impl Job {
    fn refuse_unsupported(&self) -> Result<(), String> {
        let pod = &self.spec.template.spec;
        if pod.containers.is_empty() {
            return Err("the job has no containers".into());
        }
        if !pod.volumes.is_empty() {
            return Err("`volumes` of a job need a cluster; put what it reads into its image or environment".into());
        }
        match pod.init_containers.iter().chain(&pod.containers).find(|container| !container.env_from.is_empty()) {
            Some(container) => Err(format!("`envFrom` of container `{}` needs a cluster; list its variables in `env`", container.name)),
            None => Ok(()),
        }
    }
}

/// `$(NAME)` in a text with the variables in place, as Kubernetes does it; `$$` is a dollar, unknown names stay.
fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("$$") {
            out.push('$');
            rest = after;
            continue;
        }
        let named = rest.strip_prefix("$(").and_then(|inner| inner.split_once(')'));
        match named.and_then(|(name, after)| Some((variables.get(name)?, after))) {
            Some((value, after)) => {
                out.push_str(value);
                rest = after;
            }
            None => {
                out.push('$');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Runs a job's attempts until it ends, its time is up or the tick's patience is.
async fn attempts(jobs: &Jobs, job: &Job, name: &str, mut failed: u32) -> Attempts {
    let mut log = String::new();
    let stands = async {
        job.refuse_unsupported()?;
        let deadline = job.spec.active_deadline_seconds.map_or(DEADLINE, Duration::from_secs);
        let until = Instant::now() + deadline;
        let limit = job.spec.backoff_limit.unwrap_or(BACKOFF_LIMIT);
        let ended = |kind: &str, message: String| Stands {
            status: Status { conditions: vec![Condition { kind: kind.into(), message }] },
            waiting: Vec::new(),
        };
        for pause in PAUSES.iter().map(Some).chain([None]) {
            let attempt = jobs.attempt(&job.spec.template.spec, name, until).await?;
            log.push_str(&attempt.log);
            match attempt.end {
                attempt::End::Success => return Ok(ended("Complete", String::new())),
                attempt::End::Waiting(waiting) => return Ok(Stands { status: Status::default(), waiting: vec![waiting] }),
                attempt::End::TimeIsUp => {
                    return Ok(ended("Failed", format!("the job was active longer than its deadline of {} s", deadline.as_secs())));
                }
                attempt::End::Failure(message) => {
                    failed += 1;
                    if failed > limit {
                        let message = if limit == 0 { message } else { format!("{message}; it was tried {failed} times") };
                        return Ok(ended("Failed", message));
                    }
                }
            }
            let Some(pause) = pause else { break };
            let pause = Duration::from_secs(*pause);
            if Instant::now() + pause >= until {
                return Ok(ended("Failed", format!("the job did not succeed within its deadline of {} s", deadline.as_secs())));
            }
            tokio::time::sleep(pause).await;
        }
        Ok(Stands { status: Status::default(), waiting: Vec::new() })
    }
    .await;
    Attempts { stands, failed, log }
}

#[cfg(test)]
mod tests;
