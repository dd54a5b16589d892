//! Freight names, creation, assembly, URLs and versions.

use std::collections::BTreeSet;
use std::sync::Arc;

use consign::expr::{self, Context, Site};
use consign::freight::assemble::{self, Automatic, Problem};
use consign::freight::semver::{Constraint, Version, difference};
use consign::freight::{identity, url};
use consign::model::{DiscoveredArtifacts, Freight, Warehouse};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::harness::{Outcome, Runner, judge};

/// Runs the cases of `freight.json`.
pub fn prepare(document: &Value) -> Runner {
    let versions: Vec<String> = serde_json::from_value(document["versions"].clone()).expect("versions");
    Box::new(move |case| match case["kind"].as_str().expect("kind") {
        "name" => {
            let freight: Freight = read(&case["freight"]);
            judge(case, &json!({"name": identity::freight_name(&freight.origin, &freight)}), Value::eq)
        }
        "create" => judge(case, &create(case), same_creation),
        "assemble" => judge(case, &assemble(case), Value::eq),
        "git" => judge_both(case, [url::git, url::git_in_names]),
        "image" => judge_both(case, [url::image, url::image]),
        "helm" => judge_both(case, [url::chart, url::chart_in_names]),
        "constraint" => judge(case, &constraint(case, &versions), Value::eq),
        "version" => judge(case, &version(case), Value::eq),
        "semverDiff" => judge(case, &json!(difference(text(&case["a"]), text(&case["b"])).to_string()), Value::eq),
        "semverParse" => judge(case, &evaluate(text(&case["expression"])), Value::eq),
        kind => Outcome::Differ(format!("unknown kind {kind}")),
    })
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).expect("the case has the model's shape")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// The form for lookups must be the sane one, and the form in names Kargo's.
fn judge_both(case: &Value, [lookup, in_names]: [fn(&str) -> String; 2]) -> Outcome {
    let url = text(&case["url"]);
    if case["want"] != in_names(url) {
        return Outcome::Differ(format!("in names: {}", in_names(url)));
    }
    judge(case, &json!(lookup(url)), Value::eq)
}

/// The value of an expression, before it is coerced.
fn evaluate(expression: &str) -> Value {
    let value = expr::bare(Site::Config, expression, &Context::default()).and_then(|value| value.to_json());
    value.unwrap_or_else(|_| json!({"error": true}))
}

fn create(case: &Value) -> Value {
    let warehouse: Warehouse = read(&case["warehouse"]);
    let discovered: Arc<DiscoveredArtifacts> = Arc::new(read(&case["discovered"]));
    let automatic = |exists: bool| assemble::automatic(&warehouse, &discovered, |_| exists, Timestamp::UNIX_EPOCH);
    let exists = case["exists"] == json!(true);
    let made = |freight: &Freight, reason: &str| {
        let mut got = serde_json::to_value(freight.reference()).expect("serializes");
        got["warehouse"] = json!(freight.origin.name);
        json!({"freight": got, "reason": reason})
    };
    match automatic(exists) {
        Automatic::New(freight) => made(&freight, "NewFreight"),
        Automatic::Exists(name) => {
            // What exists has the contents that would have been created.
            let Automatic::New(freight) = automatic(false) else { return Value::Null };
            let mut got = made(&freight, "AlreadyExists");
            got["lastFreightID"] = json!(name);
            got
        }
        Automatic::None(reason) => json!({"freight": null, "reason": reason.code().unwrap_or("none"), "healthy": reason.is_healthy()}),
    }
}

/// Compares what a warehouse created: the whole freight, the reason and the warehouse's health. The `lastFreightID` of an existing freight is
/// Kargo's known mistake in every such case; ours is the name.
fn same_creation(want: &Value, got: &Value) -> bool {
    let mut freight = got["freight"].clone();
    if let Some(freight) = freight.as_object_mut() {
        freight.remove("origin");
        freight.remove("warehouse");
    }
    let healthy = want["error"].is_null() && want["healthy"] != json!(false);
    let id = &got["lastFreightID"];
    want["freight"] == freight
        && want["reason"] == got["reason"]
        && healthy == (got["healthy"] != json!(false))
        && (id.is_null() || *id == got["freight"]["name"])
}

fn assemble(case: &Value) -> Value {
    match assemble::by_hand(&read(&case["warehouse"]), read(&case["freight"]), |_| false) {
        Ok(_) => json!({"ok": true}),
        Err(violations) => {
            // Kargo's words for the same field and problem.
            let errors: BTreeSet<String> = violations
                .iter()
                .map(|violation| {
                    let problem = match (&violation.problem, violation.field) {
                        (Problem::Missing { subscription }, _) => format!("no artifact found for subscription \"{subscription}\""),
                        (Problem::Several { subscription }, _) => format!("multiple artifacts found for subscription \"{subscription}\""),
                        (Problem::Foreign { .. }, "commits") => "no subscription found for Git repository".to_owned(),
                        (Problem::Foreign { .. }, "images") => "no subscription found for image repository".to_owned(),
                        (Problem::Foreign { .. }, _) => "no subscription found for Helm chart".to_owned(),
                        (other, _) => format!("{other:?}"),
                    };
                    format!("{}: {problem}", violation.field)
                })
                .collect();
            json!({"ok": false, "errors": errors})
        }
    }
}

fn constraint(case: &Value, versions: &[String]) -> Value {
    match text(&case["constraint"]).parse::<Constraint>() {
        Err(_) => json!({"error": true}),
        Ok(constraint) => {
            let accepts: Vec<&String> = versions.iter().filter(|version| constraint.matches(&Version::parse(version).expect("a version"))).collect();
            json!({"accepts": accepts})
        }
    }
}

fn version(case: &Value) -> Value {
    let version = text(&case["text"]);
    let lenient = Version::parse(version);
    let mut got = json!({"lenient": lenient.is_ok(), "strict": Version::parse_strict(version).is_ok()});
    if let Ok(version) = lenient {
        got["is"] = json!(version.to_string());
    }
    got
}
