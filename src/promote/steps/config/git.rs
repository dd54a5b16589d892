//! Configurations of the Git and pull request steps.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{StepConfig, Violation, violation, whole};

/// Author of commits.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitAuthor {
    /// Name.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Email address.
    #[schemars(email)]
    pub email: String,
    /// Key that signs the commits.
    #[serde(default)]
    pub signing_key: String,
}

/// `git-clone`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitCloneConfig {
    /// The repository.
    #[serde(rename = "repoURL")]
    #[schemars(length(min = 1))]
    pub repo_url: String,
    /// Whether the server's certificate is not verified.
    #[serde(default, rename = "insecureSkipTLSVerify")]
    pub insecure_skip_tls_verify: bool,
    /// Whether submodules are checked out too.
    #[serde(default)]
    pub recurse_submodules: bool,
    /// Whether contents are fetched only when needed. Always the case here.
    #[serde(default)]
    pub blobless: bool,
    /// Default author of commits.
    pub author: Option<GitAuthor>,
    /// What is checked out where.
    #[schemars(length(min = 1))]
    pub checkout: Vec<GitCheckout>,
}

/// One checkout.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitCheckout {
    /// The folder.
    #[schemars(length(min = 1))]
    pub path: String,
    /// Key in the output; the path by default.
    #[serde(default, rename = "as")]
    pub alias: String,
    /// Branch. At most one of branch, commit and tag; none: the default branch.
    #[serde(default)]
    pub branch: String,
    /// Commit.
    #[serde(default)]
    pub commit: String,
    /// Tag.
    #[serde(default)]
    pub tag: String,
    /// Whether a missing branch is created.
    #[serde(default)]
    pub create: bool,
    /// Folders to check out instead of everything.
    #[schemars(length(min = 1), inner(length(min = 1)))]
    pub sparse: Option<Vec<String>>,
}

impl GitCheckout {
    /// Key in the output.
    pub fn key(&self) -> &str {
        if self.alias.is_empty() { &self.path } else { &self.alias }
    }
}

impl StepConfig for GitCloneConfig {
    const KIND: &'static str = "git-clone";

    fn further(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut aliases = HashSet::new();
        for (index, checkout) in self.checkout.iter().enumerate() {
            if [&checkout.branch, &checkout.commit, &checkout.tag].into_iter().filter(|one| !one.is_empty()).count() > 1 {
                violations.push(violation(format!("checkout[{index}]"), "only one of `branch`, `commit` and `tag` may be set"));
            }
            // Measured: only explicit aliases are compared; the same path twice is an error of the step, not of its configuration.
            if !checkout.alias.is_empty() && !aliases.insert(checkout.alias.as_str()) {
                violations.push(violation(format!("checkout[{index}].as"), format!("duplicate checkout alias `{}`", checkout.alias)));
            }
        }
        violations
    }
}

/// `git-clear`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitClearConfig {
    /// A checkout, or a folder in one.
    #[schemars(length(min = 1))]
    pub path: String,
}

impl StepConfig for GitClearConfig {
    const KIND: &'static str = "git-clear";
}

/// `git-commit`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitCommitConfig {
    /// A checkout, or a folder in one.
    #[schemars(length(min = 1))]
    pub path: String,
    /// The commit's message.
    #[schemars(length(min = 1))]
    pub message: String,
    /// Author of this commit.
    pub author: Option<GitAuthor>,
}

impl StepConfig for GitCommitConfig {
    const KIND: &'static str = "git-commit";
}

/// `git-tag`. Unlike in other kinds unknown fields are accepted, as in Kargo.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitTagConfig {
    /// A checkout, or a folder in one.
    #[schemars(length(min = 1))]
    pub path: String,
    /// The tag.
    #[schemars(length(min = 1))]
    pub tag: String,
    /// The tag's message.
    #[schemars(length(min = 1))]
    pub message: String,
    /// Whether an existing tag is moved.
    #[serde(default)]
    pub force: bool,
    /// What else was written.
    #[serde(flatten)]
    pub unknown: serde_json::Map<String, serde_json::Value>,
}

impl StepConfig for GitTagConfig {
    const KIND: &'static str = "git-tag";

    fn further(&self) -> Vec<Violation> {
        // Go's decoder ignores letter case, so in Kargo `Force` works; a field that only nearly is one is a mistake.
        let known = ["path", "tag", "message", "force"];
        let near = |name: &String| known.iter().find(|known| known.eq_ignore_ascii_case(name)).map(|known| (name.clone(), *known));
        self.unknown.keys().filter_map(near).map(|(name, known)| violation("", format!("unknown field `{name}`; did you mean `{known}`?"))).collect()
    }
}

/// Forges a step can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum GitProvider {
    /// Azure DevOps.
    Azure,
    /// Bitbucket.
    Bitbucket,
    /// Gitea.
    Gitea,
    /// GitHub.
    Github,
    /// GitLab.
    Gitlab,
}

impl From<GitProvider> for crate::forge::Provider {
    fn from(provider: GitProvider) -> Self {
        match provider {
            GitProvider::Azure => Self::Azure,
            GitProvider::Bitbucket => Self::Bitbucket,
            GitProvider::Gitea => Self::Gitea,
            GitProvider::Github => Self::GitHub,
            GitProvider::Gitlab => Self::GitLab,
        }
    }
}

/// `git-push`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitPushConfig {
    /// A checkout.
    #[schemars(length(min = 1))]
    pub path: String,
    /// Branch to push to; the current one by default.
    #[serde(default)]
    pub target_branch: String,
    /// Whether to push to a branch of the promotion's own.
    #[serde(default)]
    pub generate_target_branch: bool,
    /// Tag to push instead of a branch.
    #[serde(default)]
    pub tag: String,
    /// Whether to overwrite what is there.
    #[serde(default)]
    pub force: bool,
    /// How often to try while others push to the same branch.
    #[serde(default = "ten", deserialize_with = "whole")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub max_attempts: u32,
    /// Kind of the forge, for the commit's address.
    pub provider: Option<GitProvider>,
}

fn ten() -> u32 {
    10
}

/// `targetBranch`, `generateTargetBranch` and `tag` exclude each other.
fn one_target(target_branch: &str, generate: bool, tag: &str) -> Vec<Violation> {
    let set: Vec<&str> = [("`targetBranch`", !target_branch.is_empty()), ("`generateTargetBranch`", generate), ("`tag`", !tag.is_empty())]
        .into_iter()
        .filter_map(|(name, set)| set.then_some(name))
        .collect();
    if set.len() > 1 { vec![violation("", format!("only one of {} may be set", set.join(" and ")))] } else { Vec::new() }
}

impl StepConfig for GitPushConfig {
    const KIND: &'static str = "git-push";

    fn further(&self) -> Vec<Violation> {
        let mut violations = one_target(&self.target_branch, self.generate_target_branch, &self.tag);
        if self.force && !self.tag.is_empty() {
            violations.push(violation("force", "cannot be set together with `tag`"));
        }
        violations
    }
}

/// `github-push`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GithubPushConfig {
    /// A checkout.
    #[schemars(length(min = 1))]
    pub path: String,
    /// Branch to push to; the current one by default.
    #[serde(default)]
    pub target_branch: String,
    /// Whether to push to a branch of the promotion's own.
    #[serde(default)]
    pub generate_target_branch: bool,
    /// Whether to overwrite what is there.
    #[serde(default)]
    pub force: bool,
    /// How often to try while others push to the same branch.
    #[serde(default = "ten", deserialize_with = "whole")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub max_attempts: u32,
    /// Whether the server's certificate is not verified.
    #[serde(default, rename = "insecureSkipTLSVerify")]
    pub insecure_skip_tls_verify: bool,
}

impl StepConfig for GithubPushConfig {
    const KIND: &'static str = "github-push";

    fn further(&self) -> Vec<Violation> {
        one_target(&self.target_branch, self.generate_target_branch, "")
    }
}

/// `git-open-pr`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitOpenPrConfig {
    /// The repository.
    #[serde(rename = "repoURL")]
    #[schemars(length(min = 1), extend("format" = "uri"))]
    pub repo_url: String,
    /// Kind of the forge, unless the address tells.
    pub provider: Option<GitProvider>,
    /// Whether the server's certificate is not verified.
    #[serde(default, rename = "insecureSkipTLSVerify")]
    pub insecure_skip_tls_verify: bool,
    /// Branch with the change.
    #[schemars(length(min = 1))]
    pub source_branch: String,
    /// Branch it should go to.
    #[schemars(length(min = 1))]
    pub target_branch: String,
    /// Accepted and ignored, as in Kargo.
    #[serde(default)]
    pub create_target_branch: bool,
    /// Title; the first line of the head commit's message by default.
    #[schemars(length(min = 1))]
    pub title: Option<String>,
    /// Description; the head commit's message by default.
    #[schemars(length(min = 1))]
    pub description: Option<String>,
    /// Labels.
    #[serde(default)]
    #[schemars(inner(length(min = 1)))]
    pub labels: Vec<String>,
}

impl StepConfig for GitOpenPrConfig {
    const KIND: &'static str = "git-open-pr";
}

/// `git-wait-for-pr`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitWaitForPrConfig {
    /// The repository.
    #[serde(rename = "repoURL")]
    #[schemars(length(min = 1), extend("format" = "uri"))]
    pub repo_url: String,
    /// Kind of the forge, unless the address tells.
    pub provider: Option<GitProvider>,
    /// Whether the server's certificate is not verified.
    #[serde(default, rename = "insecureSkipTLSVerify")]
    pub insecure_skip_tls_verify: bool,
    /// Number of the pull request.
    #[serde(deserialize_with = "whole")]
    #[schemars(range(min = 1))]
    pub pr_number: u64,
    /// How often to look, `30s` by default.
    #[schemars(with = "Option<String>", regex(pattern = r"(?:\d+(ns|us|µs|ms|s|m|h))+"), extend("format" = "go-duration"))]
    pub poll_interval: Option<crate::model::GoDuration>,
}

impl StepConfig for GitWaitForPrConfig {
    const KIND: &'static str = "git-wait-for-pr";
}

/// `git-merge-pr`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitMergePrConfig {
    /// The repository.
    #[serde(rename = "repoURL")]
    #[schemars(length(min = 1), extend("format" = "uri"))]
    pub repo_url: String,
    /// Kind of the forge, unless the address tells.
    pub provider: Option<GitProvider>,
    /// Whether the server's certificate is not verified.
    #[serde(default, rename = "insecureSkipTLSVerify")]
    pub insecure_skip_tls_verify: bool,
    /// Number of the pull request.
    #[serde(deserialize_with = "whole")]
    #[schemars(range(min = 1))]
    pub pr_number: u64,
    /// Whether to wait until it can be merged.
    #[serde(default)]
    pub wait: bool,
    /// How often to try, `10s` by default.
    #[schemars(with = "Option<String>", regex(pattern = r"(?:\d+(ns|us|µs|ms|s|m|h))+"), extend("format" = "go-duration"))]
    pub poll_interval: Option<crate::model::GoDuration>,
    /// How to merge; the forge's word for it.
    #[schemars(length(min = 1))]
    pub merge_method: Option<String>,
}

impl StepConfig for GitMergePrConfig {
    const KIND: &'static str = "git-merge-pr";
}
