//! Promotions and deletions: what the rooms that make and keep records say, in the words of admission.

use consign::config::admission::{Admitted, Class, Finding, Layer};
use consign::config::yaml::FieldPath;
use serde_json::{Value, json};

use super::{There, text};

/// Admits a promotion among what is there.
pub fn admit(outcome: &mut Admitted, there: &There) {
    let namespace = text(&outcome.object, "/metadata/namespace").to_owned();
    let stage_name = text(&outcome.object, "/spec/stage").to_owned();
    let mut refuse = |class, path: &str, message: String| outcome.refused.push(Finding {
        layer: Layer::Webhook,
        class,
        path: FieldPath::root().fields(path),
        message,
        help: None,
        related: None,
    });
    let Some(stage) = there.objects.get(&("Stage".to_owned(), namespace, stage_name.clone())) else {
        return refuse(Class::Invalid, "spec.stage", format!("there is no stage `{stage_name}`"));
    };
    if stage.pointer("/spec/promotionTemplate/spec/steps").is_none() {
        refuse(Class::Invalid, "spec.stage", format!("the stage `{stage_name}` has no steps"));
    }
}

/// Deletes a freight that no stage uses.
pub fn delete(doc: &Value, there: &There) -> Value {
    let name = text(doc, "/metadata/name");
    let used = there.objects.iter().any(|((kind, _, _), object)| {
        kind == "Stage"
            && object
                .pointer("/status/freightHistory/0/items")
                .and_then(Value::as_object)
                .is_some_and(|items| items.values().any(|item| text(item, "/name") == name))
    });
    if used { json!({"valid": false, "by": "webhook", "errors": [{"path": "", "type": "Forbidden", "message": "in use"}]}) } else { json!({"valid": true}) }
}
