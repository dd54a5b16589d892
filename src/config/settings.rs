//! `consign.yaml`: settings of the runner. Every key is optional; the doc comments are the manual and the schema's descriptions.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Secret;
use crate::model::GoDuration;

/// Settings of the runner, read from `consign.yaml` at the root of the config repository.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// Folders of the definitions.
    pub definitions: Vec<String>,
    /// The config branch; empty: the remote's HEAD.
    pub branch: String,
    /// Where everything is remembered.
    pub ledger: LedgerSettings,
    /// How commits are made and git is run.
    pub git: GitSettings,
    /// Credentials; the first match wins.
    pub credentials: Vec<Credential>,
    /// Values for `secret('name').key`, by secret and key. The environment variable `CONSIGN_SECRET_<NAME>_<KEY>` needs no entry.
    pub secrets: BTreeMap<String, BTreeMap<String, Secret>>,
    /// What answers for pull requests, by address; the first match wins. Default: by host.
    pub forges: Vec<ForgeRule>,
    /// Mirrors of registries and chart repositories.
    pub registries: Vec<RegistryRule>,
    /// External tools: name on PATH, or path.
    pub tools: ToolSettings,
    /// Whether files of a checkout come into being when they are read, or all at once.
    pub workspace: WorkspaceMode,
    /// What `argocd-update` and `argocd-wait` mean.
    pub argocd: ArgoCdSettings,
    /// Order of waiting freight, for stages whose task does not say.
    pub queue: QueueMode,
    /// What to do when somebody else changed what a stage wrote.
    pub on_foreign_change: ForeignChangeMode,
    /// What projects may write; without entries: anything there are credentials for.
    pub writes: Vec<WriteRule>,
    /// How verifications run.
    pub verification: VerificationSettings,
    /// How long something may fail before the desk says so.
    #[schemars(with = "String")]
    pub alert_after: GoDuration,
    /// Most child processes and calls at once.
    #[schemars(range(min = 1, max = 1024))]
    pub parallelism: usize,
    /// How much is kept.
    pub retention: RetentionSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            definitions: vec![".consign".into()],
            branch: String::new(),
            ledger: LedgerSettings::default(),
            git: GitSettings::default(),
            credentials: Vec::new(),
            secrets: BTreeMap::new(),
            forges: Vec::new(),
            registries: Vec::new(),
            tools: ToolSettings::default(),
            workspace: WorkspaceMode::default(),
            argocd: ArgoCdSettings::default(),
            queue: QueueMode::default(),
            on_foreign_change: ForeignChangeMode::default(),
            writes: Vec::new(),
            verification: VerificationSettings::default(),
            alert_after: GoDuration::from_secs(3600),
            parallelism: 8,
            retention: RetentionSettings::default(),
        }
    }
}

/// Where everything is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LedgerSettings {
    /// Its repository; empty: the config repository.
    pub repository: String,
    /// Its branch, or a full ref name.
    pub branch: String,
    /// The root commit it must have; empty: not pinned.
    pub root: String,
    /// Public keys (SSH form) of which one must have signed every commit; empty: not asked for.
    pub trusted_keys: Vec<String>,
}

impl Default for LedgerSettings {
    fn default() -> Self {
        Self { repository: String::new(), branch: "consign/state".into(), root: String::new(), trusted_keys: Vec::new() }
    }
}

/// How commits are made and git is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GitSettings {
    /// Who commits.
    pub author: Author,
    /// Signs commits; absent: unsigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing: Option<Signing>,
    /// Settings passed to every git command, such as `url.<base>.insteadOf`.
    pub config: BTreeMap<String, String>,
    /// Most refs in one push.
    #[schemars(range(min = 1))]
    pub refs_per_push: usize,
}

impl Default for GitSettings {
    fn default() -> Self {
        Self { author: Author::default(), signing: None, config: BTreeMap::new(), refs_per_push: 500 }
    }
}

/// A name and an e-mail address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Author {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}

impl Default for Author {
    fn default() -> Self {
        Self { name: "consign".into(), email: "consign@users.noreply.github.com".into() }
    }
}

/// How commits are signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signing {
    /// Kind of the key.
    #[serde(default)]
    pub format: SigningFormat,
    /// The private key, or the path of its file.
    pub key: Secret,
}

/// Kinds of signing key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SigningFormat {
    /// An SSH key.
    #[default]
    Ssh,
    /// A GPG key.
    Gpg,
}

/// Credentials for some addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credential {
    /// What they are for.
    #[serde(rename = "type")]
    pub kind: CredentialKind,
    /// The address, or a glob of addresses.
    pub url: String,
    /// User name; whatever the server wants with a token.
    #[serde(default)]
    pub username: Secret,
    /// Password or token.
    #[serde(default)]
    pub password: Secret,
}

/// What credentials are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CredentialKind {
    /// Git remotes, and pull requests there.
    Git,
    /// Image registries.
    Image,
    /// Chart repositories, OCI ones included.
    Helm,
}

/// What answers for pull requests of some addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForgeRule {
    /// The address, or a glob of addresses.
    pub url: String,
    /// What is there.
    pub kind: ForgeKind,
    /// Address of its API; empty: the usual one of the host.
    #[serde(default)]
    pub api: String,
}

/// Kinds of forge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ForgeKind {
    /// None: a pull request is a branch that waits to be merged.
    Plain,
    /// GitHub or GitHub Enterprise.
    Github,
}

/// A mirror of a registry (`host`) or of a chart repository (`url`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RegistryRule {
    /// Host of a registry, as written in definitions.
    pub host: String,
    /// Beginning of the address of a chart repository.
    pub url: String,
    /// Where to go instead.
    pub mirror: String,
}

/// External tools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ToolSettings {
    /// kustomize.
    pub kustomize: String,
    /// Helm.
    pub helm: String,
    /// OpenTofu.
    pub tofu: String,
}

impl Default for ToolSettings {
    fn default() -> Self {
        Self { kustomize: "kustomize".into(), helm: "helm".into(), tofu: "tofu".into() }
    }
}

/// How checkouts get their files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkspaceMode {
    /// When they are read.
    #[default]
    Lazy,
    /// All at once, in real worktrees.
    Worktree,
}

/// Argo CD.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ArgoCdSettings {
    /// How it is reached.
    pub mode: ArgoCdMode,
}

/// How Argo CD is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ArgoCdMode {
    /// Not at all: deployments are not observed.
    #[default]
    None,
    /// By its API.
    Api,
    /// By commit statuses it writes.
    Signal,
}

/// Order of waiting freight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum QueueMode {
    /// Newer freight waits its turn.
    Fifo,
    /// Newer freight takes the place of older.
    #[default]
    Latest,
}

/// What to do about foreign changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ForeignChangeMode {
    /// Overwrite, with a warning.
    #[default]
    Overwrite,
    /// Hold the stage.
    Hold,
    /// Fail the promotion.
    Fail,
}

/// What a project may write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct WriteRule {
    /// The project; empty: every project.
    pub project: String,
    /// Repositories, exact or globs; empty: any.
    pub repositories: Vec<String>,
    /// Branches, exact or globs; empty: any.
    pub branches: Vec<String>,
    /// Paths, exact or globs; empty: any.
    pub paths: Vec<String>,
}

/// How verifications run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct VerificationSettings {
    /// What runs the jobs of `job` metrics.
    pub jobs: JobRunner,
}

/// What runs jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobRunner {
    /// A container.
    #[default]
    Container,
    /// A process of the runner's own machine.
    Process,
}

/// How much is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RetentionSettings {
    /// Ended promotions of each stage.
    pub promotions: usize,
    /// Unused freight of each warehouse.
    pub freight: usize,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self { promotions: 20, freight: 20 }
    }
}
