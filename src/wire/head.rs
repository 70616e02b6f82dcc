//! The head: the signed statement about a version (docs/PROTOCOL.md section 8). Text only; signatures are in `trust`.

use crate::list::{Colour, Digest, ListId, Origin, Serial, Timestamp};

use super::{Root, WireError};

/// A snapshot from which deltas lead to a version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotRef {
    /// The version it is of; not later than the head's.
    pub serial: Serial,
    /// Digest of the uncompressed snapshot.
    pub digest: Digest,
    /// Uncompressed size in octets.
    pub size: u64,
}

/// What a publisher says of one version of one list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// The publisher.
    pub origin: Origin,
    /// The list.
    pub list: ListId,
    /// Its colour.
    pub colour: Colour,
    /// The version.
    pub serial: Serial,
    /// Version digest of the version before; `None` exactly in the first.
    pub previous: Option<Digest>,
    /// Root digest of the content.
    pub root: Root,
    /// Number of entries.
    pub entries: u64,
    /// Where to begin without a state of one's own.
    pub snapshot: SnapshotRef,
    /// Number of the key set in force at signing.
    pub keyset: u64,
    /// When it was signed.
    pub issued: Timestamp,
    /// When it goes stale.
    pub expires: Timestamp,
}

impl Head {
    /// The text that is signed.
    pub fn to_text(&self) -> String {
        todo!()
    }

    /// Reads the text.
    ///
    /// # Errors
    /// [`WireError::Line`] names the line.
    pub fn parse(text: &str) -> Result<Head, WireError> {
        let _ = text;
        todo!()
    }

    /// SHA-256 over the text through the `entries` line: what this version is, whenever it was signed.
    pub fn version_digest(&self) -> Digest {
        todo!()
    }
}
