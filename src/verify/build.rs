//! From a stage's verification to an analysis run. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::run::{AnalysisRun, Argument, DryRun, MeasurementRetention, Metric, RunSpec};
use crate::model::{AnalysisTemplate, Metadata, Stage, Verification, null_is_default};

/// `spec` of an analysis template, as far as it takes part in a run. Templates of templates (`templates`) are not resolved, as in Kargo.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TemplateSpec {
    #[serde(deserialize_with = "null_is_default")]
    metrics: Vec<Metric>,
    #[serde(deserialize_with = "null_is_default")]
    args: Vec<Argument>,
    #[serde(deserialize_with = "null_is_default")]
    dry_run: Vec<DryRun>,
    #[serde(deserialize_with = "null_is_default")]
    measurement_retention: Vec<MeasurementRetention>,
}

/// Finds templates by name.
pub struct Templates<'a> {
    /// AnalysisTemplates of the project.
    pub project: &'a BTreeMap<String, AnalysisTemplate>,
    /// ClusterAnalysisTemplates.
    pub cluster: &'a BTreeMap<String, AnalysisTemplate>,
}

/// An argument that the stage gives, evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenArgument {
    /// Its name.
    pub name: String,
    /// Its value; None: written as the literal empty text, which counts as not given.
    pub value: Option<String>,
    /// What the value was made of, if secrets are in it: the value is not recorded then, but made anew when it is needed.
    pub template: Option<String>,
}

/// Which run it is.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// Its name.
    pub name: &'a str,
    /// Id of what the stage holds.
    pub collection: &'a str,
    /// The promotion that brought it there, if the run is its first verification.
    pub promotion: Option<&'a str>,
}

/// The run of a stage's verification of what it holds. Names what is missing or contradicts itself.
///
/// # Errors
/// A message; the verification then is an Error.
pub fn build(
    stage: &Stage,
    verification: &Verification,
    templates: &Templates<'_>,
    given: &[GivenArgument],
    identity: &Identity<'_>,
) -> Result<AnalysisRun, String> {
    let spec = flatten(verification, templates)?;
    let args = merge(spec.args, given)?;
    Ok(AnalysisRun {
        metadata: metadata(stage, verification, identity),
        spec: RunSpec { metrics: spec.metrics, args, dry_run: spec.dry_run, measurement_retention: spec.measurement_retention, terminate: false },
        status: super::run::RunStatus::default(),
    })
}

/// All templates as one: those of the project first, then those of the cluster, each in the order in which the stage lists them.
fn flatten(verification: &Verification, templates: &Templates<'_>) -> Result<TemplateSpec, String> {
    let mut whole = TemplateSpec::default();
    let is_cluster = |kind: &str| kind == "ClusterAnalysisTemplate";
    let (cluster, project): (Vec<_>, Vec<_>) = verification.analysis_templates.iter().partition(|reference| is_cluster(&reference.kind));
    for reference in project.into_iter().chain(cluster) {
        let (known, kind) =
            if is_cluster(&reference.kind) { (templates.cluster, "ClusterAnalysisTemplate") } else { (templates.project, "AnalysisTemplate") };
        let template = known.get(&reference.name).ok_or_else(|| format!("there is no {kind} `{}`", reference.name))?;
        let spec: TemplateSpec = match &template.spec {
            serde_json::Value::Null => TemplateSpec::default(),
            spec => serde_json::from_value(spec.clone()).map_err(|error| format!("{kind} `{}`: {error}", reference.name))?,
        };
        whole.metrics.extend(spec.metrics);
        whole.dry_run.extend(spec.dry_run);
        whole.measurement_retention.extend(spec.measurement_retention);
        for arg in spec.args {
            add_argument(&mut whole.args, arg)?;
        }
    }
    unique("metric", whole.metrics.iter().map(|metric| metric.name.as_str()))?;
    unique("dryRun rule", whole.dry_run.iter().map(|rule| rule.metric_name.as_str()))?;
    unique("measurementRetention rule", whole.measurement_retention.iter().map(|rule| rule.metric_name.as_str()))?;
    Ok(whole)
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(format!("two templates have a {what} for `{name}`"));
        }
    }
    Ok(())
}

/// An argument that several templates declare is one argument: defaults must not contradict each other, and the first of each kind counts.
fn add_argument(args: &mut Vec<Argument>, arg: Argument) -> Result<(), String> {
    let Some(known) = args.iter_mut().find(|known| known.name == arg.name) else {
        args.push(arg);
        return Ok(());
    };
    match (&known.value, &arg.value) {
        (Some(one), Some(other)) if one != other => return Err(format!("two templates have different defaults for the argument `{}`", arg.name)),
        (None, Some(_)) => known.value = arg.value,
        _ => {}
    }
    // Kargo drops a `valueFrom` that only a later template has; there is no other value then.
    if known.value.is_none() && known.value_from.is_none() {
        known.value_from = arg.value_from;
    }
    Ok(())
}

/// The templates' arguments with the stage's values. What no template declares is left out.
fn merge(mut args: Vec<Argument>, given: &[GivenArgument]) -> Result<Vec<Argument>, String> {
    for arg in &mut args {
        for given in given.iter().filter(|given| given.name == arg.name && given.value.is_some()) {
            arg.value.clone_from(&given.value);
            arg.template.clone_from(&given.template);
        }
        if arg.value.is_none() && arg.value_from.is_none() {
            return Err(format!("argument `{}` has no value: give one in `verification.args`, or a default in the template", arg.name));
        }
    }
    Ok(args)
}

/// A label holds at most 63 characters; a longer stage name is cut and told apart by a hash, and stands in full in an annotation.
const LABEL_LENGTH: usize = 63;

fn metadata(stage: &Stage, verification: &Verification, identity: &Identity<'_>) -> Metadata {
    let given = verification.analysis_run_metadata.clone().unwrap_or_default();
    let (mut labels, mut annotations) = (given.labels, given.annotations);
    let stage_name = &stage.metadata.name;
    labels.insert("kargo.akuity.io/freight-collection".into(), identity.collection.to_owned());
    labels.insert("kargo.akuity.io/stage".into(), stage_label(stage_name));
    if stage_name.len() > LABEL_LENGTH {
        annotations.insert("kargo.akuity.io/stage".into(), stage_name.clone());
    }
    if let Some(promotion) = identity.promotion {
        annotations.insert("kargo.akuity.io/promotion".into(), promotion.to_owned());
    }
    Metadata { name: identity.name.to_owned(), namespace: stage.metadata.namespace.clone(), labels, annotations, creation_timestamp: None }
}

fn stage_label(name: &str) -> String {
    use sha2::Digest as _;
    if name.len() <= LABEL_LENGTH {
        return name.to_owned();
    }
    let hash = hex::encode(sha2::Sha256::digest(name));
    format!("{}-{}", &name[..LABEL_LENGTH - 9], &hash[..8])
}
