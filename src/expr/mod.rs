//! Expressions: `${{ }}` templates and bare expressions, as Kargo's users write them.
//!
//! The language is expr-lang 1.17 (Go) as measured; what Kargo adds are two delimiters, the coercion of a rendered text to a typed value, and
//! its functions. Pure: no I/O, no clock; everything an evaluation sees is in its [`Context`], everything it may look like depends on its
//! [`Site`]. An evaluation is total: work, elements, text and depth are bounded, and no input makes it panic.
//!
//! ```text
//! template -> pieces -> lexer -> parser -> check -> fold -> eval -> text -> coercion -> value
//! ```
//!
//! The doors, by what is evaluated: [`render`] a template, [`render_config`] a step's config, [`evaluate_vars`] variables in order,
//! [`condition`] an `if`, [`bare`] an expression without delimiters, [`criteria`] those of freight creation, [`verification_argument`],
//! [`measurement`] a condition of an analysis, and [`Program`] for an expression that is evaluated many times.

mod ast;
mod budget;
mod builtins;
mod check;
mod coerce;
mod context;
mod error;
mod eval;
mod fold;
mod format;
mod functions;
mod gotime;
mod lexer;
mod methods;
mod nature;
mod ops;
mod parser;
mod program;
mod regex;
mod sites;
mod template;
#[cfg(test)]
mod tests;
mod value;
mod yaml;

use std::fmt;

pub use context::{Context, ContextFile, Secrets, TextMaps, Vars, response};
pub use error::ExprError;
pub use functions::{Function, semver};
pub use gotime::{Time, Zone};
pub use program::{Program, References};
pub use regex::compile as compile_regex;
pub use sites::{Site, date};
pub use template::is_template;
pub use value::{List, Map, Quoted, Record, Table, Texts, Value};

use crate::model::Variable;
use sites::Scope;
use template::{Piece, pieces};

/// Renders a template to a typed value. Text without delimiters is that text.
///
/// # Errors
/// A mistake in an expression, or one that shows with these values.
pub fn render_value(template: &str, site: Site, context: &Context) -> Result<Value, ExprError> {
    template::render(template, &Scope { site, context, names: None })
}

/// As [`render_value`], as JSON. Whole numbers are integers.
///
/// # Errors
/// As [`render_value`]; besides a number that JSON cannot hold.
pub fn render(template: &str, site: Site, context: &Context) -> Result<serde_json::Value, ExprError> {
    let value = render_value(template, site, context)?;
    value.to_json().map_err(|error| match &value {
        Value::Float(float) => {
            ExprError::placeless(format!("the text reads as the number {float}, which JSON cannot hold; `quote()` keeps it as text"))
        }
        _ => error,
    })
}

/// An error in one field of a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Dotted path of the field, such as `updates[0].value`; empty: the whole.
    pub path: String,
    /// What is wrong.
    pub error: ExprError,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { self.error.fmt(f) } else { write!(f, "`{}`: {}", self.path, self.error) }
    }
}

impl std::error::Error for ConfigError {}

/// Renders all strings of a step's config; keys and other values stay as they are, whole floats become integers.
///
/// # Errors
/// The first field that cannot be rendered; a config that is no object.
pub fn render_config(config: &serde_json::Value, site: Site, context: &Context) -> Result<serde_json::Value, ConfigError> {
    if !config.is_object() {
        let error = ExprError::placeless("input is not valid JSON for a config: a config is a map of fields");
        return Err(ConfigError { path: String::new(), error });
    }
    render_fields(config, &mut Vec::new(), &|text| render(text, site, context))
}

/// A step into a document.
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

fn render_fields<'a>(
    value: &'a serde_json::Value,
    path: &mut Vec<Step<'a>>,
    render: &dyn Fn(&str) -> Result<serde_json::Value, ExprError>,
) -> Result<serde_json::Value, ConfigError> {
    use serde_json::Value as Json;
    Ok(match value {
        Json::String(text) => render(text).map_err(|error| ConfigError { path: dotted(path), error })?,
        Json::Array(items) => {
            let mut rendered = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                path.push(Step::Index(index));
                rendered.push(render_fields(item, path, render)?);
                path.pop();
            }
            Json::Array(rendered)
        }
        Json::Object(entries) => {
            let mut rendered = serde_json::Map::new();
            for (key, item) in entries {
                path.push(Step::Key(key));
                rendered.insert(key.clone(), render_fields(item, path, render)?);
                path.pop();
            }
            Json::Object(rendered)
        }
        Json::Number(number) if number.is_f64() => number.as_f64().and_then(format::json_number).unwrap_or_else(|| value.clone()),
        other => other.clone(),
    })
}

fn dotted(path: &[Step<'_>]) -> String {
    let mut out = String::new();
    for step in path {
        match step {
            Step::Key(key) => {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(key);
            }
            Step::Index(index) => out.push_str(&format!("[{index}]")),
        }
    }
    out
}

/// An error in a variable; it fails everything that sees the variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VarError {
    /// The variable's name.
    pub name: String,
    /// What is wrong.
    pub error: ExprError,
}

impl fmt::Display for VarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error pre-processing promotion variable \"{}\": {}", self.name, self.error)
    }
}

impl std::error::Error for VarError {}

/// Renders variables in order; each sees those before it and those of the context, and an earlier one of its own name.
///
/// # Errors
/// The first variable that cannot be rendered.
pub fn evaluate_vars(variables: &[Variable], site: Site, context: &Context) -> Result<Vars, VarError> {
    let mut context = context.clone();
    for variable in variables {
        let value = render_value(&variable.value, site, &context).map_err(|error| VarError { name: variable.name.clone(), error })?;
        context.vars.set(&variable.name, value);
    }
    Ok(context.vars)
}

/// Whether a step runs. An empty condition means: unless an earlier step failed.
///
/// # Errors
/// A mistake in the condition, and one that does not come out as a boolean.
pub fn condition(template: &str, context: &Context) -> Result<bool, ExprError> {
    if template.is_empty() {
        return Ok(!context.has_failures());
    }
    match render_value(template, Site::If, context)? {
        Value::Bool(bool) => Ok(bool),
        other => {
            let hint = if is_template(template) { "" } else { "; wrap the condition in `${{ }}`" };
            Err(ExprError::placeless(format!("expression must evaluate to a boolean, got {}{hint}", other.type_name())))
        }
    }
}

/// Evaluates an expression without delimiters and gives its value without coercion.
///
/// # Errors
/// A mistake in the expression, or one that shows with these values.
pub fn bare(site: Site, expression: &str, context: &Context) -> Result<Value, ExprError> {
    Program::compile(site, expression)?.evaluate(context)
}

/// Whether freight may be created. A blank expression means no condition.
///
/// # Errors
/// A mistake in the expression, and an outcome that is no boolean.
pub fn criteria(expression: &str, context: &Context) -> Result<bool, ExprError> {
    if expression.trim().is_empty() {
        return Ok(true);
    }
    as_bool(&bare(Site::FreightCreation, expression, context)?)
}

/// The boolean of a filter or of criteria: the outcome, or what its text means.
fn as_bool(value: &Value) -> Result<bool, ExprError> {
    let text = format::go_text(value);
    coerce::go_bool(&text).ok_or_else(|| {
        let shown: String = text.chars().take(60).collect();
        ExprError::placeless(format!("error parsing expression result as bool: `{shown}` is neither true nor false"))
    })
}

/// The text of a verification's argument. An expression that gives text gives that text, also when it looks like a number.
///
/// # Errors
/// A mistake in the template, an outcome that is no text, and an empty template, which gives no value at all.
pub fn verification_argument(template: &str, context: &Context) -> Result<String, ExprError> {
    if template.is_empty() {
        return Err(ExprError::placeless("unresolved argument: neither the stage nor a template gives it a value"));
    }
    if is_template(template) {
        let scope = Scope { site: Site::VerificationArgs, context, names: None };
        if let Some(text) = template::render_text(template, &scope)? {
            return Ok(text);
        }
    }
    match render_value(template, Site::VerificationArgs, context)? {
        Value::Str(text) => Ok(text.to_string()),
        other => Err(ExprError::placeless(format!("value is not a string but {}; an argument is text, use `quote()`", other.type_name()))),
    }
}

/// A condition of an analysis about the result of a measurement.
///
/// # Errors
/// A mistake in the condition, types that do not fit the result, and an outcome that is no boolean.
pub fn measurement(expression: &str, result: &Value, context: &Context) -> Result<bool, ExprError> {
    let program = Program::compile_condition(expression, result)?;
    let mut context = context.clone();
    context.result = result.clone();
    match program.evaluate(&context)? {
        Value::Bool(bool) => Ok(bool),
        other => Err(ExprError::placeless(format!("expected bool, but got {}", other.type_name()))),
    }
}

/// A value as JSON text in Go's form: sorted keys, `<`, `>` and `&` escaped.
///
/// # Errors
/// What JSON cannot hold: infinite numbers, functions.
pub fn go_json(value: &Value) -> Result<String, ExprError> {
    format::json_text(value, format::Style { indented: false, html: true }).map_err(ExprError::placeless)
}

/// Compiles a template, or an expression at a bare site, without evaluating it.
///
/// # Errors
/// The first mistake that does not hang on values.
pub fn check(site: Site, text: &str) -> Result<(), ExprError> {
    if site.is_bare() {
        if site == Site::FreightCreation && text.trim().is_empty() {
            return Ok(());
        }
        return Program::compile(site, text).map(|_| ());
    }
    if !is_template(text) {
        return Ok(());
    }
    for piece in pieces(text)? {
        if let Piece::Expression(expression) = piece {
            Program::compile(site, expression)?;
        }
    }
    Ok(())
}

/// What a template reads; None if it does not compile.
pub fn references(template: &str) -> Option<References> {
    let mut all = References::default();
    if !is_template(template) {
        return Some(all);
    }
    for piece in pieces(template).ok()? {
        if let Piece::Expression(expression) = piece {
            all.extend(Program::compile(Site::Config, expression).ok()?.references());
        }
    }
    Some(all)
}
