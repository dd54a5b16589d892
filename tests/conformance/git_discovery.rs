//! What a git subscription finds, in the very repositories that Kargo was measured on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use consign::config::admission::kinds::Kind;
use consign::config::admission::{NamespaceState, World, admit};
use consign::config::{Knowledge, RepositoryKind};
use consign::discover::git::{GitFinding, GitQuery, History};
use consign::freight;
use consign::git::Oid;
use consign::model::{DiscoveredCommit, Source, Warehouse};
use gix::ObjectId;
use gix::objs::Write as _;
use serde_json::{Value, json};

use super::harness::{Outcome, Runner};

/// Builds the repositories and runs the cases of `git-discovery.json`.
pub fn prepare(document: &Value) -> Runner {
    let folder = tempfile::tempdir().expect("a folder");
    let mut repositories = BTreeMap::new();
    for (name, definition) in document["repos"].as_object().expect("repos") {
        repositories.insert(name.clone(), Repository::build(&folder.path().join(name), definition));
    }
    Box::new(move |case| {
        let _kept_until_the_last_case = folder.path();
        let repository = &repositories[case["repo"].as_str().expect("repo")];
        let got = run(case, repository);
        let want = &case["want"];
        if same(want, &got, repository) {
            return Outcome::AsKargo;
        }
        match case.get("sane") {
            Some(sane) if same(sane, &got, repository) => Outcome::Sane,
            _ => Outcome::Differ(format!("got {got:?}\n    want {want}\n    sane {}", case["sane"])),
        }
    })
}

/// A repository of the file, rebuilt byte for byte.
struct Repository {
    sync: gix::ThreadSafeRepository,
    tips: BTreeMap<String, Oid>,
    /// Object ids by the file's names: `c1`, `tree:c1`, `blob:c1:PATH`, `tag:NAME`.
    names: BTreeMap<String, ObjectId>,
}

type Files = BTreeMap<String, (String, ObjectId)>;

impl Repository {
    fn build(folder: &std::path::Path, definition: &Value) -> Self {
        let repository = gix::init_bare(folder).expect("a repository");
        let write = |kind, bytes: &[u8]| repository.objects.write_buf(kind, bytes).expect("an object");
        let mut names = BTreeMap::new();
        let mut trees: BTreeMap<String, Files> = BTreeMap::new();
        for commit in list(&definition["commits"]) {
            let id = text(&commit["id"]);
            let parents: Vec<&str> = list(&commit["parents"]).iter().map(text).collect();
            let mut files = parents.first().map(|parent| trees[*parent].clone()).unwrap_or_default();
            for (path, change) in commit["files"].as_object().into_iter().flatten() {
                match change {
                    Value::Null => drop(files.remove(path)),
                    Value::String(content) => drop(files.insert(path.clone(), ("100644".into(), write(gix::objs::Kind::Blob, content.as_bytes())))),
                    other => {
                        let oid = match other["commit"].as_str() {
                            Some(commit) => commit.parse().expect("a commit id"),
                            None => write(gix::objs::Kind::Blob, text(&other["text"]).as_bytes()),
                        };
                        files.insert(path.clone(), (text(&other["mode"]).to_owned(), oid));
                    }
                }
            }
            let tree = write_tree(&files, &write);
            let mut body = format!("tree {tree}\n");
            for parent in parents {
                writeln!(body, "parent {}", names[parent]).expect("text");
            }
            let committer = if commit["committer"].is_null() { &commit["author"] } else { &commit["committer"] };
            write!(body, "author {}\ncommitter {}\n\n{}", identity(&commit["author"]), identity(committer), text(&commit["message"])).expect("text");
            let oid = write(gix::objs::Kind::Commit, body.as_bytes());
            assert_eq!(oid.to_string(), commit["sha"], "commit {id} is built exactly");
            names.insert(id.to_owned(), oid);
            names.insert(format!("tree:{id}"), tree);
            names.extend(files.iter().map(|(path, (_, blob))| (format!("blob:{id}:{path}"), *blob)));
            trees.insert(id.to_owned(), files);
        }
        let mut tips = BTreeMap::new();
        for tag in list(&definition["tags"]) {
            let name = text(&tag["name"]);
            let target_name = tag["target"].as_str().unwrap_or_else(|| text(&tag["commit"]));
            let mut oid = names[target_name];
            if tag["annotated"] == true {
                let kind = target_name.split_once(':').map_or("commit", |(kind, _)| kind);
                let mut body = format!("object {oid}\ntype {kind}\ntag {name}\n");
                if !tag["tagger"].is_null() {
                    writeln!(body, "tagger {}", identity(&tag["tagger"])).expect("text");
                }
                write!(body, "\n{}", text(&tag["message"])).expect("text");
                oid = write(gix::objs::Kind::Tag, body.as_bytes());
            }
            assert_eq!(oid.to_string(), tag["sha"], "tag {name} is built exactly");
            names.insert(format!("tag:{name}"), oid);
            tips.insert(format!("refs/tags/{name}"), tip(oid));
        }
        for (branch, commit) in definition["branches"].as_object().into_iter().flatten() {
            tips.insert(format!("refs/heads/{branch}"), tip(names[text(commit)]));
        }
        let head = match definition["detachedHead"].as_str() {
            Some(commit) => Some(tip(names[commit])),
            None => tips.get(&format!("refs/heads/{}", text(&definition["defaultBranch"]))).copied(),
        };
        tips.extend(head.map(|head| ("HEAD".to_owned(), head)));
        Self { sync: repository.into_sync(), tips, names }
    }

    /// The file's names for an object; equal trees and files share an id.
    fn names_of(&self, id: &str) -> Vec<&str> {
        let id: ObjectId = id.parse().expect("an object id");
        self.names.iter().filter(|(_, oid)| **oid == id).map(|(name, _)| name.as_str()).collect()
    }
}

fn write_tree(files: &Files, write: &dyn Fn(gix::objs::Kind, &[u8]) -> ObjectId) -> ObjectId {
    let mut entries: BTreeMap<Vec<u8>, (String, ObjectId)> = BTreeMap::new();
    let mut folders: BTreeMap<&str, Files> = BTreeMap::new();
    for (path, (mode, oid)) in files {
        match path.split_once('/') {
            None => drop(entries.insert(path.as_bytes().to_vec(), (mode.clone(), *oid))),
            Some((folder, rest)) => drop(folders.entry(folder).or_default().insert(rest.to_owned(), (mode.clone(), *oid))),
        }
    }
    for (folder, files) in folders {
        // git sorts a folder as if its name ended in a slash.
        entries.insert(format!("{folder}/").into_bytes(), ("40000".into(), write_tree(&files, write)));
    }
    let mut bytes = Vec::new();
    for (name, (mode, oid)) in entries {
        bytes.extend_from_slice(mode.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(name.strip_suffix(b"/").unwrap_or(&name));
        bytes.push(0);
        bytes.extend_from_slice(oid.as_slice());
    }
    write(gix::objs::Kind::Tree, &bytes)
}

fn tip(oid: ObjectId) -> Oid {
    oid.to_string().parse().expect("an object id")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

fn identity(value: &Value) -> String {
    format!("{} <{}> {}", text(&value["name"]), text(&value["email"]), text(&value["date"]))
}

/// Admission, then discovery; an error says at which stage it was found.
fn run(case: &Value, repository: &Repository) -> Result<GitFinding, (&'static str, String)> {
    let mut subscription = case["subscription"].clone();
    subscription["repoURL"] = json!("https://git.example.com/acme/repo.git");
    let warehouse = admitted(&json!({
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "Warehouse",
        "metadata": {"name": "w", "namespace": "shop"},
        "spec": {"subscriptions": [{"git": subscription}]},
    }))?;
    let warehouse: Warehouse = serde_json::from_value(warehouse).map_err(|error| ("admission", error.to_string()))?;
    let [subscription] = warehouse.spec.subscriptions.as_slice() else { panic!("one subscription") };
    let Source::Git(git) = &subscription.source else { panic!("a git subscription") };
    let local = repository.sync.to_thread_local();
    let found = GitQuery::new(git, jiff::Timestamp::UNIX_EPOCH).and_then(|query| History::new(&local, &repository.tips).discover(&query));
    found.map_err(|error| ("discovery", error.to_string()))
}

fn admitted(document: &Value) -> Result<Value, (&'static str, String)> {
    let knowledge = Knowledge {
        constraint: &|text| text.parse::<freight::semver::Constraint>().map(|_| ()).map_err(|error| error.to_string()),
        normalize: &|kind, url| match kind {
            RepositoryKind::Git => freight::url::git(url),
            RepositoryKind::Image => freight::url::image(url),
            RepositoryKind::Chart => freight::url::chart(url),
        },
        ..Knowledge::default()
    };
    let world = World {
        namespace: &|_| NamespaceState::Project,
        warehouses: &BTreeMap::new(),
        aliases: &BTreeSet::new(),
        now: jiff::Timestamp::UNIX_EPOCH,
        knowledge: &knowledge,
    };
    let admitted = admit(Kind::find("Warehouse").expect("a kind"), document, &world);
    match admitted.refused.first() {
        None => Ok(admitted.object),
        Some(finding) => Err(("admission", format!("{}: {}", finding.path, finding.message))),
    }
}

/// Compares commits in order: id, tag and branch of each, and every field of those entries that are written out.
fn same(want: &Value, got: &Result<GitFinding, (&'static str, String)>, repository: &Repository) -> bool {
    let found = match got {
        Err((stage, _)) => return want["error"] == true && (want["stage"].is_null() || want["stage"] == *stage),
        Ok(_) if !want["error"].is_null() => return false,
        Ok(found) => &found.commits,
    };
    let wanted = list(&want["commits"]);
    wanted.len() == found.len() && wanted.iter().zip(found).all(|(want, got)| same_commit(want, got, repository))
}

fn same_commit(want: &Value, got: &DiscoveredCommit, repository: &Repository) -> bool {
    let field = |name: &str| want[name].as_str().unwrap_or_default();
    let date = got.creator_date.map(|date| date.to_string()).unwrap_or_default();
    let whole = [("subject", &got.subject), ("author", &got.author), ("committer", &got.committer), ("creatorDate", &date)];
    repository.names_of(&got.id).contains(&field("commit"))
        && got.tag == field("tag")
        && got.branch == field("branch")
        && (want["creatorDate"].is_null() || whole.iter().all(|(name, got)| field(name) == got.as_str()))
}
