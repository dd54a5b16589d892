//! `prometheus`: a query, instant or over a range, whose samples are the result.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::Observation;
use super::http::{self, Answer, Authentication, Client, Header};
use crate::expr::{Context, Program, Site, Value};
use crate::model::{GoDuration, null_is_default};

/// Seconds a query may take where nothing is said.
const TIMEOUT: u64 = 30;

/// `provider.prometheus` of a metric.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Prometheus {
    address: String,
    query: String,
    timeout: Option<i64>,
    insecure: bool,
    #[serde(deserialize_with = "null_is_default")]
    headers: Vec<Header>,
    #[serde(deserialize_with = "null_is_default")]
    authentication: Authentication,
    range_query: Option<Range>,
}

/// A range of a query; its ends are expressions that give an instant.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Range {
    start: String,
    end: String,
    step: String,
}

/// What the query API answers.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Response {
    status: String,
    error_type: String,
    error: String,
    #[serde(deserialize_with = "null_is_default")]
    warnings: Vec<String>,
    data: Data,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Data {
    result_type: String,
    result: serde_json::Value,
}

#[derive(Deserialize)]
struct Sample {
    value: (serde_json::Number, String),
}

#[derive(Deserialize)]
struct Series {
    values: Vec<(serde_json::Number, String)>,
}

/// Sends the query.
///
/// # Errors
/// A query that cannot be sent, is refused or not answered, and an answer without samples in it.
pub async fn observe(client: &Client, prometheus: &Prometheus, now: Timestamp) -> Result<Observation, String> {
    let timeout = match prometheus.timeout {
        Some(seconds) if seconds < 0 => return Err("`timeout` must not be negative".into()),
        Some(seconds) if seconds > 0 => seconds.unsigned_abs(),
        _ => TIMEOUT,
    };
    let timeout = Duration::from_secs(timeout);
    if !prometheus.address.contains("://") {
        return Err(format!("`address` is `{}`, which is no URL; write `https://` or `http://` before it", prometheus.address));
    }
    let (endpoint, form) = form(prometheus, now)?;
    let url = format!("{}/api/v1/{endpoint}", prometheus.address.trim_end_matches('/'));
    let fail = |reason: String| format!("cannot query `{}`: {reason}", prometheus.address);
    let identity = prometheus.authentication.identity(client, prometheus.insecure, timeout).await?;
    let request = |method, url: &str| -> Result<_, String> {
        let request = client.request(method, url, prometheus.insecure, timeout)?;
        Ok(identity.on(http::with_headers(request, &prometheus.headers)?))
    };
    let post = request("POST", &url)?.header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.clone());
    let mut answer = http::send(post).await.map_err(fail)?;
    if matches!(answer.status, 405 | 501) {
        answer = http::send(request("GET", &format!("{url}?{form}"))?).await.map_err(fail)?;
    }
    let mut observation = read(&answer).map_err(fail)?;
    observation.metadata.push(("metric:ResolvedPrometheusQuery", prometheus.query.clone()));
    Ok(observation)
}

/// The endpoint and what is sent to it.
fn form(prometheus: &Prometheus, now: Timestamp) -> Result<(&'static str, String), String> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    let seconds = |at: Timestamp| format!("{}.{:03}", at.as_millisecond().div_euclid(1000), at.as_millisecond().rem_euclid(1000));
    let Some(range) = &prometheus.range_query else {
        form.append_pair("query", &prometheus.query).append_pair("time", &seconds(now));
        return Ok(("query", form.finish()));
    };
    let start = instant("start", &range.start, now)?;
    let end = instant("end", &range.end, now)?;
    let step = range.step.parse::<GoDuration>().map_err(|reason| format!("`rangeQuery.step`: {reason}"))?.signed();
    form.append_pair("end", &seconds(end))
        .append_pair("query", &prometheus.query)
        .append_pair("start", &seconds(start))
        .append_pair("step", &step.as_secs_f64().to_string());
    Ok(("query_range", form.finish()))
}

fn instant(field: &str, expression: &str, now: Timestamp) -> Result<Timestamp, String> {
    let fail = |reason: String| format!("`rangeQuery.{field}` gives no instant: {reason}");
    let mut context = Context::default();
    context.now = now;
    let value =
        Program::compile(Site::Measurement, expression).and_then(|program| program.evaluate(&context)).map_err(|error| fail(error.message))?;
    match value {
        Value::Time(time) => Ok(time.timestamp()),
        other => Err(fail(format!("it gives {}; write `now() - duration(\"1h\")`", other.type_name()))),
    }
}

fn read(answer: &Answer) -> Result<Observation, String> {
    if !answer.is_success() && !matches!(answer.status, 400 | 422) {
        return Err(format!("the server answers with status {}", answer.status));
    }
    let response: Response = serde_json::from_slice(&answer.body).map_err(|error| format!("the answer is none of the query API: {error}"))?;
    if response.status != "success" {
        let kind = if response.error_type.is_empty() { "error" } else { response.error_type.as_str() };
        return Err(format!("{kind}: {}", response.error));
    }
    let mut metadata = Vec::new();
    if !response.warnings.is_empty() {
        let quoted: Vec<String> = response.warnings.iter().map(|warning| format!("\"{warning}\"")).collect();
        metadata.push(("warnings", quoted.join(", ")));
    }
    let broken = |error: serde_json::Error| format!("the samples cannot be read: {error}");
    let result = response.data.result;
    let samples: Vec<String> = match response.data.result_type.as_str() {
        "scalar" => {
            let (_, text): (serde_json::Number, String) = serde_json::from_value(result).map_err(broken)?;
            let number = sample(&text)?;
            return Ok(Observation { value: number.into(), text: plain(number), metadata });
        }
        "vector" => serde_json::from_value::<Vec<Sample>>(result).map_err(broken)?.into_iter().map(|sample| sample.value.1).collect(),
        "matrix" => {
            let all: Vec<Series> = serde_json::from_value(result).map_err(broken)?;
            all.into_iter().flat_map(|series| series.values).map(|(_, text)| text).collect()
        }
        other => return Err(format!("results of type `{other}` are not supported; a query gives a scalar, a vector or a matrix")),
    };
    let numbers = samples.iter().map(|text| sample(text)).collect::<Result<Vec<f64>, _>>()?;
    let text = format!("[{}]", numbers.iter().map(|number| plain(*number)).collect::<Vec<_>>().join(","));
    Ok(Observation { value: Value::list(numbers.into_iter().map(Value::from).collect()), text, metadata })
}

fn sample(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("the sample `{text}` is not a number"))
}

/// A number with all its digits, as Prometheus writes it.
fn plain(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    number.to_string()
}
