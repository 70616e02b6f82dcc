//! What a frame of the publisher's journal says. JSON, so that it can be read in ten years.

use serde::{Deserialize, Serialize};

use crate::list::{Digest, ListId, Serial, Timestamp};

use super::ListMeta;

/// A base: a snapshot and its bucket file, of one version.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BaseRef {
    /// Of which version.
    pub serial: Serial,
    /// The snapshot's digest (uncompressed) and artefact name.
    pub snapshot: Digest,
    /// The snapshot's uncompressed size in octets.
    pub snapshot_size: u64,
    /// The snapshot's compressed size in octets.
    pub snapshot_zst: u64,
    /// The bucket file's digest and artefact name.
    pub buckets: Digest,
    /// k of the bucket file.
    pub bits: u8,
    /// Number of entries.
    pub entries: u64,
}

/// A delta as an artefact.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeltaRecord {
    /// Digest of the uncompressed delta, and artefact name.
    pub digest: Digest,
    /// Uncompressed size in octets.
    pub size: u64,
    /// Compressed size in octets.
    pub zst: u64,
}

/// One publication, as the log shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VersionRecord {
    /// The version.
    pub serial: Serial,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// Why, in the publisher's words; may be empty.
    #[serde(default)]
    pub reason: String,
    /// Guards that were overridden by name.
    #[serde(default)]
    pub forced: Vec<String>,
    /// Entries after it.
    pub entries: u64,
    /// Entries added.
    pub added: u64,
    /// Entries removed.
    pub removed: u64,
    /// Entries replaced.
    pub replaced: u64,
    /// Version digest.
    pub version: Digest,
    /// The delta from serial - 1; none in the first version.
    pub delta: Option<DeltaRecord>,
}

/// One frame. Each is applied to the index by the same code in normal running and at recovery.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Record {
    /// A key set came into force (its note).
    KeySet { number: u64, note: String, at: Timestamp },
    /// A list was made or its description changed (colour never).
    List { meta: ListMeta, at: Timestamp, by: String },
    /// A list is no longer offered; its serials stay known for ever.
    ListRemoved { list: ListId, at: Timestamp, by: String },
    /// The staged changes of a list are now this artefact (change lines of section 7 without header, sorted; zstd); none: nothing is staged.
    Staged { list: ListId, changes: Option<Digest>, count: u64, at: Timestamp, by: String },
    /// The commit point of a publication. Clears what was staged.
    Published { list: ListId, version: VersionRecord, head: String, base: BaseRef },
    /// The same version signed again, perhaps naming another base.
    Head { list: ListId, head: String, base: BaseRef, at: Timestamp },
    /// Deltas up to this `from` serial (exclusive) are no longer kept.
    DeltasDropped { list: ListId, before: Serial, at: Timestamp },
    /// Serials of a list go on above this one (after a restore).
    SerialFloor { list: ListId, serial: Serial, at: Timestamp },
}
