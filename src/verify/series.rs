//! The series of measurements of a run: what is due, how counters move, when a metric and the run are decided.
//!
//! The rules are Argo Rollouts' (measured on its analysis engine). A look may take several rounds: whatever a round changes can make something
//! else due, so rounds are repeated until nothing changes any more.

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::outcome;
use super::prepare::{Prepared, prepare};
use super::run::{AnalysisRun, Measurement, Metric, MetricResult, Phase};
use super::substitute::Secrets;
use crate::model::GoDuration;

/// After an error the next measurement comes this soon, whatever the interval.
const ERROR_RETRY: SignedDuration = SignedDuration::from_secs(10);
/// Measurements kept where nothing is said.
const RETAINED: usize = 10;
/// No run needs more rounds: each round either measures something that was due or settles a metric.
const MAX_ROUNDS: usize = 1_000;

/// Takes measurements.
#[async_trait::async_trait]
pub trait Measure: Sync {
    /// Takes a measurement, or begins one that takes longer (then it has no `finished_at`). `number` counts from 1 within the metric.
    async fn run(&self, run: &AnalysisRun, metric: &Metric, number: usize, now: Timestamp) -> Measurement;
    /// Looks at a measurement that was begun.
    async fn resume(&self, run: &AnalysisRun, metric: &Metric, measurement: Measurement, now: Timestamp) -> Measurement;
    /// Ends a measurement that was begun: the run is over.
    async fn terminate(&self, run: &AnalysisRun, metric: &Metric, measurement: Measurement, now: Timestamp) -> Measurement;
}

/// Brings a run as far as it goes at `now`.
///
/// Returns when to look again; None: the run has ended, or nothing is scheduled.
pub async fn look(run: &mut AnalysisRun, now: Timestamp, secrets: &dyn Secrets, providers: &dyn Measure) -> Option<Timestamp> {
    let mut now = now;
    for _ in 0..MAX_ROUNDS {
        if run.status.phase.is_some_and(Phase::is_completed) {
            return None;
        }
        let prepared = match prepare(&run.spec, secrets) {
            Ok(prepared) => prepared,
            Err(message) => {
                run.status.phase = Some(Phase::Error);
                run.status.message = message;
                return None;
            }
        };
        let before = run.clone();
        now = round(run, &prepared, now, providers).await;
        if *run == before {
            return next_look(run, &prepared.metrics);
        }
    }
    next_look(run, &prepare(&run.spec, secrets).ok()?.metrics)
}

/// One round: measure what is due, assess, forget old measurements. Returns the time afterwards.
async fn round(run: &mut AnalysisRun, prepared: &Prepared, now: Timestamp, providers: &dyn Measure) -> Timestamp {
    let terminating = is_terminating(run);
    let due: Vec<Task<'_>> = prepared.metrics.iter().filter_map(|metric| task(run, metric, terminating, now)).collect();
    let shared: &AnalysisRun = run;
    let measured = join_all(due.iter().map(|task| async move {
        match &task.in_flight {
            None => providers.run(shared, task.metric, task.number, now).await,
            Some(measurement) if terminating => terminated(providers.terminate(shared, task.metric, measurement.clone(), now).await, now),
            Some(measurement) => providers.resume(shared, task.metric, measurement.clone(), now).await,
        }
    }))
    .await;
    let mut after = now;
    let done: Vec<(String, bool, Measurement)> =
        due.into_iter().zip(measured).map(|(task, measurement)| (task.metric.name.clone(), task.in_flight.is_some(), measurement)).collect();
    for (name, was_in_flight, mut measurement) in done {
        if measurement.is_completed() {
            let finished = *measurement.finished_at.get_or_insert(now);
            after = after.max(finished);
        }
        measurement.message = prepared.mask(&measurement.message);
        measurement.value = prepared.mask(&measurement.value);
        for text in measurement.metadata.values_mut() {
            *text = prepared.mask(text);
        }
        record(run, &name, prepared.is_dry(&name), was_in_flight, measurement);
    }
    outcome::assess(run, prepared, after);
    for result in &mut run.status.metric_results {
        let keep = prepared.retention.get(&result.name).copied().unwrap_or(RETAINED);
        let excess = result.measurements.len().saturating_sub(keep);
        result.measurements.drain(..excess);
    }
    after
}

/// A measurement that is due.
struct Task<'a> {
    metric: &'a Metric,
    in_flight: Option<Measurement>,
    number: usize,
}

/// Whether no new measurements are taken: a person ended the run, or a metric that counts decided it.
pub(super) fn is_terminating(run: &AnalysisRun) -> bool {
    run.spec.terminate
        || run
            .status
            .metric_results
            .iter()
            .any(|result| !result.dry_run && matches!(result.phase, Some(Phase::Failed | Phase::Error | Phase::Inconclusive)))
}

fn task<'a>(run: &AnalysisRun, metric: &'a Metric, terminating: bool, now: Timestamp) -> Option<Task<'a>> {
    let result = run.status.metric_results.iter().find(|result| result.name == metric.name);
    if result.is_some_and(|result| result.phase.is_some_and(Phase::is_completed)) {
        return None;
    }
    let number = result.map_or(0, |result| usize::try_from(result.count + result.error).unwrap_or(0)) + 1;
    let Some(last) = result.and_then(|result| result.measurements.last()) else {
        if terminating {
            return None;
        }
        let delay = delay_of(&metric.initial_delay);
        // The delay counts from the end of the first look, so nothing delayed is measured in it.
        let due = delay.is_none_or(|delay| delay.is_zero() || run.status.started_at.is_some_and(|start| now >= start + delay));
        return due.then_some(Task { metric, in_flight: None, number });
    };
    if last.finished_at.is_none() {
        let waits = last.resume_at.is_some_and(|resume| resume > now);
        return (terminating || !waits).then(|| Task { metric, in_flight: Some(last.clone()), number });
    }
    if terminating || metric.effective_count().is_some_and(|count| result.is_some_and(|result| result.count >= count)) {
        return None;
    }
    // A measurement is due at the end of the interval; Argo Rollouts measures strictly after it and, at the very instant, asks to come back in 0 s.
    let due = last.finished_at.is_some_and(|finished| now >= finished + interval(metric, last));
    due.then_some(Task { metric, in_flight: None, number })
}

fn delay_of(text: &str) -> Option<SignedDuration> {
    text.parse::<GoDuration>().ok().map(GoDuration::signed)
}

fn interval(metric: &Metric, last: &Measurement) -> SignedDuration {
    if last.phase == Some(Phase::Error) {
        return ERROR_RETRY;
    }
    delay_of(&metric.interval).unwrap_or(ERROR_RETRY)
}

/// A measurement whose run is over: what its provider left unfinished is inconclusive.
fn terminated(mut measurement: Measurement, now: Timestamp) -> Measurement {
    if !measurement.is_completed() {
        measurement.phase = Some(Phase::Inconclusive);
        measurement.message = "Metric Terminated".into();
    }
    measurement.finished_at.get_or_insert(now);
    measurement.resume_at = None;
    measurement
}

fn record(run: &mut AnalysisRun, name: &str, dry_run: bool, was_in_flight: bool, mut measurement: Measurement) {
    let results = &mut run.status.metric_results;
    let index = results.iter().position(|result| result.name == name).unwrap_or_else(|| {
        results.push(MetricResult { name: name.to_owned(), phase: Some(Phase::Running), dry_run, ..MetricResult::default() });
        results.len() - 1
    });
    let result = &mut results[index];
    // What the provider says about the metric as a whole travels with the measurement.
    result.metadata.extend(
        measurement.metadata.extract_if(.., |key, _| key.starts_with("metric:")).map(|(key, value)| (key["metric:".len()..].to_owned(), value)),
    );
    match measurement.phase {
        Some(Phase::Successful) => {
            result.successful += 1;
            result.count += 1;
            result.consecutive_success += 1;
            result.consecutive_error = 0;
        }
        Some(Phase::Failed) => {
            result.failed += 1;
            result.count += 1;
            (result.consecutive_success, result.consecutive_error) = (0, 0);
        }
        Some(Phase::Inconclusive) => {
            result.inconclusive += 1;
            result.count += 1;
            (result.consecutive_success, result.consecutive_error) = (0, 0);
        }
        Some(Phase::Error) => {
            result.error += 1;
            result.consecutive_error += 1;
            result.consecutive_success = 0;
        }
        _ => {}
    }
    if was_in_flight {
        result.measurements.pop();
    }
    result.measurements.push(measurement);
}

/// The earliest time at which something can be due.
fn next_look(run: &AnalysisRun, metrics: &[Metric]) -> Option<Timestamp> {
    if run.status.phase.is_none_or(Phase::is_completed) {
        return None;
    }
    let due = |metric: &Metric| -> Option<Timestamp> {
        let result = run.status.metric_results.iter().find(|result| result.name == metric.name);
        if result.is_some_and(|result| result.phase.is_some_and(Phase::is_completed)) {
            return None;
        }
        let Some(last) = result.and_then(|result| result.measurements.last()) else {
            return Some(run.status.started_at? + delay_of(&metric.initial_delay).unwrap_or_default());
        };
        let Some(finished) = last.finished_at else { return last.resume_at };
        if metric.effective_count().is_some_and(|count| result.is_some_and(|result| result.count >= count)) {
            return None;
        }
        Some(finished + interval(metric, last))
    };
    metrics.iter().filter_map(due).min()
}
