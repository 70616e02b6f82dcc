//! An open bucket file.
//!
//! # The file
//!
//! | octets | what |
//! |---|---|
//! | 16 | `bwld buckets v1` LF |
//! | … | the entry lines, each with its LF, bucket after bucket, each bucket in order of the rule |
//! | 40 · 2^k | per bucket: where it ends in the file (8, big-endian), its digest (32) |
//! | 64 | SHA-256 of the table and of the 24 octets that follow (32); where the table begins (8); number of entries (8); k (1), seven zeros; `bwldbkt1` (8) |
//!
//! The table stands at the end so that the file can be written as a stream.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest as _, Sha256};

use crate::list::Digest;
use crate::store::StoreError;
use crate::wire::{MAX_BITS, Tree, bucket_digest};

pub(super) const MAGIC: &[u8; 16] = b"bwld buckets v1\n";
pub(super) const END_MAGIC: &[u8; 8] = b"bwldbkt1";
/// Octets of a row of the table.
pub(super) const ROW: usize = 40;
/// Octets of the footer.
pub(super) const FOOTER: usize = 64;

/// An open bucket file: entries grouped by bucket, each bucket sorted; read by pread, so that it costs no memory but its
/// table (40 octets a bucket).
#[derive(Debug)]
pub struct Base {
    file: File,
    path: PathBuf,
    /// Where each bucket ends.
    ends: Vec<u64>,
    tree: Arc<Tree>,
    entries: u64,
}

fn damaged(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

impl Base {
    /// Opens a bucket file and verifies its table; buckets are verified when they are read.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be opened or its table is damaged.
    pub fn open(path: &Path) -> Result<Base, StoreError> {
        Self::read_table(path).map_err(|source| StoreError::Io { action: "open bucket file", path: path.display().to_string(), source })
    }

    fn read_table(path: &Path) -> io::Result<Base> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        if len < (MAGIC.len() + ROW + FOOTER) as u64 {
            return Err(damaged("too short to be a bucket file".into()));
        }
        let mut magic = [0; MAGIC.len()];
        file.read_exact_at(&mut magic, 0)?;
        if magic != *MAGIC {
            return Err(damaged("does not begin as a bucket file does".into()));
        }
        let mut footer = [0; FOOTER];
        file.read_exact_at(&mut footer, len - FOOTER as u64)?;
        if &footer[56..] != END_MAGIC || footer[48] > MAX_BITS {
            return Err(damaged("does not end as a bucket file does; it was cut off or is something else".into()));
        }
        let number = |at: usize| u64::from_be_bytes(footer[at..at + 8].try_into().expect("eight octets"));
        let (table_at, entries, bits) = (number(32), number(40), footer[48]);
        let rows = 1usize << bits;
        if table_at.checked_add((rows * ROW + FOOTER) as u64) != Some(len) || table_at < MAGIC.len() as u64 {
            return Err(damaged("the table is not where the footer says".into()));
        }
        let mut table = vec![0; rows * ROW];
        file.read_exact_at(&mut table, table_at)?;
        let mut hasher = Sha256::new();
        hasher.update(&table);
        hasher.update(&footer[32..56]);
        if hasher.finalize()[..] != footer[..32] {
            return Err(damaged("the table is damaged".into()));
        }
        let mut ends = Vec::with_capacity(rows);
        let mut leaves = Vec::with_capacity(rows);
        let mut before = MAGIC.len() as u64;
        for row in table.chunks_exact(ROW) {
            let end = u64::from_be_bytes(row[..8].try_into().expect("eight octets"));
            if end < before || end > table_at {
                return Err(damaged("the table is not ascending".into()));
            }
            before = end;
            ends.push(end);
            leaves.push(Digest(row[8..].try_into().expect("thirty-two octets")));
        }
        let tree = Tree::new(&leaves).ok_or_else(|| damaged("the table is not a power of two".into()))?;
        Ok(Base { file, path: path.to_owned(), ends, tree: Arc::new(tree), entries })
    }

    /// The lines of bucket `b` (less than 2^k), compared with their digest.
    ///
    /// # Errors
    /// Of reading; `InvalidData` if the bucket is not what was written.
    pub fn bucket(&self, b: u32) -> io::Result<String> {
        let at = b as usize;
        let from = if at == 0 { MAGIC.len() as u64 } else { self.ends[at - 1] };
        let mut lines = vec![0; usize::try_from(self.ends[at] - from).map_err(|_| damaged("bucket too large".into()))?];
        self.file.read_exact_at(&mut lines, from)?;
        if bucket_digest(&lines) != self.tree.leaf(b) {
            return Err(damaged(format!("bucket {b} of {} is damaged; restore it or fetch the snapshot again", self.path.display())));
        }
        String::from_utf8(lines).map_err(|_| damaged(format!("bucket {b} of {} is not text", self.path.display())))
    }

    /// Octets of the buckets from `from` up to `to`, which is not one of them.
    pub(super) fn octets(&self, from: u32, to: u32) -> u64 {
        let start = |b: u32| if b == 0 { MAGIC.len() as u64 } else { self.ends[b as usize - 1] };
        start(to) - start(from)
    }

    /// The lines of the buckets from `from` up to `to`, as they lie there: not compared with their digests.
    pub(super) fn raw(&self, from: u32, to: u32, into: &mut Vec<u8>) -> io::Result<()> {
        into.resize(usize::try_from(self.octets(from, to)).map_err(|_| damaged("bucket too large".into()))?, 0);
        self.file.read_exact_at(into, MAGIC.len() as u64 + self.octets(0, from))
    }

    /// The digests.
    pub fn tree(&self) -> &Arc<Tree> {
        &self.tree
    }

    /// Number of entries.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
