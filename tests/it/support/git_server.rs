//! A real Git server on loopback: `git http-backend` by CGI behind axum, over bare repositories in a temporary folder.
//!
//! It stands on its own (`#[path]` it into other test targets and benches) and runs on threads of its own, so tests may be sync or async.

#![allow(dead_code, clippy::unwrap_used)]

use std::collections::VecDeque;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use tokio::io::AsyncWriteExt as _;

/// One request as it was answered.
#[derive(Clone, Debug)]
pub struct Logged {
    /// `GET` or `POST`.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// Status of the answer.
    pub status: u16,
    /// Bytes of the request's body.
    pub received: u64,
    /// Bytes of the answer's body.
    pub sent: u64,
    /// Whether it carried an `Authorization` header.
    pub authorized: bool,
}

/// What goes wrong with the next request whose path contains a text.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing is done, this status is the answer.
    Status(u16),
    /// All is done, but the answer is cut in its middle.
    CutAnswer,
    /// All is done, but the connection is closed without an answer. git's HTTP library then sends a request on a used connection again.
    NoAnswer,
    /// All is done, later.
    Delay(Duration),
}

#[derive(Clone)]
struct Shared {
    root: PathBuf,
    password: Option<(String, String)>,
    log: Arc<Mutex<Vec<Logged>>>,
    faults: Arc<Mutex<VecDeque<(String, Fault)>>>,
}

/// The server; it stops when dropped.
pub struct GitServer {
    address: SocketAddr,
    shared: Shared,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl GitServer {
    /// A server that lets everybody read and write.
    pub fn start() -> Self {
        Self::launch(None)
    }

    /// A server that wants this user and password for everything.
    pub fn with_password(user: &str, password: &str) -> Self {
        Self::launch(Some((user.to_owned(), password.to_owned())))
    }

    fn launch(password: Option<(String, String)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shared = Shared { root: folder.path().to_owned(), password, log: Arc::default(), faults: Arc::default() };
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let state = shared.clone();
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
        Self { address, shared, stop: Some(stop), thread: Some(thread), _folder: folder }
    }

    /// Host and port.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// URL of a repository.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}.git", self.address)
    }

    /// Makes an empty bare repository that allows partial clones.
    pub fn repository(&self, name: &str) -> Repository {
        let folder = self.shared.root.join(format!("{name}.git"));
        std::fs::create_dir_all(&folder).unwrap();
        let repository = Repository { folder, url: self.url(name) };
        repository.git(&["init", "-q", "--bare", "-b", "main", "."]);
        repository.git(&["config", "http.receivepack", "true"]);
        repository.git(&["config", "uploadpack.allowFilter", "true"]);
        repository.git(&["config", "gc.auto", "0"]);
        repository
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Logged> {
        self.shared.log.lock().unwrap().clone()
    }

    /// The requests since the last call; forgets them.
    pub fn take_requests(&self) -> Vec<Logged> {
        std::mem::take(&mut *self.shared.log.lock().unwrap())
    }

    /// Makes the next request whose path (with query) contains a text go wrong, once per call.
    pub fn inject(&self, path_contains: &str, fault: Fault) {
        self.shared.faults.lock().unwrap().push_back((path_contains.to_owned(), fault));
    }

    /// How many faults have not met their request yet.
    pub fn faults_left(&self) -> usize {
        self.shared.faults.lock().unwrap().len()
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.stop.take().map(|stop| stop.send(()));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A bare repository of the server.
#[derive(Clone, Debug)]
pub struct Repository {
    folder: PathBuf,
    url: String,
}

impl Repository {
    /// Its folder on disk.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs git in it and gives back what it printed.
    pub fn git(&self, args: &[&str]) -> String {
        run_git(&self.folder, args, b"")
    }

    /// Commits files on a branch (made if need be; its first commit has no parent): path and content, None deletes. Gives back the commit.
    pub fn commit(&self, branch: &str, message: &str, files: &[(&str, Option<&str>)]) -> String {
        let full = format!("refs/heads/{branch}");
        let mut import = Vec::new();
        writeln!(import, "commit {full}\ncommitter Ada <ada@example.com> 1700000000 +0000\ndata {}\n{message}", message.len()).unwrap();
        if let Some(tip) = self.tip(&full) {
            writeln!(import, "from {tip}").unwrap();
        }
        for (path, content) in files {
            match content {
                Some(content) => writeln!(import, "M 100644 inline {path}\ndata {}\n{content}", content.len()).unwrap(),
                None => writeln!(import, "D {path}").unwrap(),
            }
        }
        run_git(&self.folder, &["fast-import", "--quiet", "--force"], &import);
        self.tip(&full).unwrap()
    }

    /// Where a ref stands.
    pub fn tip(&self, name: &str) -> Option<String> {
        let output = sealed(&self.folder).args(["rev-parse", "--verify", "--quiet", name]).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    /// The content of a file at a revision.
    pub fn file(&self, revision: &str, path: &str) -> Option<String> {
        let output = sealed(&self.folder).args(["show", &format!("{revision}:{path}")]).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    /// Installs a server hook: `update`, `pre-receive`, `post-receive` ...
    pub fn hook(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.folder.join("hooks").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// git in a folder, away from the user's configuration.
pub fn sealed(folder: &Path) -> Command {
    let mut command = Command::new("git");
    for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("GIT_")) {
        command.env_remove(key);
    }
    command
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_AUTHOR_NAME", "Ada")
        .env("GIT_AUTHOR_EMAIL", "ada@example.com")
        .env("GIT_COMMITTER_NAME", "Ada")
        .env("GIT_COMMITTER_EMAIL", "ada@example.com")
        .stdin(Stdio::null());
    command
}

/// Runs git, wants success, gives back what it printed.
pub fn run_git(folder: &Path, args: &[&str], stdin: &[u8]) -> String {
    let mut child = sealed(folder).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let fault = {
        let mut faults = shared.faults.lock().unwrap();
        let at = faults.iter().position(|(text, _)| path.contains(text));
        at.and_then(|at| faults.remove(at)).map(|(_, fault)| fault)
    };
    let (status, headers, content) = match &fault {
        Some(Fault::Status(status)) => (StatusCode::from_u16(*status).unwrap(), HeaderMap::new(), Bytes::from_static(b"injected\n")),
        _ if !allowed(&shared, &parts.headers) => {
            let mut headers = HeaderMap::new();
            headers.insert(header::WWW_AUTHENTICATE, "Basic realm=\"git\"".parse().unwrap());
            (StatusCode::UNAUTHORIZED, headers, Bytes::from_static(b"who are you?\n"))
        }
        _ => backend(&shared, &parts, &body).await,
    };
    if let Some(Fault::Delay(pause)) = fault {
        tokio::time::sleep(pause).await;
    }
    shared.log.lock().unwrap().push(Logged {
        method: parts.method.to_string(),
        path,
        status: status.as_u16(),
        received: body.len() as u64,
        sent: content.len() as u64,
        authorized: parts.headers.contains_key(header::AUTHORIZATION),
    });
    let cut = |parts: Vec<Result<Bytes, std::io::Error>>| Body::from_stream(futures::stream::iter(parts));
    let body = match fault {
        Some(Fault::CutAnswer) => cut(vec![Ok(content.slice(..content.len() / 2)), Err(std::io::Error::other("cut"))]),
        Some(Fault::NoAnswer) => cut(vec![Err(std::io::Error::other("cut"))]),
        _ => Body::from(content),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn allowed(shared: &Shared, headers: &HeaderMap) -> bool {
    let Some((user, password)) = &shared.password else { return true };
    let expected = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")));
    headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes() == expected.as_bytes())
}

async fn backend(shared: &Shared, parts: &axum::http::request::Parts, body: &Bytes) -> (StatusCode, HeaderMap, Bytes) {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let mut path = parts.uri.path().to_owned();
    // Forges take a URL without `.git` too.
    if !path.contains(".git/") {
        for end in ["/info/refs", "/git-upload-pack", "/git-receive-pack"] {
            if let Some(start) = path.strip_suffix(end) {
                path = format!("{start}.git{end}");
                break;
            }
        }
    }
    let mut command: tokio::process::Command = sealed(&shared.root).into();
    let mut child = command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &shared.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_HTTP_MAX_REQUEST_BUFFER", "1000M")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("REMOTE_USER", "tester")
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = body.clone();
    let feed = tokio::spawn(async move {
        let _ = stdin.write_all(&input).await;
    });
    let output = child.wait_with_output().await.unwrap();
    let _ = feed.await;
    let split = output.stdout.windows(4).position(|window| window == b"\r\n\r\n");
    let Some(split) = split else { return (StatusCode::INTERNAL_SERVER_ERROR, HeaderMap::new(), Bytes::from_static(b"no answer\n")) };
    let mut status = StatusCode::OK;
    let mut headers = HeaderMap::new();
    for line in String::from_utf8_lossy(&output.stdout[..split]).lines() {
        let Some((name, value)) = line.split_once(": ") else { continue };
        if name.eq_ignore_ascii_case("status") {
            status = value.split(' ').next().unwrap().parse().unwrap();
        } else {
            headers.insert(header::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
    }
    (status, headers, Bytes::copy_from_slice(&output.stdout[split + 4..]))
}
