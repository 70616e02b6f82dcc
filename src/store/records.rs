//! What a frame of the publisher's journal says. JSON, so that it can be read in ten years.

use serde::{Deserialize, Serialize};

use crate::list::{Digest, ListId, Serial, Timestamp};

use crate::wire::{Act, AuditLine, AuditTip};

use super::{ArtefactKind, ArtefactName, ListMeta};

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
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeltaRecord {
    /// Digest of the uncompressed delta, and artefact name.
    pub digest: Digest,
    /// Uncompressed size in octets.
    pub size: u64,
    /// Compressed size in octets.
    pub zst: u64,
}

/// One publication, as the log shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
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

/// The newest version of a list and how it is served.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Newest {
    /// The version, as the log shows it.
    pub version: VersionRecord,
    /// Its head as signed last.
    pub head: String,
    /// The base that the head names.
    pub base: BaseRef,
}

/// All that is known of a list but for its log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListState {
    /// Description.
    pub meta: ListMeta,
    /// No longer offered.
    pub removed: bool,
    /// The newest version; none before the first publication and while the list is removed.
    pub newest: Option<Newest>,
    /// The base before `newest.base`, still kept for those who are fetching it.
    pub previous_base: Option<BaseRef>,
    /// What is staged: the artefact of the changes and how many there are.
    pub staged: Option<(Digest, u64)>,
    /// Serials go on above this one.
    pub floor: Option<Serial>,
    /// Deltas that begin at a serial before this one are not kept; none: all are.
    pub deltas_from: Option<Serial>,
    /// Serial and version digest of the last version there ever was; also after a removal.
    pub last: Option<(Serial, Digest)>,
}

impl ListState {
    /// The serial that the next version gets: above the last one and above the floor. `None` after 2^63-1.
    pub fn next_serial(&self) -> Option<Serial> {
        match self.last.map(|(serial, _)| serial).max(self.floor) {
            Some(serial) => serial.next(),
            None => Some(Serial::FIRST),
        }
    }
}

/// Lines of the audit chain that lie in an artefact, as an export has them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedActs {
    /// Number of the first line.
    pub first: u64,
    /// The last line.
    pub last: AuditTip,
    /// Digest of the lines, and artefact name.
    pub digest: Digest,
    /// Their size in octets.
    pub size: u64,
}

/// The table of documents that keep artefacts of changes: by whatever key, each a [`KeptChanges`].
pub const KEPT_CHANGES: &str = "kept-changes";

/// Artefacts of changes that are kept for a list, as long as the document is there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptChanges {
    /// The list.
    pub list: ListId,
    /// The artefacts.
    pub changes: Vec<Digest>,
    /// Since when.
    pub at: Timestamp,
}

/// What needs an artefact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Owner {
    /// A list.
    List(ListId),
    /// The audit chain.
    Audit,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Owner::List(id) => write!(f, "list {id}"),
            Owner::Audit => f.write_str("the audit chain"),
        }
    }
}

/// One frame. Each is applied to the index by the same code in normal running and at recovery.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case", deny_unknown_fields)]
#[allow(clippy::large_enum_variant)] // lives for one commit; a box would only be in the way of those who make it
pub enum Record {
    /// A key set came into force (its note).
    KeySet { number: u64, note: String, at: Timestamp },
    /// A list was made or its description changed (colour never). A removed list is offered again; its serials go on.
    List { meta: ListMeta, at: Timestamp, by: String },
    /// A list is no longer offered; its serials stay known for ever.
    ListRemoved { list: ListId, at: Timestamp, by: String },
    /// The staged changes of a list are now this artefact (change lines of section 7 without header, sorted; zstd); none: nothing is staged.
    Staged { list: ListId, changes: Option<Digest>, count: u64, at: Timestamp, by: String },
    /// The commit point of a publication. Clears what was staged.
    Published { list: ListId, version: VersionRecord, head: String, base: BaseRef },
    /// The same version signed again, perhaps naming another base.
    Head { list: ListId, head: String, base: BaseRef, at: Timestamp },
    /// Deltas that begin at a serial before this one are no longer kept.
    DeltasDropped { list: ListId, before: Serial, at: Timestamp },
    /// Serials of a list go on above this one (after a restore).
    SerialFloor { list: ListId, serial: Serial, at: Timestamp },
    /// Several at once: all of them or none, in this order.
    All { records: Vec<Record> },
    /// Something was done: the next line of the audit chain. Number and digest follow from the line before, at a commit as at recovery.
    Act { act: Act },
    /// What the rooms above keep: `value` under `key` in `table` from now on; none: no longer there.
    Document { table: String, key: String, value: Option<serde_json::Value> },
    /// The oldest lines of the audit chain are in this artefact now and no longer in the index.
    AuditSealed { sealed: SealedActs },
    /// In a checkpoint: a line of the audit chain. Only the store writes it.
    Audited { line: AuditLine },
    /// In a checkpoint: a list as it was then. Only the store writes it.
    ListState { state: ListState },
    /// In a checkpoint: an entry of a list's log. Only the store writes it.
    Version { list: ListId, version: VersionRecord },
}

impl Record {
    /// Whether only a checkpoint may say it.
    pub(super) fn restates(&self) -> bool {
        match self {
            Record::ListState { .. } | Record::Version { .. } | Record::Audited { .. } => true,
            Record::All { records } => records.iter().any(Record::restates),
            _ => false,
        }
    }

    /// As in a frame.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a record has only text keys and values that JSON can hold")
    }

    /// Reads a frame's content. It never panics, whatever the bytes.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn decode(content: &[u8]) -> Result<Record, String> {
        serde_json::from_slice(content).map_err(|e| e.to_string())
    }

    /// The artefacts it names, which must be durable before it is committed.
    pub fn artefacts(&self) -> Vec<ArtefactName> {
        let of_base = |base: &BaseRef| [(ArtefactKind::Snapshot, base.snapshot), (ArtefactKind::Buckets, base.buckets)];
        match self {
            Record::Staged { changes: Some(digest), .. } => vec![(ArtefactKind::Changes, *digest)],
            Record::Published { version, base, .. } => {
                let delta = version.delta.as_ref().map(|d| (ArtefactKind::Delta, d.digest));
                of_base(base).into_iter().chain(delta).collect()
            }
            Record::Head { base, .. } => of_base(base).into(),
            Record::AuditSealed { sealed } => vec![(ArtefactKind::Audit, sealed.digest)],
            Record::Document { table, value: Some(value), .. } if table == KEPT_CHANGES => {
                let kept = KeptChanges::deserialize(value).map(|kept| kept.changes).unwrap_or_default();
                kept.into_iter().map(|digest| (ArtefactKind::Changes, digest)).collect()
            }
            Record::All { records } => records.iter().flat_map(Record::artefacts).collect(),
            _ => Vec::new(),
        }
    }
}
