//! Who may be promoted automatically: the promotion policies of a ProjectConfig. The first that selects the stage decides.

use globset::{Glob, GlobMatcher};
use regex::Regex;

use crate::model::{LabelRequirement, ProjectConfig, Stage, StageSelector};

/// The policies of a project, ready to be asked.
#[derive(Debug, Default)]
pub struct Policies {
    policies: Vec<(Result<Selector, BadSelector>, bool)>,
}

impl Policies {
    /// Compiles the policies. A bad one fails when it is reached, not before: policies after a match are never looked at.
    pub fn new(config: Option<&ProjectConfig>) -> Self {
        let compile = |policy: &crate::model::PromotionPolicy| {
            let selector = match &policy.stage_selector {
                Some(selector) => Selector::new(selector),
                None => Ok(Selector { name: NamePattern::Exact(policy.stage.to_string()), labels: Vec::new() }),
            };
            (selector, policy.auto_promotion_enabled)
        };
        Self { policies: config.map(|config| config.spec.promotion_policies.iter().map(compile).collect()).unwrap_or_default() }
    }

    /// Whether the stage is promoted automatically.
    ///
    /// # Errors
    /// [`BadSelector`] of the first policy that is reached and cannot be read.
    pub fn auto_promotion(&self, stage: &Stage) -> Result<bool, BadSelector> {
        for (selector, enabled) in &self.policies {
            if selector.as_ref().map_err(Clone::clone)?.selects(stage) {
                return Ok(*enabled);
            }
        }
        Ok(false)
    }
}

/// A selector that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSelector {
    /// The name's pattern.
    #[error("`{pattern}` in a promotion policy is no valid pattern: {problem}")]
    Pattern {
        /// As written.
        pattern: String,
        /// What is wrong.
        problem: String,
    },
    /// The operator of a label condition.
    #[error("`{operator}` in a promotion policy is no label operator; expected `In`, `NotIn`, `Exists` or `DoesNotExist`")]
    Operator {
        /// As written.
        operator: String,
    },
}

/// A compiled [`StageSelector`]: a name pattern and label conditions, all of which must hold. Promotion windows use it, too.
#[derive(Debug)]
pub struct Selector {
    name: NamePattern,
    labels: Vec<LabelCondition>,
}

#[derive(Debug)]
enum NamePattern {
    Any,
    Exact(String),
    Glob(GlobMatcher),
    Regex(Regex),
}

#[derive(Debug)]
enum LabelCondition {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    DoesNotExist(String),
}

impl Selector {
    /// Compiles a selector.
    ///
    /// # Errors
    /// [`BadSelector`] if its pattern or an operator is wrong.
    pub fn new(selector: &StageSelector) -> Result<Self, BadSelector> {
        let mut labels: Vec<LabelCondition> =
            selector.match_labels.iter().map(|(key, value)| LabelCondition::In(key.clone(), vec![value.clone()])).collect();
        for requirement in &selector.match_expressions {
            labels.push(LabelCondition::new(requirement)?);
        }
        Ok(Self { name: NamePattern::new(&selector.name)?, labels })
    }

    /// Whether the selector selects the stage.
    pub fn selects(&self, stage: &Stage) -> bool {
        self.name.matches(&stage.metadata.name) && self.labels.iter().all(|condition| condition.holds(&stage.metadata.labels))
    }
}

impl NamePattern {
    fn new(pattern: &str) -> Result<Self, BadSelector> {
        let bad = |problem: String| BadSelector::Pattern { pattern: pattern.to_owned(), problem };
        match pattern.split_once(':') {
            None if pattern.is_empty() => Ok(Self::Any),
            None => Ok(Self::Exact(pattern.to_owned())),
            Some(("glob", glob)) => Glob::new(glob).map(|glob| Self::Glob(glob.compile_matcher())).map_err(|error| bad(error.kind().to_string())),
            Some(("regex" | "regexp", regex)) => Regex::new(regex).map(Self::Regex).map_err(|error| bad(error.to_string())),
            Some(_) => Err(bad("expected a name, or `glob:`, `regex:` or `regexp:` and a pattern".to_owned())),
        }
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => exact == name,
            Self::Glob(glob) => glob.is_match(name),
            Self::Regex(regex) => regex.is_match(name),
        }
    }
}

impl LabelCondition {
    fn new(requirement: &LabelRequirement) -> Result<Self, BadSelector> {
        let (key, values) = (requirement.key.clone(), requirement.values.clone());
        match requirement.operator.as_str() {
            "In" => Ok(Self::In(key, values)),
            "NotIn" => Ok(Self::NotIn(key, values)),
            "Exists" => Ok(Self::Exists(key)),
            "DoesNotExist" => Ok(Self::DoesNotExist(key)),
            operator => Err(BadSelector::Operator { operator: operator.to_owned() }),
        }
    }

    fn holds(&self, labels: &std::collections::BTreeMap<String, String>) -> bool {
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            // A label that is absent is in no list (Kubernetes).
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => labels.contains_key(key),
            Self::DoesNotExist(key) => !labels.contains_key(key),
        }
    }
}
