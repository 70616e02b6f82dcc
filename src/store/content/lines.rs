//! A list's lines in order of the rule: the snapshot of the base merged with the changes since.
//!
//! The snapshot is one that this process wrote or verified when it took it in; so its lines are not checked for form
//! again (that costs more than all the rest), but its digest is compared at the end.

use std::io::{self, BufRead, Read as _};

use sha2::{Digest as _, Sha256};

use crate::list::{Digest, MAX_LINE};

use super::{Content, patch::rule_of};

fn damaged(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// The lines of a snapshot of one's own, read as a stream.
#[derive(Debug)]
pub struct OwnSnapshot<R> {
    inner: R,
    hasher: Sha256,
    digest: Digest,
    line: Vec<u8>,
    ended: bool,
}

impl<R: BufRead> OwnSnapshot<R> {
    /// Reads past the header. `inner` gives uncompressed bytes; `digest` is what they must hash to.
    ///
    /// # Errors
    /// Of the reader, or `InvalidData` if there is no header.
    pub fn new(inner: R, digest: Digest) -> io::Result<Self> {
        let mut own = OwnSnapshot { inner, hasher: Sha256::new(), digest, line: Vec::with_capacity(256), ended: false };
        for _ in 0..16 {
            if !own.read_line()? {
                break;
            }
            if own.line.is_empty() {
                return Ok(own);
            }
        }
        Err(damaged("the snapshot has no header; it is damaged"))
    }

    /// Reads one line into `self.line`, without its LF; false at the end.
    fn read_line(&mut self) -> io::Result<bool> {
        self.line.clear();
        let read = self.inner.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(false);
        }
        self.hasher.update(&self.line);
        if self.line.pop() != Some(b'\n') {
            return Err(damaged("the snapshot does not end with a whole line; it is damaged"));
        }
        Ok(true)
    }

    /// The next entry line, without LF; `None` after the last, when the digest has been compared.
    ///
    /// # Errors
    /// Of the reader, or `InvalidData` if the snapshot is not the one of the digest.
    pub fn next_line(&mut self) -> io::Result<Option<&str>> {
        if self.ended {
            return Ok(None);
        }
        if self.read_line()? {
            return std::str::from_utf8(&self.line).map(Some).map_err(|_| damaged("the snapshot is not text; it is damaged"));
        }
        self.ended = true;
        let digest = Digest(self.hasher.clone().finalize().into());
        if digest != self.digest {
            return Err(damaged("the snapshot's digest is another; it is damaged"));
        }
        Ok(None)
    }
}

/// A list's lines in order of the rule.
#[derive(Debug)]
pub struct SortedLines<'c, R> {
    base: Option<OwnSnapshot<R>>,
    changes: std::iter::Peekable<std::vec::IntoIter<&'c str>>,
    /// A line of the base that was read and must wait for changes that come before it.
    held: Option<String>,
    out: String,
}

impl<'c, R: BufRead> SortedLines<'c, R> {
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
