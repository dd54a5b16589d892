//! Loading: the files of the definitions folders become projects, or diagnostics.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::admission::kinds::{KARGO, Kind};
use super::admission::{Admitted, Class, Finding, NamespaceState, World, admit, text, warehouse};
use super::document::Document;
use super::yaml::{Content, FieldPath, Node, Options, parse_documents};
use super::{Knowledge, builtin, check};
use crate::diagnostic::{Diagnostic, FileId, Place, Severity, SourceMap, nearest};
use crate::model::{Metadata, Project, ProjectName, PromotionTask, TaskKind};

/// A file of the definitions folders. Reading it, from a disk or a tree, is the caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The path users know it by, `/` between folders.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// How to load.
#[derive(Clone, Copy)]
pub struct LoadOptions<'a> {
    /// Whether unknown fields are errors.
    pub strict: bool,
    /// Now, for freight without `discoveredAt`.
    pub now: Timestamp,
    /// Repositories that a tick may write the definitions' warnings about; what other rooms know.
    pub knowledge: Knowledge<'a>,
}

impl Default for LoadOptions<'_> {
    fn default() -> Self {
        Self { strict: false, now: Timestamp::UNIX_EPOCH, knowledge: Knowledge::default() }
    }
}

/// What came of loading.
#[derive(Default)]
pub struct Loaded {
    /// The projects by name; to be used only if nothing is wrong ([`Loaded::is_usable`]).
    pub projects: Vec<Project>,
    /// `spec` of the ClusterConfig, defaults applied; null: none.
    pub cluster_config: Value,
    /// Everything found, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
    /// How many definitions of each kind were read.
    pub resources: BTreeMap<String, usize>,
    /// The texts.
    pub sources: SourceMap,
    documents: Vec<Document>,
}

impl Loaded {
    /// Whether there is no error.
    pub fn is_usable(&self) -> bool {
        self.diagnostics.iter().all(|diagnostic| diagnostic.severity != Severity::Error)
    }

    /// The user's line for a field, so that a failing step can point at it: `spec.promotionTemplate.spec.steps[2]`. The project is empty for
    /// kinds of the cluster. None: the resource is not defined in a file of the user's.
    pub fn place(&self, project: &str, kind: &str, name: &str, path: &str) -> Option<Place> {
        let path: FieldPath = path.parse().ok()?;
        let document = self.documents.iter().find(|document| document.is(project, kind, name) && !document.built_in)?;
        Some(document.place(&path))
    }

    /// `path:line:column` of [`Loaded::place`].
    pub fn describe(&self, project: &str, kind: &str, name: &str, path: &str) -> Option<String> {
        self.place(project, kind, name, path).map(|place| self.sources.describe(&place))
    }
}

impl Document {
    fn is(&self, project: &str, kind: &str, name: &str) -> bool {
        self.kind.name == kind && self.name == name && self.namespace == project
    }
}

/// Namespaces of Kargo itself whose ConfigMaps and Secrets all projects share.
const SHARED_NAMESPACES: [&str; 3] = ["kargo-shared-resources", "kargo-system-resources", "kargo-cluster-secrets"];

/// Loads definitions: reads every YAML document, admits it, resolves names, and runs the checks. All mistakes at once.
pub fn load(files: &[SourceFile], options: &LoadOptions<'_>) -> Loaded {
    let mut loader = Loader { loaded: Loaded::default(), options };
    let mut ordered: Vec<&SourceFile> = files.iter().filter(|file| is_yaml(&file.path)).collect();
    ordered.sort_by(|a, b| a.path.cmp(&b.path));
    for file in ordered {
        loader.read(&file.path, &file.bytes);
    }
    let projects = loader.projects();
    loader.give_namespaces(&projects);
    loader.admit(&projects);
    loader.find_duplicates();
    loader.add_built_in_tasks();
    loader.resolve(&projects);
    let mut loaded = loader.loaded;
    let context = check::Context {
        documents: loaded.documents.iter().filter(|document| document.accepted).collect(),
        projects: &loaded.projects,
        knowledge: &options.knowledge,
        sources: &loaded.sources,
    };
    let found = check::all(&context);
    loaded.diagnostics.extend(found);
    let order =
        |diagnostic: &Diagnostic| diagnostic.primary.as_ref().map(|label| (loaded.sources.path(label.place.file).to_owned(), label.place.span.start));
    loaded.diagnostics.sort_by_cached_key(order);
    loaded.diagnostics.dedup();
    loaded
}

fn is_yaml(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("yaml") || ending.eq_ignore_ascii_case("yml"))
}

struct Loader<'o> {
    loaded: Loaded,
    options: &'o LoadOptions<'o>,
}

/// The projects there are.
struct Projects {
    names: BTreeSet<String>,
    /// Namespaces that are there and belong to no project.
    foreign: BTreeSet<String>,
    /// Without a single Project, whatever namespace is mentioned stands for one.
    inferred: bool,
}

impl Loader<'_> {
    fn report(&mut self, diagnostic: Diagnostic) {
        self.loaded.diagnostics.push(diagnostic);
    }

    fn read(&mut self, path: &str, bytes: &[u8]) {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned();
                let file = self.loaded.sources.add(path, good);
                let place = Place { file, span: error.valid_up_to()..error.valid_up_to() };
                return self.report(
                    Diagnostic::error("config/encoding", format!("`{path}` is not UTF-8"))
                        .at(place, "cannot be read from here")
                        .help("save the file as UTF-8"),
                );
            }
        };
        let file = self.loaded.sources.add(path, text);
        let read = parse_documents(text, &Options::default());
        for node in read.documents.into_iter().flatten() {
            self.take(file, node);
        }
        if let Some(error) = read.error {
            if text.contains("Secret") {
                // What cannot be read may be a Secret; nothing but its keys is shown.
                self.hide_values(file, text);
            }
            let code = if error.earlier.is_some() { "config/duplicate-key" } else { "config/yaml" };
            let mut diagnostic = Diagnostic::error(code, error.message).at(Place { file, span: error.span }, "here");
            diagnostic.help = error.help;
            if let Some(earlier) = error.earlier {
                diagnostic = diagnostic.related(Place { file, span: earlier }, "first given here");
            }
            self.report(diagnostic);
        }
    }

    /// Hides every value below a node; keys stay.
    fn hide_scalars(&mut self, file: FileId, node: &Node) {
        match &node.content {
            Content::Mapping(entries) => entries.iter().for_each(|entry| self.hide_scalars(file, &entry.value)),
            Content::List(items) => items.iter().for_each(|item| self.hide_scalars(file, item)),
            _ => self.loaded.sources.hide(file, node.span.clone()),
        }
    }

    /// Hides what follows the key on each line, and lines without one.
    fn hide_values(&mut self, file: FileId, text: &str) {
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let value = line.find(": ").map_or_else(|| if line.trim_end().ends_with(':') { line.len() } else { 0 }, |colon| colon + 2);
            self.loaded.sources.hide(file, start + value..start + line.len());
            start += line.len();
        }
    }

    /// Takes one document: ours, somebody else's, or wrong.
    fn take(&mut self, file: FileId, node: Node) {
        let place = |path: &str| Place { file, span: node.locate(&FieldPath::root().field(path)) };
        let whole = Place { file, span: node.locate_key(&FieldPath::root().field("kind")) };
        let (Some(api_version), Some(kind_name)) = (node.get("apiVersion").and_then(Node::as_str), node.get("kind").and_then(Node::as_str)) else {
            let missing = if node.get("kind").and_then(Node::as_str).is_none() { "kind" } else { "apiVersion" };
            return self.report(
                Diagnostic::error("config/not-a-resource", format!("this document has no `{missing}`")).at(whole, "not a resource").help(format!(
                    "a definition begins with `apiVersion: {KARGO}` and `kind:`; other files belong outside of the definitions folders"
                )),
            );
        };
        if kind_name == "Secret" {
            for field in ["data", "stringData"] {
                if let Some(values) = node.get(field) {
                    self.hide_scalars(file, values);
                }
            }
        }
        let kargo = api_version.contains("kargo.akuity.io") && !api_version.starts_with("ee.");
        let Some(kind) = Kind::find(kind_name).filter(|kind| kind.api_version == api_version) else {
            let known: Vec<&str> = Kind::all().filter(|kind| kind.api_version == KARGO).map(|kind| kind.name).collect();
            let diagnostic = match Kind::find(kind_name) {
                Some(kind) if kargo || kind.api_version == KARGO => {
                    Diagnostic::error("config/api-version", format!("`{api_version}` is not the version of {kind_name}"))
                        .at(place("apiVersion"), "unknown version")
                        .help(format!("write `apiVersion: {}`", kind.api_version))
                }
                None if kargo && kind_name != "PromotionRequest" => {
                    let help = nearest(kind_name, known.iter().copied()).map_or_else(
                        || format!("known: {}", known.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(", ")),
                        |kind| format!("did you mean `{kind}`?"),
                    );
                    Diagnostic::error("config/unknown-kind", format!("`{kind_name}` is not a kind of Kargo"))
                        .at(place("kind"), "unknown kind")
                        .help(help)
                }
                _ => Diagnostic::note("config/other-kind", format!("{kind_name} ({api_version}) is not read")).at(place("kind"), "skipped"),
            };
            return self.report(diagnostic);
        };
        if kind.name == "Promotion" {
            return self.report(
                Diagnostic::note("config/other-kind", "Promotions are not read from definitions")
                    .at(place("kind"), "skipped")
                    .help("promotions live in the ledger; `consign promote` makes them"),
            );
        }
        let object = node.to_json();
        let (name, namespace) = (text(&object, "/metadata/name").to_owned(), text(&object, "/metadata/namespace").to_owned());
        *self.loaded.resources.entry(kind.name.to_owned()).or_default() += 1;
        self.loaded.documents.push(Document { file, node, kind, name, namespace, object, accepted: false, built_in: false });
    }

    fn projects(&self) -> Projects {
        let documents = &self.loaded.documents;
        let mut names: BTreeSet<String> =
            documents.iter().filter(|document| document.kind.name == "Project").map(|document| document.name.clone()).collect();
        let mut foreign = BTreeSet::new();
        for namespace in documents.iter().filter(|document| document.kind.name == "Namespace") {
            if text(&namespace.object, "/metadata/labels/kargo.akuity.io~1project") == "true" {
                names.insert(namespace.name.clone());
            } else if !SHARED_NAMESPACES.contains(&namespace.name.as_str()) {
                foreign.insert(namespace.name.clone());
            }
        }
        let inferred = names.is_empty();
        if inferred {
            let of_projects =
                |document: &&Document| !document.kind.cluster_scoped && document.kind.api_version == KARGO && !document.namespace.is_empty();
            names.extend(documents.iter().filter(of_projects).map(|document| document.namespace.clone()).filter(|name| !foreign.contains(name)));
        }
        Projects { names, foreign, inferred }
    }

    /// A resource without a namespace belongs to the only project.
    fn give_namespaces(&mut self, projects: &Projects) {
        let only = projects.names.iter().next().filter(|_| projects.names.len() == 1).cloned();
        let mut found = Vec::new();
        for document in self.loaded.documents.iter_mut().filter(|document| !document.kind.cluster_scoped && document.namespace.is_empty()) {
            if let Some(only) = &only {
                document.namespace.clone_from(only);
                if let Some(metadata) = document.object.get_mut("metadata").and_then(Value::as_object_mut) {
                    metadata.insert("namespace".into(), only.as_str().into());
                }
                continue;
            }
            let help = if projects.names.is_empty() {
                "add a Project, or `namespace:` with the project's name".to_owned()
            } else {
                format!("add `namespace:` with one of {}", projects.names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
            };
            let place = document.key_place(&FieldPath::root().field("metadata"));
            found.push(
                Diagnostic::error("config/no-project", format!("it is not clear which project {} belongs to", document.title()))
                    .at(place, "no namespace")
                    .help(help),
            );
        }
        self.loaded.diagnostics.extend(found);
    }

    fn admit(&mut self, projects: &Projects) {
        let namespace = |name: &str| {
            if projects.names.contains(name) {
                NamespaceState::Project
            } else if projects.foreign.contains(name) {
                NamespaceState::Foreign
            } else {
                NamespaceState::Missing
            }
        };
        let mut warehouses = BTreeMap::new();
        let mut aliases = BTreeSet::new();
        // Warehouses first: freight is held against them.
        let mut order: Vec<usize> = (0..self.loaded.documents.len()).collect();
        order.sort_by_key(|&at| self.loaded.documents[at].kind.name != "Warehouse");
        for at in order {
            let document = &self.loaded.documents[at];
            if !document.kind.cluster_scoped && document.namespace.is_empty() {
                continue;
            }
            let world = World {
                namespace: &namespace,
                warehouses: &warehouses,
                aliases: &aliases,
                now: self.options.now,
                knowledge: &self.options.knowledge,
            };
            let admitted = admit(document.kind, &document.object, &world);
            let key = (document.namespace.clone(), document.name.clone());
            self.tell(at, &admitted, projects);
            let document = &mut self.loaded.documents[at];
            document.accepted = admitted.refused.is_empty();
            document.object = admitted.object;
            if document.accepted && document.kind.name == "Warehouse" {
                warehouses.insert(key, document.object.clone());
            } else if document.accepted && document.kind.name == "Freight" {
                aliases.insert((key.0, text(&document.object, "/alias").to_owned()));
            }
        }
    }

    /// Turns what admission says into diagnostics.
    fn tell(&mut self, at: usize, admitted: &Admitted, projects: &Projects) {
        let document = &self.loaded.documents[at];
        let mut told = Vec::new();
        for finding in &admitted.refused {
            told.push(explain(document, finding, &self.loaded.sources, projects));
        }
        let severity = if self.options.strict { Severity::Error } else { Severity::Warning };
        for unknown in &admitted.unknown {
            if unknown.path.to_string() == "spec" && document.kind.name == "Project" {
                continue; // `check::moved` says where it went.
            }
            let field = unknown.path.0.last().map_or_else(String::new, |segment| match segment {
                super::yaml::Segment::Field(name) => name.clone(),
                super::yaml::Segment::Index(index) => index.to_string(),
            });
            let help = match nearest(&field, unknown.known.iter().copied()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known here: {}", unknown.known.iter().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ")),
            };
            told.push(
                Diagnostic::new(severity, "config/unknown-field", format!("`{field}` is not a field of {}", owner(document, &unknown.path)))
                    .at(document.key_place(&unknown.path), "unknown field")
                    .help(help),
            );
        }
        for (path, known) in &admitted.respelled {
            told.push(
                Diagnostic::warning("config/field-case", format!("this field is spelled `{known}`"))
                    .at(document.key_place(path), "other case")
                    .help(format!("write `{known}`; inside a subscription Kargo overlooks the difference, elsewhere it does not")),
            );
        }
        self.loaded.diagnostics.extend(told);
    }

    fn find_duplicates(&mut self) {
        let mut first: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
        let mut found = Vec::new();
        let mut repeated = Vec::new();
        for (at, document) in self.loaded.documents.iter().enumerate() {
            if document.name.is_empty() {
                continue;
            }
            match first.get(&(document.kind.name, document.namespace.as_str(), document.name.as_str())) {
                None => {
                    first.insert((document.kind.name, &document.namespace, &document.name), at);
                }
                Some(&earlier) => {
                    repeated.push(at);
                    found.push(
                        Diagnostic::error("config/duplicate-resource", format!("{} is defined twice", document.title()))
                            .at(document.head(), "second definition")
                            .related(self.loaded.documents[earlier].head(), "first defined here")
                            .help("keep one, or give one of them another name"),
                    );
                }
            }
        }
        self.loaded.diagnostics.extend(found);
        for at in repeated {
            self.loaded.documents[at].accepted = false;
        }
    }

    /// Built-in tasks stand behind the user's: one of the same name takes their place.
    fn add_built_in_tasks(&mut self) {
        for (file_name, yaml) in builtin::TASKS {
            let taken = |document: &Document| document.kind.name == "ClusterPromotionTask" && file_name.strip_suffix(".yaml") == Some(&document.name);
            if self.loaded.documents.iter().any(taken) {
                continue;
            }
            let file = self.loaded.sources.add(format!("built-in/{file_name}"), yaml);
            let before = self.loaded.documents.len();
            for node in parse_documents(yaml, &Options::default()).documents.into_iter().flatten() {
                let object = node.to_json();
                let Some(kind) = Kind::find("ClusterPromotionTask") else { continue };
                let name = text(&object, "/metadata/name").to_owned();
                self.loaded.documents.push(Document { file, node, kind, name, namespace: String::new(), object, accepted: true, built_in: true });
            }
            debug_assert_eq!(self.loaded.documents.len(), before + 1, "a built-in task is one document");
        }
    }

    fn resolve(&mut self, projects: &Projects) {
        let mut resolved: BTreeMap<String, Project> =
            projects.names.iter().map(|name| (name.clone(), Project { name: ProjectName::new(name.as_str()), ..Project::default() })).collect();
        let mut found = Vec::new();
        for document in self.loaded.documents.iter().filter(|document| document.accepted) {
            if let Err(reason) = put(document, &mut resolved, &mut self.loaded.cluster_config) {
                found.push(
                    Diagnostic::error("config/unreadable", format!("{} cannot be read: {reason}", document.title()))
                        .at(document.head(), "here")
                        .help("compare it with `consign schema`"),
                );
            }
        }
        self.loaded.diagnostics.extend(found);
        self.loaded.projects = resolved.into_values().collect();
    }
}

/// What an unknown field is said to be missing from.
fn owner(document: &Document, path: &FieldPath) -> String {
    match path.parent().filter(|parent| *parent != FieldPath::root()) {
        Some(parent) => format!("`{parent}`"),
        None => format!("{}s", document.kind.name),
    }
}

/// A finding of admission as a diagnostic.
fn explain(document: &Document, finding: &Finding, sources: &SourceMap, projects: &Projects) -> Diagnostic {
    let (code, label) = match finding.class {
        Class::Required => ("config/required", "missing here"),
        Class::Invalid => ("config/invalid-value", "not accepted"),
        Class::NotSupported => ("config/unknown-value", "unknown value"),
        Class::TypeInvalid => ("config/wrong-type", "wrong type"),
        Class::Duplicate => ("config/duplicate", "given twice"),
        Class::Forbidden => ("config/forbidden", "not allowed here"),
        Class::NotFound => ("config/unknown-project", "unknown project"),
        Class::Conflict => ("config/conflict", "in the way"),
    };
    let place = match finding.class {
        Class::Forbidden => document.key_place(&finding.path),
        _ => document.place(&finding.path),
    };
    let mut diagnostic = Diagnostic::error(code, finding.message.clone()).at(place.clone(), label);
    diagnostic.help.clone_from(&finding.help);
    if let Some(related) = &finding.related {
        diagnostic = diagnostic.related(document.place(related), "first given here");
    }
    if diagnostic.help.is_none() {
        let bare = document.node.find(&finding.path).is_some_and(|node| node.bare && node.as_str().is_none());
        diagnostic.help = match finding.class {
            // A number or boolean where text belongs: nearly always a forgotten pair of quotes.
            Class::TypeInvalid if bare && finding.message.starts_with("expected text") => Some(format!("quote it: `\"{}\"`", sources.slice(&place))),
            Class::NotSupported => {
                let written = document.node.find(&finding.path).and_then(Node::as_str).unwrap_or_default();
                let known = finding.message.rsplit_once("known: ").map_or("", |(_, known)| known);
                nearest(written, known.split(", ").map(|known| known.trim_matches('`'))).map(|known| format!("did you mean `{known}`?"))
            }
            Class::NotFound => nearest(&document.namespace, projects.names.iter().map(String::as_str))
                .map(|known| format!("did you mean `{known}`?"))
                .or_else(|| (!projects.inferred).then(|| format!("add a Project named `{}`", document.namespace))),
            _ => None,
        };
    }
    diagnostic
}

/// Puts an admitted definition where it belongs.
fn put(document: &Document, projects: &mut BTreeMap<String, Project>, cluster_config: &mut Value) -> Result<(), String> {
    let name = document.name.clone();
    match document.kind.name {
        "ClusterConfig" => *cluster_config = document.object.get("spec").cloned().unwrap_or(Value::Null),
        "ClusterPromotionTask" => {
            let task: PromotionTask = read(&document.object)?;
            for project in projects.values_mut() {
                project.tasks.insert((TaskKind::ClusterPromotionTask, name.clone()), task.clone());
            }
        }
        "ClusterAnalysisTemplate" => {
            let template: crate::model::AnalysisTemplate = read(&document.object)?;
            for project in projects.values_mut() {
                project.cluster_analysis_templates.insert(name.clone(), template.clone());
            }
        }
        "ConfigMap" if SHARED_NAMESPACES.contains(&document.namespace.as_str()) => {
            let data = data_of(&document.object)?;
            for project in projects.values_mut() {
                project.shared_config_maps.insert(name.clone(), data.clone());
            }
        }
        _ => {
            let Some(project) = projects.get_mut(&document.namespace) else { return Ok(()) };
            match document.kind.name {
                "ProjectConfig" => project.config = Some(read(&document.object)?),
                "Warehouse" => {
                    project.warehouses.insert(name.into(), read(&warehouse::canonical(&document.object))?);
                }
                "Stage" => {
                    project.stages.insert(name.into(), read(&document.object)?);
                }
                "PromotionTask" => {
                    project.tasks.insert((TaskKind::PromotionTask, name), read(&document.object)?);
                }
                "Freight" => project.freight.push(read(&document.object)?),
                "AnalysisTemplate" => {
                    project.analysis_templates.insert(name, read(&document.object)?);
                }
                "ConfigMap" => {
                    project.config_maps.insert(name, data_of(&document.object)?);
                }
                "Target" => {
                    project.targets.insert(name, read(&document.object)?);
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn read<T: DeserializeOwned>(object: &Value) -> Result<T, String> {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        // Definitions say what is wanted; what is, is the ledger's.
        map.shift_remove("status");
        if let Some(metadata) = map.get_mut("metadata") {
            let known: Metadata = serde_json::from_value(metadata.clone()).map_err(|error| error.to_string())?;
            *metadata = serde_json::to_value(known).map_err(|error| error.to_string())?;
        }
    }
    serde_json::from_value(object).map_err(|error| error.to_string())
}

fn data_of(object: &Value) -> Result<BTreeMap<String, String>, String> {
    object.get("data").map_or_else(|| Ok(BTreeMap::new()), |data| serde_json::from_value(data.clone()).map_err(|error| error.to_string()))
}
