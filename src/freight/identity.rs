//! What a freight is called: the SHA-1 of what it contains, byte for byte as Kargo computes it.
//!
//! A name depends on the origin and on what is deployed (repository, commit, tag, digest, chart version, subscription name), not on texts, branches,
//! annotations or the order of the artifacts.

use std::collections::{BTreeMap, BTreeSet};

use sha1::{Digest, Sha1};

use super::url;
use crate::model::{ArtifactReference, Chart, Freight, FreightName, FreightReference, GitCommit, Image, Origin};

/// The artifacts that make up a freight.
#[derive(Clone, Copy, Debug, Default)]
pub struct Contents<'a> {
    /// Commits.
    pub commits: &'a [GitCommit],
    /// Images.
    pub images: &'a [Image],
    /// Charts.
    pub charts: &'a [Chart],
    /// Other artifacts.
    pub artifacts: &'a [ArtifactReference],
}

impl Contents<'_> {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.commits.is_empty() && self.images.is_empty() && self.charts.is_empty() && self.artifacts.is_empty()
    }
}

impl<'a> From<&'a Freight> for Contents<'a> {
    fn from(freight: &'a Freight) -> Self {
        Self { commits: &freight.commits, images: &freight.images, charts: &freight.charts, artifacts: &freight.artifacts }
    }
}

impl<'a> From<&'a FreightReference> for Contents<'a> {
    fn from(freight: &'a FreightReference) -> Self {
        Self { commits: &freight.commits, images: &freight.images, charts: &freight.charts, artifacts: &freight.artifacts }
    }
}

/// The name of a freight of this origin with these contents.
pub fn freight_name<'a>(origin: &Origin, contents: impl Into<Contents<'a>>) -> FreightName {
    let contents = contents.into();
    let mut parts = Vec::new();
    let commits: Vec<_> = contents.commits.iter().map(|commit| (repository_of_commit(commit), commit)).collect();
    let charts: Vec<_> = contents.charts.iter().map(|chart| (repository_of_chart(chart), chart)).collect();
    for (repository, commit) in distinct(commits) {
        let tag = if commit.tag.is_empty() { String::new() } else { format!("{}:", commit.tag) };
        parts.push(named(format!("{repository}:{tag}{}", commit.id), &commit.subscription_name));
    }
    for image in contents.images {
        parts.push(named(format!("{}:{}@{}", image.repo_url, image.tag, image.digest), &image.subscription_name));
    }
    for (repository, chart) in distinct(charts) {
        parts.push(named(format!("{repository}:{}", chart.version), &chart.subscription_name));
    }
    for artifact in contents.artifacts {
        parts.push(format!("{}:{}:{}", artifact.artifact_type, artifact.subscription_name, artifact.version));
    }
    parts.sort();
    FreightName::new(hex::encode(Sha1::digest(format!("{origin}:{}", parts.join("|")))))
}

/// The id of a collection of freight: the same for the same freight, whatever the order.
pub fn collection_id<'a>(names: impl IntoIterator<Item = &'a FreightName>) -> String {
    let mut names: Vec<&str> = names.into_iter().map(FreightName::as_str).collect();
    names.sort_unstable();
    hex::encode(Sha1::digest(names.join(",")))
}

fn named(part: String, subscription: &str) -> String {
    if subscription.is_empty() { part } else { format!("{part}:{subscription}") }
}

/// A repository as Kargo hashes it, and as it really is.
struct Repository {
    hashed: String,
    real: String,
    subscription: String,
}

fn repository_of_commit(commit: &GitCommit) -> Repository {
    Repository { hashed: url::git_in_names(&commit.repo_url), real: url::git(&commit.repo_url), subscription: commit.subscription_name.clone() }
}

fn repository_of_chart(chart: &Chart) -> Repository {
    Repository {
        hashed: url::join(&[&url::chart_in_names(&chart.repo_url), &chart.name]),
        real: url::join(&[&url::chart(&chart.repo_url), &chart.name]),
        subscription: chart.subscription_name.clone(),
    }
}

/// Kargo's hash confuses a few repositories (`https://host` and `https://host:8443`). Where a freight holds two that it would confuse, and only
/// there, the real form is hashed: otherwise two different freight could share a name.
fn distinct<T>(artifacts: Vec<(Repository, T)>) -> impl Iterator<Item = (String, T)> {
    let mut meanings: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for (repository, _) in &artifacts {
        meanings.entry((repository.hashed.clone(), repository.subscription.clone())).or_default().insert(repository.real.clone());
    }
    artifacts.into_iter().map(move |(repository, artifact)| {
        let Repository { hashed, real, subscription } = repository;
        let key = (hashed, subscription);
        let confused = meanings.get(&key).is_some_and(|meanings| meanings.len() > 1);
        (if confused { real } else { key.0 }, artifact)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(contents: Contents<'_>) -> FreightName {
        freight_name(&Origin::warehouse("my-warehouse"), contents)
    }

    fn chart(repo_url: &str, version: &str) -> Chart {
        Chart { repo_url: repo_url.into(), name: "my-chart".into(), version: version.into(), ..Chart::default() }
    }

    #[test]
    fn names_follow_from_contents() {
        let image = Image {
            repo_url: "public.ecr.aws/nginx/nginx".into(),
            tag: "1.27.0".into(),
            digest: format!("sha256:{}", "a".repeat(64)),
            ..Image::default()
        };
        let commit = GitCommit { repo_url: "https://github.com/example/repo".into(), id: "b".repeat(40), ..GitCommit::default() };
        assert_eq!(name(Contents { images: std::slice::from_ref(&image), ..Contents::default() }), "49bd13ebbfdce0a8cd524c694b792e1e2981791c");
        assert_eq!(name(Contents { commits: std::slice::from_ref(&commit), ..Contents::default() }), "3024e9d2415b6840442bf103fa66f67a46dcc02a");
        assert_eq!(name(Contents { commits: &[commit], images: &[image], ..Contents::default() }), "23537eb7de9a638a868d35e1a0dad7fddc20903b");
    }

    #[test]
    fn a_port_is_hashed_only_where_two_repositories_would_be_confused() {
        let (plain, port) = (chart("https://charts.example.com", "1.2.3"), chart("https://charts.example.com:8443", "1.2.3"));
        assert_eq!(
            name(Contents { charts: std::slice::from_ref(&plain), ..Contents::default() }),
            name(Contents { charts: std::slice::from_ref(&port), ..Contents::default() })
        );
        let both = |plain: &str, port: &str| {
            name(Contents {
                charts: &[chart("https://charts.example.com", plain), chart("https://charts.example.com:8443", port)],
                ..Contents::default()
            })
        };
        assert_ne!(both("1.0.0", "2.0.0"), both("2.0.0", "1.0.0"));
    }

    #[test]
    fn collections_do_not_depend_on_order() {
        let (a, b) = (FreightName::new("aaa"), FreightName::new("bbb"));
        assert_eq!(collection_id([&b, &a]), "b0696a9485397a32e74fc7d20eb458c2420b2ddc");
        assert_eq!(collection_id([&a]), "7e240de74fb1ed08fa08d38063f6a6a91462a815");
    }
}
