//! Where a repository is on its forge, and which forge that is.

/// Kinds of forges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Azure DevOps.
    Azure,
    /// Bitbucket.
    Bitbucket,
    /// Gitea.
    Gitea,
    /// GitHub, also Enterprise.
    GitHub,
    /// GitLab.
    GitLab,
}

impl Provider {
    /// Its name as users know it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Azure => "Azure DevOps",
            Self::Bitbucket => "Bitbucket",
            Self::Gitea => "Gitea",
            Self::GitHub => "GitHub",
            Self::GitLab => "GitLab",
        }
    }

    /// The page that compares two commits, from the URL alone. None: there is no such page.
    pub fn compare_url(self, repository: &RepositoryAddress, old: &str, new: &str) -> Option<String> {
        let RepositoryAddress { host, path } = repository;
        match self {
            Self::GitHub | Self::Gitea => Some(format!("https://{host}/{path}/compare/{old}...{new}")),
            Self::GitLab => Some(format!("https://{host}/{path}/-/compare/{old}...{new}")),
            Self::Bitbucket => Some(format!("https://{host}/{path}/branches/compare/{new}%0D{old}")),
            Self::Azure => None,
        }
    }

    /// The page of a commit, from the URL alone. None: Azure, whose pages Kargo does not give either.
    pub fn commit_url(self, repository: &RepositoryAddress, commit: &str) -> Option<String> {
        let RepositoryAddress { host, path } = repository;
        let page = match self {
            Self::GitHub | Self::Gitea => "commit",
            Self::GitLab => "-/commit",
            Self::Bitbucket => "commits",
            Self::Azure => return None,
        };
        Some(format!("https://{host}/{path}/{page}/{commit}"))
    }
}

/// Host and path of a repository on a forge, lower-case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryAddress {
    /// Host, with its port if the URL has one.
    pub host: String,
    /// Path without `.git`, such as `owner/name`.
    pub path: String,
}

impl RepositoryAddress {
    /// Reads it from the URL of a repository; None: the URL names no host.
    pub fn parse(url: &str) -> Option<Self> {
        let rest = match url.split_once("://") {
            Some((scheme, rest)) if !scheme.eq_ignore_ascii_case("file") => rest.to_owned(),
            Some(_) => return None,
            // `user@host:path`, git's short form of an SSH URL.
            None => {
                let (host, path) = url.split_once(':').filter(|(host, _)| !host.is_empty() && !host.contains('/'))?;
                format!("{host}/{}", path.trim_start_matches('/'))
            }
        };
        let (authority, path) = rest.split_once('/')?;
        let host = authority.rsplit('@').next().unwrap_or_default().to_lowercase();
        let path = path.trim_matches('/').to_lowercase();
        let path = path.strip_suffix(".git").unwrap_or(&path).to_owned();
        (!host.is_empty() && !path.is_empty()).then_some(Self { host, path })
    }

    /// The kind of forge that the host tells; None: it tells nothing.
    pub fn provider(&self) -> Option<Provider> {
        let name = self.host.split(':').next().unwrap_or_default();
        if name == "bitbucket.org" {
            Some(Provider::Bitbucket)
        } else if name == "dev.azure.com" || name.ends_with(".visualstudio.com") {
            Some(Provider::Azure)
        } else if name.contains("github") || name.ends_with(".ghe.com") {
            Some(Provider::GitHub)
        } else if name.contains("gitlab") {
            Some(Provider::GitLab)
        } else if name.contains("gitea") {
            Some(Provider::Gitea)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_commit_page_comes_from_the_url_alone() {
        let page = |url: &str| {
            let address = RepositoryAddress::parse(url)?;
            address.provider()?.commit_url(&address, "abc")
        };
        assert_eq!(page("git@github.com:Acme/App.git").unwrap(), "https://github.com/acme/app/commit/abc");
        assert_eq!(page("https://bot@acme.ghe.com:8443/a/b").unwrap(), "https://acme.ghe.com:8443/a/b/commit/abc");
        assert_eq!(page("https://gitlab.example.com/group/sub/app.git").unwrap(), "https://gitlab.example.com/group/sub/app/-/commit/abc");
        for url in ["https://git.example.com/a/b", "file:///srv/github/a.git", "/srv/a", "https://dev.azure.com/o/p/_git/r", ""] {
            assert_eq!(page(url), None, "{url}");
        }
    }
}
