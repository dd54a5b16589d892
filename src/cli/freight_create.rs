//! `freight create`: a freight of artifacts that a person chose.

use super::ground::{Ground, record};
use super::session::{Session, Stopped};
use super::{Format, print};
use crate::diagnostic::{Failure, FailureKind, nearest};
use crate::freight::{alias, assemble, url};
use crate::git::{Oid, RefPattern, Signature, Store};
use crate::model::{Chart, DiscoveredArtifacts, Freight, GitCommit, Image, Origin, Source, Warehouse, WarehouseName};
use crate::report::verbs::{self, Made};
use crate::tick::World;
use crate::tick::flush;
use crate::tick::transitions;

/// Shortest beginning of a commit id.
const SHORT_ID: usize = 4;

/// Makes a freight of one chosen artifact for each subscription of a warehouse.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The warehouse
    #[arg(long, value_name = "NAME")]
    pub warehouse: String,
    /// A commit: repository, `=`, and an id, the beginning of one, a tag or a branch; the repository may be left out where there is only one
    #[arg(long = "commit", value_name = "[URL=]ID")]
    pub commits: Vec<String>,
    /// An image: repository, `=`, and a tag, a digest or both (`1.2.3@sha256:...`)
    #[arg(long = "image", value_name = "[REPO=]TAG")]
    pub images: Vec<String>,
    /// A chart: repository (with `#NAME` where it holds several), `=`, and a version
    #[arg(long = "chart", value_name = "[REPO=]VERSION")]
    pub charts: Vec<String>,
    /// What to call it [default: made from its name]
    #[arg(long, value_name = "ALIAS", default_value = "")]
    pub alias: String,
    /// Only show what it would be
    #[arg(long)]
    pub dry_run: bool,
    /// How to say what was done
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Makes a freight; gives the exit code.
///
/// # Errors
/// Usage, for a warehouse or artifact that there is not, or artifacts that do not fit the subscriptions; what ledger and remotes say.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    let world = session.open(false).await?;
    let project = world.project()?;
    let ground = Ground::read(&world, project).await?;
    let name = WarehouseName::new(args.warehouse.as_str());
    let Some(warehouse) = project.warehouses.get(&name) else {
        let near = nearest(&args.warehouse, project.warehouses.keys().map(WarehouseName::as_str));
        let all: Vec<&str> = project.warehouses.keys().map(WarehouseName::as_str).collect();
        let hint = near.map_or_else(|| format!("the warehouses are: {}", all.join(", ")), |near| format!("did you mean `{near}`?"));
        return Err(Failure::new(FailureKind::Usage, format!("there is no warehouse `{name}` in project `{}`", project.name)).hint(hint).into());
    };
    let discovered = ground.view.warehouses.get(&name).and_then(|status| status.discovered_artifacts.as_ref());
    let mut freight = Freight { origin: Origin::warehouse(name.clone()), alias: args.alias.clone(), ..Freight::default() };
    for text in &args.commits {
        freight.commits.push(commit(&world, warehouse, text).await?);
    }
    for text in &args.images {
        freight.images.push(image(warehouse, text, discovered)?);
    }
    for text in &args.charts {
        freight.charts.push(chart(warehouse, text)?);
    }
    let taken = |alias: &str| ground.view.freight.iter().any(|known| known.alias == alias);
    let mut freight = assemble::by_hand(warehouse, freight, taken).map_err(|violations| {
        let all: Vec<String> = violations.iter().map(ToString::to_string).collect();
        Failure::new(FailureKind::Usage, format!("this cannot be a freight of `{name}`: {}", all.join("; ")))
            .hint("choose one artifact for each subscription, with `--commit`, `--image` and `--chart`")
    })?;
    if args.dry_run {
        let known = ground.view.freight.iter().find(|known| known.name() == freight.name());
        if freight.alias.is_empty() {
            freight.alias = known.map_or_else(|| alias::alias_of(&freight.name(), taken), |known| known.alias.clone());
        }
        print(args.format, &record("Freight", &freight), || verbs::freight_made(&freight, Made::Dry));
        return Ok(0);
    }
    let mut chain = world.ledger.chain(ground.state.clone(), world.occasion.clone());
    let (freight, is_new) = transitions::create_freight(&mut chain, &project.name, freight).await.map_err(Failure::from)?;
    flush::publish(&world, &mut chain).await?;
    print(args.format, &record("Freight", &freight), || verbs::freight_made(&freight, if is_new { Made::New } else { Made::Known }));
    Ok(0)
}

/// Splits `REPOSITORY=CHOICE`; without a repository the only subscription of its kind is meant.
fn split<'a>(text: &'a str, kind: &str, flag: &str, subscribed: &[String]) -> Result<(String, &'a str), Failure> {
    if let Some((repository, choice)) = text.rsplit_once('=') {
        return Ok((repository.to_owned(), choice));
    }
    match subscribed {
        [only] => Ok((only.clone(), text)),
        [] => Err(Failure::new(FailureKind::Usage, format!("the warehouse has no subscription to {kind}"))),
        several => Err(Failure::new(FailureKind::Usage, format!("which of the warehouse's {kind} is `{text}` of?"))
            .hint(format!("write `{flag} REPOSITORY={text}`; the repositories are: {}", several.join(", ")))),
    }
}

/// A chosen commit.
async fn commit(world: &World, warehouse: &Warehouse, text: &str) -> Result<GitCommit, Failure> {
    let subscribed: Vec<(&String, &String)> = warehouse
        .spec
        .subscriptions
        .iter()
        .filter_map(|subscription| match &subscription.source {
            Source::Git(git) => Some((&git.repo_url, &subscription.name)),
            _ => None,
        })
        .collect();
    let urls: Vec<String> = subscribed.iter().map(|(url, _)| (*url).clone()).collect();
    let (repository, revision) = split(text, "repositories", "--commit", &urls)?;
    let known = subscribed.iter().find(|(subscribed, _)| url::git(subscribed) == url::git(&repository));
    // The subscription's spelling is hashed into the name.
    let (repo_url, subscription_name) = known.map_or_else(|| (repository.clone(), String::new()), |(url, name)| ((*url).clone(), (*name).clone()));
    let store = world.stores.get(&repo_url)?;
    store.fetch(&[RefPattern::branches(), RefPattern::tags()]).await?;
    let id = resolve(&store, revision).await?;
    let found = store.commit(id)?;
    let is = |name: String| store.tip(&name).is_some();
    let tag = if is(format!("refs/tags/{revision}")) { revision.to_owned() } else { String::new() };
    let branch = if tag.is_empty() && is(format!("refs/heads/{revision}")) { revision.to_owned() } else { String::new() };
    let who = |signature: &Signature| format!("{} <{}>", signature.name, signature.email);
    Ok(GitCommit {
        repo_url,
        id: id.to_string(),
        branch,
        tag,
        message: found.subject().to_owned(),
        author: who(&found.author),
        committer: who(&found.committer),
        subscription_name,
    })
}

/// The commit that a branch, a tag, an id or its beginning means.
async fn resolve(store: &Store, revision: &str) -> Result<Oid, Failure> {
    if let Some(found) = store.resolve(revision)? {
        return Ok(found);
    }
    let unknown = || Failure::new(FailureKind::Usage, format!("`{}` has no branch, tag or commit `{revision}`", store.url()));
    if let Ok(id) = revision.parse::<Oid>() {
        store.ensure_commit(id).await.map_err(|failure| match failure.kind {
            FailureKind::Remote => unknown().caused_by(failure),
            _ => failure,
        })?;
        return Ok(store.peel(id)?);
    }
    if revision.len() < SHORT_ID || !revision.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(unknown());
    }
    let tips: Vec<Oid> = store.tips().values().filter_map(|tip| store.peel(*tip).ok()).collect();
    let beginning = revision.to_ascii_lowercase();
    let mut found = Vec::new();
    store.walk(&tips, &[], |commit| {
        if commit.id.to_string().starts_with(&beginning) && !found.contains(&commit.id) {
            found.push(commit.id);
        }
        std::ops::ControlFlow::Continue(())
    })?;
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(unknown()),
        several => Err(Failure::new(FailureKind::Usage, format!("`{revision}` is the beginning of several commits of `{}`", store.url()))
            .hint(format!("say which: {}", several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")))),
    }
}

/// A chosen image; what was discovered about it is taken along.
fn image(warehouse: &Warehouse, text: &str, discovered: Option<&DiscoveredArtifacts>) -> Result<Image, Failure> {
    let subscribed: Vec<(&String, &String)> = warehouse
        .spec
        .subscriptions
        .iter()
        .filter_map(|subscription| match &subscription.source {
            Source::Image(image) => Some((&image.repo_url, &subscription.name)),
            _ => None,
        })
        .collect();
    let urls: Vec<String> = subscribed.iter().map(|(url, _)| (*url).clone()).collect();
    let (repository, choice) = split(text, "image repositories", "--image", &urls)?;
    let (tag, digest) = match choice.split_once('@') {
        Some((tag, digest)) => (tag.to_owned(), digest.to_owned()),
        None if choice.contains(':') => (String::new(), choice.to_owned()),
        None => (choice.to_owned(), String::new()),
    };
    let mut image = Image { repo_url: repository, tag, digest, ..Image::default() };
    let same = |other: &str| url::image(other) == url::image(&image.repo_url);
    if let Some((_, name)) = subscribed.iter().find(|(subscribed, _)| same(subscribed)) {
        image.subscription_name = (*name).clone();
    }
    let known = discovered.into_iter().flat_map(|all| &all.images).filter(|found| same(&found.repo_url)).flat_map(|found| &found.references);
    let known = known.into_iter().find(|found| {
        let by_tag = !image.tag.is_empty() && found.tag == image.tag && (image.digest.is_empty() || found.digest == image.digest);
        by_tag || (image.tag.is_empty() && found.digest == image.digest)
    });
    if let Some(found) = known {
        (image.tag, image.digest, image.annotations) = (found.tag.clone(), found.digest.clone(), found.annotations.clone());
    }
    Ok(image)
}

/// A chosen chart.
fn chart(warehouse: &Warehouse, text: &str) -> Result<Chart, Failure> {
    let subscribed: Vec<(String, String, &String)> = warehouse
        .spec
        .subscriptions
        .iter()
        .filter_map(|subscription| match &subscription.source {
            Source::Chart(chart) => Some((chart.repo_url.clone(), chart.name.clone(), &subscription.name)),
            _ => None,
        })
        .collect();
    let whole = |url: &str, name: &str| if name.is_empty() { url.to_owned() } else { format!("{url}#{name}") };
    let urls: Vec<String> = subscribed.iter().map(|(url, name, _)| whole(url, name)).collect();
    let (repository, version) = split(text, "charts", "--chart", &urls)?;
    let (repository, name) = repository.split_once('#').unwrap_or((&repository, ""));
    let same = |(url, chart, _): &&(String, String, &String)| url::chart(url) == url::chart(repository) && (name.is_empty() || chart == name);
    let known = subscribed.iter().find(same);
    Ok(match known {
        Some((url, name, subscription)) => {
            Chart { repo_url: url.clone(), name: name.clone(), version: version.to_owned(), subscription_name: (*subscription).clone() }
        }
        None => Chart { repo_url: repository.to_owned(), name: name.to_owned(), version: version.to_owned(), ..Chart::default() },
    })
}
