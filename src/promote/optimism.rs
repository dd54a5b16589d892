//! Whether a promotion may run optimistically: nothing it could do is seen outside before its record is.

use serde_json::Value;

use super::engine::{Expressions, Scope};
use super::step::Effect;
use super::steps::Registry;
use crate::expr;
use crate::git::RemoteUrl;
use crate::model::{Promotion, PromotionStep, Variable};

/// Judges a promotion before its first step: every step it could run has no effect outside, or moves only refs of the ledger's own remote.
///
/// Proposals of plain Git (`is_plain`, by repository) live in the ledger, so opening one and looking at it is no effect outside.
///
/// A step is left out of account only if its `if` is false on `vars` and `ctx` alone. `ledger` is the key of the ledger's remote; `early` gives
/// what expressions see before the first step has run.
pub fn is_optimistic(
    registry: &Registry,
    expressions: &dyn Expressions,
    early: Scope<'_>,
    ledger: &RemoteUrl,
    is_plain: &dyn Fn(&str) -> bool,
) -> bool {
    let promotion = early.promotion;
    // Which folder holds a checkout of which remote, as far as it is known by now.
    let mut checkouts: Vec<(String, Option<String>)> = Vec::new();
    for step in &promotion.spec.steps {
        if is_excluded(expressions, Scope { step, ..early }, step) {
            continue;
        }
        // An unknown kind ends as Errored without having done anything.
        let Some(kind) = registry.get(&step.uses) else { continue };
        let config = settled_config(expressions, Scope { step, ..early }, step);
        if step.uses == "git-clone" {
            let url = text(&config["repoURL"]);
            let paths = config["checkout"].as_array().map(Vec::as_slice).unwrap_or_default();
            if paths.is_empty() {
                return false;
            }
            for checkout in paths {
                // A path that nobody knows could be any folder.
                let Some(path) = text(&checkout["path"]) else { return false };
                checkouts.push((clean(&path), url.clone()));
            }
        }
        let ours = match kind.effect(&config) {
            Effect::None => true,
            Effect::Outside if matches!(step.uses.as_str(), "git-open-pr" | "git-wait-for-pr") => {
                text(&config["repoURL"]).is_some_and(|url| is_ledger(&url, ledger) && is_plain(&url))
            }
            Effect::Outside => false,
            Effect::Refs(Some(url)) => is_ledger(&url, ledger),
            // The remote is that of the checkout at `path`.
            Effect::Refs(None) => match text(&config["path"]).map(|path| clean(&path)) {
                Some(path) => {
                    let inside =
                        checkouts.iter().filter(|(folder, _)| folder.is_empty() || path == *folder || path.starts_with(&format!("{folder}/")));
                    match inside.max_by_key(|(folder, _)| folder.len()) {
                        Some((_, Some(url))) => is_ledger(url, ledger),
                        _ => false,
                    }
                }
                None => false,
            },
        };
        if !ours {
            return false;
        }
    }
    true
}

/// Index of the first step from where a promotion stands that acts outside; None: it writes nothing but refs.
pub fn first_outside(registry: &Registry, expressions: &dyn Expressions, early: Scope<'_>) -> Option<usize> {
    let promotion = early.promotion;
    let open = promotion.spec.steps.iter().enumerate().skip(promotion.status.current_step);
    let acts = |step: &PromotionStep| {
        let config = settled_config(expressions, Scope { step, ..early }, step);
        registry.get(&step.uses).is_some_and(|kind| kind.effect(&config) == Effect::Outside)
    };
    open.filter(|(_, step)| acts(step)).find(|(_, step)| !is_excluded(expressions, Scope { step, ..early }, step)).map(|(index, _)| index)
}

/// Whether a step's `if` is false whatever the steps before it do.
fn is_excluded(expressions: &dyn Expressions, scope: Scope<'_>, step: &PromotionStep) -> bool {
    !step.condition.is_empty() && is_settled(&step.condition, scope.promotion, step) && expressions.condition(scope, &step.condition) == Ok(false)
}

/// A step's configuration with those fields rendered that hang on nothing but `vars` and `ctx`; the others are null.
fn settled_config(expressions: &dyn Expressions, scope: Scope<'_>, step: &PromotionStep) -> Value {
    fn render(expressions: &dyn Expressions, scope: Scope<'_>, value: &Value) -> Value {
        match value {
            Value::String(text) if expr::is_template(text) => {
                if !is_settled(text, scope.promotion, scope.step) {
                    return Value::Null;
                }
                let one = serde_json::json!({"value": text});
                expressions.config(scope, &one).map(|rendered| rendered["value"].clone()).unwrap_or_default()
            }
            Value::Array(items) => items.iter().map(|item| render(expressions, scope, item)).collect(),
            Value::Object(fields) => Value::Object(fields.iter().map(|(key, value)| (key.clone(), render(expressions, scope, value))).collect()),
            other => other.clone(),
        }
    }
    step.config.as_ref().map_or(Value::Null, |config| render(expressions, scope, config))
}

/// Whether a template hangs on nothing that a step could change. Since all variables are evaluated with it, they must be so too.
fn is_settled(template: &str, promotion: &Promotion, step: &PromotionStep) -> bool {
    let early = |template: &str| expr::references(template).is_some_and(|references| references.is_settled_early());
    let vars: Vec<&Variable> = promotion.spec.vars.iter().chain(&step.vars).collect();
    early(template) && vars.iter().all(|var| early(&var.value))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A path as the workspace understands it, without `.`, `..` and slashes at the ends.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    parts.join("/")
}

fn is_ledger(url: &str, ledger: &RemoteUrl) -> bool {
    RemoteUrl::parse(url, true).is_ok_and(|url| url.key() == ledger.key())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use serde_json::{Map, json};

    use super::*;
    use crate::promote::expressions::Evaluator;

    fn judged(steps: Value) -> bool {
        let mut promotion = Promotion::default();
        promotion.spec.steps = serde_json::from_value(steps).unwrap();
        promotion.spec.vars = serde_json::from_value(
            json!([{"name": "repo", "value": "https://git.example.com/shop/config.git"}, {"name": "gated", "value": "false"}]),
        )
        .unwrap();
        let evaluator = Evaluator {
            base: expr::Context::default(),
            project: "shop".into(),
            ui_base_url: String::new(),
            freight_alias: String::new(),
            requested: Vec::new(),
        };
        let scope = Scope {
            promotion: &promotion,
            step: &PromotionStep::default(),
            outputs: &Map::new(),
            metadata: &[],
            freight: &[],
            warehouses: &BTreeMap::new(),
            records: &(),
            changes: &[],
        };
        is_optimistic(&Registry::built_in(), &evaluator, scope, &RemoteUrl::parse("https://git.example.com/shop/config", true).unwrap(), &|_| false)
    }

    #[test]
    fn only_what_stays_with_the_ledger_is_optimistic() {
        let clone = |url: &str, path: &str| json!({"uses": "git-clone", "as": path, "config": {"repoURL": url, "checkout": [{"path": path, "branch": "main"}]}});
        let push = |path: &str| json!({"uses": "git-push", "as": "push", "config": {"path": path}});
        let open = |condition: &str| json!({"uses": "git-open-pr", "as": "open", "if": condition, "config": {"repoURL": "${{ vars.repo }}"}});
        let (ours, other) = ("${{ vars.repo }}", "https://git.example.com/shop/app");

        assert!(judged(json!([clone(ours, "./out"), push("out/env")])));
        assert!(judged(json!([clone(ours, "out"), clone(other, "src"), push("out")])), "reading another remote is no effect");
        assert!(!judged(json!([clone(ours, "out"), clone(other, "src"), push("src")])));
        assert!(!judged(json!([clone(ours, "src"), clone(other, "src/nested"), push("src/nested")])), "the deepest checkout counts");
        assert!(!judged(json!([clone("${{ outputs.find.url }}", "out"), push("out")])), "not known by now");
        assert!(!judged(json!([push("out")])), "no checkout");

        assert!(judged(json!([clone(ours, "out"), push("out"), open("${{ vars.gated }}")])), "false on `vars` alone");
        assert!(!judged(json!([open("${{ !vars.gated }}")])));
        assert!(!judged(json!([open("${{ outputs.x?.y ?? false }}")])), "a later step's outputs could make it true");
        assert!(!judged(json!([open("${{ failure() }}")])));
        assert!(!judged(json!([open("")])));
    }
}
