//! Repositories: setting them up, what others do to them, and what a step left in them.
//!
//! Repositories are made and remotes are read with libgit2, commits of the step with the `git` executable: readers that share no code with
//! the rooms that wrote them.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use consign::promote::workspace::Workspace;
use git2::{ObjectType, Oid, Repository, Signature, Time};
use serde_json::{Map, Value, json};

use super::Scene;
use super::files::{Item, Snapshot};

/// The bare repositories of a case.
pub struct Repositories {
    folders: BTreeMap<String, PathBuf>,
    /// Commits by their numbers.
    numbers: BTreeMap<u64, Oid>,
    /// Commits made by steps, in the order of their numbers.
    made: Vec<u64>,
    before: BTreeMap<String, Value>,
    tags_before: Map<String, Value>,
}

impl Repositories {
    /// Makes them.
    pub fn build(scene: &mut Scene, case: &Value) -> Result<Self, String> {
        let mut all = Self { folders: BTreeMap::new(), numbers: BTreeMap::new(), made: Vec::new(), before: BTreeMap::new(), tags_before: Map::new() };
        for (name, content) in case["repos"].as_object().into_iter().flatten() {
            let folder = scene.beside(&format!("{name}.git"));
            let repository = Repository::init_opts(&folder, git2::RepositoryInitOptions::new().bare(true).initial_head("main")).map_err(text)?;
            let mut config = repository.config().map_err(text)?;
            // What every forge allows: filtered fetches and fetching an object by its name.
            config.set_bool("uploadpack.allowFilter", true).map_err(text)?;
            config.set_bool("uploadpack.allowAnySHA1InWant", true).map_err(text)?;
            scene.placeholders.push((format!("{{{{repo:{name}}}}}"), format!("file://{}", folder.display())));
            all.folders.insert(name.clone(), folder.clone());
            all.add(scene, name, content)?;
            let protected: Vec<&str> = content["protected"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            if !protected.is_empty() {
                let refs = protected.iter().map(|branch| format!("refs/heads/{branch}")).collect::<Vec<_>>().join("|");
                let hook = folder.join("hooks/update");
                std::fs::create_dir_all(folder.join("hooks")).map_err(text)?;
                std::fs::write(&hook, format!("#!/bin/sh\ncase \"$1\" in {refs}) echo 'branch is protected' >&2; exit 1;; esac\n")).map_err(text)?;
                std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).map_err(text)?;
            }
        }
        if !all.folders.is_empty() {
            let aliases = case["remoteURLs"].as_object().into_iter().flatten();
            let aliases: Vec<(String, String)> = aliases
                .filter_map(|(url, name)| Some((format!("url.file://{}.insteadOf", all.folders.get(name.as_str()?)?.display()), url.clone())))
                .collect();
            let policy = case["settings"]["GIT_PUSH_INTEGRATION_POLICY"].as_str();
            scene.open_git(aliases, policy)?;
        }
        Ok(all)
    }

    /// Adds commits and moves refs.
    fn add(&mut self, scene: &mut Scene, name: &str, content: &Value) -> Result<(), String> {
        let repository = Repository::open_bare(self.folders.get(name).ok_or_else(|| format!("no repository `{name}`"))?).map_err(text)?;
        for commit in content["commits"].as_array().into_iter().flatten() {
            let number = commit["id"].as_u64().ok_or("a commit has a number")?;
            let parents: Vec<git2::Commit<'_>> = commit["parents"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|parent| {
                    let parent = parent.as_u64().and_then(|number| self.numbers.get(&number)).ok_or("a parent comes first")?;
                    repository.find_commit(*parent).map_err(text)
                })
                .collect::<Result<_, String>>()?;
            let mut entries = Entries::default();
            if let Some(parent) = parents.first() {
                entries.read(&parent.tree().map_err(text)?)?;
            }
            for (path, file) in commit["changes"].as_object().into_iter().flatten() {
                if file.is_null() {
                    entries.0.remove(path);
                    continue;
                }
                let (bytes, mode) = match (file["text"].as_str(), file["base64"].as_str(), file["symlink"].as_str()) {
                    (Some(content), ..) => (content.as_bytes().to_vec(), if file["mode"] == "0755" { 0o100_755 } else { 0o100_644 }),
                    (_, Some(content), _) => (base64::engine::general_purpose::STANDARD.decode(content).map_err(text)?, 0o100_644),
                    (_, _, Some(target)) => (target.as_bytes().to_vec(), 0o120_000),
                    _ => return Err(format!("an unknown kind of file: {file}")),
                };
                entries.0.insert(path.clone(), (repository.blob(&bytes).map_err(text)?, mode));
            }
            let tree = repository.find_tree(entries.write(&repository)?).map_err(text)?;
            let author = commit["author"].as_str().unwrap_or("Ada Okafor <ada@example.com>");
            let (person, address) = author.trim_end_matches('>').split_once(" <").ok_or("an author is `Name <address>`")?;
            let number_of_seconds = i64::try_from(number).map_err(text)? * 60;
            let author = Signature::new(person, address, &Time::new(1_767_225_600 + number_of_seconds, 0)).map_err(text)?;
            let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
            let oid = repository.commit(None, &author, &author, commit["message"].as_str().unwrap_or("m"), &tree, &parents).map_err(text)?;
            self.numbers.insert(number, oid);
            scene.placeholders.push((format!("{{{{sha:{number}}}}}"), oid.to_string()));
        }
        for (branch, number) in content["branches"].as_object().into_iter().flatten() {
            let oid = number.as_u64().and_then(|number| self.numbers.get(&number)).ok_or("a branch is at a commit")?;
            repository.reference(&format!("refs/heads/{branch}"), *oid, true, "").map_err(text)?;
        }
        for branch in content["deleteBranches"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            repository.find_reference(&format!("refs/heads/{branch}")).and_then(|mut found| found.delete()).map_err(text)?;
        }
        for (tag, what) in content["tags"].as_object().into_iter().flatten() {
            let oid = what["commit"].as_u64().and_then(|number| self.numbers.get(&number)).ok_or("a tag is at a commit")?;
            let commit = repository.find_object(*oid, Some(ObjectType::Commit)).map_err(text)?;
            if what["annotated"] == true {
                let tagger = Signature::new("Ada Okafor", "ada@example.com", &Time::new(1_767_225_600, 0)).map_err(text)?;
                repository.tag(tag, &commit, &tagger, what["message"].as_str().unwrap_or("m"), false).map_err(text)?;
            } else {
                repository.tag_lightweight(tag, &commit, false).map_err(text)?;
            }
        }
        Ok(())
    }

    /// An action before the step that is not the scene's own: commits of somebody else.
    pub fn act(&mut self, scene: &mut Scene, action: &Value) -> Result<(), String> {
        match action["remote"].as_str() {
            Some(name) => self.add(scene, name, action),
            None => Err(format!("an unknown action: {action}")),
        }
    }

    /// Gives numbers to commits that steps have made since the last time, from each work tree's head backwards.
    pub fn number(&mut self, scene: &mut Scene) -> Result<(), String> {
        let known: HashSet<Oid> = self.numbers.values().copied().collect();
        let mut next = self.numbers.keys().next_back().map_or(1, |last| last + 1);
        let mut found = HashSet::new();
        for (store, head) in heads(&scene.workspace) {
            let mut open = vec![head];
            while let Some(commit) = open.pop() {
                let oid = Oid::from_str(&commit).map_err(text)?;
                if known.contains(&oid) || !found.insert(oid) {
                    continue;
                }
                self.numbers.insert(next, oid);
                self.made.push(next);
                scene.placeholders.push((format!("{{{{sha:{next}}}}}"), commit.clone()));
                next += 1;
                let parents = git(&store, &["log", "-1", "--format=%P", &commit])?;
                open.extend(parents.split_whitespace().rev().map(str::to_owned));
            }
        }
        self.made.sort_unstable();
        Ok(())
    }

    /// Remembers the refs as they are now.
    pub fn before_step(&mut self, workspace: &Workspace) -> Result<(), String> {
        for (name, folder) in &self.folders {
            self.before.insert(name.clone(), self.refs(folder)?);
        }
        self.tags_before = self.local_tags(workspace)?;
        Ok(())
    }

    /// `repos`, `commits`, `worktrees` and `localTags` of a result.
    pub async fn observe(&mut self, scene: &mut Scene, got: &mut Map<String, Value>) -> Result<(), String> {
        if self.folders.is_empty() {
            return Ok(());
        }
        self.number(scene)?;
        let mut repos = Map::new();
        for (name, folder) in &self.folders {
            let (old, new) = (&self.before[name], self.refs(folder)?);
            let mut changed = Map::new();
            for kind in ["branches", "tags"] {
                let (old, new) = (old[kind].as_object().cloned().unwrap_or_default(), new[kind].as_object().cloned().unwrap_or_default());
                let mut differing: Map<String, Value> =
                    new.iter().filter(|(name, value)| old.get(*name) != Some(value)).map(|(n, v)| (n.clone(), v.clone())).collect();
                differing.extend(old.keys().filter(|name| !new.contains_key(*name)).map(|name| (name.clone(), Value::Null)));
                if !differing.is_empty() {
                    changed.insert(kind.into(), Value::Object(differing));
                }
            }
            if !changed.is_empty() {
                repos.insert(name.clone(), Value::Object(changed));
            }
        }
        if !repos.is_empty() {
            got.insert("repos".into(), Value::Object(repos));
        }
        let mut tags = self.local_tags(&scene.workspace)?;
        tags.retain(|name, tag| self.tags_before.get(name) != Some(tag));
        if !tags.is_empty() {
            got.insert("localTags".into(), Value::Object(tags));
        }
        let mut worktrees = Map::new();
        for checkout in scene.workspace.checkouts() {
            let oid = Oid::from_str(&checkout.head().to_string()).map_err(text)?;
            let mut tree = json!({"head": self.number_of(oid)});
            match checkout.branch() {
                Some(branch) => tree["branch"] = json!(branch),
                None => tree["detached"] = json!(true),
            }
            worktrees.insert(scene.workspace.display(checkout.path()), tree);
        }
        let names: Vec<String> = worktrees.keys().cloned().collect();
        for name in names {
            let status = scene.workspace.status(&name).await.map_err(|failure| failure.message)?;
            if !status.is_empty() {
                worktrees[&name]["status"] = json!(status);
            }
        }
        if !worktrees.is_empty() {
            got.insert("worktrees".into(), Value::Object(worktrees));
        }
        let stores: Vec<PathBuf> = heads(&scene.workspace).into_iter().map(|(store, _)| store).collect();
        let commits: Vec<Value> = self.made.iter().map(|number| self.describe(*number, &stores)).collect::<Result<_, _>>()?;
        if !commits.is_empty() {
            got.insert("commits".into(), json!(commits));
        }
        Ok(())
    }

    fn number_of(&self, oid: Oid) -> Value {
        self.numbers.iter().find(|(_, one)| **one == oid).map_or_else(|| json!(oid.to_string()), |(number, _)| json!(number))
    }

    fn refs(&self, folder: &Path) -> Result<Value, String> {
        let repository = Repository::open_bare(folder).map_err(text)?;
        let (mut branches, mut tags) = (Map::new(), Map::new());
        for reference in repository.references().map_err(text)? {
            let reference = reference.map_err(text)?;
            let name = reference.name().map_err(text)?.to_owned();
            let Some(target) = reference.target() else { continue };
            if let Some(branch) = name.strip_prefix("refs/heads/") {
                branches.insert(branch.to_owned(), self.number_of(target));
            } else if let Some(tag) = name.strip_prefix("refs/tags/") {
                let described = match repository.find_tag(target) {
                    Ok(found) => json!({
                        "annotated": true,
                        "commit": self.number_of(found.target_id()),
                        "message": found.message().ok().flatten().unwrap_or_default().trim_end(),
                        "tagger": found.tagger().map(|who| who.to_string()),
                    }),
                    Err(_) => json!({"commit": self.number_of(target)}),
                };
                tags.insert(tag.to_owned(), described);
            }
        }
        Ok(json!({"branches": branches, "tags": tags}))
    }

    fn local_tags(&self, workspace: &Workspace) -> Result<Map<String, Value>, String> {
        let mut tags = Map::new();
        for checkout in workspace.checkouts() {
            for (name, oid) in checkout.tags() {
                let raw = git(checkout.store_folder(), &["cat-file", "-p", &oid.to_string()])?;
                let (head, message) = raw.split_once("\n\n").ok_or("a tag has a message")?;
                let field = |key: &str| head.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().to_owned();
                let tagger = field("tagger ");
                tags.insert(
                    name.clone(),
                    json!({
                        "annotated": true,
                        "commit": self.number_of(Oid::from_str(&field("object ")).map_err(text)?),
                        "message": message.trim_end(),
                        "tagger": tagger[..tagger.find('>').map_or(0, |end| end + 1)],
                    }),
                );
            }
        }
        Ok(tags)
    }

    /// A commit as a case tells it, read with git.
    fn describe(&self, number: u64, stores: &[PathBuf]) -> Result<Value, String> {
        let oid = self.numbers[&number].to_string();
        let store = stores.iter().find(|store| git(store, &["cat-file", "-e", &oid]).is_ok()).ok_or("a commit is in its store")?;
        let raw = git(store, &["log", "-1", "--format=%an <%ae>%n%cn <%ce>%n%P%n%B", &oid])?;
        let mut lines = raw.splitn(4, '\n');
        let (author, committer, parents) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        let message = lines.next().unwrap_or_default().trim_end_matches('\n');
        let parents: Vec<&str> = parents.split_whitespace().collect();
        let numbers: Vec<Value> =
            parents.iter().map(|parent| Oid::from_str(parent).map(|oid| self.number_of(oid)).map_err(text)).collect::<Result<_, _>>()?;
        let mut described = json!({"id": number, "author": author, "committer": committer, "message": message, "parents": numbers});
        let mut range = vec!["diff-tree", "-r", "--no-renames", "--no-commit-id", "--root"];
        range.extend(parents.first());
        range.push(&oid);
        let mut changes = Map::new();
        for line in git(store, &range)?.lines() {
            let (meta, path) = line.split_once('\t').ok_or("a line of diff-tree has a tab")?;
            let fields: Vec<&str> = meta.split(' ').collect();
            let change = match (fields[1], fields[4]) {
                (_, "D") => Value::Null,
                (mode, _) => {
                    let content = git(store, &["cat-file", "blob", fields[3]])?;
                    match mode {
                        "120000" => json!({"symlink": content}),
                        "100755" => json!({"text": content, "mode": "0755"}),
                        _ => json!({"text": content}),
                    }
                }
            };
            changes.insert(path.to_owned(), change);
        }
        if !changes.is_empty() {
            described["changes"] = Value::Object(changes);
        }
        Ok(described)
    }
}

/// Adds what a lazily filled folder has not on disk to a snapshot, read from the store.
pub fn fill(repositories: &Repositories, workspace: &Workspace, snapshot: &mut Snapshot) -> Result<(), String> {
    for path in workspace.list(workspace.root()).map_err(|failure| failure.message)? {
        let name = workspace.display(&path);
        if snapshot.contains_key(&name) {
            continue;
        }
        let checkout = workspace
            .checkouts()
            .iter()
            .filter(|checkout| path.starts_with(checkout.path()))
            .max_by_key(|checkout| checkout.path().components().count())
            .ok_or("what is not on disk is in a checkout")?;
        let relative = path.strip_prefix(checkout.path()).map_err(text)?.display().to_string();
        let head = checkout.head().to_string();
        let entry = git(checkout.store_folder(), &["ls-tree", &head, "--", &relative])?;
        let fields: Vec<&str> = entry.split_whitespace().collect();
        let item = match fields.as_slice() {
            [mode, _, oid, ..] => {
                // A lazy store may not have it; then some repository of the case has.
                let bytes = std::iter::once(checkout.store_folder())
                    .chain(repositories.folders.values().map(PathBuf::as_path))
                    .find_map(|folder| git_bytes(folder, &["cat-file", "blob", oid]).ok())
                    .ok_or_else(|| format!("the content of `{name}` is nowhere"))?;
                match *mode {
                    "120000" => Item::Link(String::from_utf8_lossy(&bytes).into_owned()),
                    "100755" => Item::File { bytes, mode: 0o755 },
                    _ => Item::File { bytes, mode: 0o644 },
                }
            }
            _ => return Err(format!("`{name}` is listed, but not in the tree")),
        };
        for folder in Path::new(&name).ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
            snapshot.entry(folder.display().to_string()).or_insert(Item::Folder);
        }
        snapshot.insert(name, item);
    }
    Ok(())
}

/// Stores and heads of the work trees, in the order of their paths.
fn heads(workspace: &Workspace) -> Vec<(PathBuf, String)> {
    let mut all: Vec<_> = workspace.checkouts().iter().collect();
    all.sort_by_key(|checkout| checkout.path().to_owned());
    all.into_iter().map(|checkout| (checkout.store_folder().to_owned(), checkout.head().to_string())).collect()
}

fn git(store: &Path, arguments: &[&str]) -> Result<String, String> {
    git_bytes(store, arguments).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn git_bytes(store: &Path, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let output = Command::new("git")
        .arg("--git-dir")
        .arg(store)
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_ALLOW_PROTOCOL", "none")
        .env("HOME", store)
        .output()
        .map_err(text)?;
    if output.status.success() { Ok(output.stdout) } else { Err(format!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr))) }
}

/// A tree as a flat list.
#[derive(Default)]
struct Entries(BTreeMap<String, (Oid, i32)>);

impl Entries {
    fn read(&mut self, tree: &git2::Tree<'_>) -> Result<(), String> {
        let mut problem = None;
        tree.walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
            if entry.kind() == Some(ObjectType::Blob) {
                match entry.name() {
                    Ok(name) => drop(self.0.insert(format!("{folder}{name}"), (entry.id(), entry.filemode()))),
                    Err(error) => problem = Some(text(error)),
                }
            }
            git2::TreeWalkResult::Ok
        })
        .map_err(text)?;
        problem.map_or(Ok(()), Err)
    }

    fn write(&self, repository: &Repository) -> Result<Oid, String> {
        let empty = repository.find_tree(repository.treebuilder(None).and_then(|builder| builder.write()).map_err(text)?).map_err(text)?;
        let mut update = git2::build::TreeUpdateBuilder::new();
        for (path, (oid, mode)) in &self.0 {
            let mode = match mode {
                0o100_755 => git2::FileMode::BlobExecutable,
                0o120_000 => git2::FileMode::Link,
                _ => git2::FileMode::Blob,
            };
            update.upsert(path.as_str(), *oid, mode);
        }
        update.create_updated(repository, &empty).map_err(text)
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
