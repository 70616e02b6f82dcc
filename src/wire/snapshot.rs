//! Snapshots, written and read as streams (docs/PROTOCOL.md section 6).

use std::io::{BufRead, Write};

use crate::list::{Colour, Digest, ListId, Origin, Serial};

use super::WireError;

/// What a snapshot is of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SnapshotHeader {
    /// The publisher.
    pub origin: Origin,
    /// The list.
    pub list: ListId,
    /// Its colour.
    pub colour: Colour,
    /// The version.
    pub serial: Serial,
    /// How many entries follow.
    pub entries: u64,
}

/// Writes a snapshot; refuses entries out of order and a wrong count; tells digest and size at the end.
pub struct SnapshotWriter<W: Write> {
    #[allow(dead_code)]
    inner: W,
}

impl<W: Write> SnapshotWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// Of the writer.
    pub fn new(inner: W, header: &SnapshotHeader) -> Result<Self, WireError> {
        let _ = (inner, header);
        todo!()
    }

    /// Writes an entry line (without LF), which must come after the one before.
    ///
    /// # Errors
    /// Of the writer, or [`WireError::Line`] if out of order.
    pub fn push(&mut self, line: &str) -> Result<(), WireError> {
        let _ = line;
        todo!()
    }

    /// Ends the snapshot: the writer, the digest and the size in octets of the uncompressed bytes.
    ///
    /// # Errors
    /// [`WireError::Line`] if fewer or more entries came than the header says.
    pub fn finish(self) -> Result<(W, Digest, u64), WireError> {
        todo!()
    }
}

/// Reads a snapshot; never holds more than one line.
pub struct SnapshotReader<R: BufRead> {
    #[allow(dead_code)]
    inner: R,
    header: SnapshotHeader,
}

impl<R: BufRead> SnapshotReader<R> {
    /// Reads the header. `limit` bounds the uncompressed octets read in all.
    ///
    /// # Errors
    /// [`WireError`] of the header.
    pub fn new(inner: R, limit: u64) -> Result<Self, WireError> {
        let _ = (inner, limit);
        todo!()
    }

    /// The header.
    pub fn header(&self) -> &SnapshotHeader {
        &self.header
    }

    /// The next entry line, without LF, form and order checked; `None` after the last, when count and end have been checked.
    ///
    /// # Errors
    /// [`WireError::Line`] names the line.
    pub fn next_line(&mut self) -> Result<Option<&str>, WireError> {
        todo!()
    }

    /// Digest and size of all that was read; meaningful after `next_line` has returned `None`.
    pub fn digest(&self) -> (Digest, u64) {
        todo!()
    }
}
