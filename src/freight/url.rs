//! When two repository URLs mean the same repository, by Kargo's rules.
//!
//! Each kind has two forms. The plain function is for lookups, comparison and uniqueness. The one ending in `_in_names` is what Kargo hashes
//! into freight names: it also has Kargo's oddities, because equal names are a promise, and is used for nothing else (measured).

use std::sync::LazyLock;

use regex::Regex;

/// Normal form of a Git URL. `https://bot@Host/Acme/Shop.git/` becomes `https://host/acme/shop`, `git@host:acme/shop` becomes
/// `ssh://git@host/acme/shop`. URLs of other schemes, paths and URLs with a query stay as written.
pub fn git(url: &str) -> String {
    let other_scheme = url.trim().split_once("://").is_some_and(|(scheme, _)| !["http", "https", "ssh"].contains(&scheme.to_lowercase().as_str()));
    if other_scheme { url.to_owned() } else { git_in_names(url) }
}

/// The form of a Git URL that Kargo hashes into freight names: a URL of another scheme is read as `host:path`, so `file:///srv/Shop.git` becomes
/// `ssh://file////srv/shop`.
pub fn git_in_names(url: &str) -> String {
    static NOT_PRINTABLE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"[^\p{L}\p{M}\p{N}\p{P}\p{S} ]").expect("a constant pattern that every test compiles"));
    static SCP: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^((?:[0-9a-z_-]+@)?[0-9a-z_-]+(?:\.[0-9a-z_-]+)*)(?::(.*))?$").expect("a constant pattern that every test compiles")
    });
    let lower = NOT_PRINTABLE.replace_all(url, "").trim().to_lowercase();
    if let Some(rest) = lower.strip_prefix("http://") {
        return web("http", rest, false).unwrap_or_else(|| url.to_owned());
    }
    if let Some(rest) = lower.strip_prefix("https://") {
        return web("https", rest, false).unwrap_or_else(|| url.to_owned());
    }
    if let Some(rest) = lower.strip_prefix("ssh://") {
        return web("ssh", rest, true).unwrap_or_else(|| url.to_owned());
    }
    let Some(parts) = SCP.captures(&lower) else { return url.to_owned() };
    match parts.get(2).map(|path| path.as_str()) {
        Some(path) if path.split_once('?').is_some_and(|(_, query)| !query.is_empty()) => url.to_owned(),
        None | Some("") => format!("ssh://{}", &parts[1]),
        Some(path) => format!("ssh://{}/{}", &parts[1], without_suffixes(path)),
    }
}

/// Drops one trailing `/`, then one `.git`.
fn without_suffixes(path: &str) -> &str {
    let path = path.strip_suffix('/').unwrap_or(path);
    path.strip_suffix(".git").unwrap_or(path)
}

/// Normal form of what follows `scheme://`; None if it is no URL or has a query. The escapes are those of Go's `net/url`, which Kargo prints with.
fn web(scheme: &str, rest: &str, keep_user: bool) -> Option<String> {
    let (rest, fragment) = rest.split_once('#').map_or((rest, None), |(rest, fragment)| (rest, Some(fragment)));
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    if query.is_some_and(|query| !query.is_empty()) {
        return None;
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let decoded = unescape(path)?;
    let trimmed = decoded.strip_suffix(b"/").unwrap_or(&decoded);
    let trimmed = trimmed.strip_suffix(b".git").unwrap_or(trimmed);
    let mut url = format!("{scheme}://");
    if let Some(user) = user.filter(|_| keep_user) {
        url.push_str(user);
        url.push('@');
    }
    url.push_str(&normal_host(host)?);
    // An escape that was not necessary (`a%2fb`) survives only where nothing was cut off.
    if trimmed.len() == decoded.len() && path.bytes().all(|byte| in_path(byte) || b"!'()*[]%".contains(&byte)) {
        url.push_str(path);
    } else {
        url.push_str(&escape(trimmed, in_path));
    }
    if query.is_some() {
        url.push('?');
    }
    if let Some(fragment) = fragment.filter(|fragment| !fragment.is_empty()) {
        url.push('#');
        url.push_str(&escape(fragment.as_bytes(), |byte| byte.is_ascii_graphic()));
    }
    Some(url)
}

fn normal_host(host: &str) -> Option<String> {
    let port = match host.rfind(']') {
        Some(end) => &host[end + 1..],
        None => host.find(':').map_or("", |colon| &host[colon..]),
    };
    if !port.is_empty() && !port.strip_prefix(':')?.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let in_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte);
    let decoded = unescape(host)?;
    (decoded.iter().all(|byte| !byte.is_ascii() || in_host(*byte))).then(|| escape(&decoded, in_host))
}

fn in_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte)
}

fn escape(bytes: &[u8], plain: impl Fn(u8) -> bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii() && plain(*byte) {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let (code, tail) = tail.split_at_checked(2)?;
            bytes.extend(hex::decode(code).ok()?);
            rest = tail;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    Some(bytes)
}

/// Normal form of an image repository: lower case, without tag and digest; Docker Hub has no host and no `library/`, so
/// `docker.io/library/nginx:1.27` becomes `nginx`. What is no image reference stays as written, in lower case.
pub fn image(url: &str) -> String {
    let lower = url.trim().to_lowercase();
    repository_of(&lower).unwrap_or(lower)
}

/// Normal form of a chart repository: `oci://` is dropped, then the rules of [`image`] hold; a classic repository's URL stays as written, in lower
/// case.
pub fn chart(url: &str) -> String {
    let lower = url.trim().to_lowercase();
    if lower.starts_with("http://") || lower.starts_with("https://") { lower } else { chart_in_names(url) }
}

/// The form of a chart repository that Kargo hashes into freight names: a classic repository, too, is read as an image, so
/// `https://host:8443` loses its port.
pub fn chart_in_names(url: &str) -> String {
    let lower = url.trim().to_lowercase();
    image(lower.strip_prefix("oci://").unwrap_or(&lower))
}

/// The repository of an image reference in lower case; None if it is no reference.
fn repository_of(reference: &str) -> Option<String> {
    let base = match reference.split_once('@') {
        None => without_tag(reference)?,
        Some((base, digest)) => {
            let hash = digest.strip_prefix("sha256:")?;
            if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return None;
            }
            without_tag(base).unwrap_or(base)
        }
    };
    let (host, path) = match base.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) => (host, path),
        _ => ("", base),
    };
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-./".contains(&byte);
    if !(2..=255).contains(&path.len()) || !path.bytes().all(allowed) {
        return None;
    }
    match host {
        "" | "docker.io" | "index.docker.io" | "registry-1.docker.io" => Some(path.strip_prefix("library/").unwrap_or(path).to_owned()),
        _ => Some(format!("{}/{path}", normal_host(host).filter(|normal| normal == host)?)),
    }
}

/// Cuts a tag off; a colon before a `/` belongs to a port.
fn without_tag(reference: &str) -> Option<&str> {
    match reference.rsplit_once(':') {
        Some((base, tag)) if !tag.contains('/') => {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
            ((1..=128).contains(&tag.len()) && tag.bytes().all(allowed)).then_some(base)
        }
        _ => Some(reference),
    }
}

/// Joins path elements with `/` and cleans the result lexically, as Go's `path.Join` does: `//` becomes `/`, also after a scheme.
pub(super) fn join(elements: &[&str]) -> String {
    let joined = elements.iter().filter(|element| !element.is_empty()).copied().collect::<Vec<_>>().join("/");
    if joined.is_empty() {
        return joined;
    }
    let rooted = joined.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            _ => parts.push(part),
        }
    }
    match (rooted, parts.join("/")) {
        (true, path) => format!("/{path}"),
        (false, path) if path.is_empty() => ".".to_owned(),
        (false, path) => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookups_keep_what_only_names_confuse() {
        for url in ["file:///srv/git/Shop.git", "git://h/x", "/srv/git/shop.git", "./shop.git", "HTTPS://h/x?y=1"] {
            assert_eq!(git(url), url);
        }
        assert_eq!(git_in_names("file:///srv/git/Shop.git"), "ssh://file////srv/git/shop");
        assert_eq!(git_in_names("git://h/x"), "ssh://git///h/x");
        assert_eq!(chart("https://charts.example.com:8443"), "https://charts.example.com:8443");
        assert_eq!(chart_in_names("https://charts.example.com:8443"), "https://charts.example.com");
    }

    #[test]
    fn a_broken_url_stays_as_written() {
        for url in ["https://h/%zz", "https://h:port/x", "https://a b/x", "https://h/x%2"] {
            assert_eq!(git(url), url);
        }
    }

    #[test]
    fn joining_collapses_slashes_and_climbs() {
        assert_eq!(join(&["https://charts.example.com/stable/", "shop"]), "https:/charts.example.com/stable/shop");
        assert_eq!(join(&["a/b", "../c"]), "a/c");
        assert_eq!(join(&["/..", "a"]), "/a");
        assert_eq!(join(&["", ""]), "");
    }
}
