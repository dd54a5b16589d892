//! The functions of the language itself.

mod collections;
mod numbers;
mod strings;
mod times;

use jiff::Timestamp;

use super::budget::Budget;
use super::nature::{Nature, Type};
use super::value::Value;

/// A function of the language.
#[derive(Debug)]
pub(super) struct Builtin {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) signature: Signature,
    pub(super) run: Run,
}

/// How a call is parsed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Arguments are expressions.
    Plain,
    /// The second argument is a predicate.
    Predicate { optional_predicate: bool, third: bool },
}

/// How a call is checked.
#[derive(Clone, Copy)]
pub(super) enum Signature {
    /// One of these lists of parameters; what it gives. The last list's complaint shows.
    Overloads(&'static [&'static [Type]], Type),
    /// A rule of its own; its complaint is about the whole call.
    Rule(fn(&[Nature]) -> Result<Nature, String>),
    Get,
    Predicate,
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signature")
    }
}

/// What a function may use besides its arguments.
pub(super) struct Machinery<'a> {
    pub(super) budget: &'a Budget,
    pub(super) now: Timestamp,
}

type PlainFunction = fn(&[Value], &mut Machinery<'_>) -> Result<Value, String>;

/// How a call is run.
#[derive(Clone, Copy)]
pub(super) enum Run {
    Plain(PlainFunction),
    /// By the evaluator, which knows predicates.
    Predicate,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Run")
    }
}

const fn plain(name: &'static str, overloads: &'static [&'static [Type]], result: Type, run: PlainFunction) -> Builtin {
    Builtin { name, shape: Shape::Plain, signature: Signature::Overloads(overloads, result), run: Run::Plain(run) }
}

const fn ruled(name: &'static str, rule: fn(&[Nature]) -> Result<Nature, String>, run: PlainFunction) -> Builtin {
    Builtin { name, shape: Shape::Plain, signature: Signature::Rule(rule), run: Run::Plain(run) }
}

const fn predicate(name: &'static str, optional_predicate: bool, third: bool) -> Builtin {
    Builtin { name, shape: Shape::Predicate { optional_predicate, third }, signature: Signature::Predicate, run: Run::Predicate }
}

static PREDICATES: &[Builtin] = &[
    predicate("all", false, false),
    predicate("none", false, false),
    predicate("any", false, false),
    predicate("one", false, false),
    predicate("filter", false, false),
    predicate("map", false, false),
    predicate("find", false, false),
    predicate("findIndex", false, false),
    predicate("findLast", false, false),
    predicate("findLastIndex", false, false),
    predicate("count", true, false),
    predicate("sum", true, false),
    predicate("groupBy", false, false),
    predicate("sortBy", false, true),
    predicate("reduce", false, true),
];

/// All functions, for look-ups by name and suggestions.
pub(super) fn all() -> impl Iterator<Item = &'static Builtin> {
    PREDICATES.iter().chain(collections::TABLE).chain(numbers::TABLE).chain(strings::TABLE).chain(times::TABLE)
}

/// The function of that name.
pub(super) fn find(name: &str) -> Option<&'static Builtin> {
    all().find(|builtin| builtin.name == name)
}

pub(super) use collections::{descending, sorted};

/// The argument as text.
fn text<'a>(name: &str, arguments: &'a [Value], index: usize) -> Result<&'a str, String> {
    match arguments.get(index) {
        Some(value) => {
            value.as_text().map(AsRef::as_ref).ok_or_else(|| format!("cannot use {} as argument (type string) to call `{name}`", value.type_name()))
        }
        None => Err(format!("not enough arguments to call `{name}`")),
    }
}

/// The argument as an integer; floats are truncated.
fn integer(name: &str, arguments: &[Value], index: usize) -> Result<i64, String> {
    let value = arguments.get(index).unwrap_or(&Value::Nil);
    value.as_integer().ok_or_else(|| format!("cannot use {} as argument (type int) to call `{name}`", value.type_name()))
}

fn count(natures: &[Nature], expected: usize) -> Result<(), String> {
    if natures.len() == expected { Ok(()) } else { Err(format!("invalid number of arguments (expected {expected}, got {})", natures.len())) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_language_has_its_71_functions() {
        let names = "all none any one filter map find findIndex findLast findLastIndex count sum groupBy sortBy reduce len type abs ceil floor round \
            int float string trim trimPrefix trimSuffix upper lower split splitAfter replace repeat join indexOf lastIndexOf hasPrefix hasSuffix max \
            min mean median toJSON fromJSON toBase64 fromBase64 now duration date timezone first last get take keys values toPairs fromPairs reverse \
            uniq concat flatten sort bitand bitor bitxor bitnand bitnot bitshl bitshr bitushr";
        assert_eq!(names.split_whitespace().count(), 71);
        for name in names.split_whitespace() {
            assert!(find(name).is_some(), "{name}");
        }
        assert_eq!(all().count(), 71);
    }
}
