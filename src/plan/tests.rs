//! Stories about single decisions; the conformance cases hold the rules.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::ancestry::{Ancestry, questions};
use super::*;
use crate::model::{Claim, Hold, OriginKey, PromotionPhase, Quarantine, Stage, VerificationInfo, VerificationPhase};

const NOW: &str = "2026-03-02T12:00:00Z";

/// A project to tell stories about: stages `test` (direct) and `prod` (after `test`), all promoted automatically.
struct World {
    project: Project,
    stages: BTreeMap<StageName, StageStatus>,
    freight: Vec<Freight>,
    promotions: Vec<Promotion>,
    now: Timestamp,
    ancestry: Ancestry,
    foreign: BTreeMap<StageName, Vec<ForeignChange>>,
    approved: BTreeSet<PromotionName>,
    settings: Settings,
    random: u128,
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn stage(name: &str, requests: Value) -> (StageName, Stage) {
    let steps = json!({"spec": {"steps": [{"uses": "git-clone", "as": "step-1"}]}});
    (name.into(), read(json!({"metadata": {"name": name, "namespace": "shop"}, "spec": {"requestedFreight": requests, "promotionTemplate": steps}})))
}

fn request(warehouse: &str, sources: Value) -> Value {
    json!({"origin": {"kind": "Warehouse", "name": warehouse}, "sources": sources})
}

impl World {
    fn new() -> Self {
        let warehouse = |name: &str| (name.into(), read(json!({"metadata": {"name": name}})));
        let project = Project {
            name: "shop".into(),
            config: Some(read(json!({"spec": {"promotionPolicies": [{"stageSelector": {}, "autoPromotionEnabled": true}]}}))),
            warehouses: [warehouse("web"), warehouse("env")].into(),
            stages: [
                stage("test", json!([request("web", json!({"direct": true}))])),
                stage("prod", json!([request("web", json!({"stages": ["test"], "requiredSoakTime": "2h"}))])),
            ]
            .into(),
            ..Project::default()
        };
        Self {
            project,
            stages: BTreeMap::new(),
            freight: Vec::new(),
            promotions: Vec::new(),
            now: NOW.parse().unwrap(),
            ancestry: Ancestry::default(),
            foreign: BTreeMap::new(),
            approved: BTreeSet::new(),
            settings: Settings::default(),
            random: 0,
        }
    }

    fn inputs<T>(&self, ask: impl FnOnce(&Inputs<'_>) -> T) -> T {
        ask(&Inputs {
            project: &self.project,
            stages: &self.stages,
            freight: &self.freight,
            promotions: &self.promotions,
            now: self.now,
            run: "this-tick",
            ancestry: &self.ancestry,
            foreign_changes: &self.foreign,
            closed_windows: &BTreeMap::new(),
            approved: &self.approved,
            settings: &self.settings,
        })
    }

    fn plan(&self) -> Plan {
        self.inputs(plan)
    }

    fn find(&mut self, warehouse: &str, name: &str) {
        let commits = json!([{"repoURL": "https://git.example.com/acme/web", "id": format!("commit-of-{name}")}]);
        let at = self.now + jiff::SignedDuration::from_secs(i64::try_from(self.freight.len()).unwrap() - 100_000);
        self.freight.push(read(
            json!({"metadata": {"name": name}, "discoveredAt": at.to_string(), "origin": {"kind": "Warehouse", "name": warehouse}, "commits": commits}),
        ));
    }

    fn freight(&mut self, name: &str) -> &mut Freight {
        self.freight.iter_mut().find(|freight| freight.metadata.name == name).unwrap()
    }

    fn verified(&mut self, freight: &str, stage: &str) {
        let now = self.now;
        bookkeeping::verify(&mut self.freight(freight).status, &stage.into(), now);
    }

    /// Adds a promotion in the given phase.
    fn promote(&mut self, stage: &str, freight: &str, phase: PromotionPhase, intent: Option<holds::Intent>) -> PromotionName {
        let definition = self.project.stages[stage].clone();
        let freight = self.freight(freight).clone();
        let previous = self.promotions.iter().map(Promotion::name).max();
        let ulid_after = previous.as_ref().map(|name| naming::run_name("x", "x", Some(name.as_str()), self.now, self.random));
        self.random += 1;
        let name = PromotionName::new(naming::run_name(stage, &freight.metadata.name, ulid_after.as_deref(), self.now, self.random));
        let new = naming::NewPromotion { name: name.clone(), actor: "mara", trigger: "cli", intent, definitions: "" };
        let mut promotion = naming::new_promotion(&definition, &freight, new, self.now);
        promotion.status.phase = phase;
        if phase != PromotionPhase::Pending {
            let status = self.stages.get(stage).cloned().unwrap_or_default();
            promotion.status.freight_collection = Some(bookkeeping::collection_for(&definition, &status, &freight.reference()));
        }
        self.promotions.push(promotion);
        name
    }

    /// Writes down what a pass plans about records, as the conductor does.
    fn tick(&mut self) -> Plan {
        let plan = self.plan();
        for action in &plan.actions {
            match action {
                Action::Record { stage, status } => {
                    self.stages.insert(stage.clone(), (**status).clone());
                }
                Action::RecordFreight { freight, status, .. } => self.freight(freight.as_str()).status = (**status).clone(),
                _ => {}
            }
        }
        plan
    }

    fn end(&mut self, promotion: &PromotionName, phase: PromotionPhase) {
        let promotion = self.promotions.iter_mut().find(|known| known.name() == *promotion).unwrap();
        promotion.status.phase = phase;
    }

    fn settings(&mut self) -> &mut StageSettings {
        &mut self.settings.default
    }

    fn gates(&self, freight: &str, stage: &str) -> Vec<Gate> {
        self.inputs(|inputs| why(inputs, &freight.into(), &stage.into())).unwrap()
    }

    fn closed(&self, freight: &str, stage: &str) -> Vec<GateName> {
        self.gates(freight, stage).into_iter().filter(|gate| !gate.open).map(|gate| gate.gate).collect()
    }

    fn holds_now(&self, stage: &str) -> Vec<&str> {
        let current = self.stages.get(stage).and_then(StageStatus::current_freight);
        current.into_iter().flat_map(|current| current.items.values().map(|item| item.name.as_str())).collect()
    }
}

fn promoted(plan: &Plan) -> Vec<(&str, &str)> {
    let mut promoted = Vec::new();
    for action in &plan.actions {
        if let Action::Promote { stage, freight, .. } = action {
            promoted.push((stage.as_str(), freight.as_str()));
        }
    }
    promoted
}

fn running(plan: &Plan) -> Vec<&PromotionName> {
    plan.actions.iter().filter_map(|action| if let Action::Run { promotion, .. } = action { Some(promotion) } else { None }).collect()
}

#[test]
fn freight_moves_through_a_chain_and_a_second_pass_does_nothing() {
    let mut world = World::new();
    world.find("web", "aaaaaaaa");
    assert_eq!(promoted(&world.plan()), [("test", "aaaaaaaa")]);

    let promotion = world.promote("test", "aaaaaaaa", PromotionPhase::Pending, None);
    assert_eq!(running(&world.tick()), [&promotion]);
    assert!(promoted(&world.plan()).is_empty());

    let collection =
        world.inputs(|inputs| bookkeeping::collection_for(&inputs.project.stages["test"], &inputs.stages["test"], &inputs.freight[0].reference()));
    world.promotions[0].status.freight_collection = Some(collection);
    world.end(&promotion, PromotionPhase::Succeeded);
    let plan = world.tick();
    assert!(
        plan.actions.iter().any(|action| matches!(action, Action::RecordFreight { verified_in, .. } if *verified_in == ["test"])),
        "no verification is defined"
    );
    assert_eq!(world.holds_now("test"), ["aaaaaaaa"]);
    assert!(promoted(&plan).is_empty(), "two hours of soak are missing");
    assert_eq!(plan.next_wake, Some("2026-03-02T14:00:00Z".parse().unwrap()));
    let held = plan.held.iter().find(|held| held.stage == "prod").unwrap();
    assert_eq!(held.gates.iter().map(|gate| gate.gate).collect::<Vec<_>>()[0], GateName::Availability);

    assert_eq!(world.tick().actions, [], "nothing moved, nothing to write down");
    world.now = "2026-03-02T14:00:00Z".parse().unwrap();
    assert_eq!(promoted(&world.plan()), [("prod", "aaaaaaaa")]);
}

#[test]
fn a_failed_promotion_of_one_origin_is_remembered_by_the_next_of_the_other() {
    let mut world = World::new();
    world.project.stages = [stage("test", json!([request("web", json!({"direct": true})), request("env", json!({"direct": true}))]))].into();
    for (warehouse, name) in [("web", "web-1"), ("env", "env-1"), ("web", "web-2")] {
        world.find(warehouse, name);
    }
    for (name, phase) in [("web-1", PromotionPhase::Succeeded), ("env-1", PromotionPhase::Succeeded), ("web-2", PromotionPhase::Failed)] {
        world.promote("test", name, phase, None);
        world.tick();
    }
    assert_eq!(world.holds_now("test"), ["env-1", "web-1"]);
    world.find("env", "env-2");
    world.promote("test", "env-2", PromotionPhase::Succeeded, None);
    world.tick();
    assert_eq!(world.holds_now("test"), ["env-2", "web-2"]);
    assert!(world.freight("web-1").status.verified_in.contains_key("test") && world.freight("web-2").status.verified_in.contains_key("test"));
}

#[test]
fn aborting_a_pending_promotion_does_not_forget_the_collection() {
    let mut world = World::new();
    world.project.stages = [stage("test", json!([request("web", json!({"direct": true})), request("env", json!({"direct": true}))]))].into();
    for (warehouse, name) in [("web", "web-1"), ("env", "env-1")] {
        world.find(warehouse, name);
        world.promote("test", name, PromotionPhase::Succeeded, None);
        world.tick();
    }
    world.find("env", "env-2");
    let pending = world.promote("test", "env-2", PromotionPhase::Pending, None);
    world.end(&pending, PromotionPhase::Aborted);
    world.tick();
    world.promote("test", "env-2", PromotionPhase::Succeeded, None);
    world.tick();
    assert_eq!(world.holds_now("test"), ["env-2", "web-1"]);
}

#[test]
fn promoting_older_freight_by_hand_holds_and_promoting_the_candidate_lifts() {
    let mut world = World::new();
    world.find("web", "old");
    world.find("web", "new");
    let intent = |world: &World, freight: &str| world.inputs(|inputs| holds::intent(inputs, &"test".into(), &freight.into()));
    assert_eq!(intent(&world, "old"), Some(holds::Intent::Hold(Origin::warehouse("web"))));
    let promotion = world.promote("test", "old", PromotionPhase::Pending, intent(&world, "old"));
    assert!(promoted(&world.plan()).is_empty(), "waiting already holds");
    world.end(&promotion, PromotionPhase::Failed);
    world.tick();
    assert_eq!(world.stages["test"].auto_promotion_holds[&OriginKey(Origin::warehouse("web"))].actor, "mara");
    assert!(promoted(&world.plan()).is_empty(), "failing does not lift it");
    assert!(world.closed("new", "test").contains(&GateName::Hold));
    world.promote("test", "new", PromotionPhase::Succeeded, intent(&world, "new"));
    world.tick();
    assert!(world.stages["test"].auto_promotion_holds.is_empty());
}

#[test]
fn a_hold_by_hand_stays_until_it_is_released() {
    let mut world = World::new();
    world.find("web", "new");
    let stage = world.project.stages["test"].clone();
    let status = holds::hold_by_hand(&stage, &StageStatus::default(), None, "mara", "incident 7", world.now);
    world.stages.insert("test".into(), status);
    world.promote("test", "new", PromotionPhase::Succeeded, Some(holds::Intent::Resume(Origin::warehouse("web"))));
    world.find("web", "newer");
    world.tick();
    let plan = world.tick();
    assert!(promoted(&plan).iter().all(|(stage, _)| *stage != "test"));
    let gate = world.gates("newer", "test").into_iter().find(|gate| gate.gate == GateName::Hold).unwrap();
    assert_eq!(gate.detail, "held by mara: incident 7; `consign release test` lifts it");
    let released = holds::release_by_hand(&world.stages["test"], None);
    world.stages.insert("test".into(), released);
    assert_eq!(promoted(&world.plan()), [("test", "newer")]);
}

#[test]
fn the_queue_is_first_in_first_out_unless_the_latest_supersedes() {
    let mut world = World::new();
    world.find("web", "one");
    let first = world.promote("test", "one", PromotionPhase::Running, None);
    world.find("web", "two");
    let fifo = world.plan();
    assert_eq!((running(&fifo), promoted(&fifo)), (vec![&first], vec![("test", "two")]));

    world.settings().queue = QueuePolicy::Latest;
    let latest = world.plan();
    assert!(latest.actions.contains(&Action::Supersede { stage: "test".into(), promotion: first.clone(), by: "two".into() }));
    assert_eq!((running(&latest), promoted(&latest)), (vec![], vec![("test", "two")]));

    world.approved.insert(first.clone());
    let approved = world.plan();
    assert_eq!((running(&approved), promoted(&approved)), (vec![&first], vec![]));
    assert_eq!(world.closed("two", "test"), [GateName::Queue]);
    world.settings().supersede_approved = true;
    assert_eq!(promoted(&world.plan()), [("test", "two")]);

    world.promotions[0].status.consign.claim = Some(Claim { run: "other".into(), until: Some("2026-03-02T12:05:00Z".parse().unwrap()) });
    let claimed = world.plan();
    assert_eq!((running(&claimed), promoted(&claimed)), (vec![], vec![]), "another tick is at work");
}

#[test]
fn a_superseded_promotion_does_not_keep_its_freight_out() {
    let mut world = World::new();
    world.find("web", "one");
    let first = world.promote("test", "one", PromotionPhase::Aborted, None);
    assert!(world.closed("one", "test").contains(&GateName::EarlierFailure));
    world.promotions[0].status.consign.superseded_by = "two".into();
    assert_eq!(promoted(&world.plan()), [("test", "one")], "{first} only made way");
}

#[test]
fn what_a_stage_holds_is_verified_before_the_next_promotion_starts() {
    let mut world = World::new();
    world.project.stages.get_mut("test").unwrap().spec.verification = Some(read(json!({"analysisTemplates": [{"name": "smoke"}]})));
    world.find("web", "one");
    world.promote("test", "one", PromotionPhase::Succeeded, None);
    let plan = world.tick();
    let collection = world.stages["test"].current_freight().unwrap().id.clone();
    assert!(plan.actions.contains(&Action::StartVerification { stage: "test".into(), collection }));
    world.find("web", "two");
    let second = world.promote("test", "two", PromotionPhase::Pending, None);
    let waiting = world.plan();
    assert!(running(&waiting).is_empty());
    assert_eq!(waiting.held.iter().find(|held| held.promotion.as_ref() == Some(&second)).unwrap().gates[0].gate, GateName::Verification);

    let verification =
        |phase| VerificationInfo { id: "v".into(), phase: Some(phase), finish_time: Some(NOW.parse().unwrap()), ..VerificationInfo::default() };
    bookkeeping::record_verification(world.stages.get_mut("test").unwrap(), verification(VerificationPhase::Running));
    let going_on = world.plan();
    assert!(going_on.actions.contains(&Action::ContinueVerification { stage: "test".into(), id: "v".into() }) && running(&going_on).is_empty());
    bookkeeping::record_verification(world.stages.get_mut("test").unwrap(), verification(VerificationPhase::Failed));
    assert_eq!(running(&world.tick()), [&second], "a verification that failed is finished, too");
    assert!(!world.freight("one").status.verified_in.contains_key("test"));
}

#[test]
fn returning_to_a_verified_collection_takes_the_earlier_result() {
    let mut world = World::new();
    world.project.stages.get_mut("test").unwrap().spec.verification = Some(read(json!({"analysisTemplates": [{"name": "smoke"}]})));
    for name in ["one", "two"] {
        world.find("web", name);
        world.promote("test", name, PromotionPhase::Succeeded, None);
        world.tick();
        let done = VerificationInfo {
            id: name.into(),
            phase: Some(VerificationPhase::Successful),
            finish_time: Some(world.now),
            ..VerificationInfo::default()
        };
        bookkeeping::record_verification(world.stages.get_mut("test").unwrap(), done);
        world.tick();
    }
    let starts = |plan: &Plan| plan.actions.iter().any(|action| matches!(action, Action::StartVerification { .. }));
    world.promote("test", "two", PromotionPhase::Succeeded, None);
    assert!(starts(&world.plan()), "promoting what is there verifies again");
    world.promote("test", "one", PromotionPhase::Succeeded, None);
    assert!(!starts(&world.tick()));
    assert_eq!(world.stages["test"].current_freight().unwrap().verification_history[0].id, "one");
    let failed = VerificationInfo { id: "two".into(), phase: Some(VerificationPhase::Failed), ..VerificationInfo::default() };
    for collection in &mut world.stages.get_mut("test").unwrap().freight_history[1..] {
        collection.verification_history = vec![failed.clone()];
    }
    world.promote("test", "two", PromotionPhase::Succeeded, None);
    assert!(starts(&world.plan()), "a bad result is not adopted");
    world.tick();
    bookkeeping::record_verification(
        world.stages.get_mut("test").unwrap(),
        VerificationInfo { phase: Some(VerificationPhase::Successful), ..failed },
    );
    world.settings().verify_again = true;
    world.promote("test", "one", PromotionPhase::Succeeded, None);
    assert!(starts(&world.plan()));
}

#[test]
fn a_stay_counts_as_soak_when_the_freight_leaves_verified() {
    let mut world = World::new();
    world.find("web", "one");
    world.promote("test", "one", PromotionPhase::Succeeded, None);
    world.tick();
    world.now = "2026-03-02T13:30:00Z".parse().unwrap();
    world.find("web", "two");
    world.promote("test", "two", PromotionPhase::Succeeded, None);
    world.tick();
    let status = &world.freight("one").status;
    assert!(status.currently_in.is_empty());
    assert_eq!(status.verified_in["test"].longest_soak.unwrap().to_string(), "1h30m0s");
    let gate = world.gates("one", "prod").into_iter().find(|gate| gate.gate == GateName::Availability).unwrap();
    assert_eq!((gate.open, gate.opens_at), (false, None));
}

#[test]
fn a_regression_is_a_warning_until_it_is_set_to_hold() {
    let mut world = World::new();
    world.find("web", "one");
    world.promote("test", "one", PromotionPhase::Succeeded, None);
    world.tick();
    world.find("web", "two");
    let asked = world.inputs(questions);
    assert_eq!(asked.iter().map(|q| (q.held.as_str(), q.candidate.as_str())).collect::<Vec<_>>(), [("commit-of-one", "commit-of-two")]);
    assert_eq!(promoted(&world.plan()), [("test", "two")]);
    world.ancestry.insert(&asked[0], false);
    assert!(world.inputs(questions).is_empty());
    let gate = |world: &World| world.gates("two", "test").into_iter().find(|gate| gate.gate == GateName::Regression).unwrap();
    assert!(gate(&world).open && gate(&world).detail.contains("lacks"));
    world.settings().on_regression = OnRegression::Hold;
    assert!(!gate(&world).open && promoted(&world.plan()).is_empty());
    assert_eq!(world.inputs(|inputs| gates::refusals(inputs, &"two".into(), &"test".into())).unwrap(), [], "a person may");
}

#[test]
fn a_foreign_change_holds_where_that_is_set() {
    let mut world = World::new();
    world.find("web", "one");
    let change = ForeignChange { author: "Ines".into(), branch: "env/test".into(), paths: vec!["web/".into()], ..ForeignChange::default() };
    world.foreign.insert("test".into(), vec![change]);
    assert_eq!(promoted(&world.plan()), [("test", "one")]);
    world.settings().on_foreign_change = OnForeignChange::Hold;
    let plan = world.plan();
    assert!(promoted(&plan).is_empty());
    let held = plan.held.iter().find(|held| held.stage == "test").unwrap();
    assert_eq!(held.gates[0].detail, "Ines changed `web/` in `env/test`; `consign adopt test` accepts it");
}

#[test]
fn quarantined_freight_is_passed_over_and_its_promotions_end() {
    let mut world = World::new();
    world.find("web", "good");
    world.find("web", "bad");
    let promotion = world.promote("test", "bad", PromotionPhase::Running, None);
    world.freight("bad").status.quarantined = Some(Quarantine { reason: "CVE".into(), ..Quarantine::default() });
    let plan = world.plan();
    assert_eq!(promoted(&plan), [("test", "good")]);
    assert!(plan.actions.contains(&Action::Fail { stage: "test".into(), promotion, message: "freight `bad` is in quarantine".into() }));
    assert!(plan.held.iter().any(|held| held.freight == "bad" && held.gates[0].gate == GateName::Quarantine));
}

#[test]
fn promotions_of_a_stage_that_is_gone_are_aborted() {
    let mut world = World::new();
    world.find("web", "one");
    let promotion = world.promote("prod", "one", PromotionPhase::Running, None);
    world.project.stages.remove("prod");
    let reason = "stage `prod` is no longer defined".to_owned();
    assert!(world.plan().actions.contains(&Action::Abort { stage: "prod".into(), promotion, reason }));
}

#[test]
fn an_ended_promotion_waits_for_an_older_one_that_runs() {
    let mut world = World::new();
    world.find("web", "one");
    world.find("web", "two");
    let first = world.promote("test", "one", PromotionPhase::Running, None);
    let second = world.promote("test", "two", PromotionPhase::Pending, None);
    world.end(&second, PromotionPhase::Aborted);
    world.tick();
    assert!(world.stages["test"].last_promotion.is_none());
    world.end(&first, PromotionPhase::Succeeded);
    world.tick();
    assert_eq!(world.stages["test"].last_promotion.as_ref().unwrap().name, second);
    assert_eq!(world.holds_now("test"), ["one"]);
}

#[test]
fn a_rollback_goes_back_again_and_again() {
    let mut world = World::new();
    let written = crate::model::WrittenTree { tree: "t".into(), ..Default::default() };
    let mut names = Vec::new();
    for name in ["one", "two", "three"] {
        world.find("web", name);
        names.push(world.promote("test", name, PromotionPhase::Succeeded, None));
        world.promotions.last_mut().unwrap().status.consign.written = vec![written.clone()];
        world.tick();
    }
    let target = |world: &World, to: Option<&str>| {
        let to = to.map(FreightName::from);
        let stage = &world.project.stages["test"];
        rollback::target(stage, &world.stages["test"], &world.promotions, &world.freight, to.as_ref(), false).map(Promotion::name)
    };
    assert_eq!(target(&world, None).as_ref(), Ok(&names[1]));
    assert_eq!(target(&world, Some("one")).as_ref(), Ok(&names[0]));
    assert!(matches!(target(&world, Some("three")), Err(rollback::NoRollback::Current { .. })));
    world.promote("test", "two", PromotionPhase::Succeeded, None);
    world.promotions.last_mut().unwrap().status.consign.restores = names[1].clone();
    world.tick();
    assert_eq!(target(&world, None).as_ref(), Ok(&names[0]), "not forward to `three`");
    world.promotions[0].status.consign.written.clear();
    assert!(matches!(target(&world, None), Err(rollback::NoRollback::NoneVerified { .. })));
}

#[test]
fn a_policy_that_cannot_be_read_is_a_problem_and_keeps_holds() {
    let mut world = World::new();
    world.find("web", "one");
    let hold = Hold { freight_name: "zero".into(), promotion_name: "test.x".into(), origin: Origin::warehouse("web"), ..Hold::default() };
    let held = StageStatus { auto_promotion_holds: [(OriginKey(Origin::warehouse("web")), hold)].into(), ..StageStatus::default() };
    world.stages.insert("test".into(), held.clone());
    let bad = json!({"stageSelector": {"matchExpressions": [{"key": "tier", "operator": "Equals"}]}, "autoPromotionEnabled": true});
    world.project.config = Some(read(json!({"spec": {"promotionPolicies": [bad]}})));
    let plan = world.tick();
    assert_eq!(plan.problems.len(), 2);
    assert!(promoted(&plan).is_empty());
    assert_eq!(world.stages["test"], held);
}

#[test]
fn control_flow_stages_pass_freight_on_in_one_pass() {
    let mut world = World::new();
    let gate = |upstream: &str| -> Stage {
        read(json!({"metadata": {"name": "g"}, "spec": {"requestedFreight": [request("web", json!({"stages": [upstream]}))]}}))
    };
    for (name, upstream) in [("a-gate", "test"), ("b-gate", "a-gate")] {
        let mut stage = gate(upstream);
        stage.metadata.name = name.into();
        world.project.stages.insert(name.into(), stage);
    }
    let (name, prod) = stage("prod", json!([request("web", json!({"stages": ["b-gate"]}))]));
    world.project.stages.insert(name, prod);
    world.find("web", "one");
    world.verified("one", "test");
    assert!(promoted(&world.plan()).contains(&("prod", "one")));
    assert_eq!(world.closed("one", "a-gate"), [GateName::Steps], "a control-flow stage is never promoted to");
}
