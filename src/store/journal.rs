//! The journal: an append-only, fsynced, hash-chained sequence of frames in segments. The truth.
//! Generic over what a frame holds, so that the follower's per-list log is the same code.
//!
//! ```text
//! 00000001.seg  00000002.seg  00000003.seg      archive/00000000.seg ...
//! ```
//!
//! Guarantees: when [`Journal::append`] returns a number, that frame is durable and will be read by every later
//! [`Journal::open`]; after an error of known outcome the journal is as before; after one of unknown outcome it takes nothing
//! more until it is opened again. A torn tail (the last write only) is cut off and reported. Damage anywhere else is an
//! error that names the place; nothing is guessed and nothing is dropped: what a checkpoint makes superfluous moves to `archive/`.
//! It does not keep two processes apart (that is `lock.rs`).

use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::list::Digest;

use super::{
    Disk, StoreError,
    disk::{at, create_folder, sweep_temporary},
    frame::{GENESIS, MAX_FRAME, SEGMENT_HEADER, SegmentHeader, encode_frame},
    segment::{Frame, Torn, damaged, read_header, segment_path, segments_in},
    segments::{archive_before_checkpoint, archive_of, create_segment, scan_all},
};

/// Place of a frame: its number from 1, which never repeats.
pub type FrameId = u64;

/// How a journal is kept.
#[derive(Clone, Copy, Debug)]
pub struct JournalOptions {
    /// What its frames say, four octets; a journal of another kind is refused.
    pub kind: [u8; 4],
    /// A segment that has reached this many octets is not appended to any more.
    pub segment_size: u64,
    /// A frame that is known to have been durable; if it is no longer there, that is damage and no torn tail.
    pub known: Option<FrameId>,
}

impl JournalOptions {
    /// Segments of 64 MiB.
    pub const fn new(kind: [u8; 4]) -> Self {
        JournalOptions { kind, segment_size: 64 << 20, known: None }
    }
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    options: JournalOptions,
    file: File,
    segment: u64,
    size: u64,
    next: FrameId,
    last: Digest,
    frames_in_segment: u64,
    poisoned: Option<String>,
}

/// What opening a journal found.
#[derive(Debug, Default)]
pub struct JournalRecovery {
    /// A torn tail that was cut off.
    pub torn: Option<Torn>,
    /// Unfinished files that were removed.
    pub unfinished: u64,
    /// Segments behind a checkpoint that were moved to the archive.
    pub archived: u64,
}

impl Journal {
    /// Opens or creates the journal in `dir` and gives every frame, oldest first, to `visit`. What `visit` has seen is durable.
    ///
    /// An error of `visit` is passed on; the journal is then as it was but for a torn tail.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::NotAJournal`], [`StoreError::Io`], and those of `visit`.
    pub fn open(
        dir: &Path,
        disk: Arc<dyn Disk>,
        options: JournalOptions,
        visit: &mut dyn FnMut(Frame<'_>) -> Result<(), StoreError>,
    ) -> Result<(Journal, JournalRecovery), StoreError> {
        create_folder(&*disk, dir)?;
        let mut recovery = JournalRecovery { unfinished: sweep_temporary(&*disk, dir)?, ..JournalRecovery::default() };
        recovery.archived = archive_before_checkpoint(dir, &*disk)?;
        let numbers = segments_in(dir)?;
        let Some((&last_number, _)) = numbers.split_last() else {
            if archive_of(dir).is_dir() {
                let missing = "all segments are missing, though there is an archive of older ones";
                return Err(damaged(&segment_path(dir, 1), 0, 1, missing.into()));
            }
            if let Some(known) = options.known {
                return Err(damaged(&segment_path(dir, 1), 0, 1, format!("all segments are missing; frame {known} had been written")));
            }
            let header = SegmentHeader { kind: options.kind, segment: 1, first: 1, state_frames: 0, before: GENESIS };
            let file = create_segment(dir, &*disk, &header, &mut |_| Ok(()))?;
            let size = SEGMENT_HEADER as u64;
            let journal = Journal {
                dir: dir.into(),
                disk,
                options,
                file,
                segment: 1,
                size,
                next: 1,
                last: GENESIS,
                frames_in_segment: 0,
                poisoned: None,
            };
            return Ok((journal, recovery));
        };
        // A frame may be in the page cache only, when the process before this one was killed between write and fsync.
        // Nobody may see it before it is durable.
        let path = segment_path(dir, last_number);
        let file = OpenOptions::new().append(true).read(true).open(&path).map_err(at("open", &path))?;
        disk.sync(&file).map_err(at("fsync", &path))?;
        disk.sync_dir(dir).map_err(at("fsync folder", dir))?;
        let scanned = scan_all(dir, options.kind, &numbers, visit)?;
        if let Some(known) = options.known
            && known >= scanned.next
        {
            let reason = format!("frame {known} had been written and is no longer there");
            return Err(damaged(&path, scanned.whole, scanned.next, reason));
        }
        if let Some(torn) = scanned.torn {
            // A crash here leaves the torn tail, and the next start comes here again.
            disk.truncate(&file, scanned.whole).map_err(at("cut off the torn tail of", &path))?;
            disk.sync(&file).map_err(at("fsync", &path))?;
            recovery.torn = Some(torn);
        }
        let journal = Journal {
            dir: dir.into(),
            disk,
            options,
            file,
            segment: last_number,
            size: scanned.whole,
            next: scanned.next,
            last: scanned.last,
            frames_in_segment: scanned.next - scanned.header.first,
            poisoned: None,
        };
        Ok((journal, recovery))
    }

    /// Appends a frame and returns when it is durable: this is the commit point of everything.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] and [`StoreError::NotCommitted`]: the journal is as before. [`StoreError::Poisoned`]: the outcome is
    /// unknown; this and every later append fails until the journal is opened again, which finds the frame whole or not at all.
    pub fn append(&mut self, content: &[u8]) -> Result<FrameId, StoreError> {
        self.usable()?;
        if content.is_empty() || content.len() > MAX_FRAME {
            return Err(StoreError::TooLarge { what: "a frame of the journal".into(), limit: MAX_FRAME as u64 });
        }
        if self.size >= self.options.segment_size && self.frames_in_segment > 0 {
            self.rotate()?;
        }
        let (bytes, hash) = encode_frame(&self.last, content);
        // A crash during this write leaves a torn tail, which the next open cuts off.
        if let Err(source) = self.disk.append(&self.file, &bytes) {
            return Err(self.take_back(source));
        }
        // A crash here leaves the frame in the page cache or not at all; the next open fsyncs before it reads.
        if let Err(source) = self.disk.sync(&self.file) {
            return Err(self.poison(format!("fsync: {source}")));
        }
        // From here on it is durable, whatever happens.
        let id = self.next;
        self.next += 1;
        self.last = hash;
        self.size += bytes.len() as u64;
        self.frames_in_segment += 1;
        Ok(id)
    }

    /// Writes a checkpoint: a segment that begins with the whole state, so that older segments are no longer needed, and moves
    /// those to `archive/`. Frame numbers and the chain go on. Returns how many segments were moved.
    ///
    /// `state` yields exactly `frames` frames (at least one).
    ///
    /// # Errors
    /// As [`Journal::append`], and what `state` yields. After [`StoreError::Poisoned`] the checkpoint is there whole or not at all.
    pub fn checkpoint(&mut self, frames: u64, state: &mut dyn Iterator<Item = Result<Vec<u8>, StoreError>>) -> Result<u64, StoreError> {
        self.usable()?;
        let header =
            SegmentHeader { kind: self.options.kind, segment: self.segment + 1, first: self.next, state_frames: frames, before: self.last };
        let mut last = self.last;
        let mut size = SEGMENT_HEADER as u64;
        let mut written = 0;
        let disk = self.disk.clone();
        let created = create_segment(&self.dir, &*disk, &header, &mut |file| {
            for content in &mut *state {
                let content = content?;
                if content.is_empty() || content.len() > MAX_FRAME {
                    return Err(StoreError::TooLarge { what: "a frame of the journal".into(), limit: MAX_FRAME as u64 });
                }
                let (bytes, hash) = encode_frame(&last, &content);
                disk.append(file, &bytes).map_err(|source| StoreError::NotCommitted { action: "write", source })?;
                last = hash;
                size += bytes.len() as u64;
                written += 1;
            }
            if written == frames && frames > 0 {
                Ok(())
            } else {
                Err(StoreError::Refused { reason: format!("a checkpoint of {frames} frames yielded {written}") })
            }
        });
        self.file = self.poison_if_unknown(created)?;
        self.segment = header.segment;
        self.next += frames;
        self.last = last;
        self.size = size;
        self.frames_in_segment = frames;
        // A crash here leaves the old segments where they are; the next open moves them by the same code.
        archive_before_checkpoint(&self.dir, &*self.disk)
    }

    /// Number of the last frame; 0 before the first.
    pub fn last_frame(&self) -> FrameId {
        self.next - 1
    }

    /// Hash of the last frame; zeros before the first.
    pub fn last_hash(&self) -> Digest {
        self.last
    }

    /// Octets of the segment that is written to, and frames in it.
    pub fn segment_size(&self) -> (u64, u64) {
        (self.size, self.frames_in_segment)
    }

    /// Reads the whole journal again from its files and gives every frame to `visit`, up to the last one appended here.
    ///
    /// # Errors
    /// As [`Journal::open`]; here an incomplete last frame is damage.
    pub fn read(&self, visit: &mut dyn FnMut(Frame<'_>) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let scanned = scan_all(&self.dir, self.options.kind, &segments_in(&self.dir)?, visit)?;
        if scanned.torn.is_none() && scanned.next == self.next && scanned.last == self.last {
            return Ok(());
        }
        let reason = format!("the journal ends at frame {}, but frame {} was written", scanned.next - 1, self.next - 1);
        Err(damaged(&segment_path(&self.dir, self.segment), scanned.whole, scanned.next, reason))
    }

    /// Octets of the segments behind that of the last checkpoint. (That one's own do not count: a large state would be restated for ever.)
    pub(super) fn since_checkpoint(&self) -> Result<u64, StoreError> {
        let mut octets = 0;
        for (path, size) in self.segments()? {
            octets = if read_header(&path)?.state_frames > 0 { 0 } else { octets + size };
        }
        Ok(octets)
    }

    /// Files of the segments in order, each with its octets; all are complete up to there.
    pub(super) fn segments(&self) -> Result<Vec<(PathBuf, u64)>, StoreError> {
        segments_in(&self.dir)?
            .into_iter()
            .map(|number| {
                let path = segment_path(&self.dir, number);
                let size = if number == self.segment { self.size } else { fs::metadata(&path).map_err(at("look at", &path))?.len() };
                Ok((path, size))
            })
            .collect()
    }

    fn usable(&self) -> Result<(), StoreError> {
        match &self.poisoned {
            Some(reason) => Err(StoreError::Poisoned { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    fn poison(&mut self, reason: String) -> StoreError {
        self.poisoned = Some(reason.clone());
        StoreError::Poisoned { reason }
    }

    /// After a failed write, which may have left some of the frame: cuts it off, so that a full disk is an error and no end.
    fn take_back(&mut self, source: std::io::Error) -> StoreError {
        let back = self.disk.truncate(&self.file, self.size).and_then(|()| self.disk.sync(&self.file));
        match back {
            Ok(()) => StoreError::NotCommitted { action: "write", source },
            Err(second) => self.poison(format!("write: {source}; taking it back: {second}")),
        }
    }

    fn rotate(&mut self) -> Result<(), StoreError> {
        let header =
            SegmentHeader { kind: self.options.kind, segment: self.segment + 1, first: self.next, state_frames: 0, before: self.last };
        let disk = self.disk.clone();
        let created = create_segment(&self.dir, &*disk, &header, &mut |_| Ok(()));
        // A crash here leaves an empty last segment, to which the next open appends.
        self.file = self.poison_if_unknown(created)?;
        self.segment = header.segment;
        self.size = SEGMENT_HEADER as u64;
        self.frames_in_segment = 0;
        Ok(())
    }

    /// A segment that could not be created is as if nothing had been tried, unless it may be there all the same.
    fn poison_if_unknown(&mut self, created: Result<File, StoreError>) -> Result<File, StoreError> {
        match created {
            Err(StoreError::Poisoned { reason }) => Err(self.poison(reason)),
            other => other,
        }
    }
}

/// Reads a journal that nobody writes to, without changing anything; an incomplete last frame is damage. Returns number and hash of the last frame.
pub(super) fn read_only(
    dir: &Path,
    kind: [u8; 4],
    visit: &mut dyn FnMut(Frame<'_>) -> Result<(), StoreError>,
) -> Result<(FrameId, Digest), StoreError> {
    let scanned = scan_all(dir, kind, &segments_in(dir)?, visit)?;
    match scanned.torn {
        None => Ok((scanned.next - 1, scanned.last)),
        Some(torn) => Err(damaged(Path::new(&torn.segment), torn.offset, torn.frame, "its last frame is not whole".into())),
    }
}
