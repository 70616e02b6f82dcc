//! The store: one writer's commits, everybody's reads.
//!
//! # Order of writes
//!
//! Every commit goes the same way. At each arrow stands what a crash there leaves, and which ordinary code mends it:
//!
//! 1. artefacts are written, fsynced, renamed, their folders fsynced
//!    -> *leaves artefacts that no record names*: the sweep of the next start removes them;
//! 2. one frame is appended to the journal and fsynced: **the commit point**
//!    -> *before the fsync it leaves the frame whole, torn or absent*: the next [`Journal::open`] fsyncs what it finds and cuts off
//!    a torn tail; the caller was told nothing, so either is right;
//!    -> *after it leaves an index that is behind*: the next start replays the frames it has not seen, by the code of step 3;
//! 3. the record is applied to the index, one batch
//!    -> *leaves an index that has it in memory only*: the same replay;
//! 4. the caller puts the version into the catalog and announces it
//!    -> *leaves subscribers who have not heard of it*: they ask again when they reconnect, and find it.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

use crate::list::{ListId, Serial};

use super::{
    ArtefactName, Artefacts, Disk, FolderLock, FrameId, Journal, ListState, Record, StoreError, SweepReport, VersionRecord,
    index::{Index, MemoryIndex},
    open::Replay,
    state::{self, Overlay},
};

/// Which index to use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum IndexKind {
    /// sled, in the folder `index`.
    #[default]
    Sled,
    /// In memory, rebuilt from the journal at every start: for tests.
    Memory,
}

/// How a store is kept.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// The index.
    pub index: IndexKind,
    /// A segment of the journal that has reached this many octets is not appended to any more.
    pub segment_size: u64,
    /// When the journal has grown by this many octets since the last checkpoint, [`Store::maintain`] makes another.
    pub checkpoint_after: u64,
    /// The index is flushed every so many commits: how many frames a start has to replay at most.
    pub flush_every: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions { index: IndexKind::Sled, segment_size: 64 << 20, checkpoint_after: 256 << 20, flush_every: 512 }
    }
}

/// What [`Store::maintain`] did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Maintenance {
    /// Artefacts.
    pub swept: SweepReport,
    /// Segments of the journal moved to the archive after a checkpoint.
    pub archived: u64,
}

/// What only the writer touches.
#[derive(Debug)]
pub(super) struct Writer {
    pub journal: Journal,
    pub since_flush: u64,
}

/// An open data folder.
#[derive(Debug)]
pub struct Store {
    pub(super) dir: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) options: StoreOptions,
    pub(super) artefacts: Artefacts,
    pub(super) writer: Mutex<Writer>,
    /// Number of the writer's last frame.
    pub(super) last_frame: AtomicU64,
    /// Swept, backed up and archived one after the other.
    pub(super) maintenance: Mutex<()>,
    pub(super) index: RwLock<Arc<dyn Index>>,
    pub(super) degraded: Mutex<Option<String>>,
    pub(super) failure: watch::Sender<Option<String>>,
    pub(super) _lock: FolderLock,
}

impl Store {
    /// The data folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The disk that everything here is written with.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// The artefacts.
    pub fn artefacts(&self) -> &Artefacts {
        &self.artefacts
    }

    /// Commits a record: when this returns a number, it is durable and reads see it.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if it does not fit the state or names an artefact that is not there, [`StoreError::TooLarge`],
    /// [`StoreError::NotCommitted`]: everything is as it was. [`StoreError::Poisoned`]: the outcome is unknown; every later commit fails
    /// until a restart, which finds the record whole or not at all.
    pub fn commit(&self, record: &Record) -> Result<FrameId, StoreError> {
        self.noted(self.commit_record(record))
    }

    fn commit_record(&self, record: &Record) -> Result<FrameId, StoreError> {
        if record.restates() {
            return Err(StoreError::Refused { reason: "only a checkpoint may restate the state".into() });
        }
        let names = record.artefacts();
        if let Some((kind, digest)) = names.iter().find(|(kind, digest)| !self.artefacts.contains(*kind, digest)) {
            return Err(StoreError::Refused { reason: format!("the {} {digest} is not there", kind.ending()) });
        }
        let mut writer = self.writer();
        let index = self.index_now();
        let mut overlay = Overlay::on(&*index);
        let fits = overlay.apply(record);
        if let Err(StoreError::Index { reason }) = fits {
            // Nothing has been written; the next call finds an index that works.
            self.heal(&writer, &index, &reason)?;
            drop(writer);
            return self.commit_record(record);
        }
        fits?;
        // What a crash leaves at each of the following steps stands at the head of this file.
        let frame = writer.journal.append(&record.encode())?;
        self.last_frame.store(frame, Ordering::Release);
        self.artefacts.named(&names);
        let hash = writer.journal.last_hash();
        writer.since_flush += 1;
        let mut applied = overlay.finish(frame, hash).and_then(|changes| index.apply(&changes));
        if applied.is_ok() && writer.since_flush >= self.options.flush_every {
            writer.since_flush = 0;
            applied = index.flush();
        }
        if let Err(error) = applied {
            // The frame is durable, whatever the index is: failing to replace it must not look like a refusal.
            self.heal(&writer, &index, &error.to_string()).map_err(|e| StoreError::Index { reason: e.to_string() })?;
        }
        Ok(frame)
    }

    /// All lists by name, removed ones included.
    ///
    /// # Errors
    /// [`StoreError::Index`] if not even an index in memory can be made.
    pub fn lists(&self) -> Result<Vec<ListState>, StoreError> {
        self.read(state::lists)
    }

    /// A list, also a removed one.
    ///
    /// # Errors
    /// As [`Store::lists`].
    pub fn list(&self, id: &ListId) -> Result<Option<ListState>, StoreError> {
        self.read(|index| state::list(index, id))
    }

    /// At most `limit` versions of a list, newest first; with `before` only those of a lower serial.
    ///
    /// # Errors
    /// As [`Store::lists`].
    pub fn versions(&self, id: &ListId, before: Option<Serial>, limit: usize) -> Result<Vec<VersionRecord>, StoreError> {
        self.read(|index| state::versions(index, id, before, limit))
    }

    /// All key sets, number and note, ascending.
    ///
    /// # Errors
    /// As [`Store::lists`].
    pub fn keysets(&self) -> Result<Vec<(u64, String)>, StoreError> {
        self.read(state::keysets)
    }

    /// Number of the last frame of the journal. Waits for nobody: anybody may ask a daemon for it.
    pub fn last_frame(&self) -> FrameId {
        self.last_frame.load(Ordering::Acquire)
    }

    /// Why the index is in memory only until the next start, if it is.
    pub fn degraded(&self) -> Option<String> {
        self.degraded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What only a restart mends, once it has happened: commits fail from then on. Whoever watches it hears at once.
    pub fn failure(&self) -> watch::Receiver<Option<String>> {
        self.failure.subscribe()
    }

    /// Tells whoever watches when this was the end of committing; the first reason stays.
    fn noted<T>(&self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error @ (StoreError::Poisoned { .. } | StoreError::Index { .. })) = &done {
            self.failure.send_if_modified(|failure| failure.is_none().then(|| *failure = Some(error.to_string())).is_some());
        }
        done
    }

    /// Removes artefacts that nothing names any more, and makes a checkpoint when the journal has grown enough. May take a while;
    /// commits wait only while the checkpoint is written.
    ///
    /// # Errors
    /// [`StoreError::Io`] and those of [`Journal::checkpoint`].
    pub fn maintain(&self) -> Result<Maintenance, StoreError> {
        self.seal_acts()?;
        let swept = self.sweep()?;
        let _alone = self.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        let mut writer = self.writer();
        let archived =
            if writer.journal.since_checkpoint()? >= self.options.checkpoint_after { self.checkpoint_now(&mut writer)? } else { 0 };
        Ok(Maintenance { swept, archived })
    }

    /// Makes a checkpoint now and returns how many segments went to the archive.
    ///
    /// # Errors
    /// Those of [`Journal::checkpoint`].
    pub fn checkpoint(&self) -> Result<u64, StoreError> {
        let _alone = self.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        let mut writer = self.writer();
        self.checkpoint_now(&mut writer)
    }

    fn checkpoint_now(&self, writer: &mut Writer) -> Result<u64, StoreError> {
        self.noted(self.write_checkpoint(writer))
    }

    fn write_checkpoint(&self, writer: &mut Writer) -> Result<u64, StoreError> {
        let frames = self.read_held(writer, state::checkpoint_len)?;
        let index = self.index_now();
        if frames == 0 {
            return Ok(0);
        }
        let archived = writer.journal.checkpoint(frames, &mut state::checkpoint(&*index));
        // Also when moving old segments failed: the frames are there.
        self.last_frame.store(writer.journal.last_frame(), Ordering::Release);
        let changes = Overlay::on(&*index).finish(writer.journal.last_frame(), writer.journal.last_hash());
        if let Err(error) = changes.and_then(|changes| index.apply(&changes)).and_then(|()| index.flush()) {
            self.heal(writer, &index, &error.to_string())?;
        }
        archived
    }

    /// Removes artefacts that nothing names any more.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn sweep(&self) -> Result<SweepReport, StoreError> {
        let _alone = self.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        // Held, so that no record names an artefact between the reading of the names and the removal.
        let writer = self.writer();
        let names: HashSet<ArtefactName> = self.read_held(&writer, state::named)?.into_iter().map(|(name, _)| name).collect();
        self.artefacts.sweep(&names)
    }

    pub(super) fn writer(&self) -> MutexGuard<'_, Writer> {
        // A panic while it was held leaves the journal at worst with a frame that the index has not seen; the fingerprint and the
        // frame numbers notice.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn index_now(&self) -> Arc<dyn Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads from the index; one that fails is replaced, once.
    pub(super) fn read<T>(&self, f: impl Fn(&dyn Index) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match f(&*self.index_now()) {
            Err(StoreError::Index { .. }) => self.read_held(&self.writer(), f),
            other => other,
        }
    }

    /// As [`Store::read`], for those who hold the writer.
    pub(super) fn read_held<T>(&self, writer: &Writer, f: impl Fn(&dyn Index) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let index = self.index_now();
        match f(&*index) {
            Err(StoreError::Index { reason }) => {
                self.heal(writer, &index, &reason)?;
                f(&*self.index_now())
            }
            other => other,
        }
    }

    /// Replaces an index that has failed by one in memory, from the journal. The next start puts the failed one aside or replays it.
    fn heal(&self, writer: &Writer, failed: &Arc<dyn Index>, reason: &str) -> Result<(), StoreError> {
        if !Arc::ptr_eq(failed, &self.index_now()) {
            return Ok(()); // another thread was here before
        }
        let fresh = MemoryIndex::default();
        let mut replay = Replay::onto(&fresh)?;
        writer.journal.read(&mut |frame| replay.frame(frame))?;
        replay.finish()?;
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        *self.degraded.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.into());
        Ok(())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Only spares the next start a replay; the journal has everything.
        let _ = self.index_now().flush();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;
    use crate::list::Timestamp;
    use crate::store::{faults::HastyDisk, index::Changes, index::Pair};

    /// An index that works for a while.
    #[derive(Debug)]
    struct Failing(Arc<dyn Index>, AtomicU32);

    impl Failing {
        fn turn(&self) -> Result<(), StoreError> {
            let left = self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
            left.map(|_| ()).map_err(|_| StoreError::Index { reason: "the test's index fails here".into() })
        }
    }

    impl Index for Failing {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.turn().and_then(|()| self.0.get(key))
        }
        fn scan(&self, prefix: &[u8], after: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError> {
            self.turn().and_then(|()| self.0.scan(prefix, after, limit))
        }
        fn apply(&self, changes: &Changes) -> Result<(), StoreError> {
            self.turn().and_then(|()| self.0.apply(changes))
        }
        fn flush(&self) -> Result<(), StoreError> {
            self.turn()
        }
    }

    #[test]
    fn an_index_that_fails_in_the_middle_is_replaced_and_nothing_is_lost() {
        for works_for in 0..40 {
            let dir = tempfile::tempdir().unwrap();
            let options = StoreOptions { index: IndexKind::Memory, flush_every: 3, ..StoreOptions::default() };
            let (store, _) = Store::open(dir.path(), options, Arc::new(HastyDisk), &mut |_| {}).unwrap();
            let keyset = |number| Record::KeySet { number, note: format!("note {number}"), at: Timestamp::from_unix(0) };
            store.commit(&keyset(1)).unwrap();
            let works = store.index_now();
            *store.index.write().unwrap() = Arc::new(Failing(works, AtomicU32::new(works_for)));
            for number in 2..=6 {
                assert_eq!(store.commit(&keyset(number)).unwrap(), number);
                assert_eq!(store.keysets().unwrap().len() as u64, number);
            }
            assert!(store.commit(&Record::KeySet { number: 1, note: "another".into(), at: Timestamp::from_unix(0) }).is_err());
            let report = store.check().unwrap();
            assert_eq!(report.problems.len(), usize::from(store.degraded().is_some()), "{:?}", report.problems);
            if works_for < 20 {
                assert!(store.degraded().is_some());
            }
        }
    }
}
