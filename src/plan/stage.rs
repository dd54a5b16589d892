//! What one pass does for one stage, in order: settle its records, choose candidates, let superseded promotions go, run the head of the queue,
//! go on with verification.

use std::collections::BTreeMap;

use super::bookkeeping::{self, Settling};
use super::gates::{Asked, Gate, GateName, Guards};
use super::scene::Scene;
use super::{Action, Held, Inputs, Plan};
use crate::model::{
    Freight, FreightName, FreightRequest, Health, HealthState, Origin, OriginKey, Promotion, PromotionName, PromotionPhase, PromotionReference,
    SelectionPolicy, Stage, StageName,
};

/// How many freight of one origin and stage are reported as held, newest first.
const HELD: usize = 5;

/// What auto-promotion would pick for each origin of a stage, before any other gate. Also what "promote this origin" means.
pub fn candidates(inputs: &Inputs<'_>, stage: &StageName) -> BTreeMap<Origin, FreightName> {
    let scene = Scene::new(inputs);
    let Some(stage) = inputs.project.stages.get(stage) else { return BTreeMap::new() };
    let of = |request: &FreightRequest| Some((request.origin.clone(), scene.candidate(stage, request)?));
    stage.spec.requested_freight.iter().filter_map(of).collect()
}

/// The freight that a stage's auto-promotion may pick from, by name. Control-flow stages pass on exactly this.
pub fn selectable(inputs: &Inputs<'_>, stage: &StageName) -> Vec<FreightName> {
    let scene = Scene::new(inputs);
    let Some(stage) = inputs.project.stages.get(stage) else { return Vec::new() };
    let mut names: Vec<FreightName> =
        stage.spec.requested_freight.iter().flat_map(|request| scene.selectable(stage, request)).map(Freight::name).collect();
    names.sort();
    names
}

/// Settles the records of all stages that hold freight.
pub(super) fn settle_all(scene: &mut Scene<'_>, plan: &mut Plan) {
    let inputs = scene.inputs;
    for (name, stage) in &inputs.project.stages {
        let auto_promotion = match scene.policies.auto_promotion(stage) {
            Ok(enabled) => enabled,
            Err(error) => {
                plan.problems.push(format!("stage `{name}` is not promoted automatically: {error}"));
                true // Holds stay until the policy can be read again.
            }
        };
        for request in &stage.spec.requested_freight {
            if !inputs.project.warehouses.contains_key(&request.origin.name) {
                plan.problems.push(format!("stage `{name}` requests freight of the warehouse `{}`, which is not defined", request.origin.name));
            }
        }
        if stage.is_control_flow() && !inputs.stages.contains_key(name) {
            continue;
        }
        let how = Settling { auto_promotion, verify_again: inputs.settings.of(name).verify_again, now: inputs.now };
        let status = bookkeeping::settle(stage, &scene.status(name), scene.promotions(name), how);
        scene.sync_freight(name, &status);
        scene.set_status(name, status);
    }
}

/// Decides for one stage.
pub(super) fn decide<'a>(scene: &mut Scene<'a>, stage: &'a Stage, plan: &mut Plan, decisions: &mut Vec<Action>) {
    let Some((key, _)) = scene.inputs.project.stages.get_key_value(&stage.name()) else { return };
    let asked = Asked::new(scene, stage);
    let mut superseded = Vec::new();
    if !stage.is_control_flow() {
        for request in &stage.spec.requested_freight {
            choose(scene, &asked, request, plan, decisions, &mut superseded);
        }
    }
    let running = run_queue(scene, &asked, &superseded, plan, decisions);
    let mut status = asked.status.clone();
    match running {
        Some(head) => {
            status.current_promotion =
                Some(PromotionReference { name: head.name(), freight: head.status.freight.clone(), ..PromotionReference::default() });
            status.health = Some(Health { status: HealthState::Unknown, issues: Vec::new() });
        }
        None => {
            if bookkeeping::has_health_checks(&status) {
                decisions.push(Action::CheckHealth { stage: asked.name.clone() });
            }
            if let Some(id) = asked.running_verification() {
                decisions.push(Action::ContinueVerification { stage: asked.name.clone(), id: id.to_owned() });
            } else if let Some(collection) = asked.verification_to_start() {
                decisions.push(Action::StartVerification { stage: asked.name.clone(), collection: collection.to_owned() });
            }
        }
    }
    scene.set_status(key, status);
}

/// Chooses what to promote of one origin, and reports what is not.
fn choose(
    scene: &Scene<'_>,
    asked: &Asked<'_, '_>,
    request: &FreightRequest,
    plan: &mut Plan,
    decisions: &mut Vec<Action>,
    superseded: &mut Vec<PromotionName>,
) {
    let candidate = asked.candidate_of(&request.origin);
    let current = asked.status.current_freight().and_then(|current| current.items.get(&OriginKey(request.origin.clone()))).map(|held| &held.name);
    // Freight at least as new as what the stage holds is worth a word; what was passed over long ago is not.
    let newer = scene.of_origin(&request.origin).take_while(|freight| Some(&freight.name()) != current);
    for freight in newer.filter(|freight| Some(&freight.name()) != candidate).take(HELD) {
        hold(asked, freight, closed(asked, freight, |gate| gate.guards != Guards::Start), plan);
    }
    let Some(freight) = candidate.and_then(|name| scene.freight(name)) else { return };
    let gates = closed(asked, freight, |gate| gate.guards != Guards::Start);
    if gates.iter().any(|gate| gate.gate == GateName::Current || gate.gate == GateName::InFlight) {
        return; // It is where it should be, or on its way.
    }
    if !gates.is_empty() {
        hold(asked, freight, gates, plan);
        return;
    }
    for promotion in asked.open_promotions().filter(|promotion| asked.makes_way(promotion, freight)) {
        superseded.push(promotion.name());
        decisions.push(Action::Supersede { stage: asked.name.clone(), promotion: promotion.name(), by: freight.name() });
    }
    let selection = request.sources.auto_promotion_options.as_ref().map(|options| options.selection_policy).unwrap_or_default();
    let reason = match (selection, request.sources.stages.first()) {
        (SelectionPolicy::MatchUpstream, Some(upstream)) => format!("`{upstream}` holds it"),
        _ => format!("newest available freight of `{}`", request.origin.name),
    };
    decisions.push(Action::Promote { stage: asked.name.clone(), freight: freight.name(), origin: request.origin.clone(), reason });
}

fn closed(asked: &Asked<'_, '_>, freight: &Freight, counts: impl Fn(&Gate) -> bool) -> Vec<Gate> {
    asked.gates(freight).into_iter().filter(|gate| !gate.open && counts(gate)).collect()
}

fn hold(asked: &Asked<'_, '_>, freight: &Freight, gates: Vec<Gate>, plan: &mut Plan) {
    if !gates.is_empty() {
        plan.held.push(Held { stage: asked.name.clone(), freight: freight.name(), promotion: None, gates });
    }
}

/// Lets the head of the queue run, unless a gate is closed; what stands behind it waits. Gives the promotion that runs.
fn run_queue<'a>(
    scene: &Scene<'a>,
    asked: &Asked<'_, 'a>,
    superseded: &[PromotionName],
    plan: &mut Plan,
    decisions: &mut Vec<Action>,
) -> Option<&'a Promotion> {
    let mut queue = asked.open_promotions().filter(|promotion| !superseded.contains(&promotion.name()));
    let head = queue.next()?;
    for behind in queue {
        let gates = vec![Asked::behind(&head.name())];
        plan.held.push(Held { stage: asked.name.clone(), freight: behind.spec.freight.clone(), promotion: Some(behind.name()), gates });
    }
    let mut gates = vec![asked.claim(head)];
    if head.status.phase == PromotionPhase::Pending {
        gates.extend([asked.verification(), asked.window()]);
    }
    gates.retain(|gate| !gate.open);
    let waits_for_another_tick = gates.iter().any(|gate| gate.gate == GateName::Claim);
    if !gates.is_empty() {
        plan.held.push(Held { stage: asked.name.clone(), freight: head.spec.freight.clone(), promotion: Some(head.name()), gates });
        return Some(head).filter(|_| waits_for_another_tick);
    }
    if let Some(message) = lost(scene, asked.stage, head) {
        decisions.push(Action::Fail { stage: asked.name.clone(), promotion: head.name(), message });
        return None;
    }
    decisions.push(Action::Run { stage: asked.name.clone(), promotion: head.name() });
    Some(head)
}

/// Why a promotion may not run any more: its freight must be available whenever it runs.
fn lost(scene: &Scene<'_>, stage: &Stage, promotion: &Promotion) -> Option<String> {
    let name = &promotion.spec.freight;
    let Some(freight) = scene.freight(name) else { return Some(format!("freight `{name}` is gone")) };
    if freight.status.quarantined.is_some() {
        return Some(format!("freight `{name}` is in quarantine"));
    }
    let available = super::availability::is_available(stage, freight, scene.inputs.now);
    (!available).then(|| format!("freight `{name}` is not available to stage `{}`", stage.metadata.name))
}

/// Ends promotions whose stage is gone.
pub(super) fn abort_orphans(scene: &Scene<'_>, decisions: &mut Vec<Action>) {
    for promotion in scene.orphans().filter(|promotion| !promotion.status.phase.is_terminal()) {
        let stage = promotion.spec.stage.clone();
        let reason = format!("stage `{stage}` is no longer defined");
        decisions.push(Action::Abort { stage, promotion: promotion.name(), reason });
    }
}
