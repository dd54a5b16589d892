//! Warehouses: the subscriptions, which the structural schema leaves open.
//!
//! Inside a subscription nothing is pruned, and Go's decoder matches field names without regard to case: `repoUrl` works.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value, json};

use super::schema::{Schema, list, may, must, not_one_of, text as text_schema, type_of};
use super::{Admitted, Class, Finding, Layer, UnknownField, items, text};
use crate::config::Knowledge;
use crate::config::RepositoryKind;
use crate::config::yaml::FieldPath;
use crate::diagnostic::nearest;
use crate::model::GoDuration;

/// What Kargo's mutating webhook writes before the structure is checked.
pub(super) fn prepare(object: &mut Value) {
    // Any duration of Go is rewritten to its canonical form; that is why `.5h` passes although the pattern forbids it.
    if let Some(Value::String(interval)) = object.pointer_mut("/spec/interval")
        && let Ok(duration) = interval.parse::<GoDuration>()
    {
        *interval = duration.to_string();
    }
}

/// Types of subscription that there are.
pub(crate) const TYPES: [&str; 3] = ["git", "image", "chart"];

const COMMIT_STRATEGIES: [&str; 4] = ["Lexical", "NewestFromBranch", "NewestTag", "SemVer"];
const IMAGE_STRATEGIES: [&str; 4] = ["Digest", "Lexical", "NewestBuild", "SemVer"];

/// The kind of value a field of a subscription takes.
#[derive(Clone, Copy)]
enum Takes {
    Text,
    Texts,
    Bool,
    Number,
    Time,
}

fn fields(kind: &str) -> &'static [(&'static str, Takes)] {
    match kind {
        "git" => &[
            ("repoURL", Takes::Text),
            ("branch", Takes::Text),
            ("commitSelectionStrategy", Takes::Text),
            ("strictSemvers", Takes::Bool),
            ("semverConstraint", Takes::Text),
            ("allowTagsRegexes", Takes::Texts),
            ("ignoreTagsRegexes", Takes::Texts),
            ("allowTags", Takes::Text),
            ("ignoreTags", Takes::Texts),
            ("expressionFilter", Takes::Text),
            ("includePaths", Takes::Texts),
            ("excludePaths", Takes::Texts),
            ("discoveryLimit", Takes::Number),
            ("since", Takes::Time),
            ("blobless", Takes::Bool),
            ("insecureSkipTLSVerify", Takes::Bool),
        ],
        "image" => &[
            ("repoURL", Takes::Text),
            ("imageSelectionStrategy", Takes::Text),
            ("constraint", Takes::Text),
            ("strictSemvers", Takes::Bool),
            ("allowTagsRegexes", Takes::Texts),
            ("ignoreTagsRegexes", Takes::Texts),
            ("allowTags", Takes::Text),
            ("ignoreTags", Takes::Texts),
            ("platform", Takes::Text),
            ("discoveryLimit", Takes::Number),
            ("cacheByTag", Takes::Bool),
            ("insecureSkipTLSVerify", Takes::Bool),
        ],
        _ => &[
            ("repoURL", Takes::Text),
            ("name", Takes::Text),
            ("semverConstraint", Takes::Text),
            ("discoveryLimit", Takes::Number),
            ("insecureSkipTLSVerify", Takes::Bool),
        ],
    }
}

static GIT_URL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?:^(ssh|https?)://(?:([0-9A-Za-z_-]+)(:(.+))?@)?([0-9A-Za-z_-]+(?:\.[0-9A-Za-z_-]+)*)(?::([0-9]{1,5}))?(/.*)$)|(?:^([0-9A-Za-z_-]+)@([0-9A-Za-z_+]+(?:\.[0-9A-Za-z_-]+)*):(/?.*))",
    )
    .expect("a constant pattern compiles")
});
static BRANCH: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[a-zA-Z0-9]([a-zA-Z0-9._/-]*[a-zA-Z0-9_-])?$").expect("a constant pattern compiles"));
static IMAGE_URL: LazyLock<Regex> = LazyLock::new(|| {
    const WORD: &str = r"[0-9A-Za-z_]+([\.-][0-9A-Za-z_]+)*";
    Regex::new(&format!("^({WORD}(:[0-9]+)?/)?({WORD})(/{WORD})*$")).expect("a constant pattern compiles")
});
static CHART_URL: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(((https?)|(oci))://)([0-9A-Za-z_\.\-]+)(:[0-9]+)?(/.*)*$").expect("a constant pattern compiles"));
static DNS_LABEL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$").expect("a constant pattern compiles"));

/// Checks the subscriptions and writes their defaults.
pub(super) fn admit(admitted: &mut Admitted, knowledge: &Knowledge<'_>) {
    let path = FieldPath::root().fields("spec.subscriptions");
    let mut subscriptions = items(&admitted.object, "/spec/subscriptions").to_vec();
    // The decoder stops at the first thing it cannot read; we go on, since every subscription stands for itself.
    let mut read = Vec::new();
    for (at, subscription) in subscriptions.iter_mut().enumerate() {
        if let Some(entry) = decode(subscription, &path.index(at), admitted) {
            read.push((at, entry));
        }
    }
    if admitted.refused.is_empty() {
        let mut seen = BTreeMap::new();
        let mut names = BTreeMap::new();
        for (at, kind) in read {
            let here = path.index(at);
            let subscription = &mut subscriptions[at];
            check_name(subscription, &here, &mut names, &mut admitted.refused);
            let body = &mut subscription[kind];
            write_defaults(kind, body);
            let body_path = here.field(kind);
            let mut lookup = Body { kind, body, path: &body_path, refused: &mut admitted.refused };
            lookup.check(knowledge);
            lookup.check_unique(knowledge, &mut seen);
        }
    }
    if let Some(list) = admitted.object.pointer_mut("/spec/subscriptions") {
        *list = Value::Array(subscriptions);
    }
}

/// Reads one entry: exactly one type, fields of the right type. Gives the type.
fn decode(subscription: &mut Value, path: &FieldPath, admitted: &mut Admitted) -> Option<&'static str> {
    let refuse = |admitted: &mut Admitted, class, path: FieldPath, message: String, help: &str| {
        admitted.refused.push(Finding::new(Layer::Webhook, class, path, message).help(help));
    };
    let Value::Object(map) = subscription else {
        let message = format!("expected a mapping with a type such as `git`, found {}", type_of(subscription));
        refuse(admitted, Class::TypeInvalid, path.clone(), message, "write `git:`, `image:` or `chart:` and the repository below it");
        return None;
    };
    match map.get("name") {
        None | Some(Value::Null | Value::String(_)) => {}
        Some(other) => {
            let message = format!("expected text, found {}", type_of(other));
            refuse(admitted, Class::TypeInvalid, path.field("name"), message, "quote it");
        }
    }
    let types: Vec<String> = map.keys().filter(|key| *key != "name").cloned().collect();
    let [written] = types.as_slice() else {
        let message = format!("a subscription has exactly one type, this one has {}", types.len());
        let help = if types.is_empty() { "add `git:`, `image:` or `chart:`" } else { "make a list entry of each" };
        refuse(admitted, Class::Invalid, path.clone(), message, help);
        return None;
    };
    let body = &map[written];
    let kind = TYPES.into_iter().find(|kind| kind == written).filter(|_| !body.is_null());
    let Some(kind) = kind else {
        let message = if body.is_null() {
            format!("`{written}` is empty")
        } else {
            format!("`{written}` is not a type of subscription; known: `git`, `image`, `chart`")
        };
        let help = match nearest(written, TYPES).filter(|known| *known != written.as_str()) {
            Some(known) => format!("did you mean `{known}`?"),
            None if body.is_null() => "give it at least a `repoURL`".into(),
            None => "generic subscriptions need a plugin that Kargo's open-source edition does not have either".into(),
        };
        refuse(admitted, Class::Forbidden, path.field(written), message, &help);
        return None;
    };
    let body_path = path.field(kind);
    let Value::Object(body) = body else {
        let message = format!("expected a mapping, found {}", type_of(body));
        refuse(admitted, Class::TypeInvalid, body_path, message, "write the repository as `repoURL: ...` below it");
        return None;
    };
    let before = admitted.refused.len();
    for (written, value) in body {
        let here = body_path.field(written);
        let Some(&(known, takes)) = fields(kind).iter().find(|(known, _)| known.eq_ignore_ascii_case(written)) else {
            let known = fields(kind).iter().map(|(known, _)| *known).collect();
            admitted.unknown.push(UnknownField { path: here, known, kept: true });
            continue;
        };
        if known != written {
            admitted.respelled.push((here.clone(), known));
        }
        if let Err(message) = takes.check(value) {
            let help = match (takes, value) {
                (Takes::Texts, Value::String(text)) => format!("write it as a list: `{known}: [{text:?}]`"),
                (Takes::Text, Value::Number(_) | Value::Bool(_)) => format!("quote it: `{known}: \"{value}\"`"),
                (Takes::Bool | Takes::Number, Value::String(text)) => format!("take the quotes away: `{known}: {text}`"),
                _ => format!("see `{known}` in `consign schema Warehouse`"),
            };
            refuse(admitted, Class::TypeInvalid, here, message, &help);
        }
    }
    (admitted.refused.len() == before).then_some(kind)
}

impl Takes {
    fn check(self, value: &Value) -> Result<(), String> {
        let fits = match (self, value) {
            (_, Value::Null) | (Self::Text, Value::String(_)) | (Self::Bool, Value::Bool(_)) => true,
            (Self::Texts, Value::Array(items)) => items.iter().all(|item| item.is_string() || item.is_null()),
            (Self::Number, Value::Number(number)) => number.is_i64(),
            (Self::Time, Value::String(text)) => {
                return text.parse::<jiff::Timestamp>().map(|_| ()).map_err(|_| format!("`{text}` is not a time such as `2026-01-01T00:00:00Z`"));
            }
            _ => false,
        };
        let expected = match self {
            Self::Text | Self::Time => "text",
            Self::Texts => "a list of texts",
            Self::Bool => "`true` or `false`",
            Self::Number => "a whole number",
        };
        if fits { Ok(()) } else { Err(format!("expected {expected}, found {}", type_of(value))) }
    }

    fn schema(self) -> Schema {
        match self {
            Self::Text => text_schema(),
            Self::Texts => list(text_schema()),
            Self::Bool => Schema::Bool,
            Self::Number => Schema::Int32,
            Self::Time => super::schema::formatted(super::schema::Format::DateTime, 0),
        }
    }
}

/// The value of a field of a subscription, whatever the case of its name; null counts as absent.
pub(crate) fn field<'v>(body: &'v Value, name: &str) -> Option<&'v Value> {
    body.as_object()?
        .iter()
        .filter(|(written, _)| written.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .next_back()
        .filter(|value| !value.is_null())
}

/// The text of a field of a subscription, empty where there is none.
pub(crate) fn field_text<'v>(body: &'v Value, name: &str) -> &'v str {
    field(body, name).and_then(Value::as_str).unwrap_or_default()
}

fn write_defaults(kind: &str, body: &mut Value) {
    let Value::Object(map) = body else { return };
    let mut default = |name: &str, blank: &dyn Fn(&Value) -> bool, value: Value| {
        let written = map.keys().find(|written| written.eq_ignore_ascii_case(name)).cloned().unwrap_or_else(|| name.to_owned());
        let entry = map.entry(written).or_insert(Value::Null);
        if entry.is_null() || blank(entry) {
            *entry = value;
        }
    };
    let empty: &dyn Fn(&Value) -> bool = &|value| value == "";
    let zero: &dyn Fn(&Value) -> bool = &|value| value == 0;
    let never: &dyn Fn(&Value) -> bool = &|_| false;
    match kind {
        "git" => {
            default("commitSelectionStrategy", empty, "NewestFromBranch".into());
            default("strictSemvers", never, true.into());
        }
        "image" => {
            default("imageSelectionStrategy", empty, "SemVer".into());
            default("strictSemvers", never, true.into());
        }
        _ => {}
    }
    default("discoveryLimit", zero, 20.into());
}

fn check_name(subscription: &Value, path: &FieldPath, names: &mut BTreeMap<String, FieldPath>, refused: &mut Vec<Finding>) {
    let name = text(subscription, "/name");
    if name.is_empty() {
        return;
    }
    let path = path.field("name");
    let mut refuse = |message: String| refused.push(Finding::webhook(Class::Invalid, path.clone(), message));
    if name.len() > 63 {
        refuse("the name of a subscription has at most 63 characters".into());
    } else if name.contains('.') {
        refuse("the name of a subscription has no dots".into());
    } else if !DNS_LABEL.is_match(name) {
        refuse(format!("`{name}` is not a name of a subscription: lower-case letters, digits and `-`, with a letter or digit at both ends"));
    }
    match names.get(name) {
        Some(first) => refused.push(
            Finding::webhook(Class::Invalid, path, format!("the name `{name}` is used twice"))
                .related(first.clone())
                .help("give each subscription its own name"),
        ),
        None => {
            names.insert(name.to_owned(), path);
        }
    }
}

/// One subscription under check.
struct Body<'a> {
    kind: &'static str,
    body: &'a Value,
    path: &'a FieldPath,
    refused: &'a mut Vec<Finding>,
}

impl Body<'_> {
    fn refuse(&mut self, field: &str, class: Class, message: impl Into<String>, help: impl Into<String>) {
        self.refused.push(Finding::webhook(class, self.path.field(self.spelled(field)), message).help(help));
    }

    /// The name of a field as the user spells it.
    fn spelled(&self, name: &str) -> String {
        let written = self.body.as_object().and_then(|map| map.keys().find(|written| written.eq_ignore_ascii_case(name)));
        written.cloned().unwrap_or_else(|| name.to_owned())
    }

    fn text(&self, name: &str) -> String {
        field_text(self.body, name).to_owned()
    }

    fn check(&mut self, knowledge: &Knowledge<'_>) {
        let url = self.text("repoURL");
        let (pattern, what, example): (&Regex, _, _) = match self.kind {
            "git" => (&GIT_URL, "the address of a Git repository", "https://github.com/acme/shop.git"),
            "image" => (&IMAGE_URL, "an image repository", "ghcr.io/acme/shop"),
            _ => (&CHART_URL, "the address of a chart repository", "https://charts.example.com` or `oci://ghcr.io/acme/charts/shop"),
        };
        if url.is_empty() {
            self.refuse("repoURL", Class::Invalid, "`repoURL` is required", format!("write {what}, such as `{example}`"));
        } else if !(pattern.is_match(&url) || self.kind == "git" && (knowledge.local_url)(&url)) {
            let help = match self.kind {
                "image" if url.contains("://") => "write it without a scheme".to_owned(),
                "image" if url.rsplit('/').next().is_some_and(|last| last.contains([':', '@'])) => {
                    "write it without tag and digest; `constraint` says which".to_owned()
                }
                _ => format!("write it as `{example}`"),
            };
            self.refuse("repoURL", Class::Invalid, format!("`{url}` is not {what}"), help);
        }
        match self.kind {
            "git" => self.check_git(knowledge),
            "image" => self.check_image(knowledge),
            _ => self.check_chart(&url, knowledge),
        }
        match field(self.body, "discoveryLimit").and_then(Value::as_i64) {
            Some(limit) if limit > 100 => {
                self.refuse("discoveryLimit", Class::Invalid, format!("{limit} is too many; at most 100 are looked at"), "write at most 100")
            }
            Some(limit) if limit < 1 => self.refuse("discoveryLimit", Class::Invalid, format!("{limit} is too few"), "write at least 1"),
            _ => {}
        }
    }

    fn check_strategy(&mut self, name: &str, known: &[&str]) -> String {
        let strategy = self.text(name);
        if !known.contains(&strategy.as_str()) {
            let help = nearest(&strategy, known.iter().copied())
                .map_or_else(|| format!("write one of them as `{name}`"), |known| format!("did you mean `{known}`?"));
            self.refuse(name, Class::NotSupported, not_one_of(&strategy, known), help);
        }
        strategy
    }

    fn check_constraint(&mut self, name: &str, knowledge: &Knowledge<'_>) {
        let constraint = self.text(name);
        if constraint.is_empty() {
            return;
        }
        if let Err(reason) = (knowledge.constraint)(&constraint) {
            self.refuse(
                name,
                Class::Invalid,
                format!("`{constraint}` is not a version constraint: {reason}"),
                "write a form such as `^1.2.0`, `~1.2` or `>=1.0.0 <2.0.0`",
            );
        }
    }

    fn check_git(&mut self, knowledge: &Knowledge<'_>) {
        self.check_strategy("commitSelectionStrategy", &COMMIT_STRATEGIES);
        let branch = self.text("branch");
        if branch.len() > 255 {
            self.refuse("branch", Class::Invalid, "a branch name has at most 255 characters", "use a shorter branch name");
        } else if !branch.is_empty() && !BRANCH.is_match(&branch) {
            self.refuse(
                "branch",
                Class::Invalid,
                format!("`{branch}` is not a branch name"),
                "letters, digits, `.`, `_`, `/` and `-`, beginning with a letter or digit, not ending in `.` or `/`",
            );
        }
        self.check_constraint("semverConstraint", knowledge);
    }

    fn check_image(&mut self, knowledge: &Knowledge<'_>) {
        match self.check_strategy("imageSelectionStrategy", &IMAGE_STRATEGIES).as_str() {
            "Digest" if self.text("constraint").is_empty() => {
                self.refuse(
                    "constraint",
                    Class::Invalid,
                    "`Digest` watches one tag; `constraint` names it",
                    "add `constraint: latest`, or the tag you mean",
                );
            }
            "SemVer" => self.check_constraint("constraint", knowledge),
            _ => {}
        }
        let platform = self.text("platform");
        if !platform.is_empty() && !platform.contains('/') {
            self.refuse(
                "platform",
                Class::Invalid,
                format!("`{platform}` is not a platform"),
                "write `<os>/<arch>` or `<os>/<arch>/<variant>`, such as `linux/amd64`",
            );
        }
    }

    fn check_chart(&mut self, url: &str, knowledge: &Knowledge<'_>) {
        let name = self.text("name");
        if url.starts_with("oci://") && !name.is_empty() {
            self.refuse(
                "name",
                Class::Invalid,
                "an OCI repository holds one chart, so it takes no `name`",
                format!("write `repoURL: {}/{name}` and take `name` away", url.trim_end_matches('/')),
            );
        } else if (url.starts_with("http://") || url.starts_with("https://")) && name.is_empty() {
            self.refuse("name", Class::Invalid, "a chart repository holds many charts; `name` says which", "add `name:` and the chart's name");
        }
        self.check_constraint("semverConstraint", knowledge);
    }

    /// One repository may be watched once per warehouse.
    fn check_unique(&mut self, knowledge: &Knowledge<'_>, seen: &mut BTreeMap<(&'static str, String, String), FieldPath>) {
        let url = self.text("repoURL");
        let kind = match self.kind {
            "git" => RepositoryKind::Git,
            "image" => RepositoryKind::Image,
            _ => RepositoryKind::Chart,
        };
        if url.is_empty() {
            return;
        }
        let chart = if self.kind == "chart" && !url.starts_with("oci://") { self.text("name") } else { String::new() };
        let key = (self.kind, (knowledge.normalize)(kind, &url), chart);
        match seen.get(&key) {
            Some(first) => self.refused.push(
                Finding::webhook(Class::Invalid, self.path.clone(), format!("`{url}` is already watched by this warehouse"))
                    .related(first.clone())
                    .help("keep one of them, or make a second warehouse"),
            ),
            None => {
                seen.insert(key, self.path.clone());
            }
        }
    }
}

/// The object with the known spelling of every field of a subscription, ready for the model's types.
pub(crate) fn canonical(object: &Value) -> Value {
    let mut object = object.clone();
    let Some(Value::Array(subscriptions)) = object.pointer_mut("/spec/subscriptions") else { return object };
    for subscription in subscriptions {
        let Value::Object(subscription) = subscription else { continue };
        for kind in TYPES {
            let Some(body) = subscription.get_mut(kind) else { continue };
            let known: Map<String, Value> =
                fields(kind).iter().filter_map(|(name, _)| Some(((*name).to_owned(), field(body, name)?.clone()))).collect();
            *body = Value::Object(known);
        }
    }
    object
}

/// The JSON Schema of an entry of `spec.subscriptions`.
pub(super) fn json_schema() -> Value {
    let mut properties = Map::new();
    properties.insert("name".into(), json!({"type": "string", "maxLength": 63}));
    for kind in TYPES {
        let schema = Schema::Object(
            fields(kind)
                .iter()
                .map(|(name, takes)| if *name == "repoURL" { must(name, takes.schema(), "") } else { may(name, takes.schema(), "") })
                .collect(),
        );
        let mut schema = schema.to_json_schema();
        match kind {
            "git" => schema["properties"]["commitSelectionStrategy"]["enum"] = COMMIT_STRATEGIES.as_slice().into(),
            "image" => schema["properties"]["imageSelectionStrategy"]["enum"] = IMAGE_STRATEGIES.as_slice().into(),
            _ => {}
        }
        properties.insert(kind.into(), schema);
    }
    json!({"type": "object", "properties": properties, "additionalProperties": false, "minProperties": 1})
}
