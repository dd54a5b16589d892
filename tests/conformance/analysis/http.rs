//! Measurements against a server on the loopback interface.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use consign::verify::providers::Providers;
use consign::verify::providers::job::{Jobs, Runner};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::look_once;

/// Headers that say nothing about the metric.
const OF_THE_CLIENT: [&str; 6] = ["user-agent", "accept-encoding", "content-length", "referer", "host", "connection"];

struct Seen {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// A server that answers one request after the other; the last answer repeats.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    fn start(answers: &Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answers = match answers {
            Value::Array(answers) => answers.clone(),
            Value::Null => return Self { port, seen },
            one => vec![one.clone()],
        };
        let requests = Arc::clone(&seen);
        std::thread::spawn(move || {
            for (index, stream) in listener.incoming().enumerate() {
                let Ok(stream) = stream else { return };
                let answer = answers[index.min(answers.len() - 1)].clone();
                let requests = Arc::clone(&requests);
                std::thread::spawn(move || serve(stream, &answer, &requests));
            }
        });
        Self { port, seen }
    }

    fn requests(&self) -> Vec<Value> {
        let seen = self.seen.lock().expect("no poison");
        seen.iter()
            .map(|request| {
                let mut value = json!({"method": request.method, "path": request.path});
                let own = |name: &str, text: &str| OF_THE_CLIENT.contains(&name) || (name == "accept" && text == "*/*");
                let headers: BTreeMap<_, _> = request.headers.iter().filter(|(name, text)| !own(name, text)).collect();
                if !headers.is_empty() {
                    value["headers"] = json!(headers);
                }
                if !request.body.is_empty() {
                    value["body"] = json!(request.body);
                }
                value
            })
            .collect()
    }
}

fn serve(stream: TcpStream, answer: &Value, requests: &Mutex<Vec<Seen>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(Some(0), |length| length.parse().ok())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    requests.lock().ok()?.push(Seen { method, path, headers, body: String::from_utf8_lossy(&body).into_owned() });
    if answer["close"] == json!(true) {
        return None;
    }
    if let Some(delay) = answer["delay"].as_str() {
        std::thread::sleep(delay.parse::<consign::model::GoDuration>().ok()?.unsigned());
    }
    let body = answer["body"].as_str().unwrap_or_default();
    let mut text = format!("HTTP/1.1 {} Answer\r\nConnection: close\r\n", answer["status"].as_u64().unwrap_or(200));
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        text.push_str(&format!("{name}: {}\r\n", value.as_str()?));
    }
    if answer["status"] != json!(204) {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    let mut stream = stream;
    stream.write_all(format!("{text}\r\n{body}").as_bytes()).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.shutdown(std::net::Shutdown::Write).ok()
}

fn measure(case: &Value, server: &Server) -> (Value, Value) {
    let metric = case["metric"].to_string().replace("PORT", &server.port.to_string());
    let metric: Value = serde_json::from_str(&metric).expect("JSON");
    let jobs = Jobs { runner: Runner::Process, env: Arc::default(), secrets: consign::expr::Secrets::default() };
    let run = look_once(case, &metric, &Providers::new(jobs), Timestamp::now());
    let Some(result) = run.status.metric_results.first() else {
        return (json!({"runPhase": run.status.phase, "runMessage": run.status.message}), Value::Null);
    };
    let measurement = result.measurements.last().expect("a measurement");
    let mut got = json!({"phase": measurement.phase});
    for (key, text) in [("value", &measurement.value), ("message", &measurement.message)] {
        if !text.is_empty() {
            got[key] = json!(text);
        }
    }
    if !measurement.metadata.is_empty() {
        got["metadata"] = json!(measurement.metadata);
    }
    (got, json!(result.metadata))
}

/// Names of headers as the cases write them are compared in lower case.
fn lower_headers(request: &mut Value) {
    if let Some(headers) = request["headers"].as_object() {
        request["headers"] = headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
    }
}

/// Puts the requests into the result in the case's own words if they are what the case wants, else as they were.
fn compare_requests(case: &Value, got: &mut Value, requests: Vec<Value>) {
    let same = |want: &Value, got: &Value| {
        let mut want = want.clone();
        lower_headers(&mut want);
        want == *got
    };
    let wanted = [&case["want"], &case["sane"]].into_iter().find_map(|want| want.get("requests").or(want.get("request")));
    match wanted {
        Some(Value::Array(want)) if want.len() == requests.len() && want.iter().zip(&requests).all(|(want, got)| same(want, got)) => {
            got["requests"] = json!(want);
        }
        Some(want @ Value::Object(_)) if requests.len() == 1 && same(want, &requests[0]) => got["request"] = want.clone(),
        Some(_) => got["requests"] = json!(requests),
        // The cases show requests only where they matter.
        None => {}
    }
}

pub fn web(case: &Value) -> Value {
    let server = Server::start(&case["server"]);
    let (mut got, _) = measure(case, &server);
    compare_requests(case, &mut got, server.requests());
    got
}

pub fn prometheus(case: &Value) -> Value {
    let server = Server::start(&case["answer"]);
    let (mut got, metadata) = measure(case, &server);
    if let Some(Value::Object(want)) = case["want"].get("metricMetadata") {
        let shown: BTreeMap<_, _> = want.keys().map(|key| (key, &metadata[key])).collect();
        got["metricMetadata"] = json!(shown);
    }
    let requests = server.requests().into_iter().map(|request| decoded(&request)).collect();
    compare_requests(&with_decoded_paths(case), &mut got, requests);
    if let Some(requests) = got.get("requests")
        && case["want"].get("requests").is_some_and(|want| with_decoded_paths(case)["want"]["requests"] == *requests && !want.is_null())
    {
        got["requests"] = case["want"]["requests"].clone();
    }
    got
}

/// A query's order and escapes say nothing: the path in a form that depends on neither.
fn decoded_path(path: &str) -> String {
    let Some((path, query)) = path.split_once('?') else { return path.to_owned() };
    let mut pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    for (key, value) in &mut pairs {
        if key == "time" && value != "<now>" {
            *value = now_or(value);
        }
    }
    pairs.sort();
    format!("{path}?{pairs:?}")
}

fn now_or(text: &str) -> String {
    let near = text.parse::<f64>().is_ok_and(|at| (at - Timestamp::now().as_second() as f64).abs() < 30.0);
    if near { "<now>".into() } else { text.into() }
}

fn with_decoded_paths(case: &Value) -> Value {
    let mut case = case.clone();
    for request in case["want"].get_mut("requests").and_then(Value::as_array_mut).into_iter().flatten() {
        request["path"] = json!(decoded_path(request["path"].as_str().expect("a path")));
    }
    case
}

/// A request of the query API as the cases show it.
fn decoded(request: &Value) -> Value {
    let mut request = request.clone();
    request["path"] = json!(decoded_path(request["path"].as_str().expect("a path")));
    if let Some(Value::String(body)) = request.as_object_mut().expect("an object").remove("body") {
        let mut form: BTreeMap<String, Value> =
            url::form_urlencoded::parse(body.as_bytes()).map(|(key, value)| (key.into_owned(), json!(value))).collect();
        if let Some(time) = form.get_mut("time") {
            *time = json!(now_or(time.as_str().expect("text")));
        }
        let number = |value: Option<Value>| value.and_then(|value| value.as_str()?.parse::<f64>().ok());
        if let (Some(start), Some(end)) = (number(form.remove("start")), number(form.remove("end"))) {
            form.insert("endMinusStart".into(), json!((end - start).round() as i64));
            form.insert("nowMinusEnd".into(), json!(((Timestamp::now().as_second() as f64 - end) / 30.0) as i64));
        }
        request["form"] = json!(form);
    }
    request
}
