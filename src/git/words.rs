//! What git's own words on standard error mean.

use std::time::Duration;

use super::url::without_secret;
use crate::diagnostic::{Failure, FailureKind};

/// A git process that failed, as a failure by git's own words; `doing` completes "cannot ...".
pub(super) fn failure(doing: &str, stderr: &str) -> Failure {
    let kind = classify(stderr);
    let words = last_words(stderr);
    let message = if words.is_empty() { format!("cannot {doing}") } else { format!("cannot {doing}: {words}") };
    let failure = Failure::new(kind, message);
    match kind {
        FailureKind::Refused => failure.hint("check that the repository exists and that a credential for it is configured and allows this"),
        FailureKind::Remote => failure.hint("the remote cannot be reached right now; the next run tries again"),
        _ => failure,
    }
}

/// What kind of failure git's error output tells of.
pub(super) fn classify(stderr: &str) -> FailureKind {
    let text = stderr.to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if any(&[
        "authentication failed",
        "could not read username",
        "could not read password",
        "terminal prompts disabled",
        "returned error: 401",
        "returned error: 403",
        "permission denied (publickey",
        "host key verification failed",
        "access denied",
        "permission to ",
        "not authorized",
        "repository not found",
        "returned error: 404",
        "the project you were looking for could not be found",
    ]) || (text.contains("repository '") && text.contains("' not found"))
    {
        return FailureKind::Refused;
    }
    if any(&[
        "could not resolve host",
        "couldn't resolve host",
        "failed to connect",
        "couldn't connect",
        "connection refused",
        "connection reset",
        "connection closed",
        "connection timed out",
        "timed out",
        "timeout",
        "network is unreachable",
        "no route to host",
        "operation too slow",
        "recv failure",
        "send failure",
        "empty reply",
        "early eof",
        "hung up",
        "unexpected disconnect",
        "rpc failed",
        "returned error: 5",
        "returned error: 429",
        "ssl certificate",
        "ssl connect",
        "gnutls",
        "tls connect",
        "tls handshake",
        "does not appear to be a git repository",
        "could not read from remote repository",
        "upload-pack: not our ref",
        "unable to access",
    ]) {
        return FailureKind::Remote;
    }
    FailureKind::Tool
}

/// Git's own explanation out of its error output: `fatal:` and `error:` lines and what the server said, without their prefixes.
fn last_words(stderr: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for line in stderr.lines() {
        let line = line.trim();
        let said = ["fatal: ", "error: ", "remote: "].iter().find_map(|prefix| line.strip_prefix(prefix));
        if let Some(said) = said.map(str::trim).filter(|said| !said.is_empty()) {
            let said = without_secret(said);
            if !words.contains(&said) {
                words.push(said);
            }
        }
    }
    if words.is_empty() {
        words.extend(stderr.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned));
    }
    words.truncate(4);
    words.join("; ")
}

/// Counts the attempts at an operation that may be repeated while the remote cannot be reached.
pub(super) struct Attempts {
    tried: u32,
    limit: u32,
}

impl Attempts {
    pub fn of(limit: u32) -> Self {
        Self { tried: 0, limit }
    }

    /// After a failure: whether to try again; waits before it says so, longer each time.
    pub async fn again(&mut self, failure: &Failure) -> bool {
        self.tried += 1;
        if failure.kind != FailureKind::Remote || self.tried >= self.limit {
            return false;
        }
        tracing::debug!(target: "consign::git", tried = self.tried, "trying again: {failure}");
        let pause = Duration::from_millis(200) * 4u32.saturating_pow(self.tried - 1);
        tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_classified_by_gits_words() {
        for (stderr, kind) in [
            ("fatal: could not read Username for 'https://github.com': terminal prompts disabled\n", FailureKind::Refused),
            ("remote: Invalid username or token.\nfatal: Authentication failed for 'https://github.com/a/b/'\n", FailureKind::Refused),
            ("fatal: unable to access 'http://h/x/': The requested URL returned error: 403\n", FailureKind::Refused),
            ("fatal: repository 'https://h/x/' not found\n", FailureKind::Refused),
            ("git@github.com: Permission denied (publickey).\nfatal: Could not read from remote repository.\n", FailureKind::Refused),
            ("fatal: unable to access 'https://h/x/': Could not resolve host: h\n", FailureKind::Remote),
            ("fatal: unable to access 'http://h/x/': The requested URL returned error: 500\n", FailureKind::Remote),
            ("error: RPC failed; curl 28 Operation too slow.\nfatal: early EOF\nfatal: fetch-pack: invalid index-pack output\n", FailureKind::Remote),
            ("error: inflate: data stream error\nfatal: loose object is corrupt\n", FailureKind::Tool),
        ] {
            assert_eq!(classify(stderr), kind, "{stderr}");
        }
        let message = failure(
            "fetch `https://h/x`",
            "remote: You are not welcome\nfatal: unable to access 'https://h/x/': The requested URL returned error: 403\n",
        )
        .message;
        assert_eq!(
            message,
            "cannot fetch `https://h/x`: You are not welcome; unable to access 'https://h/x/': The requested URL returned error: 403"
        );
    }
}
