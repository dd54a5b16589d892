//! `web`: one request, whose answer is the result.

use std::time::Duration;

use serde::Deserialize;

use super::Observation;
use super::http::{self, Authentication, Client, Header};
use super::json_path::Template;
use crate::expr::{Value, go_json};
use crate::model::null_is_default;

/// Seconds a request may take where nothing is said.
const TIMEOUT: u64 = 10;

/// `provider.web` of a metric.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Web {
    method: String,
    url: String,
    #[serde(deserialize_with = "null_is_default")]
    headers: Vec<Header>,
    body: String,
    json_body: Option<serde_json::Value>,
    timeout_seconds: i64,
    json_path: String,
    insecure: bool,
    #[serde(deserialize_with = "null_is_default")]
    authentication: Authentication,
}

/// Sends the request.
///
/// # Errors
/// A request that cannot be made or is not answered with success, and a path that finds nothing in the answer.
pub async fn observe(client: &Client, web: &Web) -> Result<Observation, String> {
    let method = if web.method.is_empty() { "GET" } else { web.method.as_str() };
    let json_body = web.json_body.as_ref().filter(|body| !body.is_null());
    if method == "GET" && (!web.body.is_empty() || json_body.is_some()) {
        return Err("`body` and `jsonBody` need the method POST or PUT".into());
    }
    if !web.body.is_empty() && json_body.is_some() {
        return Err("use either `body` or `jsonBody`, not both".into());
    }
    let timeout = Duration::from_secs(u64::try_from(web.timeout_seconds).ok().filter(|seconds| *seconds > 0).unwrap_or(TIMEOUT));
    let fail = |reason: String| format!("{method} `{}`: {reason}", web.url);
    let request = client.request(method, &web.url, web.insecure, timeout)?;
    let identity = web.authentication.identity(client, web.insecure, timeout).await?;
    let mut headers = web.headers.clone();
    if json_body.is_some() {
        headers.push(Header { key: "Content-Type".into(), value: "application/json".into() });
    }
    let mut request = identity.on(http::with_headers(request, &headers)?);
    if let Some(body) = json_body {
        request = request.body(body.to_string());
    } else if !web.body.is_empty() {
        request = request.body(web.body.clone());
    }
    let answer = http::send(request).await.map_err(fail)?;
    if !answer.is_success() {
        return Err(fail(format!("received non 2xx response code: {}", answer.status)));
    }
    read(&answer.body, &web.json_path)
}

/// The result in an answer: what the path finds first in its JSON, or the text.
fn read(body: &[u8], path: &str) -> Result<Observation, String> {
    let Ok(document) = serde_json::from_slice::<serde_json::Value>(body) else {
        let text = String::from_utf8_lossy(body).into_owned();
        return Ok(Observation { value: text.as_str().into(), text, metadata: Vec::new() });
    };
    let path = if path.is_empty() { "{$}" } else { path };
    let template = Template::parse(path).map_err(|reason| format!("`jsonPath` `{path}`: {reason}"))?;
    let found = template.find(&document).map_err(|reason| format!("could not find `jsonPath` `{path}` in the answer: {reason}"))?;
    let first = found.into_iter().next().ok_or_else(|| format!("`jsonPath` `{path}` finds no value in the answer"))?;
    let value = Value::from_json(&first);
    let text = go_json(&value).map_err(|error| error.message)?;
    Ok(Observation { value, text, metadata: Vec::new() })
}
