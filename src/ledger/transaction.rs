//! Chains of transitions, and how they reach the branch.
//!
//! A tick builds one [`Chain`] on the state it has read: each transition is a function, applied at once so that the next sees its effect, and
//! kept so that it can be applied again. Transitions with the same key, usually the name of a promotion, share a commit. When a push loses,
//! the chain is [rebased](Chain::rebase): the functions are run again on the newer state, bytes are never merged. When a remote refuses one
//! promotion for good, [`Chain::drop_groups`] takes its transitions out and the rest goes on.
//!
//! Commits are deterministic: their time is the occasion's, or their parent's where that is later, so a push of unknown outcome can be
//! repeated and is then the same push.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::diagnostic::{Failure, FailureKind};
use crate::git::Oid;

use super::draft::{Draft, Outcome, Stop};
use super::records::README;
use super::state::{Overlay, State};

/// When, by whom and in which run a transition happens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Occasion {
    /// The tick's instant.
    pub now: Timestamp,
    /// The tick, unique among all ticks.
    pub run: String,
    /// The person behind it; empty for everything automatic.
    pub actor: String,
}

/// One commit to be: what it says and what it changes.
#[derive(Clone, Debug, Default)]
pub struct Transition {
    /// What happened, in order; the last is the commit's subject.
    pub sentences: Vec<String>,
    /// Trailers of the commit, such as `Consign-Stage: prod`.
    pub trailers: BTreeSet<(&'static str, String)>,
    edits: BTreeMap<String, Overlay>,
}

impl Transition {
    /// The paths it touches.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.edits.keys().map(String::as_str)
    }

    fn absorb(&mut self, outcome: Outcome) {
        for sentence in outcome.sentences {
            if !outcome.edits.is_empty() && !self.sentences.contains(&sentence) {
                self.sentences.push(sentence);
            }
        }
        self.trailers.extend(outcome.trailers);
        self.edits.extend(outcome.edits);
    }

    /// The commit's message. Whatever comes from outside is kept to its line: it can neither start a line nor a trailer.
    fn message(&self, occasion: &Occasion) -> String {
        let mut sentences = self.sentences.iter().rev().map(|sentence| one_line(sentence));
        let mut message = sentences.next().filter(|sentence| !sentence.is_empty()).unwrap_or_else(|| "update records".to_owned());
        let earlier: Vec<String> = sentences.rev().map(|sentence| format!("- {sentence}")).collect();
        if !earlier.is_empty() {
            message.push_str("\n\n");
            message.push_str(&earlier.join("\n"));
        }
        message.push_str("\n\n");
        let who = [("Consign-Actor", &occasion.actor), ("Consign-Run", &occasion.run)];
        let who = who.iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (*key, *value));
        for (key, value) in self.trailers.iter().map(|(key, value)| (*key, value)).chain(who) {
            message.push_str(&format!("{key}: {}\n", one_line(value)));
        }
        message
    }
}

fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control() || c == '\u{2028}' || c == '\u{2029}')
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
        .trim()
        .to_owned()
}

type Function<'f> = Box<dyn Fn(&mut Draft<'_>) -> Result<(), Stop> + Send + Sync + 'f>;

struct Group<'f> {
    key: String,
    functions: Vec<(usize, Function<'f>)>,
    transition: Transition,
}

/// Writes the branch's README from a state; what it wants to read and cannot yet is fetched, then it is asked again.
pub type RenderReadme = fn(&State) -> Result<String, Stop>;

/// The transitions of a tick on one state.
pub struct Chain<'f> {
    occasion: Occasion,
    base: State,
    view: State,
    groups: Vec<Group<'f>>,
    applied: usize,
    /// Whether transitions of one group are apart, so that their commit is not what `view` was built by.
    scattered: bool,
    readme: RenderReadme,
}

/// Commits that are written and not pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The branch, as a full ref name.
    pub reference: String,
    /// The last commit.
    pub tip: Oid,
    /// What the branch has to point at for the push to be right; None: it must not exist.
    pub expected: Option<Oid>,
    /// Each group's commit, in order.
    pub commits: Vec<(String, Oid)>,
}

/// A group that could not be applied again, and why.
#[derive(Debug)]
pub struct Dropped {
    /// The group's key.
    pub key: String,
    /// Why; [`Stop::Stale`] means: plan it again.
    pub why: Stop,
}

impl<'f> Chain<'f> {
    /// An empty chain on a state.
    pub fn new(base: State, occasion: Occasion, readme: RenderReadme) -> Self {
        Self { occasion, view: base.clone(), base, groups: Vec::new(), applied: 0, scattered: false, readme }
    }

    /// The state with everything applied so far.
    pub fn state(&self) -> &State {
        &self.view
    }

    /// Whether nothing would be committed.
    pub fn is_empty(&self) -> bool {
        self.groups.iter().all(|group| group.transition.edits.is_empty())
    }

    /// Applies a transition as part of the group `key`, fetching what it reads. It may be run several times, on other states too.
    ///
    /// # Errors
    /// What the function says, then nothing was applied; what fetching says.
    pub async fn apply<T, F>(&mut self, key: &str, function: F) -> Result<T, Stop>
    where
        F: Fn(&mut Draft<'_>) -> Result<T, Stop> + Send + Sync + 'f,
    {
        let (value, outcome) = run(&self.view, &self.occasion, &function).await?;
        self.record(key, outcome, Box::new(move |draft| function(draft).map(drop)));
        Ok(value)
    }

    fn record(&mut self, key: &str, outcome: Outcome, function: Function<'f>) {
        self.view.overlay.extend(outcome.edits.clone());
        let place = self.groups.iter().position(|group| group.key == key);
        if let Some(place) = place
            && place + 1 != self.groups.len()
            && !outcome.edits.is_empty()
        {
            self.scattered = true;
        }
        let place = place.unwrap_or_else(|| {
            self.groups.push(Group { key: key.to_owned(), functions: Vec::new(), transition: Transition::default() });
            self.groups.len() - 1
        });
        let group = &mut self.groups[place];
        group.transition.absorb(outcome);
        group.functions.push((self.applied, function));
        self.applied += 1;
    }

    /// Applies everything again on a newer state. Gives the groups that no longer apply; they are out of the chain.
    ///
    /// # Errors
    /// What fetching says.
    pub async fn rebase(&mut self, base: State) -> Result<Vec<Dropped>, Failure> {
        self.base = base;
        self.rebuild(&[]).await
    }

    /// Takes groups out and applies the others again. Gives the groups that do not apply without them; they are out as well.
    ///
    /// # Errors
    /// What fetching says.
    pub async fn drop_groups(&mut self, keys: &[&str]) -> Result<Vec<Dropped>, Failure> {
        self.rebuild(keys).await
    }

    /// Applies the functions again in the order in which they were applied first.
    async fn rebuild(&mut self, without: &[&str]) -> Result<Vec<Dropped>, Failure> {
        let mut functions: Vec<(usize, String, Function<'f>)> = Vec::new();
        for group in std::mem::take(&mut self.groups) {
            if !without.contains(&group.key.as_str()) {
                functions.extend(group.functions.into_iter().map(|(at, function)| (at, group.key.clone(), function)));
            }
        }
        functions.sort_by_key(|(at, _, _)| *at);
        let mut dropped: Vec<Dropped> = Vec::new();
        // A group leaves as a whole, and what was built on it has to be tried without it: start over until nothing more leaves.
        loop {
            (self.view, self.scattered, self.applied) = (self.base.clone(), false, 0);
            let mut outcomes = Vec::with_capacity(functions.len());
            let mut failed = None;
            for (_, key, function) in &functions {
                match run(&self.view, &self.occasion, function).await {
                    Ok(((), outcome)) => {
                        self.view.overlay.extend(outcome.edits.clone());
                        outcomes.push(outcome);
                    }
                    Err(Stop::Failed(failure)) if matches!(failure.kind, FailureKind::Remote | FailureKind::Internal) => return Err(failure),
                    Err(why) => {
                        failed = Some(Dropped { key: key.clone(), why });
                        break;
                    }
                }
            }
            let Some(gone) = failed else {
                self.view = self.base.clone();
                for ((_, key, function), outcome) in functions.into_iter().zip(outcomes) {
                    self.record(&key, outcome, function);
                }
                return Ok(dropped);
            };
            functions.retain(|(_, key, _)| *key != gone.key);
            dropped.push(gone);
        }
    }

    /// Writes the commits, one for each group, and the README with the last. None: there is nothing to write. Nothing leaves the machine.
    ///
    /// # Errors
    /// What reading and writing the store says.
    pub async fn commit(&mut self) -> Result<Option<Committed>, Failure> {
        if self.is_empty() {
            return Ok(None);
        }
        let transitions = match self.gathered().await? {
            Some(transitions) => transitions,
            None => self.groups.iter().map(|group| (group.key.clone(), group.transition.clone())).collect(),
        };
        let view = self.view.clone();
        self.write(transitions, &view).await
    }

    /// As [`commit`](Self::commit), without these groups and without what does not apply without them; all of them stay in the chain.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub async fn commit_without(&mut self, left_out: &[String]) -> Result<Option<Committed>, Failure> {
        let mut functions: Vec<(usize, &str, &Function<'f>)> = self
            .groups
            .iter()
            .filter(|group| !left_out.contains(&group.key))
            .flat_map(|group| group.functions.iter().map(|(at, function)| (*at, group.key.as_str(), function)))
            .collect();
        functions.sort_by_key(|(at, _, _)| *at);
        let (view, transitions) = loop {
            let mut view = self.base.clone();
            let mut transitions: Vec<(String, Transition)> = Vec::new();
            let mut failed = None;
            for (_, key, function) in &functions {
                match run(&view, &self.occasion, function).await {
                    Ok(((), outcome)) => {
                        view.overlay.extend(outcome.edits.clone());
                        match transitions.last_mut() {
                            Some((last, transition)) if last == key => transition.absorb(outcome),
                            _ => {
                                let mut transition = Transition::default();
                                transition.absorb(outcome);
                                transitions.push(((*key).to_owned(), transition));
                            }
                        }
                    }
                    Err(Stop::Failed(failure)) if matches!(failure.kind, FailureKind::Remote | FailureKind::Internal) => return Err(failure),
                    Err(_) => {
                        failed = Some((*key).to_owned());
                        break;
                    }
                }
            }
            match failed {
                None => break (view, transitions),
                Some(gone) => functions.retain(|(_, key, _)| *key != gone),
            }
        };
        self.write(transitions, &view).await
    }

    /// Goes on from commits that have landed: their groups leave the chain, the others are applied again. Gives those that do not apply.
    ///
    /// # Errors
    /// What fetching says.
    pub async fn advance(&mut self, base: State, landed: &Committed) -> Result<Vec<Dropped>, Failure> {
        self.base = base;
        self.rebuild(&landed.commits.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>()).await
    }

    /// The keys of all groups.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|group| group.key.as_str())
    }

    /// Whether there is a group of this key.
    pub fn has_group(&self, key: &str) -> bool {
        self.groups.iter().any(|group| group.key == key)
    }

    async fn write(&self, mut transitions: Vec<(String, Transition)>, view: &State) -> Result<Option<Committed>, Failure> {
        transitions.retain(|(_, transition)| !transition.edits.is_empty());
        if transitions.is_empty() {
            return Ok(None);
        }
        let readme = self.render_readme(view).await?;
        if let (Some(readme), Some((_, last))) = (readme, transitions.last_mut()) {
            last.edits.insert(README.to_owned(), Overlay::Text(readme.into_bytes().into()));
        }
        let branch = self.base.branch();
        let seconds = self.occasion.now.as_second().max(self.base.tip_seconds());
        let at = Timestamp::from_second(seconds)
            .map_err(|error| Failure::new(FailureKind::Internal, "the ledger's last commit has no usable time").caused_by(error))?;
        let mut parent = self.base.tip();
        let mut commits = Vec::with_capacity(transitions.len());
        for (key, transition) in transitions {
            let message = transition.message(&self.occasion);
            let edits: Vec<_> = transition.edits.into_iter().map(|(path, overlay)| (path, overlay.bytes().map(|bytes| bytes.to_vec()))).collect();
            let id = branch.write_commit(parent, &edits, &message, at)?;
            commits.push((key, id));
            parent = Some(id);
        }
        Ok(parent.map(|tip| Committed { reference: branch.name().to_owned(), tip, expected: self.base.tip(), commits }))
    }

    /// The transitions with each group's functions run together, so that a promotion that was created early and ended late is one commit.
    /// None where they are together already, or where that order does not come out: then each group's edits are split as they were applied.
    async fn gathered(&mut self) -> Result<Option<Vec<(String, Transition)>>, Failure> {
        if !self.scattered {
            return Ok(None);
        }
        let mut view = self.base.clone();
        let mut transitions = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let mut transition = Transition::default();
            for (_, function) in &group.functions {
                match run(&view, &self.occasion, function).await {
                    Ok(((), outcome)) => {
                        view.overlay.extend(outcome.edits.clone());
                        transition.absorb(outcome);
                    }
                    Err(Stop::Failed(failure)) if failure.kind == FailureKind::Remote => return Err(failure),
                    Err(_) => return self.chronological().await.map(Some),
                }
            }
            transitions.push((group.key.clone(), transition));
        }
        self.view = view;
        Ok(Some(transitions))
    }

    /// One commit for each run of functions of one group, in the order in which they were applied.
    async fn chronological(&self) -> Result<Vec<(String, Transition)>, Failure> {
        let mut functions: Vec<(usize, &str, &Function<'f>)> =
            self.groups.iter().flat_map(|group| group.functions.iter().map(|(at, function)| (*at, group.key.as_str(), function))).collect();
        functions.sort_by_key(|(at, _, _)| *at);
        let mut view = self.base.clone();
        let mut transitions: Vec<(String, Transition)> = Vec::new();
        for (_, key, function) in functions {
            let ((), outcome) = run(&view, &self.occasion, function).await?;
            view.overlay.extend(outcome.edits.clone());
            match transitions.last_mut() {
                Some((last, transition)) if last == key => transition.absorb(outcome),
                _ => {
                    let mut transition = Transition::default();
                    transition.absorb(outcome);
                    transitions.push((key.to_owned(), transition));
                }
            }
        }
        Ok(transitions)
    }

    /// The new README, if it is another than the one on the branch.
    async fn render_readme(&self, view: &State) -> Result<Option<String>, Failure> {
        loop {
            match (self.readme)(view) {
                Ok(text) => {
                    let known = self.base.version(&super::RecordPath::Readme)?;
                    return Ok((known != Some(super::state::blob_id(text.as_bytes()))).then_some(text));
                }
                Err(Stop::Missing) if view.fetch_missing().await? => {}
                Err(stop) => return Err(stop.into()),
            }
        }
    }
}

/// Runs a function on a draft of a state, fetching what it misses and running it again.
async fn run<T, F>(state: &State, occasion: &Occasion, function: &F) -> Result<(T, Outcome), Stop>
where
    F: Fn(&mut Draft<'_>) -> Result<T, Stop> + ?Sized,
{
    loop {
        let attempt = || {
            let mut draft = Draft::new(state, occasion);
            let value = function(&mut draft)?;
            Ok((value, draft.finish()?))
        };
        match attempt() {
            Err(Stop::Missing) if state.fetch_missing().await? => {}
            result => return result,
        }
    }
}

/// How long to wait before attempt number `attempt` (the first is 0) after a lost push: random up to a bound that doubles from 0.1 s to 3.2 s.
/// A loser waits longer than a fresh winner does between its own pushes, else the winner, who already has the new tip, wins again.
pub fn pause(attempt: u32, random: f64) -> Duration {
    let bound = 0.1 * f64::from(1u32 << attempt.min(5));
    Duration::from_secs_f64(bound * random.clamp(0.0, 1.0))
}

#[cfg(test)]
#[path = "transaction_tests.rs"]
mod tests;
