//! Runs promotions: all of a round at once, sharing fetches, prefetches and pushes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::World;
use super::flush::Finished;
use super::scope::{ProjectRecords, Shared};
use super::transitions::{self, Aftermath, Place};
use super::view::View;
use crate::diagnostic::{Failure, FailureKind};
use crate::forge::plain::Book;
use crate::git::{Crew, Member, PlainFlush};
use crate::ledger::{Chain, State, Stop};
use crate::model::{FreightReference, Project, Promotion, PromotionStep};
use crate::plan::bookkeeping;
use crate::promote;
use crate::promote::engine::{self, Clock, Engine, Requeue, Scope};
use crate::promote::expressions::Evaluator;
use crate::promote::step::Doors;
use crate::promote::tools::Tools;
use crate::promote::workspace::{GitAccess, Identity, Integration, Workspace};

/// How long a claim holds unless it is renewed.
const CLAIM: SignedDuration = SignedDuration::from_mins(15);
/// Retries within a tick end after this long.
const RETRIES: std::time::Duration = std::time::Duration::from_secs(30);

/// A promotion to run.
pub struct Job {
    /// The promotion as it stands.
    pub promotion: Promotion,
    /// Where its outcome goes.
    pub place: Place,
    /// Whether it writes nothing but refs of the ledger's remote: then its refs and its record leave together, and it needs no claim.
    pub optimistic: bool,
    /// Whether this tick created it.
    pub created: bool,
    /// Whether nothing may leave: no push, and no waiting for a retry.
    pub rehearsal: bool,
}

impl Job {
    /// Judges a promotion before its first step.
    pub fn new(world: &World, project: &Project, promotion: Promotion, mut place: Place, view: &View, created: bool) -> Self {
        let optimistic = is_optimistic(world, project, &promotion, view);
        place.claimed = !optimistic;
        Self { promotion, place, optimistic, created, rehearsal: false }
    }

    /// For running a promotion as far as it goes without any effect: its steps are those before the first that acts outside.
    pub fn rehearsal(promotion: Promotion, place: Place) -> Self {
        Self { promotion, place, optimistic: true, created: true, rehearsal: true }
    }
}

/// What came of running a promotion.
pub struct Ran {
    /// Its outcome, to be written down.
    pub finished: Finished,
    /// Set when the environment failed: the step it failed in counts as not run.
    pub failure: Option<Failure>,
    /// Values of secrets that were read, to mask them.
    pub revealed: Vec<String>,
}

/// Takes claims for the promotions that need one, and publishes them before anything happens. Promotions that another tick runs leave the list.
///
/// # Errors
/// What the ledger says.
pub async fn claim(world: &World, chain: &mut Chain<'static>, jobs: &mut Vec<Job>) -> Result<(), Failure> {
    if jobs.iter().all(|job| job.optimistic) {
        return Ok(());
    }
    let until = world.occasion.now + CLAIM;
    let mut lost = Vec::new();
    for job in jobs.iter_mut().filter(|job| !job.optimistic) {
        match transitions::claim(chain, &job.place.key, &job.place.project, &job.place.stage, &job.place.name, until).await {
            Ok(()) => {}
            Err(Stop::Stale(_)) => lost.push(job.place.name.clone()),
            Err(stop) => return Err(stop.into()),
        }
    }
    jobs.retain(|job| !lost.contains(&job.place.name));
    let published = world.ledger.publish(chain).await?;
    jobs.retain(|job| !published.dropped.iter().any(|gone| gone.key == job.place.key));
    let tip = published.committed.map(|committed| committed.tip).or(chain.state().tip());
    let state = world.ledger.state_at(tip).await?;
    *chain = world.ledger.chain(state, world.occasion.clone());
    for job in jobs.iter_mut() {
        // What was created in this tick is on the branch now.
        job.created = false;
        job.place.key = job.place.name.to_string();
    }
    Ok(())
}

/// Runs promotions at once, as far as each goes.
///
/// # Errors
/// What the ledger says.
pub async fn all(world: &World, project: &Project, view: &View, state: &State, jobs: Vec<Job>) -> Result<Vec<Ran>, Failure> {
    let highest = super::view::required(state, || state.ledger()).await?.status.proposals;
    let shared = Shared::new(project, view, &world.secrets, &world.shared_secrets, &world.ui_base_url(), world.occasion.now);
    let crew = Crew::new(PlainFlush);
    let known = view.promotions.iter().flat_map(|promotion| promotion.status.consign.proposals.clone()).collect();
    let book = Book { known: Arc::new(known), last_number: Arc::new(AtomicU64::new(highest)), opened: Arc::default() };
    let members: Vec<(Job, Member)> = jobs.into_iter().map(|job| (job, crew.join())).collect();
    let runs =
        members.into_iter().map(|(job, member)| one(world, project, view, &shared, Book { opened: Arc::default(), ..book.clone() }, job, member));
    join_all(runs).await.into_iter().collect()
}

#[allow(clippy::too_many_arguments)]
async fn one(world: &World, project: &Project, view: &View, shared: &Shared, book: Book, job: Job, member: Member) -> Result<Ran, Failure> {
    let Job { mut promotion, place, optimistic, created, rehearsal } = job;
    let before = promotion.status.clone();
    prepare(project, view, &mut promotion);
    let identity = Identity { name: world.settings.git.author.name.clone(), email: world.settings.git.author.email.clone() };
    let access = GitAccess { stores: world.stores.clone(), member, identity, signer: world.signer.clone(), integration: Integration::Rebase };
    let mut workspace = Workspace::temporary()?.with_git(access).resuming(before.consign.checkouts.clone());
    if rehearsal {
        workspace = workspace.with_all_provisional();
    } else if optimistic {
        workspace = workspace.with_provisional(world.ledger_store.url().key());
    }
    let forges = super::forges::for_promotion(world, view, &promotion, book.clone());
    let mut tools = Tools::default();
    (tools.kustomize, tools.helm) = (world.settings.tools.kustomize.clone(), world.settings.tools.helm.clone());
    let doors = Doors {
        tools,
        forges: Some(forges),
        // A forge has no page of a stage to link to.
        ui_base_url: String::new(),
    };
    let clock = Ticking { start: world.occasion.now, began: std::time::Instant::now() };
    let stop = AtomicBool::new(false);
    let records = ProjectRecords(view);
    let evaluator = shared.evaluator(project, &promotion);
    let engine = Engine {
        registry: &world.registry,
        expressions: &evaluator,
        clock: &clock,
        project: &project.name,
        warehouses: &project.warehouses,
        records: &records,
        doors: &doors,
        stop: &stop,
    };
    world.progress.doing(place.stage.as_str(), &place.alias);
    let mut aftermath = Aftermath::default();
    let began = std::time::Instant::now();
    let failure = loop {
        let outcome = engine.tick(&promotion, &mut workspace).await;
        aftermath.changes.extend(outcome.changes);
        for log in outcome.logs {
            aftermath.log.push_str(&format!("== {} ==\n{}\n", log.alias, mask(&log.text, &shared.revealed())));
        }
        if outcome.stopped {
            break Some(Failure::new(FailureKind::Internal, "the run was asked to stop"));
        }
        promotion.status = outcome.status;
        if let Some(failure) = outcome.failure {
            break Some(failure);
        }
        match outcome.requeue {
            Some(Requeue::Backoff(errors)) => {
                let pause = engine::backoff(errors, rand::random());
                promotion.status.consign.next_look = Some(world.occasion.now);
                if rehearsal || began.elapsed() + pause > RETRIES {
                    break None;
                }
                tokio::time::sleep(pause).await;
            }
            Some(Requeue::After(pause)) => {
                let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::from_mins(5));
                promotion.status.consign.next_look = Some(clock.now() + pause);
                break None;
            }
            None => {
                promotion.status.consign.next_look = None;
                break None;
            }
        }
    };
    let consign = &mut promotion.status.consign;
    consign.proposals.extend(book.take_opened());
    if failure.is_some() {
        // The environment's failure is not the step's: with nothing done, nothing is recorded.
        let nothing_done = promotion.status.step_execution_metadata == before.step_execution_metadata || optimistic;
        if nothing_done {
            promotion.status = before.clone();
            aftermath = Aftermath::default();
        }
    }
    if promotion.status.phase.is_terminal() {
        promotion.status.consign.proposals.clear();
    }
    let updates = if failure.is_some() { Vec::new() } else { workspace.provisional().iter().map(|push| push.update.clone()).collect() };
    let changed = differs(&before, &promotion.status) || !aftermath.changes.is_empty();
    let status = promotion.status.clone();
    promotion.status = before;
    let finished = Finished { place, promotion, status, aftermath, updates, created, changed: changed || created, applied: false, landed: None };
    Ok(Ran { finished, failure, revealed: shared.revealed() })
}

/// Whether a status says anything new: that a waiting step was looked at again is no news.
fn differs(before: &crate::model::PromotionStatus, after: &crate::model::PromotionStatus) -> bool {
    let plain = |status: &crate::model::PromotionStatus| {
        let mut status = status.clone();
        (status.consign.next_look, status.consign.claim) = (None, None);
        status
    };
    plain(before) != plain(after)
}

/// Gives a promotion what it has when it begins: its freight, and what the stage will hold afterwards.
fn prepare(project: &Project, view: &View, promotion: &mut Promotion) {
    let Some(stage) = project.stages.get(&promotion.spec.stage) else { return };
    if promotion.status.freight_collection.is_none()
        && let Some(freight) = &promotion.status.freight
    {
        let status = view.stages.get(&promotion.spec.stage).cloned().unwrap_or_default();
        promotion.status.freight_collection = Some(bookkeeping::collection_for(stage, &status, freight));
    }
}

/// Masks values of secrets.
fn mask(text: &str, secrets: &[String]) -> String {
    let mut secrets: Vec<&String> = secrets.iter().filter(|secret| secret.len() >= 4).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.into_iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "****"))
}

struct Ticking {
    start: Timestamp,
    began: std::time::Instant,
}

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        self.start + SignedDuration::try_from(self.began.elapsed()).unwrap_or_default()
    }
}

/// Whether a promotion's refs and its record can leave together.
fn is_optimistic(world: &World, project: &Project, promotion: &Promotion, view: &View) -> bool {
    early(world, project, promotion, view, |early, evaluator| {
        promote::is_optimistic(&world.registry, evaluator, early, world.ledger_store.url(), &|url| world.forges.is_plain(url, None))
    })
}

/// Index of the first step that a promotion could still run and that acts outside; None: it writes nothing but refs.
pub fn first_outside(world: &World, project: &Project, promotion: &Promotion, view: &View) -> Option<usize> {
    early(world, project, promotion, view, |early, evaluator| promote::first_outside(&world.registry, evaluator, early))
}

/// Calls with what expressions of a promotion see before its first step.
fn early<T>(world: &World, project: &Project, promotion: &Promotion, view: &View, judge: impl FnOnce(Scope<'_>, &Evaluator) -> T) -> T {
    let shared = Shared::new(project, view, &world.secrets, &world.shared_secrets, &world.ui_base_url(), world.occasion.now);
    let evaluator = shared.evaluator(project, promotion);
    let nothing = PromotionStep::default();
    let freight: Vec<FreightReference> = promotion.status.freight.iter().cloned().collect();
    let early = Scope {
        promotion,
        step: promotion.spec.steps.first().unwrap_or(&nothing),
        outputs: &serde_json::Map::new(),
        metadata: &[],
        freight: &freight,
        warehouses: &project.warehouses,
        records: &ProjectRecords(view),
        changes: &[],
    };
    judge(early, &evaluator)
}
