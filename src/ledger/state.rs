//! The ledger at one commit, with what a chain has added to it: a typed view, read lazily.
//!
//! Reading never goes to the network. A read of a blob that is not in the store ends in [`Stop::Missing`] and is noted; whoever drives the
//! reading fetches all that was noted in one batch and reads again. [`State::load`] does both ahead for a known [`Scope`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use crate::diagnostic::{Failure, FailureKind};
use crate::git::Oid;
use crate::model::{Freight, FreightName, ProjectName, Promotion, PromotionName, StageName, WarehouseName};

use super::branch::{Branch, TreeEntry};
use super::cache::{Cache, lock};
use super::draft::Stop;
use super::records::{LedgerRecord, Record, RecordPath, StageRecord, Stored, Unreadable, WarehouseRecord};

/// A part of the ledger that can be fetched in one batch.
#[derive(Clone, Debug)]
pub enum Scope {
    /// What `plan` always reads: the warehouse and stage records of a project, and its stages' current promotions.
    Project(ProjectName),
    /// Some freight records.
    Freight(ProjectName, Vec<FreightName>),
    /// Every freight record of a project.
    AllFreight(ProjectName),
    /// Every promotion of a stage.
    Promotions(ProjectName, StageName),
    /// Single files.
    Files(Vec<RecordPath>),
    /// Everything there is.
    Everything,
}

/// A file that differs from the commit underneath.
#[derive(Clone, Debug)]
pub(super) enum Overlay {
    Gone,
    Record(Record, Arc<[u8]>),
    Text(Arc<[u8]>),
}

impl Overlay {
    pub(super) fn bytes(&self) -> Option<&Arc<[u8]>> {
        match self {
            Self::Gone => None,
            Self::Record(_, bytes) | Self::Text(bytes) => Some(bytes),
        }
    }
}

/// The ledger at one commit, with changes that are not committed yet.
#[derive(Clone)]
pub struct State {
    branch: Arc<dyn Branch>,
    cache: Arc<Cache>,
    tip: Option<Oid>,
    root: Option<Oid>,
    seconds: i64,
    pub(super) overlay: BTreeMap<String, Overlay>,
    missing: Arc<Mutex<BTreeSet<Oid>>>,
}

impl State {
    /// The state at `tip`; None: the empty state of a ledger that does not exist.
    ///
    /// # Errors
    /// Internal, if the commit is not in the store.
    pub fn at(branch: Arc<dyn Branch>, cache: Arc<Cache>, tip: Option<Oid>) -> Result<Self, Failure> {
        let commit = match tip {
            None => None,
            Some(id) => Some(branch.commit(id)?.ok_or_else(|| {
                Failure::new(FailureKind::Internal, format!("commit {id} of the ledger was fetched and is not in the store"))
                    .hint("delete the cache folder and run again")
            })?),
        };
        Ok(Self {
            branch,
            cache,
            tip,
            root: commit.as_ref().map(|commit| commit.tree),
            seconds: commit.map_or(i64::MIN, |commit| commit.seconds),
            overlay: BTreeMap::new(),
            missing: Arc::default(),
        })
    }

    /// The commit underneath.
    pub fn tip(&self) -> Option<Oid> {
        self.tip
    }

    /// The time of the commit underneath, in seconds of the Unix epoch.
    pub(super) fn tip_seconds(&self) -> i64 {
        self.seconds
    }

    /// The doorway it is read through.
    pub fn branch(&self) -> &Arc<dyn Branch> {
        &self.branch
    }

    /// The names of all projects that have records.
    ///
    /// # Errors
    /// Internal, if the store is damaged.
    pub fn projects(&self) -> Result<Vec<ProjectName>, Failure> {
        let mut names: BTreeSet<&str> =
            self.overlay.iter().filter(|(_, file)| file.bytes().is_some()).filter_map(|(path, _)| Some(path.split_once('/')?.0)).collect();
        let root = match self.root {
            Some(root) => self.tree(root)?,
            None => Arc::default(),
        };
        names.extend(root.iter().filter(|entry| entry.is_tree).map(|entry| entry.name.as_str()));
        Ok(names.into_iter().map(ProjectName::from).collect())
    }

    /// The names of a project's warehouses that have a record, sorted.
    ///
    /// # Errors
    /// Internal, if the store is damaged.
    pub fn warehouses(&self, project: &ProjectName) -> Result<Vec<WarehouseName>, Failure> {
        Ok(self.names(&RecordPath::warehouses(project))?.into_iter().map(WarehouseName::from).collect())
    }

    /// The names of a project's stages that have a record, sorted.
    ///
    /// # Errors
    /// Internal, if the store is damaged.
    pub fn stages(&self, project: &ProjectName) -> Result<Vec<StageName>, Failure> {
        Ok(self.names(&RecordPath::stages(project))?.into_iter().map(StageName::from).collect())
    }

    /// The names of a stage's promotions, oldest first.
    ///
    /// # Errors
    /// Internal, if the store is damaged.
    pub fn promotions(&self, project: &ProjectName, stage: &StageName) -> Result<Vec<PromotionName>, Failure> {
        Ok(self.names(&RecordPath::promotions(project, stage))?.into_iter().map(PromotionName::from).collect())
    }

    /// The stages of a project that have promotions, also ones that are gone from the definitions.
    ///
    /// # Errors
    /// Internal, if the store is damaged.
    pub fn stages_with_promotions(&self, project: &ProjectName) -> Result<Vec<StageName>, Failure> {
        let files = self.files(&format!("{project}/promotions"))?;
        let names: BTreeSet<StageName> = files
            .into_keys()
            .filter_map(|path| match path.parse() {
                Ok(RecordPath::Promotion(_, stage, _)) => Some(stage),
                _ => None,
            })
            .collect();
        Ok(names.into_iter().collect())
    }

    /// The names of all freight of a project, sorted.
    ///
    /// # Errors
    /// Internal, if the store is damaged.
    pub fn all_freight(&self, project: &ProjectName) -> Result<Vec<FreightName>, Failure> {
        let mut names: Vec<FreightName> = self
            .files(&RecordPath::all_freight(project))?
            .into_keys()
            .filter_map(|path| match path.parse() {
                Ok(RecordPath::Freight(_, name)) => Some(name),
                _ => None,
            })
            .collect();
        names.sort();
        Ok(names)
    }

    /// The ledger's own record; the default before there is one.
    ///
    /// # Errors
    /// Missing, or what [`get`](Self::get) says.
    pub fn ledger(&self) -> Result<Arc<LedgerRecord>, Stop> {
        Ok(self.get(&RecordPath::Ledger)?.unwrap_or_default())
    }

    /// A warehouse's record; None: nothing is known of it yet.
    ///
    /// # Errors
    /// Missing, or what [`get`](Self::get) says.
    pub fn warehouse(&self, project: &ProjectName, name: &WarehouseName) -> Result<Option<Arc<WarehouseRecord>>, Stop> {
        self.get(&RecordPath::Warehouse(project.clone(), name.clone()))
    }

    /// A stage's record; None: nothing is known of it yet.
    ///
    /// # Errors
    /// Missing, or what [`get`](Self::get) says.
    pub fn stage(&self, project: &ProjectName, name: &StageName) -> Result<Option<Arc<StageRecord>>, Stop> {
        self.get(&RecordPath::Stage(project.clone(), name.clone()))
    }

    /// A freight.
    ///
    /// # Errors
    /// Missing, or what [`get`](Self::get) says.
    pub fn freight(&self, project: &ProjectName, name: &FreightName) -> Result<Option<Arc<Freight>>, Stop> {
        self.get(&RecordPath::Freight(project.clone(), name.clone()))
    }

    /// A promotion.
    ///
    /// # Errors
    /// Missing, or what [`get`](Self::get) says.
    pub fn promotion(&self, project: &ProjectName, stage: &StageName, name: &PromotionName) -> Result<Option<Arc<Promotion>>, Stop> {
        self.get(&RecordPath::Promotion(project.clone(), stage.clone(), name.clone()))
    }

    /// The log of a promotion (by its name) or a verification (by its id).
    ///
    /// # Errors
    /// Missing, or Internal if the store is damaged.
    pub fn log(&self, project: &ProjectName, stage: &StageName, name: &str) -> Result<Option<String>, Stop> {
        let path = RecordPath::Log(project.clone(), stage.clone(), name.to_owned()).to_string();
        Ok(self.bytes(&path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// A record of the type that lives at this path; None if there is no such file.
    ///
    /// # Errors
    /// [`Stop::Missing`] if its blob has to be fetched first; Refused for a record of a newer schema or one that is no such record.
    pub fn get<T: Stored>(&self, path: &RecordPath) -> Result<Option<Arc<T>>, Stop> {
        let Some(record) = self.record(&path.to_string())? else { return Ok(None) };
        match T::shared(&record) {
            Some(inner) => Ok(Some(Arc::clone(inner))),
            None => Err(unreadable(&path.to_string(), &Unreadable::Malformed(format!("it is a record of kind `{}`", record.kind()))).into()),
        }
    }

    pub(super) fn record(&self, path: &str) -> Result<Option<Record>, Stop> {
        match self.overlay.get(path) {
            Some(Overlay::Record(record, _)) => return Ok(Some(record.clone())),
            Some(Overlay::Gone) => return Ok(None),
            Some(Overlay::Text(_)) | None => {}
        }
        let Some(id) = self.committed(path)? else { return Ok(None) };
        if let Some(record) = self.cache.record(id) {
            return Ok(Some(record));
        }
        let bytes = self.read(id)?;
        let record = Record::from_yaml(&bytes).map_err(|error| unreadable(path, &error))?;
        self.cache.add_record(id, record.clone());
        Ok(Some(record))
    }

    pub(super) fn bytes(&self, path: &str) -> Result<Option<Vec<u8>>, Stop> {
        if let Some(overlay) = self.overlay.get(path) {
            return Ok(overlay.bytes().map(|bytes| bytes.to_vec()));
        }
        match self.committed(path)? {
            Some(id) => self.read(id).map(Some),
            None => Ok(None),
        }
    }

    fn read(&self, id: Oid) -> Result<Vec<u8>, Stop> {
        if let Some(bytes) = self.branch.blob(id)? {
            return Ok(bytes);
        }
        lock(&self.missing).insert(id);
        Err(Stop::Missing)
    }

    /// What identifies the present content of a file: its blob id. None: there is no such file.
    ///
    /// A promotion is planned on one version of its stage's record, and created only if it is still that ([`super::Draft::create_promotion`]).
    ///
    /// # Errors
    /// Internal, if the store is damaged.
    pub fn version(&self, path: &RecordPath) -> Result<Option<Oid>, Failure> {
        let path = path.to_string();
        match self.overlay.get(&path) {
            Some(overlay) => Ok(overlay.bytes().map(|bytes| blob_id(bytes))),
            None => self.committed(&path),
        }
    }

    /// Fetches, in one batch (two where the second hangs on the first), what reading these scopes will need.
    ///
    /// # Errors
    /// Remote or Refused, as the store says; Internal, if it is damaged.
    pub async fn load(&self, scopes: &[Scope]) -> Result<(), Failure> {
        let needs = self.needs(scopes)?;
        if !needs.is_empty() {
            self.branch.prefetch(&needs).await?;
        }
        let mut current = Vec::new();
        for scope in scopes {
            if let Scope::Project(project) = scope {
                for stage in self.stages(project)? {
                    if let Ok(Some(record)) = self.stage(project, &stage)
                        && let Some(promotion) = &record.status.current_promotion
                    {
                        current.push(RecordPath::Promotion(project.clone(), stage, promotion.name.clone()));
                    }
                }
            }
        }
        let needs = self.needs(&[Scope::Files(current)])?;
        if needs.is_empty() { Ok(()) } else { self.branch.prefetch(&needs).await }
    }

    /// The blobs that reading these scopes needs and that are neither parsed nor in the store.
    ///
    /// # Errors
    /// Internal, if the store is damaged.
    pub fn needs(&self, scopes: &[Scope]) -> Result<Vec<Oid>, Failure> {
        let mut wanted = BTreeSet::new();
        for scope in scopes {
            match scope {
                Scope::Project(project) => {
                    wanted.extend(self.folder(&RecordPath::warehouses(project))?.iter().map(|entry| entry.id));
                    wanted.extend(self.folder(&RecordPath::stages(project))?.iter().map(|entry| entry.id));
                }
                Scope::Freight(project, names) => {
                    for name in names {
                        wanted.extend(self.committed(&RecordPath::Freight(project.clone(), name.clone()).to_string())?);
                    }
                }
                Scope::AllFreight(project) => wanted.extend(self.files(&RecordPath::all_freight(project))?.into_values().flatten()),
                Scope::Promotions(project, stage) => {
                    wanted.extend(self.folder(&RecordPath::promotions(project, stage))?.iter().map(|entry| entry.id))
                }
                Scope::Files(paths) => {
                    for path in paths {
                        wanted.extend(self.committed(&path.to_string())?);
                    }
                }
                Scope::Everything => wanted.extend(self.files("")?.into_values().flatten()),
            }
        }
        Ok(wanted.into_iter().filter(|id| !self.cache.has_record(*id) && !self.branch.has_blob(*id)).collect())
    }

    /// Fetches what reads have missed so far; false if nothing was.
    ///
    /// # Errors
    /// Remote or Refused, as the store says.
    pub async fn fetch_missing(&self) -> Result<bool, Failure> {
        let missing: Vec<Oid> = std::mem::take(&mut *lock(&self.missing)).into_iter().collect();
        if missing.is_empty() {
            return Ok(false);
        }
        self.branch.prefetch(&missing).await?;
        if let Some(absent) = missing.iter().find(|id| !self.branch.has_blob(**id)) {
            return Err(Failure::new(FailureKind::Remote, format!("blob {absent} of the ledger cannot be fetched"))
                .hint("check that the ledger's repository is complete with `git fsck`"));
        }
        Ok(true)
    }

    /// Every file with its blob id, below a folder (empty: the whole branch); ids are None for what is not committed yet. Sorted by path.
    ///
    /// # Errors
    /// Internal, if the store is damaged.
    pub fn files(&self, folder: &str) -> Result<BTreeMap<String, Option<Oid>>, Failure> {
        let mut found = BTreeMap::new();
        if let Some(tree) = self.resolve_tree(folder)? {
            self.collect(tree, folder, &mut found)?;
        }
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        for (path, file) in self.overlay.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix)) {
            if file.bytes().is_some() {
                found.insert(path.clone(), None);
            } else {
                found.remove(path);
            }
        }
        Ok(found)
    }

    fn collect(&self, tree: Oid, folder: &str, found: &mut BTreeMap<String, Option<Oid>>) -> Result<(), Failure> {
        for entry in self.tree(tree)?.iter() {
            let path = if folder.is_empty() { entry.name.clone() } else { format!("{folder}/{}", entry.name) };
            if entry.is_tree {
                self.collect(entry.id, &path, found)?;
            } else {
                found.insert(path, Some(entry.id));
            }
        }
        Ok(())
    }

    /// The names of the records in one folder, overlay included, sorted.
    fn names(&self, folder: &str) -> Result<BTreeSet<String>, Failure> {
        let mut names: BTreeSet<String> =
            self.folder(folder)?.iter().filter_map(|entry| Some(entry.name.strip_suffix(".yaml")?.to_owned())).collect();
        let prefix = format!("{folder}/");
        for (path, file) in self.overlay.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix)) {
            let Some(name) = path[prefix.len()..].strip_suffix(".yaml").filter(|name| !name.contains('/')) else { continue };
            if file.bytes().is_some() {
                names.insert(name.to_owned());
            } else {
                names.remove(name);
            }
        }
        Ok(names)
    }

    fn folder(&self, path: &str) -> Result<Arc<Vec<TreeEntry>>, Failure> {
        match self.resolve_tree(path)? {
            Some(tree) => self.tree(tree),
            None => Ok(Arc::default()),
        }
    }

    fn tree(&self, id: Oid) -> Result<Arc<Vec<TreeEntry>>, Failure> {
        if let Some(entries) = self.cache.tree(id) {
            return Ok(entries);
        }
        let mut entries = self.branch.entries(id)?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let entries = Arc::new(entries);
        self.cache.add_tree(id, Arc::clone(&entries));
        Ok(entries)
    }

    fn resolve_tree(&self, folder: &str) -> Result<Option<Oid>, Failure> {
        let Some(mut tree) = self.root else { return Ok(None) };
        for part in folder.split('/').filter(|part| !part.is_empty()) {
            match self.entry(tree, part)? {
                Some(entry) if entry.is_tree => tree = entry.id,
                _ => return Ok(None),
            }
        }
        Ok(Some(tree))
    }

    fn entry(&self, tree: Oid, name: &str) -> Result<Option<TreeEntry>, Failure> {
        let entries = self.tree(tree)?;
        Ok(entries.binary_search_by(|entry| entry.name.as_str().cmp(name)).ok().map(|index| entries[index].clone()))
    }

    fn committed(&self, path: &str) -> Result<Option<Oid>, Failure> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(tree) = self.resolve_tree(folder)? else { return Ok(None) };
        Ok(self.entry(tree, name)?.filter(|entry| !entry.is_tree).map(|entry| entry.id))
    }
}

fn unreadable(path: &str, error: &Unreadable) -> Failure {
    let failure = Failure::new(FailureKind::Refused, format!("cannot read `{path}` of the ledger: {error}"));
    match error {
        Unreadable::Newer { .. } => failure.hint("a newer consign has written this ledger; update this one"),
        Unreadable::Malformed(_) => failure.hint("`consign fsck` names the commit that broke it; revert that commit on the ledger's branch"),
    }
}

/// Git's id of a blob with this content.
pub(super) fn blob_id(bytes: &[u8]) -> Oid {
    use sha1::Digest;
    let mut hash = sha1::Sha1::new();
    hash.update(format!("blob {}\0", bytes.len()));
    hash.update(bytes);
    hex::encode(hash.finalize()).parse().expect("a SHA-1 has 40 hexadecimal digits")
}
