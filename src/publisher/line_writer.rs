//! A delta, or what a version removes or replaces, written as a stream while the list is, so that memory does not depend on how much
//! changes.

use std::io::Write as _;

use sha2::{Digest as _, Sha256};

use crate::list::Digest;
use crate::store::{ArtefactKind, Artefacts, DeltaRecord};
use crate::wire::DeltaHeader;

use super::PublishError;
use super::lines::Lines;
use super::pack::Packer;

/// Writes lines as an artefact, as a stream.
pub(super) struct LineWriter<'a> {
    packer: Packer<'a>,
    hasher: Sha256,
    buffer: Vec<u8>,
    size: u64,
}

impl<'a> LineWriter<'a> {
    /// Begins the delta of this header with so many changes.
    pub(super) fn of_delta(artefacts: &'a Artefacts, header: &DeltaHeader, changes: u64) -> LineWriter<'a> {
        let mut writer = LineWriter::new(Packer::new(artefacts, ArtefactKind::Delta, 3));
        writer.buffer.extend_from_slice(header.to_text(changes).as_bytes());
        writer
    }

    /// Begins change lines.
    pub(super) fn of_changes(artefacts: &'a Artefacts) -> LineWriter<'a> {
        LineWriter::new(Packer::new(artefacts, ArtefactKind::Changes, 1))
    }

    fn new(packer: Packer<'a>) -> LineWriter<'a> {
        LineWriter { packer, hasher: Sha256::new(), buffer: Vec::with_capacity(64 << 10), size: 0 }
    }

    /// Adds a line, with a sign that it does not have yet.
    pub(super) fn push(&mut self, sign: &str, line: &str) -> std::io::Result<()> {
        self.buffer.extend_from_slice(sign.as_bytes());
        self.buffer.extend_from_slice(line.as_bytes());
        self.buffer.push(b'\n');
        if self.buffer.len() >= 60 << 10 { self.drain() } else { Ok(()) }
    }

    fn drain(&mut self) -> std::io::Result<()> {
        self.hasher.update(&self.buffer);
        self.size += self.buffer.len() as u64;
        self.packer.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Stores it.
    pub(super) fn finish(mut self) -> Result<DeltaRecord, PublishError> {
        self.drain()?;
        let digest = Digest(self.hasher.finalize().into());
        let zst = self.packer.finish(&digest)?;
        Ok(DeltaRecord { digest, size: self.size, zst })
    }
}

/// Shows each line that passes to somebody else.
pub(super) struct Tap<L, F> {
    pub(super) lines: L,
    pub(super) seen: F,
}

impl<L: Lines, F: FnMut(&str) -> std::io::Result<()>> Lines for Tap<L, F> {
    fn next_line(&mut self) -> std::io::Result<Option<&str>> {
        let line = self.lines.next_line()?;
        if let Some(line) = line {
            (self.seen)(line)?;
        }
        Ok(line)
    }
}
