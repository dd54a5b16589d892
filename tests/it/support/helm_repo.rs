//! Chart repositories on loopback: a classic one, and an OCI registry as far as pulling charts goes.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// A packaged chart.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its name, of `Chart.yaml`.
    pub name: String,
    /// Its version, of `Chart.yaml`.
    pub version: String,
    /// The `.tgz`.
    pub bytes: Vec<u8>,
}

/// Packages a chart from its files, as `helm package` does.
pub fn package(files: &BTreeMap<String, String>) -> Package {
    type Packages = HashMap<BTreeMap<String, String>, Package>;
    static KNOWN: LazyLock<Mutex<Packages>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().expect("no poison");
    if let Some(package) = known.get(files) {
        return package.clone();
    }
    let field = |key: &str| {
        let line = files["Chart.yaml"].lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.expect("a field of Chart.yaml").trim().trim_matches('"').to_owned()
    };
    let (name, version) = (field("name"), field("version"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (path, text) in files {
        let path = folder.path().join(&name).join(path);
        std::fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    let output = Command::new("tar").args(["-czf", "-", &name]).current_dir(folder.path()).output().expect("tar runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let package = Package { name, version, bytes: output.stdout };
    known.insert(files.clone(), package.clone());
    package
}

/// What a server answers, and what it was asked.
#[derive(Default)]
struct Content {
    /// Path to content type and body.
    answers: BTreeMap<String, (String, Vec<u8>)>,
    login: Option<(String, String)>,
    asked: Mutex<Vec<String>>,
}

/// A server of charts; it ends when dropped.
pub struct ChartServer {
    /// `host:port`.
    pub host: String,
    content: Arc<Content>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl ChartServer {
    /// A classic repository: `index.yaml` and packages.
    pub fn repository(packages: &[Package]) -> Self {
        Self::start(Content { answers: repository(packages), ..Content::default() })
    }

    /// A classic repository that wants a login.
    pub fn private_repository(packages: &[Package], username: &str, password: &str) -> Self {
        Self::start(Content { answers: repository(packages), login: Some((username.into(), password.into())), ..Content::default() })
    }

    /// An OCI registry with charts by the path they were pushed under.
    pub fn registry<'a>(charts: impl IntoIterator<Item = (&'a str, Vec<Package>)>) -> Self {
        let mut answers = BTreeMap::from([("/v2/".to_owned(), ("application/json".to_owned(), b"{}".to_vec()))]);
        for (path, packages) in charts {
            let mut tags: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for package in packages {
                let base = format!("/v2/{path}/{}", package.name);
                let config = format!("{{\"apiVersion\":\"v2\",\"name\":\"{}\",\"version\":\"{}\"}}", package.name, package.version).into_bytes();
                let manifest = format!(
                    "{{\"schemaVersion\":2,\"mediaType\":\"{MANIFEST}\",\"config\":{},\"layers\":[{}]}}",
                    descriptor("application/vnd.cncf.helm.config.v1+json", &config),
                    descriptor("application/vnd.cncf.helm.chart.content.v1.tar+gzip", &package.bytes),
                )
                .into_bytes();
                // A tag has no `+`.
                let tag = package.version.replace('+', "_");
                for reference in [tag.clone(), digest(&manifest)] {
                    answers.insert(format!("{base}/manifests/{reference}"), (MANIFEST.into(), manifest.clone()));
                }
                for blob in [config, package.bytes] {
                    answers.insert(format!("{base}/blobs/{}", digest(&blob)), ("application/octet-stream".into(), blob));
                }
                tags.entry(base).or_default().push(tag);
            }
            for (base, tags) in tags {
                let name = base.trim_start_matches("/v2/").to_owned();
                let list = serde_json::json!({"name": name, "tags": tags}).to_string();
                answers.insert(format!("{base}/tags/list"), ("application/json".into(), list.into_bytes()));
            }
        }
        Self::start(Content { answers, ..Content::default() })
    }

    /// The paths that were asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.content.asked.lock().expect("no poison").clone()
    }

    /// On a thread and runtime of its own, so that tests may block while it answers.
    fn start(content: Content) -> Self {
        let content = Arc::new(content);
        let router = Router::new().fallback(answer).with_state(Arc::clone(&content));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let host = listener.local_addr().expect("an address").to_string();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    _ = stopped => {}
                    served = std::future::IntoFuture::into_future(axum::serve(listener, router)) => served.expect("it serves"),
                }
            });
        });
        Self { host, content, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for ChartServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn descriptor(media_type: &str, bytes: &[u8]) -> String {
    format!("{{\"mediaType\":\"{media_type}\",\"digest\":\"{}\",\"size\":{}}}", digest(bytes), bytes.len())
}

fn repository(packages: &[Package]) -> BTreeMap<String, (String, Vec<u8>)> {
    let mut answers = BTreeMap::new();
    let mut entries: BTreeMap<&str, String> = BTreeMap::new();
    for package in packages {
        let Package { name, version, bytes } = package;
        let file = format!("{name}-{version}.tgz");
        let entry = entries.entry(name).or_default();
        let _ = writeln!(
            entry,
            "  - {{apiVersion: v2, name: {name}, version: {version:?}, created: \"2026-01-15T08:30:00Z\", digest: {}, urls: [{file}]}}",
            hex::encode(Sha256::digest(bytes))
        );
        answers.insert(format!("/{file}"), ("application/gzip".to_owned(), bytes.clone()));
    }
    let mut index = "apiVersion: v1\nentries:\n".to_owned();
    for (name, versions) in entries {
        let _ = write!(index, "  {name}:\n{versions}");
    }
    answers.insert("/index.yaml".into(), ("application/yaml".into(), index.into_bytes()));
    answers
}

async fn answer(State(content): State<Arc<Content>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    content.asked.lock().expect("no poison").push(uri.path().to_owned());
    if let Some((username, password)) = &content.login {
        use base64::Engine as _;
        let wanted = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}")));
        if headers.get("authorization").is_none_or(|given| given.as_bytes() != wanted.as_bytes()) {
            return (StatusCode::UNAUTHORIZED, "who are you?").into_response();
        }
    }
    match content.answers.get(uri.path()) {
        None => (StatusCode::NOT_FOUND, "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\"}]}").into_response(),
        Some((kind, body)) => {
            let headers = [("content-type", kind.clone()), ("docker-content-digest", digest(body)), ("content-length", body.len().to_string())];
            let body = if method == Method::HEAD { Vec::new() } else { body.clone() };
            (headers, body).into_response()
        }
    }
}
