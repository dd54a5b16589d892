//! `consign eval`: evaluates a template, a config or a bare expression against a context.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::diagnostic::{Failure, FailureKind};
use crate::expr::{self, Context, ContextFile, ExprError, Site, Value};

/// Evaluate an expression and print its typed value as JSON
#[derive(clap::Args, Debug)]
pub struct EvalArgs {
    /// A template such as `${{ vars.tag }}`, or, at a site of plain expressions, an expression without delimiters
    #[arg(required_unless_present = "config", conflicts_with = "config")]
    pub template: Option<String>,
    /// A YAML or JSON document: every string in it is rendered
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A YAML or JSON document with what the expression sees: ctx, vars, outputs, freight, secrets and so on
    #[arg(long, value_name = "FILE")]
    pub context: Option<PathBuf>,
    /// Where the expression stands
    #[arg(long, default_value = "promotion", value_parser = parse_site)]
    pub site: Site,
}

fn parse_site(name: &str) -> Result<Site, String> {
    Site::find(name).ok_or_else(|| {
        let names: Vec<&str> = Site::ALL.into_iter().map(Site::name).collect();
        format!("there is no site `{name}`; one of: {}", names.join(", "))
    })
}

/// Runs the verb: the JSON document to print.
///
/// # Errors
/// [`FailureKind::Config`]: the expression has no value; the message has the position. [`FailureKind::Usage`]: a file cannot be read.
pub fn eval(args: &EvalArgs, now: Timestamp) -> Result<Json, Failure> {
    let context = match &args.context {
        Some(path) => read_context(path)?.1,
        None => ContextFile::default(),
    };
    let input = match (&args.config, &args.template) {
        (Some(path), _) => read_file(path)?,
        (None, Some(template)) => Json::String(template.clone()),
        (None, None) => return Err(Failure::new(FailureKind::Usage, "neither a template nor `--config` is given")),
    };
    evaluate(&input, args.site, context, now).map_err(|error| Failure::new(FailureKind::Config, error.to_string()))
}

/// Reads a context: as it stands, and in its fields. An empty file is an empty context.
///
/// # Errors
/// Usage, if it cannot be read or has fields that there are not.
pub(super) fn read_context(path: &std::path::Path) -> Result<(Json, ContextFile), Failure> {
    let raw = match read_file(path)? {
        Json::Null => json!({}),
        raw => raw,
    };
    let wrong = |error: String| {
        Failure::new(FailureKind::Usage, format!("the context `{}` cannot be used: {error}", path.display()))
            .hint("see `consign eval --help` for its fields")
    };
    if !raw.is_object() {
        return Err(wrong("it is no mapping".into()));
    }
    let file = serde_json::from_value(raw.clone()).map_err(|error| wrong(error.to_string()))?;
    Ok((raw, file))
}

pub(super) fn read_file(path: &std::path::Path) -> Result<Json, Failure> {
    let failure = |reason: String| Failure::new(FailureKind::Usage, format!("`{}` cannot be read: {reason}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| failure(error.to_string()))?;
    serde_saphyr::from_str(&text).map_err(|error| failure(error.to_string()))
}

/// Why an evaluation has no result.
#[derive(Debug)]
pub struct EvalError {
    /// What the error is about: a field, a variable, an argument; empty: the expression itself.
    pub subject: String,
    /// What is wrong, and where in the expression.
    pub error: ExprError,
}

impl std::fmt::Display for EvalError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.subject.is_empty() { self.error.fmt(f) } else { write!(f, "{}: {}", self.subject, self.error) }
    }
}

impl From<ExprError> for EvalError {
    fn from(error: ExprError) -> Self {
        Self { subject: String::new(), error }
    }
}

/// Evaluates what stands at a site: variables first, in order, then the input.
///
/// # Errors
/// The first thing that cannot be evaluated.
pub fn evaluate(input: &Json, site: Site, file: ContextFile, now: Timestamp) -> Result<Json, EvalError> {
    let wrong = |subject: &str, message: String| EvalError {
        subject: subject.into(),
        error: ExprError { message, position: None, snippet: None, compile: false },
    };
    let document = match &file.document {
        Some(text) => read_document(&file.format, text).map_err(|message| wrong("`document`", message))?,
        None => Value::Nil,
    };
    let (promotion_vars, step_vars, stage_vars) = (file.promotion_vars.clone(), file.step_vars.clone(), file.stage_vars.clone());
    let mut context = file.into_context(document, read_body, now).map_err(|message| wrong("the context", message))?;
    let mut variables = |site: Site, list: &[crate::model::Variable]| match expr::evaluate_vars(list, site, &context) {
        Ok(vars) => {
            context.vars = vars;
            Ok(())
        }
        Err(error) => Err(EvalError { subject: format!("variable `{}`", error.name), error: error.error }),
    };
    if site == Site::VerificationArgs {
        variables(Site::VerificationArgs, &stage_vars)?;
    } else if !site.is_bare() {
        variables(Site::PromotionVar, &promotion_vars)?;
        if site != Site::PromotionVar {
            variables(Site::StepVar, &step_vars)?;
        }
    }
    match (site, input) {
        (Site::VerificationArgs, Json::Array(arguments)) => arguments_of(arguments, &context),
        (_, Json::String(text)) => evaluate_text(text, site, &context),
        (_, config) => expr::render_config(config, site, &context).map_err(|error| EvalError {
            subject: if error.path.is_empty() { String::new() } else { format!("`{}`", error.path) },
            error: error.error,
        }),
    }
}

fn evaluate_text(text: &str, site: Site, context: &Context) -> Result<Json, EvalError> {
    Ok(match site {
        Site::If => expr::condition(text, context)?.into(),
        Site::VerificationArgs => expr::verification_argument(text, context)?.into(),
        Site::FreightCreation => expr::criteria(text, context)?.into(),
        Site::CommitFilter | Site::TagFilter => expr::Program::compile(site, text)?.holds(context)?.into(),
        _ if site.is_bare() => printable(&expr::bare(site, text, context)?)?,
        _ => printable(&expr::render_value(text, site, context)?)?,
    })
}

/// Arguments by name, in the form of a Stage's `verification.args`.
fn arguments_of(arguments: &[Json], context: &Context) -> Result<Json, EvalError> {
    let mut out = serde_json::Map::new();
    for argument in arguments {
        let name = argument["name"].as_str().unwrap_or_default();
        let value = expr::verification_argument(argument["value"].as_str().unwrap_or_default(), context)
            .map_err(|error| EvalError { subject: format!("argument `{name}`"), error })?;
        out.insert(name.to_owned(), value.into());
    }
    Ok(Json::Object(out))
}

/// The value as JSON; a number that JSON cannot hold as `{"$number": "Inf"}`.
fn printable(value: &Value) -> Result<Json, ExprError> {
    match value {
        Value::Float(float) if float.is_nan() => Ok(json!({"$number": "NaN"})),
        Value::Float(float) if float.is_infinite() => Ok(json!({"$number": if *float > 0.0 { "Inf" } else { "-Inf" }})),
        _ => value.to_json(),
    }
}

/// Reads the text of a parsed file: numbers are floats, but TOML's integers stay integers.
fn read_document(format: &str, text: &str) -> Result<Value, String> {
    match format {
        "json" => serde_json::from_str(text).map(|json| Value::from_json(&json)).map_err(|error| error.to_string()),
        "toml" => toml_edit::de::from_str(text).map(|json| Value::from_json_with_integers(&json)).map_err(|error| error.to_string()),
        "" | "yaml" => serde_saphyr::from_str(text).map(|json| Value::from_json(&json)).map_err(|error| error.to_string()),
        other => Err(format!("there is no format `{other}`; one of: json, yaml, toml")),
    }
}

/// Reads the body of a response by its content type.
fn read_body(content_type: &str, text: &str) -> Result<Json, String> {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if text.is_empty() {
        return Ok(json!({}));
    }
    match kind.as_str() {
        "application/json" => serde_json::from_str(text).map_err(|error| format!("the body is not JSON: {error}")),
        "application/yaml" | "text/yaml" | "application/x-yaml" => {
            serde_saphyr::from_str(text).map_err(|error| format!("the body is not YAML: {error}"))
        }
        "text/plain" => Ok(text.into()),
        _ => Ok(serde_json::from_str(text).unwrap_or_else(|_| json!({}))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn run(input: &Json, site: Site, context: Json) -> Result<Json, EvalError> {
        evaluate(input, site, serde_json::from_value(context).unwrap(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_template_is_evaluated_with_its_variables() {
        let context = json!({"promotionVars": [{"name": "a", "value": "${{ 1 }}"}], "stepVars": [{"name": "b", "value": "${{ vars.a }}2"}]});
        assert_eq!(run(&json!("${{ vars.b }}"), Site::Config, context.clone()).unwrap(), json!(12));
        assert_eq!(run(&json!("${{ vars }}"), Site::PromotionVar, context).unwrap(), json!({"a": 1}));
    }

    #[test]
    fn an_error_names_the_field_and_the_position() {
        let error = run(&json!({"a": [{"b": "${{ vars.x.y }}"}]}), Site::Config, json!({})).unwrap_err();
        assert_eq!(error.subject, "`a[0].b`");
        assert_eq!(error.error.position, Some((1, 9)));
    }

    #[test]
    fn a_context_with_unknown_fields_is_refused() {
        assert!(serde_json::from_value::<ContextFile>(json!({"var": {}})).is_err());
    }
}
