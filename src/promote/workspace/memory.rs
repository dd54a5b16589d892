//! Remembering the checkouts of a user's folder between processes: `consign step` runs one step each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::checkout::{Checkout, Identity};
use super::{GitAccess, Need, Workspace};
use crate::diagnostic::Failure;
use crate::git::{EntryKind, Oid};

/// What is remembered of a folder's checkouts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// Steps that ran in the folder: each has an alias of its own.
    pub steps: u64,
    checkouts: Vec<RememberedCheckout>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RememberedCheckout {
    alias: String,
    /// Below the folder.
    path: PathBuf,
    url: String,
    branch: Option<String>,
    start: Oid,
    head: Oid,
    author: Option<(String, String)>,
    sparse: Option<Vec<String>>,
    placed: BTreeMap<String, (String, Oid)>,
    gone: BTreeSet<String>,
    cleared: BTreeSet<String>,
    tags: BTreeMap<String, Oid>,
}

impl Memory {
    /// Whether there is a checkout to take up.
    pub fn has_checkouts(&self) -> bool {
        !self.checkouts.is_empty()
    }
}

impl Workspace {
    /// Puts everything of every checkout onto disk, and gives what a later process has to know of them.
    ///
    /// # Errors
    /// As [`need`](Self::need).
    pub async fn remember(&mut self, steps: u64) -> Result<Memory, Failure> {
        if !self.checkouts.is_empty() {
            let root = self.root.clone();
            self.need(&[Need::Tree(root)]).await?;
        }
        let remembered = |checkout: &Checkout| {
            Some(RememberedCheckout {
                alias: checkout.alias.clone(),
                path: checkout.path.strip_prefix(&self.root).ok()?.to_owned(),
                url: checkout.url.clone(),
                branch: checkout.branch.clone(),
                start: checkout.start,
                head: checkout.head,
                author: checkout.author.clone().map(|author| (author.name, author.email)),
                sparse: checkout.sparse.clone(),
                placed: checkout.placed.iter().map(|(path, (kind, oid))| (path.clone(), (word(*kind).to_owned(), *oid))).collect(),
                gone: checkout.gone.clone(),
                cleared: checkout.cleared.clone(),
                tags: checkout.tags.clone(),
            })
        };
        Ok(Memory { steps, checkouts: self.checkouts.iter().filter_map(remembered).collect() })
    }

    /// Takes up checkouts that an earlier process made in this folder. One whose folder is gone, or whose commit nobody has any more, is
    /// forgotten.
    ///
    /// # Errors
    /// Config, for a URL that must not be used.
    pub async fn take_up(&mut self, memory: Memory) -> Result<(), Failure> {
        let Some(access) = self.git.clone() else { return Ok(()) };
        for remembered in memory.checkouts {
            let path = self.root.join(&remembered.path);
            if !path.is_dir() {
                continue;
            }
            let store = access.stores.get(&remembered.url)?;
            if !store.has(remembered.head) && store.ensure_commit(remembered.head).await.is_err() {
                continue;
            }
            let Ok(commit) = store.commit(remembered.head) else { continue };
            self.checkouts.push(remembered.checkout(path, commit.tree, store, &access));
        }
        Ok(())
    }
}

impl RememberedCheckout {
    fn checkout(self, path: PathBuf, tree: Oid, store: Arc<crate::git::Store>, access: &Arc<GitAccess>) -> Checkout {
        Checkout {
            alias: self.alias,
            path,
            url: self.url,
            store,
            access: Arc::clone(access),
            branch: self.branch,
            start: self.start,
            head: self.head,
            tree,
            author: self.author.map(|(name, email)| Identity { name, email }),
            sparse: self.sparse,
            placed: self.placed.into_iter().filter_map(|(path, (word, oid))| Some((path, (kind(&word)?, oid)))).collect(),
            gone: self.gone,
            cleared: self.cleared,
            tags: self.tags,
        }
    }
}

fn word(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "file",
        EntryKind::Executable => "executable",
        EntryKind::Symlink => "symlink",
        EntryKind::Folder => "folder",
        EntryKind::Submodule => "submodule",
    }
}

fn kind(word: &str) -> Option<EntryKind> {
    [EntryKind::File, EntryKind::Executable, EntryKind::Symlink, EntryKind::Folder, EntryKind::Submodule]
        .into_iter()
        .find(|kind| self::word(*kind) == word)
}
