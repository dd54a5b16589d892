//! `consign schema`: JSON Schemas for editors, and the built-in tasks to start one's own from.

use std::io::Write;

use serde_json::{Value, json};

use crate::config::admission::kinds::Kind;
use crate::config::{Knowledge, Settings, builtin};
use crate::diagnostic::{Failure, FailureKind, nearest};

/// Prints the JSON Schema of a kind, of the settings or of a step, or the YAML of a built-in task.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// A kind such as `Stage`, `settings`, a step such as `git-clone`, or a built-in task such as `bump-image`. Without one: all kinds in one schema.
    pub kind: Option<String>,
    /// Lists the kinds of step instead.
    #[arg(long)]
    pub steps: bool,
}

/// Runs the verb.
///
/// # Errors
/// A [`Failure`] for a name that is not known.
pub fn run(args: &Args, knowledge: &Knowledge<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let text = if args.steps {
        knowledge.step_kinds.join("\n")
    } else {
        match args.kind.as_deref() {
            None => format!("{:#}", all_kinds()),
            Some("settings" | "consign.yaml") => format!("{:#}", Settings::json_schema()),
            Some(name) => one(name, knowledge)?,
        }
    };
    writeln!(out, "{}", text.trim_end()).map_err(|error| Failure::new(FailureKind::Internal, "the schema cannot be written").caused_by(error))
}

fn one(name: &str, knowledge: &Knowledge<'_>) -> Result<String, Failure> {
    if let Some(kind) = Kind::all().find(|kind| kind.name.eq_ignore_ascii_case(name)) {
        return Ok(format!("{:#}", kind.json_schema()));
    }
    if let Some(schema) = (knowledge.step_schema)(name) {
        return Ok(format!("{schema:#}"));
    }
    if let Some(yaml) = builtin::task(name) {
        return Ok(yaml.to_owned());
    }
    let tasks = builtin::TASKS.iter().filter_map(|(file, _)| file.strip_suffix(".yaml"));
    let known: Vec<&str> =
        Kind::all().map(|kind| kind.name).chain(["settings"]).chain(tasks).chain(knowledge.step_kinds.iter().map(String::as_str)).collect();
    let hint = match nearest(name, known.iter().copied()) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!(
            "known: {}; `consign schema --steps` lists the steps",
            Kind::all().map(|kind| format!("`{}`", kind.name)).collect::<Vec<_>>().join(", ")
        ),
    };
    Err(Failure::new(FailureKind::Usage, format!("there is no schema of `{name}`")).hint(hint))
}

/// One schema for a file that may hold any kind: chosen by `kind`.
fn all_kinds() -> Value {
    let choices: Vec<Value> = Kind::all()
        .map(|kind| json!({"if": {"properties": {"kind": {"const": kind.name}}, "required": ["kind"]}, "then": kind.json_schema()}))
        .collect();
    json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "consign definitions", "type": "object", "required": ["apiVersion", "kind"], "allOf": choices})
}
