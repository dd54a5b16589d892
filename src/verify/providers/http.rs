//! HTTP for measurements: redirects, time and size are bounded.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, redirect};

/// Most bytes of an answer that are read.
const BODY_LIMIT: usize = 4 << 20;
/// Redirects followed, as Go's client does.
const REDIRECTS: usize = 10;

/// The clients: one that checks certificates and one that does not, made when they are needed.
#[derive(Default)]
pub struct Client {
    strict: OnceLock<Result<reqwest::Client, String>>,
    insecure: OnceLock<Result<reqwest::Client, String>>,
}

/// An answer.
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Whether the status is one of success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Client {
    /// A request to be filled and sent with [`send`].
    ///
    /// # Errors
    /// A URL that is none; TLS that cannot be set up.
    pub fn request(&self, method: &str, url: &str, insecure: bool, timeout: Duration) -> Result<RequestBuilder, String> {
        let url = reqwest::Url::parse(url).map_err(|error| format!("`{url}` is not a URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(format!("`{url}` is not a URL of HTTP"));
        }
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| format!("`{method}` is not a method of HTTP"))?;
        let cell = if insecure { &self.insecure } else { &self.strict };
        let client = cell.get_or_init(|| build(insecure)).as_ref().map_err(Clone::clone)?;
        Ok(client.request(method, url).timeout(timeout))
    }
}

fn build(insecure: bool) -> Result<reqwest::Client, String> {
    // Whoever was first has installed the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let follow = redirect::Policy::custom(|attempt| {
        if attempt.previous().len() >= REDIRECTS { attempt.error(format!("stopped after {REDIRECTS} redirects")) } else { attempt.follow() }
    });
    reqwest::Client::builder()
        .user_agent(concat!("consign/", env!("CARGO_PKG_VERSION")))
        .redirect(follow)
        .referer(false)
        .tls_danger_accept_invalid_certs(insecure)
        .build()
        .map_err(|error| format!("cannot set up TLS: {}", chain(&error)))
}

/// Sends a request and reads the answer.
///
/// # Errors
/// Transport, time, an answer that is too large; without the URL, in which secrets may stand.
pub async fn send(request: RequestBuilder) -> Result<Answer, String> {
    let mut response = request.send().await.map_err(|error| chain(&error.without_url()))?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| chain(&error.without_url()))? {
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(format!("the answer is larger than {} MiB", BODY_LIMIT >> 20));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, body })
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// A header of a request, as metrics have it.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct Header {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// Adds headers; of a repeated one the last counts. `Host` is what the URL says.
pub fn with_headers(request: RequestBuilder, headers: &[Header]) -> Result<RequestBuilder, String> {
    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
    let mut map = HeaderMap::new();
    for header in headers.iter().filter(|header| !header.key.eq_ignore_ascii_case("host")) {
        let name = HeaderName::from_bytes(header.key.as_bytes()).map_err(|_| format!("`{}` is not a name of a header", header.key))?;
        let mut value =
            HeaderValue::from_str(&header.value).map_err(|_| format!("the value of the header `{}` holds control characters", header.key))?;
        value.set_sensitive(true);
        map.insert(name, value);
    }
    Ok(request.headers(map))
}

/// Client credentials of OAuth 2.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OAuth2 {
    token_url: String,
    client_id: String,
    client_secret: String,
    #[serde(deserialize_with = "crate::model::null_is_default")]
    scopes: Vec<String>,
}

/// `authentication` of a metric.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Authentication {
    oauth2: OAuth2,
    sigv4: serde_json::Map<String, serde_json::Value>,
    basic_auth: BasicAuth,
}

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
struct BasicAuth {
    username: String,
    password: String,
}

/// How a request says who it is.
pub enum Identity {
    /// Not at all.
    None,
    /// Name and password.
    Basic(String, String),
    /// A value of the `Authorization` header.
    Token(String),
}

impl Identity {
    /// Adds it to a request.
    pub fn on(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::None => request,
            Self::Basic(name, password) => request.basic_auth(name, Some(password)),
            Self::Token(token) => request.header(reqwest::header::AUTHORIZATION, token),
        }
    }
}

impl Authentication {
    /// Who the request says it is; asks for a token if it needs one.
    ///
    /// # Errors
    /// What is missing or not supported; what the token's server says.
    pub async fn identity(&self, client: &Client, insecure: bool, timeout: Duration) -> Result<Identity, String> {
        if self.sigv4.values().any(|value| value.as_str().is_some_and(|text| !text.is_empty())) {
            return Err("`authentication.sigv4` is not supported yet".into());
        }
        let (basic, oauth2) = (&self.basic_auth, &self.oauth2);
        if !(basic.username.is_empty() && basic.password.is_empty()) {
            for (field, value) in [("username", &basic.username), ("password", &basic.password)] {
                if value.is_empty() {
                    return Err(format!("`authentication.basicAuth.{field}` is missing"));
                }
            }
            return Ok(Identity::Basic(basic.username.clone(), basic.password.clone()));
        }
        let fields = [("tokenUrl", &oauth2.token_url), ("clientId", &oauth2.client_id), ("clientSecret", &oauth2.client_secret)];
        if fields.iter().all(|(_, value)| value.is_empty()) && oauth2.scopes.is_empty() {
            return Ok(Identity::None);
        }
        if let Some((field, _)) = fields.iter().find(|(_, value)| value.is_empty()) {
            return Err(format!("`authentication.oauth2.{field}` is missing"));
        }
        oauth2.token(client, insecure, timeout).await.map(Identity::Token)
    }
}

impl OAuth2 {
    /// Asks with the credentials in a header and, if that is refused, in the form: servers differ.
    async fn token(&self, client: &Client, insecure: bool, timeout: Duration) -> Result<String, String> {
        let fail = |reason: String| format!("cannot get a token from `{}`: {reason}", self.token_url);
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let mut refusal = String::new();
        for in_header in [true, false] {
            let form = self.form(in_header);
            let mut request = client
                .request("POST", &self.token_url, insecure, timeout)
                .map_err(fail)?
                .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form);
            if in_header {
                request = request.basic_auth(encode(&self.client_id), Some(encode(&self.client_secret)));
            }
            let answer = send(request).await.map_err(fail)?;
            if !answer.is_success() {
                refusal = format!("it answers with status {}", answer.status);
                continue;
            }
            let token: serde_json::Value = serde_json::from_slice(&answer.body).map_err(|_| fail("the answer is not JSON".into()))?;
            let text =
                token["access_token"].as_str().filter(|text| !text.is_empty()).ok_or_else(|| fail("the answer has no `access_token`".into()))?;
            let kind = token["token_type"].as_str().filter(|kind| !kind.is_empty() && !kind.eq_ignore_ascii_case("bearer")).unwrap_or("Bearer");
            return Ok(format!("{kind} {text}"));
        }
        Err(fail(refusal))
    }

    fn form(&self, in_header: bool) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !in_header {
            form.append_pair("client_id", &self.client_id).append_pair("client_secret", &self.client_secret);
        }
        if !self.scopes.is_empty() {
            form.append_pair("scope", &self.scopes.join(" "));
        }
        form.finish()
    }
}
