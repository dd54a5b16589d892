//! One request to GitHub and its answer: transport, time limits, repeated reads, rate limits.

use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Method, Request};
use jiff::Timestamp;
use octocrab::Octocrab;
use octocrab::service::middleware::retry::RetryConfig;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::diagnostic::{Failure, FailureKind};
use crate::git::Secret;

/// Limit on one request with its answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How often a read is tried, the first time included.
pub(super) const ATTEMPTS: u32 = 4;
/// Longest wait that a forge may ask for within a tick; a longer one is left to the next.
const PATIENCE: Duration = Duration::from_secs(10);

/// The API of one GitHub: connections are kept and shared.
pub struct Api {
    client: Octocrab,
}

/// A failed call, as far as all operations fail alike.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// No answer: the request may have been carried out.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// The server broke down: the request may have been carried out.
    #[error("the server answers with status {0}")]
    Server(u16),
    /// Too many requests; nothing was done.
    #[error("{message}")]
    RateLimited {
        /// How long to wait.
        wait: Option<Duration>,
        /// What the server says.
        message: String,
    },
    /// The token is not known.
    #[error("{0}")]
    Unauthorized(String),
    /// The token may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing, or the token does not see it.
    #[error("{0}")]
    NotFound(String),
    /// Another status.
    #[error("status {status}: {message}")]
    Other {
        /// The status.
        status: u16,
        /// What the server says, with the reasons it lists.
        message: String,
    },
    /// The answer is not what the documentation says.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
}

impl CallError {
    /// Whether nobody knows if the request was carried out.
    pub(super) const fn is_unclear(&self) -> bool {
        matches!(self, Self::NoAnswer(_) | Self::Server(_) | Self::Unreadable(_))
    }

    /// As what the user reads; `doing` completes "cannot".
    pub(super) fn into_failure(self, doing: &str, repository: &str) -> Failure {
        let renew = "renew the token, or give it the permissions `contents: write` and `pull-requests: write` (a workflow's own token gets them by \
                     `permissions` in the workflow and \"Allow GitHub Actions to create and approve pull requests\" in the repository's settings)";
        let message = format!("cannot {doing}: {self}");
        match self {
            Self::NoAnswer(_) | Self::Server(_) | Self::Unreadable(_) => {
                Failure::new(FailureKind::Remote, message).hint("GitHub cannot be reached right now; the next run tries again")
            }
            Self::RateLimited { wait, .. } => {
                let when = wait.map_or_else(|| "later".to_owned(), |wait| format!("in {} s", wait.as_secs().max(1)));
                Failure::new(FailureKind::Remote, message).hint(format!("GitHub's rate limit is used up; run again {when}"))
            }
            Self::Unauthorized(_) => {
                Failure::new(FailureKind::Refused, message).hint(format!("the token for `{repository}` is wrong or expired: {renew}"))
            }
            Self::Forbidden(_) => Failure::new(FailureKind::Refused, message).hint(format!("the token for `{repository}` may not do this: {renew}")),
            Self::NotFound(_) => {
                Failure::new(FailureKind::Refused, message).hint(format!("check that `{repository}` exists and that its token sees it: {renew}"))
            }
            Self::Other { .. } => Failure::new(FailureKind::Remote, message),
        }
    }
}

/// What GitHub says of an error.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Complaint {
    message: String,
    errors: Vec<serde_json::Value>,
}

impl Api {
    /// The API at an address such as `https://api.github.com`. Nothing is asked yet; call it within a tokio runtime.
    ///
    /// # Errors
    /// Config, for an address that is none.
    pub fn new(base: &str) -> Result<Self, Failure> {
        let wrong = || {
            Failure::new(FailureKind::Config, format!("`{base}` is no address of a GitHub API"))
                .hint("write it like `https://ghe.example.com/api/v3`, in `api` of a rule under `forges` in `consign.yaml` or in `GITHUB_API_URL`")
        };
        let url = url::Url::parse(base).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()).ok_or_else(wrong)?;
        let builder = Octocrab::builder().base_uri(url.as_str().trim_end_matches('/')).map_err(|_| wrong())?;
        let client = builder
            // Repeating is decided here, where it is known what may be repeated.
            .add_retry_config(RetryConfig::None)
            .set_connect_timeout(Some(Duration::from_secs(10)))
            .build()
            .map_err(|error| Failure::new(FailureKind::Internal, "cannot set up a connection to GitHub").caused_by(error))?;
        Ok(Self { client })
    }

    /// Reads something, trying again while the server is unwell or wants us to wait a moment.
    pub(super) async fn read<T: DeserializeOwned>(&self, token: &Secret, path: &str) -> Result<T, CallError> {
        let mut tried = 0;
        loop {
            tried += 1;
            let error = match self.once(token, Method::GET, path, None).await {
                Ok(answer) => return answer,
                Err(error) => error,
            };
            match error {
                CallError::RateLimited { wait: Some(wait), .. } if wait <= PATIENCE && tried < ATTEMPTS => tokio::time::sleep(wait).await,
                error if error.is_unclear() && tried < ATTEMPTS => pause(tried).await,
                error => return Err(error),
            }
        }
    }

    /// Writes something, once: whether it may be repeated after an error is the caller's to know. A request that was turned away for
    /// its rate alone is repeated if the wait is short.
    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        token: &Secret,
        method: Method,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<T, CallError> {
        match self.once(token, method.clone(), path, Some(body)).await {
            Err(CallError::RateLimited { wait: Some(wait), .. }) if wait <= PATIENCE => {
                tokio::time::sleep(wait).await;
                self.once(token, method, path, Some(body)).await?
            }
            other => other?,
        }
    }

    /// One request. The inner result: an answer of success that cannot be read.
    async fn once<T: DeserializeOwned>(
        &self,
        token: &Secret,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<Result<T, CallError>, CallError> {
        let no_answer = |error: &dyn std::fmt::Display| CallError::NoAnswer(error.to_string());
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| CallError::Unauthorized("the token has characters that no token has".to_owned()))?;
        bearer.set_sensitive(true);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(AUTHORIZATION, bearer)
            .header(ACCEPT, "application/vnd.github+json")
            .header("X-GitHub-Api-Version", "2022-11-28");
        let request = match body {
            Some(body) => request.header(CONTENT_TYPE, "application/json").body(body.to_string()),
            None => request.body(String::new()),
        };
        let request = request.map_err(|error| no_answer(&error))?;
        let exchange = async {
            let (parts, body) = request.into_parts();
            let response = self.client.send(Request::from_parts(parts, body.into())).await.map_err(|error| no_answer(&Chain(&error)))?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let text = self.client.body_to_string(response).await.map_err(|error| no_answer(&Chain(&error)))?;
            Ok::<_, CallError>((status, headers, text))
        };
        let (status, headers, text) = tokio::time::timeout(TIMEOUT, exchange).await.map_err(|_| no_answer(&"timed out"))??;
        if (200..300).contains(&status) {
            return Ok(serde_json::from_str(&text).map_err(|error| CallError::Unreadable(error.to_string())));
        }
        Err(classify(status, &headers, &text))
    }
}

/// A short wait that grows, never the same for two who wait.
pub(super) async fn pause(tried: u32) {
    let base = 200 * 2_u64.pow(tried.min(5) - 1);
    tokio::time::sleep(Duration::from_millis(base + rand::random_range(0..=base / 2))).await;
}

/// Rate limits come as 403 or 429, with one of several headers or only in words:
/// <https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#rate-limit-errors>.
fn classify(status: u16, headers: &HeaderMap, text: &str) -> CallError {
    let complaint: Complaint = serde_json::from_str(text).unwrap_or_default();
    let mut message = complaint.message;
    let reasons: Vec<String> = complaint
        .errors
        .iter()
        .filter_map(|error| match error {
            serde_json::Value::String(text) => Some(text.clone()),
            error => error["message"].as_str().map(str::to_owned).or_else(|| {
                let field = error["field"].as_str()?;
                Some(format!("`{field}`: {}", error["code"].as_str().unwrap_or("invalid")))
            }),
        })
        .collect();
    if !reasons.is_empty() {
        message = format!("{message}: {}", reasons.join("; "));
    }
    if message.is_empty() {
        message = format!("status {status}");
    }
    let number = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).and_then(|value| value.trim().parse::<i64>().ok());
    if matches!(status, 403 | 429) {
        let retry_after = number(RETRY_AFTER.as_str()).map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
        let used_up = number("x-ratelimit-remaining") == Some(0);
        if status == 429 || retry_after.is_some() || used_up || message.to_lowercase().contains("rate limit") {
            // The server's own clock, so that ours may be wrong.
            let now = headers.get(http::header::DATE).and_then(|value| value.to_str().ok()).and_then(http_date);
            let reset = || Some(number("x-ratelimit-reset")? - now?).filter(|_| used_up);
            let wait = retry_after.or_else(|| reset().map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0))));
            return CallError::RateLimited { wait, message };
        }
    }
    match status {
        401 => CallError::Unauthorized(message),
        403 => CallError::Forbidden(message),
        404 => CallError::NotFound(message),
        500.. => CallError::Server(status),
        status => CallError::Other { status, message },
    }
}

/// Seconds since 1970 of the date in a header.
fn http_date(text: &str) -> Option<i64> {
    jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp()).map(Timestamp::as_second)
}

/// An error with what caused it, in one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut last = self.0.to_string();
        f.write_str(&last)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if text != last {
                write!(f, ": {text}")?;
                last = text;
            }
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_rate_limit_is_told_from_a_refusal() {
        let limited = |status, pairs: &[(&'static str, &str)], text: &str| match classify(status, &headers(pairs), text) {
            CallError::RateLimited { wait, .. } => Some(wait.map(|wait| wait.as_secs())),
            _ => None,
        };
        assert_eq!(limited(403, &[("retry-after", "60")], "{}"), Some(Some(60)));
        assert_eq!(limited(429, &[], "{}"), Some(None));
        let primary = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1700000100"), ("date", "Tue, 14 Nov 2023 22:13:20 GMT")];
        assert_eq!(limited(403, &primary, "{}"), Some(Some(100)));
        assert_eq!(limited(403, &[], r#"{"message": "You have exceeded a secondary rate limit."}"#), Some(None));
        assert_eq!(limited(403, &[("x-ratelimit-remaining", "4999")], r#"{"message": "Resource not accessible by integration"}"#), None);
    }

    #[test]
    fn the_reasons_of_a_refusal_are_kept() {
        let text = r#"{"message": "Validation Failed", "errors": [{"resource": "PullRequest", "code": "custom", "message": "No commits between a and b"}, {"field": "head", "code": "invalid"}]}"#;
        let CallError::Other { status: 422, message } = classify(422, &HeaderMap::new(), text) else { panic!("another error") };
        assert_eq!(message, "Validation Failed: No commits between a and b; `head`: invalid");
    }
}
