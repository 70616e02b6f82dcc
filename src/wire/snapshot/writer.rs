//! Writing a snapshot, a line at a time.

use std::io::Write;

use sha2::{Digest as _, Sha256};

use crate::list::{Digest, MAX_LINE, MAX_RULE};

use super::{super::WireError, HEADER_LINES, SnapshotHeader, check_form, refused};

/// How much the writer gathers before it hashes and writes.
const BATCH: usize = 64 << 10;

/// Writes a snapshot; refuses entries out of order and a wrong count; tells digest and size at the end.
pub struct SnapshotWriter<W: Write> {
    inner: W,
    hash: Sha256,
    size: u64,
    batch: Vec<u8>,
    last_rule: Vec<u8>,
    expected: u64,
    written: u64,
}

impl<W: Write> SnapshotWriter<W> {
    /// Writes the header. It buffers by itself; `inner` need not.
    ///
    /// # Errors
    /// Of the writer.
    pub fn new(inner: W, header: &SnapshotHeader) -> Result<Self, WireError> {
        let mut batch = Vec::with_capacity(BATCH + MAX_LINE + 1);
        batch.extend_from_slice(header.to_text().as_bytes());
        let (expected, last_rule) = (header.entries, Vec::with_capacity(MAX_RULE));
        Ok(SnapshotWriter { inner, hash: Sha256::new(), size: 0, batch, last_rule, expected, written: 0 })
    }

    /// Writes an entry line (without LF), which must come after the one before.
    ///
    /// # Errors
    /// Of the writer, or [`WireError::Line`] if out of order.
    pub fn push(&mut self, line: &str) -> Result<(), WireError> {
        let number = HEADER_LINES + self.written + 1;
        let rule = check_form(line.as_bytes()).map_err(|reason| refused(number, reason))?;
        let rule = &line.as_bytes()[..rule];
        if rule <= self.last_rule.as_slice() {
            return Err(refused(number, "not in ascending order of the rules, or a rule twice"));
        }
        if self.written == self.expected {
            return Err(refused(number, format!("more entries than the {} that the header states", self.expected)));
        }
        self.last_rule.clear();
        self.last_rule.extend_from_slice(rule);
        self.batch.extend_from_slice(line.as_bytes());
        self.batch.push(b'\n');
        self.written += 1;
        if self.batch.len() >= BATCH { self.drain() } else { Ok(()) }
    }

    /// Ends the snapshot: the writer, the digest and the size in octets of the uncompressed bytes.
    ///
    /// # Errors
    /// [`WireError::Line`] if fewer or more entries came than the header says.
    pub fn finish(mut self) -> Result<(W, Digest, u64), WireError> {
        if self.written != self.expected {
            let reason = format!("ends after {} of the {} entries that the header states", self.written, self.expected);
            return Err(refused(HEADER_LINES + self.written, reason));
        }
        self.drain()?;
        Ok((self.inner, Digest(self.hash.finalize().into()), self.size))
    }

    fn drain(&mut self) -> Result<(), WireError> {
        self.hash.update(&self.batch);
        self.inner.write_all(&self.batch)?;
        self.size += self.batch.len() as u64;
        self.batch.clear();
        Ok(())
    }
}
