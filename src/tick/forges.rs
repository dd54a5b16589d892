//! The forges of a tick: by rule of the settings, by host, or plain Git.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use super::World;
use crate::config::{ForgeKind, Settings};
use crate::forge::plain::{Book, Committer, PlainForges};
use crate::forge::{Directory, Forges, Rule, RuleKind};
use crate::model::Proposal;

/// Whether pull requests of a repository are plain-git proposals.
pub fn is_plain(world: &World, repo_url: &str) -> bool {
    world.forges.is_plain(repo_url, None)
}

/// The forges as the steps of one promotion see them: `known` are the proposals of all records, `last_number` is the highest number given so
/// far, and what the promotion opens is put into `opened`, to be written with its record.
pub fn forges(world: &World, known: Vec<Proposal>, last_number: Arc<AtomicU64>, opened: Arc<Mutex<Vec<Proposal>>>) -> Arc<dyn Forges> {
    let author = &world.settings.git.author;
    let plain = PlainForges {
        stores: world.stores.clone(),
        book: Book { known: Arc::new(known), last_number, opened },
        committer: Committer { name: author.name.clone(), email: author.email.clone(), at: world.occasion.now, signer: world.signer.clone() },
        local: world.local,
    };
    world.forges.for_promotion(plain)
}

/// Which forge a repository is on, by the settings and the process's environment. One for a tick: connections and listings are shared.
pub fn directory(settings: &Settings, env: &Arc<BTreeMap<String, String>>) -> Arc<Directory> {
    Arc::new(Directory::new(rules(settings), super::open::credentials(settings, env), env))
}

/// The rules of the settings; the first match wins.
fn rules(settings: &Settings) -> crate::forge::RuleLookup {
    let rules = settings.forges.clone();
    Arc::new(move |url: &str| {
        let rule = rules.iter().find(|rule| super::open::matches_address(&rule.url, url))?;
        let kind = match rule.kind {
            ForgeKind::Plain => RuleKind::Plain,
            ForgeKind::Github => RuleKind::GitHub,
        };
        Some(Rule { kind, api: rule.api.trim_end_matches('/').to_owned() })
    })
}
