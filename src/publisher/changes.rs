//! Staged changes: an artefact of change lines against the newest version, in order of the rule; a small set also in memory.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Write as _};

use sha2::{Digest as _, Sha256};

use crate::list::{Digest, MAX_LINE, rule_of};
use crate::store::{ArtefactKind, Artefacts};
use crate::wire::{ZstdReader, ZstdWriter, compress};

use super::PublishError;
use super::chunks::LineReceiver;
use super::guards::Tally;
use super::lines::{Lines, SmallChanges};

/// More changes than these are not held in memory.
const SMALL: u64 = 20_000;
/// More octets of changes than these are not held in memory.
const SMALL_OCTETS: u64 = 4 << 20;
/// Staged changes are read again soon and never travel, so speed counts.
const LEVEL: i32 = 1;

/// What is staged for a list.
#[derive(Clone, Debug)]
pub(super) struct Staged {
    /// The artefact.
    pub(super) digest: Digest,
    pub(super) tally: Tally,
    /// The changes by rule, if they are few.
    pub(super) small: Option<SmallChanges>,
    /// Whether every change has passed the screen of this process, with the list as it is described now.
    pub(super) screened: bool,
}

impl Staged {
    /// Stores a set that is in memory.
    pub(super) fn put(artefacts: &Artefacts, changes: SmallChanges) -> Result<Staged, PublishError> {
        let mut text = String::new();
        let mut tally = Tally::default();
        for line in changes.values() {
            text.push_str(line);
            text.push('\n');
            tally.count(line.as_bytes()[0]);
        }
        let digest = Digest::of(&text);
        artefacts.put(ArtefactKind::Changes, &digest, &compress(text.as_bytes(), LEVEL))?;
        let mut staged = Staged { digest, tally, small: None, screened: true };
        staged.small = fits_memory(tally.total(), text.len() as u64).then_some(changes);
        Ok(staged)
    }

    /// Reads what a process before this one staged.
    pub(super) fn load(artefacts: &Artefacts, digest: Digest) -> Result<Staged, PublishError> {
        let mut reader = ChangesReader::open(artefacts, digest)?;
        let (mut tally, mut octets) = (Tally::default(), 0);
        let mut small = SmallChanges::new();
        while let Some(line) = reader.next_line()? {
            octets += line.len() as u64 + 1;
            tally.count(line.as_bytes()[0]);
            if fits_memory(tally.total(), octets) {
                small.insert(rule_of(&line[1..]).into(), line.into());
            } else {
                small.clear();
            }
        }
        let small = fits_memory(tally.total(), octets).then_some(small);
        Ok(Staged { digest, tally, small, screened: false })
    }

    /// The change lines.
    pub(super) fn lines<'a>(&'a self, artefacts: &Artefacts) -> Result<Box<dyn Lines + 'a>, PublishError> {
        Ok(match &self.small {
            Some(small) => Box::new(small.values()),
            None => Box::new(ChangesReader::open(artefacts, self.digest)?),
        })
    }
}

fn fits_memory(count: u64, octets: u64) -> bool {
    count <= SMALL && octets <= SMALL_OCTETS
}

/// Writes the change lines that come through `lines` as an artefact; what fits is also kept in memory.
pub(super) fn write(artefacts: &Artefacts, lines: &LineReceiver) -> Result<Staged, PublishError> {
    let mut hasher = Sha256::new();
    let mut zstd = ZstdWriter::new(artefacts.writer(ArtefactKind::Changes)?, LEVEL)?;
    let (mut tally, mut octets) = (Tally::default(), 0);
    let mut small = SmallChanges::new();
    lines.each_chunk(|chunk| {
        hasher.update(chunk);
        zstd.write_all(chunk.as_bytes())?;
        octets += chunk.len() as u64;
        let keep = fits_memory(tally.total() + 1, octets);
        for line in chunk.split_terminator('\n') {
            tally.count(line.as_bytes()[0]);
            if keep {
                small.insert(rule_of(&line[1..]).into(), line.into());
            }
        }
        if !fits_memory(tally.total(), octets) {
            small.clear();
        }
        Ok(())
    })?;
    let digest = Digest(hasher.finalize().into());
    zstd.finish()?.finish(&digest)?;
    let small = fits_memory(tally.total(), octets).then_some(small);
    Ok(Staged { digest, tally, small, screened: true })
}

/// Octets read at once; any two lines fit many times.
const BUFFER: usize = 128 << 10;

/// Reads an artefact of changes; its digest is compared at the end.
pub(super) struct ChangesReader {
    inner: ZstdReader<BufReader<File>>,
    hasher: Sha256,
    digest: Digest,
    buffer: Box<[u8]>,
    /// What has been read and not handed out.
    unread: std::ops::Range<usize>,
}

impl ChangesReader {
    pub(super) fn open(artefacts: &Artefacts, digest: Digest) -> Result<ChangesReader, PublishError> {
        let file = BufReader::with_capacity(64 << 10, artefacts.open_file(ArtefactKind::Changes, &digest)?);
        // A file of one's own, read as a stream: there is no size to bound.
        let inner = ZstdReader::new("staged changes", file, u64::MAX)?;
        let buffer = vec![0; BUFFER].into_boxed_slice();
        Ok(ChangesReader { inner, hasher: Sha256::new(), digest, buffer, unread: 0..0 })
    }

    /// Reads more behind what is unread; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        let read = self.inner.read(&mut self.buffer[self.unread.end..])?;
        self.hasher.update(&self.buffer[self.unread.end..self.unread.end + read]);
        self.unread.end += read;
        Ok(read > 0)
    }
}

impl Lines for ChangesReader {
    fn next_line(&mut self) -> io::Result<Option<&str>> {
        let damaged = |reason: &str| io::Error::new(io::ErrorKind::InvalidData, format!("staged changes: {reason}; stage them again"));
        let end = loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[self.unread.clone()]) {
                break self.unread.start + at;
            }
            if self.unread.len() > MAX_LINE + 1 {
                return Err(damaged("a line is too long"));
            }
            if !self.fill()? {
                let found = Digest(self.hasher.clone().finalize().into());
                let whole = self.unread.is_empty() && found == self.digest;
                return if whole { Ok(None) } else { Err(damaged("the file is damaged")) };
            }
        };
        let line = &self.buffer[self.unread.start..end];
        self.unread.start = end + 1;
        match line.first() {
            Some(b'+' | b'~' | b'-') => std::str::from_utf8(line).map(Some).map_err(|_| damaged("not text")),
            _ => Err(damaged("a line is not a change")),
        }
    }
}
