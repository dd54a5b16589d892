//! URLs of remotes: what is refused, and when two of them mean the same repository.

use std::fmt;

use crate::diagnostic::{Failure, FailureKind};

/// The URL of a remote, checked: a scheme git may use on our behalf, and no secret in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RemoteUrl {
    text: String,
    key: String,
}

impl RemoteUrl {
    /// Checks a URL as the user wrote it. `local` allows `file://` URLs and paths.
    ///
    /// # Errors
    /// Config, for an empty URL, one that git would read as an option, a scheme other than `https`, `http`, `ssh`, `git` (and `file` with
    /// `local`), and a URL with a password in it.
    pub fn parse(url: &str, local: bool) -> Result<Self, Failure> {
        let refuse =
            |why: &str| Failure::new(FailureKind::Config, format!("`{}` cannot be used as a Git repository URL: {why}", without_secret(url)));
        if url.is_empty() {
            return Err(Failure::new(FailureKind::Config, "a Git repository URL is empty"));
        }
        if url.starts_with('-') {
            return Err(refuse("git would read it as an option"));
        }
        if url.chars().any(char::is_control) {
            return Err(refuse("it contains a control character"));
        }
        if let Some((scheme, rest)) = url.split_once("://") {
            let scheme = scheme.to_ascii_lowercase();
            match scheme.as_str() {
                "https" | "http" | "ssh" | "git" => {}
                "file" if local => {}
                "file" => {
                    return Err(refuse("repositories on this machine are off").hint("pass `--local` to work with repositories on this machine"));
                }
                _ => return Err(refuse(&format!("the scheme `{scheme}` is not supported")).hint("use an `https://` or `ssh://` URL")),
            }
            let authority = rest.split('/').next().unwrap_or_default();
            if authority.is_empty() && scheme != "file" {
                return Err(refuse("it names no host"));
            }
            if authority.starts_with('-') || authority.rsplit('@').next().is_some_and(|host| host.starts_with('-')) {
                return Err(refuse("its host starts with `-`"));
            }
            if let Some((user, _)) = authority.rsplit_once('@')
                && user.contains(':')
            {
                return Err(refuse("it contains a password").hint("remove it from the URL and configure a credential for this repository instead"));
            }
        } else if url.contains("::") {
            return Err(refuse("remote helpers (`ext::` and others) are not supported").hint("use an `https://` or `ssh://` URL"));
        } else if !is_scp_like(url) && !local {
            return Err(
                refuse("it is a path, and repositories on this machine are off").hint("pass `--local` to work with repositories on this machine")
            );
        }
        // Git runs in the store's folder, so a relative path would mean another place there.
        let text = if !url.contains("://") && !is_scp_like(url) {
            std::path::absolute(url).map_or_else(|_| url.to_owned(), |path| path.display().to_string())
        } else {
            url.to_owned()
        };
        Ok(Self { key: normalise(&text), text })
    }

    /// The URL as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Equal for URLs that mean the same repository: lower-case host, no user, no `.git`, no final slash, SSH's two notations alike.
    /// The letters of the path are kept: on many servers they matter.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether git reaches it by HTTP or HTTPS.
    pub fn is_http(&self) -> bool {
        let lower = self.text.get(..8).unwrap_or(&self.text).to_ascii_lowercase();
        lower.starts_with("http://") || lower.starts_with("https://")
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `user@host:path`, git's short form of an SSH URL: a colon before the first slash.
fn is_scp_like(url: &str) -> bool {
    match (url.find(':'), url.find('/')) {
        (Some(colon), Some(slash)) => colon > 0 && colon < slash,
        (Some(colon), None) => colon > 0,
        _ => false,
    }
}

fn normalise(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest.to_owned()),
        None if is_scp_like(url) => {
            let (host, path) = url.split_once(':').unwrap_or((url, ""));
            ("ssh".to_owned(), format!("{host}/{}", path.trim_start_matches('/')))
        }
        None => ("file".to_owned(), url.to_owned()),
    };
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, format!("/{path}")),
        None => (rest.as_str(), String::new()),
    };
    let host = authority.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        "ssh" => ":22",
        _ => "\0",
    };
    let host = host.strip_suffix(default_port).unwrap_or(&host);
    let path = path.trim_end_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    format!("{scheme}://{host}{path}")
}

/// A URL for a message: what stands before `@` is left out when it could hold a password.
pub(super) fn without_secret(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => match rest.split_once('@') {
            Some((user, host)) if !user.contains('/') => format!("{scheme}://{}{host}", if user.contains(':') { "****@" } else { "" }),
            _ => url.to_owned(),
        },
        None => url.to_owned(),
    }
}

/// Whether a full ref name is safe to hand to git: well-formed by git's own rules and below `refs/`.
///
/// # Errors
/// Config, naming the ref.
pub(super) fn check_ref_name(name: &str) -> Result<(), Failure> {
    if name.starts_with("refs/") && gix::validate::reference::name(name.into()).is_ok() {
        return Ok(());
    }
    Err(Failure::new(FailureKind::Config, format!("`{name}` is not a valid Git ref name"))
        .hint("a ref name has no spaces, `..`, `~`, `^`, `:`, `?`, `*`, `[` or `\\`, and no part starts with `.` or ends with `.lock`"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn urls_that_mean_the_same_repository_have_one_key() {
        let key = |url: &str| RemoteUrl::parse(url, true).unwrap().key().to_owned();
        assert_eq!(key("https://GitHub.com/acme/app.git"), key("https://github.com:443/acme/app/"));
        assert_eq!(key("git@github.com:acme/app.git"), key("ssh://git@github.com/acme/app"));
        assert_ne!(key("https://github.com/acme/App"), key("https://github.com/acme/app"));
        assert_ne!(key("https://github.com:8443/acme/app"), key("https://github.com/acme/app"));
        assert_eq!(key("file:///srv/a.git"), key("/srv/a"));
    }

    #[test]
    fn dangerous_urls_are_refused() {
        for url in [
            "",
            "-x",
            "ext::sh -c id",
            "--upload-pack=id",
            "ssh://-oProxyCommand=id/x",
            "ssh://u@-o/x",
            "fd::17",
            "https://u:p@h/x",
            "https:///x",
            "a\nb",
        ] {
            assert!(RemoteUrl::parse(url, true).is_err(), "{url}");
        }
        for url in ["file:///x", "/x", "./x", "x"] {
            assert!(RemoteUrl::parse(url, false).is_err(), "{url}");
            assert!(RemoteUrl::parse(url, true).is_ok(), "{url}");
        }
        let message = RemoteUrl::parse("https://bot:s3cret@h/x", false).unwrap_err().message;
        assert!(!message.contains("s3cret"), "{message}");
    }

    #[test]
    fn ref_names_are_checked() {
        assert!(check_ref_name("refs/heads/env/prod").is_ok());
        for name in ["main", "refs/heads/a b", "refs/heads/a..b", "-x", "refs/heads/x.lock", "refs/heads/*"] {
            assert!(check_ref_name(name).is_err(), "{name}");
        }
    }
}
