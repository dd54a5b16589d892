//! The forges of a tick: by rule of the settings, by host, or plain Git.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{ForgeKind, Settings};
use crate::forge::directory::{Directory, Rule, RuleKind};
use crate::forge::plain::{Book, Committer, PlainForges};
use crate::forge::Forges;
use crate::git::CredentialLookup;

use super::World;

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
pub fn for_promotion(world: &World, book: Book) -> Arc<dyn Forges> {
    let author = &world.settings.git.author;
    let committer = Committer { name: author.name.clone(), email: author.email.clone(), at: world.occasion.now, signer: world.signer.clone() };
    world.forges.for_promotion(PlainForges { stores: world.stores.clone(), book, committer, local: world.local })
}
