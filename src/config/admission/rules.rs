//! Rules between fields: Kargo's CEL rules, its webhooks, and what it should have refused.

use std::collections::BTreeMap;

use serde_json::Value;

use super::kinds::{Kind, RECEIVERS};
use super::schema::type_of;
use super::{Class, Finding, NamePattern, NamespaceState, World, items, text};
use crate::config::yaml::FieldPath;
use crate::model::GoDuration;

fn at(dotted: &str) -> FieldPath {
    FieldPath::root().fields(dotted)
}

/// Rules of the schema itself; they speak before any webhook.
pub(super) fn rules(kind: &Kind, object: &Value) -> Vec<Finding> {
    let mut found = Vec::new();
    match kind.name {
        "Stage" => {
            let path = at("spec.promotionTemplate.spec.steps");
            for (n, step) in items(object, "/spec/promotionTemplate/spec/steps").iter().enumerate() {
                template_step(step, &path.index(n), &mut found);
            }
        }
        "PromotionTask" | "ClusterPromotionTask" => {
            for (n, step) in items(object, "/spec/steps").iter().enumerate() {
                if step.get("uses").is_none() || step.get("task").is_some() {
                    found.push(
                        Finding::rule(at("spec.steps").index(n), "a step of a task has `uses`, and tasks do not nest")
                            .help("write `uses:` and the kind of the step"),
                    );
                }
            }
        }
        "ProjectConfig" => {
            for (n, policy) in items(object, "/spec/promotionPolicies").iter().enumerate() {
                let path = at("spec.promotionPolicies").index(n);
                if policy.get("stage").is_some() == policy.get("stageSelector").is_some() {
                    found.push(
                        Finding::rule(path.clone(), "a promotion policy has exactly one of `stage` and `stageSelector`")
                            .help("write `stageSelector: {name: ...}`; it takes `glob:` and `regex:` too"),
                    );
                }
                for (field, known) in [("onPromotion", ["Failed", "Errored"]), ("onVerification", ["Failed", "Error"])] {
                    for phase in items(policy, &format!("/autoRollback/{field}")).iter().filter_map(Value::as_str) {
                        if !known.contains(&phase) {
                            found.push(Finding::rule(
                                path.fields("autoRollback").field(field),
                                format!("`{phase}` is not a phase to roll back after; known: `{}`, `{}`", known[0], known[1]),
                            ));
                        }
                    }
                }
            }
        }
        "Promotion" if object.pointer("/spec/freight").is_some() == object.pointer("/spec/origin").is_some() => {
            found.push(Finding::rule(at("spec"), "exactly one of `freight` and `origin` must be set"));
        }
        _ => {}
    }
    found
}

fn template_step(step: &Value, path: &FieldPath, found: &mut Vec<Finding>) {
    let (uses, task) = (step.get("uses").is_some(), step.get("task").is_some());
    if uses == task {
        let message = if uses { "a step has `uses` or `task`, not both" } else { "a step needs `uses` or `task`" };
        found.push(Finding::rule(path.clone(), message).help("`uses: <kind>` runs a step, `task: {name: ...}` the steps of a task"));
    }
    if task {
        for field in ["continueOnError", "retry"] {
            if step.get(field).is_some() {
                found.push(
                    Finding::rule(path.clone(), format!("a reference to a task cannot set `{field}`"))
                        .help(format!("set `{field}` on the steps inside the task")),
                );
            }
        }
    }
}

/// What Kargo's webhooks say.
pub(super) fn webhooks(kind: &Kind, object: &Value, world: &World<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    match kind.name {
        "Stage" => stage(object, &mut found),
        "PromotionTask" | "ClusterPromotionTask" => steps(items(object, "/spec/steps"), &at("spec.steps"), &mut found),
        "Project" => project(object, world, &mut found),
        "ProjectConfig" => {
            let (name, namespace) = (text(object, "/metadata/name"), text(object, "/metadata/namespace"));
            if name != namespace {
                found.push(
                    Finding::webhook(Class::Invalid, at("metadata.name"), format!("a ProjectConfig bears the name of its project, `{namespace}`"))
                        .help(format!("write `name: {namespace}`")),
                );
            }
            policies(object, &mut found);
            receivers(object, &mut found);
            windows(object, &mut found);
        }
        "ClusterConfig" => {
            let name = text(object, "/metadata/name");
            if name != "cluster" {
                found.push(
                    Finding::webhook(Class::Invalid, at("metadata.name"), format!("the one ClusterConfig is named `cluster`, not `{name}`"))
                        .help("write `name: cluster`"),
                );
            }
            receivers(object, &mut found);
            windows(object, &mut found);
        }
        _ => {}
    }
    found
}

fn project(object: &Value, world: &World<'_>, found: &mut Vec<Finding>) {
    let name = text(object, "/metadata/name");
    if (world.namespace)(name) == NamespaceState::Foreign {
        found.push(
            Finding::webhook(Class::Conflict, at("metadata.name"), format!("the namespace `{name}` is there already and belongs to no project"))
                .help("label the Namespace `kargo.akuity.io/project: \"true\"`, or take it away"),
        );
    }
}

fn stage(object: &Value, found: &mut Vec<Finding>) {
    let requests = items(object, "/spec/requestedFreight");
    let mut origins: BTreeMap<&str, usize> = BTreeMap::new();
    for (n, request) in requests.iter().enumerate() {
        let path = at("spec.requestedFreight").index(n);
        let origin = text(request, "/origin/name");
        if origin.is_empty() {
            found.push(Finding::webhook(Class::Required, path.fields("origin.name"), "the origin has no name").help("write the name of a Warehouse"));
        } else if let Some(first) = origins.insert(origin, n) {
            found.push(
                Finding::webhook(Class::Invalid, at("spec.requestedFreight"), format!("freight of the warehouse `{origin}` is requested twice"))
                    .related(at("spec.requestedFreight").index(first))
                    .help("put the sources of both into one entry"),
            );
        }
        if text(request, "/sources/autoPromotionOptions/selectionPolicy") == "MatchUpstream" {
            let path = path.fields("sources.autoPromotionOptions.selectionPolicy");
            let mut refuse = |message: &str, help: &str| found.push(Finding::webhook(Class::Invalid, path.clone(), message).help(help));
            if request.pointer("/sources/direct") == Some(&Value::Bool(true)) {
                refuse("`MatchUpstream` cannot follow the warehouse itself", "take `direct: true` away");
            }
            if items(request, "/sources/stages").len() != 1 {
                refuse("`MatchUpstream` follows exactly one upstream stage", "name one stage under `stages`");
            }
        }
    }
    let path = at("spec.promotionTemplate.spec.steps");
    let template_steps = items(object, "/spec/promotionTemplate/spec/steps");
    for (n, step) in template_steps.iter().enumerate().filter(|(_, step)| step.get("task").is_some()) {
        if !text(step, "/if").is_empty() {
            found.push(
                Finding::webhook(Class::Forbidden, path.index(n).field("if"), "a reference to a task cannot have a condition")
                    .help("put `if` on the steps inside the task"),
            );
        }
        if step.get("config").is_some() {
            found.push(
                Finding::webhook(Class::Forbidden, path.index(n).field("config"), "a reference to a task takes no `config`")
                    .help("hand its inputs over as `vars`"),
            );
        }
    }
    steps(template_steps, &path, found);
    for (n, selector) in items(object, "/spec/targets/selectors").iter().enumerate() {
        operators(selector, &at("spec.targets.selectors").index(n), found);
    }
}

/// Aliases, retries and configurations of a list of steps.
fn steps(steps: &[Value], path: &FieldPath, found: &mut Vec<Finding>) {
    let mut aliases: BTreeMap<&str, usize> = BTreeMap::new();
    for (n, step) in steps.iter().enumerate() {
        let here = path.index(n);
        let alias = text(step, "/as").trim();
        if is_reserved(alias) {
            found.push(
                Finding::webhook(Class::Invalid, here.field("as"), format!("`{alias}` is reserved for steps without a name"))
                    .help("choose a name that says what the step does"),
            );
        } else if !alias.is_empty() {
            if let Some(first) = aliases.get(alias) {
                found.push(
                    Finding::webhook(Class::Invalid, here.field("as"), format!("the alias `{alias}` is used twice"))
                        .related(path.index(*first).field("as"))
                        .help("give each step its own alias; outputs are found by it"),
                );
            } else {
                aliases.insert(alias, n);
            }
        }
        let timeout = text(step, "/retry/timeout");
        if step.pointer("/retry/timeout").is_some() && timeout.parse::<GoDuration>().is_err() {
            found.push(
                Finding::webhook(Class::Invalid, here.fields("retry.timeout"), format!("`{timeout}` is not a duration"))
                    .help("write a form such as `90s`, `5m` or `1h30m`"),
            );
        }
        if step.pointer("/retry/errorThreshold").and_then(Value::as_i64).is_some_and(|threshold| threshold < 0) {
            found.push(
                Finding::webhook(Class::Invalid, here.fields("retry.errorThreshold"), "a threshold cannot be negative")
                    .help("write how many errors end the step; 0 means the step's own default"),
            );
        }
        if let Some(config) = step.get("config").filter(|config| !config.is_object() && step.get("task").is_none()) {
            found.push(
                Finding::webhook(
                    Class::TypeInvalid,
                    here.field("config"),
                    format!("the configuration of a step is a mapping, not {}", type_of(config)),
                )
                .help("write `field: value` lines below `config:`"),
            );
        }
    }
}

/// Whether an alias is one that steps without a name get.
pub(crate) fn is_reserved(alias: &str) -> bool {
    ["step-", "task-"]
        .iter()
        .any(|prefix| alias.strip_prefix(prefix).is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())))
}

/// Operators of a label selector.
fn operators(selector: &Value, path: &FieldPath, found: &mut Vec<Finding>) {
    for (n, expression) in items(selector, "/matchExpressions").iter().enumerate() {
        let path = path.field("matchExpressions").index(n);
        let operator = text(expression, "/operator");
        let values = items(expression, "/values").len();
        let refuse = |path: FieldPath, class, message: String| Finding::webhook(class, path, message);
        match operator {
            "In" | "NotIn" if values == 0 => {
                found.push(
                    refuse(path.field("values"), Class::Required, format!("`{operator}` needs `values`")).help("list the values to compare with"),
                );
            }
            "Exists" | "DoesNotExist" if values > 0 => {
                found.push(refuse(path.field("values"), Class::Forbidden, format!("`{operator}` takes no `values`")).help("take `values` away"));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => found.push(
                refuse(path.field("operator"), Class::NotSupported, format!("`{operator}` is not an operator of a label selector"))
                    .help("known: `In`, `NotIn`, `Exists`, `DoesNotExist`"),
            ),
        }
    }
}

/// The name pattern and the operators of a stage or project selector.
fn selector(selector: &Value, path: &FieldPath, found: &mut Vec<Finding>) {
    if let Err(reason) = NamePattern::parse(text(selector, "/name")) {
        found.push(Finding::webhook(Class::Invalid, path.field("name"), reason).help("write a name, or `glob:` or `regex:` and a pattern"));
    }
    operators(selector, path, found);
}

fn policies(object: &Value, found: &mut Vec<Finding>) {
    let path = at("spec.promotionPolicies");
    let mut exact: BTreeMap<&str, usize> = BTreeMap::new();
    for (n, policy) in items(object, "/spec/promotionPolicies").iter().enumerate() {
        let here = path.index(n);
        let name = match policy.get("stageSelector") {
            Some(selected) => {
                selector(selected, &here.field("stageSelector"), found);
                let name = text(selected, "/name");
                matches!(NamePattern::parse(name), Ok(NamePattern::Exact(_))).then_some(name)
            }
            None => Some(text(policy, "/stage")),
        };
        let Some(name) = name.filter(|name| !name.is_empty()) else { continue };
        if let Some(first) = exact.get(name) {
            found.push(
                Finding::webhook(Class::Invalid, here, format!("the stage `{name}` has a policy already"))
                    .related(path.index(*first))
                    .help("keep one; the first match wins"),
            );
        } else {
            exact.insert(name, n);
        }
    }
}

fn windows(object: &Value, found: &mut Vec<Finding>) {
    for (n, window) in items(object, "/spec/promotionWindows").iter().enumerate() {
        for field in ["stageSelector", "projectSelector"] {
            if let Some(selected) = window.get(field) {
                selector(selected, &at("spec.promotionWindows").index(n).field(field), found);
            }
        }
    }
}

fn receivers(object: &Value, found: &mut Vec<Finding>) {
    let path = at("spec.webhookReceivers");
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for (n, receiver) in items(object, "/spec/webhookReceivers").iter().enumerate() {
        let here = path.index(n);
        let name = text(receiver, "/name");
        if let Some(first) = names.get(name) {
            found.push(
                Finding::webhook(Class::Invalid, here.field("name"), format!("the receiver name `{name}` is used twice"))
                    .related(path.index(*first).field("name"))
                    .help("give each receiver its own name"),
            );
        } else {
            names.insert(name, n);
        }
        let kinds: Vec<&str> = RECEIVERS.into_iter().filter(|kind| receiver.get(*kind).is_some()).collect();
        match kinds.as_slice() {
            // None at all passes, as for an unknown type, which is pruned; `check` speaks of both.
            [] | [_] => {}
            several => found.push(
                Finding::webhook(Class::Forbidden, here.clone(), format!("a receiver has one type, this one has {}", several.join(" and ")))
                    .help("make an entry of each"),
            ),
        }
        let actions = here.fields("generic.actions");
        for (n, action) in items(receiver, "/generic/actions").iter().enumerate() {
            let criteria_path = actions.index(n).field("targetSelectionCriteria");
            let criteria = items(action, "/targetSelectionCriteria");
            if criteria.is_empty() {
                found.push(
                    Finding::webhook(Class::Required, criteria_path.clone(), "the action selects nothing")
                        .help("add `targetSelectionCriteria` with the warehouses to refresh"),
                );
            }
            for (n, criterion) in criteria.iter().enumerate() {
                let here = criteria_path.index(n);
                let labels = criterion.get("labelSelector");
                let selects = !text(criterion, "/name").is_empty()
                    || labels.is_some_and(|labels| labels.as_object().is_some_and(|labels| !labels.is_empty()))
                    || !items(criterion, "/indexSelector/matchIndices").is_empty();
                if !selects {
                    found.push(
                        Finding::webhook(Class::Invalid, here.clone(), "the criterion selects by nothing")
                            .help("add `name`, `labelSelector` or `indexSelector`"),
                    );
                }
                if let Some(labels) = labels {
                    operators(labels, &here.field("labelSelector"), found);
                }
            }
        }
    }
}
