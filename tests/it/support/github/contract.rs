//! GitHub's published description of its REST API, the slice of it that we use: what a request may say and what an answer must say.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, OnceLock};

use serde_json::{Value, json};

/// The description.
pub struct Contract {
    document: Value,
    validators: Mutex<HashMap<String, std::sync::Arc<jsonschema::Validator>>>,
}

/// An operation of the description.
#[derive(Clone, Copy)]
pub struct Operation<'a> {
    /// Path with its placeholders.
    pub path: &'a str,
    method: &'a str,
    value: &'a Value,
}

impl Contract {
    /// The one of this test binary.
    pub fn get() -> &'static Self {
        static CONTRACT: OnceLock<Contract> = OnceLock::new();
        CONTRACT.get_or_init(|| {
            let text = include_str!("../../../openapi/github.json");
            let document: Value = serde_json::from_str(text).unwrap();
            Self { document: nullable_as_json_schema(document), validators: Mutex::default() }
        })
    }

    /// GitHub's own example of a pull request. Its `requested_teams` break GitHub's own schema, so they are left out.
    pub fn example_pull(&self) -> Value {
        let mut example = self.document["x-examples"]["pull-request"].clone();
        example["requested_teams"] = json!([]);
        example
    }

    /// The fields that a schema of the description knows.
    pub fn fields_of(&self, schema: &str) -> Vec<String> {
        self.document["components"]["schemas"][schema]["properties"].as_object().unwrap().keys().cloned().collect()
    }

    /// The operation of a request, and the values of the placeholders; None: the description has none.
    pub fn operation(&self, method: &str, path: &str) -> Option<(Operation<'_>, BTreeMap<String, String>)> {
        let method = method.to_lowercase();
        let asked: Vec<&str> = path.trim_matches('/').split('/').collect();
        for (template, operations) in self.document["paths"].as_object().unwrap() {
            let parts: Vec<&str> = template.trim_matches('/').split('/').collect();
            if parts.len() != asked.len() {
                continue;
            }
            let mut values = BTreeMap::new();
            let matches = parts.iter().zip(&asked).all(|(part, asked)| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                Some(name) => {
                    values.insert(name.to_owned(), (*asked).to_owned());
                    true
                }
                None => part == asked,
            });
            if let (true, Some((method, value))) = (matches, operations.as_object().unwrap().get_key_value(&method)) {
                return Some((Operation { path: template, method, value }, values));
            }
        }
        None
    }

    /// What is wrong with a request.
    pub fn check_request(&self, operation: Operation<'_>, query: &[(String, String)], body: &[u8]) -> Vec<String> {
        let mut wrong = Vec::new();
        let parameters: Vec<&Value> = operation.value["parameters"].as_array().into_iter().flatten().map(|one| self.resolve(one)).collect();
        for (name, value) in query {
            match parameters.iter().find(|one| one["in"] == "query" && one["name"] == name.as_str()) {
                None => wrong.push(format!("unknown query parameter `{name}`")),
                Some(parameter) => {
                    let value =
                        if parameter["schema"]["type"] == "integer" { value.parse::<i64>().map_or(json!(value), Value::from) } else { json!(value) };
                    let key = format!("{} {} ?{name}", operation.method, operation.path);
                    wrong
                        .extend(self.check(&key, &parameter["schema"], &value).into_iter().map(|error| format!("query parameter `{name}`: {error}")));
                }
            }
        }
        let schema = &operation.value["requestBody"]["content"]["application/json"]["schema"];
        if body.is_empty() {
            if operation.value["requestBody"]["required"] == true {
                wrong.push("a body is missing".to_owned());
            }
            return wrong;
        }
        if schema.is_null() {
            wrong.push("there is a body where none belongs".to_owned());
            return wrong;
        }
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            wrong.push("the body is no JSON".to_owned());
            return wrong;
        };
        // The description leaves objects open, so a misspelt field would pass.
        let known: Vec<&String> = std::iter::once(schema)
            .chain(schema["oneOf"].as_array().into_iter().flatten())
            .filter_map(|one| one["properties"].as_object())
            .flat_map(|fields| fields.keys())
            .collect();
        let unknown = body.as_object().into_iter().flat_map(|fields| fields.keys()).filter(|field| !known.contains(field));
        wrong.extend(unknown.map(|field| format!("unknown field `{field}`")));
        wrong.extend(self.check(&format!("{} {}", operation.method, operation.path), schema, &body));
        wrong
    }

    /// What is wrong with an answer.
    pub fn check_answer(&self, operation: Operation<'_>, status: u16, body: &Value) -> Vec<String> {
        let answer = &operation.value["responses"][status.to_string()];
        if answer.is_null() {
            return vec![format!("status {status} is not among the answers")];
        }
        let answer = self.resolve(answer);
        let schema = &answer["content"]["application/json"]["schema"];
        if schema.is_null() {
            return Vec::new();
        }
        self.check(&format!("{} {} {status}", operation.method, operation.path), schema, body)
    }

    fn check(&self, key: &str, schema: &Value, value: &Value) -> Vec<String> {
        let validator = {
            let mut validators = self.validators.lock().unwrap();
            let make = || {
                let root = json!({"components": self.document["components"], "allOf": [schema]});
                std::sync::Arc::new(jsonschema::options().with_draft(jsonschema::Draft::Draft4).build(&root).unwrap())
            };
            validators.entry(key.to_owned()).or_insert_with(make).clone()
        };
        validator.iter_errors(value).map(|error| format!("`{}`: {error}", error.instance_path())).collect()
    }

    fn resolve<'v>(&'v self, value: &'v Value) -> &'v Value {
        match value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
            Some(pointer) => self.document.pointer(pointer).unwrap(),
            None => value,
        }
    }
}

/// OpenAPI 3.0 says `nullable` where JSON Schema says that a type may be `null`.
fn nullable_as_json_schema(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(nullable_as_json_schema).collect(),
        Value::Object(fields) => {
            let mut fields: serde_json::Map<String, Value> = fields.into_iter().map(|(key, value)| (key, nullable_as_json_schema(value))).collect();
            if fields.get("nullable") != Some(&Value::Bool(true)) {
                return Value::Object(fields);
            }
            fields.shift_remove("nullable");
            match fields.get("type").cloned() {
                Some(Value::String(kind)) => {
                    fields.insert("type".into(), json!([kind, "null"]));
                    if let Some(Value::Array(allowed)) = fields.get_mut("enum") {
                        allowed.push(Value::Null);
                    }
                    Value::Object(fields)
                }
                _ => json!({"anyOf": [fields, {"type": "null"}]}),
            }
        }
        other => other,
    }
}
