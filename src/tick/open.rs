//! Opening the world: settings, stores, definitions and ledger at the remote's tips, with one fetch of the config repository.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{self, Loaded, Settings, SourceFile};
use crate::diagnostic::{Diagnostic, Failure, FailureKind, Severity, SourceMap};
use crate::expr::Secrets;
use crate::forge::Directory;
use crate::git::{CredentialLookup, Oid, RefPattern, RemoteUrl, Signer, Store, Stores};
use crate::ledger::{Author, Ledger, Occasion, Pins, StoredBranch};
use crate::model::Project;
use crate::promote::steps::Registry;
use crate::report::progress::Progress;

/// Name of the settings file at the root of the config repository.
pub const SETTINGS: &str = "consign.yaml";

/// How to open the world.
#[derive(Clone, Debug)]
pub struct Open {
    /// URL of the config repository.
    pub url: String,
    /// Its checkout, if there is one.
    pub folder: Option<PathBuf>,
    /// Read definitions and settings from the checkout instead of the remote's tip.
    pub working_tree: bool,
    /// Allow `file://` and bare paths.
    pub local: bool,
    /// Folders of definitions instead of those of the settings.
    pub definitions: Vec<String>,
    /// Only this project.
    pub project: Option<String>,
    /// Where stores are kept.
    pub cache: PathBuf,
    /// When, by whom, in which run.
    pub occasion: Occasion,
    /// The environment's variables.
    pub env: Arc<BTreeMap<String, String>>,
}

/// Everything a tick acts in.
pub struct World {
    /// The user's settings.
    pub settings: Settings,
    /// The stores of all remotes.
    pub stores: Stores,
    /// URL of the config repository.
    pub config_url: String,
    /// Its store.
    pub config_store: Arc<Store>,
    /// Which forge a repository is on.
    pub forges: Arc<Directory>,
    /// Commit that the definitions were read from; empty: the working tree.
    pub definitions_commit: String,
    /// Files of definitions and settings in which the working tree differs from the remote's tip, if that was asked for and is what was read.
    pub differing: Vec<String>,
    /// The projects.
    pub projects: Vec<Project>,
    /// What was found in the definitions, and the users' lines.
    pub loaded: Loaded,
    /// The ledger.
    pub ledger: Ledger,
    /// Store of its remote.
    pub ledger_store: Arc<Store>,
    /// Full name of its ref.
    pub ledger_ref: String,
    /// When, by whom, in which run.
    pub occasion: Occasion,
    /// `secret()`.
    pub secrets: Secrets,
    /// `sharedSecret()`.
    pub shared_secrets: Secrets,
    /// The environment's variables.
    pub env: Arc<BTreeMap<String, String>>,
    /// The step kinds.
    pub registry: Registry,
    /// Signs commits.
    pub signer: Option<Signer>,
    /// Tells people how far we are.
    pub progress: Progress,
    /// Only this project.
    pub only_project: Option<String>,
    /// Whether `file://` and bare paths are allowed.
    pub local: bool,
}

/// Definitions that cannot be used, with what was found.
pub struct Unusable {
    /// The findings.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts they point into.
    pub sources: SourceMap,
}

/// Why the world cannot be opened.
pub enum CannotOpen {
    /// The user's files are wrong.
    Files(Box<Unusable>),
    /// Something failed.
    Failed(Failure),
}

impl From<Failure> for CannotOpen {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl World {
    /// Opens the world. In a warm store that is one fetch; in a cold one a fetch and one request for definitions and records.
    ///
    /// # Errors
    /// Files that are wrong; what the remote says.
    pub async fn open(open: Open, progress: Progress) -> Result<Self, CannotOpen> {
        let env = Arc::clone(&open.env);
        // The settings of the checkout say how to reach the remote; the remote's own replace them once it is reached.
        let first = match &open.folder {
            Some(folder) => read_settings(&std::fs::read_to_string(folder.join(SETTINGS)).unwrap_or_default(), &env)?,
            None => Settings::default(),
        };
        let stores = stores(&open, &first);
        let config_store = stores.get(&open.url)?;
        let ledger_url = if first.ledger.repository.is_empty() { open.url.clone() } else { first.ledger.repository.clone() };
        let mut patterns = vec![RefPattern::head(), RefPattern::branches()];
        let ledger_store = stores.get(&ledger_url)?;
        let same_store = Arc::ptr_eq(&ledger_store, &config_store);
        if !first.ledger.branch.is_empty() && first.ledger.branch.starts_with("refs/") && same_store {
            patterns.push(RefPattern::new(first.ledger.branch.as_str())?);
        }
        config_store.ensure(&patterns).await?;
        if !same_store {
            ledger_store.ensure(&[RefPattern::branches()]).await?;
        }
        let reference = ledger_reference(&first.ledger.branch);

        let tip = config_tip(&config_store, &first.branch, &open.url).await;
        let mut wanted: Vec<Oid> = Vec::new();
        let tree = match (&tip, open.working_tree) {
            (Ok(tip), _) => Some((*tip, config_store.commit(*tip).map_err(Failure::from)?.tree)),
            (Err(_), true) => None,
            (Err(_), false) => None,
        };
        if let (Some((_, tree)), false) = (&tree, open.working_tree) {
            wanted.extend(definition_blobs(&config_store, *tree, &first, &open.definitions)?.into_iter().map(|(_, oid)| oid));
        }
        let records = record_blobs(&ledger_store, &reference)?;
        if same_store {
            wanted.extend(records);
            config_store.prefetch(&wanted).await?;
        } else {
            config_store.prefetch(&wanted).await?;
            ledger_store.prefetch(&records).await?;
        }

        let (settings, files, definitions_commit) = match (&open.folder, tree) {
            (Some(folder), _) if open.working_tree => {
                let files = files_on_disk(folder, &first, &open.definitions)?;
                (first, files, String::new())
            }
            (_, Some((tip, tree))) => {
                let settings = match config_store.file(tree, SETTINGS).map_err(Failure::from)? {
                    Some(text) => read_settings(&String::from_utf8_lossy(&text), &env)?,
                    None => Settings::default(),
                };
                let mut files = Vec::new();
                for (path, oid) in
                    definition_blobs(&config_store, tree, &settings, &open.definitions)?.into_iter().filter(|(path, _)| path != SETTINGS)
                {
                    if !config_store.has(oid) {
                        config_store.prefetch(&[oid]).await?;
                    }
                    files.push(SourceFile { path, bytes: config_store.blob(oid).map_err(Failure::from)? });
                }
                (settings, files, tip.to_string())
            }
            _ => return Err(tip.err().unwrap_or_else(|| Failure::new(FailureKind::Internal, "no tree to read definitions from")).into()),
        };
        let differing = match (&open.folder, tree) {
            (Some(folder), Some((_, tree))) if open.working_tree => {
                let text = std::fs::read(folder.join(SETTINGS)).ok().map(|bytes| SourceFile { path: SETTINGS.to_owned(), bytes });
                differing(&definition_blobs(&config_store, tree, &settings, &open.definitions)?, files.iter().chain(&text))
            }
            _ => Vec::new(),
        };
        let registry = Registry::built_in();
        let mut loaded = load_definitions(&files, open.local, &open.occasion);
        if !loaded.is_usable() {
            return Err(CannotOpen::Files(Box::new(Unusable {
                diagnostics: std::mem::take(&mut loaded.diagnostics),
                sources: std::mem::take(&mut loaded.sources),
            })));
        }
        let projects = std::mem::take(&mut loaded.projects);
        if let Some(wanted) = &open.project
            && !projects.iter().any(|project| project.name == wanted.as_str())
        {
            let names: Vec<String> = projects.iter().map(|project| format!("`{}`", project.name)).collect();
            return Err(Failure::new(FailureKind::Usage, format!("there is no project `{wanted}`"))
                .hint(format!("the projects are {}", names.join(", ")))
                .into());
        }
        let signer = signer(&settings)?;
        let author = Author { name: settings.git.author.name.clone(), email: settings.git.author.email.clone(), signer: signer.clone() };
        let branch = StoredBranch::new(Arc::clone(&ledger_store), &settings.ledger.branch, author)?;
        let pins = Pins { root: settings.ledger.root.clone(), trusted_keys: settings.ledger.trusted_keys.clone() };
        let ledger = Ledger::new(Arc::new(branch), pins, crate::report::ledger_readme::render);
        let maps = settings
            .secrets
            .iter()
            .map(|(name, keys)| (name.clone(), keys.iter().map(|(key, value)| (key.clone(), value.expose().to_owned())).collect()))
            .collect();
        Ok(Self {
            forges: super::forges::directory(&settings, credentials(&settings, &env), &env),
            stores,
            config_url: open.url,
            config_store,
            definitions_commit,
            differing,
            projects,
            loaded,
            ledger,
            ledger_store,
            ledger_ref: ledger_reference(&settings.ledger.branch),
            occasion: open.occasion,
            secrets: Secrets::from_maps(maps).with_environment(Arc::clone(&env)),
            shared_secrets: Secrets::default().with_shared_environment(Arc::clone(&env)),
            env,
            registry,
            signer,
            progress,
            only_project: open.project,
            local: open.local,
            settings,
        })
    }

    /// The only project, or the one that was asked for.
    ///
    /// # Errors
    /// Usage, if there are several and none was named.
    pub fn project(&self) -> Result<&Project, Failure> {
        let mut wanted = self.wanted_projects();
        match (wanted.next(), wanted.next()) {
            (Some(project), None) => Ok(project),
            (None, _) => {
                Err(Failure::new(FailureKind::Config, "there are no definitions")
                    .hint("`consign init` writes a start; definitions live in `.consign/`"))
            }
            _ => Err(Failure::new(FailureKind::Usage, "there are several projects").hint("say which with `--project NAME`")),
        }
    }

    /// The project that has a stage of this name.
    ///
    /// # Errors
    /// Usage, if no project has it, or several have and none was named.
    pub fn project_with_stage(&self, stage: &str) -> Result<&Project, Failure> {
        let having: Vec<&Project> = self.wanted_projects().filter(|project| project.stages.contains_key(stage)).collect();
        match having.as_slice() {
            [project] => Ok(project),
            [] => {
                let known: BTreeSet<&str> = self.wanted_projects().flat_map(|project| project.stages.keys().map(|name| name.as_str())).collect();
                let near = crate::diagnostic::nearest(stage, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
                let all = known.into_iter().collect::<Vec<_>>().join(", ");
                Err(Failure::new(FailureKind::Usage, format!("there is no stage `{stage}`"))
                    .hint(near.unwrap_or_else(|| format!("the stages are: {all}"))))
            }
            _ => Err(Failure::new(FailureKind::Usage, format!("several projects have a stage `{stage}`")).hint("say which with `--project NAME`")),
        }
    }
}

/// Loads definitions with everything that the checks can know.
pub fn load_definitions(files: &[SourceFile], local: bool, occasion: &Occasion) -> Loaded {
    let options = config::LoadOptions { strict: false, now: occasion.now, knowledge: super::knowledge::knowledge(local) };
    config::load(files, &options)
}

fn ledger_reference(branch: &str) -> String {
    if branch.starts_with("refs/") { branch.to_owned() } else { format!("refs/heads/{branch}") }
}

/// Reads the text of `consign.yaml`.
///
/// # Errors
/// What is wrong with it.
pub fn read_settings(text: &str, env: &BTreeMap<String, String>) -> Result<Settings, CannotOpen> {
    let mut sources = SourceMap::default();
    let (settings, diagnostics) = Settings::parse(SETTINGS, text, &|name| env.get(name).cloned(), &mut sources);
    if diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        return Err(CannotOpen::Files(Box::new(Unusable { diagnostics, sources })));
    }
    Ok(settings)
}

fn stores(open: &Open, settings: &Settings) -> Stores {
    let mut git = crate::git::Settings::new(&open.cache);
    git.local = open.local;
    git.config = settings.git.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    git.refs_per_push = Some(settings.git.refs_per_push).filter(|limit| *limit > 0);
    Stores::new(git, credentials(settings, &open.env))
}

/// Who we are to a Git remote: the first rule that matches; else, for the repository a workflow runs in, its token.
pub fn credentials(settings: &Settings, env: &Arc<BTreeMap<String, String>>) -> CredentialLookup {
    let rules: Vec<config::Credential> = settings.credentials.iter().filter(|rule| rule.kind == config::CredentialKind::Git).cloned().collect();
    let env = Arc::clone(env);
    Arc::new(move |url: &RemoteUrl| {
        let found = rules.iter().find(|rule| matches_address(&rule.url, url.as_str()));
        if let Some(rule) = found {
            return Some(crate::git::Credential {
                username: rule.username.expose().to_owned(),
                password: crate::git::Secret::new(rule.password.expose()),
            });
        }
        let (server, repository, token) = (env.get("GITHUB_SERVER_URL")?, env.get("GITHUB_REPOSITORY")?, env.get("GITHUB_TOKEN")?);
        let own = crate::freight::url::git(&format!("{server}/{repository}"));
        (crate::freight::url::git(url.as_str()) == own)
            .then(|| crate::git::Credential { username: "x-access-token".into(), password: crate::git::Secret::new(token.as_str()) })
    })
}

/// Whether an address is meant by a rule: the same repository, or a glob over addresses.
pub fn matches_address(rule: &str, url: &str) -> bool {
    if crate::freight::url::git(rule) == crate::freight::url::git(url) {
        return true;
    }
    globset::Glob::new(rule).is_ok_and(|glob| {
        let glob = glob.compile_matcher();
        glob.is_match(url) || glob.is_match(url.trim_end_matches(".git"))
    })
}

/// Signs commits, if the settings say so.
///
/// # Errors
/// What is wrong with the key.
pub fn signer(settings: &Settings) -> Result<Option<Signer>, Failure> {
    let Some(signing) = &settings.git.signing else { return Ok(None) };
    match signing.format {
        config::SigningFormat::Ssh => Ok(Some(Signer::Ssh { key: signing.key.expose().to_owned(), program: None })),
        config::SigningFormat::Gpg => Ok(Some(Signer::OpenPgp { key: signing.key.expose().to_owned(), program: None })),
    }
}

async fn config_tip(store: &Arc<Store>, branch: &str, url: &str) -> Result<Oid, Failure> {
    let name = if branch.is_empty() {
        store.default_branch().await?.ok_or_else(|| {
            Failure::new(FailureKind::Config, format!("the config repository `{url}` is empty"))
                .hint("commit definitions and push; `consign init` writes a start")
        })?
    } else {
        ledger_reference(branch)
    };
    store.tip(&name).ok_or_else(|| {
        Failure::new(FailureKind::Config, format!("the config repository `{url}` has no branch `{}`", name.trim_start_matches("refs/heads/")))
            .hint("set `branch` in `consign.yaml` to the branch that holds the definitions")
    })
}

fn folders<'a>(settings: &'a Settings, instead: &'a [String]) -> &'a [String] {
    if instead.is_empty() { &settings.definitions } else { instead }
}

/// Files of the definitions folders and the settings, with their blobs.
fn definition_blobs(store: &Store, tree: Oid, settings: &Settings, instead: &[String]) -> Result<Vec<(String, Oid)>, Failure> {
    let mut found = BTreeMap::new();
    if let Some(entry) = store.entry(tree, SETTINGS).map_err(Failure::from)? {
        found.insert(SETTINGS.to_owned(), entry.oid);
    }
    for folder in folders(settings, instead) {
        let folder = folder.trim_start_matches("./").trim_end_matches('/');
        let prefix = if folder == "." { "" } else { folder };
        for entry in store.list(tree, prefix).map_err(Failure::from)? {
            if entry.kind.is_blob() && is_yaml(&entry.path) {
                found.insert(entry.path, entry.oid);
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// Paths whose content here is not that of the remote's tree, or that only one side has.
fn differing<'f>(remote: &[(String, Oid)], here: impl Iterator<Item = &'f SourceFile>) -> Vec<String> {
    let mut remote: BTreeMap<&str, Oid> = remote.iter().map(|(path, oid)| (path.as_str(), *oid)).collect();
    let mut paths: BTreeSet<String> = BTreeSet::new();
    for file in here {
        let path = file.path.trim_start_matches("./");
        if remote.remove(path) != Some(Oid::of_blob(&file.bytes)) {
            paths.insert(path.to_owned());
        }
    }
    paths.extend(remote.into_keys().map(str::to_owned));
    paths.into_iter().collect()
}

fn is_yaml(path: &str) -> bool {
    path.ends_with(".yaml") || path.ends_with(".yml")
}

/// The records that every tick reads, by their paths alone: those of warehouses, stages and freight, each stage's newest promotion, and the
/// promotions of freight that is still there (see [`super::view::View::read`], which finds out what it needs of them).
fn record_blobs(store: &Store, reference: &str) -> Result<Vec<Oid>, Failure> {
    let Some(tip) = store.tip(reference) else { return Ok(Vec::new()) };
    let tree = store.commit(tip).map_err(Failure::from)?.tree;
    let entries = store.list(tree, "").map_err(Failure::from)?;
    let mut wanted = Vec::new();
    let mut freight: BTreeSet<&str> = BTreeSet::new();
    let mut promotions: BTreeMap<&str, Vec<(&str, Oid)>> = BTreeMap::new();
    for entry in &entries {
        let (folder, file) = entry.path.rsplit_once('/').unwrap_or(("", &entry.path));
        let name = file.trim_end_matches(".yaml");
        match entry.path.split('/').nth(1) {
            Some("promotions") => promotions.entry(folder).or_default().push((name, entry.oid)),
            Some(kind @ ("warehouses" | "stages" | "freight")) => {
                wanted.push(entry.oid);
                if kind == "freight" {
                    freight.extend(name.get(..7));
                }
            }
            _ if entry.path == "ledger.yaml" => wanted.push(entry.oid),
            _ => {}
        }
    }
    for of_stage in promotions.values() {
        // A promotion's name ends in the beginning of its freight's.
        wanted.extend(of_stage.iter().filter(|(name, _)| name.rsplit('.').next().is_some_and(|end| freight.contains(end))).map(|(_, oid)| oid));
        wanted.extend(of_stage.iter().max_by_key(|(name, _)| *name).map(|(_, oid)| oid));
    }
    Ok(wanted)
}

/// Definition files of a checkout.
///
/// # Errors
/// Config, if a folder cannot be read.
pub fn files_on_disk(root: &Path, settings: &Settings, instead: &[String]) -> Result<Vec<SourceFile>, Failure> {
    let mut files = Vec::new();
    for folder in folders(settings, instead) {
        let mut open = vec![root.join(folder)];
        while let Some(path) = open.pop() {
            let unreadable = |error: std::io::Error| {
                Failure::new(FailureKind::Config, format!("cannot read `{}`: {error}", path.display()))
                    .hint("`consign init` writes a start; `--definitions PATH` names another folder")
            };
            if path.is_dir() {
                for entry in std::fs::read_dir(&path).map_err(unreadable)? {
                    open.push(entry.map_err(unreadable)?.path());
                }
            } else if path.to_str().is_some_and(is_yaml) && !path.ends_with(SETTINGS) {
                let shown = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
                files.push(SourceFile { path: shown, bytes: std::fs::read(&path).map_err(unreadable)? });
            } else if !path.exists() {
                return Err(unreadable(std::io::ErrorKind::NotFound.into()));
            }
        }
    }
    Ok(files)
}
