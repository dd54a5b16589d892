//! Repository URLs in the form in which they are compared.

/// A Git URL: lower case, without credentials, trailing `/` and `.git`; the scp form as `ssh://`. Paths and other schemes stay as written.
pub(super) fn git(url: &str) -> String {
    let url: String = url.trim().chars().filter(|character| !character.is_control()).collect();
    let lower = url.to_lowercase();
    if let Some((scheme, rest)) = lower.split_once("://") {
        return match scheme {
            "http" | "https" if !rest.contains('?') => {
                let (authority, path) = rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));
                let host = authority.rsplit('@').next().unwrap_or(authority);
                format!("{scheme}://{host}{}", trimmed(path))
            }
            "ssh" => {
                let (authority, path) = rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));
                let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
                let user = user.map(|user| format!("{}@", user.split(':').next().unwrap_or(user))).unwrap_or_default();
                format!("ssh://{user}{host}{}", trimmed(path))
            }
            _ => url,
        };
    }
    match lower.split_once(':') {
        Some((host, path)) if !host.is_empty() && !host.contains('/') => format!("ssh://{host}{}", trimmed(Some(path))),
        _ => url,
    }
}

fn trimmed(path: Option<&str>) -> String {
    let path = path.unwrap_or_default();
    let path = path.strip_suffix('/').unwrap_or(path);
    let path = path.strip_suffix(".git").unwrap_or(path);
    if path.is_empty() { String::new() } else { format!("/{path}") }
}

/// An image repository: Docker Hub's hosts and `library/` are left out.
pub(super) fn image(url: &str) -> String {
    let url = url.trim().to_lowercase();
    let name = ["docker.io/", "index.docker.io/", "registry-1.docker.io/"].iter().find_map(|host| url.strip_prefix(host)).unwrap_or(&url);
    let name = name.split('@').next().unwrap_or(name);
    let name = match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') && !repository.is_empty() && repository.contains('/') => repository,
        Some((repository, tag)) if !tag.contains('/') && !repository.is_empty() && !repository.contains('.') => repository,
        _ => name,
    };
    match name.strip_prefix("library/") {
        Some(official) if !official.contains('/') => official.to_owned(),
        _ => name.to_owned(),
    }
}

/// A chart repository: without `oci://`, an OCI one like an image.
pub(super) fn chart(url: &str) -> String {
    let url = url.trim().to_lowercase();
    if url.starts_with("http://") || url.starts_with("https://") {
        return url;
    }
    image(url.strip_prefix("oci://").unwrap_or(&url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_compared_in_one_form() {
        for (url, normal) in [
            ("https://foo:bar@GitHub.com/Example/Repo.git/", "https://github.com/example/repo"),
            ("https://localhost:8443/example/repo.git", "https://localhost:8443/example/repo"),
            ("git@github.com:example/repo.git", "ssh://git@github.com/example/repo"),
            ("github.com:example/repo", "ssh://github.com/example/repo"),
            ("http://github.com/example/repo?foo=bar", "http://github.com/example/repo?foo=bar"),
            ("https://github.com/", "https://github.com"),
            ("/srv/git/Shop.git", "/srv/git/Shop.git"),
            ("file:///srv/git/Shop.git", "file:///srv/git/Shop.git"),
        ] {
            assert_eq!(git(url), normal);
        }
        for (url, normal) in [
            ("docker.io/library/busybox", "busybox"),
            ("library/busybox", "busybox"),
            ("docker.io/example/repo", "example/repo"),
            ("ghcr.io/Example/Repo", "ghcr.io/example/repo"),
            ("localhost:5000/a", "localhost:5000/a"),
        ] {
            assert_eq!(image(url), normal);
        }
        for (url, normal) in [("OCI://registry-1.docker.io/example/repo", "example/repo"), ("  oci://repo  ", "repo")] {
            assert_eq!(chart(url), normal);
        }
    }
}
