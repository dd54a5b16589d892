//! Everything an evaluation can see.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jiff::Timestamp;
use serde::Deserialize;

use super::functions::{Function, step_meta};
use super::value::{LazyTexts, Revealed, Texts, Value};
use crate::model::{
    DiscoveredArtifacts, Freight, FreightName, FreightReference, FreightStatus, StageName, StepMetadata, StepStatus, Variable, Warehouse,
    WarehouseName,
};

/// Named values of variables, in the scope they are used in.
#[derive(Clone, Debug, Default)]
pub struct Vars(Arc<BTreeMap<Arc<str>, Value>>, OnceValue);

/// The map as a value, made once.
#[derive(Clone, Debug, Default)]
pub(super) struct OnceValue(Arc<OnceLock<Value>>);

impl Vars {
    /// Sets a variable; the last one of a name wins.
    pub fn set(&mut self, name: &str, value: Value) {
        Arc::make_mut(&mut self.0).insert(name.into(), value);
        self.1 = OnceValue::default();
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    pub(super) fn into_value(self) -> Value {
        self.1.0.get_or_init(|| Value::map(self.0.as_ref().clone())).clone()
    }
}

/// Texts of ConfigMaps or Secrets, by name and key.
pub type TextMaps = BTreeMap<String, BTreeMap<String, String>>;

/// Where `secret()` and `sharedSecret()` look.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    maps: Arc<TextMaps>,
    /// Variables of the environment, and the prefix of those that are secrets.
    environment: Option<(Arc<BTreeMap<String, String>>, &'static str)>,
}

impl Secrets {
    /// Secrets that are given.
    pub fn from_maps(maps: TextMaps) -> Self {
        Self { maps: Arc::new(maps), environment: None }
    }

    /// Secrets that are read key by key from `CONSIGN_SECRET_<NAME>_<KEY>`; given ones come first.
    #[must_use]
    pub fn with_environment(mut self, environment: Arc<BTreeMap<String, String>>) -> Self {
        self.environment = Some((environment, "CONSIGN_SECRET_"));
        self
    }

    /// The same for `sharedSecret()`: `CONSIGN_SHARED_SECRET_<NAME>_<KEY>`.
    #[must_use]
    pub fn with_shared_environment(mut self, environment: Arc<BTreeMap<String, String>>) -> Self {
        self.environment = Some((environment, "CONSIGN_SHARED_SECRET_"));
        self
    }

    /// The text of one key; None if there is none. Whoever calls it masks the text.
    pub fn get(&self, name: &str, key: &str) -> Option<String> {
        let given = self.maps.get(name).and_then(|entries| entries.get(key)).cloned();
        given.or_else(|| {
            let (environment, prefix) = self.environment.as_ref()?;
            environment.get(&format!("{prefix}{}_{}", variable_name(name), variable_name(key))).cloned()
        })
    }

    pub(super) fn read(&self, name: &str, revealed: &Revealed) -> Value {
        let entries = self.maps.get(name).into_iter().flatten().map(|(key, text)| (key.as_str().into(), text.as_str().into())).collect();
        let lazy = self.environment.clone().map(|(environment, prefix)| {
            let prefix = format!("{prefix}{}_", variable_name(name));
            LazyTexts(Arc::new(move |key: &str| environment.get(&format!("{prefix}{}", variable_name(key))).cloned()))
        });
        Value::Texts(Arc::new(Texts { entries, lazy, revealed: Some(revealed.clone()) }))
    }
}

/// Upper case, everything but letters and digits as `_`.
fn variable_name(name: &str) -> String {
    name.chars().map(|character| if character.is_ascii_alphanumeric() { character.to_ascii_uppercase() } else { '_' }).collect()
}

/// What an evaluation sees. Cloning is cheap: everything of size is shared. Fields a site does not offer are not visible from it.
#[derive(Clone, Debug)]
pub struct Context {
    /// `ctx`.
    pub ctx: Value,
    /// `vars`: finished values.
    pub vars: Vars,
    /// `outputs`, by full alias; set with [`Context::set_outputs`].
    pub(super) outputs: Value,
    /// `task` where `ctx` does not say which step is evaluated.
    pub(super) task: Value,
    pub(super) task_made: OnceValue,
    /// `stepMetas`, in the order of the steps.
    pub(super) step_metas: Arc<[StepMetadata]>,
    pub(super) step_metas_made: OnceValue,
    /// `target`.
    pub target: Value,
    /// The promotion's freight collection: one freight of each origin.
    pub freight: Arc<[FreightReference]>,
    /// Origins that the stage requests.
    pub requested: Arc<[WarehouseName]>,
    /// The project's warehouses.
    pub warehouses: Arc<BTreeMap<WarehouseName, Warehouse>>,
    /// What is known of freight, for `freightMetadata` and `freightStatus`.
    pub freight_status: Arc<BTreeMap<FreightName, FreightStatus>>,
    /// Metadata of stages.
    pub stage_metadata: Arc<BTreeMap<StageName, serde_json::Map<String, serde_json::Value>>>,
    /// `secret()`.
    pub secrets: Secrets,
    /// `sharedSecret()`.
    pub shared_secrets: Secrets,
    /// `configMap()`.
    pub config_maps: Arc<TextMaps>,
    /// `sharedConfigMap()`.
    pub shared_config_maps: Arc<TextMaps>,
    /// What the warehouse found, for criteria.
    pub discovered: Arc<DiscoveredArtifacts>,
    /// Names of the filters.
    pub env: Arc<BTreeMap<String, Value>>,
    /// What a parse step reads.
    pub document: Value,
    /// What an `http` step got; made with [`response`].
    pub response: Value,
    /// The result of a measurement.
    pub result: Value,
    /// The instant of `now()`.
    pub now: Timestamp,
    pub(super) revealed: Revealed,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            ctx: Value::map(BTreeMap::new()),
            vars: Vars::default(),
            outputs: Value::map(BTreeMap::new()),
            task: Value::Nil,
            task_made: OnceValue::default(),
            step_metas: Arc::default(),
            step_metas_made: OnceValue::default(),
            target: Value::Nil,
            freight: Arc::default(),
            requested: Arc::default(),
            warehouses: Arc::default(),
            freight_status: Arc::default(),
            stage_metadata: Arc::default(),
            secrets: Secrets::default(),
            shared_secrets: Secrets::default(),
            config_maps: Arc::default(),
            shared_config_maps: Arc::default(),
            discovered: Arc::default(),
            env: Arc::default(),
            document: Value::Nil,
            response: Value::Nil,
            result: Value::Nil,
            now: Timestamp::UNIX_EPOCH,
            revealed: Revealed::default(),
        }
    }
}

impl Context {
    /// Sets `ctx` from JSON.
    pub fn set_ctx(&mut self, ctx: &serde_json::Value) {
        self.ctx = Value::from_json(ctx);
        self.task_made = OnceValue::default();
    }

    /// Sets `outputs`, by full alias of the step.
    pub fn set_outputs(&mut self, outputs: &serde_json::Map<String, serde_json::Value>) {
        self.outputs = Value::map(outputs.iter().map(|(alias, output)| (Arc::from(alias.as_str()), Value::from_json(output))).collect());
        self.task_made = OnceValue::default();
    }

    /// Sets the metadata of the steps.
    pub fn set_step_metas(&mut self, metas: impl Into<Arc<[StepMetadata]>>) {
        self.step_metas = metas.into();
        self.step_metas_made = OnceValue::default();
    }

    /// The values of secrets that evaluations of this context and its clones have read so far, to mask them in logs.
    pub fn revealed(&self) -> Vec<String> {
        // a poisoned lock still holds whole texts
        self.revealed.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The same context with a memory of read secrets of its own.
    #[must_use]
    pub fn with_own_revealed(mut self) -> Self {
        self.revealed = Arc::new(Mutex::default());
        self
    }

    /// Full alias of the step that is evaluated.
    fn alias(&self) -> Option<Arc<str>> {
        let mut value = &self.ctx;
        for key in ["meta", "step", "alias"] {
            let Value::Map(map) = value else { return None };
            value = map.entries.get(key)?;
        }
        value.as_text().filter(|alias| !alias.is_empty()).cloned()
    }

    /// Namespace of the step that is evaluated: what stands before `::`, if that stands there exactly once.
    fn namespace(&self) -> Option<String> {
        let alias = self.alias()?;
        let (namespace, name) = alias.split_once("::")?;
        (!name.contains("::")).then(|| namespace.to_owned())
    }

    pub(super) fn task_value(&self) -> Value {
        let make = || {
            if self.alias().is_none() {
                return self.task.clone();
            }
            let (Some(namespace), Value::Map(outputs)) = (self.namespace(), &self.outputs) else { return Value::Nil };
            let own = outputs.entries.iter().filter_map(|(alias, output)| {
                let name = alias.strip_prefix(namespace.as_str())?.strip_prefix("::")?;
                (!name.contains("::")).then(|| (Arc::from(name), output.clone()))
            });
            Value::map(BTreeMap::from([("outputs".into(), Value::map(own.collect()))]))
        };
        self.task_made.0.get_or_init(make).clone()
    }

    pub(super) fn step_metas_value(&self) -> Value {
        let make = || Value::map(self.step_metas.iter().map(|meta| (Arc::from(meta.alias.as_str()), step_meta(meta))).collect());
        self.step_metas_made.0.get_or_init(make).clone()
    }

    /// Whether an earlier step failed and its failure counts.
    pub fn has_failures(&self) -> bool {
        self.step_metas.iter().any(|meta| !meta.continue_on_error && matches!(meta.status, Some(StepStatus::Failed | StepStatus::Errored)))
    }

    /// The status of a step in the namespace of the one that is evaluated.
    pub(super) fn status_of(&self, alias: &str) -> Option<StepStatus> {
        let full = match self.namespace() {
            Some(namespace) => format!("{namespace}::{alias}"),
            // a step outside tasks does not see into them
            None if alias.contains("::") => return None,
            None => alias.to_owned(),
        };
        self.step_metas.iter().find(|meta| meta.alias == full)?.status
    }
}

/// The value of `response` for expressions of the `http` step: header values in order of arrival, names in canonical case.
pub fn response(status: u16, headers: &[(String, String)], body: Value) -> Value {
    let mut grouped: BTreeMap<Arc<str>, Vec<Value>> = BTreeMap::new();
    for (name, value) in headers {
        grouped.entry(canonical(name).into()).or_default().push(value.as_str().into());
    }
    let headers_value = Value::map(grouped.into_iter().map(|(name, values)| (name, Value::list(values))).collect());
    Value::map(BTreeMap::from([
        ("status".into(), Value::Int(status.into())),
        ("headers".into(), headers_value),
        ("header".into(), Value::Function(Function::header(headers.to_vec()))),
        ("body".into(), body),
    ]))
}

/// `content-type` as `Content-Type`.
fn canonical(name: &str) -> String {
    let mut start = true;
    name.chars()
        .map(|character| {
            let cased = if start { character.to_ascii_uppercase() } else { character.to_ascii_lowercase() };
            start = character == '-';
            cased
        })
        .collect()
}

/// A context as `consign eval --context` reads it, and the variables to render before the template.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ContextFile {
    ctx: Option<serde_json::Value>,
    vars: BTreeMap<String, serde_json::Value>,
    /// Variables of the promotion, rendered in order.
    pub promotion_vars: Vec<Variable>,
    /// Variables of the step, rendered after those of the promotion.
    pub step_vars: Vec<Variable>,
    /// Variables of the Stage, for arguments of a verification.
    pub stage_vars: Vec<Variable>,
    outputs: serde_json::Map<String, serde_json::Value>,
    task: Option<serde_json::Value>,
    freight: Vec<Freight>,
    requested_freight: Vec<RequestedOrigin>,
    warehouses: Vec<Warehouse>,
    stages: Vec<StageRecord>,
    step_metas: Vec<StepMetadata>,
    secrets: TextMaps,
    shared_secrets: TextMaps,
    shared_secret_types: BTreeMap<String, String>,
    config_maps: TextMaps,
    shared_config_maps: TextMaps,
    target: Option<serde_json::Value>,
    env: BTreeMap<String, serde_json::Value>,
    discovered: DiscoveredArtifacts,
    /// `json`, `yaml` or `toml`: how to read `document`.
    pub format: String,
    /// Text that a parse step reads.
    pub document: Option<String>,
    response: Option<ResponseFile>,
    result: serde_json::Value,
    /// The instant of `now()`.
    pub now: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct RequestedOrigin {
    origin: crate::model::Origin,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct StageRecord {
    metadata: crate::model::Metadata,
    status: StageMetadata,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct StageMetadata {
    metadata: serde_json::Map<String, serde_json::Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ResponseFile {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl ContextFile {
    /// The context. Documents are given already read, since reading YAML belongs to the callers; `parsed_body` reads a response's text.
    ///
    /// # Errors
    /// A date of `env` that is none.
    pub fn into_context(
        self,
        document: Value,
        read_body: impl Fn(&str, &str) -> Result<serde_json::Value, String>,
        now: Timestamp,
    ) -> Result<Context, String> {
        let mut context = Context { now: self.now.unwrap_or(now), document, ..Context::default() };
        if let Some(ctx) = &self.ctx {
            context.set_ctx(ctx);
        }
        for (name, value) in &self.vars {
            context.vars.set(name, Value::from_json(value));
        }
        context.set_outputs(&self.outputs);
        context.task = self.task.as_ref().map(Value::from_json).unwrap_or_default();
        context.set_step_metas(self.step_metas);
        context.target = self.target.as_ref().map(Value::from_json).unwrap_or_default();
        context.freight = self.freight.iter().map(Freight::reference).collect();
        context.freight_status = Arc::new(self.freight.into_iter().map(|freight| (freight.name(), freight.status)).collect());
        context.requested = self.requested_freight.into_iter().map(|request| request.origin.name).collect();
        context.warehouses = Arc::new(self.warehouses.into_iter().map(|warehouse| (warehouse.name(), warehouse)).collect());
        context.stage_metadata =
            Arc::new(self.stages.into_iter().map(|stage| (StageName::from(stage.metadata.name), stage.status.metadata)).collect());
        context.secrets = Secrets::from_maps(self.secrets);
        let types = self.shared_secret_types;
        context.shared_secrets =
            Secrets::from_maps(self.shared_secrets.into_iter().filter(|(name, _)| types.get(name).is_none_or(|kind| kind == "generic")).collect());
        context.config_maps = Arc::new(self.config_maps);
        context.shared_config_maps = Arc::new(self.shared_config_maps);
        context.discovered = Arc::new(self.discovered);
        let mut env = BTreeMap::new();
        for (name, value) in self.env {
            let value = match (name.as_str(), &value) {
                ("commitDate" | "creatorDate", serde_json::Value::String(text)) => super::date(text)?,
                _ => Value::from_json(&value),
            };
            env.insert(name, value);
        }
        context.env = Arc::new(env);
        if let Some(file) = self.response {
            let headers: Vec<(String, String)> = file.headers.into_iter().collect();
            let content_type = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type")).map_or("", |(_, value)| value.as_str());
            let body = Value::from_json(&read_body(content_type, &file.body)?);
            context.response = response(file.status, &headers, body);
        }
        context.result = Value::from_json(&self.result);
        Ok(context)
    }
}
