//! All stores of this process, by remote.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::command::{Git, Stats};
use super::settings::{Credential, Settings};
use super::store::Store;
use super::url::RemoteUrl;
use crate::diagnostic::Failure;

/// Says who we are to a remote. Asked before every network operation, so that a token may be renewed while we run.
pub type CredentialLookup = Arc<dyn Fn(&RemoteUrl) -> Option<Credential> + Send + Sync>;

/// The stores of this process: one per remote, opened when first asked for.
#[derive(Clone)]
pub struct Stores {
    git: Git,
    credentials: CredentialLookup,
    open: Arc<Mutex<BTreeMap<String, Arc<Store>>>>,
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").finish_non_exhaustive()
    }
}

impl Stores {
    /// Stores with settings, and a function that knows the credentials.
    pub fn new(settings: Settings, credentials: CredentialLookup) -> Self {
        Self { git: Git::new(settings), credentials, open: Arc::default() }
    }

    /// Stores that know no credentials: git's own credential helpers still work.
    pub fn without_credentials(settings: Settings) -> Self {
        Self::new(settings, Arc::new(|_| None))
    }

    /// The store of a remote. Two URLs that mean the same repository have one store. Nothing is fetched.
    ///
    /// # Errors
    /// Config, for a URL that must not be used; Tool, when the cache folder cannot be written.
    pub fn get(&self, url: &str) -> Result<Arc<Store>, Failure> {
        let url = RemoteUrl::parse(url, self.git.settings().local)?;
        // Where git is told to go elsewhere (`url.<base>.insteadOf`), the place it goes to decides what is the same repository.
        let address = self.git.effective_url(url.as_str());
        let key = RemoteUrl::parse(&address, true).map_or(address, |address| address.key().to_owned());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let spelled = url.key().to_owned();
        let known = open.get(&spelled).or_else(|| open.get(&key)).cloned();
        let store = match known {
            Some(store) => store,
            None => Arc::new(Store::open(self.git.clone(), url, self.credentials.clone())?),
        };
        open.insert(spelled, store.clone());
        open.insert(key, store.clone());
        Ok(store)
    }

    /// The git executable as these stores use it.
    pub fn git(&self) -> &Git {
        &self.git
    }

    /// What was started so far.
    pub fn stats(&self) -> &Stats {
        self.git.stats()
    }

    /// Sentences the user should read, such as that a server sends all file contents because it cannot filter.
    pub fn notes(&self) -> Vec<String> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let notes: BTreeSet<String> = open.values().flat_map(|store| store.notes()).collect();
        notes.into_iter().collect()
    }
}
