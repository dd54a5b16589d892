//! A branch in memory, for testing the room's logic without Git: trees and commits are kept whole, ids are made as Git makes them for blobs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use crate::diagnostic::{Failure, FailureKind};
use crate::git::Oid;

use super::branch::{Branch, BranchCommit, Pushed, TreeEntry};
use super::state::blob_id;

/// The remote that several [`Memory`] branches share.
#[derive(Default)]
pub(crate) struct Remote {
    objects: Mutex<Objects>,
    pub tip: Mutex<Option<Oid>>,
    /// What the next pushes do; empty: they work.
    pub misbehaviour: Mutex<Vec<Misbehaviour>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misbehaviour {
    /// Nothing arrives.
    CutBefore,
    /// The ref moves and the answer is lost.
    CutAfter,
    /// Turned away though nothing moved.
    TurnedAway,
    /// Forbidden.
    Refused,
}

#[derive(Default)]
struct Objects {
    blobs: HashMap<Oid, Vec<u8>>,
    trees: HashMap<Oid, Vec<TreeEntry>>,
    commits: HashMap<Oid, BranchCommit>,
}

/// One machine's view of the remote: blobs have to be prefetched.
pub(crate) struct Memory {
    remote: Arc<Remote>,
    here: Mutex<HashSet<Oid>>,
    pub prefetches: Mutex<Vec<usize>>,
    pub unsigned: Mutex<HashSet<Oid>>,
    trusted: Mutex<HashMap<String, Oid>>,
    pub checked: Mutex<usize>,
}

impl Memory {
    pub fn new(remote: &Arc<Remote>) -> Arc<Self> {
        Arc::new(Self {
            remote: Arc::clone(remote),
            here: Mutex::default(),
            prefetches: Mutex::default(),
            unsigned: Mutex::default(),
            trusted: Mutex::default(),
            checked: Mutex::default(),
        })
    }
}

fn write_tree(objects: &mut Objects, files: &BTreeMap<String, Oid>) -> Oid {
    let mut folders: BTreeMap<&str, BTreeMap<String, Oid>> = BTreeMap::new();
    let mut entries = Vec::new();
    for (path, id) in files {
        match path.split_once('/') {
            Some((folder, rest)) => {
                folders.entry(folder).or_default().insert(rest.to_owned(), *id);
            }
            None => entries.push(TreeEntry { name: path.clone(), id: *id, is_tree: false }),
        }
    }
    for (name, files) in folders {
        entries.push(TreeEntry { name: name.to_owned(), id: write_tree(objects, &files), is_tree: true });
    }
    let text: String = entries.iter().map(|entry| format!("{} {} {}\n", entry.is_tree, entry.name, entry.id)).collect();
    let id = blob_id(format!("tree\n{text}").as_bytes());
    objects.trees.insert(id, entries);
    id
}

fn read_tree(objects: &Objects, tree: Oid, prefix: &str, files: &mut BTreeMap<String, Oid>) {
    for entry in &objects.trees[&tree] {
        if entry.is_tree {
            read_tree(objects, entry.id, &format!("{prefix}{}/", entry.name), files);
        } else {
            files.insert(format!("{prefix}{}", entry.name), entry.id);
        }
    }
}

#[async_trait::async_trait]
impl Branch for Memory {
    fn name(&self) -> &str {
        "refs/heads/consign/state"
    }

    async fn fetch(&self) -> Result<Option<Oid>, Failure> {
        tokio::task::yield_now().await;
        Ok(*self.remote.tip.lock().unwrap())
    }

    async fn prefetch(&self, blobs: &[Oid]) -> Result<(), Failure> {
        self.prefetches.lock().unwrap().push(blobs.len());
        self.here.lock().unwrap().extend(blobs.iter().copied());
        Ok(())
    }

    async fn deepen(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn commit(&self, id: Oid) -> Result<Option<BranchCommit>, Failure> {
        Ok(self.remote.objects.lock().unwrap().commits.get(&id).cloned())
    }

    fn entries(&self, tree: Oid) -> Result<Vec<TreeEntry>, Failure> {
        Ok(self.remote.objects.lock().unwrap().trees[&tree].clone())
    }

    fn has_blob(&self, id: Oid) -> bool {
        self.here.lock().unwrap().contains(&id)
    }

    fn blob(&self, id: Oid) -> Result<Option<Vec<u8>>, Failure> {
        Ok(self.has_blob(id).then(|| self.remote.objects.lock().unwrap().blobs[&id].clone()))
    }

    fn write_commit(&self, parent: Option<Oid>, edits: &[(String, Option<Vec<u8>>)], message: &str, at: Timestamp) -> Result<Oid, Failure> {
        let mut objects = self.remote.objects.lock().unwrap();
        let mut files = BTreeMap::new();
        if let Some(parent) = parent {
            let tree = objects.commits[&parent].tree;
            read_tree(&objects, tree, "", &mut files);
        }
        for (path, content) in edits {
            match content {
                None => {
                    files.remove(path);
                }
                Some(bytes) => {
                    let id = blob_id(bytes);
                    objects.blobs.insert(id, bytes.clone());
                    self.here.lock().unwrap().insert(id);
                    files.insert(path.clone(), id);
                }
            }
        }
        let tree = write_tree(&mut objects, &files);
        let commit = BranchCommit { tree, parents: parent.into_iter().collect(), message: message.to_owned(), seconds: at.as_second() };
        let id = blob_id(format!("commit\n{tree}\n{parent:?}\n{}\n{message}", at.as_second()).as_bytes());
        objects.commits.insert(id, commit);
        Ok(id)
    }

    async fn push(&self, new: Oid, expected: Option<Oid>) -> Result<Pushed, Failure> {
        tokio::task::yield_now().await;
        let misbehaviour = self.remote.misbehaviour.lock().unwrap().pop();
        let cut = || Failure::new(FailureKind::Remote, "the connection was cut");
        match misbehaviour {
            Some(Misbehaviour::CutBefore) => return Err(cut()),
            Some(Misbehaviour::TurnedAway) => return Ok(Pushed::Lost),
            Some(Misbehaviour::Refused) => return Ok(Pushed::Refused(Failure::new(FailureKind::Refused, "a ruleset forbids it"))),
            Some(Misbehaviour::CutAfter) | None => {}
        }
        let mut tip = self.remote.tip.lock().unwrap();
        if *tip != expected && *tip != Some(new) {
            return Ok(Pushed::Lost);
        }
        *tip = Some(new);
        if misbehaviour.is_some() { Err(cut()) } else { Ok(Pushed::Landed) }
    }

    async fn first_untrusted(&self, commits: &[Oid], _trusted_keys: &[String]) -> Result<Option<Oid>, Failure> {
        *self.checked.lock().unwrap() += commits.len();
        let unsigned = self.unsigned.lock().unwrap();
        Ok(commits.iter().find(|id| unsigned.contains(*id)).copied())
    }

    fn cache_folder(&self) -> Option<std::path::PathBuf> {
        None
    }

    fn trusted_until(&self, key: &str) -> Option<Oid> {
        self.trusted.lock().unwrap().get(key).copied()
    }

    fn trust_until(&self, key: &str, commit: Oid) {
        self.trusted.lock().unwrap().insert(key.to_owned(), commit);
    }
}

/// A README that only counts, for tests of what is not about it.
pub(crate) fn plain_readme(state: &super::State) -> Result<String, super::Stop> {
    Ok(format!("# Ledger\n\n{} projects\n", state.projects()?.len()))
}
