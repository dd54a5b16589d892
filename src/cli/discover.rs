//! `discover`: what each subscription finds now. Writes nothing.

use serde::Serialize;
use serde_json::{Value, json};

use super::session::{Session, Stopped};
use super::{Format, print};
use crate::diagnostic::{Failure, FailureKind, nearest};
use crate::model::{DiscoveredArtifacts, Project, Source, Subscription, Warehouse, WarehouseName};
use crate::report::discovery::{Discovery, SubscriptionDiscovery, WarehouseDiscovery};
use crate::tick::look;

/// What each subscription finds now.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Only this warehouse
    pub warehouse: Option<String>,
    /// How to say it
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Runs the verb; gives the exit code: that of the worst failure, after everything else was shown.
///
/// # Errors
/// Usage, for an unknown warehouse; what stops the world from being opened.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    let world = session.open(true).await?;
    let wanted = |name: &WarehouseName| args.warehouse.as_ref().is_none_or(|only| *name == only.as_str());
    if let Some(only) = &args.warehouse
        && !world.wanted_projects().any(|project| project.warehouses.contains_key(only.as_str()))
    {
        let all = world.wanted_projects().flat_map(|project| project.warehouses.keys());
        let near = nearest(only, all.map(WarehouseName::as_str)).map(|near| format!("did you mean `{near}`?"));
        let failure = Failure::new(FailureKind::Usage, format!("there is no warehouse `{only}`"));
        return Err(failure.hint(near.unwrap_or_else(|| "`consign graph` shows all".into())).into());
    }
    let mut discovery = Discovery::default();
    let mut code = 0;
    for project in world.wanted_projects() {
        let (parts, places) = one_subscription_each(project, &wanted);
        let mut found = look::discover(&world, &parts, None).await;
        for (name, subscriptions) in places {
            let subscriptions = subscriptions.into_iter().map(|(part, subscription)| {
                let answer = found.remove(&part).unwrap_or_else(|| Ok(DiscoveredArtifacts::default()));
                let (artifacts, error) = match answer {
                    Ok(found) => (artifacts(found), None),
                    Err(failure) => {
                        code = code.max(failure.kind.exit_code());
                        (Vec::new(), Some(failure.message))
                    }
                };
                let (kind, repo_url) = source(&subscription.source);
                SubscriptionDiscovery { kind, repo_url, name: subscription.name.clone(), artifacts, error }
            });
            let subscriptions = subscriptions.collect();
            discovery.warehouses.push(WarehouseDiscovery { name, project: project.name.clone(), subscriptions });
        }
    }
    print(args.format, &discovery, || discovery.text());
    Ok(code)
}

/// For each warehouse, its subscriptions and the name of the part that looks at it.
type Places<'a> = Vec<(WarehouseName, Vec<(WarehouseName, &'a Subscription)>)>;

/// The same project with a warehouse for each subscription, so that each has an answer of its own while every remote is still asked once.
fn one_subscription_each<'a>(project: &'a Project, wanted: &dyn Fn(&WarehouseName) -> bool) -> (Project, Places<'a>) {
    let mut parts = Project { name: project.name.clone(), ..Project::default() };
    let mut places = Vec::new();
    for (name, warehouse) in project.warehouses.iter().filter(|(name, _)| wanted(name)) {
        let mut subscriptions = Vec::new();
        for (index, subscription) in warehouse.spec.subscriptions.iter().enumerate() {
            let mut part: Warehouse = warehouse.clone();
            // No warehouse has a name like that.
            part.metadata.name = format!("{name}/{index:06}");
            part.spec.subscriptions = vec![subscription.clone()];
            subscriptions.push((part.name(), subscription));
            parts.warehouses.insert(part.name(), part);
        }
        places.push((name.clone(), subscriptions));
    }
    (parts, places)
}

fn source(source: &Source) -> (String, String) {
    match source {
        Source::Git(git) => ("git".into(), git.repo_url.clone()),
        Source::Image(image) => ("image".into(), image.repo_url.clone()),
        Source::Chart(chart) => ("chart".into(), chart.repo_url.clone()),
        Source::Generic { kind, .. } => (kind.clone(), String::new()),
    }
}

fn artifacts(found: DiscoveredArtifacts) -> Vec<Value> {
    fn values<T: Serialize>(items: impl IntoIterator<Item = T>) -> impl Iterator<Item = Value> {
        items.into_iter().filter_map(|item| serde_json::to_value(item).ok())
    }
    let commits = values(found.git.into_iter().flat_map(|finding| finding.commits));
    let images = values(found.images.into_iter().flat_map(|finding| finding.references));
    let charts = found.charts.into_iter().flat_map(|finding| finding.versions).map(|version| json!({"version": version}));
    let others = values(found.results.into_iter().flat_map(|finding| finding.artifact_references));
    commits.chain(images).chain(charts).chain(others).collect()
}
