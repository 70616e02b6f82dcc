//! A list's lines in order of the rule: the snapshot of the base merged with the changes since.
//!
//! The snapshot is one that this process wrote or verified when it took it in; so its lines are not checked for form
//! again (that costs more than all the rest), but its digest is compared at the end.

use std::fs::File;
use std::io::{self, BufReader, Read};

use crate::list::{Digest, rule_of};
use crate::wire::{SnapshotReader, ZstdReader};

use super::super::BaseRef;
use super::Content;

/// The lines of a snapshot of one's own, read as a stream.
pub struct OwnSnapshot<R: Read> {
    inner: SnapshotReader<R>,
    digest: Digest,
    /// Lines still to come.
    left: u64,
}

impl<R: Read> OwnSnapshot<R> {
    /// Reads past the header. `inner` gives uncompressed bytes, `size` of them; `digest` is what they must hash to.
    ///
    /// # Errors
    /// Of the reader, or `InvalidData` if there is no header.
    pub fn new(inner: R, digest: Digest, size: u64) -> io::Result<Self> {
        let inner = SnapshotReader::new(inner, size)?;
        Ok(OwnSnapshot { left: inner.header().entries, inner, digest })
    }

    /// The next entry line, without LF; `None` after the last, when the digest has been compared.
    ///
    /// # Errors
    /// Of the reader, or `InvalidData` if the snapshot is not the one of the digest.
    pub fn next_line(&mut self) -> io::Result<Option<&str>> {
        if self.left > 0 {
            self.left -= 1;
            return Ok(self.inner.next_line()?);
        }
        // The reader refuses more lines than its header states, so this is the end.
        self.inner.next_line()?;
        let found = self.inner.digest().0;
        if found != self.digest {
            let reason = format!("a snapshot that should be {} is {found}; restore it or fetch it again", self.digest);
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(None)
    }
}

/// The lines of a version whose base's snapshot is a file: merged with what changed since, if anything did.
pub enum VersionLines<'c> {
    /// Nothing changed: no merge.
    Own(OwnSnapshot<ZstdReader<BufReader<File>>>),
    /// Something did.
    Sorted(SortedLines<'c, ZstdReader<BufReader<File>>>),
}

impl<'c> VersionLines<'c> {
    /// Of `content` over `base`, whose snapshot is `file`, read from where it stands.
    ///
    /// # Errors
    /// Of reading, or `InvalidData` if it is no snapshot.
    pub fn new(file: File, base: &BaseRef, content: &'c Content) -> io::Result<VersionLines<'c>> {
        let reader = ZstdReader::new("snapshot", BufReader::with_capacity(64 << 10, file), base.snapshot_size)?;
        let own = OwnSnapshot::new(reader, base.snapshot, base.snapshot_size)?;
        Ok(if content.overlay_len() == 0 { VersionLines::Own(own) } else { VersionLines::Sorted(SortedLines::new(Some(own), content)) })
    }

    /// The next entry line, without LF; `None` after the last, when the snapshot's digest has been compared.
    ///
    /// # Errors
    /// Of reading the snapshot.
    pub fn next_line(&mut self) -> io::Result<Option<&str>> {
        match self {
            VersionLines::Own(lines) => lines.next_line(),
            VersionLines::Sorted(lines) => lines.next_line(),
        }
    }
}

/// A list's lines in order of the rule.
pub struct SortedLines<'c, R: Read> {
    base: Option<OwnSnapshot<R>>,
    changes: std::iter::Peekable<std::vec::IntoIter<&'c str>>,
    /// A line of the base that was read and must wait for changes that come before it.
    held: Option<String>,
    out: String,
}

impl<'c, R: Read> SortedLines<'c, R> {
    /// The lines of `content`, whose base is of the snapshot `base` (none exactly if `content` has none).
    pub fn new(base: Option<OwnSnapshot<R>>, content: &'c Content) -> Self {
        SortedLines { base, changes: content.changes_since_base().into_iter().peekable(), held: None, out: String::new() }
    }

    /// The next entry line, without LF.
    ///
    /// # Errors
    /// Of reading the snapshot.
    pub fn next_line(&mut self) -> io::Result<Option<&str>> {
        loop {
            if self.held.is_none()
                && let Some(base) = &mut self.base
            {
                match base.next_line()? {
                    // The buffer of the line before is used again: no allocation a line.
                    Some(line) => {
                        let mut buffer = std::mem::take(&mut self.out);
                        buffer.clear();
                        buffer.push_str(line);
                        self.held = Some(buffer);
                    }
                    None => self.base = None,
                }
            }
            let Some(change) = self.changes.peek() else {
                return Ok(match self.held.take() {
                    Some(line) => {
                        self.out = line;
                        Some(&self.out)
                    }
                    None => None,
                });
            };
            let (sign, body) = change.split_at(1);
            match &self.held {
                Some(line) if rule_of(line) < rule_of(body) => {
                    self.out = self.held.take().unwrap_or_default();
                    return Ok(Some(&self.out));
                }
                Some(line) if rule_of(line) == rule_of(body) => self.out = self.held.take().unwrap_or_default(),
                _ => {}
            }
            self.changes.next();
            if sign != "-" {
                return Ok(Some(body));
            }
        }
    }
}
