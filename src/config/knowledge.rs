//! What definitions are checked against and other rooms know. Handed in, so that nobody looks right: `config` comes first in the house.

use serde_json::Value;

/// A kind of repository; each has its own idea of equal addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RepositoryKind {
    /// Git.
    Git,
    /// Container images.
    Image,
    /// Helm charts.
    Chart,
}

/// Where an expression stands; says its form and what it may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExpressionSite {
    /// A template (`${{ }}`) in a step's configuration.
    StepConfig,
    /// A step's `if`: a template.
    StepIf,
    /// A variable: a template.
    Variable,
    /// An argument of a verification: a template.
    VerificationArgument,
    /// `expressionFilter` of a branch: a bare expression.
    CommitFilter,
    /// `expressionFilter` of tags: a bare expression.
    TagFilter,
    /// `freightCreationCriteria.expression`: a bare expression.
    FreightCreation,
    /// Condition of a link: a bare expression.
    LinkCondition,
}

/// Why an expression does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    /// What is wrong.
    pub message: String,
    /// Where in the text, in bytes, if known.
    pub offset: Option<usize>,
}

/// Compiles an expression of a site.
pub type CompileExpression<'a> = dyn Fn(ExpressionSite, &str) -> Result<(), ExpressionError> + Sync + 'a;

/// Doors to what other rooms know. [`Knowledge::default`] knows nothing and objects to nothing.
#[derive(Clone, Copy)]
pub struct Knowledge<'a> {
    /// The names of all step kinds; empty: unknown, then no kind is doubted.
    pub step_kinds: &'a [String],
    /// The JSON Schema of a step kind's configuration.
    pub step_schema: &'a (dyn Fn(&str) -> Option<Value> + Sync),
    /// Compiles an expression.
    pub expression: &'a CompileExpression<'a>,
    /// Whether a version constraint can be read; `Err` says why not.
    pub constraint: &'a (dyn Fn(&str) -> Result<(), String> + Sync),
    /// The form of an address in which equal repositories are equal.
    pub normalize: &'a (dyn Fn(RepositoryKind, &str) -> String + Sync),
    /// The name of a freight: a function of its contents.
    pub freight_name: &'a (dyn Fn(&Value) -> String + Sync),
    /// An alias for a freight of this name.
    pub freight_alias: &'a (dyn Fn(&str) -> String + Sync),
    /// Whether an address of this machine (`file://`, a path) may be used (`--local`).
    pub local_url: &'a (dyn Fn(&str) -> bool + Sync),
}

impl Default for Knowledge<'_> {
    fn default() -> Self {
        Self {
            step_kinds: &[],
            step_schema: &|_| None,
            expression: &|_, _| Ok(()),
            constraint: &|_| Ok(()),
            normalize: &|_, url| url.trim().to_lowercase(),
            freight_name: &|freight| freight.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            freight_alias: &|name| name.chars().take(7).collect(),
            local_url: &|_| false,
        }
    }
}
