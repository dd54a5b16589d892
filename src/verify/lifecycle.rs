//! From a stage's record to its next verification: begun, followed, asked for again, aborted. Pure.
//!
//! A record is [`VerificationInfo`]; while a run is under way, it carries the run itself, without the values of secrets.

use jiff::Timestamp;
use sha1::{Digest, Sha1};

use super::build::{self, GivenArgument, Templates};
use super::run::{AnalysisRun, Phase};
use crate::model::{AnalysisRunReference, HealthState, Stage, StageStatus, VerificationInfo, VerificationPhase};
use crate::plan::{bookkeeping, naming};

/// What stands in a record where the value of a secret would.
pub const SEALED: &str = "*****";

/// What a verification begins from.
pub struct Beginning<'a> {
    /// The stage; it declares a verification.
    pub stage: &'a Stage,
    /// Its record.
    pub status: &'a StageStatus,
    /// Where templates are found.
    pub templates: &'a Templates<'a>,
    /// The arguments, or why one could not be evaluated.
    pub given: Result<&'a [GivenArgument], String>,
    /// Now.
    pub now: Timestamp,
    /// 80 bits that make the run's name unique.
    pub random: u128,
}

/// A verification that begins: its record, and the run, if one can be made of the templates. The record continues one that was asked for and
/// has not begun.
pub fn begin(how: &Beginning<'_>) -> (VerificationInfo, Option<AnalysisRun>) {
    let collection = how.status.current_freight();
    let requested = collection.and_then(|collection| collection.verification_history.first()).filter(|info| is_requested(info)).cloned();
    let is_first = requested.is_none();
    let mut info = requested.unwrap_or_else(|| VerificationInfo {
        id: bookkeeping::verification_id(how.stage, how.status),
        start_time: Some(how.now),
        ..VerificationInfo::default()
    });
    let id = collection.map(|collection| collection.id.as_str()).unwrap_or_default();
    let previous = how.status.freight_history.iter().flat_map(|collection| &collection.verification_history);
    let previous = previous.filter_map(|info| info.analysis_run.as_ref()).map(|run| run.name.as_str()).filter(|name| naming::ulid_of(name).is_some());
    let name = naming::run_name(&how.stage.metadata.name, id, previous.max(), how.now, how.random);
    let verification = how.stage.spec.verification.clone().unwrap_or_default();
    let promotion = how.status.last_promotion.as_ref().map(|last| last.name.as_str()).filter(|_| is_first);
    let built = how
        .given
        .clone()
        .and_then(|given| build::build(how.stage, &verification, how.templates, given, &build::Identity { name: &name, collection: id, promotion }));
    match built {
        Ok(run) => {
            info.phase = Some(VerificationPhase::Pending);
            // As Kargo has it: the time of the last change until the run is under way.
            info.finish_time = Some(how.now);
            info.analysis_run = Some(AnalysisRunReference {
                namespace: run.metadata.namespace.clone(),
                name,
                phase: String::new(),
                labels: verification.analysis_run_metadata.map(|metadata| metadata.labels).unwrap_or_default(),
            });
            info.run = seal(&run);
            (info, Some(run))
        }
        Err(message) => {
            info.phase = Some(VerificationPhase::Error);
            info.finish_time = Some(how.now);
            info.message = format!("the verification of stage `{}` cannot begin: {message}", how.stage.metadata.name);
            (info, None)
        }
    }
}

/// Whether a verification was asked for and has not begun.
fn is_requested(info: &VerificationInfo) -> bool {
    info.run.is_none() && info.analysis_run.is_none() && info.phase == Some(VerificationPhase::Pending)
}

/// The newest verification of what the stage holds, if it has not ended.
pub fn under_way(status: &StageStatus) -> Option<&VerificationInfo> {
    let newest = status.current_freight()?.verification_history.first()?;
    (!newest.phase.is_some_and(VerificationPhase::is_terminal)).then_some(newest)
}

/// The run in a record. Arguments that hold secrets have to be evaluated again.
///
/// # Errors
/// A message: there is no run, or it is none that this version can read.
pub fn run_of(info: &VerificationInfo) -> Result<AnalysisRun, String> {
    let run = info.run.clone().ok_or("its run is gone from the record; ask for another one with `consign reverify`")?;
    serde_json::from_value(run).map_err(|error| format!("its run cannot be read ({error}); ask for another one with `consign reverify`"))
}

/// The run as it is recorded: without the values of secrets.
fn seal(run: &AnalysisRun) -> Option<serde_json::Value> {
    let mut run = run.clone();
    for arg in run.spec.args.iter_mut().filter(|arg| arg.template.is_some()) {
        arg.value = Some(SEALED.to_owned());
    }
    serde_json::to_value(run).ok()
}

/// The record of a verification whose run stands so. A record that has ended stays as it is.
pub fn follow(info: &VerificationInfo, run: &AnalysisRun, now: Timestamp) -> VerificationInfo {
    if info.phase.is_some_and(VerificationPhase::is_terminal) {
        return info.clone();
    }
    let mut info = info.clone();
    let phase = run.status.phase.unwrap_or(Phase::Pending);
    info.phase = Some(verification_phase(phase));
    info.message.clone_from(&run.status.message);
    // A run that was refused has no end of its own; the verification has one all the same.
    info.finish_time = phase.is_completed().then(|| run.status.completed_at.unwrap_or(now));
    if let Some(reference) = &mut info.analysis_run {
        reference.phase = run.status.phase.map_or("", Phase::as_str).to_owned();
    }
    info.run = seal(run);
    info
}

/// The record of a verification that cannot go on.
pub fn broken(info: &VerificationInfo, message: String, now: Timestamp) -> VerificationInfo {
    VerificationInfo { phase: Some(VerificationPhase::Error), message, finish_time: Some(now), ..info.clone() }
}

fn verification_phase(phase: Phase) -> VerificationPhase {
    match phase {
        Phase::Pending => VerificationPhase::Pending,
        Phase::Running => VerificationPhase::Running,
        Phase::Successful => VerificationPhase::Successful,
        Phase::Failed => VerificationPhase::Failed,
        Phase::Error => VerificationPhase::Error,
        Phase::Inconclusive => VerificationPhase::Inconclusive,
    }
}

/// Asks for another verification of what a stage holds. `id` names the verification that is to be repeated; it must be the newest, so that a
/// request that is made twice is one. A stage without a verification is verified at once.
///
/// # Errors
/// Why not, for the user.
pub fn reverify(stage: &Stage, status: &mut StageStatus, id: &str, actor: &str, now: Timestamp) -> Result<(), String> {
    let name = &stage.metadata.name;
    let newest = status.current_freight().and_then(|collection| collection.verification_history.first());
    let newest = newest.ok_or_else(|| format!("stage `{name}` has not verified what it holds; the next `consign run` does"))?;
    if newest.id != id {
        return Err(format!("verification `{id}` is not the newest of stage `{name}`; that is `{}`", newest.id));
    }
    if !newest.phase.is_some_and(VerificationPhase::is_terminal) {
        return Err(format!("stage `{name}` is being verified; abort that first, or wait for its end"));
    }
    if status.current_promotion.is_some() {
        return Err(format!("stage `{name}` is being promoted to; what arrives is verified anyway"));
    }
    if status.health.as_ref().is_none_or(|health| health.status != HealthState::Healthy) {
        return Err(format!("stage `{name}` is not healthy; a verification begins when it is"));
    }
    let implicit = stage.spec.verification.is_none();
    let info = VerificationInfo {
        id: next_id(id),
        actor: actor.to_owned(),
        start_time: Some(now),
        finish_time: implicit.then_some(now),
        phase: Some(if implicit { VerificationPhase::Successful } else { VerificationPhase::Pending }),
        ..VerificationInfo::default()
    };
    bookkeeping::record_verification(status, info);
    Ok(())
}

/// The id of the verification that repeats another one: the same for a request that is made twice.
fn next_id(previous: &str) -> String {
    let hash = hex::encode(Sha1::digest(format!("again/{previous}")));
    format!("{}-{}-5{}-a{}-{}", &hash[..8], &hash[8..12], &hash[13..16], &hash[17..20], &hash[20..32])
}

/// Ends the newest verification of what a stage holds, if it is the one named. The record then says how it ended: as aborted, or as its run had
/// ended by itself; what was measured stays in it.
///
/// # Errors
/// Why not, for the user: none is under way, or it is another one.
pub fn abort(stage: &Stage, status: &mut StageStatus, id: &str, actor: &str, now: Timestamp) -> Result<(), String> {
    let name = &stage.metadata.name;
    let newest = under_way(status).ok_or_else(|| format!("stage `{name}` has no verification under way"))?;
    if newest.id != id {
        return Err(format!("verification `{id}` is not the one under way in stage `{name}`; that is `{}`", newest.id));
    }
    let mut info = newest.clone();
    if info.analysis_run.is_some() {
        let mut run = match run_of(&info) {
            Ok(run) => run,
            Err(message) => {
                bookkeeping::record_verification(status, broken(&info, message, now));
                return Ok(());
            }
        };
        let stands = follow(&info, &run, now);
        if stands.phase.is_some_and(VerificationPhase::is_terminal) {
            // It ended before the person said so, and stays what it was.
            bookkeeping::record_verification(status, stands);
            return Ok(());
        }
        run.spec.terminate = true;
        info.run = seal(&run);
    }
    info.phase = Some(VerificationPhase::Failed);
    info.message = "Verification aborted by user".to_owned();
    info.finish_time = Some(now);
    if !actor.is_empty() {
        info.actor = actor.to_owned();
    }
    bookkeeping::record_verification(status, info);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::model::AnalysisTemplate;

    const COLLECTION: &str = "58f42488f5118087f9aa8efd0ef8ff924cc9528f";

    fn stage() -> Stage {
        serde_json::from_value(json!({
            "metadata": {"name": "uat", "namespace": "shop"},
            "spec": {"verification": {"analysisTemplates": [{"name": "checks"}]}},
        }))
        .unwrap()
    }

    fn status() -> StageStatus {
        serde_json::from_value(json!({"freightHistory": [{"id": COLLECTION}], "health": {"status": "Healthy"}})).unwrap()
    }

    fn start(status: &StageStatus, given: &[GivenArgument]) -> (VerificationInfo, Option<AnalysisRun>) {
        let template: AnalysisTemplate = serde_json::from_value(json!({
            "metadata": {"name": "checks"},
            "spec": {"args": [{"name": "token", "value": "none"}], "metrics": [{"name": "smoke", "provider": {"web": {"url": "https://example.com"}}}]},
        }))
        .unwrap();
        let project = BTreeMap::from([("checks".to_owned(), template)]);
        let templates = Templates { project: &project, cluster: &BTreeMap::new() };
        begin(&Beginning { stage: &stage(), status, templates: &templates, given: Ok(given), now: Timestamp::UNIX_EPOCH, random: 1 })
    }

    #[test]
    fn the_value_of_a_secret_is_not_recorded() {
        let given = GivenArgument { name: "token".into(), value: Some("s3cr3t".into()), template: Some("${{ secret('a').b }}".into()) };
        let (info, run) = start(&status(), &[given]);
        let run = run.unwrap();
        assert_eq!(run.spec.args[0].value.as_deref(), Some("s3cr3t"));
        for info in [info.clone(), follow(&info, &run, Timestamp::UNIX_EPOCH)] {
            assert!(!serde_json::to_string(&info).unwrap().contains("s3cr3t"));
            assert_eq!(run_of(&info).unwrap().spec.args[0].template.as_deref(), Some("${{ secret('a').b }}"));
        }
    }

    #[test]
    fn a_request_is_made_once_and_begins_under_its_own_id() {
        let (stage, mut status) = (stage(), status());
        let (first, run) = start(&status, &[]);
        let mut run = run.unwrap();
        run.status.phase = Some(Phase::Failed);
        bookkeeping::record_verification(&mut status, follow(&first, &run, Timestamp::UNIX_EPOCH));
        reverify(&stage, &mut status, &first.id, "ann", Timestamp::UNIX_EPOCH).unwrap();
        assert!(reverify(&stage, &mut status, &first.id, "ann", Timestamp::UNIX_EPOCH).is_err());
        let requested = under_way(&status).unwrap().clone();
        let (second, run) = start(&status, &[]);
        assert_eq!((second.id, second.actor.as_str()), (requested.id, "ann"));
        assert!(second.analysis_run.unwrap().name > first.analysis_run.unwrap().name);
        assert!(run.is_some());
    }

    #[test]
    fn an_aborted_verification_is_not_a_good_one() {
        let (stage, mut status) = (stage(), status());
        let (info, _) = start(&status, &[]);
        bookkeeping::record_verification(&mut status, info.clone());
        assert!(abort(&stage, &mut status, "another", "ann", Timestamp::UNIX_EPOCH).is_err());
        abort(&stage, &mut status, &info.id, "ann", Timestamp::UNIX_EPOCH).unwrap();
        let ended = &status.freight_history[0].verification_history[0];
        assert_eq!((ended.phase, ended.actor.as_str()), (Some(VerificationPhase::Failed), "ann"));
        assert!(run_of(ended).unwrap().spec.terminate);
        assert!(abort(&stage, &mut status, &info.id, "ann", Timestamp::UNIX_EPOCH).is_err());
    }
}
