//! The conductor: the only one that knows the order of the rooms and writes ledger transactions.
//!
//! A tick opens the [`World`] (one fetch of the config repository brings definitions, ledger and branches), [looks](look) at the sources of
//! every warehouse, then goes through [rounds](round): plan, write down, run, push, until a round brings nothing new.

pub mod flush;
pub mod forges;
pub mod knowledge;
pub mod look;
pub mod open;
pub mod outcome;
pub mod preview;
pub mod round;
pub mod run;
pub mod scope;
pub mod transitions;
pub mod verification;
pub mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use open::{Open, World};
use outcome::{Outcome, Stats};
use round::{Limits, Rounds};
use view::View;

use crate::diagnostic::Failure;
use crate::git::RefPattern;
use crate::ledger::Occasion;
use crate::model::Project;
use crate::plan::ancestry::{Ancestry, Question};
use crate::plan::{self, Inputs};

/// A tick, and what came of it. The failures are those of the environment: other promotions went on.
///
/// # Errors
/// What stops the whole tick: the ledger cannot be read or written.
pub async fn tick(world: &World, limits: &Limits) -> Result<(Outcome, Vec<Failure>), Failure> {
    let started = std::time::Instant::now();
    let mut outcome = Outcome::default();
    let mut failures = Vec::new();
    let mut state = world.ledger.open_at(world.ledger_tip(), &world.occasion).await?;
    if let Some(root) = state.created {
        outcome.notes.push(format!("the ledger was created; pin it with `ledger: {{root: {root}}}` in `consign.yaml`"));
    }
    for project in world.wanted_projects() {
        let mut chain = world.ledger.chain(state.state.clone(), world.occasion.clone());
        if limits.only.is_none() {
            retire(project, &mut chain).await?;
            failures.extend(look::look(world, project, &mut chain, &mut outcome).await?);
        }
        failures.extend(Rounds::new(world, project, &mut chain, limits, &mut outcome).run().await?);
        state.state = chain.state().clone();
    }
    outcome.notes.extend(world.stores.notes());
    outcome.stats =
        Stats { git_processes: world.stores.stats().processes(), requests: 0, bytes_received: 0, seconds: started.elapsed().as_secs_f64() };
    world.progress.finish();
    Ok((outcome, failures))
}

/// Moves records of stages and warehouses that are gone from the definitions out of the way.
async fn retire(project: &Project, chain: &mut crate::ledger::Chain<'static>) -> Result<(), Failure> {
    let name = &project.name;
    for stage in chain.state().stages(name)? {
        if !project.stages.contains_key(&stage) {
            let project = name.clone();
            chain
                .apply(&format!("{name}/stage/{stage}"), move |draft| {
                    let reason = format!("stage `{stage}` is gone from the definitions");
                    draft.say(reason.clone());
                    draft.retire_stage(&project, &stage, &reason).map(drop)
                })
                .await?;
        }
    }
    for warehouse in chain.state().warehouses(name)? {
        if !project.warehouses.contains_key(&warehouse) {
            let project = name.clone();
            chain
                .apply(&format!("{name}/warehouse/{warehouse}"), move |draft| {
                    draft.say(format!("warehouse `{warehouse}` is gone from the definitions"));
                    draft.retire_warehouse(&project, &warehouse)
                })
                .await?;
        }
    }
    Ok(())
}

impl World {
    /// The inputs of a plan.
    pub fn inputs<'a>(&'a self, project: &'a Project, view: &'a View, settings: &'a plan::Settings, ancestry: &'a Ancestry) -> Inputs<'a> {
        static NOTHING: std::sync::LazyLock<Nothing> = std::sync::LazyLock::new(Nothing::default);
        Inputs {
            project,
            stages: &view.stages,
            freight: &view.freight,
            promotions: &view.promotions,
            now: self.occasion.now,
            run: &self.occasion.run,
            ancestry,
            foreign_changes: &NOTHING.changes,
            closed_windows: &NOTHING.windows,
            approved: &NOTHING.approved,
            settings,
        }
    }

    /// Whether the candidate of a question contains the commit that the stage holds; None if the commits are not in a store of this tick.
    pub fn contains(&self, question: &Question) -> Option<bool> {
        let store = self.stores.get(&question.repo_url).ok()?;
        let (held, candidate) = (question.held.parse().ok()?, question.candidate.parse().ok()?);
        if !store.has(held) || !store.has(candidate) {
            return None;
        }
        store.is_ancestor(held, candidate).ok()
    }

    /// Address of the pages about projects and stages: the config repository on its forge; empty: none.
    pub fn ui_base_url(&self) -> String {
        match (self.env.get("GITHUB_SERVER_URL"), self.env.get("GITHUB_REPOSITORY")) {
            (Some(server), Some(repository)) => format!("{server}/{repository}"),
            _ => String::new(),
        }
    }

    /// Where the ledger's branch stands, as last fetched or pushed.
    pub fn ledger_tip(&self) -> Option<crate::git::Oid> {
        self.ledger_store.tip(&self.ledger_ref)
    }

    /// Reads the refs of a remote again.
    ///
    /// # Errors
    /// As [`crate::git::Store::fetch`].
    pub async fn refetch(&self, store: &Arc<crate::git::Store>) -> Result<(), Failure> {
        store.fetch(&[RefPattern::branches()]).await.map(drop)
    }

    /// The projects of this tick.
    pub fn wanted_projects(&self) -> impl Iterator<Item = &Project> {
        self.projects.iter().filter(|project| self.only_project.as_ref().is_none_or(|only| project.name == only.as_str()))
    }
}

#[derive(Default)]
struct Nothing {
    changes: BTreeMap<crate::model::StageName, Vec<plan::ForeignChange>>,
    windows: BTreeMap<crate::model::StageName, plan::ClosedWindow>,
    approved: BTreeSet<crate::model::PromotionName>,
}

/// An occasion of this process: its id is unique among all ticks.
pub fn occasion(now: jiff::Timestamp, actor: String) -> Occasion {
    let run = format!(
        "run-{}",
        ulid::Ulid::from_parts(u64::try_from(now.as_millisecond()).unwrap_or(0), rand::random::<u128>() >> 48).to_string().to_lowercase()
    );
    Occasion { now, run, actor }
}
