//! The forges of a tick: by rule of the settings, by host, or plain Git.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use super::World;
use crate::config::{ForgeKind, Settings};
use crate::forge::plain::{Book, Committer, PlainForges};
use crate::forge::{Directory, Forges, Rule, RuleKind};
use crate::model::Proposal;

/// Whether pull requests of a repository are plain-git proposals.
pub fn is_plain(world: &World, repo_url: &str) -> bool {
    directory(world).is_plain(repo_url, None)
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
    Arc::new(directory(world)).for_promotion(plain)
}

fn directory(world: &World) -> Directory {
    let rules = rules(&world.settings);
    Directory::new(rules, super::open::credentials(&world.settings, &world.env), &world.env)
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
