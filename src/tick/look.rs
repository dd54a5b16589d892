//! Looks at the sources of every warehouse and makes freight of what is new.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;

use super::World;
use super::outcome::{CreatedFreight, FailingWarehouse, Outcome};
use super::transitions;
use super::view::required;
use crate::diagnostic::{Failure, FailureKind};
use crate::discover::DiscoveryError;
use crate::discover::git::{GitFinding, GitQuery, History};
use crate::freight::assemble::{self, Automatic, NoFreight};
use crate::git::{RefPattern, Store};
use crate::ledger::{Chain, RecordPath, Scope};
use crate::model::{
    CommitSelectionStrategy, DiscoveredArtifacts, FailingSource, Freight, GitDiscovery, GitSubscription, Project, Source, Warehouse, WarehouseName,
    WarehouseStatus,
};

/// What a warehouse found, or why it could not look.
pub type Found = Result<DiscoveredArtifacts, Failure>;

/// Looks at all warehouses of a project and writes down what is new. A source that fails, fails alone: its failure is given back, and known
/// freight still moves.
///
/// # Errors
/// What the ledger says.
pub async fn look(world: &World, project: &Project, chain: &mut Chain<'static>, outcome: &mut Outcome) -> Result<Vec<Failure>, Failure> {
    let mut failures = Vec::new();
    chain.state().load(&[Scope::Project(project.name.clone())]).await?;
    for (name, found) in discover(world, project, None).await {
        let Some(warehouse) = project.warehouses.get(&name) else { continue };
        let known =
            required(chain.state(), || chain.state().warehouse(&project.name, &name)).await?.map(|record| record.status.clone()).unwrap_or_default();
        let (freight, status) = match found {
            Err(failure) => {
                let status = failing(world, &known, &failure);
                outcome.failing.push(FailingWarehouse {
                    project: project.name.clone(),
                    warehouse: name.clone(),
                    reason: failure.message.clone(),
                    since: status.failing.as_ref().and_then(|failing| failing.since),
                });
                if failure.kind != FailureKind::Config {
                    failures.push(failure);
                }
                (None, status)
            }
            Ok(found) => assemble(world, project, warehouse, found, &known, chain, outcome)?,
        };
        if status != known {
            transitions::found(chain, &project.name, &name, status).await?;
        }
        for freight in freight.into_iter().chain(by_hand(project, &name, chain)?) {
            let (recorded, is_new) = transitions::create_freight(chain, &project.name, freight).await?;
            if is_new {
                outcome.freight_created.push(CreatedFreight {
                    project: project.name.clone(),
                    name: recorded.name(),
                    alias: recorded.alias.clone(),
                    warehouse: name.clone(),
                    artifacts: crate::report::words::artifacts(&recorded.reference()),
                });
            }
        }
    }
    Ok(failures)
}

/// Freight that the definitions themselves declare and the ledger does not have.
fn by_hand(project: &Project, warehouse: &WarehouseName, chain: &Chain<'_>) -> Result<Vec<Freight>, Failure> {
    let mut new = Vec::new();
    for freight in project.freight.iter().filter(|freight| freight.origin.name == *warehouse) {
        if chain.state().version(&RecordPath::Freight(project.name.clone(), freight.name()))?.is_none() {
            new.push(freight.clone());
        }
    }
    Ok(new)
}

fn failing(world: &World, known: &WarehouseStatus, failure: &Failure) -> WarehouseStatus {
    let mut status = known.clone();
    let since = known.failing.as_ref().and_then(|failing| failing.since).unwrap_or(world.occasion.now);
    let last_good =
        known.failing.as_ref().map_or_else(|| known.discovered_artifacts.as_ref().and_then(|found| found.discovered_at), |failing| failing.last_good);
    status.failing = Some(FailingSource { since: Some(since), last_good, reason: failure.message.clone() });
    status
}

fn assemble(
    world: &World,
    project: &Project,
    warehouse: &Warehouse,
    mut found: DiscoveredArtifacts,
    known: &WarehouseStatus,
    chain: &Chain<'_>,
    outcome: &mut Outcome,
) -> Result<(Option<Freight>, WarehouseStatus), Failure> {
    let mut status = known.clone();
    status.failing = None;
    // Looking again at the same is not worth a commit.
    let before = known.discovered_artifacts.as_ref();
    found.discovered_at = before.and_then(|before| before.discovered_at);
    if before != Some(&found) {
        found.discovered_at = Some(world.occasion.now);
    }
    let found = Arc::new(found);
    let mut unreadable = None;
    let exists = |name: &crate::model::FreightName| match chain.state().version(&RecordPath::Freight(project.name.clone(), name.clone())) {
        Ok(version) => version.is_some(),
        Err(failure) => {
            unreadable = Some(failure);
            true
        }
    };
    let automatic = assemble::automatic(warehouse, &found, exists, world.occasion.now);
    if let Some(failure) = unreadable {
        return Err(failure);
    }
    status.discovered_artifacts = Some(Arc::unwrap_or_clone(found));
    let freight = match automatic {
        Automatic::New(freight) => Some(*freight),
        Automatic::Exists(name) => {
            status.last_freight_id = name;
            None
        }
        Automatic::None(reason) => {
            if !matches!(reason, NoFreight::Manual | NoFreight::CriteriaNotSatisfied { .. }) {
                let reason = reason.to_string();
                let since =
                    known.failing.as_ref().filter(|failing| failing.reason == reason).and_then(|failing| failing.since).unwrap_or(world.occasion.now);
                status.failing = Some(FailingSource { since: Some(since), last_good: None, reason: reason.clone() });
                outcome.failing.push(FailingWarehouse { project: project.name.clone(), warehouse: warehouse.name(), reason, since: Some(since) });
            }
            None
        }
    };
    Ok((freight, status))
}

/// What the warehouses of a project find now; with `only`, just that one. Remotes are asked at once, each of them once.
pub async fn discover(world: &World, project: &Project, only: Option<&WarehouseName>) -> BTreeMap<WarehouseName, Found> {
    let wanted: Vec<&Warehouse> = project.warehouses.values().filter(|warehouse| only.is_none_or(|only| *only == warehouse.name())).collect();
    let mut remotes: BTreeMap<String, (Arc<Store>, Vec<RefPattern>)> = BTreeMap::new();
    let mut unreachable: BTreeMap<String, Failure> = BTreeMap::new();
    for git in wanted.iter().flat_map(|warehouse| git_subscriptions(warehouse)) {
        match world.stores.get(&git.repo_url) {
            Ok(store) => {
                let entry = remotes.entry(store.url().key().to_owned()).or_insert_with(|| (store, Vec::new()));
                entry.1.extend(patterns(git));
            }
            Err(failure) => {
                unreachable.insert(git.repo_url.clone(), failure);
            }
        }
    }
    let fetched = join_all(remotes.into_iter().map(|(key, (store, patterns))| async move { (key, store.ensure(&patterns).await.err()) })).await;
    let mut failed: BTreeMap<String, Failure> = fetched.into_iter().filter_map(|(key, failure)| Some((key, failure?))).collect();
    let mut found = BTreeMap::new();
    for warehouse in wanted {
        found.insert(warehouse.name(), look_at(world, warehouse, &mut failed, &unreachable).await);
    }
    found
}

fn git_subscriptions(warehouse: &Warehouse) -> impl Iterator<Item = &GitSubscription> {
    warehouse.spec.subscriptions.iter().filter_map(|subscription| match &subscription.source {
        Source::Git(git) => Some(git),
        _ => None,
    })
}

fn patterns(git: &GitSubscription) -> Vec<RefPattern> {
    match git.commit_selection_strategy {
        CommitSelectionStrategy::NewestFromBranch if git.branch.is_empty() => vec![RefPattern::head()],
        CommitSelectionStrategy::NewestFromBranch => RefPattern::branch(&git.branch).into_iter().collect(),
        _ => vec![RefPattern::tags()],
    }
}

async fn look_at(world: &World, warehouse: &Warehouse, failed: &mut BTreeMap<String, Failure>, unreachable: &BTreeMap<String, Failure>) -> Found {
    let mut found = DiscoveredArtifacts::default();
    for subscription in &warehouse.spec.subscriptions {
        match &subscription.source {
            Source::Git(git) => {
                if let Some(failure) = unreachable.get(&git.repo_url) {
                    return Err(again(failure));
                }
                let store = world.stores.get(&git.repo_url)?;
                if let Some(failure) = failed.get(store.url().key()) {
                    return Err(again(failure));
                }
                let finding = find(&store, git, world.occasion.now)?;
                found.git.push(GitDiscovery {
                    repo_url: git.repo_url.clone(),
                    subscription_name: subscription.name.clone(),
                    commits: finding.commits,
                });
            }
            Source::Image(image) => return Err(not_yet("image", &image.repo_url)),
            Source::Chart(chart) => return Err(not_yet("chart", &chart.repo_url)),
            Source::Generic { kind, .. } => return Err(not_yet(kind, &subscription.name)),
        }
    }
    Ok(found)
}

/// Answers a git subscription from what was fetched.
fn find(store: &Store, git: &GitSubscription, now: jiff::Timestamp) -> Result<GitFinding, Failure> {
    let wrong = |error: DiscoveryError| Failure::new(FailureKind::Config, format!("`{}`: {error}", git.repo_url));
    let query = GitQuery::new(git, now).map_err(wrong)?;
    let (repository, tips) = (store.repository(), store.tips());
    History::new(&repository, &tips).discover(&query).map_err(wrong)
}

/// A failure that several warehouses share.
fn again(failure: &Failure) -> Failure {
    let mut copy = Failure::new(failure.kind, failure.message.clone());
    copy.hints.clone_from(&failure.hints);
    copy
}

fn not_yet(kind: &str, what: &str) -> Failure {
    Failure::new(FailureKind::Config, format!("subscriptions of type `{kind}` (`{what}`) cannot be looked at by this version"))
        .hint("make its freight by hand with `consign freight create`, or subscribe to the Git repository it is built from")
}
