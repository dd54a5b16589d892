//! The whole history of the branch, held against the rules: every commit must be a legal transition of its parent, references must resolve,
//! and the commits that promotions recorded must exist on their remotes. Problems are data; nothing is repaired.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::diagnostic::{Failure, FailureKind};
use crate::git::Oid;
use crate::model::{FreightName, ProjectName, PromotionName, PromotionPhase, StageName};

use super::branch::{Branch, BranchCommit};
use super::draft::{CHANGE_TRAILER, named_by};
use super::legal::{self, ChangeKind};
use super::records::{Record, RecordPath};

/// Blobs fetched in one batch.
const BATCH: usize = 10_000;

/// Something that should not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The commit that did it.
    pub commit: String,
    /// The file; empty: the commit itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// What is wrong, a sentence without a full stop.
    pub message: String,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Whether nothing is wrong.
    pub ok: bool,
    /// What is wrong, oldest commit first.
    pub problems: Vec<Problem>,
    /// How many commits were looked at.
    pub commits: usize,
}

/// Asks a remote which of these commits it does not have.
#[async_trait::async_trait]
pub trait Remotes: Sync {
    /// The commits, in hex, that cannot be found in the repository at `url`.
    ///
    /// # Errors
    /// Remote or Refused, if the repository cannot be asked.
    async fn absent(&self, url: &str, commits: &BTreeSet<String>) -> Result<BTreeSet<String>, Failure>;
}

/// Checks a branch from its root to its tip.
///
/// # Errors
/// What fetching says; problems of the ledger are findings, not errors.
pub async fn check(branch: &dyn Branch, remotes: &dyn Remotes) -> Result<Findings, Failure> {
    let Some(tip) = branch.fetch().await? else { return Ok(Findings { ok: true, ..Findings::default() }) };
    branch.deepen().await?;
    let history = history(branch, tip)?;
    let changes = changes(branch, &history)?;
    let blobs: BTreeSet<Oid> = changes.iter().flatten().filter(|change| change.path.ends_with(".yaml")).filter_map(|change| change.after).collect();
    let blobs: Vec<Oid> = blobs.into_iter().filter(|id| !branch.has_blob(*id)).collect();
    for batch in blobs.chunks(BATCH) {
        branch.prefetch(batch).await?;
    }
    let mut walk = Walk::new(branch);
    for ((id, commit), changes) in history.iter().zip(&changes) {
        walk.commit(*id, commit, changes)?;
    }
    walk.recorded_commits(tip, remotes).await?;
    Ok(Findings { ok: walk.problems.is_empty(), problems: walk.problems, commits: history.len() })
}

fn history(branch: &dyn Branch, tip: Oid) -> Result<Vec<(Oid, BranchCommit)>, Failure> {
    let mut history = Vec::new();
    let mut at = Some(tip);
    while let Some(id) = at {
        let commit = branch.commit(id)?.ok_or_else(|| {
            Failure::new(FailureKind::Remote, format!("commit {id} of the ledger cannot be fetched"))
                .hint("check that the ledger's repository is complete with `git fsck`")
        })?;
        at = commit.parents.first().copied();
        history.push((id, commit));
    }
    history.reverse();
    Ok(history)
}

/// A file that a commit changed.
struct FileChange {
    path: String,
    before: Option<Oid>,
    after: Option<Oid>,
}

/// What each commit changed. Equal subtrees are not opened, so a long history costs what changed in it.
fn changes(branch: &dyn Branch, history: &[(Oid, BranchCommit)]) -> Result<Vec<Vec<FileChange>>, Failure> {
    let mut trees = Trees { branch, known: BTreeMap::new() };
    let mut before = None;
    let mut all = Vec::with_capacity(history.len());
    for (_, commit) in history {
        let mut changed = Vec::new();
        trees.diff("", before, Some(commit.tree), &mut changed)?;
        before = Some(commit.tree);
        all.push(changed);
    }
    Ok(all)
}

type Entries = BTreeMap<String, (Oid, bool)>;

struct Trees<'a> {
    branch: &'a dyn Branch,
    /// The entries of the previous commit's trees: the next commit has most of them too.
    known: BTreeMap<Oid, Entries>,
}

impl Trees<'_> {
    fn entries(&mut self, tree: Option<Oid>) -> Result<Entries, Failure> {
        let Some(tree) = tree else { return Ok(Entries::new()) };
        if let Some(entries) = self.known.get(&tree) {
            return Ok(entries.clone());
        }
        let entries: Entries = self.branch.entries(tree)?.into_iter().map(|entry| (entry.name, (entry.id, entry.is_tree))).collect();
        if self.known.len() > 10_000 {
            self.known.clear();
        }
        self.known.insert(tree, entries.clone());
        Ok(entries)
    }

    fn diff(&mut self, folder: &str, before: Option<Oid>, after: Option<Oid>, changed: &mut Vec<FileChange>) -> Result<(), Failure> {
        if before == after {
            return Ok(());
        }
        let (old, new) = (self.entries(before)?, self.entries(after)?);
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let (was, is) = (old.get(name).copied(), new.get(name).copied());
            if was == is {
                continue;
            }
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let side = |entry: Option<(Oid, bool)>, tree: bool| entry.filter(|(_, is_tree)| *is_tree == tree).map(|(id, _)| id);
            if side(was, true).is_some() || side(is, true).is_some() {
                self.diff(&path, side(was, true), side(is, true), changed)?;
            }
            if side(was, false) != side(is, false) {
                changed.push(FileChange { path, before: side(was, false), after: side(is, false) });
            }
        }
        Ok(())
    }
}

/// The ledger as it was after the commit that was looked at last.
struct Walk<'a> {
    branch: &'a dyn Branch,
    problems: Vec<Problem>,
    freight: BTreeSet<(ProjectName, FreightName)>,
    promotions: BTreeMap<(ProjectName, StageName, PromotionName), PromotionPhase>,
    running: BTreeMap<(ProjectName, StageName), BTreeSet<PromotionName>>,
    /// What stages hold now.
    held: BTreeMap<(ProjectName, StageName), BTreeSet<FreightName>>,
    /// Commits that promotions recorded, by repository, with the ledger's commit and file that say so.
    recorded: BTreeMap<String, BTreeMap<String, (Oid, String)>>,
}

impl<'a> Walk<'a> {
    fn new(branch: &'a dyn Branch) -> Self {
        Self {
            branch,
            problems: Vec::new(),
            freight: BTreeSet::new(),
            promotions: BTreeMap::new(),
            running: BTreeMap::new(),
            held: BTreeMap::new(),
            recorded: BTreeMap::new(),
        }
    }

    fn report(&mut self, commit: Oid, file: &str, message: impl Into<String>) {
        self.problems.push(Problem { commit: commit.to_string(), file: file.to_owned(), message: message.into() });
    }

    fn commit(&mut self, id: Oid, commit: &BranchCommit, changes: &[FileChange]) -> Result<(), Failure> {
        if commit.parents.len() > 1 {
            self.report(id, "", "it is a merge; the ledger is never merged");
        }
        let trailers = trailers(&commit.message);
        let kind = match trailers.iter().find(|(key, _)| key == CHANGE_TRAILER) {
            None => ChangeKind::Ordinary,
            Some((_, value)) => ChangeKind::from_trailer(value).unwrap_or_else(|| {
                self.report(id, "", format!("its trailer `{CHANGE_TRAILER}: {value}` names no rule"));
                ChangeKind::Ordinary
            }),
        };
        if (kind == ChangeKind::Founding) != commit.parents.is_empty() {
            let message = if kind == ChangeKind::Founding {
                "only the first commit can begin the ledger"
            } else {
                "the first commit does not begin the ledger"
            };
            self.report(id, "", message);
        }
        let written: Vec<RecordPath> = changes.iter().filter(|change| change.after.is_some()).filter_map(|change| change.path.parse().ok()).collect();
        let retired = legal::retired(written.iter());
        let mut after = BTreeMap::new();
        for change in changes {
            let Ok(path) = change.path.parse::<RecordPath>() else {
                self.report(id, &change.path, "no file of the ledger lives here");
                continue;
            };
            self.check_named(id, &path, change, kind, &trailers);
            if !change.path.ends_with(".yaml") {
                continue;
            }
            let Some(new) = self.read(id, &change.path, change.after)? else { continue };
            // A file that was broken before was reported then; what replaces it is judged as new.
            let old = self.read_quietly(change.before)?;
            for problem in legal::change(old.as_ref(), new.as_ref(), kind, &retired) {
                self.report(id, &change.path, problem);
            }
            after.insert(path, new);
        }
        self.check_moves(id, &after, kind);
        self.take_over(id, &after);
        self.check_references(id, &after, kind);
        Ok(())
    }

    /// Some(None): the file is gone; None: it cannot be read, which was reported.
    fn read(&mut self, commit: Oid, path: &str, blob: Option<Oid>) -> Result<Option<Option<Record>>, Failure> {
        let Some(blob) = blob else { return Ok(Some(None)) };
        let Some(bytes) = self.branch.blob(blob)? else {
            self.report(commit, path, "its content cannot be fetched");
            return Ok(None);
        };
        match Record::from_yaml(&bytes) {
            Ok(record) => Ok(Some(Some(record))),
            Err(error) => {
                self.report(commit, path, format!("it cannot be read: {error}"));
                Ok(None)
            }
        }
    }

    fn read_quietly(&self, blob: Option<Oid>) -> Result<Option<Record>, Failure> {
        let Some(blob) = blob else { return Ok(None) };
        Ok(self.branch.blob(blob)?.and_then(|bytes| Record::from_yaml(&bytes).ok()))
    }

    /// An ordinary commit names every file it touches; retention removes only what retention may.
    fn check_named(&mut self, commit: Oid, path: &RecordPath, change: &FileChange, kind: ChangeKind, trailers: &[(String, String)]) {
        match kind {
            ChangeKind::Ordinary => {
                let has = |key: &str, value: &str| trailers.iter().any(|(k, v)| k == key && v == value);
                if let Some((key, value)) = named_by(path).into_iter().find(|(key, value)| !has(key, value)) {
                    self.report(commit, &change.path, format!("its commit does not name it: there is no trailer `{key}: {value}`"));
                }
            }
            ChangeKind::Retention => {
                let removable = matches!(path, RecordPath::Promotion(..) | RecordPath::Log(..) | RecordPath::Freight(..));
                let editable = matches!(path, RecordPath::Readme | RecordPath::Warehouse(..));
                if !(removable && change.after.is_none() || editable && change.after.is_some()) {
                    self.report(commit, &change.path, "retention may only remove ended promotions, logs and freight");
                }
            }
            ChangeKind::Founding => {
                if path.project().is_some() {
                    self.report(commit, &change.path, "the first commit already has records");
                }
            }
            ChangeKind::Migration => {
                if change.before.is_none() || change.after.is_none() {
                    self.report(commit, &change.path, "a migration may neither add nor remove files");
                }
            }
        }
    }

    /// A stage or warehouse that goes has to arrive in `retired/` in the same commit.
    fn check_moves(&mut self, commit: Oid, after: &BTreeMap<RecordPath, Option<Record>>, kind: ChangeKind) {
        if kind != ChangeKind::Ordinary {
            return;
        }
        for (path, record) in after {
            let retired = match path {
                RecordPath::Stage(project, stage) => RecordPath::RetiredStage(project.clone(), stage.clone()),
                RecordPath::Warehouse(project, warehouse) => RecordPath::RetiredWarehouse(project.clone(), warehouse.clone()),
                _ => continue,
            };
            if record.is_none() && !matches!(after.get(&retired), Some(Some(_))) {
                self.report(commit, &path.to_string(), format!("it was removed and did not move to `{retired}`"));
            }
        }
    }

    /// Brings what we know of the ledger to the state after the commit, and checks what concerns several records.
    fn take_over(&mut self, commit: Oid, after: &BTreeMap<RecordPath, Option<Record>>) {
        for (path, record) in after {
            match (path, record) {
                (RecordPath::Freight(project, name), record) => {
                    let key = (project.clone(), name.clone());
                    if record.is_some() {
                        self.freight.insert(key);
                    } else {
                        self.freight.remove(&key);
                        let holder =
                            self.held.iter().find(|((of, _), held)| of == project && held.contains(name)).map(|((_, stage), _)| stage.clone());
                        if let Some(stage) = holder {
                            self.report(commit, &path.to_string(), format!("it was removed while stage `{stage}` holds it"));
                        }
                    }
                }
                (RecordPath::Stage(project, stage), record) => {
                    let held = match record {
                        Some(Record::Stage(record)) => record
                            .status
                            .current_freight()
                            .into_iter()
                            .flat_map(|held| held.items.values())
                            .map(|freight| freight.name.clone())
                            .collect(),
                        _ => BTreeSet::new(),
                    };
                    self.held.insert((project.clone(), stage.clone()), held);
                }
                (RecordPath::Promotion(project, stage, name), Some(Record::Promotion(promotion))) => {
                    if promotion.spec.stage != *stage || promotion.name() != *name {
                        self.report(
                            commit,
                            &path.to_string(),
                            format!("it is the record of promotion `{}` of stage `{}`", promotion.name(), promotion.spec.stage),
                        );
                    }
                    let phase = promotion.status.phase;
                    self.promotions.insert((project.clone(), stage.clone(), name.clone()), phase);
                    let running = self.running.entry((project.clone(), stage.clone())).or_default();
                    if phase == PromotionPhase::Running {
                        running.insert(name.clone());
                    } else {
                        running.remove(name);
                    }
                    for written in promotion.status.consign.written.iter().filter(|written| !written.commit.is_empty()) {
                        self.recorded
                            .entry(written.repo_url.clone())
                            .or_default()
                            .entry(written.commit.clone())
                            .or_insert_with(|| (commit, path.to_string()));
                    }
                }
                (RecordPath::Promotion(project, stage, name), None) => {
                    self.promotions.remove(&(project.clone(), stage.clone(), name.clone()));
                    if let Some(running) = self.running.get_mut(&(project.clone(), stage.clone())) {
                        running.remove(name);
                    }
                }
                _ => {}
            }
        }
        let stages: BTreeSet<(ProjectName, StageName)> = after
            .keys()
            .filter_map(|path| match path {
                RecordPath::Promotion(project, stage, _) => Some((project.clone(), stage.clone())),
                _ => None,
            })
            .collect();
        for (project, stage) in stages {
            let running = self.running.get(&(project.clone(), stage.clone())).filter(|running| running.len() > 1).cloned();
            if let Some(running) = running {
                let names = running.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
                self.report(commit, &RecordPath::Stage(project, stage).to_string(), format!("more than one promotion is running: {names}"));
            }
        }
    }

    fn check_references(&mut self, commit: Oid, after: &BTreeMap<RecordPath, Option<Record>>, kind: ChangeKind) {
        if kind != ChangeKind::Ordinary {
            return;
        }
        for (path, record) in after {
            let missing = match (path, record) {
                (RecordPath::Stage(project, stage), Some(Record::Stage(record))) => {
                    let current = record.status.current_promotion.as_ref().map(|reference| reference.name.clone());
                    current
                        .filter(|name| !self.promotions.contains_key(&(project.clone(), stage.clone(), name.clone())))
                        .map(|name| format!("its current promotion `{name}` does not exist"))
                }
                (RecordPath::Promotion(project, ..), Some(Record::Promotion(promotion))) => {
                    let freight = &promotion.spec.freight;
                    let ended = promotion.status.phase.is_terminal();
                    (!freight.is_empty() && !ended && !self.freight.contains(&(project.clone(), freight.clone())))
                        .then(|| format!("its freight `{freight}` does not exist"))
                }
                (RecordPath::Warehouse(project, _), Some(Record::Warehouse(record))) => {
                    let gone = record.status.freight.iter().find(|live| !self.freight.contains(&(project.clone(), live.name.clone())));
                    gone.map(|live| format!("freight `{}` of its list does not exist", live.name))
                }
                _ => None,
            };
            if let Some(message) = missing {
                self.report(commit, &path.to_string(), message);
            }
        }
    }

    async fn recorded_commits(&mut self, tip: Oid, remotes: &dyn Remotes) -> Result<(), Failure> {
        for (url, commits) in std::mem::take(&mut self.recorded) {
            let wanted: BTreeSet<String> = commits.keys().cloned().collect();
            match remotes.absent(&url, &wanted).await {
                Ok(absent) => {
                    for commit in absent {
                        let (by, file) = commits.get(&commit).cloned().unwrap_or_else(|| (tip, String::new()));
                        self.report(by, &file, format!("commit `{commit}` that it recorded does not exist in `{url}`"));
                    }
                }
                Err(failure) => self.report(tip, "", format!("cannot tell whether the recorded commits exist in `{url}`: {failure}")),
            }
        }
        Ok(())
    }
}

/// The trailers of a message: the `Key: value` lines of its last paragraph.
fn trailers(message: &str) -> Vec<(String, String)> {
    let last = message.trim_end().rsplit("\n\n").next().unwrap_or_default();
    last.lines().filter_map(|line| line.split_once(": ")).map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect()
}

#[cfg(test)]
#[path = "fsck_tests.rs"]
mod tests;
