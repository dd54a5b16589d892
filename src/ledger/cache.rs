//! Parsed records and trees, by the ids of their contents: nothing in here is ever stale.
//!
//! What was parsed is also kept on disk, in a form that is read faster than YAML and without the object store: one file beside the store, one
//! line a record. It is only a cache: a line that is cut off or not understood is as if it were not there.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::git::Oid;

use super::branch::TreeEntry;
use super::records::{Record, Schemas};

/// Most records and trees kept in memory; beyond it, they are read again.
const KEPT: usize = 100_000;

/// A file that has grown beyond this is begun anew: most of what is in it has long been replaced.
const LARGEST_FILE: u64 = 256 << 20;

const FILE: &str = "consign-records";

/// The caches of one ledger.
#[derive(Default)]
pub struct Cache {
    records: Mutex<HashMap<Oid, Record>>,
    trees: Mutex<HashMap<Oid, Arc<Vec<TreeEntry>>>>,
    /// Parsed by this process and not yet on disk.
    fresh: Mutex<Vec<Oid>>,
    folder: Option<PathBuf>,
    file: OnceLock<File>,
}

impl Cache {
    /// A cache that keeps records in this folder between processes; None: in memory only.
    pub fn new(folder: Option<PathBuf>) -> Self {
        let mut cache = Self::default();
        cache.folder = folder;
        cache
    }

    /// A record that was parsed before.
    pub(super) fn record(&self, id: Oid) -> Option<Record> {
        if let Some(record) = lock(&self.records).get(&id) {
            return Some(record.clone());
        }
        let record = self.file().get(id)?;
        self.keep(id, record.clone());
        Some(record)
    }

    /// Whether a record was parsed before, so that its blob is not needed.
    pub(super) fn has_record(&self, id: Oid) -> bool {
        lock(&self.records).contains_key(&id) || self.file().index.contains_key(&id)
    }

    /// Keeps a record that was just parsed.
    pub(super) fn add_record(&self, id: Oid, record: Record) {
        self.keep(id, record);
        if self.folder.is_some() {
            lock(&self.fresh).push(id);
        }
    }

    fn keep(&self, id: Oid, record: Record) {
        let mut records = lock(&self.records);
        if records.len() >= KEPT {
            records.clear();
        }
        records.insert(id, record);
    }

    pub(super) fn tree(&self, id: Oid) -> Option<Arc<Vec<TreeEntry>>> {
        lock(&self.trees).get(&id).cloned()
    }

    pub(super) fn add_tree(&self, id: Oid, entries: Arc<Vec<TreeEntry>>) {
        let mut trees = lock(&self.trees);
        if trees.len() >= KEPT {
            trees.clear();
        }
        trees.insert(id, entries);
    }

    fn file(&self) -> &File {
        self.file.get_or_init(|| self.folder.as_deref().map(File::read).unwrap_or_default())
    }

    /// Writes down what is new. Done when the cache is dropped; failing only costs time.
    fn save(&self) -> std::io::Result<()> {
        let fresh = std::mem::take(&mut *lock(&self.fresh));
        let (Some(folder), false) = (&self.folder, fresh.is_empty()) else { return Ok(()) };
        let records = lock(&self.records);
        let mut text = String::new();
        for id in fresh {
            let Some(record) = records.get(&id) else { continue };
            let json = record.to_json();
            // JSON may lose the last digit of a number; then the YAML stays the only source.
            if Record::from_json(record.kind(), json.as_bytes()).as_ref() == Some(record) {
                text.push_str(&format!("{id} {} {json}\n", record.kind()));
            }
        }
        let path = folder.join(FILE);
        if !self.file().usable || self.file().text.len() as u64 > LARGEST_FILE {
            std::fs::write(path, header() + &text)
        } else {
            std::fs::File::options().append(true).open(path)?.write_all(text.as_bytes())
        }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        if let Err(error) = self.save() {
            tracing::debug!(target: "consign::ledger", "cannot keep parsed records: {error}");
        }
    }
}

/// The lines of an earlier process.
#[derive(Default)]
struct File {
    text: Vec<u8>,
    /// Where the kind and the JSON of a record are.
    index: HashMap<Oid, (usize, usize)>,
    /// Whether it may be appended to.
    usable: bool,
}

impl File {
    fn read(folder: &Path) -> Self {
        let Ok(text) = std::fs::read(folder.join(FILE)) else { return Self::default() };
        let header = header();
        if !text.starts_with(header.as_bytes()) {
            return Self::default();
        }
        let mut index = HashMap::new();
        let mut start = header.len();
        // What follows the last end of a line was being written when its process died.
        while let Some(length) = text[start..].iter().position(|byte| *byte == b'\n') {
            let line = &text[start..start + length];
            if let Some(id) = line.get(..40).and_then(|id| std::str::from_utf8(id).ok()).and_then(|id| id.parse().ok()) {
                index.insert(id, (start + 41, start + length));
            }
            start += length + 1;
        }
        Self { usable: start == text.len(), text, index }
    }

    fn get(&self, id: Oid) -> Option<Record> {
        let (start, end) = *self.index.get(&id)?;
        let line = self.text.get(start..end)?;
        let space = line.iter().position(|byte| *byte == b' ')?;
        Record::from_json(std::str::from_utf8(&line[..space]).ok()?, &line[space + 1..])
    }
}

/// The first line: what another version or schema has parsed may mean something else to us.
fn header() -> String {
    format!("consign {} schema {}\n", env!("CARGO_PKG_VERSION"), Schemas::CURRENT.version())
}

/// A poisoned cache is as good as any: its entries are complete before they are inserted.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ledger::StageRecord;

    fn id(number: u8) -> Oid {
        format!("{number:040x}").parse().unwrap()
    }

    fn stage(name: &str) -> Record {
        let mut record = StageRecord::default();
        name.clone_into(&mut record.metadata.name);
        Record::Stage(Arc::new(record))
    }

    #[test]
    fn records_outlive_the_process_and_cut_lines_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Cache::new(Some(folder.path().to_owned()));
        open().add_record(id(1), stage("one"));
        let cache = open();
        assert_eq!(cache.record(id(1)), Some(stage("one")));
        cache.add_record(id(2), stage("two\n"));
        drop(cache);
        let path = folder.path().join(FILE);
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(open().record(id(2)), Some(stage("two\n")));
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let cache = open();
        assert_eq!((cache.record(id(1)), cache.record(id(2))), (Some(stage("one")), None));
        cache.add_record(id(3), stage("three"));
        drop(cache);
        assert_eq!(open().record(id(3)), Some(stage("three")), "a file that cannot be appended to is begun anew");
        std::fs::write(&path, "consign 0.0.0 schema 0\n").unwrap();
        assert!(!open().has_record(id(3)));
    }

    #[test]
    fn a_number_that_json_would_change_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Cache::new(Some(folder.path().to_owned()));
        let numbers: Vec<f64> = (1..2000).map(|n| f64::from(n) * 1.000_000_1e-7 + 1e22 / f64::from(n)).collect();
        for (number, value) in numbers.iter().enumerate() {
            let mut record = StageRecord::default();
            record.status.metadata.insert("n".to_owned(), (*value).into());
            let cache = open();
            cache.add_record(id(1), Record::Stage(Arc::new(record.clone())));
            drop(cache);
            assert!(open().record(id(1)).is_none_or(|read| read == Record::Stage(Arc::new(record))), "{number}: {value}");
            std::fs::remove_file(folder.path().join(FILE)).unwrap();
        }
    }
}
