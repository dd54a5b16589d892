//! What a tick would do: looks, assembles and plans on a chain that is never pushed, and rehearses promotions without any effect.

use std::collections::BTreeMap;

use super::World;
use super::look;
use super::outcome::Outcome;
use super::round::{Limits, Rounds};
use super::run::{self, Job, Ran};
use super::transitions::Place;
use super::view::{View, plan_settings};
use crate::diagnostic::{Failure, FailureKind};
use crate::git::{Entry, Oid, Store};
use crate::ledger::RecordPath;
use crate::model::{FreightName, Project, Promotion, PromotionName, PromotionPhase, StageName, WrittenTree};
use crate::plan::ancestry::{self, Ancestry};
use crate::plan::{Action, Held};
use crate::report::manifest_diff::{self, Side, StageDiff};
use crate::report::plan::{ActionKind, ActionLine, HeldLine, PlanReport};

/// Files larger than this are named, not shown.
const LARGEST_FILE: usize = 2 * 1024 * 1024;

/// What a tick would do now; with `diff`, also what the promotions that would start write. Nothing is pushed and no record changes.
///
/// # Errors
/// What the ledger says; Remote, if a written repository cannot be read.
pub async fn preview(world: &World, diff: bool) -> Result<PlanReport, Failure> {
    let mut outcome = Outcome::default();
    let mut report = PlanReport::default();
    let base = world.ledger.state_at(world.ledger_tip()).await?;
    for project in world.wanted_projects() {
        let mut chain = world.ledger.chain(base.clone(), world.occasion.clone());
        super::retire(project, &mut chain).await?;
        // Sources that fail are in the outcome.
        look::look(world, project, &mut chain, &mut outcome).await?;
        let limits = Limits::default();
        let mut rounds = Rounds::new(world, project, &mut chain, &limits, &mut outcome);
        let todo = rounds.settle(true).await?;
        let view = View::read(rounds.state(), project).await?;
        let plan = rounds.plan(&view)?;
        let teller = Teller { project, view: &view };
        report.actions.extend(todo.decided.iter().filter_map(|action| teller.decided(action)));
        for (stage, name) in &todo.run {
            let path = RecordPath::Promotion(project.name.clone(), stage.clone(), name.clone());
            let is_new = base.version(&path)?.is_none();
            teller.run(stage, name, is_new, &mut report.actions);
        }
        report.actions.extend(todo.verify.iter().map(|stage| teller.verification(stage)));
        report.held.extend(plan.held.into_iter().map(|held| teller.held(held)));
        if diff {
            let diffs = rehearse(world, project, &view, rounds.state(), &todo.run).await?;
            report.diffs.get_or_insert_default().extend(diffs);
        }
    }
    let created = outcome.freight_created.iter().map(|freight| ActionLine {
        kind: ActionKind::CreateFreight,
        project: freight.project.clone(),
        warehouse: Some(freight.warehouse.clone()),
        freight: freight.name.clone(),
        alias: freight.alias.clone(),
        reason: freight.artifacts.join(", "),
        ..ActionLine::default()
    });
    report.actions.splice(0..0, created.collect::<Vec<_>>());
    report.failing = outcome.failing;
    report.notes = outcome.notes;
    report.next_wake = outcome.next_wake;
    Ok(report)
}

/// Tells decisions in the words of the report.
struct Teller<'a> {
    project: &'a Project,
    view: &'a View,
}

impl Teller<'_> {
    fn line(&self, kind: ActionKind, stage: &StageName, freight: &FreightName) -> ActionLine {
        ActionLine {
            kind,
            project: self.project.name.clone(),
            stage: Some(stage.clone()),
            freight: freight.clone(),
            alias: self.view.alias(freight),
            ..ActionLine::default()
        }
    }

    fn promotion(&self, name: &PromotionName) -> Option<&Promotion> {
        self.view.promotions.iter().find(|promotion| promotion.name() == *name)
    }

    fn ended(&self, kind: ActionKind, stage: &StageName, name: &PromotionName, reason: &str) -> ActionLine {
        let freight = self.promotion(name).map(|promotion| promotion.spec.freight.clone()).unwrap_or_default();
        ActionLine { promotion: Some(name.clone()), reason: reason.to_owned(), ..self.line(kind, stage, &freight) }
    }

    fn decided(&self, action: &Action) -> Option<ActionLine> {
        Some(match action {
            Action::Promote { stage, freight, reason, .. } => ActionLine { reason: reason.clone(), ..self.line(ActionKind::Promote, stage, freight) },
            Action::Abort { stage, promotion, reason } => self.ended(ActionKind::Abort, stage, promotion, reason),
            Action::Supersede { stage, promotion, by } => {
                self.ended(ActionKind::Supersede, stage, promotion, &format!("{} takes its place", self.view.alias(by)))
            }
            Action::Fail { stage, promotion, message } => self.ended(ActionKind::Fail, stage, promotion, message),
            _ => return None,
        })
    }

    /// A promotion that runs: the one just planned gets its name, one from before its own line.
    fn run(&self, stage: &StageName, name: &PromotionName, is_new: bool, actions: &mut Vec<ActionLine>) {
        let freight = self.promotion(name).map(|promotion| promotion.spec.freight.clone()).unwrap_or_default();
        let is_planned = |line: &ActionLine| line.kind == ActionKind::Promote && line.stage.as_ref() == Some(stage) && line.freight == freight;
        if is_new && actions.iter().any(|line| line.project == self.project.name && is_planned(line)) {
            // A name is given when it is written; what it would be is of no use to anybody.
            return;
        }
        let waits = self.promotion(name).filter(|promotion| promotion.status.phase == PromotionPhase::Running);
        let reason = waits.map_or_else(|| "its turn".to_owned(), super::round::waiting_for);
        actions.push(ActionLine { promotion: Some(name.clone()), reason, ..self.line(ActionKind::Run, stage, &freight) });
    }

    fn verification(&self, stage: &StageName) -> ActionLine {
        let held = self.view.stages.get(stage).and_then(|status| status.current_freight());
        let freight = held.and_then(|held| held.items.values().next()).map(|freight| freight.name.clone()).unwrap_or_default();
        ActionLine { reason: "what the stage holds is to be verified".into(), ..self.line(ActionKind::Verify, stage, &freight) }
    }

    fn held(&self, held: Held) -> HeldLine {
        HeldLine {
            project: self.project.name.clone(),
            alias: self.view.alias(&held.freight),
            stage: held.stage,
            freight: held.freight,
            promotion: held.promotion,
            gates: held.gates,
        }
    }
}

/// Runs promotions up to their first step that acts outside; pushes stay here. Gives what they would write.
async fn rehearse(
    world: &World,
    project: &Project,
    view: &View,
    state: &crate::ledger::State,
    wanted: &[(StageName, PromotionName)],
) -> Result<Vec<StageDiff>, Failure> {
    let mut jobs = Vec::new();
    let mut notes: BTreeMap<PromotionName, Vec<String>> = BTreeMap::new();
    let mut diffs = Vec::new();
    for (stage, name) in wanted {
        let Some(promotion) = view.promotions.iter().find(|promotion| promotion.name() == *name) else { continue };
        let mut promotion = promotion.clone();
        if let Some(at) = run::first_outside(world, project, &promotion, view) {
            let step = &promotion.spec.steps[at];
            notes.entry(name.clone()).or_default().push(format!("shown up to step `{}` (`{}`), which acts outside", step.alias, step.uses));
            promotion.spec.steps.truncate(at);
        }
        let alias = view.alias(&promotion.spec.freight);
        let place = Place { key: name.to_string(), project: project.name.clone(), stage: stage.clone(), name: name.clone(), alias, claimed: false };
        jobs.push(Job::rehearsal(promotion, place));
    }
    for ran in run::all(world, project, view, state, jobs).await? {
        let notes = notes.remove(&ran.finished.place.name).unwrap_or_default();
        diffs.extend(diffs_of(world, ran, notes).await?);
    }
    Ok(diffs)
}

async fn diffs_of(world: &World, ran: Ran, mut notes: Vec<String>) -> Result<Vec<StageDiff>, Failure> {
    let (before, after) = (&ran.finished.promotion.status, &ran.finished.status);
    if let Some(failure) = &ran.failure {
        notes.push(format!("cannot be shown: {}", failure.message));
        notes.extend(failure.hints.iter().cloned());
    } else if !matches!(after.phase, PromotionPhase::Succeeded) && !after.message.is_empty() {
        notes.push(after.message.clone());
    }
    // A promotion may push to a branch more than once: what counts is where it leads.
    let mut written: BTreeMap<(String, String), WrittenTree> = BTreeMap::new();
    for tree in after.consign.written.iter().skip(before.consign.written.len()) {
        written.insert((tree.repo_url.clone(), tree.branch.clone()), tree.clone());
    }
    let base = StageDiff {
        project: ran.finished.place.project.clone(),
        stage: ran.finished.place.stage.clone(),
        freight: ran.finished.promotion.spec.freight.clone(),
        alias: ran.finished.place.alias.clone(),
        ..StageDiff::default()
    };
    let mut diffs = Vec::new();
    for ((repo_url, branch), tree) in written {
        let store = world.stores.get(&repo_url)?;
        let files = files_of(&store, &branch, &tree, &ran.revealed).await?;
        diffs.push(StageDiff { repo_url, branch, files, notes: notes.clone(), ..base.clone() });
    }
    if diffs.is_empty() {
        if notes.is_empty() {
            notes.push("it writes nothing to any branch".into());
        }
        diffs.push(StageDiff { notes, ..base });
    }
    Ok(diffs)
}

async fn files_of(store: &Store, branch: &str, written: &WrittenTree, secrets: &[String]) -> Result<Vec<manifest_diff::FileDiff>, Failure> {
    let oid = |text: &str| text.parse::<Oid>().map_err(|error| Failure::new(FailureKind::Internal, "a written commit has no name").caused_by(error));
    let (commit, tree) = (oid(&written.commit)?, oid(&written.tree)?);
    let before = match store.tip(&format!("refs/heads/{branch}")) {
        Some(tip) => Some(store.commit(tip).map_err(Failure::from)?.tree),
        // A branch that the promotion makes is compared with what it was made from.
        None => origin(store, commit)?,
    };
    let changes = store.diff_trees(before.unwrap_or_else(Oid::empty_tree), tree).map_err(Failure::from)?;
    let sides = || changes.iter().flat_map(|change| [&change.before, &change.after]).flatten();
    let blobs: Vec<Oid> = sides().filter(|entry| entry.kind.is_blob()).map(|entry| entry.oid).collect();
    store.prefetch(&store.missing(&blobs)).await?;
    let mut files = Vec::new();
    for change in &changes {
        let (before, after) = (side(store, change.before.as_ref())?, side(store, change.after.as_ref())?);
        files.push(manifest_diff::file(&change.path, &before, &after, secrets));
    }
    Ok(files)
}

/// The tree of the newest commit of the remote below a commit of ours.
fn origin(store: &Store, commit: Oid) -> Result<Option<Oid>, Failure> {
    let known: Vec<Oid> = store.tips().values().copied().filter(|tip| store.commit(*tip).is_ok()).collect();
    let mut first_parent = Some(commit);
    while let Some(at) = first_parent {
        for tip in &known {
            if store.is_ancestor(at, *tip).unwrap_or(false) {
                return Ok(Some(store.commit(at).map_err(Failure::from)?.tree));
            }
        }
        first_parent = store.commit(at).map_err(Failure::from)?.parents.first().copied();
    }
    Ok(None)
}

/// What stands at a path, as far as it can be shown.
pub(super) fn side(store: &Store, entry: Option<&Entry>) -> Result<Side, Failure> {
    let Some(entry) = entry else { return Ok(Side::Absent) };
    if !entry.kind.is_blob() {
        return Ok(Side::Opaque("a submodule".into()));
    }
    let bytes = store.blob(entry.oid).map_err(Failure::from)?;
    if bytes.len() > LARGEST_FILE {
        return Ok(Side::Opaque(format!("{} bytes", bytes.len())));
    }
    Ok(String::from_utf8(bytes).map_or_else(|error| Side::Opaque(format!("{} bytes, no text", error.as_bytes().len())), Side::Text))
}

/// What is known, without asking anybody, about which commits contain which.
pub fn known_ancestry(world: &World, project: &Project, view: &View) -> Ancestry {
    let settings = plan_settings(&world.settings);
    let nothing = Ancestry::default();
    let questions = ancestry::questions(&world.inputs(project, view, &settings, &nothing));
    let mut known = Ancestry::default();
    for question in questions {
        if let Some(contained) = world.contains(&question) {
            known.insert(&question, contained);
        }
    }
    known
}
