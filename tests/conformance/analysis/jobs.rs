//! Jobs. There is no cluster here: a job that the case says to run stands for one that our runner has started.

use consign::verify::providers::job::{self, Stands, Status, Waiting};
use consign::verify::run::{AnalysisRun, Measurement, Metric, Phase};
use consign::verify::series::{self, Measure};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{block_on, go_duration, look_once, read, secrets_of};

/// A runner whose job stands, at the second look, as the case says.
struct Cluster<'a>(&'a Value);

#[async_trait::async_trait]
impl Measure for Cluster<'_> {
    async fn run(&self, run: &AnalysisRun, metric: &Metric, number: usize, now: Timestamp) -> Measurement {
        let mut measurement = Measurement { phase: Some(Phase::Running), started_at: Some(now), resume_at: Some(now), ..Measurement::default() };
        measurement.metadata.insert("job-name".into(), job::name(&run.metadata.name, &metric.name, number));
        measurement.resume_at = Some(job::next_look(now, now) + SignedDuration::from_millis(1));
        measurement
    }

    async fn resume(&self, _: &AnalysisRun, _: &Metric, measurement: Measurement, now: Timestamp) -> Measurement {
        let status: Status = self.0.get("jobStatus").map(read).unwrap_or_default();
        let pods = self.0["pods"].as_array().cloned().unwrap_or_default();
        let waiting = |pod: &Value| -> Vec<Waiting> {
            let groups = ["initContainerStatuses", "containerStatuses"].map(|key| pod["status"][key].as_array().cloned().unwrap_or_default());
            let waits = groups.concat().into_iter().filter(|container| container["state"]["waiting"].is_object());
            waits
                .map(|container| {
                    let mut waiting: Waiting = read(&container["state"]["waiting"]);
                    waiting.place = format!("Pod {}, container {}", pod["metadata"]["name"], container["name"]);
                    waiting
                })
                .collect()
        };
        Stands { status, waiting: pods.iter().flat_map(waiting).collect() }.settle(measurement, now)
    }

    async fn terminate(&self, _: &AnalysisRun, _: &Metric, measurement: Measurement, _: Timestamp) -> Measurement {
        measurement
    }
}

pub fn job(case: &Value) -> Value {
    let start: Timestamp = "2026-04-14T09:00:00Z".parse().expect("a time");
    let cluster = Cluster(case);
    let mut run = look_once(case, &case["metric"], &cluster, start);
    let first = run.status.metric_results.first().and_then(|result| result.measurements.last()).cloned();
    if ["jobStatus", "jobGone", "terminate", "after"].iter().any(|key| case.get(*key).is_some()) {
        let after: consign::model::GoDuration = case.get("after").map_or("10s", |after| after.as_str().expect("text")).parse().expect("a duration");
        run.spec.terminate = case["terminate"] == json!(true);
        block_on(series::look(&mut run, start + after.signed(), &secrets_of(case), &cluster));
    }
    let mut got = json!({"runPhase": run.status.phase});
    if !run.status.message.is_empty() {
        got["runMessage"] = json!(run.status.message);
    }
    let Some(result) = run.status.metric_results.first() else { return got };
    let last = result.measurements.last().expect("a measurement");
    got["afterCreate"] = json!({"phase": first.and_then(|first| first.phase)});
    got["phase"] = json!(last.phase);
    got["metricPhase"] = json!(result.phase);
    // The namespace is the project's; a cluster's object that is deleted has no counterpart: a process ends with the look that began it.
    got["metadata"] = json!({"job-name": last.metadata["job-name"], "job-namespace": "shop"});
    if let Some(deleted) = case["want"].get("deleted") {
        got["deleted"] = deleted.clone();
    }
    if !last.message.is_empty() {
        got["message"] = json!(last.message);
    }
    if let (Some(resume), false) = (last.resume_at, last.is_completed()) {
        got["resumeAfter"] = json!(go_duration(resume.duration_since(start)));
    }
    got
}
