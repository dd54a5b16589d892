//! Promotions and deletions: what the rooms that make promotions and keep records say, in the words of admission.

use std::collections::BTreeMap;

use consign::config::admission::{Admitted, Class, Finding, Layer};
use consign::config::yaml::FieldPath;
use consign::model::{Freight, PromotionTask, Stage, TaskKind};
use consign::plan::availability::is_available;
use consign::plan::naming::{NewPromotion, new_promotion, promotion_name};
use consign::promote::inflate::inflate;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{There, text};

/// Makes the promotion that a resource asks for, among what is there: whatever it says of steps and variables is the stage's business.
pub fn admit(outcome: &mut Admitted, written: &Value, there: &There) {
    let namespace = text(written, "/metadata/namespace");
    let stage_name = text(written, "/spec/stage");
    let Some(stage) = there.read::<Stage>("Stage", namespace, stage_name) else {
        // As in Kargo, a missing name is a stage that is not there.
        return refuse_only(outcome, Class::Invalid, "spec.stage", format!("there is no stage `{stage_name}`"));
    };
    if !outcome.refused.is_empty() {
        return;
    }
    if stage.is_control_flow() {
        return refuse_only(outcome, Class::Invalid, "spec.stage", format!("the stage `{stage_name}` has no steps"));
    }
    if !text(written, "/spec/target").is_empty() {
        return refuse_only(outcome, Class::Invalid, "spec.target", "promotions to targets are made by their stage".into());
    }
    let now: Timestamp = "2026-03-02T09:00:00Z".parse().expect("a time");
    let all: Vec<Freight> = there.all("Freight", namespace);
    let available = |freight: &&Freight| is_available(&stage, freight, now);
    let freight = match text(written, "/spec/freight") {
        "" => all
            .iter()
            .filter(|freight| freight.origin.name == *text(written, "/spec/origin/name"))
            .filter(available)
            .max_by_key(|freight| freight.age_key()),
        name => all.iter().filter(|freight| freight.metadata.name == name).find(available),
    };
    let Some(freight) = freight else {
        let path = if text(written, "/spec/freight").is_empty() { "spec.origin" } else { "spec.freight" };
        return refuse_only(outcome, Class::Invalid, path, "no such freight is available to the stage".into());
    };
    let mut tasks: BTreeMap<(TaskKind, String), PromotionTask> = BTreeMap::new();
    for task in there.all::<PromotionTask>("PromotionTask", namespace) {
        tasks.insert((TaskKind::PromotionTask, task.metadata.name.clone()), task);
    }
    let inflated = match inflate(&stage, &tasks) {
        Ok(inflated) => inflated,
        Err(errors) => {
            return refuse_only(outcome, Class::NotFound, "spec.stage", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
        }
    };
    let name = promotion_name(&stage, freight, None, now, 7);
    let mut promotion = new_promotion(&stage, freight, NewPromotion { name, ..NewPromotion::default() }, now);
    promotion.spec.steps = inflated.steps;
    promotion.spec.vars = inflated.vars;
    let made = serde_json::to_value(&promotion).expect("a promotion serializes");
    for (part, field) in
        [("metadata", "name"), ("metadata", "labels"), ("metadata", "annotations"), ("spec", "freight"), ("spec", "steps"), ("spec", "vars")]
    {
        if let Some(value) = made.get(part).and_then(|part| part.get(field)) {
            outcome.object[part][field] = value.clone();
        }
    }
}

fn refuse_only(outcome: &mut Admitted, class: Class, path: &str, message: String) {
    outcome.refused = vec![Finding { layer: Layer::Webhook, class, path: FieldPath::root().fields(path), message, help: None, related: None }];
}

/// Deletes a freight that no stage holds.
pub fn delete(doc: &Value, there: &There) -> Value {
    let name = text(doc, "/metadata/name");
    let held = there
        .all::<Stage>("Stage", text(doc, "/metadata/namespace"))
        .iter()
        .any(|stage| stage.status.freight_history.first().is_some_and(|collection| collection.items.values().any(|item| item.name == *name)));
    if held {
        json!({"valid": false, "by": "webhook", "errors": [{"path": "", "type": "Forbidden", "message": "in use"}]})
    } else {
        json!({"valid": true})
    }
}
