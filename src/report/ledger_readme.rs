//! The README of the ledger's branch: the pipeline as a person sees it on the forge, without any tool.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;
use serde_json::Value;

use crate::diagnostic::{Failure, FailureKind};
use crate::ledger::{StageRecord, State, Stop};
use crate::model::{FreightName, FreightReference, ProjectName, Promotion, PromotionPhase, StageName, VerificationPhase};

use super::markdown;

const TEMPLATE: &str = include_str!("../../templates/ledger/README.md.j2");

/// Most stages shown per project: a forge cuts long files.
const STAGES_SHOWN: usize = 1000;

/// Longest message shown.
const MESSAGE_SHOWN: usize = 200;

#[derive(Serialize)]
struct ProjectView {
    name: String,
    stages: Vec<StageView>,
    more: usize,
    waiting: Vec<WaitingView>,
    failing: Vec<FailingView>,
}

#[derive(Serialize)]
struct StageView {
    name: String,
    freight: String,
    since: String,
    status: String,
    link: Option<Link>,
    held: bool,
    held_by: String,
}

#[derive(Serialize)]
struct WaitingView {
    stage: String,
    what: String,
    link: Option<Link>,
    since: String,
}

#[derive(Serialize)]
struct FailingView {
    name: String,
    since: String,
    reason: String,
}

#[derive(Clone, Serialize)]
struct Link {
    text: String,
    url: String,
}

/// Renders the README from the ledger's state.
///
/// # Errors
/// [`Stop::Missing`] once everything it will read has been noted, so that one batch fetches it; what reading the state says.
pub fn render(state: &State) -> Result<String, Stop> {
    let mut reader = Reader { state, missing: false };
    let mut projects = Vec::new();
    for project in state.projects()? {
        projects.push(reader.project(&project)?);
    }
    if reader.missing {
        return Err(Stop::Missing);
    }
    markdown::environment()
        .render_named_str("README.md", TEMPLATE, context! { projects => Serde(&projects) })
        .map_err(|error| Failure::new(FailureKind::Internal, "cannot render the ledger's README").caused_by(error).into())
}

/// Reads on past what is missing, so that all of it is noted.
struct Reader<'a> {
    state: &'a State,
    missing: bool,
}

impl Reader<'_> {
    fn have<T>(&mut self, read: Result<Option<T>, Stop>) -> Result<Option<T>, Stop> {
        match read {
            Err(Stop::Missing) => {
                self.missing = true;
                Ok(None)
            }
            other => other,
        }
    }

    fn project(&mut self, project: &ProjectName) -> Result<ProjectView, Stop> {
        let mut aliases = BTreeMap::new();
        let mut failing = Vec::new();
        for name in self.state.warehouses(project)? {
            let Some(warehouse) = self.have(self.state.warehouse(project, &name))? else { continue };
            if let Some(source) = &warehouse.status.failing {
                failing.push(FailingView { name: name.to_string(), since: minute(source.since), reason: shortened(&source.reason) });
            }
            aliases.extend(warehouse.status.freight.iter().filter(|live| !live.alias.is_empty()).map(|live| (live.name.clone(), live.alias.clone())));
        }
        let names = self.state.stages(project)?;
        let (mut stages, mut waiting) = (Vec::new(), Vec::new());
        for name in names.iter().take(STAGES_SHOWN) {
            let Some(record) = self.have(self.state.stage(project, name))? else { continue };
            let (view, waits) = self.stage(project, name, &record, &aliases)?;
            stages.push(view);
            waiting.extend(waits);
        }
        Ok(ProjectView { name: project.to_string(), more: names.len().saturating_sub(STAGES_SHOWN), stages, waiting, failing })
    }

    fn stage(
        &mut self,
        project: &ProjectName,
        name: &StageName,
        record: &Arc<StageRecord>,
        aliases: &BTreeMap<FreightName, String>,
    ) -> Result<(StageView, Option<WaitingView>), Stop> {
        let status = &record.status;
        let known_as = |freight: &FreightReference| aliases.get(&freight.name).cloned().unwrap_or_else(|| short(&freight.name));
        let held_freight: Vec<&FreightReference> = status.current_freight().into_iter().flat_map(|collection| collection.items.values()).collect();
        let mut since = None;
        for freight in &held_freight {
            if let Some(record) = self.have(self.state.freight(project, &freight.name))? {
                since = since.max(record.status.currently_in.get(name).and_then(|current| current.since));
            }
        }
        let promotion = match &status.current_promotion {
            Some(reference) => {
                self.have(self.state.promotion(project, name, &reference.name))?.filter(|promotion| !promotion.status.phase.is_terminal())
            }
            None => None,
        };
        let promoted = |promotion: &Promotion| promotion.status.freight.as_ref().map_or_else(|| short(&promotion.spec.freight), known_as);
        let (text, link) = match &promotion {
            Some(promotion) if promotion.status.phase == PromotionPhase::Pending => (format!("{} is queued", promoted(promotion)), None),
            Some(promotion) => match waits_for_merge(promotion) {
                Some(link) => (format!("{} waits for a merge", promoted(promotion)), Some(link)),
                None => (format!("{} is being promoted", promoted(promotion)), None),
            },
            None => (settled(record), None),
        };
        let waiting = promotion.filter(|promotion| promotion.status.phase == PromotionPhase::Running).map(|promotion| WaitingView {
            stage: name.to_string(),
            what: waits_at(&promotion).map_or_else(|| text.clone(), |step| format!("{} at step {step}", promoted(&promotion))),
            link: link.clone(),
            since: minute(promotion.status.started_at),
        });
        let holds: Vec<String> =
            status.auto_promotion_holds.values().map(|hold| if hold.reason.is_empty() { hold.actor.clone() } else { hold.reason.clone() }).collect();
        let view = StageView {
            name: name.to_string(),
            freight: held_freight.iter().map(|freight| known_as(freight)).collect::<Vec<_>>().join(", "),
            since: minute(since),
            status: text,
            link,
            held: !holds.is_empty(),
            held_by: shortened(&holds.into_iter().filter(|reason| !reason.is_empty()).collect::<Vec<_>>().join(", ")),
        };
        Ok((view, waiting))
    }
}

/// What a stage without a running promotion is like.
fn settled(record: &StageRecord) -> String {
    let status = &record.status;
    if let Some(last) = status.last_promotion.as_ref().and_then(|last| last.status.as_ref()) {
        let ended = match last.phase {
            PromotionPhase::Failed => Some("failed"),
            PromotionPhase::Errored => Some("ended in an error"),
            PromotionPhase::Refused => Some("was refused"),
            PromotionPhase::Aborted => Some("was aborted"),
            PromotionPhase::Pending | PromotionPhase::Running | PromotionPhase::Succeeded => None,
        };
        if let Some(ended) = ended {
            let message = shortened(&last.message);
            return if message.is_empty() { format!("the last promotion {ended}") } else { format!("the last promotion {ended}: {message}") };
        }
    }
    let verification =
        status.current_freight().and_then(|collection| collection.verification_history.first()).and_then(|verification| verification.phase);
    match verification {
        Some(VerificationPhase::Successful) => "verified",
        Some(VerificationPhase::Pending | VerificationPhase::Running) => "being verified",
        Some(VerificationPhase::Failed) => "verification failed",
        Some(VerificationPhase::Error) => "verification ended in an error",
        Some(VerificationPhase::Aborted) => "verification was aborted",
        Some(VerificationPhase::Inconclusive) => "verification was inconclusive",
        None if status.current_freight().is_some() => "promoted",
        None => "waits for freight",
    }
    .to_owned()
}

/// The pull request a promotion waits for: the last one that its steps' outputs or its proposals name.
fn waits_for_merge(promotion: &Promotion) -> Option<Link> {
    let from_outputs = promotion.status.state.values().rev().find_map(|output| {
        let pull_request = output.get("pr")?;
        let url = markdown::link_target(pull_request.get("url")?.as_str()?)?;
        let text = match pull_request.get("id").and_then(Value::as_u64) {
            Some(number) => format!("pull request {number}"),
            None => "pull request".to_owned(),
        };
        Some(Link { text, url })
    });
    from_outputs.or_else(|| {
        let proposal = promotion.status.consign.proposals.last()?;
        Some(Link {
            text: format!("proposal {}: merge {} into {}", proposal.number, proposal.source_branch, proposal.target_branch),
            url: markdown::link_target(&proposal.repo_url)?,
        })
    })
}

/// The alias of the step a running promotion stands at.
fn waits_at(promotion: &Promotion) -> Option<&str> {
    let step = promotion.spec.steps.get(promotion.status.current_step)?;
    Some(if step.alias.is_empty() { step.uses.as_str() } else { step.alias.as_str() }).filter(|name| !name.is_empty())
}

fn short(name: &FreightName) -> String {
    name.as_str().chars().take(7).collect()
}

fn shortened(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    match line.char_indices().nth(MESSAGE_SHOWN) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line.to_owned(),
    }
}

/// A time to the minute, UTC; empty if it is not known.
fn minute(time: Option<Timestamp>) -> String {
    time.map(|time| time.strftime("%Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default()
}

#[cfg(test)]
#[path = "ledger_readme_tests.rs"]
mod tests;
