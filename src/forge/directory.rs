//! Which forge a repository is on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::github::{Api, GitHub, Listing, Repository};
use super::plain::PlainForges;
use super::{Describe, Forge, Forges, Merge, NewPullRequest, Opening, Provider, PullRequest, RepositoryAddress};
use crate::diagnostic::{Failure, FailureKind};
use crate::git::{Credential, CredentialLookup, RemoteUrl};

/// What a rule of the settings says about a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What is there.
    pub kind: RuleKind,
    /// Address of its API; empty: the usual one of the host.
    pub api: String,
}

/// Kinds of forge that a rule can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// Branches that wait to be merged.
    Plain,
    /// GitHub or GitHub Enterprise.
    GitHub,
}

/// The first rule of the settings that means a repository, by its URL.
pub type RuleLookup = Arc<dyn Fn(&str) -> Option<Rule> + Send + Sync>;

/// Where the forges of a process are, and the connections to them.
pub struct Directory {
    rules: RuleLookup,
    credentials: CredentialLookup,
    /// `GITHUB_SERVER_URL`, if set: the GitHub that a workflow runs on.
    github_server: Option<String>,
    /// `GITHUB_API_URL`, if set: its API.
    github_api: Option<String>,
    /// By address of the API.
    apis: Mutex<BTreeMap<String, Arc<Api>>>,
    /// By API and repository.
    listings: Mutex<BTreeMap<String, Arc<Listing>>>,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").field("github_server", &self.github_server).field("github_api", &self.github_api).finish_non_exhaustive()
    }
}

/// What answers for a repository's pull requests.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Plain,
    /// GitHub, with the address of its API.
    GitHub(String),
    /// A forge that we do not speak with.
    Foreign(Provider),
}

impl Directory {
    /// A directory by the settings' rules, what says who we are, and the process's environment (`GITHUB_SERVER_URL`, `GITHUB_API_URL`).
    pub fn new(rules: RuleLookup, credentials: CredentialLookup, env: &BTreeMap<String, String>) -> Self {
        let variable = |name: &str| env.get(name).map(|value| value.trim_end_matches('/').to_owned()).filter(|value| !value.is_empty());
        Self {
            rules,
            credentials,
            github_server: variable("GITHUB_SERVER_URL"),
            github_api: variable("GITHUB_API_URL"),
            apis: Mutex::default(),
            listings: Mutex::default(),
        }
    }

    /// The forges as one promotion sees them: connections are shared, plain-git proposals are its own. What `describe` adds goes to forges
    /// that people read descriptions on; a proposal's is a record, and its diff is in Git.
    pub fn for_promotion(self: &Arc<Self>, plain: PlainForges, describe: Option<Arc<dyn Describe>>) -> Arc<dyn Forges> {
        Arc::new(ForPromotion { directory: Arc::clone(self), plain, describe })
    }

    /// Whether pull requests of a repository are plain-git proposals.
    pub fn is_plain(&self, repo_url: &str, provider: Option<Provider>) -> bool {
        self.place(repo_url, provider) == Place::Plain
    }

    fn place(&self, repo_url: &str, provider: Option<Provider>) -> Place {
        let address = RepositoryAddress::parse(repo_url);
        match ((self.rules)(repo_url), address) {
            (Some(Rule { kind: RuleKind::Plain, .. }), _) => Place::Plain,
            (Some(Rule { kind: RuleKind::GitHub, api }), address) => {
                Place::GitHub(if api.is_empty() { self.usual_api(address.as_ref()) } else { api })
            }
            // A path: nobody but Git is there.
            (None, None) => Place::Plain,
            (None, Some(address)) => match provider.or_else(|| self.is_own(&address).then_some(Provider::GitHub)).or_else(|| address.provider()) {
                Some(Provider::GitHub) => Place::GitHub(self.usual_api(Some(&address))),
                Some(other) => Place::Foreign(other),
                // A host that nobody knows has Git, and that is enough.
                None => Place::Plain,
            },
        }
    }

    /// Whether a repository is on the GitHub that this process's workflow runs on.
    fn is_own(&self, address: &RepositoryAddress) -> bool {
        self.github_server.as_deref().is_some_and(|server| host_of(server) == address.host)
    }

    /// The API of a GitHub: the workflow's own where it is that one, `api.github.com`, or an Enterprise server's.
    fn usual_api(&self, address: Option<&RepositoryAddress>) -> String {
        let host = address.map_or("github.com", |address| address.host.as_str());
        if let Some(api) = &self.github_api
            && self.github_server.as_deref().is_none_or(|server| host_of(server) == host)
        {
            return api.clone();
        }
        match host {
            "github.com" | "ssh.github.com" | "www.github.com" => "https://api.github.com".to_owned(),
            host if host.ends_with(".ghe.com") => format!("https://api.{host}"),
            host => format!("https://{host}/api/v3"),
        }
    }

    fn api(&self, base: &str) -> Result<Arc<Api>, Failure> {
        let mut apis = self.apis.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(api) = apis.get(base) {
            return Ok(Arc::clone(api));
        }
        let api = Arc::new(Api::new(base)?);
        apis.insert(base.to_owned(), Arc::clone(&api));
        Ok(api)
    }

    fn github(&self, repo_url: &str, base: &str) -> Result<Arc<dyn Forge>, Failure> {
        let repository = Repository::parse(repo_url).ok_or_else(|| {
            Failure::new(FailureKind::Config, format!("`{repo_url}` names no GitHub repository; expected `https://host/owner/name`"))
        })?;
        // The credential of an SSH URL is a key; the API wants what belongs to the web address.
        let web = format!("https://{}/{}/{}", repository.host, repository.owner, repository.name);
        let urls: Vec<RemoteUrl> = [repo_url, &web].into_iter().filter_map(|url| RemoteUrl::parse(url, true).ok()).collect();
        let lookup = Arc::clone(&self.credentials);
        let token = move || -> Option<Credential> { urls.iter().find_map(|url| lookup(url)) };
        if token().is_none() {
            return Err(Failure::new(FailureKind::Refused, format!("there is no credential for pull requests of `{repo_url}`")).hint(
                "add a rule of type `git` for it under `credentials` in `consign.yaml`, with a token as `password` that may write contents and pull requests",
            ));
        }
        let key = format!("{base} {}/{}", repository.owner, repository.name);
        let listing = Arc::clone(self.listings.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default());
        Ok(Arc::new(GitHub::new(self.api(base)?, repository, Arc::new(token), listing)))
    }
}

struct ForPromotion {
    directory: Arc<Directory>,
    plain: PlainForges,
    describe: Option<Arc<dyn Describe>>,
}

/// A forge whose pull requests are described.
struct Described {
    forge: Arc<dyn Forge>,
    repo_url: String,
    describe: Arc<dyn Describe>,
}

#[async_trait::async_trait]
impl Forge for Described {
    async fn find(&self, source_branch: &str, target_branch: &str) -> Result<Vec<PullRequest>, Failure> {
        self.forge.find(source_branch, target_branch).await
    }

    async fn open(&self, new: &NewPullRequest) -> Result<Opening, Failure> {
        if new.is_described {
            return self.forge.open(new).await;
        }
        match self.describe.describe(&self.repo_url, new).await {
            Ok(description) => self.forge.open(&NewPullRequest { description, ..new.clone() }).await,
            Err(failure) => {
                tracing::warn!(target: "consign::forge", "cannot describe a pull request of `{}`: {failure}", self.repo_url);
                self.forge.open(new).await
            }
        }
    }

    async fn get(&self, number: u64) -> Result<Option<PullRequest>, Failure> {
        self.forge.get(number).await
    }

    async fn merge(&self, number: u64, method: Option<&str>) -> Result<Merge, Failure> {
        self.forge.merge(number, method).await
    }
}

impl Forges for ForPromotion {
    fn forge(&self, repo_url: &str, provider: Option<Provider>) -> Result<Arc<dyn Forge>, Failure> {
        match self.directory.place(repo_url, provider) {
            Place::Plain => Ok(Arc::new(self.plain.of(repo_url)?)),
            Place::GitHub(api) => {
                let forge = self.directory.github(repo_url, &api)?;
                Ok(match &self.describe {
                    Some(describe) => Arc::new(Described { forge, repo_url: repo_url.to_owned(), describe: Arc::clone(describe) }),
                    None => forge,
                })
            }
            Place::Foreign(provider) => Err(Failure::new(
                FailureKind::Config,
                format!("pull requests on {} are not supported, and `{repo_url}` is there", provider.name()),
            )
            .hint(format!(
                "add `- {{url: \"{}\", kind: plain}}` under `forges` in `consign.yaml`: then a pull request is a branch that people merge as they like",
                repo_url.trim_end_matches(".git")
            ))),
        }
    }

    fn is_plain(&self, repo_url: &str, provider: Option<Provider>) -> bool {
        self.directory.is_plain(repo_url, provider)
    }
}

/// Host and port of a URL, lower-case.
fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn directory(env: &[(&str, &str)]) -> Directory {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let rules: RuleLookup = Arc::new(|url: &str| match url {
            url if url.contains("plain.example") => Some(Rule { kind: RuleKind::Plain, api: String::new() }),
            url if url.contains("hub.example") => Some(Rule { kind: RuleKind::GitHub, api: String::new() }),
            url if url.contains("api.example") => Some(Rule { kind: RuleKind::GitHub, api: "https://other/v3".into() }),
            _ => None,
        });
        Directory::new(rules, Arc::new(|_| None), &env)
    }

    #[test]
    fn a_forge_is_found_by_rule_then_by_the_step_then_by_host() {
        let github = |api: &str| Place::GitHub(api.to_owned());
        let directory = directory(&[]);
        for (url, provider, expected) in [
            ("https://github.com/acme/app", None, github("https://api.github.com")),
            ("git@github.com:acme/app.git", None, github("https://api.github.com")),
            ("https://acme.ghe.com/acme/app", None, github("https://api.acme.ghe.com")),
            ("https://github.corp.example/acme/app", None, github("https://github.corp.example/api/v3")),
            ("https://hub.example/acme/app", None, github("https://hub.example/api/v3")),
            ("https://api.example/acme/app", None, github("https://other/v3")),
            ("https://git.example.com/acme/app", Some(Provider::GitHub), github("https://git.example.com/api/v3")),
            ("https://plain.example/github.com/app", Some(Provider::GitHub), Place::Plain),
            ("https://gitlab.com/acme/app", None, Place::Foreign(Provider::GitLab)),
            ("https://git.example.com/acme/app", Some(Provider::Gitea), Place::Foreign(Provider::Gitea)),
            ("https://git.example.com/acme/app", None, Place::Plain),
            ("file:///srv/github.com/app.git", None, Place::Plain),
            ("/srv/app.git", None, Place::Plain),
        ] {
            assert_eq!(directory.place(url, provider), expected, "{url}");
        }
    }

    #[test]
    fn a_workflows_own_github_is_asked_where_the_workflow_says() {
        let own = directory(&[("GITHUB_SERVER_URL", "http://127.0.0.1:3000/"), ("GITHUB_API_URL", "http://127.0.0.1:3001/api/")]);
        assert_eq!(own.place("http://127.0.0.1:3000/acme/app.git", None), Place::GitHub("http://127.0.0.1:3001/api".into()));
        assert_eq!(own.place("https://github.com/acme/app", None), Place::GitHub("https://api.github.com".into()), "the token's host is another");
        let api_only = directory(&[("GITHUB_API_URL", "http://127.0.0.1:3001")]);
        assert_eq!(api_only.place("https://github.com/acme/app", None), Place::GitHub("http://127.0.0.1:3001".into()));
    }
}
