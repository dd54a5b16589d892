//! The forges of a tick: by rule of the settings, by host, or plain Git.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{ForgeKind, Settings};
use crate::diagnostic::Failure;
use crate::forge::directory::{Directory, Rule, RuleKind};
use crate::forge::plain::{Book, Committer, PlainForges};
use crate::forge::{Describe, Forges, NewPullRequest};
use crate::git::{Change, CredentialLookup, Oid, Stores};
use crate::model::{FreightReference, Promotion, StageName, StageStatus, VerifiedStage};
use crate::report::manifest_diff::{self, FileDiff};
use crate::report::pull_request::{self, PullRequestText};

use super::World;
use super::preview::side;
use super::view::View;

/// The directory of forges by the user's settings.
pub fn directory(settings: &Settings, credentials: CredentialLookup, env: &BTreeMap<String, String>) -> Arc<Directory> {
    let rules = settings.forges.clone();
    let rule = move |url: &str| {
        let rule = rules.iter().find(|rule| super::open::matches_address(&rule.url, url))?;
        let kind = match rule.kind {
            ForgeKind::Plain => RuleKind::Plain,
            ForgeKind::Github => RuleKind::GitHub,
        };
        Some(Rule { kind, api: rule.api.clone() })
    };
    Arc::new(Directory::new(Arc::new(rule), credentials, env))
}

/// The forges as one promotion sees them.
pub fn for_promotion(world: &World, view: &View, promotion: &Promotion, book: Book) -> Arc<dyn Forges> {
    let author = &world.settings.git.author;
    let committer = Committer { name: author.name.clone(), email: author.email.clone(), at: world.occasion.now, signer: world.signer.clone() };
    let plain = PlainForges { stores: world.stores.clone(), book, committer, local: world.local };
    world.forges.for_promotion(plain, Describer::of(world, view, promotion).map(|describer| Arc::new(describer) as Arc<dyn Describe>))
}

/// Files whose contents are fetched for a description; a change of more is told by the commits.
const MAX_FILES: usize = 500;

/// Says in a pull request what a promotion changes, and why.
struct Describer {
    stores: Stores,
    stage: StageName,
    alias: String,
    freight: FreightReference,
    previous: Option<FreightReference>,
    verified: BTreeMap<StageName, VerifiedStage>,
    trigger: String,
    actor: String,
}

impl Describer {
    /// None: the promotion's freight is not known.
    fn of(world: &World, view: &View, promotion: &Promotion) -> Option<Self> {
        let freight = view.freight.iter().find(|freight| freight.name() == promotion.spec.freight)?;
        let stage = promotion.spec.stage.clone();
        let held = view.stages.get(&stage).and_then(StageStatus::current_freight);
        let previous = held.and_then(|held| held.items.values().find(|item| item.origin == freight.origin).cloned());
        Some(Self {
            stores: world.stores.clone(),
            stage,
            alias: if freight.alias.is_empty() { freight.metadata.name.clone() } else { freight.alias.clone() },
            freight: freight.reference(),
            previous,
            verified: freight.status.verified_in.clone(),
            trigger: promotion.status.consign.trigger.clone(),
            actor: promotion.metadata.annotations.get(crate::plan::holds::ACTOR).cloned().unwrap_or_default(),
        })
    }

    /// The files that merging `new` would change.
    async fn files(&self, repo_url: &str, new: &NewPullRequest) -> Result<Vec<FileDiff>, Failure> {
        let store = self.stores.get(repo_url)?;
        let (Ok(head), Some(target)) = (new.head.parse::<Oid>(), store.tip(&format!("refs/heads/{}", new.target_branch))) else {
            return Ok(Vec::new());
        };
        let from = store.merge_base(head, target)?.unwrap_or(target);
        let mut changes = store.diff_trees(store.commit(from)?.tree, store.commit(head)?.tree)?;
        changes.truncate(MAX_FILES);
        let sides = changes.iter().flat_map(|change| [&change.before, &change.after]).flatten();
        let blobs: Vec<Oid> = sides.filter(|entry| entry.kind.is_blob()).map(|entry| entry.oid).collect();
        store.prefetch(&blobs).await?;
        let compare = |change: &Change| {
            let (before, after) = (side(&store, change.before.as_ref())?, side(&store, change.after.as_ref())?);
            Ok(manifest_diff::file(&change.path, &before, &after, &[]))
        };
        changes.iter().map(compare).collect()
    }
}

#[async_trait::async_trait]
impl Describe for Describer {
    async fn describe(&self, repo_url: &str, new: &NewPullRequest) -> Result<String, Failure> {
        let files = self.files(repo_url, new).await?;
        let text = PullRequestText {
            stage: &self.stage,
            alias: &self.alias,
            freight: &self.freight,
            previous: self.previous.as_ref(),
            verified: &self.verified,
            trigger: &self.trigger,
            actor: &self.actor,
            notes: &[],
            files: &files,
        };
        let room = pull_request::LIMIT.saturating_sub(new.description.chars().count());
        Ok(pull_request::with_section(&new.description, &pull_request::section(&text, room)?))
    }
}
