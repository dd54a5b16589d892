//! `commitFrom`, `imageFrom`, `chartFrom`, `artifactFrom` and `warehouse`.

use super::{Budget, Scope, Value, records, text_argument, urls};
use crate::model::{FreightReference, Source, Subscription, WarehouseName};

/// `warehouse(name)`: an origin.
pub(super) fn warehouse(arguments: &[Value], _: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    match text_argument("warehouse", arguments, 0)? {
        "" => Err("name must not be empty to call `warehouse`".into()),
        name => Ok(records::origin(name)),
    }
}

/// The origin that an argument names.
fn origin_argument(name: &str, value: &Value) -> Result<WarehouseName, String> {
    match value {
        Value::Record(record) if std::ptr::eq(record.kind, &records::ORIGIN) => {
            Ok(record.get("Name").and_then(Value::as_text).map(|name| WarehouseName::from(name.as_ref())).unwrap_or_default())
        }
        other => Err(format!("the origin must come from `warehouse('...')`, got {}, to call `{name}`", other.type_name())),
    }
}

/// The one requested warehouse with a subscription that fits.
fn origin_of(scope: &Scope<'_>, what: &str, fits: impl Fn(&Subscription) -> bool) -> Result<Option<WarehouseName>, String> {
    let mut found = None;
    for name in scope.context.requested.iter() {
        let warehouse = scope
            .context
            .warehouses
            .get(name)
            .ok_or_else(|| format!("warehouse `{name}` not found in namespace of the project; the stage requests freight from it"))?;
        for _ in warehouse.spec.subscriptions.iter().filter(|subscription| fits(subscription)) {
            if found.replace(name.clone()).is_some() {
                return Err(format!(
                    "multiple requested Freight could potentially provide a {what}; name the warehouse as last argument: `warehouse('...')`"
                ));
            }
        }
    }
    Ok(found)
}

/// The first artifact of that origin's freight that fits.
fn of_origin(scope: &Scope<'_>, origin: &WarehouseName, find: impl Fn(&FreightReference) -> Option<Value>) -> Value {
    scope.context.freight.iter().find(|freight| freight.origin.name == *origin).and_then(find).unwrap_or_default()
}

/// `commitFrom(repoURL[, origin])`.
pub(super) fn commit(arguments: &[Value], scope: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    let url = urls::git(text_argument("commitFrom", arguments, 0)?);
    let origin = match arguments.get(1) {
        Some(origin) => Some(origin_argument("commitFrom", origin)?),
        None => origin_of(scope, "commit", |subscription| match &subscription.source {
            Source::Git(git) => urls::git(&git.repo_url) == url,
            _ => false,
        })?,
    };
    Ok(origin.map_or(Value::Nil, |origin| {
        of_origin(scope, &origin, |freight| freight.commits.iter().find(|commit| urls::git(&commit.repo_url) == url).map(records::commit))
    }))
}

/// `imageFrom(repoURL[, origin])`. The URL is compared as written.
pub(super) fn image(arguments: &[Value], scope: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    let url = text_argument("imageFrom", arguments, 0)?;
    let origin = match arguments.get(1) {
        Some(origin) => Some(origin_argument("imageFrom", origin)?),
        None => origin_of(scope, "container image", |subscription| match &subscription.source {
            Source::Image(image) => image.repo_url == url,
            _ => false,
        })?,
    };
    Ok(origin.map_or(Value::Nil, |origin| {
        of_origin(scope, &origin, |freight| freight.images.iter().find(|image| image.repo_url == url).map(records::image))
    }))
}

/// `chartFrom(repoURL[, name][, origin])`. The URL is compared as written.
pub(super) fn chart(arguments: &[Value], scope: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    let url = text_argument("chartFrom", arguments, 0)?;
    let (name, origin) = match arguments {
        [_, name, origin] => match text_argument("chartFrom", arguments, 1)? {
            "" => return Err("the name must not be empty when `chartFrom` is called with three arguments; leave it out".into()),
            _ => (name.as_text().map_or("", AsRef::as_ref), Some(origin_argument("chartFrom", origin)?)),
        },
        [_, Value::Record(_)] => ("", Some(origin_argument("chartFrom", &arguments[1])?)),
        [_, _] => (text_argument("chartFrom", arguments, 1)?, None),
        _ => ("", None),
    };
    let origin = match origin {
        Some(origin) => origin,
        None => origin_of(scope, "chart", |subscription| match &subscription.source {
            Source::Chart(chart) => chart.repo_url == url && chart.name == name,
            _ => false,
        })?
        .ok_or_else(|| {
            let known = scope.context.requested.iter().filter_map(|name| scope.context.warehouses.get(name)).any(|warehouse| {
                warehouse.spec.subscriptions.iter().any(|subscription| match &subscription.source {
                    Source::Chart(chart) => chart.repo_url == url,
                    _ => false,
                })
            });
            let hint = if known {
                "; give the chart's name as second argument".to_owned()
            } else if !url.contains("://") {
                format!("; an OCI repository is written `oci://{url}`")
            } else {
                "; no requested warehouse subscribes to it".to_owned()
            };
            format!("chart from repository `{url}` not found in referenced Freight{hint}")
        })?,
    };
    Ok(of_origin(scope, &origin, |freight| freight.charts.iter().find(|chart| chart.repo_url == url && chart.name == name).map(records::chart)))
}

/// `artifactFrom(subscriptionName[, origin])`: artifacts of generic subscriptions only.
pub(super) fn artifact(arguments: &[Value], scope: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    let name = text_argument("artifactFrom", arguments, 0)?;
    let origin = match arguments.get(1) {
        Some(origin) => Some(origin_argument("artifactFrom", origin)?),
        None => origin_of(scope, "artifact", |subscription| matches!(subscription.source, Source::Generic { .. }) && subscription.name == name)?,
    };
    Ok(origin.map_or(Value::Nil, |origin| {
        of_origin(scope, &origin, |freight| freight.artifacts.iter().find(|artifact| artifact.subscription_name == name).map(records::artifact))
    }))
}

/// `commitFrom(repoURL)` in criteria: the newest discovered commit.
pub(super) fn discovered_commit(arguments: &[Value], scope: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    let url = urls::git(text_argument("commitFrom", arguments, 0)?);
    let found = scope.context.discovered.git.iter().find(|git| urls::git(&git.repo_url) == url);
    Ok(found.and_then(|git| git.commits.first()).map_or(Value::Nil, records::discovered_commit))
}

/// `imageFrom(repoURL)` in criteria.
pub(super) fn discovered_image(arguments: &[Value], scope: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    let url = urls::image(text_argument("imageFrom", arguments, 0)?);
    let found = scope.context.discovered.images.iter().find(|image| urls::image(&image.repo_url) == url);
    Ok(found.and_then(|image| image.references.first()).map_or(Value::Nil, records::discovered_image))
}

/// `chartFrom(repoURL[, name])` in criteria; no name matches any.
pub(super) fn discovered_chart(arguments: &[Value], scope: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    let url = urls::chart(text_argument("chartFrom", arguments, 0)?);
    let name = if arguments.len() > 1 { text_argument("chartFrom", arguments, 1)? } else { "" };
    let found = scope.context.discovered.charts.iter().find(|chart| urls::chart(&chart.repo_url) == url && (name.is_empty() || chart.name == name));
    Ok(found.and_then(|chart| chart.versions.first().map(|version| records::discovered_chart(&url, &chart.name, version))).unwrap_or_default())
}

/// `artifactFrom(subscriptionName)` in criteria; of two results of one name the last.
pub(super) fn discovered_artifact(arguments: &[Value], scope: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    let name = text_argument("artifactFrom", arguments, 0)?;
    let found = scope.context.discovered.results.iter().rfind(|result| result.name == name);
    Ok(found.and_then(|result| result.artifact_references.first()).map_or(Value::Nil, records::artifact))
}
