//! Where kept artefacts are read from.

use std::{fs::File, io};

use crate::list::Digest;

/// Which artefact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// A snapshot, zstd.
    Snapshot,
    /// A delta, zstd.
    Delta,
}

/// Reads artefacts by kind and digest of the uncompressed bytes. What comes is compressed, as it is stored.
pub trait Shelf: Send + Sync + std::fmt::Debug {
    /// Opens an artefact.
    ///
    /// # Errors
    /// Of the system; `NotFound` if it is not kept.
    fn open(&self, kind: Kept, digest: &Digest) -> io::Result<File>;

    /// Reads an artefact of at most `limit` stored octets.
    ///
    /// # Errors
    /// Of the system; `InvalidData` if it is larger.
    fn read(&self, kind: Kept, digest: &Digest, limit: u64) -> io::Result<Vec<u8>> {
        use std::io::Read;
        let mut bytes = Vec::new();
        self.open(kind, digest)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{digest} is stored with more than {limit} octets; run check")));
        }
        Ok(bytes)
    }
}
