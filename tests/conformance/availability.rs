//! Which freight a stage may take, and what one pass over the stage plans.

use std::collections::{BTreeMap, BTreeSet};

use consign::model::{Freight, Project, Promotion, Stage, StageName, Warehouse};
use consign::plan::{self, Action, ClosedWindow, Inputs, Settings, ancestry::Ancestry, policy::Policies};
use serde_json::{Map, Value, json};

use super::harness::{Outcome, Runner};

/// Runs the cases of `availability.json`.
pub fn prepare(_: &Value) -> Runner {
    Box::new(|case| {
        let got = run(case);
        let want = case["want"].as_object().expect("want");
        if differences(want, &got, |_| false).is_empty() {
            return Outcome::AsKargo;
        }
        if let Some(sane) = case.get("sane").and_then(Value::as_object) {
            let mut merged = want.clone();
            merged.extend(sane.clone());
            // Where the sane result is that nothing goes wrong, neither the error nor what led to it is left.
            if differences(&merged, &got, |key| ["error", "reconcileError", "candidates"].contains(&key)).is_empty() {
                return Outcome::Sane;
            }
        }
        Outcome::Differ(format!("{}\n    got {}", differences(want, &got, |_| false).join("\n    "), Value::Object(got)))
    })
}

/// Every field of the two results that is not equal. Of errors counts that there is one.
fn differences(want: &Map<String, Value>, got: &Map<String, Value>, skip: impl Fn(&str) -> bool) -> Vec<String> {
    let keys: BTreeSet<&String> = want.keys().chain(got.keys()).collect();
    let of = |result: &Map<String, Value>, key: &str| {
        let value = result.get(key).cloned().unwrap_or_default();
        if ["error", "reconcileError"].contains(&key) { json!(!value.is_null()) } else { value }
    };
    let different = keys.into_iter().filter(|key| !skip(key) && of(want, key) != of(got, key));
    different.map(|key| format!("{key}: want {}, got {}", of(want, key), of(got, key))).collect()
}

fn list<T: serde::de::DeserializeOwned>(value: &Value) -> Vec<T> {
    value.as_array().into_iter().flatten().map(|item| serde_json::from_value(item.clone()).expect("the case has the model's shape")).collect()
}

fn run(case: &Value) -> Map<String, Value> {
    let stages: Vec<Stage> = list(&case["stages"]);
    let freight: Vec<Freight> = list(&case["freight"]);
    let promotions: Vec<Promotion> = list(&case["promotions"]);
    let statuses: BTreeMap<_, _> = stages.iter().map(|stage| (stage.name(), stage.status.clone())).collect();
    let name = StageName::new(case["stage"].as_str().expect("stage"));
    let project = Project {
        name: "shop".into(),
        config: case.get("projectConfig").map(|config| serde_json::from_value(config.clone()).expect("a ProjectConfig")),
        warehouses: list::<Warehouse>(&case["warehouses"]).into_iter().map(|warehouse| (warehouse.name(), warehouse)).collect(),
        // A case is one reconciliation of one stage; the records of the others are as they stand.
        stages: stages.into_iter().map(|stage| (stage.name(), stage)).filter(|(stage, _)| *stage == name).collect(),
        ..Project::default()
    };
    let closed = ClosedWindow { reason: "closed by the case".into(), opens_at: None };
    let denied = case.get("denyPromotions").is_some_and(|deny| *deny == json!(true));
    let (settings, ancestry) = (Settings::default(), Ancestry::default());
    let inputs = Inputs {
        project: &project,
        stages: &statuses,
        freight: &freight,
        promotions: &promotions,
        now: case["now"].as_str().expect("now").parse().expect("a time"),
        run: "conformance",
        ancestry: &ancestry,
        foreign_changes: &BTreeMap::new(),
        closed_windows: &denied.then(|| (name.clone(), closed)).into_iter().collect(),
        approved: &BTreeSet::new(),
        settings: &settings,
    };
    observe(&inputs, &name)
}

fn observe(inputs: &Inputs<'_>, name: &StageName) -> Map<String, Value> {
    let stage = &inputs.project.stages[name];
    let plan = plan::plan(inputs);
    let mut got = Map::new();

    let open = |freight: &&Freight| plan::availability::is_available(stage, freight, inputs.now);
    let mut admitted: Vec<String> = inputs.freight.iter().filter(open).map(|freight| freight.metadata.name.clone()).collect();
    admitted.sort();
    got.insert("available".into(), json!(plan::selectable(inputs, name)));
    got.insert("admitted".into(), json!(admitted));

    let policy = Policies::new(inputs.project.config.as_ref()).auto_promotion(stage);
    let candidates: BTreeMap<String, _> = plan::candidates(inputs, name).into_iter().map(|(origin, freight)| (origin.to_string(), freight)).collect();
    let mut promotions: Vec<_> = inputs.promotions.iter().filter(|promotion| promotion.spec.stage == *name).collect();
    promotions.sort_by_key(|promotion| promotion.name());
    let holds: BTreeMap<String, _> = plan::holds::effective(stage, &inputs.stages[name], &promotions, policy == Ok(true))
        .into_iter()
        .map(|(origin, hold)| (origin.0.to_string(), hold.freight_name))
        .collect();
    if !candidates.is_empty() {
        got.insert("candidates".into(), json!(candidates));
    }
    if !holds.is_empty() {
        got.insert("effectiveHolds".into(), json!(holds));
    }
    if let Ok(enabled) = policy {
        got.insert("autoPromotionAllowed".into(), json!(enabled));
    }

    let (mut promoted, mut verified) = (Vec::new(), Vec::new());
    for action in &plan.actions {
        match action {
            Action::Promote { stage, freight, .. } if stage == name => promoted.push(freight.clone()),
            Action::Run { stage, promotion } if stage == name => {
                got.insert("currentPromotion".into(), json!(promotion));
            }
            Action::RecordFreight { freight, verified_in, .. } if verified_in.contains(name) && stage.is_control_flow() => {
                verified.push(freight.clone())
            }
            _ => {}
        }
    }
    got.insert("autoPromote".into(), json!(promoted));
    if !verified.is_empty() {
        got.insert("markedVerified".into(), json!(verified));
    }
    if plan.problems.iter().any(|problem| problem.contains(&format!("stage `{name}`"))) {
        got.insert("error".into(), json!(plan.problems));
        got.insert("reconcileError".into(), json!(plan.problems));
    }
    got
}
