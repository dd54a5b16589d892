//! What takes measurements: `web`, `job` and `prometheus`. Of the others a measurement says that they are not supported.

pub mod http;
pub mod job;
pub mod json_path;
pub mod prometheus;
pub mod web;

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use super::condition;
use super::run::{AnalysisRun, Measurement, Metric, Phase};
use super::series::Measure;
use crate::expr::Value;

/// A result of a provider, for the metric's conditions.
#[derive(Debug)]
pub struct Observation {
    /// The value.
    pub value: Value,
    /// The value as text, as it is recorded.
    pub text: String,
    /// What else the provider says.
    pub metadata: Vec<(&'static str, String)>,
}

impl Observation {
    /// The measurement that was started and finished at these instants, and the result of the metric's conditions.
    pub fn judge(self, metric: &Metric, started: Timestamp, finished: Timestamp) -> Measurement {
        let (phase, message) = condition::judge(metric, &self.value, started);
        Measurement {
            phase: Some(phase),
            // A value that cannot be judged is no result; the message says what was wrong with it.
            value: if phase == Phase::Error { String::new() } else { self.text },
            message,
            started_at: Some(started),
            finished_at: Some(finished),
            metadata: self.metadata.into_iter().map(|(key, text)| (key.to_owned(), text)).collect(),
            ..Measurement::default()
        }
    }
}

/// All providers.
pub struct Providers {
    http: http::Client,
    jobs: job::Jobs,
    log: Mutex<String>,
}

impl Providers {
    /// Providers that run jobs this way.
    pub fn new(jobs: job::Jobs) -> Self {
        Self { http: http::Client::default(), jobs, log: Mutex::default() }
    }

    /// What jobs printed since the last call; secrets are not masked in it.
    pub fn take_log(&self) -> String {
        std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn log(&self, text: &str) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
    }

    async fn observe(&self, name: &str, metric: &Metric, now: Timestamp) -> Result<Observation, String> {
        match name {
            "web" => web::observe(&self.http, &decode(metric)?).await,
            "prometheus" => prometheus::observe(&self.http, &decode(metric)?, now).await,
            other => Err(format!("the provider `{other}` is not supported yet; `web`, `job` and `prometheus` are")),
        }
    }
}

/// The name of a metric's provider, and its configuration.
fn provider(metric: &Metric) -> (&str, &serde_json::Value) {
    metric.provider.iter().next().map_or(("", &serde_json::Value::Null), |(name, config)| (name.as_str(), config))
}

fn decode<T: serde::de::DeserializeOwned>(metric: &Metric) -> Result<T, String> {
    let (name, config) = provider(metric);
    serde_json::from_value(config.clone()).map_err(|error| format!("`provider.{name}`: {error}"))
}

/// Checks the types of a provider's fields.
///
/// # Errors
/// The field that cannot be read.
pub fn check(metric: &Metric) -> Result<(), String> {
    match provider(metric).0 {
        "web" => decode::<web::Web>(metric).map(drop),
        "prometheus" => decode::<prometheus::Prometheus>(metric).map(drop),
        "job" => decode::<job::Job>(metric).map(drop),
        _ => Ok(()),
    }
}

/// The end of something that began at `now` and has taken this long.
fn after(now: Timestamp, begun: Instant) -> Timestamp {
    SignedDuration::try_from(begun.elapsed()).ok().and_then(|taken| now.checked_add(taken).ok()).unwrap_or(now)
}

#[async_trait::async_trait]
impl Measure for Providers {
    async fn run(&self, run: &AnalysisRun, metric: &Metric, number: usize, now: Timestamp) -> Measurement {
        let begun = Instant::now();
        let (name, _) = provider(metric);
        if name == "job" {
            let measurement = Measurement { phase: Some(Phase::Running), started_at: Some(now), ..Measurement::default() };
            return self.attempt(run, metric, number, measurement, now).await;
        }
        match self.observe(name, metric, now).await {
            Ok(observation) => observation.judge(metric, now, after(now, begun)),
            Err(message) => Measurement::error(message, now, after(now, begun)),
        }
    }

    async fn resume(&self, run: &AnalysisRun, metric: &Metric, measurement: Measurement, now: Timestamp) -> Measurement {
        let result = run.status.metric_results.iter().find(|result| result.name == metric.name);
        let number = result.map_or(0, |result| usize::try_from(result.count + result.error).unwrap_or(0)) + 1;
        self.attempt(run, metric, number, measurement, now).await
    }

    async fn terminate(&self, _: &AnalysisRun, _: &Metric, measurement: Measurement, _: Timestamp) -> Measurement {
        // Between two looks nothing runs: a job's attempt ends with the look that began it.
        measurement
    }
}

impl Providers {
    /// Attempts of a job, as far as this look goes.
    async fn attempt(&self, run: &AnalysisRun, metric: &Metric, number: usize, mut measurement: Measurement, now: Timestamp) -> Measurement {
        let begun = Instant::now();
        let job: job::Job = match decode(metric) {
            Ok(job) => job,
            Err(message) => return Measurement::error(message, now, now),
        };
        let name = job::name(&run.metadata.name, &metric.name, number);
        let failed_before = measurement.metadata.get("attempts").and_then(|text| text.parse().ok()).unwrap_or(0);
        let attempts = self.jobs.run(&job, &name, failed_before).await;
        self.log(&attempts.log);
        let finished = after(now, begun);
        measurement.metadata.insert("job-name".into(), name);
        measurement.metadata.insert("attempts".into(), attempts.failed.to_string());
        match attempts.stands {
            Ok(stands) => stands.settle(measurement, finished),
            Err(message) => {
                let started = measurement.started_at.unwrap_or(now);
                Measurement { metadata: measurement.metadata, ..Measurement::error(message, started, finished) }
            }
        }
    }
}
