//! `step-config.json`: what each step kind accepts as its configuration.
//!
//! Kargo's wording is not ours, so an invalid configuration is compared by its places: we must complain wherever Kargo does, and nowhere else.
//! Where Kargo's schema composes alternatives (`oneOf`), it also lists what each alternative lacks; of such a group only the place counts.

use consign::promote::check_config;
use serde_json::{Value, json};

use crate::harness::{Outcome, Runner, judge};

pub fn prepare(_document: &Value) -> Runner {
    Box::new(run)
}

fn run(case: &Value) -> Outcome {
    let violations = check_config(case["kind"].as_str().expect("kind"), &case["config"]);
    let got = json!({
        "valid": violations.is_empty(),
        "errors": violations.iter().map(|violation| format!("{}: {}", violation.path, violation.message)).collect::<Vec<_>>(),
    });
    judge(case, &got, |want, got| {
        if want["valid"] != got["valid"] {
            return false;
        }
        if want["valid"] == true || want["notSchema"] == true {
            return true;
        }
        let lines: Vec<&str> = want["errors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let place = |line: &str| line.split_once(": ").map_or("(root)", |(place, _)| place).to_owned();
        let composed: Vec<String> = lines.iter().filter(|line| line.contains("Must validate")).map(|line| place(line)).collect();
        let below = |place: &str, parent: &str| parent == "(root)" || place == parent || place.starts_with(&format!("{parent}."));
        let ours: Vec<String> = violations.iter().map(|violation| dots(&violation.path)).collect();
        let theirs: Vec<String> = lines.iter().map(|line| place(line)).collect();
        let complained =
            |place: &String| ours.contains(place) || composed.iter().any(|group| below(place, group) && ours.iter().any(|one| below(one, group)));
        theirs.iter().all(complained) && ours.iter().all(|place| theirs.contains(place))
    })
}

/// `updates[0].key` as Kargo writes it, `updates.0.key`.
fn dots(path: &str) -> String {
    if path.is_empty() { "(root)".into() } else { path.replace('[', ".").replace(']', "") }
}
