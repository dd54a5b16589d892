//! Verification of what stages hold, as far as it goes in this tick.

use std::fmt::Write as _;

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use super::World;
use super::scope::Shared;
use super::view::View;
use crate::config::JobRunner;
use crate::diagnostic::Failure;
use crate::expr::{self, Context, Secrets, Site};
use crate::model::{Project, Stage, StageName, StageStatus, VerificationInfo};
use crate::verify::build::{GivenArgument, Templates};
use crate::verify::lifecycle::{self, Beginning};
use crate::verify::providers::Providers;
use crate::verify::providers::job::{Jobs, Runner};
use crate::verify::run::AnalysisRun;
use crate::verify::{prepare, series};

/// A verification after it was looked at.
#[derive(Clone, Debug)]
pub struct Look {
    /// The stage.
    pub stage: StageName,
    /// Its verification now.
    pub info: VerificationInfo,
    /// Whether that is something new.
    pub changed: bool,
    /// When to look again; None: it has ended, or nothing is scheduled.
    pub next: Option<Timestamp>,
    /// What was measured and printed in this look, without secrets.
    pub log: String,
}

/// Begins or continues the verification of each stage. What goes wrong in one is its outcome.
///
/// # Errors
/// None of its own yet; what the world says.
pub async fn look(world: &World, project: &Project, view: &View, stages: &[StageName]) -> Result<Vec<Look>, Failure> {
    let shared = Shared::new(project, view, &world.secrets, &world.shared_secrets, "", world.occasion.now);
    let scene = Scene {
        project,
        shared: &shared,
        secrets: &world.secrets,
        now: world.occasion.now,
        jobs: Jobs {
            runner: match world.settings.verification.jobs {
                JobRunner::Container => Runner::Container,
                JobRunner::Process => Runner::Process,
            },
            env: world.env.clone(),
            secrets: world.secrets.clone(),
        },
    };
    let known = stages.iter().filter_map(|stage| Some((project.stages.get(stage)?, view.stages.get(stage)?)));
    let looks: Vec<_> = known.map(|(stage, status)| scene.look(stage, status)).collect();
    futures::stream::iter(looks).map(Ok).map_ok(|look| async { Ok(look.await) }).try_buffered(world.settings.parallelism.max(1)).try_collect().await
}

/// What all verifications of a project share.
struct Scene<'a> {
    project: &'a Project,
    shared: &'a Shared,
    secrets: &'a Secrets,
    now: Timestamp,
    jobs: Jobs,
}

impl Scene<'_> {
    async fn look(&self, stage: &Stage, status: &StageStatus) -> Look {
        let before = lifecycle::under_way(status).cloned();
        let (info, run) = match &before {
            Some(info) if info.run.is_some() || info.analysis_run.is_some() => match self.resume(stage, status, info) {
                Ok(run) => (info.clone(), Some(run)),
                Err(message) => (lifecycle::broken(info, message, self.now), None),
            },
            _ => self.begin(stage, status),
        };
        let mut look = Look { stage: stage.name(), info, changed: true, next: None, log: String::new() };
        if let Some(mut run) = run {
            let providers = Providers::new(self.jobs.clone());
            look.next = series::look(&mut run, self.now, self.secrets, &providers).await;
            look.info = lifecycle::follow(&look.info, &run, self.now);
            look.log = self.log(&run, &providers.take_log());
        }
        look.changed = before.as_ref() != Some(&look.info);
        look
    }

    fn begin(&self, stage: &Stage, status: &StageStatus) -> (VerificationInfo, Option<AnalysisRun>) {
        let given = self.arguments(stage, status);
        lifecycle::begin(&Beginning {
            stage,
            status,
            templates: &Templates { project: &self.project.analysis_templates, cluster: &self.project.cluster_analysis_templates },
            given: given.as_deref().map_err(Clone::clone),
            now: self.now,
            random: rand::random::<u128>() >> 48,
        })
    }

    /// The run of a record, with the values that a record does not hold.
    fn resume(&self, stage: &Stage, status: &StageStatus, info: &VerificationInfo) -> Result<AnalysisRun, String> {
        let mut run = lifecycle::run_of(info)?;
        if run.spec.args.iter().all(|arg| arg.template.is_none()) {
            return Ok(run);
        }
        let context = self.context(stage, status)?;
        for arg in &mut run.spec.args {
            if let Some(template) = &arg.template {
                let value = expr::verification_argument(template, &context).map_err(|error| format!("argument `{}`: {error}", arg.name))?;
                arg.value = Some(value);
            }
        }
        Ok(run)
    }

    fn context(&self, stage: &Stage, status: &StageStatus) -> Result<Context, String> {
        let held = status.current_freight().map(|held| held.items.values().cloned().collect()).unwrap_or_default();
        let target = status.last_promotion.as_ref().and_then(|last| last.freight.as_ref());
        arguments_context(stage, self.shared.verification(&stage.name(), held, target))
    }

    fn arguments(&self, stage: &Stage, status: &StageStatus) -> Result<Vec<GivenArgument>, String> {
        arguments(stage, &self.context(stage, status)?)
    }

    /// What this look measured, and what jobs printed.
    fn log(&self, run: &AnalysisRun, printed: &str) -> String {
        let mut log = String::new();
        for result in &run.status.metric_results {
            let new = result.measurements.iter().filter(|measurement| measurement.finished_at.is_some_and(|finished| finished >= self.now));
            for measurement in new {
                let phase = measurement.phase.map_or("Pending", crate::verify::run::Phase::as_str);
                let at = measurement.finished_at.unwrap_or(self.now);
                let _ = write!(log, "{at:.0} metric `{}`: {phase}", result.name);
                for text in [&measurement.value, &measurement.message] {
                    if !text.is_empty() {
                        let short: String = text.chars().take(500).collect();
                        let _ = write!(log, ": {short}");
                    }
                }
                log.push('\n');
            }
        }
        match prepare::prepare(&run.spec, self.secrets) {
            Ok(prepared) => log + &prepared.mask(printed),
            Err(_) => log,
        }
    }
}

/// The context of a stage's arguments, with its variables in place.
///
/// # Errors
/// A variable that cannot be evaluated.
pub fn arguments_context(stage: &Stage, context: Context) -> Result<Context, String> {
    let mut context = context.with_own_revealed();
    context.vars = expr::evaluate_vars(&stage.spec.vars, Site::VerificationArgs, &context)
        .map_err(|error| format!("variable `{}`: {}", error.name, error.error))?;
    Ok(context)
}

/// The arguments of a stage's verification, evaluated. Of those that hold secrets, what they were made of is kept beside.
///
/// # Errors
/// An argument that cannot be evaluated.
pub fn arguments(stage: &Stage, context: &Context) -> Result<Vec<GivenArgument>, String> {
    let args = stage.spec.verification.iter().flat_map(|verification| &verification.args);
    args.map(|arg| {
        if arg.value.is_empty() {
            return Ok(GivenArgument { name: arg.name.clone(), value: None, template: None });
        }
        let value = expr::verification_argument(&arg.value, context).map_err(|error| format!("argument `{}`: {error}", arg.name))?;
        let is_secret = context.revealed().iter().any(|secret| !secret.is_empty() && value.contains(secret.as_str()));
        Ok(GivenArgument { name: arg.name.clone(), value: Some(value), template: is_secret.then(|| arg.value.clone()) })
    })
    .collect()
}
