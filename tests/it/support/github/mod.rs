//! A test GitHub: pull requests with state over the bare repositories of the test Git server.
//!
//! Commits, branches and mergeability cannot lie, because merging is done by git in the bare repository. Every request and every answer is
//! checked against GitHub's own description; a route that it does not have, or a field that is misspelt, fails the test when the server is
//! dropped. What the description is silent about (the words of a 422, paging, rate limits) follows GitHub's documentation:
//! <https://docs.github.com/en/rest/using-the-rest-api>.

mod contract;
mod pulls;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::git_server::Repository;
use contract::Contract;
pub use pulls::MergeMethod;
use pulls::Pulls;

/// The token that the server knows.
pub const TOKEN: &str = "ghp_test0000000000000000000000000000000000";

/// What goes wrong with the next request of a method whose path contains a text.
#[derive(Clone)]
pub enum Fault {
    /// Nothing is done, this status is the answer.
    Status(u16),
    /// All is done, but the answer never comes.
    LoseAnswer,
    /// Nothing is done: too many requests, and when to come back, in seconds.
    RateLimit(u64),
    /// Nothing is done: the hour's requests are used up; when it ends, in seconds from now.
    UsedUp(i64),
    /// Somebody does something just before.
    Before(Arc<dyn Fn() + Send + Sync>),
}

/// One request as it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Method and path without query.
    pub request: String,
    /// Query.
    pub query: String,
    /// Status of the answer.
    pub status: u16,
}

struct Shared {
    repositories: Mutex<BTreeMap<String, Pulls>>,
    log: Mutex<Vec<Logged>>,
    faults: Mutex<VecDeque<(String, String, Fault)>>,
    violations: Mutex<Vec<String>>,
}

/// The server; it stops when dropped, and then says what broke the description.
pub struct GitHub {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn new(status: u16, body: Value) -> Self {
        Self { status, headers: HeaderMap::new(), body }
    }

    fn error(status: u16, message: &str) -> Self {
        Self::new(status, json!({"message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string()}))
    }

    fn invalid(errors: Value) -> Self {
        Self::new(422, json!({"message": "Validation Failed", "errors": errors, "documentation_url": "https://docs.github.com/rest/pulls/pulls"}))
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        self
    }
}

impl GitHub {
    /// A GitHub without repositories.
    pub fn start() -> Self {
        let shared =
            Arc::new(Shared { repositories: Mutex::default(), log: Mutex::default(), faults: Mutex::default(), violations: Mutex::default() });
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let state = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let app = axum::Router::new().fallback(answer).with_state(state);
                tokio::select! {
                    result = axum::serve(listener, app).into_future() => result.unwrap(),
                    _ = stopped => {}
                }
            });
            runtime.shutdown_timeout(Duration::from_millis(200));
        });
        let address = told.recv_timeout(Duration::from_secs(10)).unwrap();
        Self { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// Address of the API, as an Enterprise server has it.
    pub fn api(&self) -> String {
        format!("http://{}/api/v3", self.address)
    }

    /// Lets a bare repository be `owner/name` here.
    pub fn host(&self, full_name: &str, repository: &Repository) {
        let pulls = Pulls::new(full_name, repository.clone(), self.api());
        self.shared.repositories.lock().unwrap().insert(full_name.to_owned(), pulls);
    }

    /// Makes the next request of a method whose path contains a text go wrong, once per call.
    pub fn inject(&self, method: &str, path_contains: &str, fault: Fault) {
        self.shared.faults.lock().unwrap().push_back((method.to_owned(), path_contains.to_owned(), fault));
    }

    /// The requests since the last call; forgets them.
    pub fn take_requests(&self) -> Vec<Logged> {
        std::mem::take(&mut *self.shared.log.lock().unwrap())
    }

    /// Does something that a person does.
    pub fn with<T>(&self, full_name: &str, act: impl FnOnce(&mut Pulls) -> T) -> T {
        act(self.shared.repositories.lock().unwrap().get_mut(full_name).unwrap())
    }
}

impl Drop for GitHub {
    fn drop(&mut self) {
        self.stop.take().map(|stop| stop.send(()));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let violations = self.shared.violations.lock().unwrap();
        assert!(std::thread::panicking() || violations.is_empty(), "against GitHub's description:\n{}", violations.join("\n"));
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let fault = {
        let mut faults = shared.faults.lock().unwrap();
        let at = faults.iter().position(|(method, text, _)| method == parts.method.as_str() && path.contains(text));
        at.and_then(|at| faults.remove(at)).map(|(_, _, fault)| fault)
    };
    if let Some(Fault::Before(act)) = &fault {
        act();
    }
    let answer = match fault {
        Some(Fault::Status(status)) => Answer::error(status, "injected"),
        Some(Fault::RateLimit(seconds)) => {
            Answer::error(403, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.")
                .header("retry-after", &seconds.to_string())
        }
        Some(Fault::UsedUp(seconds)) => {
            let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
            Answer::error(403, "API rate limit exceeded for installation.")
                .header("x-ratelimit-remaining", "0")
                .header("x-ratelimit-reset", &(i64::try_from(now).unwrap() + seconds).to_string())
        }
        _ => {
            let shared = Arc::clone(&shared);
            let (method, headers, path, query) = (parts.method.to_string(), parts.headers.clone(), path.clone(), query.clone());
            // git runs in the bare repository.
            tokio::task::spawn_blocking(move || serve(&shared, &method, &headers, &path, &query, &body)).await.unwrap()
        }
    };
    shared.log.lock().unwrap().push(Logged { request: format!("{} {path}", parts.method), query, status: answer.status });
    let body = if matches!(fault, Some(Fault::LoseAnswer)) {
        Body::from_stream(futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("cut"))]))
    } else {
        Body::from(answer.body.to_string())
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap();
    *response.headers_mut() = answer.headers;
    response.headers_mut().insert(header::CONTENT_TYPE, "application/json; charset=utf-8".parse().unwrap());
    response
}

fn serve(shared: &Shared, method: &str, headers: &HeaderMap, path: &str, query: &str, body: &[u8]) -> Answer {
    let violate = |what: String| shared.violations.lock().unwrap().push(format!("{method} {path}?{query}: {what}"));
    let path = path.strip_prefix("/api/v3").unwrap_or(path);
    let Some((operation, values)) = Contract::get().operation(method, path) else {
        violate("there is no such route".to_owned());
        return Answer::error(404, "Not Found");
    };
    let query: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    for wrong in Contract::get().check_request(operation, &query, body) {
        violate(wrong);
    }
    if headers.get(header::USER_AGENT).is_none() {
        violate("GitHub wants a `User-Agent`".to_owned());
    }
    if headers.get(header::ACCEPT).is_none_or(|accept| accept != "application/vnd.github+json") {
        violate("`Accept` is not `application/vnd.github+json`".to_owned());
    }
    if headers.get(header::AUTHORIZATION).is_none_or(|value| value.as_bytes() != format!("Bearer {TOKEN}").as_bytes()) {
        return Answer::error(401, "Bad credentials");
    }
    let mut repositories = shared.repositories.lock().unwrap();
    let Some(pulls) = repositories.get_mut(&format!("{}/{}", values["owner"], values["repo"])) else {
        return Answer::error(404, "Not Found");
    };
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let number = values.get("pull_number").or(values.get("issue_number")).and_then(|number| number.parse().ok()).unwrap_or(0);
    let answer = match (method, operation.path) {
        ("GET", "/repos/{owner}/{repo}/pulls") => pulls.list(&query),
        ("POST", "/repos/{owner}/{repo}/pulls") => pulls.create(&body),
        ("GET", "/repos/{owner}/{repo}/pulls/{pull_number}") => pulls.get(number),
        ("PATCH", "/repos/{owner}/{repo}/pulls/{pull_number}") => pulls.update(number, &body),
        ("PUT", "/repos/{owner}/{repo}/pulls/{pull_number}/merge") => pulls.put_merge(number, &body),
        ("POST", "/repos/{owner}/{repo}/issues/{issue_number}/labels") => pulls.add_labels(number, &body),
        _ => {
            violate("the test GitHub does not answer this".to_owned());
            Answer::error(404, "Not Found")
        }
    };
    for wrong in Contract::get().check_answer(operation, answer.status, &answer.body) {
        violate(format!("answer {}: {wrong}", answer.status));
    }
    answer
}
