//! Validation by schema, with messages that say what to write.

use std::fmt::Write as _;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::LocationSegment;
use serde_json::Value;

use crate::model::GoDuration;
use crate::promote::step::Violation;

/// A compiled schema.
#[derive(Debug)]
pub struct Checker(jsonschema::Validator);

impl Checker {
    /// Compiles a schema.
    ///
    /// # Errors
    /// What is wrong with the schema.
    pub fn new(schema: &Value) -> Result<Self, String> {
        jsonschema::options()
            .should_validate_formats(true)
            .should_ignore_unknown_formats(true)
            .with_format("email", is_address)
            .with_format("uri", is_uri)
            .with_format("go-duration", |text| text.parse::<GoDuration>().is_ok())
            .build(schema)
            .map(Self)
            .map_err(|error| error.to_string())
    }

    /// Every violation, in the order of the document. Empty: valid.
    pub fn check(&self, config: &Value) -> Vec<Violation> {
        self.0
            .iter_errors(config)
            .map(|error| Violation { path: dotted(error.instance_path()), message: message(error.kind(), error.instance()) })
            .collect()
    }
}

/// `updates[0].key`.
fn dotted(location: &jsonschema::paths::Location) -> String {
    let mut path = String::new();
    for segment in location {
        match segment {
            LocationSegment::Index(index) => {
                let _ = write!(path, "[{index}]");
            }
            LocationSegment::Property(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&name);
            }
        }
    }
    path
}

fn message(kind: &ValidationErrorKind, instance: &Value) -> String {
    match kind {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let names: Vec<String> = unexpected.iter().map(|name| format!("`{name}`")).collect();
            format!("unknown field {}", names.join(", "))
        }
        ValidationErrorKind::Required { property } => format!("`{}` is required", text(property)),
        ValidationErrorKind::Type { kind } => {
            let expected = match kind {
                TypeKind::Single(one) => one.to_string(),
                TypeKind::Multiple(several) => several.iter().map(|one| one.to_string()).collect::<Vec<_>>().join(" or "),
            };
            match instance {
                Value::Null => format!("must be {}, not null; leave the field out instead", article(&expected)),
                Value::Number(_) | Value::Bool(_) if expected == "string" => {
                    format!("must be a string, not {}; write `${{{{ quote(...) }}}}` or quote it", kind_of(instance))
                }
                _ => format!("must be {}, not {}", article(&expected), kind_of(instance)),
            }
        }
        ValidationErrorKind::MinLength { .. } => "must not be empty".into(),
        ValidationErrorKind::MinItems { limit: 1 } => "must have at least one item".into(),
        ValidationErrorKind::MinProperties { limit: 1 } => "must have at least one field".into(),
        ValidationErrorKind::UniqueItems => "must not contain an item twice".into(),
        ValidationErrorKind::Minimum { limit } => format!("must be at least {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("must be at most {limit}"),
        ValidationErrorKind::Enum { options } => {
            let options: Vec<String> = options.as_array().into_iter().flatten().map(|option| format!("`{}`", text(option))).collect();
            format!("must be one of {}", options.join(", "))
        }
        ValidationErrorKind::Format { format } => match format.as_str() {
            "email" => format!("`{}` is not an email address", text(instance)),
            "uri" => format!("`{}` is not a URL; write it with its scheme, such as `https://`", text(instance)),
            "go-duration" => format!("`{}` is not a duration; expected a form such as `90s`, `5m` or `1h30m`", text(instance)),
            other => format!("`{}` is not of the format `{other}`", text(instance)),
        },
        ValidationErrorKind::Pattern { pattern } => format!("`{}` does not match the pattern `{pattern}`", text(instance)),
        other => format!("breaks the schema's rule `{}`", other.keyword()),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn article(name: &str) -> String {
    match name {
        "array" => "a list".into(),
        "integer" => "an integer".into(),
        "object" => "an object".into(),
        other => format!("a {other}"),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// An address alone or with a display name (`Bot <bot@example.com>`): both are accepted as a commit's author.
fn is_address(text: &str) -> bool {
    let address = match text.trim().strip_suffix('>') {
        Some(named) => match named.rsplit_once('<') {
            Some((_, address)) => address,
            None => return false,
        },
        None => text.trim(),
    };
    let atom = |part: &str| {
        !part.is_empty()
            && part
                .split('.')
                .all(|word| !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || c.is_control() || "()<>[]:;@\\,\"".contains(c)))
    };
    match address.rsplit_once('@') {
        Some((local, domain)) => {
            let quoted = local.len() >= 2 && local.starts_with('"') && local.ends_with('"');
            let literal = domain.starts_with('[') && domain.ends_with(']');
            (quoted || atom(local)) && (literal || atom(domain))
        }
        None => false,
    }
}

/// A URL with a scheme; `git@host:path` is none.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        && !rest.is_empty()
        && !rest.contains(|c: char| c.is_control() || c == '\\')
}
