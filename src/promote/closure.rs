//! What a kustomization or a chart reads: found from the contents of their files, before a tool runs.
//!
//! Two things rest on it: which files of a lazy checkout must be on disk, and that nothing outside of the working directory and nothing from the
//! network is read. Paths are relative to the working directory, `/`-separated, without `.` and `..`.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::manifests::{read_document, split_documents};

/// File names of a kustomization, in the order in which kustomize looks for them.
pub const KUSTOMIZATION_FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing.
    Missing,
    /// A folder, and its path without symbolic links, from which its own references are read; None: it lies outside of the working directory.
    Folder(Option<PathBuf>),
    /// A file and its text.
    File(String),
    /// A file that is not on disk yet. The closure names it in [`Closure::unread`] and goes on with the rest.
    Unread,
}

/// What is read, as far as it can be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closure {
    /// Files.
    pub files: BTreeSet<PathBuf>,
    /// Folders with everything below.
    pub trees: BTreeSet<PathBuf>,
    /// Files that must be on disk before the closure can be completed.
    pub unread: BTreeSet<PathBuf>,
    /// What comes from the network.
    pub remote: BTreeSet<Reference>,
    /// What lies outside of the working directory.
    pub outside: BTreeSet<Reference>,
    /// Whether charts are inflated, which takes helm.
    pub charts: bool,
}

/// A reference as written, and the file it stands in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// What is written.
    pub written: String,
    /// Where.
    pub file: PathBuf,
}

/// The local closure of the kustomization in a folder.
pub fn of_kustomization(folder: &Path, mut look: impl FnMut(&Path) -> Look) -> Closure {
    let start = match look(folder) {
        Look::Folder(Some(real)) => real,
        _ => folder.to_owned(),
    };
    let mut walk = Walk::new(&mut look);
    walk.kustomization(&start);
    walk.closure
}

/// The closure of a chart: its folder (or package), values files, and the folders of its `file://` dependencies.
pub fn of_chart<'a>(chart: &Path, values: impl IntoIterator<Item = &'a Path>, mut look: impl FnMut(&Path) -> Look) -> Closure {
    let mut walk = Walk::new(&mut look);
    walk.closure.files.extend(values.into_iter().map(Path::to_owned));
    walk.chart(chart);
    walk.closure
}

/// Joins a path onto a folder and cleans it; None: it leads out of the working directory.
pub fn join(folder: &Path, path: &str) -> Option<PathBuf> {
    let mut clean = folder.to_owned();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                if !clean.pop() {
                    return None;
                }
            }
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(clean)
}

/// Whether kustomize takes a reference that is no local file for something to fetch: a URL, or a repository on a host.
pub fn is_remote(written: &str) -> bool {
    let lower = written.to_ascii_lowercase();
    let user = written.split_once('@').is_some_and(|(user, _)| !user.is_empty() && !user.contains(['/', ':']));
    user || lower.contains("://") || ["git::", "gh:", "github.com/", "github.com:"].iter().any(|prefix| lower.starts_with(prefix))
}

struct Walk<'a> {
    look: &'a mut dyn FnMut(&Path) -> Look,
    closure: Closure,
    /// Kustomizations and charts that were walked.
    seen: BTreeSet<PathBuf>,
    /// Configurations of plugins that were read, and the kustomization they were read for.
    plugins: BTreeSet<(PathBuf, PathBuf)>,
}

impl<'a> Walk<'a> {
    fn new(look: &'a mut dyn FnMut(&Path) -> Look) -> Self {
        Self { look, closure: Closure::default(), seen: BTreeSet::new(), plugins: BTreeSet::new() }
    }

    fn kustomization(&mut self, folder: &Path) {
        if !self.seen.insert(folder.to_owned()) {
            return;
        }
        for name in KUSTOMIZATION_FILES {
            let file = folder.join(name);
            match (self.look)(&file) {
                Look::File(text) => {
                    self.closure.files.insert(file.clone());
                    self.documents(&text, folder, &file);
                }
                Look::Unread => {
                    self.closure.unread.insert(file);
                }
                Look::Missing | Look::Folder(_) => {}
            }
        }
    }

    /// Everything that the documents of a text refer to. What is no YAML refers to nothing: the tool will say what is wrong with it.
    fn documents(&mut self, text: &str, folder: &Path, file: &Path) {
        for document in split_documents(text) {
            if let Ok(document) = read_document(document) {
                self.document(&document, folder, file);
            }
        }
    }

    /// A kustomization, or the configuration of one of kustomize's own generators and transformers: their fields do not clash.
    fn document(&mut self, document: &Value, folder: &Path, file: &Path) {
        for field in ["resources", "bases", "components"] {
            for written in texts(&document[field]) {
                self.base(written, folder, file);
            }
        }
        for field in ["generators", "transformers", "validators"] {
            for written in texts(&document[field]) {
                if is_inline(written) {
                    self.documents(written, folder, file);
                } else if let Some(path) = self.base(written, folder, file) {
                    self.plugin(&path, folder, file);
                }
            }
        }
        for field in ["crds", "configurations", "patchesStrategicMerge", "paths", "files", "envs", "additionalValuesFiles"] {
            for written in texts(&document[field]) {
                if !is_inline(written) {
                    self.file(after_key(field, written), folder, file);
                }
            }
        }
        for field in ["path", "env", "valuesFile"] {
            if let Some(written) = document[field].as_str().filter(|written| !written.is_empty()) {
                self.file(written, folder, file);
            }
        }
        for field in ["patches", "patchesJson6902", "replacements", "configMapGenerator", "secretGenerator"] {
            for entry in document[field].as_array().into_iter().flatten() {
                self.document(entry, folder, file);
            }
        }
        if document["openapi"].is_object() {
            self.document(&document["openapi"], folder, file);
        }
        self.charts(document, folder, file);
    }

    /// The configuration of plugins, in a file or built by a kustomization. Its paths are relative to the kustomization that uses it.
    fn plugin(&mut self, path: &Path, folder: &Path, file: &Path) {
        if !self.plugins.insert((path.to_owned(), folder.to_owned())) {
            return;
        }
        match (self.look)(path) {
            Look::File(text) => self.documents(&text, folder, file),
            Look::Folder(real) => {
                let mut inner = Walk::new(self.look);
                inner.kustomization(real.as_deref().unwrap_or(path));
                let built = inner.closure.files;
                let is_kustomization = |path: &PathBuf| path.file_name().is_some_and(|name| KUSTOMIZATION_FILES.iter().any(|known| name == *known));
                for path in built.iter().filter(|path| !is_kustomization(path)) {
                    self.plugin(path, folder, file);
                }
            }
            Look::Missing | Look::Unread => {}
        }
    }

    fn charts(&mut self, document: &Value, folder: &Path, file: &Path) {
        let generator = document["kind"] == "HelmChartInflationGenerator";
        let charts: Vec<&Value> =
            ["helmCharts", "helmChartInflationGenerator"].iter().flat_map(|field| document[*field].as_array().into_iter().flatten()).collect();
        if charts.is_empty() && !generator {
            return;
        }
        self.closure.charts = true;
        let home = |value: &Value| value["chartHome"].as_str().filter(|home| !home.is_empty()).map(str::to_owned);
        let homes = std::iter::once(home(&document["helmGlobals"]).or_else(|| home(document)).unwrap_or_else(|| "charts".into()));
        for written in homes.chain(charts.iter().filter_map(|chart| home(chart))) {
            match join(folder, &written) {
                Some(path) => {
                    self.closure.trees.insert(path);
                }
                None => self.outside(&written, file),
            }
        }
        for configuration in [&document["helmGlobals"], document] {
            if let Some(written) = configuration["configHome"].as_str().filter(|home| !home.is_empty())
                && join(folder, written).is_none()
            {
                self.outside(written, file);
            }
        }
        for chart in charts.into_iter().chain(generator.then_some(document)) {
            // A chart that lies in its home already is not fetched.
            let text = |field: &str| chart[field].as_str().unwrap_or_default();
            let name = [text("name"), text("chartName")].concat();
            let homes: Vec<PathBuf> = self.closure.trees.iter().cloned().collect();
            let there = |walk: &mut Self, place: &str| homes.iter().any(|home| !name.is_empty() && (walk.look)(&home.join(place)) != Look::Missing);
            let is_local = there(self, &name) || there(self, &format!("{name}-{}/{name}", text("version")));
            for field in ["repo", "chartRepoUrl"] {
                if let Some(written) = chart[field].as_str().filter(|repository| !repository.is_empty() && !is_local) {
                    self.closure.remote.insert(Reference { written: written.to_owned(), file: file.to_owned() });
                }
            }
            for field in ["valuesFile", "values"] {
                if let Some(written) = chart[field].as_str().filter(|written| !written.is_empty()) {
                    self.file(written, folder, file);
                }
            }
            for written in texts(&chart["additionalValuesFiles"]) {
                self.file(written, folder, file);
            }
        }
    }

    /// A file, or a folder with a kustomization. The local path, if it is one.
    fn base(&mut self, written: &str, folder: &Path, file: &Path) -> Option<PathBuf> {
        let path = self.file(written, folder, file)?;
        if let Look::Folder(real) = (self.look)(&path) {
            self.closure.files.remove(&path);
            match real {
                Some(real) => self.kustomization(&real),
                None => self.outside(written, file),
            }
        }
        Some(path)
    }

    fn file(&mut self, written: &str, folder: &Path, file: &Path) -> Option<PathBuf> {
        let Some(path) = join(folder, written) else {
            self.outside(written, file);
            return None;
        };
        match (self.look)(&path) {
            Look::Missing if is_remote(written) => {
                self.closure.remote.insert(Reference { written: written.to_owned(), file: file.to_owned() });
                return None;
            }
            Look::Unread => {
                self.closure.unread.insert(path.clone());
            }
            _ => {}
        }
        self.closure.files.insert(path.clone());
        Some(path)
    }

    fn outside(&mut self, written: &str, file: &Path) {
        self.closure.outside.insert(Reference { written: written.to_owned(), file: file.to_owned() });
    }

    fn chart(&mut self, chart: &Path) {
        if !self.seen.insert(chart.to_owned()) {
            return;
        }
        self.closure.trees.insert(chart.to_owned());
        // `requirements.yaml` is where charts of API version 1 name their dependencies.
        for name in ["Chart.yaml", "requirements.yaml"] {
            let file = chart.join(name);
            match (self.look)(&file) {
                Look::File(text) => {
                    for repository in read_document(&text).iter().flat_map(local_dependencies) {
                        match join(chart, &repository) {
                            Some(path) => self.chart(&path),
                            None => self.outside(&format!("file://{repository}"), &file),
                        }
                    }
                }
                Look::Unread => {
                    self.closure.unread.insert(file);
                }
                Look::Missing | Look::Folder(_) => {}
            }
        }
    }
}

fn local_dependencies(chart: &Value) -> Vec<String> {
    let dependencies = chart["dependencies"].as_array().into_iter().flatten();
    dependencies.filter_map(|one| one["repository"].as_str()?.strip_prefix("file://").map(str::to_owned)).collect()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Whether an entry that may be a path holds YAML or JSON instead.
fn is_inline(written: &str) -> bool {
    written.contains('\n') || written.contains(": ") || written.trim_start().starts_with('{')
}

/// Generators name a file as `[key=]path`.
fn after_key<'a>(field: &str, written: &'a str) -> &'a str {
    if field == "files" { written.split_once('=').map_or(written, |(_, path)| path) } else { written }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use super::*;

    fn look<'a>(files: &'a [(&'a str, &'a str)]) -> impl FnMut(&Path) -> Look + 'a {
        let files: BTreeMap<&Path, &str> = files.iter().map(|(path, text)| (Path::new(*path), *text)).collect();
        move |path| match files.get(path) {
            Some(&"<unread>") => Look::Unread,
            Some(text) => Look::File((*text).to_owned()),
            None if files.keys().any(|file| file.starts_with(path)) => Look::Folder(Some(path.to_owned())),
            None => Look::Missing,
        }
    }

    fn shown(paths: &BTreeSet<PathBuf>) -> String {
        paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_kustomization_reaches_bases_components_patches_and_generators() {
        let files = [
            (
                "app/prod/kustomization.yaml",
                "resources: [../base, extra.yaml]\ncomponents: [../../comp]\npatches:\n- path: p.yaml\n- patch: |-\n    - op: remove\n      path: /a\n\
                 configMapGenerator:\n- name: c\n  files: [k=conf/a.txt, b.txt]\n  envs: [x.env]\ntransformers:\n- t.yaml\nreplacements:\n- path: r.yaml\n\
                 openapi: {path: schema.json}\n",
            ),
            ("app/prod/t.yaml", "apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: x}\npath: deep/patch.yaml\n"),
            ("app/base/kustomization.yml", "resources: [deploy.yaml]\n"),
            ("comp/Kustomization", "patchesStrategicMerge: [c.yaml, \"kind: A\\nmetadata: {}\\n\"]\n"),
        ];
        let closure = of_kustomization(Path::new("app/prod"), look(&files));
        assert_eq!(
            shown(&closure.files),
            "app/base/deploy.yaml app/base/kustomization.yml app/prod/b.txt app/prod/conf/a.txt app/prod/deep/patch.yaml app/prod/extra.yaml \
             app/prod/kustomization.yaml app/prod/p.yaml app/prod/r.yaml app/prod/schema.json app/prod/t.yaml app/prod/x.env comp/Kustomization comp/c.yaml"
        );
        assert!(closure.remote.is_empty() && closure.outside.is_empty() && closure.unread.is_empty() && !closure.charts);
    }

    #[test]
    fn what_leads_out_or_is_fetched_is_named_with_its_place() {
        let files = [(
            "app/kustomization.yaml",
            "resources: [/etc/passwd, ../../x, 'https://example.com/a.yaml', 'github.com/o/r//p?ref=v1', gone.yaml, 'v1.2/c', 'git@example.com:o/r']\n\
             generators:\n- |\n  apiVersion: builtin\n  kind: ConfigMapGenerator\n  metadata: {name: x}\n  files: [k=/etc/shadow]\n",
        )];
        let closure = of_kustomization(Path::new("app"), look(&files));
        let written = |set: &BTreeSet<Reference>| set.iter().map(|one| one.written.clone()).collect::<Vec<_>>();
        assert_eq!(written(&closure.outside), ["../../x", "/etc/passwd", "/etc/shadow"]);
        assert_eq!(written(&closure.remote), ["git@example.com:o/r", "github.com/o/r//p?ref=v1", "https://example.com/a.yaml"]);
        assert_eq!(closure.outside.first().unwrap().file, Path::new("app/kustomization.yaml"));
    }

    #[test]
    fn plugins_that_a_kustomization_builds_are_read_too() {
        let files = [
            ("app/kustomization.yaml", "generators: [gen, loop.yaml]\n"),
            ("app/gen/kustomization.yaml", "resources: [g.yaml]\n"),
            ("app/gen/g.yaml", "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: x}\nfiles: [/etc/shadow, a.txt]\n"),
            ("app/loop.yaml", "generators: [loop.yaml]\n"),
        ];
        let closure = of_kustomization(Path::new("app"), look(&files));
        assert_eq!(closure.outside.first().unwrap().written, "/etc/shadow");
        assert!(closure.files.contains(Path::new("app/a.txt")));
    }

    #[test]
    fn what_is_not_on_disk_yet_is_asked_for() {
        let files = [("o/kustomization.yaml", "resources: [../b]\n"), ("b/kustomization.yaml", "<unread>")];
        let closure = of_kustomization(Path::new("o"), look(&files));
        assert_eq!(shown(&closure.unread), "b/kustomization.yaml");
    }

    #[test]
    fn charts_of_a_kustomization_take_helm() {
        let files = [
            (
                "app/kustomization.yaml",
                "helmGlobals: {chartHome: ../charts}\nhelmCharts:\n- {name: a, valuesFile: v.yaml}\n- {name: b, repo: 'https://charts.example.com'}\n\
             - {name: c, version: 1.0.0, repo: 'https://there.example.com'}\n",
            ),
            ("charts/c-1.0.0/c/Chart.yaml", ""),
        ];
        let closure = of_kustomization(Path::new("app"), look(&files));
        assert!(closure.charts);
        assert_eq!(shown(&closure.trees), "charts");
        assert_eq!(closure.remote.len(), 1);
        assert!(closure.files.contains(Path::new("app/v.yaml")));
    }

    #[test]
    fn bases_that_name_each_other_end() {
        let files = [("a/kustomization.yaml", "resources: [../b]"), ("b/kustomization.yaml", "resources: [../a]")];
        assert_eq!(of_kustomization(Path::new("a"), look(&files)).files.len(), 2);
    }

    #[test]
    fn a_chart_reaches_its_local_dependencies() {
        let files = [
            ("web/Chart.yaml", "dependencies:\n- {name: a, repository: 'file://../a'}\n- {name: r, repository: 'https://x'}\n"),
            ("a/Chart.yaml", "dependencies:\n- {name: b, repository: 'file://./b'}\n- {name: up, repository: 'file://../../up'}\n"),
        ];
        let closure = of_chart(Path::new("web"), [Path::new("vals/p.yaml")], look(&files));
        assert_eq!(shown(&closure.trees), "a a/b web");
        assert_eq!(shown(&closure.files), "vals/p.yaml");
        assert_eq!(closure.outside.first().unwrap().written, "file://../../up");
    }
}
