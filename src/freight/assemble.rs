//! How freight comes to be: automatically from the newest of everything that was found, or by hand from chosen artifacts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::identity::{self, Contents};
use super::url;
use crate::expr::{self, Context};
use crate::model::{Chart, DiscoveredArtifacts, Freight, FreightCreationPolicy, FreightName, GitCommit, Image, Metadata, Origin, Source, Warehouse};

/// What came of a warehouse's look at its sources.
#[derive(Clone, Debug, PartialEq)]
pub enum Automatic {
    /// This freight is new. Alias and `discoveredAt` are given when it is recorded.
    New(Box<Freight>),
    /// The newest combination is already there. Its `discoveredAt` stays: going back to it does not make it the newest again.
    Exists(FreightName),
    /// No freight, and why.
    None(NoFreight),
}

/// Why a warehouse makes no freight of what it found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoFreight {
    /// The policy is `Manual`.
    Manual,
    /// Nothing was found at all.
    MissingArtifacts,
    /// A git subscription found nothing.
    NoCommits {
        /// The repository.
        repo_url: String,
    },
    /// An image subscription found nothing.
    NoImages {
        /// The repository.
        repo_url: String,
    },
    /// A chart subscription found nothing.
    NoChartVersions {
        /// The repository.
        repo_url: String,
    },
    /// Another subscription found nothing.
    NoArtifacts {
        /// The subscription.
        subscription: String,
    },
    /// The criterion is false for the newest artifacts.
    CriteriaNotSatisfied {
        /// The criterion.
        expression: String,
    },
    /// The criterion cannot be evaluated.
    CriteriaEvaluationFailed {
        /// What is wrong.
        problem: String,
    },
}

impl NoFreight {
    /// Kargo's condition reason; none for the policy `Manual`.
    pub fn code(&self) -> Option<&'static str> {
        Some(match self {
            Self::Manual => return None,
            Self::MissingArtifacts => "MissingArtifacts",
            Self::NoCommits { .. } => "NoCommitsDiscovered",
            Self::NoImages { .. } => "NoImageReferencesDiscovered",
            Self::NoChartVersions { .. } => "NoChartVersionsDiscovered",
            Self::NoArtifacts { .. } => "FreightBuildFailure",
            Self::CriteriaNotSatisfied { .. } => "CriteriaNotSatisfied",
            Self::CriteriaEvaluationFailed { .. } => "CriteriaEvaluationFailed",
        })
    }

    /// Whether the warehouse is well all the same.
    pub fn is_healthy(&self) -> bool {
        matches!(self, Self::Manual | Self::CriteriaNotSatisfied { .. })
    }
}

impl fmt::Display for NoFreight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manual => f.write_str("the warehouse makes no freight by itself (`freightCreationPolicy: Manual`)"),
            Self::MissingArtifacts => f.write_str("nothing was found"),
            Self::NoCommits { repo_url } => write!(f, "no commit of `{repo_url}` matches"),
            Self::NoImages { repo_url } => write!(f, "no tag of `{repo_url}` matches"),
            Self::NoChartVersions { repo_url } => write!(f, "no chart version of `{repo_url}` matches"),
            Self::NoArtifacts { subscription } => write!(f, "the subscription `{subscription}` found nothing"),
            Self::CriteriaNotSatisfied { expression } => write!(f, "the newest artifacts do not satisfy `{}`", expression.trim()),
            Self::CriteriaEvaluationFailed { problem } => write!(f, "`freightCreationCriteria` cannot be evaluated: {problem}"),
        }
    }
}

/// Makes freight of the newest artifact of each subscription, once all of them found one and the criterion holds.
///
/// `exists` tells whether the project has a freight of that name; `now` is what `now()` in the criterion gives. Kargo does not evaluate criteria of a warehouse that has only generic
/// subscriptions; here they always count.
pub fn automatic(
    warehouse: &Warehouse,
    discovered: &Arc<DiscoveredArtifacts>,
    exists: impl FnOnce(&FreightName) -> bool,
    now: Timestamp,
) -> Automatic {
    match newest(warehouse, discovered, now) {
        Err(reason) => Automatic::None(reason),
        Ok(freight) if exists(&freight.name()) => Automatic::Exists(freight.name()),
        Ok(freight) => Automatic::New(Box::new(freight)),
    }
}

fn newest(warehouse: &Warehouse, discovered: &Arc<DiscoveredArtifacts>, now: Timestamp) -> Result<Freight, NoFreight> {
    if discovered.git.is_empty() && discovered.images.is_empty() && discovered.charts.is_empty() && discovered.results.is_empty() {
        return Err(NoFreight::MissingArtifacts);
    }
    let mut freight = Freight { origin: Origin::warehouse(warehouse.name()), ..Freight::default() };
    for found in &discovered.git {
        let commit = found.commits.first().ok_or_else(|| NoFreight::NoCommits { repo_url: found.repo_url.clone() })?;
        freight.commits.push(GitCommit {
            repo_url: found.repo_url.clone(),
            id: commit.id.clone(),
            branch: commit.branch.clone(),
            tag: commit.tag.clone(),
            message: commit.subject.clone(),
            author: commit.author.clone(),
            committer: commit.committer.clone(),
            subscription_name: found.subscription_name.clone(),
        });
    }
    for found in &discovered.images {
        let image = found.references.first().ok_or_else(|| NoFreight::NoImages { repo_url: found.repo_url.clone() })?;
        freight.images.push(Image {
            repo_url: found.repo_url.clone(),
            tag: image.tag.clone(),
            digest: image.digest.clone(),
            annotations: image.annotations.clone(),
            subscription_name: found.subscription_name.clone(),
        });
    }
    for found in &discovered.charts {
        let version = found.versions.first().ok_or_else(|| NoFreight::NoChartVersions { repo_url: found.repo_url.clone() })?;
        freight.charts.push(Chart {
            repo_url: found.repo_url.clone(),
            name: found.name.clone(),
            version: version.clone(),
            subscription_name: found.subscription_name.clone(),
        });
    }
    if warehouse.spec.freight_creation_policy == FreightCreationPolicy::Manual {
        return Err(NoFreight::Manual);
    }
    if let Some(condition) = warehouse.spec.freight_creation_criteria.as_ref().filter(|condition| !condition.expression.trim().is_empty()) {
        let mut context = Context::default();
        context.discovered = Arc::clone(discovered);
        context.now = now;
        match expr::criteria(&condition.expression, &context) {
            Ok(true) => {}
            Ok(false) => return Err(NoFreight::CriteriaNotSatisfied { expression: condition.expression.clone() }),
            Err(error) => return Err(NoFreight::CriteriaEvaluationFailed { problem: error.to_string() }),
        }
    }
    for found in &discovered.results {
        let artifact = found.artifact_references.first().ok_or_else(|| NoFreight::NoArtifacts { subscription: found.name.clone() })?;
        freight.artifacts.push(artifact.clone());
    }
    name(&mut freight, warehouse);
    Ok(freight)
}

fn name(freight: &mut Freight, warehouse: &Warehouse) {
    let name = identity::freight_name(&freight.origin, Contents::from(&*freight));
    freight.metadata =
        Metadata { name: name.as_str().to_owned(), namespace: warehouse.metadata.namespace.clone(), ..std::mem::take(&mut freight.metadata) };
}

/// Why a freight made by hand is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field of the freight, `commits` for example.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a field of a freight made by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It contains no artifact at all.
    Empty,
    /// It names another warehouse.
    OtherOrigin {
        /// The warehouse it names.
        named: String,
        /// The warehouse it is made for.
        expected: String,
    },
    /// A subscription has no artifact.
    Missing {
        /// The subscription's repository in normal form, with the chart's name.
        subscription: String,
    },
    /// A subscription has several artifacts.
    Several {
        /// The subscription's repository in normal form, with the chart's name.
        subscription: String,
    },
    /// An artifact belongs to no subscription.
    Foreign {
        /// Its repository as written, with the chart's name.
        artifact: String,
    },
    /// The alias cannot be a label value.
    BadAlias {
        /// The alias.
        alias: String,
    },
    /// Another freight of the project has this alias.
    TakenAlias {
        /// The alias.
        alias: String,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.field)?;
        match &self.problem {
            Problem::Empty => f.write_str("freight needs at least one artifact"),
            Problem::OtherOrigin { named, expected } => write!(f, "the origin is `{named}`, not `{expected}`"),
            Problem::Missing { subscription } => write!(f, "the subscription to `{subscription}` has no artifact; choose one"),
            Problem::Several { subscription } => write!(f, "the subscription to `{subscription}` has several artifacts; choose one"),
            Problem::Foreign { artifact } => write!(f, "no subscription of the warehouse is to `{artifact}`"),
            Problem::BadAlias { alias } => {
                write!(f, "`{alias}` cannot be an alias; expected at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends")
            }
            Problem::TakenAlias { alias } => write!(f, "another freight has the alias `{alias}`"),
        }
    }
}

/// Completes a freight made by hand for this warehouse: checks it, gives it its name and the subscriptions' spelling of image repositories (which
/// are hashed as written). Artifacts need not have been discovered. An empty alias is given when the freight is recorded.
///
/// # Errors
/// Every [`Violation`].
pub fn by_hand(warehouse: &Warehouse, mut freight: Freight, alias_is_taken: impl FnOnce(&str) -> bool) -> Result<Freight, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut violation = |field, problem| violations.push(Violation { field, problem });
    if freight.origin.name != warehouse.name() {
        violation("origin", Problem::OtherOrigin { named: freight.origin.name.to_string(), expected: warehouse.metadata.name.clone() });
    }
    if Contents::from(&freight).is_empty() {
        violation("freight", Problem::Empty);
    }
    if !freight.alias.is_empty() {
        if !super::alias::is_valid(&freight.alias) {
            violation("metadata.labels", Problem::BadAlias { alias: freight.alias.clone() });
        } else if alias_is_taken(&freight.alias) {
            violation("alias", Problem::TakenAlias { alias: freight.alias.clone() });
        }
    }

    let mut subscriptions = Subscriptions::default();
    for subscription in &warehouse.spec.subscriptions {
        match &subscription.source {
            Source::Git(git) => subscriptions.add("commits", url::git(&git.repo_url), &git.repo_url),
            Source::Image(image) => subscriptions.add("images", url::image(&image.repo_url), &image.repo_url),
            Source::Chart(chart) => subscriptions.add("charts", url::join(&[&url::chart(&chart.repo_url), &chart.name]), &chart.repo_url),
            Source::Generic { .. } => {}
        }
    }
    for commit in &freight.commits {
        if !subscriptions.count("commits", &url::git(&commit.repo_url)) {
            violation("commits", Problem::Foreign { artifact: commit.repo_url.clone() });
        }
    }
    for image in &mut freight.images {
        let repository = url::image(&image.repo_url);
        if subscriptions.count("images", &repository) {
            image.repo_url = subscriptions.spelling("images", &repository);
        } else {
            violation("images", Problem::Foreign { artifact: image.repo_url.clone() });
        }
    }
    for chart in &freight.charts {
        if !subscriptions.count("charts", &url::join(&[&url::chart(&chart.repo_url), &chart.name])) {
            violation("charts", Problem::Foreign { artifact: url::join(&[&chart.repo_url, &chart.name]) });
        }
    }
    for ((field, repository), entry) in subscriptions.found {
        match entry.artifacts {
            0 => violation(field, Problem::Missing { subscription: repository }),
            1 => {}
            _ => violation(field, Problem::Several { subscription: repository }),
        }
    }
    if !violations.is_empty() {
        return Err(violations);
    }
    name(&mut freight, warehouse);
    Ok(freight)
}

/// How many artifacts each subscription got.
#[derive(Default)]
struct Subscriptions {
    found: BTreeMap<(&'static str, String), Subscribed>,
}

struct Subscribed {
    spelling: String,
    artifacts: usize,
}

impl Subscriptions {
    fn add(&mut self, field: &'static str, repository: String, spelling: &str) {
        self.found.entry((field, repository)).or_insert_with(|| Subscribed { spelling: spelling.to_owned(), artifacts: 0 });
    }

    /// Counts an artifact; false if no subscription is to its repository.
    fn count(&mut self, field: &'static str, repository: &str) -> bool {
        self.found.get_mut(&(field, repository.to_owned())).map(|entry| entry.artifacts += 1).is_some()
    }

    fn spelling(&self, field: &'static str, repository: &str) -> String {
        self.found.get(&(field, repository.to_owned())).map(|entry| entry.spelling.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::model::{GenericDiscovery, ImageDiscovery, ImageSubscription, Subscription};

    fn warehouse() -> Warehouse {
        let image = ImageSubscription { repo_url: "docker.io/library/nginx".into(), ..ImageSubscription::default() };
        let mut warehouse = Warehouse::default();
        warehouse.metadata.name = "web".into();
        warehouse.spec.subscriptions = vec![Subscription { name: String::new(), source: Source::Image(image) }];
        warehouse
    }

    fn freight(repo_url: &str) -> Freight {
        let image = Image { repo_url: repo_url.into(), tag: "1.27".into(), digest: "sha256:aa".into(), ..Image::default() };
        Freight { origin: Origin::warehouse("web"), images: vec![image], ..Freight::default() }
    }

    #[test]
    fn a_hand_made_freight_takes_the_subscriptions_spelling() {
        let short = by_hand(&warehouse(), freight("nginx"), |_| false).unwrap();
        let long = by_hand(&warehouse(), freight("docker.io/library/nginx"), |_| false).unwrap();
        assert_eq!(short, long);
        assert_eq!(short.images[0].repo_url, "docker.io/library/nginx");
    }

    #[test]
    fn every_violation_is_reported_at_once() {
        let mut bad = freight("redis");
        bad.origin = Origin::warehouse("other");
        bad.alias = "-no-".into();
        let fields: Vec<_> = by_hand(&warehouse(), bad, |_| false).unwrap_err().iter().map(|violation| violation.field).collect();
        assert_eq!(fields, ["origin", "metadata.labels", "images", "images"]);
    }

    #[test]
    fn a_generic_subscription_without_results_makes_no_freight() {
        let discovered = DiscoveredArtifacts {
            results: vec![GenericDiscovery { name: "models".into(), ..GenericDiscovery::default() }],
            ..DiscoveredArtifacts::default()
        };
        let got = automatic(&warehouse(), &Arc::new(discovered), |_| false, Timestamp::UNIX_EPOCH);
        assert_eq!(got, Automatic::None(NoFreight::NoArtifacts { subscription: "models".into() }));
    }

    #[test]
    fn one_empty_subscription_makes_no_freight_at_all() {
        let discovered = DiscoveredArtifacts {
            images: vec![ImageDiscovery { repo_url: "nginx".into(), ..ImageDiscovery::default() }],
            ..DiscoveredArtifacts::default()
        };
        let got = automatic(&warehouse(), &Arc::new(discovered), |_| false, Timestamp::UNIX_EPOCH);
        assert_eq!(got, Automatic::None(NoFreight::NoImages { repo_url: "nginx".into() }));
    }
}
