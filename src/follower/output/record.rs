//! What was written to a file for a filter, remembered in the follower's folder, so that the next start knows whether the file is
//! still what it should be without making it anew.
//!
//! A record says nothing that cannot be found out again: a lost one costs one more writing.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::list::{Digest, ListId, Timestamp};
use crate::store::{Disk, create_folder, write_file_atomic};

use super::super::FollowError;
use super::super::state::View;

/// Largest record that is read.
const MOST: u64 = 64 << 10;

/// The version of a list that a file holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HeldVersion {
    /// The list.
    pub list: ListId,
    /// Its serial.
    pub serial: u64,
    /// The root of its content.
    pub root: Digest,
}

impl HeldVersion {
    pub(super) fn of(view: &View) -> HeldVersion {
        HeldVersion { list: view.meta.list.clone(), serial: view.serial.get(), root: view.content.root().digest }
    }
}

/// What was written to a file, and what became of the entries.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::follower) struct Record {
    /// Of the format and everything selected: another one means another file.
    pub how: Digest,
    /// The versions it holds, in the order of the options.
    pub versions: Vec<HeldVersion>,
    /// Of the file.
    pub content: Digest,
    /// Of the file without its comments, which name serials and times.
    pub body: Digest,
    /// When it was last replaced.
    pub written: Timestamp,
    /// Rules of the format.
    pub rules: u64,
    /// Entries that the format cannot say or that did not fit.
    pub left_out: u64,
}

/// Where the record of a file is.
fn path_of(dir: &Path, file: &Path) -> PathBuf {
    let name = Digest::of(file.as_os_str().as_encoded_bytes()).hex();
    dir.join("outputs").join(format!("{}.json", &name[..32]))
}

impl Record {
    pub fn read(dir: &Path, file: &Path) -> Option<Record> {
        let opened = File::open(path_of(dir, file)).ok()?;
        let mut text = Vec::new();
        opened.take(MOST).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    pub fn write(&self, disk: &dyn Disk, dir: &Path, file: &Path) -> Result<(), FollowError> {
        create_folder(disk, &dir.join("outputs"))?;
        let text = serde_json::to_vec_pretty(self).map_err(|e| FollowError::Unexpected(e.to_string()))?;
        Ok(write_file_atomic(disk, &path_of(dir, file), &text)?)
    }
}

/// Removes the records of files that are no longer written.
pub(super) fn keep_only<'f>(dir: &Path, files: impl Iterator<Item = &'f Path>) {
    let kept: Vec<PathBuf> = files.map(|file| path_of(dir, file)).collect();
    for entry in fs::read_dir(dir.join("outputs")).into_iter().flatten().flatten() {
        if !kept.contains(&entry.path()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Digest of a file; `None` if it cannot be read.
pub(super) fn digest_of(file: &Path) -> Option<Digest> {
    let mut file = File::open(file).ok()?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        match file.read(&mut buffer).ok()? {
            0 => return Some(Digest(hash.finalize().into())),
            n => hash.update(&buffer[..n]),
        }
    }
}

/// Writes on, and hashes all of it and, apart, what is no comment.
pub(super) struct Hashing<W> {
    inner: W,
    whole: Sha256,
    body: Sha256,
    mark: Option<u8>,
    /// At the beginning of a line; otherwise whether that line is a comment.
    begins: bool,
    comment: bool,
}

impl<W: Write> Hashing<W> {
    /// `mark`: what a comment line begins with, if the format has comments.
    pub fn new(inner: W, mark: Option<&str>) -> Self {
        let mark = mark.and_then(|m| m.bytes().next());
        Hashing { inner, whole: Sha256::new(), body: Sha256::new(), mark, begins: true, comment: false }
    }

    /// Digest of everything, and of what is no comment.
    pub fn finish(self) -> (W, Digest, Digest) {
        (self.inner, Digest(self.whole.finalize().into()), Digest(self.body.finalize().into()))
    }

    fn body_of(&mut self, bytes: &[u8]) {
        let Some(mark) = self.mark else { return self.body.update(bytes) };
        // Comments stand at the beginning and at the end: what lies between two of them is hashed at one go.
        let mut from = 0;
        let mut at = 0;
        while at < bytes.len() {
            if self.begins {
                let comment = bytes[at] == mark;
                if comment && !self.comment {
                    self.body.update(&bytes[from..at]);
                }
                if !comment && self.comment {
                    from = at;
                }
                self.comment = comment;
            }
            let end = memchr::memchr(b'\n', &bytes[at..]).map(|n| at + n + 1);
            self.begins = end.is_some();
            at = end.unwrap_or(bytes.len());
        }
        if !self.comment {
            self.body.update(&bytes[from..]);
        }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write_all(bytes)?;
        self.whole.update(bytes);
        self.body_of(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashed(pieces: &[&str]) -> (Digest, Digest) {
        let mut hashing = Hashing::new(Vec::new(), Some("#"));
        pieces.iter().for_each(|piece| hashing.write_all(piece.as_bytes()).unwrap());
        let (out, whole, body) = hashing.finish();
        assert_eq!(whole, Digest::of(&out));
        (whole, body)
    }

    #[test]
    fn comments_do_not_count_however_the_text_is_cut() {
        let text = "# one\n# two\na.example\nb.example # no comment line\n\nc.example\n# end\n#\n";
        let body = Digest::of("a.example\nb.example # no comment line\n\nc.example\n");
        for first in 0..text.len() {
            for second in [first, first + 1, first + 7, text.len()].map(|n| n.min(text.len())) {
                assert_eq!(hashed(&[&text[..first], &text[first..second], &text[second..]]).1, body, "{first} {second}");
            }
        }
        assert_ne!(hashed(&["# one\nx\n"]).1, body);
    }
}
