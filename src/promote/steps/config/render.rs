//! Configurations of the Kustomize and Helm steps.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{StepConfig, Violation, violation};

/// `kustomize-set-image`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KustomizeSetImageConfig {
    /// Folder with the kustomization.
    #[schemars(length(min = 1))]
    pub path: String,
    /// What to set; nothing: every image of the freight.
    #[serde(default)]
    pub images: Vec<KustomizeImage>,
}

/// An image to set.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KustomizeImage {
    /// The image, and the name of its entry unless `name` says otherwise.
    #[schemars(length(min = 1))]
    pub image: String,
    /// Name of the entry in the kustomization.
    #[serde(default)]
    pub name: String,
    /// Replacement of the image's name.
    #[serde(default)]
    pub new_name: String,
    /// Tag. Either this or `digest`.
    #[serde(default)]
    pub tag: String,
    /// Digest.
    #[serde(default)]
    pub digest: String,
}

impl StepConfig for KustomizeSetImageConfig {
    const KIND: &'static str = "kustomize-set-image";

    fn further(&self) -> Vec<Violation> {
        let wrong = |(index, image): (usize, &KustomizeImage)| match (image.tag.is_empty(), image.digest.is_empty()) {
            (true, true) => Some(violation(format!("images[{index}]"), "one of `tag` and `digest` is required")),
            (false, false) => Some(violation(format!("images[{index}]"), "only one of `tag` and `digest` may be set")),
            _ => None,
        };
        self.images.iter().enumerate().filter_map(wrong).collect()
    }
}

/// `kustomize-build`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KustomizeBuildConfig {
    /// Folder with the kustomization.
    #[schemars(length(min = 1))]
    pub path: String,
    /// A file, if it ends in `.yaml` or `.yml`, else a folder with a file for each object.
    #[schemars(length(min = 1))]
    pub out_path: String,
    /// How files in a folder are named.
    #[serde(default)]
    pub output_format: KustomizeOutputFormat,
    /// Settings of plugins.
    pub plugin: Option<KustomizePlugin>,
}

/// How `kustomize-build` names files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum KustomizeOutputFormat {
    /// `[<namespace>-]<kind>-<name>.yaml`.
    #[default]
    Kargo,
    /// As `kustomize build -o` names them.
    Kustomize,
}

/// Plugins of `kustomize-build`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KustomizePlugin {
    /// Inflation of Helm charts.
    pub helm: Option<KustomizeHelm>,
}

/// Settings for Helm charts of a kustomization.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KustomizeHelm {
    /// API versions the charts may find.
    #[serde(default)]
    #[schemars(inner(length(min = 1)))]
    pub api_versions: Vec<String>,
    /// Kubernetes version the charts may find.
    #[serde(default)]
    pub kube_version: String,
}

impl StepConfig for KustomizeBuildConfig {
    const KIND: &'static str = "kustomize-build";
}

/// `helm-template`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HelmTemplateConfig {
    /// Folder of the chart, or a packaged chart.
    #[schemars(length(min = 1))]
    pub path: String,
    /// A file, if it ends in `.yaml` or `.yml`, else a folder.
    #[schemars(length(min = 1))]
    pub out_path: String,
    /// How files in a folder are arranged.
    #[serde(default)]
    pub out_layout: HelmOutLayout,
    /// Name of the release.
    #[schemars(length(min = 1))]
    pub release_name: String,
    /// Whether the folder is named after the release instead of the chart.
    #[serde(default)]
    pub use_release_name: bool,
    /// Namespace of the release; the project's name by default.
    pub namespace: Option<String>,
    /// Files with values, later ones override earlier ones.
    #[serde(default)]
    #[schemars(inner(length(min = 1)))]
    pub values_files: Vec<String>,
    /// Whether a values file that does not exist is left out rather than an error.
    #[serde(default)]
    pub ignore_missing_value_files: bool,
    /// Single values.
    #[serde(default)]
    pub set_values: Vec<HelmSetValue>,
    /// Whether the chart's dependencies are built first.
    #[serde(default)]
    pub build_dependencies: bool,
    /// Whether custom resource definitions are part of the result.
    #[serde(default, rename = "includeCRDs")]
    pub include_crds: bool,
    /// Whether hooks are left out.
    #[serde(default)]
    pub disable_hooks: bool,
    /// Whether test hooks are left out.
    #[serde(default)]
    pub skip_tests: bool,
    /// Kubernetes version the chart may find.
    #[serde(default)]
    pub kube_version: String,
    /// API versions the chart may find.
    #[serde(default)]
    #[schemars(inner(length(min = 1)))]
    pub api_versions: Vec<String>,
}

/// A single value of `helm-template`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HelmSetValue {
    /// Its key.
    #[schemars(length(min = 1))]
    pub key: String,
    /// Its value, text.
    pub value: String,
    /// Whether the text is taken as it is.
    #[serde(default)]
    pub literal: bool,
}

/// How `helm-template` arranges files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HelmOutLayout {
    /// A folder per chart, as `helm template --output-dir`.
    #[default]
    Helm,
    /// One file per object.
    Flat,
}

impl StepConfig for HelmTemplateConfig {
    const KIND: &'static str = "helm-template";
}

/// `helm-update-chart`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HelmUpdateChartConfig {
    /// Folder of the chart.
    #[schemars(length(min = 1))]
    pub path: String,
    /// Dependencies to set before they are resolved.
    #[schemars(length(min = 1))]
    pub charts: Option<Vec<HelmChartUpdate>>,
}

/// A dependency to set.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HelmChartUpdate {
    /// Its repository, as in `Chart.yaml`.
    #[schemars(length(min = 1))]
    pub repository: String,
    /// Its name, as in `Chart.yaml`.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Its new version.
    #[schemars(length(min = 1))]
    pub version: String,
}

impl StepConfig for HelmUpdateChartConfig {
    const KIND: &'static str = "helm-update-chart";
}
