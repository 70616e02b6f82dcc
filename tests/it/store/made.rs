//! Records and artefacts made up for tests; their heads are not signed, which the store does not look at.

use std::{path::Path, sync::Arc};

use bwld::list::{Colour, Digest, ListId, Serial, Timestamp};
use bwld::store::{
    ArtefactKind, Artefacts, BaseRef, DeltaRecord, Disk, IndexKind, ListMeta, RealDisk, Record, Recovery, Store, StoreError, StoreOptions,
    VersionRecord,
};
use bwld::wire::{Head, Note, NoteSignature, Root, SnapshotRef};

pub fn id(name: &str) -> ListId {
    name.parse().unwrap()
}

pub fn serial(n: u64) -> Serial {
    Serial::new(n).unwrap()
}

pub fn at(n: u64) -> Timestamp {
    Timestamp::from_unix(1_800_000_000 + n)
}

pub const MEMORY: StoreOptions = StoreOptions { index: IndexKind::Memory, segment_size: 4_096, checkpoint_after: u64::MAX, flush_every: 8 };

pub const SLED: StoreOptions = StoreOptions { index: IndexKind::Sled, ..MEMORY };

pub fn open_on(dir: &Path, options: StoreOptions, disk: Arc<dyn Disk>) -> Result<(Store, Recovery), StoreError> {
    Store::open(dir, options, disk, &mut |_| {})
}

pub fn open(dir: &Path, options: StoreOptions) -> (Store, Recovery) {
    open_on(dir, options, Arc::new(RealDisk)).unwrap()
}

pub fn meta(name: &str) -> ListMeta {
    ListMeta {
        id: id(name),
        colour: Colour::Black,
        title: format!("List {name}"),
        categories: Vec::new(),
        owner: String::new(),
        licence: String::new(),
        source: String::new(),
        review: String::new(),
        created: at(0),
    }
}

pub fn list(name: &str) -> Record {
    Record::List { meta: meta(name), at: at(0), by: "test".into() }
}

/// Stores text as an artefact and returns its digest.
pub fn put(artefacts: &Artefacts, kind: ArtefactKind, text: &str) -> Result<Digest, StoreError> {
    let digest = Digest::of(text);
    let stored = if kind.compressed() { zstd::encode_all(text.as_bytes(), 1).unwrap() } else { text.into() };
    artefacts.put(kind, &digest, &stored)?;
    Ok(digest)
}

/// A head as the protocol has it, with a signature that is none.
fn head(name: &str, n: u64, base: &BaseRef, previous: Option<Digest>) -> Head {
    Head {
        origin: "lists.example.org".parse().unwrap(),
        list: id(name),
        colour: Colour::Black,
        serial: serial(n),
        previous,
        root: Root { digest: Digest::of(format!("root of {name} {n}")), bits: 0 },
        entries: n,
        snapshot: SnapshotRef { serial: base.serial, digest: base.snapshot, size: base.snapshot_size },
        audit: None,
        keyset: 1,
        issued: at(n),
        expires: at(n + 86_400),
    }
}

/// Version digest of version `n`, when all before it were made here.
pub fn version_digest(name: &str, n: u64) -> Digest {
    let base = BaseRef {
        serial: serial(1),
        snapshot: Digest([0; 32]),
        snapshot_size: 0,
        snapshot_zst: 0,
        buckets: Digest([0; 32]),
        bits: 0,
        entries: 0,
    };
    let mut previous = None;
    for n in 1..=n {
        previous = Some(head(name, n, &base, previous).version_digest());
    }
    previous.unwrap()
}

/// The base of version `base` and the delta to version `n`, as artefacts, and the record that names them.
pub fn published(artefacts: &Artefacts, name: &str, n: u64, base: u64) -> Result<Record, StoreError> {
    let snapshot = format!("snapshot of {name} {base}\n");
    let base = BaseRef {
        serial: serial(base),
        snapshot: put(artefacts, ArtefactKind::Snapshot, &snapshot)?,
        snapshot_size: snapshot.len() as u64,
        snapshot_zst: 1,
        buckets: put(artefacts, ArtefactKind::Buckets, &format!("buckets of {name} {base}\n"))?,
        bits: 0,
        entries: base,
    };
    let delta = match n {
        1 => None,
        _ => Some(DeltaRecord { digest: put(artefacts, ArtefactKind::Delta, &format!("delta of {name} to {n}\n"))?, size: 1, zst: 1 }),
    };
    let previous = (n > 1).then(|| version_digest(name, n - 1));
    let head = head(name, n, &base, previous);
    let version = VersionRecord {
        serial: serial(n),
        at: at(n),
        by: "test".into(),
        reason: format!("version {n}"),
        forced: Vec::new(),
        entries: n,
        added: 1,
        removed: 0,
        replaced: 0,
        version: head.version_digest(),
        delta,
    };
    let signature = NoteSignature { name: "nobody".into(), key_hash: [0; 4], signature: vec![0; 64] };
    let note = Note { text: head.to_text(), signatures: vec![signature] };
    Ok(Record::Published { list: id(name), version, head: note.encode(), base })
}

/// Stages something and commits that.
pub fn stage(store: &Store, name: &str, text: &str) -> Result<u64, StoreError> {
    let changes = put(store.artefacts(), ArtefactKind::Changes, text)?;
    store.commit(&Record::Staged { list: id(name), changes: Some(changes), count: 1, at: at(1), by: "test".into() })
}

/// Publishes version `n` on the base of version `base`.
pub fn publish(store: &Store, name: &str, n: u64, base: u64) -> Result<u64, StoreError> {
    store.commit(&published(store.artefacts(), name, n, base)?)
}
