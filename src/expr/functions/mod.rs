//! Kargo's functions: what they are called, what they take, and what they do.

mod artifacts;
mod data;
mod measurement;
mod records;
pub mod semver;
mod text;
mod urls;

use std::fmt;
use std::sync::Arc;

use super::budget::Budget;
use super::methods::{self, Method};
use super::nature::Type;
use super::sites::Scope;
use super::value::Value;

pub(super) use records::step_meta;

/// A function that was named and not called: a method with its receiver.
#[derive(Clone)]
pub struct Function(Callable);

#[derive(Clone)]
enum Callable {
    /// A method of a host object.
    Method(Arc<Value>, &'static Method),
    /// `response.header`: the first value of a header, whatever its case.
    Header(Arc<Vec<(String, String)>>),
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Function({self})")
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Callable::Method(_, method) => method.name,
            Callable::Header(_) => "header",
        })
    }
}

impl Function {
    /// A method bound to its receiver.
    pub(super) fn method(receiver: Value, method: &'static Method) -> Self {
        Self(Callable::Method(Arc::new(receiver), method))
    }

    /// `response.header` over these headers.
    pub(super) fn header(headers: Vec<(String, String)>) -> Self {
        Self(Callable::Header(Arc::new(headers)))
    }

    /// Calls it.
    pub(super) fn call(&self, arguments: &[Value]) -> Result<Value, String> {
        match &self.0 {
            Callable::Method(receiver, method) => methods::call(receiver, method, arguments),
            Callable::Header(headers) => match arguments {
                [name] => {
                    let name = name.as_text().ok_or_else(|| format!("`header` takes the name of a header, got {}", name.type_name()))?;
                    let found = headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
                    Ok(found.map_or("", |(_, value)| value.as_str()).into())
                }
                _ => Err(format!("`header` takes one argument, the name of a header (got {})", arguments.len())),
            },
        }
    }
}

type Run = fn(&[Value], &Scope<'_>, &Budget) -> Result<Value, String>;

/// One of Kargo's functions.
pub(super) struct HostFunction {
    pub(super) name: &'static str,
    /// The parameters it may take; the last list's complaint shows.
    pub(super) overloads: &'static [&'static [Type]],
    pub(super) result: Type,
    run: Run,
}

const fn function(name: &'static str, overloads: &'static [&'static [Type]], result: Type, run: Run) -> HostFunction {
    HostFunction { name, overloads, result, run }
}

/// Calls one of Kargo's functions.
pub(super) fn call(function: &HostFunction, arguments: &[Value], scope: &Scope<'_>, budget: &Budget) -> Result<Value, String> {
    (function.run)(arguments, scope, budget)
}

const TEXT: Type = Type::Text;
const ORIGIN: Type = Type::Record(&records::ORIGIN);

/// `quote` and its like.
pub(super) static HELPERS: &[HostFunction] = &[
    function("quote", &[&[Type::Any]], TEXT, text::quote),
    function("unsafeQuote", &[&[Type::Any]], TEXT, text::unsafe_quote),
    function("asYAML", &[&[Type::Any]], TEXT, text::as_yaml),
    function("asJSON", &[&[Type::Any]], TEXT, text::as_json),
];

/// Freight, configuration, metadata, versions.
pub(super) static DATA: &[HostFunction] = &[
    function("warehouse", &[&[TEXT]], ORIGIN, artifacts::warehouse),
    function("commitFrom", &[&[TEXT, ORIGIN], &[TEXT]], Type::Record(&records::COMMIT), artifacts::commit),
    function("imageFrom", &[&[TEXT, ORIGIN], &[TEXT]], Type::Record(&records::IMAGE), artifacts::image),
    function("chartFrom", &[&[TEXT, TEXT, ORIGIN], &[TEXT, TEXT], &[TEXT, ORIGIN], &[TEXT]], Type::Record(&records::CHART), artifacts::chart),
    function("artifactFrom", &[&[TEXT, ORIGIN], &[TEXT]], Type::Record(&records::ARTIFACT), artifacts::artifact),
    function("configMap", &[&[TEXT]], Type::Texts, data::config_map),
    function("sharedConfigMap", &[&[TEXT]], Type::Texts, data::shared_config_map),
    function("secret", &[&[TEXT]], Type::Texts, data::secret),
    function("sharedSecret", &[&[TEXT]], Type::Texts, data::shared_secret),
    function("freightMetadata", &[&[TEXT]], Type::Any, data::freight_metadata),
    function("freightStatus", &[&[TEXT]], Type::Any, data::freight_status),
    function("stageMetadata", &[&[TEXT]], Type::Any, data::stage_metadata),
    function("semverDiff", &[&[TEXT, TEXT]], TEXT, text::semver_diff),
    function("semverParse", &[&[TEXT]], Type::Version, text::semver_parse),
];

/// What earlier steps came to.
pub(super) static STATUS: &[HostFunction] = &[
    function("always", &[&[]], Type::Bool, |_, _, _| Ok(Value::Bool(true))),
    function("success", &[&[]], Type::Bool, |_, scope, _| Ok(Value::Bool(!scope.context.has_failures()))),
    function("failure", &[&[]], Type::Bool, |_, scope, _| Ok(Value::Bool(scope.context.has_failures()))),
    function("status", &[&[TEXT]], TEXT, data::status),
];

/// Newest discovered artifacts, for the criteria of freight creation.
pub(super) static CRITERIA: &[HostFunction] = &[
    function("commitFrom", &[&[TEXT]], Type::Record(&records::DISCOVERED_COMMIT), artifacts::discovered_commit),
    function("imageFrom", &[&[TEXT]], Type::Record(&records::DISCOVERED_IMAGE), artifacts::discovered_image),
    function("chartFrom", &[&[TEXT, TEXT], &[TEXT]], Type::Record(&records::DISCOVERED_CHART), artifacts::discovered_chart),
    function("artifactFrom", &[&[TEXT]], Type::Record(&records::ARTIFACT), artifacts::discovered_artifact),
];

/// What conditions of analyses may call.
pub(super) static MEASUREMENT: &[HostFunction] = &[
    function("asInt", &[&[Type::Any]], Type::Int, measurement::as_int),
    function("asFloat", &[&[Type::Any]], Type::Float, measurement::as_float),
    function("isNaN", &[&[Type::Float]], Type::Bool, measurement::is_nan),
    function("isInf", &[&[Type::Float]], Type::Bool, measurement::is_inf),
    function("isNil", &[&[Type::Any]], Type::Bool, measurement::is_nil),
    function("default", &[&[Type::Any, Type::Any]], Type::Any, measurement::default),
];

/// The argument as text; functions cannot know it earlier when it comes from a variable.
fn text_argument<'a>(name: &str, arguments: &'a [Value], index: usize) -> Result<&'a str, String> {
    let place = match index {
        0 => "first",
        1 => "second",
        _ => "third",
    };
    let value = arguments.get(index).unwrap_or(&Value::Nil);
    value.as_text().map(AsRef::as_ref).ok_or_else(|| {
        let hint = if matches!(value, Value::Float(_) | Value::Int(_)) {
            "; a text that looks like a number became one, `quote()` keeps it as text where it is defined"
        } else {
            ""
        };
        format!("{place} argument must be string, got {}, to call `{name}`{hint}", value.type_name())
    })
}
