//! The ledger transitions of a tick: each a function from a draft to edits, with the sentence the audit log shows.

use std::sync::Arc;

use crate::ledger::{Chain, Draft, NewPromotion, RecordPath, Stop};
use crate::model::{
    Freight, FreightName, FreightStatus, ProjectName, Promotion, PromotionName, PromotionPhase, PromotionStatus, StageName, StageStatus,
    VerificationInfo, WarehouseName, WarehouseStatus,
};
use crate::plan::bookkeeping;
use crate::promote::step::{RecordChange, set_metadata};
use crate::report::words;

/// What a promotion's tick changed besides its own record.
#[derive(Clone, Debug, Default)]
pub struct Aftermath {
    /// Changes to other records, in order.
    pub changes: Vec<RecordChange>,
    /// What tools printed; empty: nothing.
    pub log: String,
}

/// Takes in what a warehouse found. Says nothing in the log by itself unless a source begins or stops to fail.
///
/// # Errors
/// What fetching says.
pub async fn found(chain: &mut Chain<'_>, project: &ProjectName, warehouse: &WarehouseName, status: WarehouseStatus) -> Result<(), Stop> {
    let (project, warehouse, status) = (project.clone(), warehouse.clone(), Arc::new(status));
    let key = format!("{project}/warehouse/{warehouse}");
    chain
        .apply(&key, move |draft| {
            let record = draft.warehouse_mut(&project, &warehouse)?;
            let sentence = match (&record.status.failing, &status.failing) {
                (None, Some(failing)) => format!("warehouse {warehouse} fails: {}", words::one_line(&failing.reason, 120)),
                (Some(_), None) => format!("warehouse {warehouse} looks again"),
                _ => format!("look at the sources of warehouse {warehouse}"),
            };
            record.status.discovered_artifacts.clone_from(&status.discovered_artifacts);
            record.status.failing.clone_from(&status.failing);
            record.status.last_freight_id.clone_from(&status.last_freight_id);
            draft.say(sentence);
            Ok(())
        })
        .await
}

/// Adds a freight. Gives it as recorded, and whether it is new.
///
/// # Errors
/// What fetching says.
pub async fn create_freight(chain: &mut Chain<'_>, project: &ProjectName, freight: Freight) -> Result<(Freight, bool), Stop> {
    let project = project.clone();
    let key = format!("{project}/warehouse/{}", freight.origin.name);
    let (recorded, is_new) = chain
        .apply(&key, move |draft| {
            let mut freight = freight.clone();
            if freight.alias.is_empty() {
                let mut taken = Ok(());
                freight.alias = crate::freight::alias::alias_of(&freight.name(), |alias| match draft.freight_with_alias(&project, alias) {
                    Ok(owner) => owner.is_some_and(|owner| owner != freight.name()),
                    Err(stop) => {
                        taken = Err(stop);
                        false
                    }
                });
                taken?;
            }
            let artifacts = words::artifacts(&freight.reference()).join(", ");
            let sentence = format!("freight {}: {} from {}", freight.alias, words::one_line(&artifacts, 100), freight.origin.name);
            let warehouse = freight.origin.name.clone();
            let (recorded, is_new) = draft.create_freight(&project, freight)?;
            draft.warehouse_mut(&project, &warehouse)?.status.last_freight_id = recorded.name();
            if is_new {
                draft.say(sentence);
            }
            Ok((recorded, is_new))
        })
        .await?;
    Ok(((*recorded).clone(), is_new))
}

/// Writes down a stage's record as the plan settled it.
///
/// # Errors
/// Stale, if the record is not the one planned on.
pub async fn record_stage(chain: &mut Chain<'_>, key: &str, project: &ProjectName, stage: &StageName, status: StageStatus) -> Result<(), Stop> {
    let path = RecordPath::Stage(project.clone(), stage.clone());
    let planned_on = chain.state().version(&path)?;
    let (project, stage, status) = (project.clone(), stage.clone(), Arc::new(status));
    chain
        .apply(key, move |draft| {
            draft.check_version(&RecordPath::Stage(project.clone(), stage.clone()), planned_on)?;
            let metadata = draft.stage(&project, &stage)?.map(|record| record.status.metadata.clone()).unwrap_or_default();
            let record = draft.stage_mut(&project, &stage)?;
            record.status = (*status).clone();
            // Metadata belongs to steps, not to plans.
            record.status.metadata = metadata;
            Ok(())
        })
        .await
}

/// Groups whose content sums up other groups: a freight's record says in which stages it is. They are left out, and made again by the next
/// plan, whenever one of the others is left out.
const DERIVED: &str = "derived/";

/// Whether a group sums up others.
pub fn is_derived(key: &str) -> bool {
    key.starts_with(DERIVED)
}

/// Writes down a freight's status as the plan settled it.
///
/// # Errors
/// Stale, if the record is not the one planned on.
pub async fn record_freight(
    chain: &mut Chain<'_>,
    project: &ProjectName,
    freight: &FreightName,
    status: FreightStatus,
    verified_in: Vec<StageName>,
) -> Result<(), Stop> {
    let path = RecordPath::Freight(project.clone(), freight.clone());
    let planned_on = chain.state().version(&path)?;
    let key = format!("{DERIVED}{project}/freight/{freight}");
    let (project, freight, status) = (project.clone(), freight.clone(), Arc::new(status));
    chain
        .apply(&key, move |draft| {
            draft.check_version(&RecordPath::Freight(project.clone(), freight.clone()), planned_on)?;
            let record = draft.freight_mut(&project, &freight)?;
            let (metadata, alias, approved, quarantined) =
                (record.status.metadata.clone(), record.alias.clone(), record.status.approved_for.clone(), record.status.quarantined.clone());
            record.status = (*status).clone();
            (record.status.metadata, record.status.approved_for, record.status.quarantined) = (metadata, approved, quarantined);
            if verified_in.is_empty() {
                draft.say(format!("note where {} is", if alias.is_empty() { freight.as_str() } else { &alias }));
            }
            for stage in &verified_in {
                draft.say(format!("{} is verified in {stage}", if alias.is_empty() { freight.as_str() } else { &alias }));
            }
            Ok(())
        })
        .await
}

/// Creates a promotion on the stage's record as it is now. Gives its name.
///
/// # Errors
/// Stale, if the record is not the one planned on.
pub async fn create_promotion(
    chain: &mut Chain<'_>,
    key: &str,
    project: &ProjectName,
    promotion: Promotion,
    alias: &str,
    reason: &str,
) -> Result<PromotionName, Stop> {
    let planned_on = chain.state().version(&RecordPath::Stage(project.clone(), promotion.spec.stage.clone()))?;
    let sentence = format!("promote {alias} to {}: {}", promotion.spec.stage, words::one_line(reason, 120));
    let project = project.clone();
    chain
        .apply(key, move |draft| {
            let name = draft.create_promotion(NewPromotion { project: project.clone(), promotion: promotion.clone(), planned_on })?;
            draft.say(sentence.clone());
            Ok(name)
        })
        .await
}

/// Takes the right to run a promotion with outside effects.
///
/// # Errors
/// Stale, if another tick has it.
pub async fn claim(
    chain: &mut Chain<'_>,
    key: &str,
    project: &ProjectName,
    stage: &StageName,
    name: &PromotionName,
    until: jiff::Timestamp,
) -> Result<(), Stop> {
    let (project, stage, name) = (project.clone(), stage.clone(), name.clone());
    chain
        .apply(key, move |draft| {
            draft.claim(&project, &stage, &name, until)?;
            draft.say(format!("run {name}"));
            Ok(())
        })
        .await
}

/// Where a promotion's outcome is to be written, and on what condition.
#[derive(Clone, Debug)]
pub struct Place {
    /// Group of the chain.
    pub key: String,
    /// Project.
    pub project: ProjectName,
    /// Stage.
    pub stage: StageName,
    /// Promotion.
    pub name: PromotionName,
    /// Alias of its freight.
    pub alias: String,
    /// Whether it was run under a claim; if not, its record must be the one that was run.
    pub claimed: bool,
}

/// Writes down how far a promotion came.
///
/// # Errors
/// Stale, if another tick has moved it meanwhile.
pub async fn record_promotion(chain: &mut Chain<'_>, place: &Place, status: PromotionStatus, aftermath: Aftermath) -> Result<(), Stop> {
    let run_on = chain.state().version(&RecordPath::Promotion(place.project.clone(), place.stage.clone(), place.name.clone()))?;
    let (at, status, aftermath) = (place.clone(), Arc::new(status), Arc::new(aftermath));
    chain
        .apply(&place.key, move |draft| {
            if at.claimed {
                draft.check_claim(&at.project, &at.stage, &at.name)?;
            } else {
                draft.check_version(&RecordPath::Promotion(at.project.clone(), at.stage.clone(), at.name.clone()), run_on)?;
            }
            let record = draft.promotion_mut(&at.project, &at.stage, &at.name)?;
            let before = std::mem::replace(&mut record.status, (*status).clone());
            record.status.consign.claim = None;
            // A person may have approved it while it ran.
            record.status.consign.approvals.clone_from(&before.consign.approvals);
            let known: Vec<u64> = before.consign.proposals.iter().map(|proposal| proposal.number).collect();
            for proposal in status.consign.proposals.iter().filter(|proposal| !known.contains(&proposal.number)) {
                draft.take_proposal(proposal.number)?;
            }
            apply_changes(draft, &at.project, &aftermath.changes)?;
            if !aftermath.log.is_empty() {
                let earlier = read_log(draft, &at)?;
                draft.write_log(&at.project, &at.stage, at.name.as_str(), &format!("{earlier}{}", aftermath.log));
            }
            draft.say(sentence(&at, before.phase, &status));
            Ok(())
        })
        .await
}

fn read_log(draft: &Draft<'_>, at: &Place) -> Result<String, Stop> {
    Ok(draft.state().log(&at.project, &at.stage, at.name.as_str())?.unwrap_or_default())
}

fn sentence(at: &Place, before: PromotionPhase, status: &PromotionStatus) -> String {
    let message = if status.message.is_empty() { String::new() } else { format!(": {}", words::one_line(&status.message, 140)) };
    match status.phase {
        PromotionPhase::Succeeded => format!("{} is in {}", at.alias, at.stage),
        PromotionPhase::Running if before == PromotionPhase::Running => format!("{} still waits to enter {}{message}", at.alias, at.stage),
        PromotionPhase::Pending | PromotionPhase::Running => format!("{} waits to enter {}{message}", at.alias, at.stage),
        phase => format!("promotion of {} to {}: {}{message}", at.alias, at.stage, words::phase(phase)),
    }
}

/// Applies what steps changed of other records.
fn apply_changes(draft: &mut Draft<'_>, project: &ProjectName, changes: &[RecordChange]) -> Result<(), Stop> {
    for change in changes {
        match change {
            RecordChange::StageMetadata { stage, values } => set_metadata(&mut draft.stage_mut(project, stage)?.status.metadata, values),
            RecordChange::FreightMetadata { freight, values } => set_metadata(&mut draft.freight_mut(project, freight)?.status.metadata, values),
            RecordChange::FreightAlias { freight, alias } => draft.set_freight_alias(project, freight, alias)?,
        }
    }
    Ok(())
}

/// Ends a promotion for a reason outside its steps.
///
/// # Errors
/// Stale, if it is gone.
pub async fn end_promotion(chain: &mut Chain<'_>, place: &Place, phase: PromotionPhase, message: &str) -> Result<(), Stop> {
    let (at, message) = (place.clone(), message.to_owned());
    chain
        .apply(&place.key, move |draft| {
            if phase == PromotionPhase::Aborted {
                draft.abort(&at.project, &at.stage, &at.name, &message)?;
            } else {
                let now = draft.now();
                let record = draft.promotion_mut(&at.project, &at.stage, &at.name)?;
                if record.status.phase.is_terminal() {
                    return Ok(());
                }
                record.status.phase = phase;
                message.clone_into(&mut record.status.message);
                record.status.started_at.get_or_insert(now);
                record.status.finished_at = Some(now);
                record.status.consign.claim = None;
            }
            draft.say(format!("promotion of {} to {}: {}: {}", at.alias, at.stage, words::phase(phase), words::one_line(&message, 140)));
            Ok(())
        })
        .await
}

/// Remembers which freight took a promotion's place: what made way is no failure.
///
/// # Errors
/// Stale, if the promotion is gone.
pub async fn supersede(chain: &mut Chain<'_>, project: &ProjectName, stage: &StageName, name: &PromotionName, by: &FreightName) -> Result<(), Stop> {
    let key = name.to_string();
    let (project, stage, name, by) = (project.clone(), stage.clone(), name.clone(), by.clone());
    chain
        .apply(&key, move |draft| {
            draft.promotion_mut(&project, &stage, &name)?.status.consign.superseded_by = by.clone();
            Ok(())
        })
        .await
}

/// Writes down how far a verification came.
///
/// # Errors
/// Stale, if another tick has moved it meanwhile.
pub async fn record_verification(
    chain: &mut Chain<'_>,
    project: &ProjectName,
    stage: &StageName,
    info: VerificationInfo,
    log: String,
) -> Result<(), Stop> {
    let planned_on = chain.state().version(&RecordPath::Stage(project.clone(), stage.clone()))?;
    let key = format!("{project}/stage/{stage}");
    let (project, stage, info) = (project.clone(), stage.clone(), Arc::new(info));
    chain
        .apply(&key, move |draft| {
            draft.check_version(&RecordPath::Stage(project.clone(), stage.clone()), planned_on)?;
            let record = draft.stage_mut(&project, &stage)?;
            bookkeeping::record_verification(&mut record.status, (*info).clone());
            let phase = info.phase.map_or("Pending", super::outcome::verification_word);
            let message = if info.message.is_empty() { String::new() } else { format!(": {}", words::one_line(&info.message, 140)) };
            draft.say(format!("verification of {stage} is {phase}{message}"));
            if !log.is_empty() {
                let earlier = draft.state().log(&project, &stage, &info.id)?.unwrap_or_default();
                draft.write_log(&project, &stage, &info.id, &format!("{earlier}{log}"));
            }
            Ok(())
        })
        .await
}
