//! When a metric is decided, and what that makes of the run. Pure.

use jiff::Timestamp;

use super::prepare::Prepared;
use super::run::{AnalysisRun, Metric, MetricResult, Phase, Summary};
use super::series::is_terminating;

/// Assesses every metric that was started, then the run.
pub(super) fn assess(run: &mut AnalysisRun, prepared: &Prepared, now: Timestamp) {
    let started = *run.status.started_at.get_or_insert(now);
    let terminating = is_terminating(run);
    let mut everything_completed = true;
    let mut worst: Option<(Phase, String)> = None;
    let (mut summary, mut dry_summary) = (Summary::default(), Summary::default());
    for metric in &prepared.metrics {
        let dry = prepared.is_dry(&metric.name);
        let counted = if dry { &mut dry_summary } else { &mut summary };
        counted.count += 1;
        let Some(result) = run.status.metric_results.iter_mut().find(|result| result.name == metric.name) else {
            everything_completed = false;
            continue;
        };
        let decision = decide(metric, result, terminating);
        if result.phase != Some(decision.phase) {
            result.phase = Some(decision.phase);
            if let Some(message) = result.measurements.last().map(|last| last.message.clone()).filter(|message| !message.is_empty()) {
                result.message = message;
            }
        }
        if !decision.phase.is_completed() {
            everything_completed = false;
            continue;
        }
        counted.add(decision.phase);
        let explanation = explain(metric, result, &decision, dry);
        if dry {
            if !explanation.is_empty() {
                result.message = explanation;
            }
        } else if worst.as_ref().is_none_or(|(phase, _)| decision.phase.badness() > phase.badness()) {
            worst = Some((decision.phase, explanation));
        }
    }
    let decided = worst.as_ref().is_some_and(|(phase, _)| matches!(phase, Phase::Failed | Phase::Error | Phase::Inconclusive));
    let in_flight = run.status.metric_results.iter().any(|result| !result.phase.is_some_and(Phase::is_completed));
    let (phase, message) = if !in_flight && (everything_completed || terminating || decided) {
        let all_dry = prepared.metrics.iter().all(|metric| prepared.is_dry(&metric.name));
        let phase = worst.as_ref().map_or(Phase::Successful, |(phase, _)| *phase);
        let message = worst.map(|(_, message)| message).filter(|message| !message.is_empty());
        let message = message.unwrap_or_else(|| if run.spec.terminate && !all_dry { "Run Terminated".into() } else { String::new() });
        (phase, message)
    } else {
        (Phase::Running, String::new())
    };
    run.status.run_summary = summary;
    run.status.dry_run_summary = (dry_summary.count > 0).then_some(dry_summary);
    run.status.phase = Some(phase);
    run.status.message = message;
    if phase.is_completed() {
        run.status.completed_at.get_or_insert(now.max(started));
    }
}

/// What a metric is, and which rule says so.
struct Decision {
    phase: Phase,
    reason: String,
}

impl Decision {
    fn plain(phase: Phase) -> Self {
        Self { phase, reason: String::new() }
    }
}

fn decide(metric: &Metric, result: &MetricResult, terminating: bool) -> Decision {
    if let Some(phase) = result.phase.filter(|phase| phase.is_completed()) {
        return limits(metric, result).filter(|decision| decision.phase == phase).unwrap_or_else(|| Decision::plain(phase));
    }
    let Some(last) = result.measurements.last() else {
        return Decision::plain(if terminating { Phase::Successful } else { Phase::Pending });
    };
    if !last.is_completed() {
        return Decision::plain(Phase::Running);
    }
    if let Some(decision) = limits(metric, result) {
        return decision;
    }
    let wanted = metric.successes_wanted();
    if wanted > 0 && result.consecutive_success >= wanted {
        return Decision::plain(Phase::Successful);
    }
    if metric.effective_count().is_some_and(|count| result.count >= count) {
        let reason = format!("consecutiveSuccesses ({}) < consecutiveSuccessLimit ({wanted})", result.consecutive_success);
        return match (wanted > 0, metric.failures_tolerated() >= 0) {
            (true, true) => Decision { phase: Phase::Inconclusive, reason },
            (true, false) => Decision { phase: Phase::Failed, reason },
            (false, _) => Decision::plain(Phase::Successful),
        };
    }
    Decision::plain(if terminating { Phase::Successful } else { Phase::Running })
}

/// The limits; an exceeded later one hides an earlier one.
fn limits(metric: &Metric, result: &MetricResult) -> Option<Decision> {
    let mut decision = None;
    let failures = metric.failures_tolerated();
    if failures >= 0 && result.failed > failures {
        decision = Some(Decision { phase: Phase::Failed, reason: format!("failed ({}) > failureLimit ({failures})", result.failed) });
    }
    let inconclusive = metric.inconclusive_tolerated();
    if result.inconclusive > inconclusive {
        decision = Some(Decision {
            phase: Phase::Inconclusive,
            reason: format!("inconclusive ({}) > inconclusiveLimit ({inconclusive})", result.inconclusive),
        });
    }
    let errors = metric.errors_tolerated();
    if result.consecutive_error > errors {
        decision = Some(Decision {
            phase: Phase::Error,
            reason: format!("consecutiveErrors ({}) > consecutiveErrorLimit ({errors})", result.consecutive_error),
        });
    }
    decision
}

fn explain(metric: &Metric, result: &MetricResult, decision: &Decision, dry: bool) -> String {
    if decision.reason.is_empty() {
        return String::new();
    }
    if dry {
        return format!("Metric assessed {} due to {}", decision.phase.as_str(), decision.reason);
    }
    let said = result.measurements.last().map(|last| last.message.as_str()).filter(|message| !message.is_empty());
    let said = said.map(|message| format!(": \"Error Message: {message}\"")).unwrap_or_default();
    format!("Metric \"{}\" assessed {} due to {}{said}", metric.name, decision.phase.as_str(), decision.reason)
}
