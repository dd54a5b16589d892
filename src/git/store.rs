//! One bare partial repository per remote: where it lives, how it is opened, cleaned and thrown away.
//!
//! A store is a cache. It belongs to one process at a time by a lock file beside it; a second process works in a private store of its own
//! that borrows the first one's objects (git's alternates) and is removed at its end. Ref tips are kept in memory as of our own fetches, so
//! nobody moves them under a running tick.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use super::command::{Git, Invocation};
use super::fetch::RefPattern;
use super::objects::{ObjectError, damaged};
use super::oid::Oid;
use super::stores::CredentialLookup;
use super::url::RemoteUrl;
use crate::diagnostic::{Failure, FailureKind};

/// Raised when stores of an older layout must not be used any more.
const LAYOUT: u32 = 1;

/// Each run adds a pack or two and some loose objects. Beyond these numbers a new store is cheaper than tidying this one: it costs one
/// fetch without file contents.
const PACK_LIMIT: usize = 150;
const LOOSE_LIMIT: usize = 50_000;

/// The object store of one remote, with what was last seen of its refs.
pub struct Store {
    pub(super) git: Git,
    url: RemoteUrl,
    credentials: CredentialLookup,
    folder: PathBuf,
    /// One network operation at a time: they are batched instead.
    pub(super) network: tokio::sync::Mutex<()>,
    view: RwLock<View>,
    memory: Mutex<Memory>,
    /// Held as long as the store is ours.
    _lock: Option<File>,
    /// A private store is removed with us.
    _private: Option<tempfile::TempDir>,
}

struct View {
    repository: gix::ThreadSafeRepository,
    tips: Arc<BTreeMap<String, Oid>>,
}

/// What this process knows about the store.
#[derive(Default)]
pub(super) struct Memory {
    /// Kept in the store's folder.
    pub state: State,
    /// Patterns that were fetched by this process.
    pub fetched: BTreeSet<RefPattern>,
    /// Patterns that were asked for by this process.
    pub asked: BTreeSet<RefPattern>,
    /// Commits and tags written by this process.
    pub written: HashSet<Oid>,
    /// Whether anything was written by this process.
    pub wrote: bool,
    /// Sentences for the user.
    pub notes: Vec<String>,
}

/// What a store remembers from one process to the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub layout: u32,
    pub url: String,
    /// Full name of the branch that HEAD named when last seen.
    pub default_branch: Option<String>,
    /// The server cannot filter: fetches bring all file contents.
    pub unfiltered: bool,
    /// Ref patterns that the last process asked for.
    pub interests: BTreeSet<RefPattern>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("url", &self.url).field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store of a remote in the cache folder; makes it, cleans it after a crash, or starts it anew when it cannot be used.
    ///
    /// # Errors
    /// Tool, when the cache folder cannot be written.
    pub fn open(git: Git, url: RemoteUrl, credentials: CredentialLookup) -> Result<Self, Failure> {
        let stores = git.settings().cache.join("stores");
        let cannot = |error: io::Error| {
            Failure::new(FailureKind::Tool, format!("cannot use the cache folder `{}`", stores.display()))
                .hint("make it writable, or name another one in `CONSIGN_CACHE`")
                .caused_by(error)
        };
        fs::create_dir_all(&stores).map_err(cannot)?;
        let name = folder_name(&url);
        let shared = stores.join(format!("{name}.git"));
        let lock = File::create(stores.join(format!("{name}.lock"))).map_err(cannot)?;
        let (folder, lock, private) = match lock.try_lock() {
            Ok(()) => (shared, Some(lock), None),
            Err(_) => {
                let private = tempfile::Builder::new().prefix(&format!("{name}.private-")).tempdir_in(&stores).map_err(cannot)?;
                let folder = private.path().join("store.git");
                if borrow(&shared, &folder, &url).is_err() {
                    create(&folder, &url).map_err(cannot)?;
                }
                (folder, None, Some(private))
            }
        };
        let state = read_state(&folder).filter(|state| state.layout == LAYOUT && state.url == url.key() && !worn(&folder));
        let opened = state.and_then(|state| {
            clean(&folder).ok()?;
            Some((look(&folder).ok()?, state))
        });
        let (view, state) = match opened {
            Some(opened) => opened,
            None => {
                create(&folder, &url).map_err(cannot)?;
                (look(&folder)?, State::new(&url))
            }
        };
        let memory = Memory { state, ..Memory::default() };
        Ok(Self {
            git,
            url,
            credentials,
            folder,
            network: tokio::sync::Mutex::new(()),
            view: RwLock::new(view),
            memory: Mutex::new(memory),
            _lock: lock,
            _private: private,
        })
    }

    /// The remote.
    pub fn url(&self) -> &RemoteUrl {
        &self.url
    }

    /// The bare repository's folder. Read it with git if need be; refs of the remote are below `refs/remotes/origin/`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Sentences the user should read.
    pub fn notes(&self) -> Vec<String> {
        self.memory().notes.clone()
    }

    /// Where a ref of the remote stood when last fetched or pushed by us; full names, or `HEAD`.
    pub fn tip(&self, name: &str) -> Option<Oid> {
        self.tips().get(name).copied()
    }

    /// All refs of the remote seen so far, by full name.
    pub fn tips(&self) -> Arc<BTreeMap<String, Oid>> {
        self.view.read().unwrap_or_else(PoisonError::into_inner).tips.clone()
    }

    /// Full name of the remote's default branch as far as known without asking.
    pub fn known_default_branch(&self) -> Option<String> {
        self.memory().state.default_branch.clone()
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handle for local work. It never waits for the disk to change: an object that is not here now is missing.
    pub(crate) fn repository(&self) -> gix::Repository {
        let mut repository = self.view.read().unwrap_or_else(PoisonError::into_inner).repository.to_thread_local();
        repository.objects.refresh_never();
        repository
    }

    /// A git process that works on this store.
    pub(super) fn invoke(&self, verb: &'static str) -> Invocation {
        self.git.invoke(verb).git_dir(&self.folder)
    }

    /// The same, known to the remote.
    pub(super) fn invoke_remote(&self, verb: &'static str) -> Invocation {
        self.invoke(verb).network().credential(&self.url, (self.credentials)(&self.url))
    }

    /// Looks at the folder again after git has changed it.
    ///
    /// # Errors
    /// Tool, when it cannot be read.
    pub(super) fn reload(&self) -> Result<(), Failure> {
        let view = look(&self.folder)?;
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = view;
        Ok(())
    }

    /// Puts refs where we know the remote has them, after a push.
    pub(super) fn moved(&self, refs: &[(String, Option<Oid>)]) {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let mut tips = (*view.tips).clone();
        let repository = view.repository.to_thread_local();
        for (name, to) in refs {
            match to {
                Some(oid) => tips.insert(name.clone(), *oid),
                None => tips.remove(name),
            };
            if let Err(error) = write_ref(&repository, &local_name(name), *to) {
                // Only what the next fetch negotiates with: it corrects itself there.
                tracing::debug!(target: "consign::git", "cannot mirror `{name}`: {error}");
            }
        }
        view.tips = Arc::new(tips);
    }

    /// Writes down what is to be remembered. A failure costs only the next run a request.
    pub(super) fn remember(&self) {
        let state = {
            let mut memory = self.memory();
            memory.state.interests = memory.asked.clone();
            memory.state.clone()
        };
        if let Err(error) = write_state(&self.folder, &state) {
            tracing::debug!(target: "consign::git", "cannot remember what was fetched: {error}");
        }
    }

    /// Starts the store anew. Only right while nothing of ours is in it.
    pub(super) fn recreate(&self) -> Result<(), Failure> {
        let cannot = |error: io::Error| {
            Failure::new(FailureKind::Tool, format!("cannot renew the store `{}`", self.folder.display()))
                .hint("delete that folder; it is only a cache")
                .caused_by(error)
        };
        create(&self.folder, &self.url).map_err(cannot)?;
        self.reload()?;
        let mut memory = self.memory();
        memory.state = State { interests: std::mem::take(&mut memory.state.interests), ..State::new(&self.url) };
        memory.fetched.clear();
        Ok(())
    }
}

impl State {
    fn new(url: &RemoteUrl) -> Self {
        Self { layout: LAYOUT, url: url.key().to_owned(), ..Self::default() }
    }
}

/// A readable folder name that no two remotes share.
fn folder_name(url: &RemoteUrl) -> String {
    let digest = hex::encode(sha2::Sha256::digest(url.key().as_bytes()));
    let last = url.key().rsplit('/').next().unwrap_or_default();
    let readable: String = last.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(40).collect();
    format!("{readable}-{}", &digest[..16])
}

/// Our name for a ref of the remote. Branches are where people and tools look for them.
pub(super) fn local_name(remote: &str) -> String {
    if let Some(branch) = remote.strip_prefix("refs/heads/") {
        format!("refs/remotes/origin/{branch}")
    } else if remote.starts_with("refs/tags/") {
        remote.to_owned()
    } else if let Some(other) = remote.strip_prefix("refs/") {
        format!("refs/consign/refs/{other}")
    } else {
        format!("refs/consign/{remote}")
    }
}

fn remote_name(local: &str) -> Option<String> {
    if let Some(branch) = local.strip_prefix("refs/remotes/origin/") {
        Some(format!("refs/heads/{branch}"))
    } else if local.starts_with("refs/tags/") {
        Some(local.to_owned())
    } else {
        local.strip_prefix("refs/consign/").map(str::to_owned)
    }
}

fn look(folder: &Path) -> Result<View, Failure> {
    let unreadable = |error: gix::Error| {
        Failure::new(FailureKind::Tool, format!("the store `{}` cannot be read", folder.display()))
            .hint("delete that folder; it is only a cache")
            .caused_by(ObjectError::Damaged(error.to_string()))
    };
    let repository = gix::open::Options::isolated().open_path_as_is(true).with(gix::sec::Trust::Full).open(folder).map_err(unreadable)?;
    let mut tips = BTreeMap::new();
    let local = repository.to_thread_local();
    for reference in local.references().map_err(unreadable)?.all().map_err(unreadable)? {
        let reference = reference.map_err(unreadable)?;
        if let (Some(name), Some(oid)) = (remote_name(&reference.name().as_bstr().to_string()), reference.target().try_id()) {
            tips.insert(name, Oid(oid.to_owned()));
        }
    }
    Ok(View { repository, tips: Arc::new(tips) })
}

fn write_ref(repository: &gix::Repository, name: &str, to: Option<Oid>) -> Result<(), ObjectError> {
    use gix::refs::transaction::{Change, LogChange, PreviousValue, RefEdit, RefLog};
    let change = match to {
        Some(oid) => Change::Update {
            log: LogChange { mode: RefLog::AndReference, force_create_reflog: false, message: "push".into() },
            expected: PreviousValue::Any,
            new: gix::refs::Target::Object(oid.0),
        },
        None => Change::Delete { expected: PreviousValue::Any, log: RefLog::AndReference },
    };
    let name = name.try_into().map_err(damaged)?;
    repository.edit_reference(RefEdit { change, name, deref: false }).map(drop).map_err(damaged)
}

fn state_path(folder: &Path) -> PathBuf {
    folder.join("consign-store.json")
}

fn read_state(folder: &Path) -> Option<State> {
    serde_json::from_slice(&fs::read(state_path(folder)).ok()?).ok()
}

fn write_state(folder: &Path, state: &State) -> io::Result<()> {
    let path = state_path(folder);
    let bytes = serde_json::to_vec(state)?;
    if fs::read(&path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    io::Write::write_all(&mut file, &bytes)?;
    file.persist(path)?;
    Ok(())
}

/// An empty bare repository that git takes for a partial clone. `extensions.partialClone` is left out on purpose: not every library that
/// may want to read the folder knows it, and the remote's `promisor` is enough for git.
fn create(folder: &Path, url: &RemoteUrl) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    for sub in ["objects/info", "objects/pack", "refs/heads", "refs/tags", "refs/remotes"] {
        fs::create_dir_all(folder.join(sub))?;
    }
    // No real branch: nothing is ever checked out here.
    fs::write(folder.join("HEAD"), "ref: refs/heads/none\n")?;
    fs::write(folder.join("config"), config(url))?;
    write_state(folder, &State::new(url))
}

fn config(url: &RemoteUrl) -> String {
    let url = url.as_str().replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tlogAllRefUpdates = false\n\tfsync = none\n\
         [remote \"origin\"]\n\turl = \"{url}\"\n\tpromisor = true\n\tpartialclonefilter = blob:none\n\ttagOpt = --no-tags\n\
         [gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n"
    )
}

/// A private store that reads the objects of a store in use.
fn borrow(shared: &Path, folder: &Path, url: &RemoteUrl) -> io::Result<()> {
    let state = read_state(shared).filter(|state| state.layout == LAYOUT && state.url == url.key()).ok_or(io::ErrorKind::NotFound)?;
    create(folder, url)?;
    fs::write(folder.join("objects/info/alternates"), format!("{}\n", fs::canonicalize(shared)?.join("objects").display()))?;
    for file in ["packed-refs", "shallow"] {
        match fs::copy(shared.join(file), folder.join(file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    copy_refs(&shared.join("refs"), &folder.join("refs"))?;
    write_state(folder, &state)
}

fn copy_refs(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_refs(&entry.path(), &target)?;
        } else if entry.path().extension().is_none_or(|extension| extension != "lock") {
            match fs::copy(entry.path(), target) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Whether so much has piled up that the store has become slow.
fn worn(folder: &Path) -> bool {
    let count = |sub: &str| fs::read_dir(folder.join("objects").join(sub)).map_or(0, Iterator::count);
    // A pack is two or three files; loose objects are spread evenly over 256 folders.
    count("pack") > 3 * PACK_LIMIT || 256 * count("17") > LOOSE_LIMIT
}

/// Removes what a killed git leaves behind. The store is ours alone, so no living process owns any of it.
fn clean(folder: &Path) -> io::Result<()> {
    let worktrees = folder.join("worktrees");
    if worktrees.exists() {
        fs::remove_dir_all(worktrees)?;
    }
    let mut pending = vec![folder.to_owned()];
    while let Some(at) = pending.pop() {
        for entry in fs::read_dir(&at)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let leftover = name.ends_with(".lock") || name.starts_with("tmp_") || name.starts_with("incoming-");
            if entry.file_type()?.is_dir() {
                if leftover {
                    fs::remove_dir_all(entry.path())?;
                } else {
                    pending.push(entry.path());
                }
            } else if leftover {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}
