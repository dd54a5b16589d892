//! What a transaction may do: read a state and edit its records.
//!
//! A transaction is a function of a [`Draft`]; it is run again on a newer state when a push loses, so it takes everything it decides on from
//! the draft. Names and times are given here, where it is known what came before: a promotion's name is greater than every earlier one of its
//! stage and a freight is younger than every earlier one of its warehouse, whatever the clock of this machine says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use ulid::Ulid;

use crate::diagnostic::{Failure, FailureKind};
use crate::git::Oid;
use crate::model::{Freight, FreightName, LiveFreight, Origin, ProjectName, Promotion, PromotionName, StageName, WarehouseName};
use crate::plan::bookkeeping;

use super::legal::{self, ChangeKind};
use super::records::{Record, RecordPath, StageRecord, Stored, WarehouseRecord, bounded_log};
use super::state::{Overlay, State};
use super::transaction::Occasion;

/// Longest stage name within a promotion's name, so that the whole stays within 253 characters.
const STAGE_PREFIX: usize = 218;

/// The label and its field are kept equal, as Kargo does.
const ALIAS_LABEL: &str = "kargo.akuity.io/alias";

/// Why a transaction ended without edits.
#[derive(Debug)]
pub enum Stop {
    /// A blob has to be fetched first; the transaction is then run again.
    Missing,
    /// The ledger is no longer what was planned on: plan again.
    Stale(String),
    /// It cannot be done.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Missing => Failure::new(FailureKind::Internal, "a record of the ledger was read before it was fetched"),
            Stop::Stale(what) => Failure::new(FailureKind::Conflict, format!("somebody else moved first: {what}"))
                .hint("run again; it will be decided on what is there now"),
            Stop::Failed(failure) => failure,
        }
    }
}

/// What a new promotion consists of; its name and creation time are given by the transaction.
#[derive(Clone, Debug, Default)]
pub struct NewPromotion {
    /// The project.
    pub project: ProjectName,
    /// Frozen recipe, annotations, initial status. `metadata.name` is ignored.
    pub promotion: Promotion,
    /// [`State::version`] of the stage's record that it was planned on.
    pub planned_on: Option<Oid>,
}

#[derive(Clone, Debug)]
enum Edit {
    Gone,
    Record(Record),
    Text(String),
}

/// A transaction at work.
pub struct Draft<'a> {
    state: &'a State,
    occasion: &'a Occasion,
    edits: BTreeMap<RecordPath, Edit>,
    sentences: Vec<String>,
    kind: ChangeKind,
    named: BTreeSet<(&'static str, String)>,
}

/// What came of a draft: the files that really changed, and how to say it.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub edits: BTreeMap<String, Overlay>,
    pub sentences: Vec<String>,
    pub trailers: BTreeSet<(&'static str, String)>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(state: &'a State, occasion: &'a Occasion) -> Self {
        Self { state, occasion, edits: BTreeMap::new(), sentences: Vec::new(), kind: ChangeKind::Ordinary, named: BTreeSet::new() }
    }

    /// The state underneath, without this draft's edits.
    pub fn state(&self) -> &'a State {
        self.state
    }

    /// The tick's instant.
    pub fn now(&self) -> Timestamp {
        self.occasion.now
    }

    /// Who runs.
    pub fn occasion(&self) -> &'a Occasion {
        self.occasion
    }

    /// Says what this transaction does, in a sentence without a full stop: the audit log shows it.
    pub fn say(&mut self, sentence: impl Into<String>) {
        self.sentences.push(sentence.into());
    }

    /// Declares that this transaction follows other rules than an ordinary one: retention removes what ordinary changes keep.
    pub fn follow_rules_of(&mut self, kind: ChangeKind) {
        self.kind = kind;
    }

    /// Reads a record, this draft's edits included.
    ///
    /// # Errors
    /// As [`State::get`].
    pub fn get<T: Stored>(&self, path: &RecordPath) -> Result<Option<Arc<T>>, Stop> {
        match self.edits.get(path) {
            Some(Edit::Gone | Edit::Text(_)) => Ok(None),
            Some(Edit::Record(record)) => Ok(T::shared(record).cloned()),
            None => self.state.get(path),
        }
    }

    /// Reads many records. All of them are read before a missing one stops the transaction, so that one batch fetches what is missing.
    ///
    /// # Errors
    /// As [`State::get`].
    pub fn get_all<T: Stored>(&self, paths: impl IntoIterator<Item = RecordPath>) -> Result<Vec<Option<Arc<T>>>, Stop> {
        let mut missing = false;
        let mut records = Vec::new();
        for path in paths {
            match self.get(&path) {
                Ok(record) => records.push(record),
                Err(Stop::Missing) => missing = true,
                Err(stop) => return Err(stop),
            }
        }
        if missing { Err(Stop::Missing) } else { Ok(records) }
    }

    /// All promotions of a stage that are on the branch, oldest first.
    ///
    /// # Errors
    /// As [`State::get`].
    pub fn promotions(&self, project: &ProjectName, stage: &StageName) -> Result<Vec<Arc<Promotion>>, Stop> {
        let names = self.state.promotions(project, stage)?;
        let records = self.get_all(names.into_iter().map(|name| RecordPath::Promotion(project.clone(), stage.clone(), name)))?;
        Ok(records.into_iter().flatten().collect())
    }

    /// A stage's record.
    ///
    /// # Errors
    /// As [`State::get`].
    pub fn stage(&self, project: &ProjectName, name: &StageName) -> Result<Option<Arc<StageRecord>>, Stop> {
        self.get(&RecordPath::Stage(project.clone(), name.clone()))
    }

    /// A freight.
    ///
    /// # Errors
    /// As [`State::get`].
    pub fn freight(&self, project: &ProjectName, name: &FreightName) -> Result<Option<Arc<Freight>>, Stop> {
        self.get(&RecordPath::Freight(project.clone(), name.clone()))
    }

    /// A promotion.
    ///
    /// # Errors
    /// As [`State::get`].
    pub fn promotion(&self, project: &ProjectName, stage: &StageName, name: &PromotionName) -> Result<Option<Arc<Promotion>>, Stop> {
        self.get(&RecordPath::Promotion(project.clone(), stage.clone(), name.clone()))
    }

    /// A record to change; one that is not there yet starts with its name and project.
    ///
    /// # Errors
    /// As [`State::get`].
    pub fn edit<T: Stored>(&mut self, path: &RecordPath) -> Result<&mut T, Stop> {
        if !matches!(self.edits.get(path), Some(Edit::Record(_))) {
            let before: Option<Arc<T>> = self.get(path)?;
            let record = before.unwrap_or_else(|| {
                let mut fresh = T::default();
                let metadata = fresh.metadata_mut();
                metadata.name = name_of(path);
                metadata.namespace = path.project().map(ToString::to_string).unwrap_or_default();
                Arc::new(fresh)
            });
            self.edits.insert(path.clone(), Edit::Record(T::share(record)));
        }
        let Some(Edit::Record(record)) = self.edits.get_mut(path) else { unreachable!("it was put there above") };
        let kind = record.kind();
        match T::shared_mut(record) {
            Some(inner) => Ok(Arc::make_mut(inner)),
            None => Err(Failure::new(FailureKind::Internal, format!("`{path}` of the ledger is a record of kind `{kind}`")).into()),
        }
    }

    /// A record to change that has to be there.
    fn edit_existing<T: Stored>(&mut self, path: &RecordPath, what: &str) -> Result<&mut T, Stop> {
        if self.get::<T>(path)?.is_none() {
            return Err(Stop::Stale(format!("{what} is no longer in the ledger")));
        }
        self.edit(path)
    }

    /// A stage's record to change.
    ///
    /// # Errors
    /// As [`State::get`].
    pub fn stage_mut(&mut self, project: &ProjectName, name: &StageName) -> Result<&mut StageRecord, Stop> {
        self.edit(&RecordPath::Stage(project.clone(), name.clone()))
    }

    /// A warehouse's record to change.
    ///
    /// # Errors
    /// As [`State::get`].
    pub fn warehouse_mut(&mut self, project: &ProjectName, name: &WarehouseName) -> Result<&mut WarehouseRecord, Stop> {
        self.edit(&RecordPath::Warehouse(project.clone(), name.clone()))
    }

    /// A freight to change.
    ///
    /// # Errors
    /// Stale, if it is gone; else as [`State::get`].
    pub fn freight_mut(&mut self, project: &ProjectName, name: &FreightName) -> Result<&mut Freight, Stop> {
        self.edit_existing(&RecordPath::Freight(project.clone(), name.clone()), &format!("freight `{name}`"))
    }

    /// A promotion to change.
    ///
    /// # Errors
    /// Stale, if it is gone; else as [`State::get`].
    pub fn promotion_mut(&mut self, project: &ProjectName, stage: &StageName, name: &PromotionName) -> Result<&mut Promotion, Stop> {
        self.edit_existing(&RecordPath::Promotion(project.clone(), stage.clone(), name.clone()), &format!("promotion `{name}`"))
    }

    /// Removes a file. Only retention and retirement may remove records.
    pub fn remove(&mut self, path: RecordPath) {
        self.edits.insert(path, Edit::Gone);
    }

    /// Stops unless a record is still the one that was planned on ([`State::version`]).
    ///
    /// # Errors
    /// Stale, if it is another.
    pub fn check_version(&self, path: &RecordPath, planned_on: Option<Oid>) -> Result<(), Stop> {
        if self.state.version(path)? == planned_on {
            return Ok(());
        }
        Err(Stop::Stale(format!("`{path}` has changed since it was planned on")))
    }

    // Freight

    /// Adds a freight to the ledger and to its warehouse's list. One that is there already stays as it is and is not an error: contents make the
    /// name, so it is the same. Its discovery time, unless given, is greater than that of every earlier freight of the warehouse.
    ///
    /// Gives the freight as recorded, and whether it is new.
    ///
    /// # Errors
    /// As [`State::get`].
    pub fn create_freight(&mut self, project: &ProjectName, freight: Freight) -> Result<(Arc<Freight>, bool), Stop> {
        let path = RecordPath::Freight(project.clone(), freight.name());
        if let Some(known) = self.get::<Freight>(&path)? {
            return Ok((known, false));
        }
        let now = self.now();
        let warehouse = self.warehouse_mut(project, &freight.origin.name)?;
        let mut freight = freight;
        let last = warehouse.status.freight.iter().filter_map(|live| live.discovered_at).max();
        let found = freight.discovered_at.unwrap_or_else(|| now.max(last.map_or(Timestamp::MIN, after)));
        freight.discovered_at = Some(found);
        freight.metadata.namespace = project.to_string();
        freight.metadata.creation_timestamp.get_or_insert(now);
        if !freight.alias.is_empty() {
            freight.metadata.labels.insert(ALIAS_LABEL.to_owned(), freight.alias.clone());
        }
        let live = LiveFreight { name: freight.name(), alias: freight.alias.clone(), discovered_at: Some(found) };
        let place = warehouse.status.freight.iter().position(|other| other.discovered_at <= Some(found)).unwrap_or(warehouse.status.freight.len());
        warehouse.status.freight.insert(place, live);
        let freight = Arc::new(freight);
        self.edits.insert(path, Edit::Record(Freight::share(Arc::clone(&freight))));
        Ok((freight, true))
    }

    /// Renames a freight, in its record and in its warehouse's list.
    ///
    /// # Errors
    /// Config, if another freight of the project has the alias; Stale, if the freight is gone.
    pub fn set_freight_alias(&mut self, project: &ProjectName, name: &FreightName, alias: &str) -> Result<(), Stop> {
        if let Some(owner) = self.freight_with_alias(project, alias)?
            && owner != *name
        {
            return Err(Failure::new(FailureKind::Config, format!("the alias `{alias}` belongs to freight `{owner}`"))
                .hint("choose another alias")
                .into());
        }
        let freight = self.freight_mut(project, name)?;
        freight.alias = alias.to_owned();
        if alias.is_empty() {
            freight.metadata.labels.remove(ALIAS_LABEL);
        } else {
            freight.metadata.labels.insert(ALIAS_LABEL.to_owned(), alias.to_owned());
        }
        let origin = freight.origin.name.clone();
        for live in &mut self.warehouse_mut(project, &origin)?.status.freight {
            if live.name == *name {
                alias.clone_into(&mut live.alias);
            }
        }
        Ok(())
    }

    /// The freight of a project that has this alias.
    ///
    /// # Errors
    /// As [`State::get`].
    pub fn freight_with_alias(&self, project: &ProjectName, alias: &str) -> Result<Option<FreightName>, Stop> {
        let edited = self.edits.keys().filter_map(|path| match path {
            RecordPath::Warehouse(of, name) if of == project => Some(name.clone()),
            _ => None,
        });
        let warehouses: BTreeSet<WarehouseName> = self.state.warehouses(project)?.into_iter().chain(edited).collect();
        let records: Vec<Option<Arc<WarehouseRecord>>> =
            self.get_all(warehouses.into_iter().map(|name| RecordPath::Warehouse(project.clone(), name)))?;
        let mut live = records.iter().flatten().flat_map(|record| &record.status.freight);
        Ok(live.find(|live| live.alias == alias).map(|live| live.name.clone()))
    }

    // Promotions

    /// Creates a promotion and gives it its name: `<stage>.<ulid>.<first 7 of the freight>`, greater than every earlier one of the stage. The
    /// name follows from run, stage and freight, so a transaction that is run again on the same past gives it again.
    ///
    /// # Errors
    /// Stale, if the stage's record is not the one planned on.
    pub fn create_promotion(&mut self, new: NewPromotion) -> Result<PromotionName, Stop> {
        let NewPromotion { project, mut promotion, planned_on } = new;
        let stage = promotion.spec.stage.clone();
        self.check_version(&RecordPath::Stage(project.clone(), stage.clone()), planned_on)?;
        let name = self.next_promotion_name(&project, &stage, &promotion.spec.freight)?;
        promotion.metadata.name = name.to_string();
        promotion.metadata.namespace = project.to_string();
        promotion.metadata.creation_timestamp.get_or_insert(self.occasion.now);
        let path = RecordPath::Promotion(project, stage, name.clone());
        self.edits.insert(path, Edit::Record(Promotion::share(Arc::new(promotion))));
        Ok(name)
    }

    fn next_promotion_name(&self, project: &ProjectName, stage: &StageName, freight: &FreightName) -> Result<PromotionName, Stop> {
        let mut earlier = self.state.promotions(project, stage)?;
        earlier.extend(self.edits.keys().filter_map(|path| match path {
            RecordPath::Promotion(of, at, name) if of == project && at == stage => Some(name.clone()),
            _ => None,
        }));
        if let Some(record) = self.stage(project, stage)? {
            // Retention may have removed the promotions themselves.
            earlier.extend(record.status.current_promotion.iter().chain(&record.status.last_promotion).map(|reference| reference.name.clone()));
        }
        let last = earlier.iter().filter_map(ulid_of).max();
        let ulid = next_ulid(last, self.occasion, project, stage, freight);
        let prefix = match stage.as_str().char_indices().nth(STAGE_PREFIX) {
            Some((cut, _)) => stage.as_str()[..cut].trim_end_matches(['.', '-']),
            None => stage.as_str(),
        };
        let short = freight.as_str().get(..7).unwrap_or(freight.as_str());
        Ok(PromotionName::new(format!("{prefix}.{}.{short}", ulid.to_string().to_lowercase())))
    }

    /// Keeps what a promotion (by name) or a verification (by id) printed, cut to [`super::records::LOG_LIMIT`].
    pub fn write_log(&mut self, project: &ProjectName, stage: &StageName, name: &str, text: &str) {
        self.edits.insert(RecordPath::Log(project.clone(), stage.clone(), name.to_owned()), Edit::Text(bounded_log(text)));
    }

    // What is gone from the definitions

    /// Moves the record of a stage that is gone from the definitions to `retired/`, ends its promotions and lets all freight forget that it was
    /// there, as Kargo does when a Stage is deleted. Promotions stay where they are, as history. Gives the promotions that were ended, oldest
    /// first, so that their pull requests can be closed.
    ///
    /// # Errors
    /// As [`State::get`].
    pub fn retire_stage(&mut self, project: &ProjectName, stage: &StageName, reason: &str) -> Result<Vec<PromotionName>, Stop> {
        let freight: Vec<Option<Arc<Freight>>> =
            self.get_all(self.state.all_freight(project)?.into_iter().map(|name| RecordPath::Freight(project.clone(), name)))?;
        let mut ended = Vec::new();
        for promotion in self.promotions(project, stage)? {
            if self.abort(project, stage, &promotion.name(), reason)? {
                ended.push(promotion.name());
            }
        }
        for freight in freight.into_iter().flatten() {
            let mut status = freight.status.clone();
            if bookkeeping::forget_stage(&mut status, stage) {
                self.freight_mut(project, &freight.name())?.status = status;
            }
        }
        let path = RecordPath::Stage(project.clone(), stage.clone());
        if let Some(record) = self.get::<StageRecord>(&path)? {
            let mut record = (*record).clone();
            record.status.current_promotion = None;
            self.remove(path);
            self.edits.insert(RecordPath::RetiredStage(project.clone(), stage.clone()), Edit::Record(StageRecord::share(Arc::new(record))));
        }
        Ok(ended)
    }

    /// Moves the record of a warehouse that is gone from the definitions to `retired/`; its freight stays.
    ///
    /// # Errors
    /// As [`State::get`].
    pub fn retire_warehouse(&mut self, project: &ProjectName, warehouse: &WarehouseName) -> Result<(), Stop> {
        let path = RecordPath::Warehouse(project.clone(), warehouse.clone());
        if let Some(record) = self.get::<WarehouseRecord>(&path)? {
            self.remove(path);
            self.edits.insert(RecordPath::RetiredWarehouse(project.clone(), warehouse.clone()), Edit::Record(WarehouseRecord::share(record)));
        }
        Ok(())
    }

    // What belongs to no project

    /// Takes a number for a plain-git proposal that was given while its promotion ran.
    ///
    /// # Errors
    /// Stale, if another run has taken it meanwhile; as [`State::get`].
    pub fn take_proposal(&mut self, number: u64) -> Result<(), Stop> {
        let ledger: &mut super::LedgerRecord = self.edit(&RecordPath::Ledger)?;
        if number <= ledger.status.proposals {
            return Err(Stop::Stale(format!("proposal {number} was taken by another run")));
        }
        ledger.status.proposals = number;
        Ok(())
    }

    /// Gives the next number for a plain-git proposal; no number is given twice.
    ///
    /// # Errors
    /// As [`State::get`].
    pub fn next_proposal(&mut self) -> Result<u64, Stop> {
        let ledger: &mut super::LedgerRecord = self.edit(&RecordPath::Ledger)?;
        ledger.status.proposals += 1;
        Ok(ledger.status.proposals)
    }

    /// Remembers how far the commands of a source were read.
    ///
    /// # Errors
    /// As [`State::get`].
    pub fn set_cursor(&mut self, source: &str, cursor: &str) -> Result<(), Stop> {
        let ledger: &mut super::LedgerRecord = self.edit(&RecordPath::Ledger)?;
        ledger.status.cursors.insert(source.to_owned(), cursor.to_owned());
        Ok(())
    }

    /// What really changed. Our own illegal changes are caught here, before they can reach the branch.
    pub(super) fn finish(self) -> Result<Outcome, Stop> {
        let mut outcome = Outcome { sentences: self.sentences, trailers: self.named, ..Outcome::default() };
        let retired = legal::retired(self.edits.iter().filter(|(_, edit)| !matches!(edit, Edit::Gone)).map(|(path, _)| path));
        for (path, edit) in self.edits {
            let text = path.to_string();
            let overlay = match edit {
                Edit::Record(record) => {
                    let before = self.state.record(&text)?;
                    if before.as_ref() == Some(&record) {
                        continue;
                    }
                    check(&path, before.as_ref(), Some(&record), self.kind, &retired)?;
                    name_references(&path, &record, &mut outcome.trailers);
                    let bytes = record.to_yaml().into_bytes().into();
                    Overlay::Record(record, bytes)
                }
                Edit::Text(new) => {
                    if self.state.version(&path)? == Some(super::state::blob_id(new.as_bytes())) {
                        continue;
                    }
                    Overlay::Text(new.into_bytes().into())
                }
                Edit::Gone => {
                    if self.state.version(&path)?.is_none() {
                        continue;
                    }
                    if !matches!(path, RecordPath::Readme | RecordPath::Log(..)) {
                        check(&path, self.state.record(&text)?.as_ref(), None, self.kind, &retired)?;
                    }
                    Overlay::Gone
                }
            };
            if self.kind == ChangeKind::Ordinary {
                outcome.trailers.extend(named_by(&path));
            }
            outcome.edits.insert(text, overlay);
        }
        if outcome.edits.is_empty() {
            return Ok(Outcome::default());
        }
        if let Some(kind) = self.kind.trailer() {
            outcome.trailers.insert((CHANGE_TRAILER, kind.to_owned()));
        }
        Ok(outcome)
    }
}

/// The trailer of a commit that follows other rules than an ordinary one.
pub(super) const CHANGE_TRAILER: &str = "Consign-Change";

fn check(path: &RecordPath, before: Option<&Record>, after: Option<&Record>, kind: ChangeKind, retired: &BTreeSet<StageName>) -> Result<(), Stop> {
    match legal::change(before, after, kind, retired).into_iter().next() {
        None => Ok(()),
        Some(why) => Err(Failure::new(FailureKind::Internal, format!("refused to write an illegal change to `{path}`: {why}")).into()),
    }
}

/// The trailers that name a file.
pub(super) fn named_by(path: &RecordPath) -> Vec<(&'static str, String)> {
    let mut trailers = Vec::new();
    if let Some(project) = path.project() {
        trailers.push(("Consign-Project", project.to_string()));
    }
    match path {
        RecordPath::Readme | RecordPath::Ledger => {}
        RecordPath::Warehouse(_, name) | RecordPath::RetiredWarehouse(_, name) => {
            trailers.push(("Consign-Origin", Origin::warehouse(name.clone()).to_string()))
        }
        RecordPath::Freight(_, name) => trailers.push(("Consign-Freight", name.to_string())),
        RecordPath::Stage(_, name) | RecordPath::RetiredStage(_, name) | RecordPath::Log(_, name, _) => {
            trailers.push(("Consign-Stage", name.to_string()))
        }
        RecordPath::Promotion(_, stage, name) => {
            trailers.push(("Consign-Stage", stage.to_string()));
            trailers.push(("Consign-Promotion", name.to_string()));
        }
    }
    trailers
}

/// A promotion's commit also says which freight and origin it is about.
fn name_references(path: &RecordPath, record: &Record, trailers: &mut BTreeSet<(&'static str, String)>) {
    if let (RecordPath::Promotion(..), Record::Promotion(promotion)) = (path, record) {
        if !promotion.spec.freight.is_empty() {
            trailers.insert(("Consign-Freight", promotion.spec.freight.to_string()));
        }
        if let Some(freight) = &promotion.status.freight {
            trailers.insert(("Consign-Origin", freight.origin.to_string()));
        }
    }
}

fn name_of(path: &RecordPath) -> String {
    match path {
        RecordPath::Readme | RecordPath::Ledger => "consign".to_owned(),
        RecordPath::Warehouse(_, name) | RecordPath::RetiredWarehouse(_, name) => name.to_string(),
        RecordPath::Freight(_, name) => name.to_string(),
        RecordPath::Stage(_, name) | RecordPath::RetiredStage(_, name) => name.to_string(),
        RecordPath::Promotion(_, _, name) => name.to_string(),
        RecordPath::Log(_, _, name) => name.clone(),
    }
}

/// The smallest time we tell apart: records are written with milliseconds where they need them.
fn after(time: Timestamp) -> Timestamp {
    time.saturating_add(SignedDuration::from_millis(1)).unwrap_or(Timestamp::MAX)
}

/// The ULID within a promotion's name; None for a name that follows another form.
pub fn ulid_of(name: &PromotionName) -> Option<Ulid> {
    let mut parts = name.as_str().rsplit('.');
    let (_hash, ulid) = (parts.next()?, parts.next()?);
    Ulid::from_string(&ulid.to_uppercase()).ok()
}

fn next_ulid(last: Option<Ulid>, occasion: &Occasion, project: &ProjectName, stage: &StageName, freight: &FreightName) -> Ulid {
    use sha2::Digest;
    let hash = sha2::Sha256::digest(format!("{}\n{project}\n{stage}\n{freight}", occasion.run));
    let random = hash[..10].iter().fold(0u128, |number, byte| number << 8 | u128::from(*byte));
    let milliseconds = u64::try_from(occasion.now.as_millisecond()).unwrap_or(0);
    let fresh = Ulid::from_parts(milliseconds, random);
    match last {
        Some(last) if last >= fresh => Ulid(last.0.saturating_add(1)),
        _ => fresh,
    }
}
