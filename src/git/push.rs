//! One push: many refs, all or nothing, each with what it expects to replace.

use std::collections::{BTreeMap, HashSet};

use super::command::Output;
use super::diff::diff;
use super::fetch::RefPattern;
use super::objects::{ObjectError, commit, has};
use super::oid::Oid;
use super::store::Store;
use super::url::check_ref_name;
use super::words::failure;
use crate::diagnostic::{Failure, FailureKind};

/// Commits of ours that are looked at to see whether delta bases are here; a longer chain is sent without deltas.
const DELTA_LOOK: usize = 2_000;

/// What a ref update expects to find on the remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The ref stands exactly here.
    At(Oid),
    /// The ref does not exist.
    Absent,
    /// Whatever is there; without force it must be an ancestor.
    Anything,
}

/// One ref to be moved on the remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefUpdate {
    /// Full name.
    pub name: String,
    /// What it must find.
    pub expected: Expected,
    /// Where it is to stand; None: it is deleted.
    pub new: Option<Oid>,
    /// Allow the new commit not to descend from the old one.
    pub force: bool,
}

impl RefUpdate {
    /// Moves a ref on from what we last saw (or makes it): only if nobody moved it meanwhile.
    pub fn forward(name: impl Into<String>, from: Option<Oid>, new: Oid) -> Self {
        Self { name: name.into(), expected: from.map_or(Expected::Absent, Expected::At), new: Some(new), force: false }
    }
}

/// What became of one ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefOutcome {
    /// It stands where it should, moved by us or there before.
    Updated,
    /// Somebody else moved it first.
    Stale(String),
    /// The remote says no, in its own words.
    Refused(String),
    /// Nothing is wrong with it, but another ref of the push failed.
    Bystander,
}

/// What became of a push. With `--atomic` either all refs are [`RefOutcome::Updated`] or none is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushOutcome {
    /// Each ref by full name.
    pub refs: BTreeMap<String, RefOutcome>,
    /// What the remote printed; refusals usually explain themselves here.
    pub said: Vec<String>,
}

impl PushOutcome {
    /// Whether everything landed.
    pub fn landed(&self) -> bool {
        self.refs.values().all(|outcome| *outcome == RefOutcome::Updated)
    }
}

impl Store {
    /// Pushes refs, all or nothing. A push whose answer was lost is settled by reading the refs again before anything is said about it.
    ///
    /// # Errors
    /// Refused, Remote or Tool, when the remote cannot be asked or does not let us in; Config, for a ref name git would misread;
    /// Internal, for a move that is no fast-forward and not forced. A ref that is refused or stale is no error but an outcome; after a
    /// stale one the tips of these refs have been read again.
    pub async fn push(&self, updates: &[RefUpdate]) -> Result<PushOutcome, Failure> {
        let _turn = self.network.lock().await;
        self.check(updates)?;
        let mut tried = 0;
        let outcome = loop {
            tried += 1;
            let output = self.push_once(updates).await?;
            if let Some(outcome) = read_outcome(updates, &output) {
                let stale = outcome.refs.values().any(|outcome| matches!(outcome, RefOutcome::Stale(_)));
                if !stale {
                    break outcome;
                }
                // The one who moved them may have been us: when a connection is cut, git's HTTP library sends a request again by itself, and
                // the second copy finds the work of the first.
                break self.settle(updates).await?.filter(PushOutcome::landed).unwrap_or(outcome);
            }
            if output.stderr.contains("does not support --atomic") {
                return Err(Failure::new(
                    FailureKind::Remote,
                    format!("the server of `{}` cannot update several refs at once or not at all", self.url()),
                )
                .hint("consign needs a Git server with atomic pushes, as all common forges have"));
            }
            // No word about some ref: the push may have landed all the same.
            let error = failure(&format!("push to `{}`", self.url()), &output.stderr);
            if error.kind == FailureKind::Refused {
                return Err(error);
            }
            tracing::info!(target: "consign::git", url = %self.url(), "a push got no answer; reading the refs again");
            match self.settle(updates).await? {
                Some(outcome) => break outcome,
                None if tried < self.git.settings().attempts.max(1) => {}
                None => return Err(error),
            }
        };
        if outcome.landed() {
            self.moved(&updates.iter().map(|update| (update.name.clone(), update.new)).collect::<Vec<_>>());
        }
        Ok(outcome)
    }

    fn check(&self, updates: &[RefUpdate]) -> Result<(), Failure> {
        let mut names = HashSet::new();
        for update in updates {
            check_ref_name(&update.name)?;
            if !names.insert(&update.name) {
                return Err(Failure::new(FailureKind::Internal, format!("`{}` is twice in one push", update.name)));
            }
            if let (Expected::At(old), Some(new), false) = (update.expected, update.new, update.force) {
                // A lease replaces git's own check, so the fast-forward is ours to check.
                if self.has(old) && !self.is_ancestor(old, self.peel(new)?)? {
                    return Err(Failure::new(
                        FailureKind::Internal,
                        format!("`{new}` does not descend from `{old}`, where `{}` stands", update.name),
                    ));
                }
            }
        }
        Ok(())
    }

    async fn push_once(&self, updates: &[RefUpdate]) -> Result<Output, Failure> {
        let mut git = self.invoke_remote("push");
        if self.lacks_delta_base(updates) {
            // Packing with deltas would fetch the missing old version, one connection per file.
            git = git.config("pack.window", "0");
        }
        git = git.args(["push", "--porcelain", "--atomic", "--no-verify", "--no-recurse-submodules", "--no-progress"]);
        for update in updates {
            match update.expected {
                Expected::At(oid) => git = git.arg(format!("--force-with-lease={}:{oid}", update.name)),
                Expected::Absent => git = git.arg(format!("--force-with-lease={}:", update.name)),
                Expected::Anything => {}
            }
        }
        git = git.args(["--", "origin"]);
        for update in updates {
            let plus = if update.force && update.expected == Expected::Anything { "+" } else { "" };
            git = git.arg(match update.new {
                Some(new) => format!("{plus}{new}:{}", update.name),
                None => format!(":{}", update.name),
            });
        }
        git.run().await
    }

    /// Whether git would look for the old version of a changed file that was never fetched.
    fn lacks_delta_base(&self, updates: &[RefUpdate]) -> bool {
        let repository = self.repository();
        let written = self.memory().written.clone();
        let tips: HashSet<Oid> = self.tips().values().copied().collect();
        let mut pending: Vec<Oid> = updates.iter().filter_map(|update| update.new).collect();
        let mut seen: HashSet<Oid> = HashSet::new();
        while let Some(oid) = pending.pop() {
            if tips.contains(&oid) || !seen.insert(oid) {
                continue;
            }
            if seen.len() > DELTA_LOOK {
                return true;
            }
            match self.peel(oid) {
                Ok(commit) if commit == oid => {}
                Ok(commit) => {
                    pending.push(commit);
                    continue;
                }
                Err(_) => return true,
            }
            if !written.contains(&oid) {
                // Either a tool made it in a working tree, or it came from the remote; not worth finding out.
                return true;
            }
            match parents_with_bases(&repository, oid) {
                Ok(Some(parents)) => pending.extend(parents.into_iter().filter(|parent| written.contains(parent))),
                Ok(None) | Err(_) => return true,
            }
        }
        false
    }

    /// Reads refs again after a push without an answer. None: nothing has moved, so it may be tried again.
    async fn settle(&self, updates: &[RefUpdate]) -> Result<Option<PushOutcome>, Failure> {
        let patterns = updates.iter().map(|update| RefPattern::new(&*update.name)).collect::<Result<_, _>>()?;
        let before = self.tips();
        self.fetch_names(&patterns).await?;
        let mut refs = BTreeMap::new();
        let (mut landed, mut untouched) = (0, 0);
        let reaches =
            |from: Oid, to: Oid| self.peel(to).is_ok_and(|to| self.peel(from).is_ok_and(|from| self.is_ancestor(to, from).unwrap_or(false)));
        for update in updates {
            let tip = self.tip(&update.name);
            let there = match (update.new, tip) {
                (new, tip) if new == tip => true,
                (Some(new), Some(tip)) => reaches(tip, new),
                _ => false,
            };
            let as_expected = match update.expected {
                Expected::At(oid) => tip == Some(oid),
                Expected::Absent => tip.is_none(),
                Expected::Anything => true,
            };
            // A ref that stood there before says nothing about this push.
            let old = match update.expected {
                Expected::At(oid) => Some(oid),
                Expected::Absent => None,
                Expected::Anything => before.get(&update.name).copied(),
            };
            let telling = match (old, update.new) {
                (Some(old), Some(new)) => old != new && !reaches(old, new),
                (old, new) => old != new,
            };
            let outcome = if there {
                landed += usize::from(telling);
                untouched += usize::from(!telling);
                RefOutcome::Updated
            } else if as_expected {
                untouched += 1;
                RefOutcome::Bystander
            } else {
                RefOutcome::Stale("moved by somebody else".to_owned())
            };
            refs.insert(update.name.clone(), outcome);
        }
        if landed > 0 {
            // All or nothing: one that landed proves the others, even where somebody has moved them on since.
            refs.values_mut().for_each(|outcome| *outcome = RefOutcome::Updated);
        } else if untouched == updates.len() {
            return Ok(None);
        }
        Ok(Some(PushOutcome { refs, said: Vec::new() }))
    }
}

/// The parents of a commit if the old version of every file it changed is here; else None.
fn parents_with_bases(repository: &gix::Repository, oid: Oid) -> Result<Option<Vec<Oid>>, ObjectError> {
    let this = commit(repository, oid)?;
    for parent in &this.parents {
        let mut changes = Vec::new();
        diff(repository, commit(repository, *parent)?.tree, this.tree, "", &mut changes)?;
        if changes.iter().filter_map(|change| change.before.as_ref()).any(|before| before.kind.is_blob() && !has(repository, before.oid)) {
            return Ok(None);
        }
    }
    Ok(Some(this.parents))
}

/// What git said about each ref; None: some ref is not accounted for.
fn read_outcome(updates: &[RefUpdate], output: &Output) -> Option<PushOutcome> {
    let said: Vec<String> = output
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("remote:"))
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    let said_all = said.join("\n");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let mut refs: BTreeMap<String, RefOutcome> = BTreeMap::new();
    let mut transaction_failed = false;
    for line in stdout.lines() {
        let mut fields = line.splitn(3, '\t');
        let (Some(flag), Some(names), Some(summary)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let Some((_, name)) = names.rsplit_once(':') else { continue };
        let outcome = match flag {
            " " | "+" | "-" | "*" | "=" => RefOutcome::Updated,
            "!" => read_rejection(summary, &said_all)?,
            _ => continue,
        };
        transaction_failed |= flag == "!" && summary.contains("atomic transaction failed");
        refs.insert(name.to_owned(), outcome);
    }
    if !updates.iter().all(|update| refs.contains_key(&update.name)) {
        return None;
    }
    if output.success() {
        return Some(PushOutcome { refs, said });
    }
    // Of an atomic push that failed nothing landed, whatever the line of a single ref says.
    for outcome in refs.values_mut().filter(|outcome| **outcome == RefOutcome::Updated) {
        *outcome = RefOutcome::Bystander;
    }
    if refs.values().all(|outcome| *outcome == RefOutcome::Bystander) {
        // git names no culprit: its server lost the race for some ref at the very end, or somebody's words name one.
        let named: Vec<String> = refs.keys().filter(|name| names_ref(&said_all, name)).cloned().collect();
        for (name, outcome) in &mut refs {
            if named.is_empty() || named.contains(name) {
                *outcome = if transaction_failed && !said_all.contains("hook") && !cannot_ever(&said_all) {
                    RefOutcome::Stale("atomic transaction failed".to_owned())
                } else {
                    RefOutcome::Refused(words("atomic push failed", &said))
                };
            }
        }
    }
    let refused: Vec<String> = refs.iter().filter(|(_, outcome)| matches!(outcome, RefOutcome::Refused(_))).map(|(name, _)| name.clone()).collect();
    if refused.len() == refs.len() && refs.len() > 1 {
        // All refused with one reason, as a `pre-receive` hook does; its words may still name the culprits.
        let named: Vec<&String> = refused.iter().filter(|name| names_ref(&said_all, name)).collect();
        if !named.is_empty() {
            for name in refused.iter().filter(|name| !named.contains(name)) {
                refs.insert(name.clone(), RefOutcome::Bystander);
            }
        }
    }
    for outcome in refs.values_mut() {
        if let RefOutcome::Refused(reason) = outcome {
            *reason = words(reason, &said);
        }
    }
    Some(PushOutcome { refs, said })
}

/// A rejection by its summary, `[remote rejected] (hook declined)`; None: git does not know what became of the ref.
fn read_rejection(summary: &str, said: &str) -> Option<RefOutcome> {
    let reason = summary.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(summary);
    if reason.contains("failed to report status") || reason.contains("unpacker error") && said.is_empty() || reason == "remote end hung up" {
        return None;
    }
    if reason.starts_with("atomic") {
        return Some(RefOutcome::Bystander);
    }
    let lost = ["stale info", "fetch first", "non-fast-forward", "needs force", "remote ref updated since checkout", "already exists"];
    let lost_at_server =
        ["failed to update ref", "cannot lock", "failed to lock", "unable to lock", "incorrect old value", "reference already exists"];
    if lost.contains(&reason) || (lost_at_server.iter().any(|words| reason.contains(words)) && !cannot_ever(said)) {
        return Some(RefOutcome::Stale(reason.to_owned()));
    }
    Some(RefOutcome::Refused(reason.to_owned()))
}

/// A ref that cannot exist beside another (`a` and `a/b`) looks like a lost race, but no repetition helps.
fn cannot_ever(said: &str) -> bool {
    said.contains("exists; cannot create")
}

/// Whether a text names a ref as a word of its own: `refs/heads/a` is not named by `refs/heads/a2`.
fn names_ref(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let part = |c: char| c.is_alphanumeric() || matches!(c, '/' | '-' | '_');
        let before = text[..at].chars().next_back();
        let mut after = text[at + name.len()..].chars();
        let next = after.next();
        let goes_on = next.is_some_and(part) || (next == Some('.') && after.next().is_some_and(part));
        !before.is_some_and(part) && !goes_on
    })
}

/// git's reason with the remote's own words.
fn words(reason: &str, said: &[String]) -> String {
    if said.is_empty() || reason.contains(": ") { reason.to_owned() } else { format!("{reason}: {}", said.join(" ")) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn update(name: &str) -> RefUpdate {
        RefUpdate { name: name.to_owned(), expected: Expected::Anything, new: Some(Oid::empty_tree()), force: false }
    }

    fn read(status: i32, stdout: &str, stderr: &str) -> Option<PushOutcome> {
        let updates = [update("refs/heads/a"), update("refs/heads/b")];
        read_outcome(&updates, &Output { status: Some(status), stdout: stdout.as_bytes().to_vec(), stderr: stderr.to_owned() })
    }

    #[test]
    fn a_stale_ref_makes_the_other_a_bystander() {
        let stdout = "To http://h/x\n!\t1:refs/heads/a\t[rejected] (stale info)\n!\t2:refs/heads/b\t[rejected] (atomic push failed)\nDone\n";
        let outcome = read(1, stdout, "error: failed to push some refs\nfatal: protocol error: bad line length character: erro\n").unwrap();
        assert_eq!(outcome.refs["refs/heads/a"], RefOutcome::Stale("stale info".into()));
        assert_eq!(outcome.refs["refs/heads/b"], RefOutcome::Bystander);
    }

    #[test]
    fn a_refused_ref_carries_the_servers_words() {
        let stdout =
            "To http://h/x\n!\t1:refs/heads/a\t[remote rejected] (hook declined)\n!\t2:refs/heads/b\t[remote rejected] (atomic push failure)\n";
        let outcome = read(1, stdout, "remote: branch a is frozen        \nerror: failed to push some refs\n").unwrap();
        assert_eq!(outcome.refs["refs/heads/a"], RefOutcome::Refused("hook declined: branch a is frozen".into()));
        assert_eq!(outcome.refs["refs/heads/b"], RefOutcome::Bystander);
    }

    #[test]
    fn a_hook_that_refuses_all_may_name_the_culprit() {
        let stdout =
            "!\t1:refs/heads/a\t[remote rejected] (pre-receive hook declined)\n!\t2:refs/heads/b\t[remote rejected] (pre-receive hook declined)\n";
        let outcome = read(1, stdout, "remote: error: GH006: Protected branch update failed for refs/heads/b.\n").unwrap();
        assert_eq!(outcome.refs["refs/heads/a"], RefOutcome::Bystander);
        assert!(matches!(&outcome.refs["refs/heads/b"], RefOutcome::Refused(words) if words.contains("GH006")));
        let outcome = read(1, stdout, "remote: no\n").unwrap();
        assert!(outcome.refs.values().all(|outcome| matches!(outcome, RefOutcome::Refused(_))));
    }

    #[test]
    fn a_race_lost_inside_the_server_is_stale() {
        let all =
            "!\t1:refs/heads/a\t[remote rejected] (atomic transaction failed)\n!\t2:refs/heads/b\t[remote rejected] (atomic transaction failed)\n";
        let outcome = read(1, all, "remote: error: cannot lock ref 'refs/heads/b': is at 1 but expected 2\n").unwrap();
        assert_eq!(outcome.refs["refs/heads/a"], RefOutcome::Bystander);
        assert!(matches!(outcome.refs["refs/heads/b"], RefOutcome::Stale(_)));
        let outcome = read(1, all, "").unwrap();
        assert!(outcome.refs.values().all(|outcome| matches!(outcome, RefOutcome::Stale(_))));
        let one = "!\t1:refs/heads/a\t[remote rejected] (failed to update ref)\n!\t2:refs/heads/b\t[remote rejected] (atomic push failure)\n";
        assert!(matches!(read(1, one, "").unwrap().refs["refs/heads/a"], RefOutcome::Stale(_)));
        let never = read(1, one, "remote: error: cannot lock ref 'refs/heads/a': 'refs/heads/a/b' exists; cannot create 'refs/heads/a'\n").unwrap();
        assert!(matches!(never.refs["refs/heads/a"], RefOutcome::Refused(_)));
    }

    #[test]
    fn a_ref_without_a_word_leaves_the_outcome_unknown() {
        assert_eq!(read(128, "", "fatal: the remote end hung up unexpectedly\n"), None);
        assert_eq!(
            read(
                1,
                "!\t1:refs/heads/a\t[remote failure] (remote failed to report status)\n!\t1:refs/heads/b\t[remote failure] (remote failed to report status)\n",
                ""
            ),
            None
        );
        assert!(read(0, "*\t1:refs/heads/a\t[new branch]\n=\t1:refs/heads/b\t[up to date]\nDone\n", "").unwrap().landed());
    }

    #[test]
    fn a_name_within_a_longer_name_is_not_named() {
        assert!(names_ref("failed for refs/heads/a.", "refs/heads/a"));
        assert!(names_ref("'refs/heads/a': no", "refs/heads/a"));
        assert!(!names_ref("failed for refs/heads/ab", "refs/heads/a"));
        assert!(!names_ref("failed for refs/heads/a.b", "refs/heads/a"));
        assert!(!names_ref("failed for refs/heads/a/b", "refs/heads/a"));
    }
}
