//! Values of the language: JSON's types, integers beside floats, and the host's objects.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use super::functions::Function;
use super::functions::semver::Version;
use super::gotime::{Time, Zone};

/// A value. Cloning is cheap: everything of size is shared.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// `nil`.
    #[default]
    Nil,
    /// `true`, `false`.
    Bool(bool),
    /// An integer: a literal, `len()`, `int()`, a TOML integer.
    Int(i64),
    /// A float: every number that comes from variables, outputs, metadata, YAML or JSON.
    Float(f64),
    /// Text.
    Str(Arc<str>),
    /// `b'...'`.
    Bytes(Arc<[u8]>),
    /// A list.
    List(Arc<List>),
    /// A map with text keys.
    Map(Arc<Map>),
    /// A map that is known to hold text; a missing key reads as empty text.
    Texts(Arc<Texts>),
    /// A map with keys of any type, from `groupBy` and `fromPairs`.
    Table(Arc<Table>),
    /// An instant with a zone.
    Time(Time),
    /// Nanoseconds.
    Duration(i64),
    /// 1 to 12.
    Month(i8),
    /// Sunday 0 to Saturday 6.
    Weekday(i8),
    /// What `timezone()` gives.
    Zone(Zone),
    /// What `semverParse()` gives.
    Version(Arc<Version>),
    /// A commit, image, chart, ...: fixed fields.
    Record(Arc<Record>),
    /// What `quote()`, `unsafeQuote()`, `asYAML()` and `asJSON()` give: text that keeps itself from being read as a number.
    Quoted(Arc<Quoted>),
    /// A function or method that was named and not called.
    Function(Function),
}

/// A list and what bounds the work on it.
#[derive(Debug, Default)]
pub struct List {
    /// The elements.
    pub items: Vec<Value>,
    size: Size,
}

/// A map with text keys.
#[derive(Debug, Default)]
pub struct Map {
    /// The entries, sorted.
    pub entries: BTreeMap<Arc<str>, Value>,
    size: Size,
}

/// A map with keys of any type.
#[derive(Debug, Default)]
pub struct Table {
    /// Entries in the order of their keys' first appearance.
    pub entries: Vec<(Value, Value)>,
    /// Whether it can be written as JSON: `fromPairs` with text keys can, `groupBy` cannot.
    pub writable: bool,
    size: Size,
}

/// How large and how deep a value is, shared parts counted each time they are used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    pub(super) weight: u64,
    pub(super) depth: u16,
}

impl Size {
    fn of<'a>(values: impl Iterator<Item = &'a Value>) -> Self {
        let mut size = Self { weight: 1, depth: 0 };
        for value in values {
            let inner = value.size();
            size.weight = size.weight.saturating_add(inner.weight);
            size.depth = size.depth.max(inner.depth);
        }
        size.depth = size.depth.saturating_add(1);
        size
    }
}

/// A map of texts: annotations, a ConfigMap, a Secret.
#[derive(Debug, Default)]
pub struct Texts {
    /// The entries that are known.
    pub entries: BTreeMap<Arc<str>, Arc<str>>,
    /// Finds what is not among the entries, for secrets that are read from the environment key by key.
    pub(super) lazy: Option<LazyTexts>,
    /// Set for secrets: where their values are noted once they are read.
    pub(super) revealed: Option<Revealed>,
}

/// Values of secrets that were read so far, shared by all clones of a context.
pub(super) type Revealed = Arc<Mutex<std::collections::BTreeSet<String>>>;

/// Reads a key on demand.
#[derive(Clone)]
pub(super) struct LazyTexts(pub(super) Arc<ReadText>);

type ReadText = dyn Fn(&str) -> Option<String> + Send + Sync;

impl fmt::Debug for LazyTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LazyTexts")
    }
}

impl Texts {
    /// The text of a key; None if there is none.
    pub fn get(&self, key: &str) -> Option<Arc<str>> {
        let found = match self.entries.get(key) {
            Some(text) => Some(text.clone()),
            None => self.lazy.as_ref().and_then(|lazy| (lazy.0)(key)).map(Arc::from),
        }?;
        self.reveal(&found);
        Some(found)
    }

    /// All known entries.
    pub fn all(&self) -> &BTreeMap<Arc<str>, Arc<str>> {
        for text in self.entries.values() {
            self.reveal(text);
        }
        &self.entries
    }

    fn reveal(&self, text: &str) {
        if let Some(revealed) = &self.revealed
            && !text.is_empty()
        {
            // a poisoned lock still holds whole texts
            revealed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(text.to_owned());
        }
    }
}

/// Text made by one of the quoting helpers.
#[derive(Debug)]
pub struct Quoted {
    /// What Kargo's helper gives: with quotes around, which its coercion takes off again.
    pub literal: Arc<str>,
    /// The text that is meant.
    pub exact: Arc<str>,
}

/// The type of a [`Record`].
#[derive(Debug)]
pub struct RecordType {
    /// Name for messages.
    pub name: &'static str,
    /// Fields by the names that expressions use.
    pub fields: &'static [Field],
    /// Whether empty fields are left out when the record is written.
    pub omit_empty: bool,
}

/// A field of a [`RecordType`].
#[derive(Debug)]
pub struct Field {
    /// Name in expressions.
    pub name: &'static str,
    /// Name in JSON.
    pub json: &'static str,
    /// What is known of its type.
    pub kind: FieldKind,
}

/// What is known of a field's type when an expression is compiled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldKind {
    /// Text.
    Text,
    /// Text of a type of its own, which a plain literal cannot be compared with.
    Named(&'static str),
    /// A map of texts.
    Texts,
    /// A map of anything.
    Map,
    /// An instant, or nil.
    Time,
    /// Anything.
    Any,
}

/// An object with fixed fields.
#[derive(Debug)]
pub struct Record {
    /// Its type.
    pub kind: &'static RecordType,
    /// A value for each field of the type, in that order.
    pub values: Vec<Value>,
}

impl Record {
    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let index = self.kind.fields.iter().position(|field| field.name == name)?;
        self.values.get(index)
    }

    /// The fields as they are written: JSON name and value.
    pub(super) fn written(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.kind
            .fields
            .iter()
            .zip(&self.values)
            .filter(|(_, value)| !self.kind.omit_empty || !value.is_empty())
            .map(|(field, value)| (field.json, value))
    }
}

impl Value {
    /// Text.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Str(text.into())
    }

    /// A list.
    pub fn list(items: Vec<Self>) -> Self {
        let size = Size::of(items.iter());
        Self::List(Arc::new(List { items, size }))
    }

    /// A map.
    pub fn map(entries: BTreeMap<Arc<str>, Self>) -> Self {
        let size = Size::of(entries.values());
        Self::Map(Arc::new(Map { entries, size }))
    }

    /// A map with keys of any type.
    pub(super) fn table(entries: Vec<(Self, Self)>, writable: bool) -> Self {
        let size = Size::of(entries.iter().flat_map(|(key, value)| [key, value]));
        Self::Table(Arc::new(Table { entries, writable, size }))
    }

    /// A map of texts.
    pub fn texts<K: Into<Arc<str>>, V: Into<Arc<str>>>(entries: impl IntoIterator<Item = (K, V)>) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        Self::Texts(Arc::new(Texts { entries, lazy: None, revealed: None }))
    }

    /// A value from JSON, in which every number is a float, as in Kargo's variables, outputs and metadata.
    pub fn from_json(json: &serde_json::Value) -> Self {
        Self::read(json, false)
    }

    /// A value from JSON whose whole numbers are integers: a TOML document, the status of a response.
    pub fn from_json_with_integers(json: &serde_json::Value) -> Self {
        Self::read(json, true)
    }

    fn read(json: &serde_json::Value, integers: bool) -> Self {
        match json {
            serde_json::Value::Null => Self::Nil,
            serde_json::Value::Bool(bool) => Self::Bool(*bool),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(int) if integers => Self::Int(int),
                _ => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Self::text(text.as_str()),
            serde_json::Value::Array(items) => Self::list(items.iter().map(|item| Self::read(item, integers)).collect()),
            serde_json::Value::Object(entries) => {
                Self::map(entries.iter().map(|(key, value)| (Arc::from(key.as_str()), Self::read(value, integers))).collect())
            }
        }
    }

    pub(super) fn size(&self) -> Size {
        match self {
            Self::Str(text) => Size { weight: 1 + text.len() as u64 / 32, depth: 0 },
            Self::Bytes(bytes) => Size { weight: 1 + bytes.len() as u64 / 32, depth: 0 },
            Self::List(list) => list.size,
            Self::Map(map) => map.size,
            Self::Table(table) => table.size,
            Self::Texts(texts) => Size { weight: 1 + texts.entries.len() as u64, depth: 1 },
            Self::Record(record) => Size::of(record.values.iter()),
            Self::Quoted(quoted) => Size { weight: 1 + quoted.literal.len() as u64 / 32, depth: 0 },
            _ => Size { weight: 1, depth: 0 },
        }
    }

    /// Whether this is nil.
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Nil | Self::Bool(false) | Self::Int(0) => true,
            Self::Str(text) => text.is_empty(),
            Self::Texts(texts) => texts.entries.is_empty(),
            Self::Map(map) => map.entries.is_empty(),
            _ => false,
        }
    }

    /// The text, for text of either kind.
    pub(super) fn as_text(&self) -> Option<&Arc<str>> {
        match self {
            Self::Str(text) => Some(text),
            Self::Quoted(quoted) => Some(&quoted.literal),
            _ => None,
        }
    }

    /// The number as an integer; floats are truncated.
    pub(super) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(*int),
            // saturates; NaN is 0
            #[allow(clippy::cast_possible_truncation)]
            Self::Float(float) => Some(*float as i64),
            _ => None,
        }
    }

    /// The type's name, for messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) | Self::Quoted(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "array",
            Self::Map(_) | Self::Texts(_) | Self::Table(_) => "map",
            Self::Time(_) => "time",
            Self::Duration(_) => "duration",
            Self::Month(_) => "month",
            Self::Weekday(_) => "weekday",
            Self::Zone(_) => "timezone",
            Self::Version(_) => "version",
            Self::Record(record) => record.kind.name,
            Self::Function(_) => "function",
        }
    }

    /// The value as JSON. Whole floats are integers.
    ///
    /// # Errors
    /// What JSON cannot hold: infinite numbers, functions, the result of `groupBy`.
    pub fn to_json(&self) -> Result<serde_json::Value, super::ExprError> {
        super::format::to_json(self).map_err(super::ExprError::placeless)
    }
}

impl From<bool> for Value {
    fn from(bool: bool) -> Self {
        Self::Bool(bool)
    }
}
impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}
impl From<f64> for Value {
    fn from(float: f64) -> Self {
        Self::Float(float)
    }
}
impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}
