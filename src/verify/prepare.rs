//! From a run's spec to metrics that can be measured: arguments in place, everything validated. Pure.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::providers;
use super::run::{Argument, Metric, RunSpec, number};
use super::substitute::{self, Secrets};
use crate::model::GoDuration;

/// A run's metrics, ready to be measured.
#[derive(Debug)]
pub struct Prepared {
    /// Metrics with arguments in place.
    pub metrics: Vec<Metric>,
    /// Names of metrics whose outcome does not count.
    pub dry_run: BTreeSet<String>,
    /// Measurements kept, by metric, where it is said.
    pub retention: BTreeMap<String, usize>,
    /// Values of secrets, longest first, to mask them.
    pub hidden: Vec<String>,
}

impl Prepared {
    /// A text without the values of secrets.
    pub fn mask(&self, text: &str) -> String {
        self.hidden.iter().fold(text.to_owned(), |text, value| text.replace(value.as_str(), "*****"))
    }

    /// Whether a metric's outcome does not count.
    pub fn is_dry(&self, metric: &str) -> bool {
        self.dry_run.contains(metric)
    }
}

/// Puts the arguments in place and validates.
///
/// # Errors
/// The message of a run that cannot be measured.
pub fn prepare(spec: &RunSpec, secrets: &dyn Secrets) -> Result<Prepared, String> {
    let unresolved = |message: String| format!("Unable to resolve metric arguments: {message}");
    let invalid = |message: String| format!("Analysis spec invalid: {message}");
    let placeholders = substitute::values(&spec.args, None).map_err(unresolved)?;
    let judged: Vec<Metric> =
        spec.metrics.iter().map(|metric| substitute::metric(metric, &placeholders)).collect::<Result<_, _>>().map_err(unresolved)?;
    validate(&judged).map_err(invalid)?;
    let mut dry_run = BTreeSet::new();
    for rule in &spec.dry_run {
        dry_run.extend(matching(&rule.metric_name, &judged, "dryRun").map_err(invalid)?);
    }
    let mut retention = BTreeMap::new();
    for rule in &spec.measurement_retention {
        let limit = usize::try_from(rule.limit).ok().filter(|limit| *limit > 0).unwrap_or(10);
        for name in matching(&rule.metric_name, &judged, "measurementRetention").map_err(invalid)? {
            retention.insert(name, limit);
        }
    }
    let values = substitute::values(&spec.args, Some(secrets)).map_err(unresolved)?;
    let metrics: Vec<Metric> = spec.metrics.iter().map(|metric| substitute::metric(metric, &values)).collect::<Result<_, _>>().map_err(unresolved)?;
    for metric in &metrics {
        providers::check(metric).map_err(|message| invalid(format!("metric `{}`: {message}", metric.name)))?;
    }
    let is_secret = |arg: &&Argument| arg.template.is_some() || (arg.value.is_none() && arg.value_from.is_some());
    let mut hidden: Vec<String> = spec.args.iter().filter(is_secret).filter_map(|arg| values.get(&arg.name).cloned()).collect();
    hidden.retain(|value| !value.is_empty());
    hidden.sort_by_key(|value| std::cmp::Reverse(value.len()));
    Ok(Prepared { metrics, dry_run, retention, hidden })
}

/// Names that a rule means. `*` alone means all, as the field's documentation says.
fn matching(pattern: &str, metrics: &[Metric], field: &str) -> Result<Vec<String>, String> {
    let all = pattern == "*";
    let compiled = Regex::new(if all { "" } else { pattern }).map_err(|_| format!("{field}: `{pattern}` is not a regular expression"))?;
    let names: Vec<String> = metrics.iter().map(|metric| metric.name.clone()).filter(|name| compiled.is_match(name)).collect();
    if names.is_empty() { Err(format!("{field}: no metric matches `{pattern}`")) } else { Ok(names) }
}

/// Refuses metrics that could never be measured.
///
/// # Errors
/// What is wrong, with the place.
pub fn validate(metrics: &[Metric]) -> Result<(), String> {
    if metrics.is_empty() {
        return Err("no metrics specified".into());
    }
    let mut names = BTreeSet::new();
    for (index, metric) in metrics.iter().enumerate() {
        let at = |message: String| format!("metrics[{index}]: {message}");
        if !names.insert(metric.name.as_str()) {
            return Err(at(format!("duplicate name `{}`", metric.name)));
        }
        validate_one(metric).map_err(at)?;
    }
    Ok(())
}

fn validate_one(metric: &Metric) -> Result<(), String> {
    let count = number(metric.count.as_ref());
    let duration = |text: &str, what: &str| match text.parse::<GoDuration>() {
        _ if text.is_empty() => Ok(()),
        Ok(_) => Ok(()),
        Err(message) => Err(format!("invalid {what}: {message}")),
    };
    if count > 1 && metric.interval.is_empty() {
        return Err("interval must be specified when count > 1".into());
    }
    duration(&metric.interval, "interval")?;
    duration(&metric.initial_delay, "initialDelay")?;
    let (failures, inconclusive) = (metric.failures_tolerated(), metric.inconclusive_tolerated());
    let successes = metric.successes_wanted();
    if count > 0 && failures.max(0).saturating_add(successes) > count {
        return Err("count must be at least failureLimit + consecutiveSuccessLimit".into());
    }
    if count > 0 && count < inconclusive {
        return Err("count must be at least inconclusiveLimit".into());
    }
    if failures < -1 {
        return Err("failureLimit must be at least -1; -1 means no limit".into());
    }
    if inconclusive < 0 {
        return Err("inconclusiveLimit must be at least 0".into());
    }
    if metric.errors_tolerated() < 0 {
        return Err("consecutiveErrorLimit must be at least 0".into());
    }
    if successes < 0 {
        return Err("consecutiveSuccessLimit must be at least 0".into());
    }
    if failures == -1 && successes == 0 {
        return Err("consecutiveSuccessLimit must be set where failureLimit is -1".into());
    }
    let plugins = metric.provider.get("plugin").and_then(serde_json::Value::as_object).map_or(0, serde_json::Map::len);
    match metric.provider.len() + plugins.saturating_sub(1) {
        0 => Err("no provider specified".into()),
        1 => Ok(()),
        _ => Err("multiple providers specified".into()),
    }
}
