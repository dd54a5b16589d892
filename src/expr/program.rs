//! Compiled expressions.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ast::{Kind, Node};
use super::check::check;
use super::context::Context;
use super::error::{ExprError, Fault};
use super::eval::evaluate;
use super::fold::fold;
use super::nature::{Nature, Type};
use super::parser::parse;
use super::sites::{Scope, Site};
use super::value::Value;

/// Longest text of an expression.
const MAX_SOURCE: usize = 1 << 20;

/// A compiled expression, for many evaluations.
#[derive(Clone, Debug)]
pub struct Program {
    site: Site,
    source: Arc<str>,
    node: Arc<Node>,
}

impl Program {
    /// Compiles a bare expression for a site.
    ///
    /// # Errors
    /// What is wrong whatever the values are: syntax, unknown fields of known types, literals of the wrong type.
    pub fn compile(site: Site, source: &str) -> Result<Self, ExprError> {
        Self::build(site, source, |node| check(node, site.types()).map(|_| ()))
    }

    /// Compiles a condition of an analysis, in which the type of `result` is known and the outcome must be a boolean.
    ///
    /// # Errors
    /// As [`Program::compile`]; besides unknown names and another outcome than a boolean.
    pub fn compile_condition(source: &str, result: &Value) -> Result<Self, ExprError> {
        let site = Site::Measurement;
        Self::build(site, source, |node| {
            let types = site.types().with_name("result", nature_of(result));
            match check(node, &types)? {
                Nature::Bool | Nature::Unknown => Ok(()),
                other => Err(Fault::new(0, format!("expected bool, but got {other}; a condition compares `result` with something"))),
            }
        })
    }

    fn build(site: Site, source: &str, check: impl FnOnce(&Node) -> Result<(), Fault>) -> Result<Self, ExprError> {
        if source.len() > MAX_SOURCE {
            return Err(ExprError { compile: true, ..ExprError::placeless("the expression is longer than 1 MiB") });
        }
        let node = parse(source)
            .and_then(|node| check(&node).map(|()| node))
            .and_then(fold)
            .map_err(|fault| ExprError::at(source, fault.at, fault.message, true))?;
        Ok(Self { site, source: source.into(), node: Arc::new(node) })
    }

    pub(super) fn run(&self, scope: &Scope<'_>) -> Result<Value, ExprError> {
        evaluate(&self.node, scope).map_err(|fault| ExprError::at(&self.source, fault.at, fault.message, false))
    }

    /// Evaluates the expression.
    ///
    /// # Errors
    /// What goes wrong with these values.
    pub fn evaluate(&self, context: &Context) -> Result<Value, ExprError> {
        self.run(&Scope { site: self.site, context, names: None })
    }

    /// Evaluates the expression about these names; nothing else is visible but `now()` of the context.
    ///
    /// # Errors
    /// What goes wrong with these values.
    pub fn evaluate_with(&self, names: &[(&str, Value)], context: &Context) -> Result<Value, ExprError> {
        self.run(&Scope { site: self.site, context, names: Some(names) })
    }

    /// Whether a filter keeps a candidate: the outcome, or what its text means as boolean.
    ///
    /// # Errors
    /// What goes wrong with these values, and an outcome that is no boolean.
    pub fn keeps(&self, names: &[(&str, Value)], context: &Context) -> Result<bool, ExprError> {
        super::as_bool(&self.evaluate_with(names, context)?)
    }

    /// As [`Program::keeps`], about the names of the context.
    ///
    /// # Errors
    /// As [`Program::keeps`].
    pub fn holds(&self, context: &Context) -> Result<bool, ExprError> {
        super::as_bool(&self.evaluate(context)?)
    }

    /// What the expression reads.
    pub fn references(&self) -> References {
        let mut references = References::default();
        references.collect(&self.node, &mut Vec::new());
        references
    }
}

fn nature_of(value: &Value) -> Nature {
    match value {
        Value::Bool(_) => Nature::Bool,
        Value::Int(_) => Nature::Int,
        Value::Float(_) => Nature::Float,
        Value::Str(_) => Nature::Text,
        Value::List(_) => Type::List.into(),
        Value::Map(_) => Nature::Map,
        Value::Nil => Nature::Nil,
        _ => Nature::Unknown,
    }
}

/// What an expression or template reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// Names of the environment, such as `ctx`, `vars`, `outputs`; unknown ones too.
    pub names: BTreeSet<String>,
    /// Variables that are named outright: `vars.x`, `vars['x']`.
    pub vars: BTreeSet<String>,
    /// Whether `vars` is read in a way that does not show which variable is meant.
    pub all_vars: bool,
    /// Functions that are called and do not belong to the language itself.
    pub functions: BTreeSet<String>,
}

impl References {
    /// Adds what another one reads.
    pub fn extend(&mut self, other: Self) {
        self.names.extend(other.names);
        self.vars.extend(other.vars);
        self.functions.extend(other.functions);
        self.all_vars |= other.all_vars;
    }

    /// Whether the outcome is settled before the first step runs, given that the variables are: nothing but `ctx` and `vars` is read, no
    /// status of a step, and no metadata that a step may set.
    pub fn is_settled_early(&self) -> bool {
        self.names.iter().all(|name| matches!(name.as_str(), "ctx" | "vars"))
            && !self
                .functions
                .iter()
                .any(|function| matches!(function.as_str(), "success" | "failure" | "status" | "freightMetadata" | "freightStatus" | "stageMetadata"))
    }

    fn collect(&mut self, node: &Node, bound: &mut Vec<Arc<str>>) {
        match &node.kind {
            Kind::Name(name) => {
                if !bound.contains(name) {
                    self.names.insert(name.to_string());
                    self.all_vars |= matches!(name.as_ref(), "vars" | "$env");
                }
                return;
            }
            Kind::Call { callee, arguments } => {
                for argument in arguments {
                    self.collect(argument, bound);
                }
                match &callee.kind {
                    Kind::Name(name) if !bound.contains(name) => {
                        self.functions.insert(name.to_string());
                    }
                    _ => self.collect(callee, bound),
                }
                return;
            }
            Kind::Member { base, property, .. } => {
                if let (Kind::Name(name), Kind::Str(variable)) = (&base.kind, &property.kind)
                    && name.as_ref() == "vars"
                    && !bound.contains(name)
                {
                    self.names.insert(name.to_string());
                    self.vars.insert(variable.to_string());
                    return;
                }
            }
            Kind::Let { name, value, body } => {
                self.collect(value, bound);
                bound.push(name.clone());
                self.collect(body, bound);
                bound.pop();
                return;
            }
            _ => {}
        }
        for child in node.children() {
            self.collect(child, bound);
        }
    }
}
