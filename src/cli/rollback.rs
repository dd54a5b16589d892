//! `rollback`: a stage goes back to what an earlier promotion wrote.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ground::Ground;
use super::promote::{Choice, Request, create, go};
use super::restore::{Restored, Written, restore};
use super::session::{Session, Stopped};
use super::{Format, print};
use crate::diagnostic::{Failure, FailureKind};
use crate::git::{PushUnit, Store, UnitOutcome};
use crate::ledger::{Draft, NewPromotion, RecordPath, Stop};
use crate::model::{Freight, FreightName, Project, Promotion, PromotionName, PromotionPhase, Stage, StageName};
use crate::plan::bookkeeping::{self, Settling};
use crate::plan::policy::Policies;
use crate::plan::{holds, naming, rollback};
use crate::report::verbs;
use crate::tick::flush::{self, Finished};
use crate::tick::outcome::PromotionOutcome;
use crate::tick::round::outcome_of;
use crate::tick::transitions::{Aftermath, Place};

/// Restorations that were overtaken by others before the race counts as lost.
const ATTEMPTS: u32 = 10;

/// Restores what the last verified earlier promotion wrote, and holds the stage. Nothing but Git is needed.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The stage
    pub stage: String,
    /// Go back to this freight: name, alias, or the beginning of its name
    #[arg(long, value_name = "FREIGHT")]
    pub to: Option<String>,
    /// Run the steps with the earlier freight instead of restoring what they wrote then
    #[arg(long)]
    pub rerun: bool,
    /// Why; shown with the hold
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// How to say what was done
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Rolls back; gives the exit code.
///
/// # Errors
/// Usage, for a stage or freight that there is not; Refused, if there is nothing to go back to or the remote says no; what ledger and remotes say.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    let mut world = session.open(false).await?;
    for _ in 0..ATTEMPTS {
        let ground = Ground::of_stage(&world, &args.stage).await?;
        let stage = ground.stage(&args.stage)?;
        let promotions = ground.promotions(&stage.name()).await?;
        let target = target(&ground, stage, &promotions, args)?;
        if args.rerun {
            let freight = target.spec.freight.clone();
            let hold = verbs::rollback_reason(&ground.called(&freight), &args.reason);
            let request = Request { trigger: "rollback", hold: Some(hold), reason: args.reason.clone(), ..Request::default() };
            let created = create(&world, &args.stage, &Choice::Exactly(freight), &request).await?;
            let (outcome, failures) = go(&mut world, &created).await?;
            print(args.format, &outcome, || verbs::rolled_back(&outcome, &[]));
            let mut code = 0;
            for failure in failures {
                code = code.max(session.explain(&Stopped::Failed(failure)));
            }
            return Ok(code);
        }
        let written = Written::read(&ground, &stage.name(), &promotions);
        if let Some((outcome, notes)) = back(&ground, stage, target, &written, &args.reason).await? {
            print(args.format, &outcome, || verbs::rolled_back(&outcome, &notes));
            let refused = outcome.phase == PromotionPhase::Refused;
            return Ok(if refused { FailureKind::Refused.exit_code() } else { 0 });
        }
        // Somebody else moved first: look again and decide on what is there now.
        world.refetch(&world.ledger_store).await?;
    }
    Err(Failure::new(FailureKind::Conflict, format!("others kept writing to `{}`, and the rollback never got its turn", args.stage))
        .hint("nothing has changed; run it again")
        .into())
}

/// The promotion to go back to.
fn target<'p>(ground: &Ground<'_>, stage: &Stage, promotions: &'p [Promotion], args: &Args) -> Result<&'p Promotion, Failure> {
    let name = stage.name();
    refuse_while_under_way(ground, &name, "rolled back")?;
    let to: Option<FreightName> = args.to.as_deref().map(|text| ground.freight(text).map(Freight::name)).transpose()?;
    rollback::target(stage, &ground.status(&name), promotions, &ground.view.freight, to.as_ref(), args.rerun)
        .map_err(|why| Failure::new(FailureKind::Refused, why.to_string()).hint(format!("`consign history {name}` shows what was promoted there")))
}

/// A stage can only be set right by hand while nothing else is on its way into it.
pub(super) fn refuse_while_under_way(ground: &Ground<'_>, stage: &StageName, what: &str) -> Result<(), Failure> {
    match ground.under_way(stage) {
        None => Ok(()),
        Some(open) => {
            Err(Failure::new(FailureKind::Refused, format!("`{stage}` cannot be {what} while promotion `{}` is under way", open.metadata.name))
                .hint(format!("`consign abort {}` ends it", open.metadata.name)))
        }
    }
}

/// Restores and writes down; None: somebody else moved first.
async fn back(
    ground: &Ground<'_>,
    stage: &Stage,
    target: &Promotion,
    written: &Written<'_>,
    reason: &str,
) -> Result<Option<(PromotionOutcome, Vec<String>)>, Failure> {
    let called = ground.called(&target.spec.freight);
    let (sites, unknown) = written.as_of(target);
    let mut notes = verbs::restore_notes(stage.metadata.name.as_str(), written.is_gated, &unknown);
    let message = verbs::rollback_commit(&stage.name(), &called, &target.name(), reason);
    let mut restored: Vec<Restored> = Vec::new();
    for site in &sites {
        restored.push(restore(ground, site, &message).await?);
    }
    if restored.iter().all(|branch| branch.update.is_none()) {
        notes.push("the branches already are as they were then".to_owned());
    }
    let home = ground.world.ledger_store.url().key().to_owned();
    let (with_record, others): (Vec<&Restored>, Vec<&Restored>) = restored.iter().partition(|branch| branch.store.url().key() == home);
    // Other remotes cannot share a push with the record. They go first: if this process ends in between, the branches are right, and asking
    // again finds nothing to push and writes the record.
    if !push_others(&others).await? {
        return Ok(None);
    }
    let mut promotion = restoring(ground, stage, target, &called);
    promotion.status.consign.written = restored.iter().map(|branch| branch.written.clone()).collect();
    let updates = with_record.iter().filter_map(|branch| branch.update.clone()).collect::<Vec<_>>();
    let note = Note { sentence: verbs::rollback_sentence(&stage.name(), &called, reason), hold: Some(verbs::rollback_reason(&called, reason)) };
    let landed = land(ground, stage, promotion, updates, note).await?;
    Ok(landed.map(|promotion| (outcome_of(&ground.project.name, &promotion, &called, true), notes)))
}

/// Pushes to remotes other than the ledger's; false: somebody else moved first.
async fn push_others(others: &[&Restored]) -> Result<bool, Failure> {
    let mut by_store: BTreeMap<&str, (&Arc<Store>, PushUnit)> = BTreeMap::new();
    for branch in others {
        let Some(update) = &branch.update else { continue };
        let unit = || (&branch.store, PushUnit { key: "rollback".into(), updates: Vec::new() });
        by_store.entry(branch.store.url().key()).or_insert_with(unit).1.updates.push(update.clone());
    }
    for (store, unit) in by_store.into_values() {
        let outcome = store.push_group(vec![unit], &mut ()).await?;
        for unit in outcome.units.into_values() {
            match unit {
                UnitOutcome::Landed => {}
                UnitOutcome::Stale { .. } | UnitOutcome::NotPushed => return Ok(false),
                UnitOutcome::Refused { name, words } => {
                    return Err(Failure::new(FailureKind::Refused, format!("the remote `{}` refuses the push to `{name}`: {words}", store.url()))
                        .hint("let the identity that runs consign push there, or restore the branch by hand and run `consign adopt`"));
                }
            }
        }
    }
    Ok(true)
}

/// The promotion that stands for a restoration: ended, without steps, holding what the restored promotion held.
fn restoring(ground: &Ground<'_>, stage: &Stage, target: &Promotion, called: &str) -> Promotion {
    let mut promotion = by_hand(ground, stage, target, "rollback");
    promotion.status.message = format!("restored what `{}` wrote for {called}", target.metadata.name);
    promotion.status.consign.restores = target.name();
    promotion
}

/// A promotion that ended as it was made, without steps, for what a person did to a stage: it holds what `like` held.
pub(super) fn by_hand(ground: &Ground<'_>, stage: &Stage, like: &Promotion, trigger: &str) -> Promotion {
    let now = ground.world.occasion.now;
    let held = like.status.freight.clone().unwrap_or_default();
    let mut freight = Freight { origin: held.origin.clone(), ..Freight::default() };
    freight.metadata.name = like.spec.freight.to_string();
    let new = naming::NewPromotion {
        name: PromotionName::default(),
        actor: &ground.world.occasion.actor,
        trigger,
        intent: None,
        definitions: &ground.world.definitions_commit,
    };
    let mut promotion = naming::new_promotion(stage, &freight, new, now);
    let status = &mut promotion.status;
    status.freight = Some(held.clone());
    let collection = like.status.freight_collection.clone();
    let mut collection = collection.unwrap_or_else(|| bookkeeping::collection_for(stage, &ground.status(&stage.name()), &held));
    collection.verification_history.clear();
    status.freight_collection = Some(collection);
    status.phase = PromotionPhase::Succeeded;
    (status.started_at, status.finished_at) = (Some(now), Some(now));
    promotion
}

/// How what a person did is written down.
#[derive(Clone, Debug)]
pub(super) struct Note {
    /// For the audit log.
    pub sentence: String,
    /// Hold the stage, for this reason.
    pub hold: Option<String>,
}

/// Writes an ended promotion and what it makes of its stage, and pushes refs of the ledger's remote with it, all or nothing. None: somebody else
/// moved first.
///
/// # Errors
/// What the ledger says.
pub(super) async fn land(
    ground: &Ground<'_>,
    stage: &Stage,
    promotion: Promotion,
    updates: Vec<crate::git::RefUpdate>,
    note: Note,
) -> Result<Option<Promotion>, Failure> {
    let (world, project) = (ground.world, ground.project);
    let key = format!("{}/{}/by-hand", project.name, stage.metadata.name);
    let planned_on = ground.state.version(&RecordPath::Stage(project.name.clone(), stage.name()))?;
    let mut chain = world.ledger.chain(ground.state.clone(), world.occasion.clone());
    let writing = Arc::new(Writing { project: project.clone(), stage: stage.clone(), promotion, planned_on, note });
    let shared = Arc::clone(&writing);
    let name = match chain.apply(&key, move |draft| shared.write(draft)).await {
        Ok(name) => name,
        Err(Stop::Stale(_)) => return Ok(None),
        Err(stop) => return Err(stop.into()),
    };
    let mut promotion = writing.promotion.clone();
    promotion.metadata.name = name.to_string();
    promotion.metadata.namespace = project.name.to_string();
    if updates.is_empty() {
        let published = world.ledger.publish(&mut chain).await?;
        return Ok(published.dropped.is_empty().then_some(promotion));
    }
    let alias = ground.called(&promotion.spec.freight);
    let place = Place { key, project: project.name.clone(), stage: stage.name(), name, alias, claimed: false };
    let status = promotion.status.clone();
    let finished =
        Finished { place, promotion, status, aftermath: Aftermath::default(), updates, created: true, changed: true, applied: true, landed: None };
    let mut finished = [finished];
    flush::push(world, &mut chain, &mut finished).await?;
    let [finished] = finished;
    Ok(finished.landed)
}

struct Writing {
    project: Project,
    stage: Stage,
    promotion: Promotion,
    planned_on: Option<crate::git::Oid>,
    note: Note,
}

impl Writing {
    fn write(&self, draft: &mut Draft<'_>) -> Result<PromotionName, Stop> {
        let (project, stage) = (&self.project.name, self.stage.name());
        let name =
            draft.create_promotion(NewPromotion { project: project.clone(), promotion: self.promotion.clone(), planned_on: self.planned_on })?;
        let before = draft.stage(project, &stage)?.map(|record| record.status.clone()).unwrap_or_default();
        let mut promotions: Vec<Promotion> = draft.promotions(project, &stage)?.iter().map(|known| (**known).clone()).collect();
        if let Some(new) = draft.promotion(project, &stage, &name)?
            && !promotions.iter().any(|known| known.name() == name)
        {
            promotions.push((*new).clone());
        }
        promotions.sort_by(|one, other| one.metadata.name.cmp(&other.metadata.name));
        let auto_promotion = Policies::new(self.project.config.as_ref()).auto_promotion(&self.stage).unwrap_or(true);
        let how = Settling { auto_promotion, verify_again: false, now: draft.now() };
        let mut after = bookkeeping::settle(&self.stage, &before, &promotions.iter().collect::<Vec<_>>(), how);
        if let Some(reason) = &self.note.hold {
            after = holds::hold_by_hand(&self.stage, &after, None, &draft.occasion().actor, reason, draft.now());
        }
        draft.stage_mut(project, &stage)?.status = after;
        draft.say(self.note.sentence.clone());
        Ok(name)
    }
}
