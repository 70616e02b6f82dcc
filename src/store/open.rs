//! Opening a data folder: what a crash left is mended here, by the code of normal running, and said.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, RwLock, atomic::AtomicU64},
};

use tokio::sync::watch;

use crate::list::Digest;

use super::{
    ArtefactName, Artefacts, Disk, FolderLock, Frame, IndexKind, Journal, JournalOptions, JournalRecovery, Owner, Record, Store,
    StoreError, StoreOptions, Torn,
    commit::Writer,
    disk::{at, create_folder},
    frame::FRAME_HEADER,
    index::{Index, MemoryIndex, SledIndex},
    state::{self, Mark, Overlay},
};

/// Kind of the publisher's journal.
pub(super) const KIND: [u8; 4] = *b"PUBL";

/// In a folder that a restore has not finished.
pub(super) const UNFINISHED_RESTORE: &str = "restore-unfinished";

/// Frames applied to the index in one batch while replaying.
const BATCH: usize = 1_000;

/// How far a long start has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Octets done.
    pub done: u64,
    /// Octets in all.
    pub total: u64,
}

/// What is being done at a start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The journal is read and checked, and what the index has not seen is applied.
    Reading,
    /// The index is made anew.
    Rebuilding,
}

/// What became of the index at a start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IndexRecovery {
    /// It was as the journal says.
    Current,
    /// It was behind by this many frames, which were applied.
    Replayed(u64),
    /// It was made anew from the journal.
    Rebuilt {
        /// Why.
        reason: String,
        /// Where the old one is, if there was one.
        aside: Option<PathBuf>,
    },
}

/// What a start found and mended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovery {
    /// A torn last write to the journal, cut off. It had not been acknowledged.
    pub torn: Option<Torn>,
    /// The index.
    pub index: IndexRecovery,
    /// Artefacts that no record names, removed.
    pub swept: u64,
    /// Segments of the journal moved to the archive that a crash had left behind a checkpoint.
    pub archived: u64,
    /// Artefacts that records name and that are not there, each with a list that needs it.
    pub missing: Vec<(ArtefactName, Owner)>,
}

impl Store {
    /// Opens or creates a data folder, mends what a crash left, and says what that was.
    ///
    /// # Errors
    /// [`StoreError::Locked`]; [`StoreError::Damaged`], [`StoreError::NotAJournal`], [`StoreError::BadFrame`]: the journal cannot be
    /// trusted, nothing was changed; [`StoreError::Io`].
    pub fn open(
        dir: &Path,
        options: StoreOptions,
        disk: Arc<dyn Disk>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Store, Recovery), StoreError> {
        if dir.join(UNFINISHED_RESTORE).exists() {
            return Err(StoreError::Unfinished { folder: dir.display().to_string() });
        }
        Store::open_restored(dir, options, disk, progress)
    }

    /// As [`Store::open`], also where a restore is under way.
    pub(super) fn open_restored(
        dir: &Path,
        options: StoreOptions,
        disk: Arc<dyn Disk>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Store, Recovery), StoreError> {
        create_folder(&*disk, dir)?;
        let lock = FolderLock::take(dir)?;
        let artefacts = Artefacts::open(&dir.join("artefacts"), disk.clone())?;
        let (index, became, journal, found) = read_journal(dir, options, &disk, progress)?;
        let named = state::named(&*index)?;
        let swept = artefacts.sweep(&named.iter().map(|(name, _)| *name).collect::<HashSet<_>>())?;
        let owners: HashMap<ArtefactName, Owner> = named.into_iter().collect();
        let missing = swept.missing.iter().filter_map(|name| Some((*name, owners.get(name)?.clone()))).collect();
        let recovery = Recovery { torn: found.torn, index: became, swept: swept.removed, archived: found.archived, missing };
        let store = Store {
            dir: dir.into(),
            disk,
            options,
            artefacts,
            last_frame: AtomicU64::new(journal.last_frame()),
            writer: Mutex::new(Writer { journal, since_flush: 0 }),
            maintenance: Mutex::new(()),
            index: RwLock::new(index),
            degraded: Mutex::new(None),
            failure: watch::Sender::new(None),
            _lock: lock,
        };
        Ok((store, recovery))
    }
}

/// Opens index and journal and brings the one to where the other is.
fn read_journal(
    dir: &Path,
    options: StoreOptions,
    disk: &Arc<dyn Disk>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Arc<dyn Index>, IndexRecovery, Journal, JournalRecovery), StoreError> {
    let (index, mark, mut damage) = open_index(dir, options.index);
    let known = Some(mark.frame).filter(|frame| *frame > 0);
    let journal_options = JournalOptions { kind: KIND, segment_size: options.segment_size, known };
    let journal_dir = dir.join("journal");
    let total = journal_octets(&journal_dir);
    let mut reader = Reader::new(Stage::Reading, total, progress);
    // Without an index nothing is applied in the first pass: the journal is only checked.
    let mut replay = index.as_deref().map(Replay::onto).transpose()?;
    let (journal, found) = Journal::open(&journal_dir, disk.clone(), journal_options, &mut |frame| {
        reader.saw(&frame);
        // An index that fails, or is not of this journal, is made anew once the journal is known to be whole.
        match replay.as_mut().map(|r| r.frame(frame)) {
            Some(Err(StoreError::Index { reason })) => {
                damage = Some(reason);
                replay = None;
                Ok(())
            }
            Some(other) => other,
            None => Ok(()),
        }
    })?;
    let replayed = match replay.map(Replay::finish) {
        Some(Ok(replayed)) if mark_matches(index.as_deref(), &journal)? => Some(replayed),
        Some(Err(StoreError::Index { reason })) => {
            damage = Some(reason);
            None
        }
        Some(Err(other)) => return Err(other),
        Some(Ok(_)) => {
            damage = Some("it is of another journal".into());
            None
        }
        None => None,
    };
    let (index, became) = match (index, replayed) {
        (Some(index), Some(0)) => (index, IndexRecovery::Current),
        (Some(index), Some(n)) if mark.frame > 0 || n == 0 => (index, IndexRecovery::Replayed(n)),
        (Some(index), Some(_)) => (index, IndexRecovery::Rebuilt { reason: "there was none".into(), aside: None }),
        (index, _) => {
            drop(index);
            rebuild(dir, options.index, &journal, damage.unwrap_or_default(), total, progress)?
        }
    };
    Ok((index, became, journal, found))
}

/// The index as it lies there and how far it has come; none, and why, if it cannot be used.
fn open_index(dir: &Path, kind: IndexKind) -> (Option<Arc<dyn Index>>, Mark, Option<String>) {
    if kind == IndexKind::Memory {
        return (Some(Arc::new(MemoryIndex::default())), Mark::default(), None);
    }
    let opened = SledIndex::open(&dir.join("index")).and_then(|index| {
        // Every pair is read here, so that damage shows now and not in the middle of a publication.
        if state::fingerprint_holds(&index)? {
            Ok((state::mark(&index)?, index))
        } else {
            Err(StoreError::Index { reason: "something in it is missing or changed".into() })
        }
    });
    match opened {
        Ok((mark, index)) => (Some(Arc::new(index)), mark, None),
        Err(error) => (None, Mark::default(), Some(error.to_string())),
    }
}

fn mark_matches(index: Option<&dyn Index>, journal: &Journal) -> Result<bool, StoreError> {
    let Some(index) = index else { return Ok(false) };
    let mark = state::mark(index)?;
    Ok(mark.frame == journal.last_frame() && mark.hash == journal.last_hash().0)
}

/// Puts the old index aside and makes a new one from the journal.
fn rebuild(
    dir: &Path,
    kind: IndexKind,
    journal: &Journal,
    reason: String,
    total: u64,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Arc<dyn Index>, IndexRecovery), StoreError> {
    let folder = dir.join("index");
    let aside = put_aside(dir, &folder)?;
    let index: Arc<dyn Index> = match kind {
        IndexKind::Memory => Arc::new(MemoryIndex::default()),
        IndexKind::Sled => Arc::new(SledIndex::open(&folder)?),
    };
    let mut reader = Reader::new(Stage::Rebuilding, total, progress);
    let mut replay = Replay::onto(&*index)?;
    journal.read(&mut |frame| {
        reader.saw(&frame);
        replay.frame(frame)
    })?;
    replay.finish()?;
    index.flush()?;
    Ok((index, IndexRecovery::Rebuilt { reason, aside }))
}

/// Gives a damaged index another name, for whoever wants to look at it. The newest three are kept.
fn put_aside(dir: &Path, folder: &Path) -> Result<Option<PathBuf>, StoreError> {
    if !folder.exists() {
        return Ok(None);
    }
    let place = |n: u64| dir.join(format!("index.damaged-{n}"));
    let mut there: Vec<u64> = fs::read_dir(dir)
        .map_err(at("read folder", dir))?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("index.damaged-")?.parse().ok())
        .collect();
    there.sort_unstable();
    let newest = there.last().map_or(1, |n| n + 1);
    fs::rename(folder, place(newest)).map_err(at("put aside", folder))?;
    for n in there.iter().rev().skip(2) {
        fs::remove_dir_all(place(*n)).map_err(at("remove", &place(*n)))?;
    }
    Ok(Some(place(newest)))
}

/// Octets of the journal's segments: for progress only.
fn journal_octets(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .filter(|e| e.path().extension().is_some_and(|e| e == super::segment::ENDING))
        .map(|e| e.metadata().map_or(0, |m| m.len()))
        .sum()
}

/// Applies frames to an index: those it has not seen.
pub(super) struct Replay<'a> {
    index: &'a dyn Index,
    overlay: Overlay<'a>,
    mark: Mark,
    in_batch: usize,
    applied: u64,
}

impl<'a> Replay<'a> {
    /// From where the index stands.
    pub fn onto(index: &'a dyn Index) -> Result<Self, StoreError> {
        Ok(Replay { index, overlay: Overlay::on(index), mark: state::mark(index)?, in_batch: 0, applied: 0 })
    }

    /// Takes the next frame.
    ///
    /// # Errors
    /// [`StoreError::Index`] if the index fails or is not of this journal; [`StoreError::BadFrame`] if the frame is wrong.
    pub fn frame(&mut self, frame: Frame<'_>) -> Result<(), StoreError> {
        let foreign = || StoreError::Index { reason: "it ends before this journal begins, or is of another one".into() };
        if frame.id <= self.mark.frame {
            let same = frame.id < self.mark.frame || frame.hash.0 == self.mark.hash;
            return if same { Ok(()) } else { Err(foreign()) };
        }
        // The journal may begin later, with a checkpoint; an index that ends before that has missed nothing only if it ends right there
        // or knows nothing yet.
        let follows = self.mark.frame + 1 == frame.id && self.mark.hash == frame.before.0;
        let begins = self.mark.frame == 0 && frame.checkpoint;
        if !(follows || begins) {
            return Err(foreign());
        }
        let bad = |reason: String| StoreError::BadFrame { frame: frame.id, reason };
        let record = Record::decode(frame.content).map_err(bad)?;
        if record.restates() && !frame.state {
            return Err(bad("it restates the state outside a checkpoint".into()));
        }
        match self.overlay.apply(&record) {
            Err(StoreError::Refused { reason }) => return Err(bad(reason)),
            other => other?,
        }
        self.mark.frame = frame.id;
        self.mark.hash = frame.hash.0;
        self.applied += 1;
        self.in_batch += 1;
        if self.in_batch >= BATCH {
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), StoreError> {
        if self.in_batch > 0 {
            let overlay = std::mem::replace(&mut self.overlay, Overlay::on(self.index));
            self.index.apply(&overlay.finish(self.mark.frame, Digest(self.mark.hash))?)?;
            self.in_batch = 0;
        }
        Ok(())
    }

    /// Applies the last ones and says how many there were in all.
    pub fn finish(mut self) -> Result<u64, StoreError> {
        self.write()?;
        Ok(self.applied)
    }
}

/// Tells of progress every few megabytes.
struct Reader<'a> {
    stage: Stage,
    done: u64,
    told: u64,
    total: u64,
    tell: &'a mut dyn FnMut(Progress),
}

impl<'a> Reader<'a> {
    const STEP: u64 = 4 << 20;

    fn new(stage: Stage, total: u64, tell: &'a mut dyn FnMut(Progress)) -> Self {
        Reader { stage, done: 0, told: 0, total, tell }
    }

    fn saw(&mut self, frame: &Frame<'_>) {
        self.done += (FRAME_HEADER + frame.content.len()) as u64;
        if self.done - self.told >= Self::STEP {
            self.told = self.done;
            (self.tell)(Progress { stage: self.stage, done: self.done, total: self.total.max(self.done) });
        }
    }
}
