//! The step kinds, one file each, and the registry of what can be run.

pub mod compose_output;
pub mod config;
pub mod copy;
pub mod delete;
pub mod fail;
pub mod file_write;
mod files;
mod git_clear;
mod git_clone;
mod git_commit;
mod git_merge_pr;
mod git_open_pr;
mod git_push;
mod git_tag;
mod git_wait_for_pr;
mod helm;
mod helm_template;
mod helm_update_chart;
pub mod json_parse;
pub mod json_update;
mod kustomize_build;
mod kustomize_set_image;
mod parse;
mod render;
pub mod set_freight_alias;
pub mod set_metadata;
mod structured;
pub mod tar;
pub mod template;
pub mod toml_parse;
pub mod toml_update;
pub mod untar;
pub mod yaml_merge;
pub mod yaml_parse;
pub mod yaml_update;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use self::config::Checker;
use super::step::{Step, StepResult, Violation};

/// Every built-in step kind, sorted by name.
pub fn all() -> Vec<Box<dyn Step>> {
    vec![
        // one line per kind, in alphabetical order
        Box::new(compose_output::ComposeOutput),
        Box::new(copy::Copy),
        Box::new(delete::Delete),
        Box::new(fail::Fail),
        Box::new(file_write::FileWrite),
        Box::new(git_clear::GitClear),
        Box::new(git_clone::GitClone),
        Box::new(git_commit::GitCommit),
        Box::new(git_merge_pr::GitMergePr),
        Box::new(git_open_pr::GitOpenPr),
        Box::new(git_push::GitPush),
        Box::new(git_tag::GitTag),
        Box::new(git_wait_for_pr::GitWaitForPr),
        Box::new(helm_template::HelmTemplate),
        Box::new(helm_update_chart::HelmUpdateChart),
        Box::new(json_parse::JsonParse),
        Box::new(json_update::JsonUpdate),
        Box::new(kustomize_build::KustomizeBuild),
        Box::new(kustomize_set_image::KustomizeSetImage),
        Box::new(set_freight_alias::SetFreightAlias),
        Box::new(set_metadata::SetMetadata),
        Box::new(tar::Tar),
        Box::new(template::Template),
        Box::new(toml_parse::TomlParse),
        Box::new(toml_update::TomlUpdate),
        Box::new(untar::Untar),
        Box::new(yaml_merge::YamlMerge),
        Box::new(yaml_parse::YamlParse),
        Box::new(yaml_update::YamlUpdate),
    ]
}

/// The result of a Git step whose path lies in no checkout.
fn not_a_checkout(path: &str) -> StepResult {
    StepResult::errored(format!("`{path}` is not in a work tree that `git-clone` made"))
}

/// The kinds that can be run, by name.
#[derive(Clone, Default)]
pub struct Registry {
    kinds: BTreeMap<&'static str, Arc<Registered>>,
}

struct Registered {
    step: Box<dyn Step>,
    /// Compiled once, for kinds the catalogue of configurations does not know.
    checker: OnceLock<Checker>,
}

impl Registry {
    /// All built-in kinds.
    pub fn built_in() -> Self {
        all().into_iter().fold(Self::default(), Self::with)
    }

    /// Adds a kind; one of the same name is replaced.
    #[must_use]
    pub fn with(mut self, step: Box<dyn Step>) -> Self {
        self.kinds.insert(step.kind(), Arc::new(Registered { step, checker: OnceLock::new() }));
        self
    }

    /// The names of all kinds, sorted.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().copied()
    }

    /// The kind of this name.
    pub fn get(&self, kind: &str) -> Option<&dyn Step> {
        self.kinds.get(kind).map(|registered| registered.step.as_ref())
    }

    /// Checks an evaluated configuration of a kind; empty: valid, or the kind is unknown.
    pub fn check(&self, kind: &str, config: &Value) -> Vec<Violation> {
        if let Some(violations) = config::check(kind, config) {
            return violations;
        }
        let Some(registered) = self.kinds.get(kind) else { return Vec::new() };
        let checker =
            registered.checker.get_or_init(|| Checker::new(&registered.step.schema()).expect("a kind's schema is made from a type, so it compiles"));
        let violations = checker.check(config);
        if violations.is_empty() { registered.step.check_further(config) } else { violations }
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.kinds.keys()).finish()
    }
}
