//! One project's rounds: plan, write down, run, push, until a round brings nothing new.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::World;
use super::flush::{self, Finished};
use super::outcome::{Outcome, PromotionOutcome, StepOutcome, VerificationOutcome, Waiting};
use super::run::{self, Job};
use super::transitions::{self, Place};
use super::verification;
use super::view::View;
use crate::diagnostic::{Failure, FailureKind};
use crate::ledger::{Chain, Stop};
use crate::model::{Freight, Project, ProjectName, Promotion, PromotionName, PromotionPhase, StageName};
use crate::plan::{self, Action, Plan, ancestry::Ancestry};

/// More rounds than a pipeline has stages mean that something goes in circles.
const MAX_ROUNDS: usize = 200;
/// Plans within a round: each settles records that the next one reads.
const MAX_PASSES: usize = 20;

/// What a tick may do.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Only this promotion; None: everything.
    pub only: Option<(StageName, PromotionName)>,
}

/// A project under way.
pub struct Rounds<'w, 'c> {
    world: &'w World,
    project: &'w Project,
    chain: &'c mut Chain<'static>,
    limits: &'w Limits,
    outcome: &'c mut Outcome,
    /// Promotions that were run in this tick and wait now: they are not run again.
    done: BTreeSet<PromotionName>,
    /// Stages that are left alone for the rest of the tick, because the environment failed there.
    failed: BTreeSet<StageName>,
    /// Verifications that were looked at in this tick.
    measured: BTreeSet<StageName>,
    ancestry: Ancestry,
    failures: Vec<Failure>,
}

/// What is left to do after the transitions of a plan have been applied.
#[derive(Default)]
pub(super) struct Todo {
    pub(super) run: Vec<(StageName, PromotionName)>,
    pub(super) verify: Vec<StageName>,
    /// What was decided on the way, records aside.
    pub(super) decided: Vec<Action>,
    changed: bool,
}

impl<'w, 'c> Rounds<'w, 'c> {
    /// Rounds on a chain.
    pub fn new(world: &'w World, project: &'w Project, chain: &'c mut Chain<'static>, limits: &'w Limits, outcome: &'c mut Outcome) -> Self {
        Self {
            world,
            project,
            chain,
            limits,
            outcome,
            done: BTreeSet::new(),
            failed: BTreeSet::new(),
            measured: BTreeSet::new(),
            ancestry: Ancestry::default(),
            failures: Vec::new(),
        }
    }

    /// Goes on until nothing more can be done without the outside world.
    ///
    /// # Errors
    /// What the ledger says; failures of single promotions are kept and returned at the end, after everything else was done.
    pub async fn run(mut self) -> Result<Vec<Failure>, Failure> {
        for _ in 0..MAX_ROUNDS {
            let todo = self.settle(true).await?;
            let verified = self.verify(&todo.verify).await?;
            let ran = self.promote(todo.run).await?;
            if !ran && !verified {
                flush::publish(self.world, self.chain).await?;
                self.note_waiting().await?;
                return Ok(self.failures);
            }
        }
        Err(Failure::new(FailureKind::Internal, format!("project `{}` does not come to rest", self.project.name)))
    }

    /// Plans and applies transitions until only work outside of the ledger is left. With `create`, new promotions are created.
    pub(super) async fn settle(&mut self, create: bool) -> Result<Todo, Failure> {
        let mut todo = Todo::default();
        for _ in 0..MAX_PASSES {
            let view = View::read(self.chain.state(), self.project).await?;
            let plan = self.plan(&view)?;
            todo = Todo { changed: todo.changed, decided: todo.decided, ..Todo::default() };
            let mut again = false;
            for action in plan.actions {
                let is_decision = !matches!(action, Action::Record { .. } | Action::RecordFreight { .. });
                let decision = is_decision.then(|| action.clone());
                let applied = self.apply(action, &view, create, &mut todo).await?;
                todo.decided.extend(decision.filter(|_| applied));
                again |= applied;
            }
            if !again {
                return Ok(todo);
            }
            todo.changed = true;
        }
        Err(Failure::new(FailureKind::Internal, format!("the plan of project `{}` does not come to rest", self.project.name)))
    }

    /// The records with everything that was applied so far.
    pub(super) fn state(&self) -> &crate::ledger::State {
        self.chain.state()
    }

    pub(super) fn plan(&mut self, view: &View) -> Result<Plan, Failure> {
        let settings = super::view::plan_settings(&self.world.settings);
        let inputs = self.world.inputs(self.project, view, &settings, &self.ancestry);
        let answers: Vec<_> =
            plan::ancestry::questions(&inputs).into_iter().filter_map(|question| Some((self.world.contains(&question)?, question))).collect();
        for (contained, question) in answers {
            self.ancestry.insert(&question, contained);
        }
        let inputs = self.world.inputs(self.project, view, &settings, &self.ancestry);
        let plan = plan::plan(&inputs);
        for problem in &plan.problems {
            if !self.outcome.notes.contains(problem) {
                self.outcome.notes.push(problem.clone());
            }
        }
        self.outcome.next_wake = [self.outcome.next_wake, plan.next_wake].into_iter().flatten().min();
        Ok(plan)
    }

    /// Applies one action; true: the plan has to be made again.
    async fn apply(&mut self, action: Action, view: &View, create: bool, todo: &mut Todo) -> Result<bool, Failure> {
        let project = &self.project.name;
        let applied: Result<bool, Stop> = match action {
            Action::Record { stage, status } => {
                let key = self.key_of_stage(&stage, view);
                transitions::record_stage(self.chain, &key, project, &stage, *status).await.map(|()| true)
            }
            Action::RecordFreight { freight, status, verified_in } => {
                transitions::record_freight(self.chain, project, &freight, *status, verified_in).await.map(|()| true)
            }
            Action::CheckHealth { .. } => Ok(false),
            Action::StartVerification { stage, .. } | Action::ContinueVerification { stage, .. } => {
                if self.limits.only.is_none() && !self.measured.contains(&stage) {
                    todo.verify.push(stage);
                }
                Ok(false)
            }
            Action::Abort { stage, promotion, reason } => self.end(view, &stage, &promotion, PromotionPhase::Aborted, &reason).await,
            Action::Supersede { stage, promotion, by } => {
                let reason = format!("superseded by {}", view.alias(&by));
                match self.end(view, &stage, &promotion, PromotionPhase::Aborted, &reason).await {
                    Ok(again) => transitions::supersede(self.chain, project, &stage, &promotion, &by).await.map(|()| again),
                    Err(stop) => Err(stop),
                }
            }
            Action::Fail { stage, promotion, message } => self.end(view, &stage, &promotion, PromotionPhase::Errored, &message).await,
            Action::Run { stage, promotion } => {
                let wanted = self.limits.only.as_ref().is_none_or(|(_, only)| *only == promotion);
                if wanted && !self.done.contains(&promotion) && !self.failed.contains(&stage) {
                    todo.run.push((stage, promotion));
                }
                Ok(false)
            }
            Action::Promote { stage, freight, reason, .. } => {
                if create && self.limits.only.is_none() && !self.failed.contains(&stage) {
                    return self.create(&stage, &freight, &reason, view).await;
                }
                Ok(false)
            }
        };
        match applied {
            Ok(again) => Ok(again),
            // Something this plan rests on was changed by an earlier action of it: plan again.
            Err(Stop::Stale(_)) => Ok(true),
            Err(stop) => Err(stop.into()),
        }
    }

    /// Transitions about a stage belong to the commit of the promotion that caused them, if one is under way or has just ended.
    fn key_of_stage(&self, stage: &StageName, view: &View) -> String {
        let newest = view.promotions.iter().filter(|promotion| promotion.spec.stage == *stage).max_by_key(|promotion| promotion.name());
        newest.map_or_else(|| format!("{}/stage/{stage}", self.project.name), |promotion| self.group_of(promotion))
    }

    async fn end(&mut self, view: &View, stage: &StageName, name: &PromotionName, phase: PromotionPhase, reason: &str) -> Result<bool, Stop> {
        let freight =
            view.promotions.iter().find(|promotion| promotion.name() == *name).map(|promotion| promotion.spec.freight.clone()).unwrap_or_default();
        let place = self.place(view, stage, name, &view.alias(&freight));
        transitions::end_promotion(self.chain, &place, phase, reason).await?;
        if let Some(promotion) = view.promotions.iter().find(|promotion| promotion.name() == *name) {
            let mut ended = promotion.clone();
            (ended.status.phase, ended.status.message) = (phase, reason.to_owned());
            self.report(&ended, &place.alias, true);
        }
        Ok(true)
    }

    fn place(&self, _view: &View, stage: &StageName, name: &PromotionName, alias: &str) -> Place {
        Place {
            key: name.to_string(),
            project: self.project.name.clone(),
            stage: stage.clone(),
            name: name.clone(),
            alias: alias.to_owned(),
            claimed: false,
        }
    }

    async fn create(&mut self, stage: &StageName, freight: &crate::model::FreightName, reason: &str, view: &View) -> Result<bool, Failure> {
        let Some(definition) = self.project.stages.get(stage) else { return Ok(false) };
        let Some(freight) = view.freight.iter().find(|candidate| candidate.name() == *freight) else { return Ok(false) };
        let promotion = match new_promotion(self.world, self.project, definition, freight, "auto", None) {
            Ok(promotion) => promotion,
            Err(failure) => {
                self.outcome.notes.push(failure.message);
                self.failed.insert(stage.clone());
                return Ok(false);
            }
        };
        let key = format!("{}/{stage}/{}", self.project.name, freight.metadata.name);
        match transitions::create_promotion(self.chain, &key, &self.project.name, promotion, &freight.alias, reason).await {
            Ok(_) => Ok(true),
            Err(Stop::Stale(_)) => Ok(true),
            Err(stop) => Err(stop.into()),
        }
    }

    /// Runs promotions and pushes what they made. True if any ran.
    async fn promote(&mut self, wanted: Vec<(StageName, PromotionName)>) -> Result<bool, Failure> {
        if wanted.is_empty() {
            return Ok(false);
        }
        let view = View::read(self.chain.state(), self.project).await?;
        let mut jobs = Vec::new();
        for (stage, name) in wanted {
            let Some(promotion) = view.promotions.iter().find(|promotion| promotion.name() == name) else { continue };
            let alias = view.alias(&promotion.spec.freight);
            let mut place = self.place(&view, &stage, &name, &alias);
            place.key = self.group_of(promotion);
            let created = place.key != name.as_str();
            jobs.push(Job::new(self.world, self.project, promotion.clone(), place, &view, created));
        }
        run::claim(self.world, self.chain, &mut jobs).await?;
        let ran = run::all(self.world, self.project, &view, self.chain.state(), jobs).await?;
        let mut finished: Vec<Finished> = Vec::new();
        for result in ran {
            self.done.insert(result.finished.place.name.clone());
            if let Some(failure) = result.failure {
                let stage = &result.finished.place.stage;
                self.failed.insert(stage.clone());
                self.world.progress.done(stage.as_str(), &failure.message);
                self.failures.push(failure);
            }
            finished.push(result.finished);
        }
        flush::apply(self.chain, &mut finished).await?;
        // What a promotion makes of its stage belongs to the same commits.
        self.settle(false).await?;
        flush::push(self.world, self.chain, &mut finished).await?;
        for result in &finished {
            let Some(promotion) = &result.landed else {
                // Somebody else moved first: it is planned again.
                self.done.remove(&result.place.name);
                continue;
            };
            self.report(promotion, &result.place.alias, result.changed);
        }
        Ok(true)
    }

    /// A promotion created in this tick shares a commit with what becomes of it.
    fn group_of(&self, promotion: &Promotion) -> String {
        let created = format!("{}/{}/{}", self.project.name, promotion.spec.stage, promotion.spec.freight);
        if self.chain.has_group(&created) { created } else { promotion.name().to_string() }
    }

    /// Takes measurements of stages that verify what they hold. True if anything changed.
    async fn verify(&mut self, stages: &[StageName]) -> Result<bool, Failure> {
        if stages.is_empty() {
            return Ok(false);
        }
        // What is verified must be what has landed.
        flush::publish(self.world, self.chain).await?;
        let view = View::read(self.chain.state(), self.project).await?;
        let mut changed = false;
        for look in verification::look(self.world, self.project, &view, stages).await? {
            self.measured.insert(look.stage.clone());
            self.outcome.next_wake = [self.outcome.next_wake, look.next].into_iter().flatten().min();
            let phase = look.info.phase.unwrap_or(crate::model::VerificationPhase::Pending);
            self.outcome.verifications.push(VerificationOutcome {
                project: self.project.name.clone(),
                stage: look.stage.clone(),
                id: look.info.id.clone(),
                phase,
                message: look.info.message.clone(),
                changed: look.changed,
            });
            if look.changed {
                match transitions::record_verification(self.chain, &self.project.name, &look.stage, look.info, look.log).await {
                    Ok(()) => changed = true,
                    Err(Stop::Stale(_)) => changed = true,
                    Err(stop) => return Err(stop.into()),
                }
            }
        }
        Ok(changed)
    }

    fn report(&mut self, promotion: &Promotion, alias: &str, changed: bool) {
        let outcome = outcome_of(&self.project.name, promotion, alias, changed);
        let message = &outcome.message;
        let line = if message.is_empty() { crate::report::words::phase(promotion.status.phase).to_owned() } else { format!("{alias}: {message}") };
        self.world.progress.done(promotion.spec.stage.as_str(), &line);
        match self.outcome.promotions.iter_mut().find(|known| known.name == outcome.name) {
            Some(known) => {
                let changed = known.changed || outcome.changed;
                *known = PromotionOutcome { changed, ..outcome };
            }
            None => self.outcome.promotions.push(outcome),
        }
    }

    /// What waits for the outside world, at the end.
    async fn note_waiting(&mut self) -> Result<(), Failure> {
        let view = View::read(self.chain.state(), self.project).await?;
        for promotion in view.promotions.iter().filter(|promotion| !promotion.status.phase.is_terminal()) {
            self.outcome.waiting.push(Waiting {
                project: self.project.name.clone(),
                stage: promotion.spec.stage.clone(),
                reason: waiting_for(promotion),
                until: promotion.status.consign.next_look.filter(|next| *next > self.world.occasion.now),
            });
        }
        let plan = self.plan(&view)?;
        let mut soaking: BTreeMap<StageName, Timestamp> = BTreeMap::new();
        for held in &plan.held {
            if let Some(opens) = held.gates.iter().filter_map(|gate| gate.opens_at).max() {
                let entry = soaking.entry(held.stage.clone()).or_insert(opens);
                *entry = (*entry).min(opens);
            }
        }
        for (stage, until) in soaking {
            let held = plan.held.iter().find(|held| held.stage == stage);
            let detail =
                held.and_then(|held| held.gates.iter().find(|gate| gate.opens_at.is_some())).map(|gate| gate.detail.clone()).unwrap_or_default();
            self.outcome.waiting.push(Waiting { project: self.project.name.clone(), stage, reason: detail, until: Some(until) });
        }
        Ok(())
    }
}

/// A promotion as reports show it.
pub fn outcome_of(project: &ProjectName, promotion: &Promotion, alias: &str, changed: bool) -> PromotionOutcome {
    let metadata = &promotion.status.step_execution_metadata;
    let steps = promotion
        .spec
        .steps
        .iter()
        .map(|step| {
            let reached = metadata.iter().find(|entry| entry.alias == step.alias);
            StepOutcome {
                alias: step.alias.clone(),
                kind: step.uses.clone(),
                status: reached.and_then(|entry| entry.status),
                message: reached.map(|entry| entry.message.clone()).unwrap_or_default(),
            }
        })
        .collect();
    PromotionOutcome {
        project: project.clone(),
        name: promotion.name(),
        stage: promotion.spec.stage.clone(),
        freight: promotion.spec.freight.clone(),
        alias: alias.to_owned(),
        phase: promotion.status.phase,
        message: if promotion.status.phase.is_terminal() { promotion.status.message.clone() } else { waiting_for(promotion) },
        steps,
        changed,
    }
}

/// What a promotion waits for, in a sentence.
pub fn waiting_for(promotion: &Promotion) -> String {
    let status = &promotion.status;
    if let Some(proposal) = status.consign.proposals.last() {
        return format!("proposal {} waits to be merged: `{}` into `{}`", proposal.number, proposal.source_branch, proposal.target_branch);
    }
    let step = status.step_execution_metadata.get(status.current_step);
    match step {
        Some(step) if !step.message.is_empty() => format!("step `{}`: {}", step.alias, step.message),
        Some(step) => format!("step `{}`", step.alias),
        None if status.phase == PromotionPhase::Pending => "its turn".to_owned(),
        None => "its next step".to_owned(),
    }
}

/// Freezes a stage's recipe into a promotion of a freight.
///
/// # Errors
/// Config, if the recipe cannot be inflated.
pub fn new_promotion(
    world: &World,
    project: &Project,
    stage: &crate::model::Stage,
    freight: &Freight,
    trigger: &str,
    intent: Option<plan::holds::Intent>,
) -> Result<Promotion, Failure> {
    let inflated = crate::promote::inflate::inflate(stage, &project.tasks).map_err(|errors| {
        let all: Vec<String> = errors.iter().map(|error| format!("{}: {}", error.path, error.message)).collect();
        Failure::new(FailureKind::Config, format!("stage `{}` cannot be promoted to: {}", stage.metadata.name, all.join("; ")))
    })?;
    let new = plan::naming::NewPromotion {
        name: PromotionName::default(),
        actor: if trigger == "auto" { "" } else { &world.occasion.actor },
        trigger,
        intent,
        definitions: &world.definitions_commit,
    };
    let mut promotion = plan::naming::new_promotion(stage, freight, new, world.occasion.now);
    promotion.spec.steps = inflated.steps;
    promotion.spec.vars = inflated.vars;
    Ok(promotion)
}
