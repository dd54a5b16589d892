//! Auto-promotion through stages where nothing proves a freight: one tick would carry a new one to the end.

use std::collections::BTreeSet;

use super::Context;
use crate::config::admission::{NamePattern, go_regex};
use crate::config::yaml::FieldPath;
use crate::diagnostic::Diagnostic;
use crate::model::{Project, PromotionPolicy, PromotionStep, Stage, StageName, StageSelector};

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for project in context.projects {
        let automatic: BTreeSet<&StageName> = project.stages.iter().filter(|(_, stage)| is_automatic(project, stage)).map(|(name, _)| name).collect();
        for (name, stage) in &project.stages {
            if !automatic.contains(name) || stage.is_control_flow() {
                continue;
            }
            // The last stage of a chain tells of it, once.
            let chain = unproven_upstream(project, &automatic, stage);
            let is_last = !project.stages.iter().any(|(other, below)| {
                other != name && automatic.contains(other) && !is_gated(project, below) && takes_unproven(below, name) && !is_proven(project, stage)
            });
            if chain.len() < 2 || !is_last || is_gated(project, stage) {
                continue;
            }
            let Some(document) = context.find("Stage", project.name.as_str(), name.as_str()) else { continue };
            let shown: Vec<String> = chain.iter().rev().map(|name| format!("`{name}`")).collect();
            let first = chain[1];
            let mut diagnostic = Diagnostic::warning(
                "config/unproven-chain",
                format!("a new freight goes through {} in one tick: nothing proves it on the way", shown.join(", ")),
            )
            .at(document.place(&FieldPath::root().fields("metadata.name")), "promoted to at once")
            .help(format!(
                "add `verification` to `{first}`, a `requiredSoakTime` to `{name}`, a pull request (`gated`), or take auto-promotion of `{name}` away"
            ));
            if let Some(before) = context.find("Stage", project.name.as_str(), first.as_str()) {
                diagnostic = diagnostic.related(before.head(), "neither verified nor soaked here");
            }
            found.push(diagnostic);
        }
    }
}

/// The stages that freight passes without proof, from this one back to the warehouse; this one first.
fn unproven_upstream<'p>(project: &'p Project, automatic: &BTreeSet<&'p StageName>, stage: &'p Stage) -> Vec<&'p StageName> {
    let mut chain = Vec::new();
    let mut at = stage;
    loop {
        let Some((name, _)) = project.stages.get_key_value(at.metadata.name.as_str()) else { return chain };
        if chain.contains(&name) {
            return chain;
        }
        chain.push(name);
        let next = at
            .spec
            .requested_freight
            .iter()
            .filter(|request| request.sources.required_soak_time.is_none())
            .flat_map(|request| &request.sources.stages)
            .find_map(|name| {
                let (name, upstream) = project.stages.get_key_value(name)?;
                let passes = upstream.is_control_flow() || automatic.contains(name);
                (passes && !is_proven(project, upstream) && !is_gated(project, upstream)).then_some(upstream)
            });
        match next {
            Some(upstream) => at = upstream,
            None => return chain.into_iter().filter(|name| project.stages.get(*name).is_some_and(|stage| !stage.is_control_flow())).collect(),
        }
    }
}

fn takes_unproven(stage: &Stage, from: &StageName) -> bool {
    stage.spec.requested_freight.iter().any(|request| request.sources.required_soak_time.is_none() && request.sources.stages.contains(from))
}

/// Whether being verified in a stage says something: a verification, or a step that watches the deployment.
fn is_proven(project: &Project, stage: &Stage) -> bool {
    let verified = stage.spec.verification.as_ref().is_some_and(|verification| !verification.analysis_templates.is_empty());
    verified || any_step(project, stage, &|step| matches!(step.uses.as_str(), "argocd-update" | "argocd-wait"))
}

/// Whether a person or a check stands before the stage's change.
fn is_gated(project: &Project, stage: &Stage) -> bool {
    const GATES: [&str; 5] = ["git-wait-for-pr", "git-merge-pr", "wait-for-approval", "get-user-input", "gha-wait-for-workflow"];
    let gated = any_step(project, stage, &|step| GATES.contains(&step.uses.as_str()) && !step.condition.contains("vars.gated"));
    gated || built_in_gate(stage)
}

/// Our own tasks wait only when `gated` says so.
fn built_in_gate(stage: &Stage) -> bool {
    let Some(template) = &stage.spec.promotion_template else { return false };
    let vars = stage
        .spec
        .vars
        .iter()
        .chain(&template.spec.vars)
        .chain(template.spec.steps.iter().filter(|step| step.task.is_some()).flat_map(|step| &step.vars));
    vars.into_iter().any(|var| var.name == "gated" && var.value.contains("true"))
}

fn any_step(project: &Project, stage: &Stage, is: &dyn Fn(&PromotionStep) -> bool) -> bool {
    let Some(template) = &stage.spec.promotion_template else { return false };
    template.spec.steps.iter().any(|step| match &step.task {
        Some(task) => project.tasks.get(&(task.kind, task.name.clone())).is_some_and(|task| task.spec.steps.iter().any(is)),
        None => is(step),
    })
}

/// The first policy that selects the stage decides.
fn is_automatic(project: &Project, stage: &Stage) -> bool {
    let policies = project.config.as_ref().map_or(&[][..], |config| &config.spec.promotion_policies);
    policies.iter().find(|policy| selects(policy, stage)).is_some_and(|policy| policy.auto_promotion_enabled)
}

fn selects(policy: &PromotionPolicy, stage: &Stage) -> bool {
    match &policy.stage_selector {
        None => policy.stage.as_str() == stage.metadata.name,
        Some(selector) => selects_name(selector, &stage.metadata.name) && selects_labels(selector, stage),
    }
}

fn selects_name(selector: &StageSelector, name: &str) -> bool {
    if selector.name.is_empty() {
        return true;
    }
    match (NamePattern::parse(&selector.name), selector.name.split_once(':')) {
        (Ok(NamePattern::Exact(exact)), _) => exact == name,
        (Ok(NamePattern::Pattern), Some(("glob", glob))) => globset::Glob::new(glob).is_ok_and(|glob| glob.compile_matcher().is_match(name)),
        (Ok(NamePattern::Pattern), Some((_, regex))) => go_regex(regex).is_ok_and(|regex| regex.is_match(name)),
        _ => false,
    }
}

fn selects_labels(selector: &StageSelector, stage: &Stage) -> bool {
    let labels = &stage.metadata.labels;
    selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
        && selector.match_expressions.iter().all(|requirement| {
            let value = labels.get(&requirement.key);
            let listed = value.is_some_and(|value| requirement.values.contains(value));
            match requirement.operator.as_str() {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}
