//! The forges of a tick: by rule of the settings, by host, or plain Git.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use super::World;
use crate::config::ForgeKind;
use crate::diagnostic::{Failure, FailureKind};
use crate::forge::{Forge, Forges, Provider};
use crate::model::Proposal;

/// Whether pull requests of a repository are plain-git proposals.
pub fn is_plain(world: &World, repo_url: &str) -> bool {
    rule(world, repo_url) == Some(ForgeKind::Plain)
}

fn rule(world: &World, repo_url: &str) -> Option<ForgeKind> {
    world.settings.forges.iter().find(|rule| super::open::matches_address(&rule.url, repo_url)).map(|rule| rule.kind)
}

/// The forges as steps see them.
pub fn forges(_world: &World, _known: Vec<Proposal>, _numbers: Arc<AtomicU64>, _opened: Arc<Mutex<Vec<Proposal>>>) -> Arc<dyn Forges> {
    Arc::new(Nowhere)
}

struct Nowhere;

impl Forges for Nowhere {
    fn forge(&self, repo_url: &str, _provider: Option<Provider>) -> Result<Arc<dyn Forge>, Failure> {
        Err(Failure::new(FailureKind::Config, format!("no forge for `{repo_url}`")))
    }
}
