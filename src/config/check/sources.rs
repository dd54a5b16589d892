//! Requests for freight that can never be met, and soak times that never pass.

use serde_json::Value;

use super::Context;
use crate::config::admission::{items, text};
use crate::config::yaml::FieldPath;
use crate::diagnostic::Diagnostic;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for stage in context.of_kind("Stage") {
        for (at, request) in items(&stage.object, "/spec/requestedFreight").iter().enumerate() {
            let path = FieldPath::root().fields("spec.requestedFreight").index(at).field("sources");
            let upstream = items(request, "/sources/stages");
            if request.pointer("/sources/direct") != Some(&Value::Bool(true)) && upstream.is_empty() {
                found.push(
                    Diagnostic::error("config/no-source", format!("the stage `{}` can never get this freight", stage.name))
                        .at(stage.key_place(&path), "neither `direct` nor `stages`")
                        .help("add `direct: true`, or `stages:` with the stages before this one"),
                );
            }
            if text(request, "/sources/requiredSoakTime").is_empty() {
                continue;
            }
            for upstream in upstream.iter().filter_map(Value::as_str) {
                let Some(before) = context.find("Stage", &stage.namespace, upstream) else { continue };
                if items(&before.object, "/spec/promotionTemplate/spec/steps").is_empty() {
                    found.push(
                        Diagnostic::warning(
                            "config/soak-behind-control-flow",
                            format!("freight never soaks in `{upstream}`: the stage has no steps, so nothing is promoted to it"),
                        )
                        .at(stage.place(&path.field("requiredSoakTime")), "never passes")
                        .related(before.head(), "a control-flow stage")
                        .help(format!("ask for the soak time where `{upstream}` takes its freight")),
                    );
                }
            }
        }
    }
}
