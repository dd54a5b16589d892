//! Which commit contains which: facts that the conductor looks up, and the regressions that follow from them.

use std::collections::BTreeMap;

use super::Inputs;
use super::scene::Scene;
use crate::freight::url;
use crate::model::{Freight, FreightCollection, OriginKey};

/// A question about two commits of one repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// The repository as the freight spells it.
    pub repo_url: String,
    /// The commit that a stage holds.
    pub held: String,
    /// The commit that would replace it.
    pub candidate: String,
}

/// Answers: whether the candidate contains the held commit. What is not known is not held against anybody.
#[derive(Clone, Debug, Default)]
pub struct Ancestry {
    contained: BTreeMap<(String, String), bool>,
}

impl Ancestry {
    /// Adds an answer.
    pub fn insert(&mut self, question: &Question, contained: bool) {
        self.contained.insert((question.held.clone(), question.candidate.clone()), contained);
    }

    /// Whether `candidate` contains `held`; None if that is not known.
    pub fn contains(&self, held: &str, candidate: &str) -> Option<bool> {
        if held == candidate { Some(true) } else { self.contained.get(&(held.to_owned(), candidate.to_owned())).copied() }
    }
}

/// The questions whose answers the plan of these inputs can use: for each stage, what it holds against what it would take next.
pub fn questions(inputs: &Inputs<'_>) -> Vec<Question> {
    let scene = Scene::new(inputs);
    let mut questions = Vec::new();
    for stage in inputs.project.stages.values() {
        let status = scene.status(&stage.name());
        let Some(current) = status.current_freight() else { continue };
        for request in &stage.spec.requested_freight {
            let candidate = scene.candidate(stage, request).and_then(|name| scene.freight(&name));
            questions.extend(candidate.into_iter().flat_map(|candidate| replaced_commits(current, candidate)));
        }
    }
    questions.sort();
    questions.dedup();
    questions.retain(|question| inputs.ancestry.contains(&question.held, &question.candidate).is_none());
    questions
}

/// The commits of `current` that `candidate` would replace by others.
pub(super) fn replaced_commits(current: &FreightCollection, candidate: &Freight) -> Vec<Question> {
    let Some(held) = current.items.get(&OriginKey(candidate.origin.clone())) else { return Vec::new() };
    let mut replaced = Vec::new();
    for new in &candidate.commits {
        let repository = url::git(&new.repo_url);
        let same = |old: &&crate::model::GitCommit| url::git(&old.repo_url) == repository && old.subscription_name == new.subscription_name;
        replaced.extend(held.commits.iter().filter(same).filter(|old| old.id != new.id).map(|old| Question {
            repo_url: new.repo_url.clone(),
            held: old.id.clone(),
            candidate: new.id.clone(),
        }));
    }
    replaced
}
