//! Reading a snapshot through one buffer, a line at a time.

use std::io::{ErrorKind, Read};

use sha2::{Digest as _, Sha256};

use crate::list::{Colour, Digest, Entry, MAX_LINE, Serial};

use super::{super::WireError, HEADER_LINES, MAX_HEADER, SnapshotHeader, check_form, refused};

/// Size of the reader's buffer: any two lines and the header fit many times.
pub(super) const BUFFER: usize = 128 << 10;

/// Reads a snapshot through one buffer of 128 KiB, whatever its size.
pub struct SnapshotReader<R: Read> {
    inner: R,
    hash: Sha256,
    limit: u64,
    size: u64,
    header: SnapshotHeader,
    canonical: bool,
    line: u64,
    ended: bool,
    /// `buffer[kept..filled]` holds what is still needed: the line before (for the order), then what has not been read yet.
    buffer: Box<[u8]>,
    kept: usize,
    last_rule: usize,
    unread: usize,
    filled: usize,
}

impl<R: Read> SnapshotReader<R> {
    /// Reads the header. `limit` bounds the uncompressed octets read in all. It buffers by itself; `inner` need not.
    ///
    /// # Errors
    /// [`WireError`] of the header.
    pub fn new(inner: R, limit: u64) -> Result<Self, WireError> {
        let none = SnapshotHeader {
            origin: "unread".parse().expect("a constant that is an origin"),
            list: "unread".parse().expect("a constant that is a list name"),
            colour: Colour::Black,
            serial: Serial::FIRST,
            entries: 0,
        };
        let buffer = vec![0; BUFFER].into_boxed_slice();
        let mut reader = SnapshotReader {
            inner,
            hash: Sha256::new(),
            limit,
            size: 0,
            header: none,
            canonical: false,
            line: 0,
            ended: false,
            buffer,
            kept: 0,
            last_rule: 0,
            unread: 0,
            filled: 0,
        };
        let mut text = String::new();
        for _ in 0..HEADER_LINES {
            let at = reader.raw_line(MAX_HEADER)?.ok_or_else(|| refused(reader.line, "ends within the header"))?;
            let line = std::str::from_utf8(&reader.buffer[at..reader.unread]).map_err(|_| refused(reader.line, "not UTF-8"))?;
            text.push_str(line);
            reader.kept = reader.unread;
        }
        reader.header = SnapshotHeader::parse(&text)?;
        Ok(reader)
    }

    /// From here on every line must be a canonical entry by the whole of section 3 and 4; costs several times as much.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        self.canonical = true;
        self
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
        if self.ended {
            return Ok(None);
        }
        let entries = self.header.entries;
        let read = self.line - HEADER_LINES;
        let Some(at) = self.raw_line(MAX_LINE)? else {
            if read < entries {
                return Err(refused(self.line, format!("ends after {read} of the {entries} entries that the header states")));
            }
            self.ended = true;
            return Ok(None);
        };
        if read == entries {
            return Err(refused(self.line, format!("more entries than the {entries} that the header states")));
        }
        // The line before lies at `kept`: `raw_line` has moved it along if it had to.
        let bytes = &self.buffer[at..self.unread - 1];
        let rule = check_form(bytes).map_err(|reason| refused(self.line, reason))?;
        if bytes[..rule] <= self.buffer[self.kept..self.kept + self.last_rule] {
            return Err(refused(self.line, "not in ascending order of the rules, or a rule twice"));
        }
        let line = std::str::from_utf8(bytes).map_err(|_| refused(self.line, "not UTF-8"))?;
        if self.canonical {
            line.parse::<Entry>().map_err(|e| refused(self.line, e.to_string()))?;
        }
        self.kept = at;
        self.last_rule = rule;
        Ok(Some(line))
    }

    /// Digest and size of all that was read; meaningful after `next_line` has returned `None`.
    pub fn digest(&self) -> (Digest, u64) {
        (Digest(self.hash.clone().finalize().into()), self.size)
    }

    /// Moves `unread` behind the next LF and says where that line begins; `None` at the end. `kept` may move.
    fn raw_line(&mut self, longest: usize) -> Result<Option<usize>, WireError> {
        self.line += 1;
        let mut searched = 0;
        loop {
            if let Some(lf) = memchr::memchr(b'\n', &self.buffer[self.unread + searched..self.filled]) {
                let at = self.unread;
                self.unread += searched + lf + 1;
                return Ok(Some(at));
            }
            searched = self.filled - self.unread;
            if searched > longest {
                return Err(refused(self.line, format!("longer than {longest} octets")));
            }
            if self.fill()? == 0 {
                return if searched == 0 { Ok(None) } else { Err(refused(self.line, "does not end with LF")) };
            }
        }
    }

    /// Reads more behind `filled`; 0 at the end. Every octet passes here once, and is counted and hashed here.
    fn fill(&mut self) -> Result<usize, WireError> {
        if self.filled == self.buffer.len() {
            self.buffer.copy_within(self.kept..self.filled, 0);
            self.unread -= self.kept;
            self.filled -= self.kept;
            self.kept = 0;
        }
        // One octet past the limit tells "exactly at the limit" from "more".
        let most = usize::try_from((self.limit - self.size).saturating_add(1)).unwrap_or(usize::MAX);
        let end = self.buffer.len().min(self.filled.saturating_add(most));
        let read = loop {
            match self.inner.read(&mut self.buffer[self.filled..end]) {
                Ok(read) => break read,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        };
        if read as u64 > self.limit - self.size {
            return Err(WireError::TooLarge { what: "snapshot", limit: self.limit });
        }
        self.hash.update(&self.buffer[self.filled..self.filled + read]);
        self.size += read as u64;
        self.filled += read;
        Ok(read)
    }
}
