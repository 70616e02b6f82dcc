//! The index: sled behind a narrow trait. Everything in it can be rebuilt from the journal. The only file that sees sled.
//!
//! Guarantees: a batch is applied whole or not at all; a panic inside sled comes out as an error. It need not be
//! durable: the journal is, and the state remembers in the index which frame it has seen (`state`).
//!
//! What is known of sled 1.0.0-alpha.124, read in its source and tried, and how it is met here:
//!
//! * Its background flusher calls `abort` when a write fails (a full disk): it is switched off, and flushing is done here,
//!   where an error is an error. Not flushing costs no durability, only a longer replay at the next start.
//! * Opening runs the command `sync`, which may take a while on a busy machine. It happens at a start and at a rebuild only.
//! * Walking backwards and merging of pages take locks in an order that can deadlock with batches, by its authors' own note:
//!   keys are made so that nobody walks backwards, and one thread at a time is in it (it cannot be shared anyway).
//! * After a flush that has failed, the next one waits for it for ever, and dropping it flushes twice: a database that has failed
//!   is never dropped.
//! * Damaged files make it panic or forget: opening and every call run under `catch_unwind`, and the state's fingerprint notices what
//!   was forgotten.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Mutex, PoisonError, RwLock},
};

use super::StoreError;

/// What to put (`Some`) or remove (`None`), by key.
pub type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// An ordered map that survives a restart as long as nothing happens to it.
pub trait Index: Send + Sync + Debug {
    /// The value of a key.
    ///
    /// # Errors
    /// [`StoreError::Index`].
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// At most `limit` pairs in order of the key whose key begins with `prefix` and is greater than `after`.
    ///
    /// # Errors
    /// [`StoreError::Index`].
    fn scan(&self, prefix: &[u8], after: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError>;

    /// Applies all changes or none; later reads see them.
    ///
    /// # Errors
    /// [`StoreError::Index`]; the index is then not to be used any more.
    fn apply(&self, changes: &Changes) -> Result<(), StoreError>;

    /// Writes down what has been applied.
    ///
    /// # Errors
    /// [`StoreError::Index`]; the index is then not to be used any more.
    fn flush(&self) -> Result<(), StoreError>;
}

/// The index in memory: for tests, and for a running process whose sled has failed.
#[derive(Debug, Default)]
pub struct MemoryIndex(RwLock<BTreeMap<Vec<u8>, Vec<u8>>>);

impl Index for MemoryIndex {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError> {
        let map = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let from = beginning(prefix, after);
        Ok(map
            .range::<[u8], _>((from, Bound::Unbounded))
            .take_while(|(k, _)| k.starts_with(prefix))
            .take(limit)
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect())
    }

    fn apply(&self, changes: &Changes) -> Result<(), StoreError> {
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in changes {
            match value {
                Some(value) => map.insert(key.clone(), value.clone()),
                None => map.remove(key),
            };
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Where a scan begins.
fn beginning<'a>(prefix: &'a [u8], after: &'a [u8]) -> Bound<&'a [u8]> {
    if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) }
}

/// Pairs in a page of sled's tree. Small: a page is compressed anew whenever one of its pairs has changed.
const FANOUT: usize = 128;

/// What sled may keep of unchanged pages, in octets. The state is small and read seldom.
const CACHE: usize = 4 << 20;

type Db = sled::Db<FANOUT>;

/// The index in sled: one tree, prefixed keys, one batch a commit.
pub struct SledIndex(Mutex<Option<Db>>);

impl Debug for SledIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SledIndex")
    }
}

impl SledIndex {
    /// Opens or creates it.
    ///
    /// # Errors
    /// [`StoreError::Index`] when sled cannot open it, or panics.
    pub fn open(dir: &Path) -> Result<SledIndex, StoreError> {
        let config = sled::Config::new().path(dir).cache_capacity_bytes(CACHE).flush_every_ms(None);
        let db = caught(|| open_when_free(&config))?;
        Ok(SledIndex(Mutex::new(Some(db))))
    }

    fn with<T>(&self, f: impl FnOnce(&Db) -> std::io::Result<T>) -> Result<T, StoreError> {
        let db = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let db = db.as_ref().ok_or_else(|| StoreError::Index { reason: "it has failed before".into() })?;
        caught(|| f(db))
    }

    /// As [`SledIndex::with`], but a failure is final.
    fn change<T>(&self, f: impl FnOnce(&Db) -> std::io::Result<T>) -> Result<T, StoreError> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let db = slot.as_ref().ok_or_else(|| StoreError::Index { reason: "it has failed before".into() })?;
        let done = caught(|| f(db));
        if done.is_err() {
            // Not dropped: it would flush, and wait for ever for the flush that has failed.
            std::mem::forget(slot.take());
        }
        done
    }
}

impl Index for SledIndex {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.with(|db| Ok(db.get(key)?.map(|v| v.to_vec())))
    }

    fn scan(&self, prefix: &[u8], after: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError> {
        self.with(|db| {
            let range: (Bound<&[u8]>, Bound<&[u8]>) = (beginning(prefix, after), Bound::Unbounded);
            let mut found = Vec::new();
            for pair in db.range::<&[u8], _>(range) {
                let (key, value) = pair?;
                if !key.starts_with(prefix) || found.len() == limit {
                    break;
                }
                found.push((key.to_vec(), value.to_vec()));
            }
            Ok(found)
        })
    }

    fn apply(&self, changes: &Changes) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key.as_slice(), value.as_slice()),
                None => batch.remove(key.as_slice()),
            }
        }
        self.change(|db| db.apply_batch(batch))
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.change(|db| db.flush().map(|_| ()))
    }
}

impl Drop for SledIndex {
    fn drop(&mut self) {
        // Flushed here, where a failure shows; see `change`.
        if Index::flush(self).is_ok() {
            let db = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take();
            let _ = catch_unwind(AssertUnwindSafe(|| drop(db)));
        }
    }
}

/// Opens a database. Its lock may be held for a moment after it was closed: sled closes the file without unlocking it, and a process
/// that another thread is just starting has a copy of the descriptor until it runs its program.
fn open_when_free(config: &sled::Config) -> std::io::Result<Db> {
    for _ in 0..100 {
        match config.open() {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => std::thread::sleep(std::time::Duration::from_millis(20)),
            other => return other,
        }
    }
    config.open()
}

/// Runs a call of sled; an error or a panic becomes [`StoreError::Index`].
fn caught<T>(f: impl FnOnce() -> std::io::Result<T>) -> Result<T, StoreError> {
    // Unwind safety: after a panic the database is given up (`change`), or was not changed by the call (`with`).
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(StoreError::Index { reason: error.to_string() }),
        Err(panic) => {
            let words = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            Err(StoreError::Index { reason: format!("it panicked: {}", words.unwrap_or("without a word")) })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What every index must do.
    fn behaves(index: &dyn Index) {
        assert_eq!(index.get(b"a").unwrap(), None);
        let put = |k: &str, v: &str| (k.as_bytes().to_vec(), Some(v.as_bytes().to_vec()));
        index.apply(&Changes::from([put("a1", "x"), put("a2", "y"), put("b1", "z"), put("a", "w")])).unwrap();
        assert_eq!(index.get(b"a2").unwrap(), Some(b"y".to_vec()));
        let keys = |found: Vec<Pair>| found.into_iter().map(|(k, _)| String::from_utf8(k).unwrap()).collect::<Vec<_>>();
        assert_eq!(keys(index.scan(b"a", b"", 9).unwrap()), ["a", "a1", "a2"]);
        assert_eq!(keys(index.scan(b"a", b"a1", 9).unwrap()), ["a2"]);
        assert_eq!(keys(index.scan(b"a", b"", 2).unwrap()), ["a", "a1"]);
        assert_eq!(keys(index.scan(b"c", b"", 2).unwrap()), [""; 0]);
        assert_eq!(keys(index.scan(b"", b"", 9).unwrap()), ["a", "a1", "a2", "b1"]);
        index.apply(&Changes::from([(b"a1".to_vec(), None), put("a2", "v")])).unwrap();
        index.flush().unwrap();
        assert_eq!(index.get(b"a1").unwrap(), None);
        assert_eq!(index.get(b"a2").unwrap(), Some(b"v".to_vec()));
    }

    /// Random batches against a map; enough keys that sled's pages split and merge.
    fn agrees_with_a_map(index: &dyn Index, batches: Vec<Vec<(u16, Option<u8>)>>) {
        let mut model = BTreeMap::new();
        for batch in batches {
            let mut changes = Changes::new();
            for (key, value) in batch {
                let key = key.to_be_bytes().to_vec();
                match value {
                    Some(v) => model.insert(key.clone(), vec![v; 20]),
                    None => model.remove(&key),
                };
                changes.insert(key, value.map(|v| vec![v; 20]));
            }
            index.apply(&changes).unwrap();
        }
        let mut found = Vec::new();
        loop {
            let after = found.last().map_or(Vec::new(), |(k, _): &Pair| k.clone());
            let page = index.scan(b"", &after, 7).unwrap();
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        assert_eq!(found, model.into_iter().collect::<Vec<_>>());
    }

    fn batches() -> impl Strategy<Value = Vec<Vec<(u16, Option<u8>)>>> {
        let key = 0..600u16;
        prop::collection::vec(prop::collection::vec((key, prop::option::weighted(0.7, any::<u8>())), 1..200), 1..8)
    }

    #[test]
    fn memory_behaves() {
        behaves(&MemoryIndex::default());
    }

    #[test]
    fn sled_behaves() {
        let dir = tempfile::tempdir().unwrap();
        behaves(&SledIndex::open(dir.path()).unwrap());
    }

    #[test]
    fn sled_remembers_what_was_flushed() {
        let dir = tempfile::tempdir().unwrap();
        let index = SledIndex::open(dir.path()).unwrap();
        index.apply(&Changes::from([(b"k".to_vec(), Some(b"v".to_vec()))])).unwrap();
        drop(index);
        assert_eq!(SledIndex::open(dir.path()).unwrap().get(b"k").unwrap(), Some(b"v".to_vec()));
    }

    proptest! {
        #[test]
        fn memory_agrees_with_a_map(batches in batches()) {
            agrees_with_a_map(&MemoryIndex::default(), batches);
        }
    }

    proptest! {
        // Each case opens a database, which runs `sync`.
        #![proptest_config(ProptestConfig::with_cases(4))]
        #[test]
        fn sled_agrees_with_a_map(batches in batches()) {
            let dir = tempfile::tempdir().unwrap();
            agrees_with_a_map(&SledIndex::open(dir.path()).unwrap(), batches);
        }
    }
}
