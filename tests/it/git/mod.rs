//! The git room over real HTTP.

#![allow(clippy::unwrap_used)]

mod fetching;
mod local;
mod pushing;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use consign::git::{CommitSpec, EntryKind, Oid, Settings, Signature, Store, Stores, TreeEdit};

use crate::support::git_server::{GitServer, Repository};

/// A server with one repository, and a client with a cache of its own.
struct World {
    server: GitServer,
    repository: Repository,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let server = GitServer::start();
        let repository = server.repository("acme/gitops");
        Self { server, repository, folder: tempfile::tempdir().unwrap() }
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn trace(&self) -> PathBuf {
        self.folder.path().join("trace")
    }

    fn settings(&self) -> Settings {
        let mut settings = Settings::new(self.cache());
        settings.user_config = false;
        settings.attempts = 2;
        settings.environment = vec![("GIT_TRACE2_EVENT".to_owned(), self.trace().display().to_string())];
        settings
    }

    fn stores(&self) -> Stores {
        Stores::without_credentials(self.settings())
    }

    fn store(&self) -> Arc<Store> {
        self.stores().get(self.repository.url()).unwrap()
    }

    /// Git processes since the last call, helpers of git included.
    fn take_processes(&self) -> Vec<String> {
        take_processes(&self.trace())
    }
}

fn take_processes(trace: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(trace).unwrap_or_default();
    let _ = std::fs::remove_file(trace);
    text.lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|event| event["event"] == "start")
        .map(|event| event["argv"].as_array().unwrap().iter().take(3).map(|arg| arg.as_str().unwrap_or_default()).collect::<Vec<_>>().join(" "))
        .collect()
}

fn signature() -> Signature {
    Signature::new("consign", "consign@example.com", "2026-01-02T03:04:05Z".parse().unwrap())
}

/// A commit on top of another that writes one file.
fn write(store: &Store, parent: Option<Oid>, path: &str, content: &str) -> Oid {
    let base = parent.map_or_else(Oid::empty_tree, |parent| store.commit(parent).unwrap().tree);
    let oid = store.write_blob(content.as_bytes()).unwrap();
    let tree = store.edit_tree(base, &[TreeEdit::Put { path: path.to_owned(), kind: EntryKind::File, oid }]).unwrap();
    let spec =
        CommitSpec { tree, parents: parent.into_iter().collect(), author: signature(), committer: signature(), message: "Change", signer: None };
    store.write_commit(&spec).unwrap()
}
