//! Structure: which fields a kind has, of what type, with which defaults. One description serves admission and `consign schema`.
//!
//! The rules are those of a Kubernetes API server: unknown fields are taken out (we tell), an explicit null of a known field counts as
//! absent, absent fields get their defaults, and what is left is checked.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value, json};

use super::{Class, Finding, Layer};
use crate::config::yaml::FieldPath;

/// The type of a value.
pub(crate) enum Schema {
    /// Anything, kept as it is.
    Any,
    /// True or false.
    Bool,
    /// A whole number of 32 bits.
    Int32,
    /// Text.
    Text(Text),
    /// A list.
    List(List),
    /// A mapping with free keys.
    Map(Box<Schema>),
    /// A mapping with known fields.
    Object(Vec<Field>),
}

/// Rules for text.
#[derive(Default)]
pub(crate) struct Text {
    pub(crate) pattern: Option<&'static Pattern>,
    pub(crate) min: usize,
    pub(crate) max: Option<usize>,
    pub(crate) one_of: &'static [&'static str],
    pub(crate) format: Option<Format>,
}

/// Formats of text that a pattern does not say well.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Email,
    DateTime,
}

/// Rules for a list.
pub(crate) struct List {
    pub(crate) of: Box<Schema>,
    pub(crate) min: usize,
    pub(crate) max: Option<usize>,
    pub(crate) unique: Option<Unique>,
}

/// What may not repeat in a list.
#[derive(Clone, Copy)]
pub(crate) enum Unique {
    /// The items themselves.
    Items,
    /// A field of the items.
    Key(&'static str),
}

/// A known field.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) required: bool,
    pub(crate) default: Option<Value>,
    pub(crate) schema: Schema,
}

/// A regular expression and what it means in words.
pub(crate) struct Pattern {
    pub(crate) regex: LazyLock<Regex>,
    pub(crate) source: &'static str,
    pub(crate) words: &'static str,
}

macro_rules! pattern {
    ($(#[$doc:meta])* $name:ident, $source:literal, $words:literal) => {
        $(#[$doc])*
        pub(crate) static $name: Pattern = Pattern {
            // RE2's classes are ASCII.
            regex: LazyLock::new(|| Regex::new(&$source.replace(r"\w", "[0-9A-Za-z_]")).expect("a constant pattern compiles")),
            source: $source,
            words: $words,
        };
    };
}
pattern!(
    /// Names of Kubernetes resources.
    K8S_NAME,
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    "lower-case letters, digits, `-` and `.`, with a letter or digit at both ends"
);
pattern!(
    /// Durations in definitions.
    DURATION,
    r"^([0-9]+(\.[0-9]+)?(s|m|h))+$",
    "a duration such as `90s`, `5m` or `1h30m`"
);
pattern!(
    /// Names of variables.
    VARIABLE,
    r"^[a-zA-Z_]\w*$",
    "letters, digits and `_`, not beginning with a digit"
);

pub(crate) fn text() -> Schema {
    Schema::Text(Text::default())
}
pub(crate) fn non_empty() -> Schema {
    Schema::Text(Text { min: 1, ..Text::default() })
}
pub(crate) fn matching(pattern: &'static Pattern) -> Schema {
    Schema::Text(Text { pattern: Some(pattern), ..Text::default() })
}
pub(crate) fn k8s_name() -> Schema {
    Schema::Text(Text { pattern: Some(&K8S_NAME), max: Some(253), ..Text::default() })
}
pub(crate) fn one_of(values: &'static [&'static str]) -> Schema {
    Schema::Text(Text { one_of: values, ..Text::default() })
}
pub(crate) fn formatted(format: Format, min: usize) -> Schema {
    Schema::Text(Text { format: Some(format), min, ..Text::default() })
}
pub(crate) fn list(of: Schema) -> Schema {
    Schema::List(List { of: Box::new(of), min: 0, max: None, unique: None })
}
pub(crate) fn list_of_some(of: Schema) -> Schema {
    Schema::List(List { of: Box::new(of), min: 1, max: None, unique: None })
}
pub(crate) fn map(of: Schema) -> Schema {
    Schema::Map(Box::new(of))
}
pub(crate) fn object<const N: usize>(fields: [Field; N]) -> Schema {
    Schema::Object(fields.into())
}

/// An optional field.
pub(crate) fn may(name: &'static str, schema: Schema, about: &'static str) -> Field {
    Field { name, about, required: false, default: None, schema }
}
/// A required field.
pub(crate) fn must(name: &'static str, schema: Schema, about: &'static str) -> Field {
    Field { required: true, ..may(name, schema, about) }
}
/// An optional field with a default.
pub(crate) fn or(name: &'static str, default: impl Into<Value>, schema: Schema, about: &'static str) -> Field {
    Field { default: Some(default.into()), ..may(name, schema, about) }
}

/// What structure finds.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) errors: Vec<Finding>,
    /// Unknown fields that were taken out, with the names that are known there.
    pub(crate) unknown: Vec<(FieldPath, Vec<&'static str>)>,
}

impl Findings {
    fn error(&mut self, path: &FieldPath, class: Class, message: String) {
        self.errors.push(Finding::new(Layer::Schema, class, path.clone(), message));
    }
}

impl Schema {
    /// Takes out what is unknown, fills in defaults, and checks the rest.
    pub(crate) fn apply(&self, value: &mut Value, path: &FieldPath, found: &mut Findings) {
        match (self, value) {
            (Self::Any, _) | (Self::Bool, Value::Bool(_)) => {}
            (Self::Int32, Value::Number(number)) if number.is_i64() || number.is_u64() => {
                if number.as_i64().is_none_or(|number| i32::try_from(number).is_err()) {
                    found.error(path, Class::Invalid, format!("{number} is out of range; at most {} is possible", i32::MAX));
                }
            }
            (Self::Text(rules), Value::String(text)) => rules.check(text, path, found),
            (Self::List(rules), Value::Array(items)) => rules.apply(items, path, found),
            (Self::Map(of), Value::Object(map)) => {
                for (key, value) in map {
                    of.apply(value, &path.field(key), found);
                }
            }
            (Self::Object(fields), Value::Object(map)) => apply_fields(fields, map, path, found),
            (schema, value) => found.error(path, Class::TypeInvalid, format!("expected {}, found {}", schema.type_name(), type_of(value))),
        }
    }

    fn type_name(&self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::Bool => "`true` or `false`",
            Self::Int32 => "a whole number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) | Self::Object(_) => "a mapping",
        }
    }

    /// The field of an object schema.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        match self {
            Self::Object(fields) => fields.iter().find(|field| field.name == name),
            _ => None,
        }
    }

    /// The same as JSON Schema, for editors.
    pub(crate) fn to_json_schema(&self) -> Value {
        match self {
            Self::Any => json!({}),
            Self::Bool => json!({"type": "boolean"}),
            Self::Int32 => json!({"type": "integer", "minimum": 0, "maximum": i32::MAX}),
            Self::Text(rules) => rules.to_json_schema(),
            Self::List(rules) => {
                let mut schema = json!({"type": "array", "items": rules.of.to_json_schema()});
                if rules.min > 0 {
                    schema["minItems"] = rules.min.into();
                }
                if let Some(max) = rules.max {
                    schema["maxItems"] = max.into();
                }
                if matches!(rules.unique, Some(Unique::Items)) {
                    schema["uniqueItems"] = true.into();
                }
                schema
            }
            Self::Map(of) => json!({"type": "object", "additionalProperties": of.to_json_schema()}),
            Self::Object(fields) => {
                let properties: Map<String, Value> = fields
                    .iter()
                    .map(|field| {
                        let mut schema = field.schema.to_json_schema();
                        if !field.about.is_empty() {
                            schema["description"] = field.about.into();
                        }
                        if let Some(default) = &field.default {
                            schema["default"] = default.clone();
                        }
                        (field.name.to_owned(), schema)
                    })
                    .collect();
                let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
                let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
                if !required.is_empty() {
                    schema["required"] = required.into();
                }
                schema
            }
        }
    }
}

fn apply_fields(fields: &[Field], map: &mut Map<String, Value>, path: &FieldPath, found: &mut Findings) {
    let unknown: Vec<String> = map.keys().filter(|key| !fields.iter().any(|field| field.name == **key)).cloned().collect();
    for key in unknown {
        map.shift_remove(&key);
        found.unknown.push((path.field(key), fields.iter().map(|field| field.name).collect()));
    }
    for field in fields {
        if map.get(field.name).is_some_and(Value::is_null) {
            map.shift_remove(field.name);
        }
        match (map.get_mut(field.name), &field.default) {
            (Some(value), _) => field.schema.apply(value, &path.field(field.name), found),
            (None, Some(default)) => {
                map.insert(field.name.to_owned(), default.clone());
            }
            (None, None) if field.required => found.error(&path.field(field.name), Class::Required, format!("`{}` is required", field.name)),
            (None, None) => {}
        }
    }
}

impl List {
    fn apply(&self, items: &mut [Value], path: &FieldPath, found: &mut Findings) {
        if items.len() < self.min {
            found.error(path, Class::Invalid, format!("at least {} is needed here", if self.min == 1 { "one item".into() } else { self.min.to_string() }));
        }
        if let Some(max) = self.max.filter(|max| items.len() > *max) {
            found.error(path, Class::Invalid, format!("at most {max} items are possible here"));
        }
        for (at, item) in items.iter_mut().enumerate() {
            self.of.apply(item, &path.index(at), found);
        }
        let Some(unique) = self.unique else { return };
        let key = |item: &Value| match unique {
            Unique::Items => Some(item.clone()),
            Unique::Key(key) => item.get(key).cloned(),
        };
        for at in 1..items.len() {
            let this = key(&items[at]);
            if this.is_some() && items[..at].iter().any(|earlier| key(earlier) == this) {
                let shown = this.as_ref().and_then(Value::as_str).unwrap_or_default();
                found.error(&path.index(at), Class::Duplicate, format!("`{shown}` is given twice"));
            }
        }
    }
}

impl Text {
    fn check(&self, text: &str, path: &FieldPath, found: &mut Findings) {
        if text.chars().count() < self.min {
            return found.error(path, Class::Invalid, "may not be empty".into());
        }
        if let Some(max) = self.max.filter(|max| text.len() > *max) {
            found.error(path, Class::Invalid, format!("at most {max} characters are possible"));
        }
        if let Some(pattern) = self.pattern.filter(|pattern| !pattern.regex.is_match(text)) {
            found.error(path, Class::Invalid, format!("`{text}` is not {}", pattern.words));
        }
        if !self.one_of.is_empty() && !self.one_of.contains(&text) {
            found.error(path, Class::NotSupported, not_one_of(text, self.one_of));
        }
        match self.format {
            Some(Format::Email) if !is_email(text) => found.error(path, Class::TypeInvalid, format!("`{text}` is not an e-mail address")),
            Some(Format::DateTime) if text.parse::<jiff::Timestamp>().is_err() => {
                found.error(path, Class::TypeInvalid, format!("`{text}` is not a time such as `2026-03-02T09:00:00Z`"));
            }
            _ => {}
        }
    }

    fn to_json_schema(&self) -> Value {
        let mut schema = json!({"type": "string"});
        if let Some(pattern) = self.pattern {
            schema["pattern"] = pattern.source.into();
        }
        if self.min > 0 {
            schema["minLength"] = self.min.into();
        }
        if let Some(max) = self.max {
            schema["maxLength"] = max.into();
        }
        if !self.one_of.is_empty() {
            schema["enum"] = self.one_of.into();
        }
        match self.format {
            Some(Format::Email) => schema["format"] = "email".into(),
            Some(Format::DateTime) => schema["format"] = "date-time".into(),
            None => {}
        }
        schema
    }
}

/// Says what is possible instead of a value.
pub(crate) fn not_one_of(value: &str, known: &[&str]) -> String {
    let listed: Vec<String> = known.iter().filter(|known| !known.is_empty()).map(|known| format!("`{known}`")).collect();
    let shown = if value.is_empty() { "nothing".to_owned() } else { format!("`{value}`") };
    format!("{shown} is not possible here; known: {}", listed.join(", "))
}

/// Local part and host, both without blanks: what Go's `net/mail` takes for a bare address in practice.
fn is_email(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(local, host)| {
        let clean = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control() || "<>(),;:\"[]".contains(c));
        clean(local) && clean(host) && !host.starts_with('.') && !host.ends_with('.') && !local.contains("..")
    })
}

/// The JSON type of a value, as users say it.
pub(crate) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number",
        Value::Number(_) => "a whole number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
