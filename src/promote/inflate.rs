//! From a stage's recipe to a promotion's frozen steps. Pure.
//!
//! Kargo's documentation of promotion tasks describes the aliases and the order of variables; what it does at the edges was measured.

use std::collections::{BTreeMap, HashMap};

use ulid::Ulid;

use crate::model::{
    FreightName, FreightReference, OriginKey, PromotionName, PromotionStep, PromotionTask, Stage, StageName, TaskKind, TaskReference, Variable,
};

/// A promotion's frozen process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inflated {
    /// Variables of the stage, then of its template.
    pub vars: Vec<Variable>,
    /// Steps, tasks replaced by theirs; every step has its full alias.
    pub steps: Vec<PromotionStep>,
}

/// Why a stage's recipe cannot become a promotion.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InflateError {
    /// Whose fault it is.
    pub resource: Resource,
    /// Where in that resource, such as `spec.steps[0].as`; empty: the whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// The resource an [`InflateError`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The stage.
    Stage,
    /// A task.
    Task(TaskKind, String),
    /// The promotion: the stage and its tasks do not fit together.
    Promotion,
}

/// Inflates a stage's recipe: the same definitions always give the same process.
///
/// # Errors
/// Everything that is wrong with it, at least one.
pub fn inflate(stage: &Stage, tasks: &BTreeMap<(TaskKind, String), PromotionTask>) -> Result<Inflated, Vec<InflateError>> {
    let template = stage.spec.promotion_template.as_ref().map(|template| &template.spec);
    let Some(template) = template.filter(|template| !template.steps.is_empty()) else {
        return Err(vec![InflateError {
            resource: Resource::Promotion,
            path: "spec.stage".into(),
            message: format!("stage `{}` defines no promotion steps", stage.metadata.name),
        }]);
    };
    let list = List { resource: Resource::Stage, steps: "spec.promotionTemplate.spec.steps" };
    let mut errors = list.check(&template.steps);
    errors.extend(check_names(&Resource::Stage, "spec.vars", &stage.spec.vars));
    errors.extend(check_names(&Resource::Stage, "spec.promotionTemplate.spec.vars", &template.vars));

    let vars: Vec<Variable> = stage.spec.vars.iter().chain(&template.vars).cloned().collect();
    let mut steps = Vec::new();
    for (index, step) in template.steps.iter().enumerate() {
        match &step.task {
            None => steps.push(PromotionStep { alias: alias(step, index), ..step.clone() }),
            Some(reference) => match inflate_task(step, index, reference, tasks, &vars) {
                Ok(inflated) => steps.extend(inflated),
                Err(wrong) => wrong.into_iter().for_each(|error| {
                    if !errors.contains(&error) {
                        errors.push(error);
                    }
                }),
            },
        }
    }
    if errors.is_empty() {
        errors.extend(check_collisions(&template.steps, &steps));
    }
    if errors.is_empty() { Ok(Inflated { vars, steps }) } else { Err(errors) }
}

/// `<stage>.<ulid>.<first 7 of freight>`, lower-case. A long stage name is cut so that the whole has at most 253 characters.
pub fn promotion_name(stage: &StageName, ulid: Ulid, freight: &FreightName) -> PromotionName {
    // What Kubernetes allows, less `.<ulid>` and `.<7 characters>`.
    const LONGEST_STAGE: usize = 253 - 27 - 8;
    let stage = stage.as_str();
    let stage = match stage.char_indices().nth(LONGEST_STAGE) {
        Some((end, _)) => stage[..end].trim_end_matches(['.', '-']),
        None => stage,
    };
    let freight: String = freight.as_str().chars().take(7).collect();
    PromotionName::new(format!("{stage}.{ulid}.{freight}").to_lowercase())
}

/// What the stage will hold after the promotion: the promoted freight, and, if the stage requests freight of several origins, what its last
/// promotion had for those that are still requested.
pub fn freight_collection(stage: &Stage, promoted: &FreightReference) -> BTreeMap<OriginKey, FreightReference> {
    let mut items = BTreeMap::new();
    if stage.spec.requested_freight.len() > 1 {
        let last = stage.status.last_promotion.as_ref().and_then(|last| last.status.as_ref()).and_then(|status| status.freight_collection.as_ref());
        let requested = |origin: &OriginKey| stage.spec.requested_freight.iter().any(|request| request.origin == origin.0);
        items.extend(last.into_iter().flat_map(|last| &last.items).filter(|(origin, _)| requested(origin)).map(|(o, f)| (o.clone(), f.clone())));
    }
    items.insert(OriginKey(promoted.origin.clone()), promoted.clone());
    items
}

/// The namespace of an alias: what stands before `::`, if that occurs exactly once.
pub fn namespace(alias: &str) -> Option<&str> {
    match alias.split_once("::") {
        Some((namespace, rest)) if !rest.contains("::") => Some(namespace),
        _ => None,
    }
}

/// The alias of a step within its list. Default ones count from 1, before inflation.
fn alias(step: &PromotionStep, index: usize) -> String {
    if !step.alias.is_empty() {
        return step.alias.clone();
    }
    format!("{}-{}", if step.task.is_some() { "task" } else { "step" }, index + 1)
}

fn inflate_task(
    step: &PromotionStep,
    index: usize,
    reference: &TaskReference,
    tasks: &BTreeMap<(TaskKind, String), PromotionTask>,
    promotion_vars: &[Variable],
) -> Result<Vec<PromotionStep>, Vec<InflateError>> {
    let outer = alias(step, index);
    let kind = match reference.kind {
        TaskKind::PromotionTask => "PromotionTask",
        TaskKind::ClusterPromotionTask => "ClusterPromotionTask",
    };
    let Some(task) = tasks.get(&(reference.kind, reference.name.clone())) else {
        return Err(vec![InflateError {
            resource: Resource::Promotion,
            path: format!("spec.promotionTemplate.spec.steps[{index}].task.name"),
            message: format!("there is no {kind} `{}`", reference.name),
        }]);
    };
    let resource = Resource::Task(reference.kind, reference.name.clone());
    let mut errors = List { resource: resource.clone(), steps: "spec.steps" }.check(&task.spec.steps);
    errors.extend(check_names(&resource, "spec.vars", &task.spec.vars));

    let has_value = |vars: &[Variable], name: &str| vars.iter().any(|var| var.name == name && !var.value.is_empty());
    let mut shared = Vec::new();
    for var in &task.spec.vars {
        let in_promotion = has_value(promotion_vars, &var.name);
        if !var.value.is_empty() {
            // The promotion's value is to show through; what the reference says comes later and wins anyway.
            if !in_promotion {
                shared.push(var.clone());
            }
        } else if !in_promotion && !has_value(&step.vars, &var.name) {
            errors.push(InflateError {
                resource: Resource::Promotion,
                path: format!("spec.promotionTemplate.spec.steps[{index}].vars"),
                message: format!("missing value for variable `{}` of {kind} `{}` (`{outer}`)", var.name, reference.name),
            });
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    shared.extend(step.vars.iter().cloned());
    let inflated = |(index, inner): (usize, &PromotionStep)| PromotionStep {
        alias: format!("{outer}::{}", alias(inner, index)),
        // A list of its own for each step: nothing one declares may reach another.
        vars: shared.iter().chain(&inner.vars).cloned().collect(),
        ..inner.clone()
    };
    Ok(task.spec.steps.iter().enumerate().map(inflated).collect())
}

/// Two steps of one alias would share one status and one output, so that the second hides the failure of the first.
fn check_collisions(written: &[PromotionStep], inflated: &[PromotionStep]) -> Vec<InflateError> {
    let mut first: HashMap<&str, ()> = HashMap::new();
    let twice = inflated.iter().filter(|step| first.insert(&step.alias, ()).is_some());
    twice
        .map(|step| {
            let index = written.iter().enumerate().position(|(index, one)| one.task.is_none() && alias(one, index) == step.alias);
            InflateError {
                resource: Resource::Promotion,
                path: index.map(|index| format!("spec.promotionTemplate.spec.steps[{index}].as")).unwrap_or_default(),
                message: format!("alias `{}` is also that of a task's step; choose another", step.alias),
            }
        })
        .collect()
}

/// A list of steps as somebody wrote it.
struct List {
    resource: Resource,
    steps: &'static str,
}

impl List {
    fn error(&self, path: String, message: impl Into<String>) -> InflateError {
        InflateError { resource: self.resource.clone(), path, message: message.into() }
    }

    fn check(&self, steps: &[PromotionStep]) -> Vec<InflateError> {
        let mut errors = Vec::new();
        if steps.is_empty() {
            errors.push(self.error(self.steps.into(), "at least one step is required"));
        }
        let mut users: HashMap<&str, usize> = HashMap::new();
        for (index, step) in steps.iter().enumerate() {
            let path = format!("{}[{index}]", self.steps);
            self.check_shape(step, &path, &mut errors);
            errors.extend(check_names(&self.resource, &format!("{path}.vars"), &step.vars));
            if step.retry.as_ref().and_then(|retry| retry.timeout).is_some_and(|timeout| timeout.signed().is_negative()) {
                errors.push(self.error(format!("{path}.retry.timeout"), "a timeout cannot be negative; `0s` means none"));
            }
            let alias = step.alias.trim();
            if alias.is_empty() {
                continue;
            }
            if is_reserved(alias) {
                errors.push(self.error(format!("{path}.as"), format!("alias `{alias}` is reserved for steps without one")));
            } else if let Some(first) = users.get(alias) {
                errors.push(self.error(format!("{path}.as"), format!("alias `{alias}` is already that of {}[{first}]", self.steps)));
            } else {
                users.insert(alias, index);
            }
        }
        errors
    }

    fn check_shape(&self, step: &PromotionStep, path: &str, errors: &mut Vec<InflateError>) {
        if matches!(self.resource, Resource::Task(..)) {
            if step.task.is_some() {
                errors.push(self.error(path.into(), "a task's step cannot reference another task"));
            } else if step.uses.is_empty() {
                errors.push(self.error(path.into(), "`uses` is required"));
            }
            return;
        }
        if step.uses.is_empty() == step.task.is_none() {
            errors.push(self.error(path.into(), "exactly one of `uses` and `task` is required"));
        } else if step.task.is_some() {
            if !step.condition.is_empty() {
                errors.push(self.error(format!("{path}.if"), "a reference to a task cannot have an `if`; put it on the task's steps"));
            }
            if step.config.as_ref().is_some_and(|config| !config.is_null()) {
                errors.push(self.error(format!("{path}.config"), "a reference to a task cannot have a `config`; pass `vars`"));
            }
            if step.continue_on_error {
                errors.push(self.error(path.into(), "a reference to a task cannot set `continueOnError`; put it on the task's steps"));
            }
            if step.retry.is_some() {
                errors.push(self.error(path.into(), "a reference to a task cannot set `retry`; put it on the task's steps"));
            }
        }
    }
}

/// `^(step|task)-\d+$`.
fn is_reserved(alias: &str) -> bool {
    alias
        .strip_prefix("step-")
        .or_else(|| alias.strip_prefix("task-"))
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn check_names(resource: &Resource, path: &str, vars: &[Variable]) -> Vec<InflateError> {
    let good =
        |name: &str| name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let bad = vars.iter().enumerate().filter(|(_, var)| !good(&var.name));
    bad.map(|(index, var)| InflateError {
        resource: resource.clone(),
        path: format!("{path}[{index}].name"),
        message: format!("`{}` is not a variable name; use letters, digits and `_`, and no digit first", var.name),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::model::{PromotionTaskSpec, PromotionTemplate, PromotionTemplateSpec};

    fn var(name: &str, value: &str) -> Variable {
        Variable { name: name.into(), value: value.into() }
    }

    fn stage(steps: Vec<PromotionStep>) -> Stage {
        let mut stage = Stage::default();
        stage.spec.promotion_template = Some(PromotionTemplate { spec: PromotionTemplateSpec { steps, ..Default::default() } });
        stage
    }

    proptest! {
        /// However many variables a task, its reference and its steps declare: each step gets the shared ones, then its own, and nothing else.
        #[test]
        fn variables_never_leak_between_the_steps_of_a_task(defaults in 0usize..8, passed in 0usize..4, own in prop::collection::vec(0usize..4, 1..6)) {
            let named = |kind: &str, count: usize| (0..count).map(|n| var(&format!("{kind}{n}"), kind)).collect::<Vec<_>>();
            let steps = own.iter().enumerate().map(|(n, count)| PromotionStep { uses: "copy".into(), vars: named(&format!("own{n}_"), *count), ..Default::default() }).collect();
            let task = PromotionTask { spec: PromotionTaskSpec { vars: named("default", defaults), steps }, ..Default::default() };
            let reference = PromotionStep {
                task: Some(TaskReference { name: "t".into(), ..Default::default() }),
                vars: named("passed", passed),
                ..Default::default()
            };
            let inflated = inflate(&stage(vec![reference]), &BTreeMap::from([((TaskKind::PromotionTask, "t".to_owned()), task)])).unwrap();
            prop_assert_eq!(inflated.steps.len(), own.len());
            for (n, step) in inflated.steps.iter().enumerate() {
                let expected: Vec<Variable> = [named("default", defaults), named("passed", passed), named(&format!("own{n}_"), own[n])].concat();
                prop_assert_eq!(&step.vars, &expected);
            }
        }

        #[test]
        fn names_fit_kubernetes_and_sort_by_creation(stage in "[a-z]([a-z0-9.-]{0,251}[a-z0-9])?", earlier in 0u64..1 << 47, later in 1u64..1000) {
            let name = |millis| promotion_name(&StageName::new(stage.as_str()), Ulid::from_parts(millis, 7), &FreightName::new("b0fc434272bd"));
            let (first, second) = (name(earlier), name(earlier + later));
            prop_assert!(first.as_str().len() <= 253);
            prop_assert!(first < second);
        }
    }

    #[test]
    fn a_negative_timeout_is_refused_where_it_stands() {
        let retry = crate::model::StepRetry { timeout: Some("-5m".parse().unwrap()), error_threshold: 0 };
        let errors =
            inflate(&stage(vec![PromotionStep { uses: "copy".into(), retry: Some(retry), ..Default::default() }]), &BTreeMap::new()).unwrap_err();
        assert_eq!(errors[0].path, "spec.promotionTemplate.spec.steps[0].retry.timeout");
    }
}
