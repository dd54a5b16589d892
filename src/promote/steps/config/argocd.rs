//! Configurations of the Argo CD steps.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{StepConfig, Violation, violation};

/// `argocd-update`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArgocdUpdateConfig {
    /// Applications to update.
    #[schemars(length(min = 1))]
    pub apps: Vec<ArgocdApp>,
}

/// An application, or several by their labels.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArgocdApp {
    /// Name. Either this or `selector`.
    #[schemars(length(min = 1))]
    pub name: Option<String>,
    /// Labels.
    pub selector: Option<ArgocdSelector>,
    /// Namespace of the application.
    #[schemars(length(min = 1))]
    pub namespace: Option<String>,
    /// Sources to update.
    #[schemars(length(min = 1))]
    pub sources: Option<Vec<ArgocdSource>>,
}

/// Selects applications by their labels.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArgocdSelector {
    /// Labels and their values.
    #[serde(default)]
    pub match_labels: BTreeMap<String, String>,
    /// Conditions on labels.
    #[serde(default)]
    pub match_expressions: Vec<ArgocdSelectorExpression>,
}

/// A condition on a label.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArgocdSelectorExpression {
    /// The label.
    #[schemars(length(min = 1))]
    pub key: String,
    /// How its value is compared.
    pub operator: ArgocdSelectorOperator,
    /// With what.
    #[serde(default)]
    pub values: Vec<String>,
}

/// Comparisons of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ArgocdSelectorOperator {
    /// One of the values.
    In,
    /// None of the values.
    NotIn,
    /// There.
    Exists,
    /// Not there.
    DoesNotExist,
}

/// A source of an application.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArgocdSource {
    /// Its repository.
    #[serde(rename = "repoURL")]
    #[schemars(length(min = 1))]
    pub repo_url: String,
    /// Its chart.
    #[schemars(length(min = 1))]
    pub chart: Option<String>,
    /// The revision it should be at.
    #[schemars(length(min = 1))]
    pub desired_revision: Option<String>,
    /// Whether the revision is written into `targetRevision`.
    #[serde(default)]
    pub update_target_revision: bool,
    /// Changes of Kustomize settings.
    pub kustomize: Option<ArgocdKustomize>,
    /// Changes of Helm parameters.
    pub helm: Option<ArgocdHelm>,
}

/// Kustomize settings of a source.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArgocdKustomize {
    /// Images; they replace the source's list.
    #[schemars(length(min = 1))]
    pub images: Vec<ArgocdKustomizeImage>,
}

/// An image of a source.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArgocdKustomizeImage {
    /// The image.
    #[serde(rename = "repoURL")]
    #[schemars(length(min = 1))]
    pub repo_url: String,
    /// Tag. At most one of `tag` and `digest`.
    #[serde(default)]
    pub tag: String,
    /// Digest.
    #[serde(default)]
    pub digest: String,
    /// Replacement of its name.
    #[schemars(length(min = 1))]
    pub new_name: Option<String>,
}

/// Helm settings of a source.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArgocdHelm {
    /// Parameters to set.
    #[schemars(length(min = 1))]
    pub images: Vec<ArgocdHelmImage>,
}

/// A Helm parameter.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArgocdHelmImage {
    /// Its name.
    #[schemars(length(min = 1))]
    pub key: String,
    /// Its value, text.
    pub value: String,
}

fn one_choice(index: usize, name: Option<&str>, selector: Option<&ArgocdSelector>) -> Vec<Violation> {
    match (name, selector) {
        (None, None) => vec![violation(format!("apps[{index}]"), "one of `name` and `selector` is required")],
        (Some(_), Some(_)) => vec![violation(format!("apps[{index}]"), "only one of `name` and `selector` may be set")],
        (None, Some(selector)) if selector.match_labels.is_empty() && selector.match_expressions.is_empty() => {
            vec![violation(format!("apps[{index}].selector"), "one of `matchLabels` and `matchExpressions` is required")]
        }
        _ => Vec::new(),
    }
}

impl StepConfig for ArgocdUpdateConfig {
    const KIND: &'static str = "argocd-update";

    fn further(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        for (index, app) in self.apps.iter().enumerate() {
            violations.extend(one_choice(index, app.name.as_deref(), app.selector.as_ref()));
            for (number, source) in app.sources.iter().flatten().enumerate() {
                let path = format!("apps[{index}].sources[{number}]");
                if source.update_target_revision && source.desired_revision.is_none() {
                    violations.push(violation(path.clone(), "`updateTargetRevision` needs a `desiredRevision`"));
                }
                for (image, settings) in source.kustomize.iter().flat_map(|kustomize| &kustomize.images).enumerate() {
                    if !settings.tag.is_empty() && !settings.digest.is_empty() {
                        violations.push(violation(format!("{path}.kustomize.images[{image}]"), "only one of `tag` and `digest` may be set"));
                    }
                }
            }
        }
        violations
    }
}

/// `argocd-wait`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArgocdWaitConfig {
    /// Applications to wait for.
    #[schemars(length(min = 1))]
    pub apps: Vec<ArgocdWaitApp>,
}

/// An application to wait for, or several by their labels.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArgocdWaitApp {
    /// Name. Either this or `selector`.
    #[schemars(length(min = 1))]
    pub name: Option<String>,
    /// Labels.
    pub selector: Option<ArgocdSelector>,
    /// Namespace of the application.
    #[schemars(length(min = 1))]
    pub namespace: Option<String>,
    /// What to wait for: health, sync and operation by default.
    #[schemars(length(min = 1))]
    pub wait_for: Option<BTreeSet<ArgocdCondition>>,
}

/// What `argocd-wait` can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ArgocdCondition {
    /// Healthy.
    Health,
    /// Synced.
    Sync,
    /// Its operation has succeeded.
    Operation,
    /// Suspended.
    Suspended,
    /// Degraded.
    Degraded,
}

impl StepConfig for ArgocdWaitConfig {
    const KIND: &'static str = "argocd-wait";

    fn further(&self) -> Vec<Violation> {
        self.apps.iter().enumerate().flat_map(|(index, app)| one_choice(index, app.name.as_deref(), app.selector.as_ref())).collect()
    }
}
