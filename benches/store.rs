//! What a commit costs beside the fsync that no durable commit can do without, and what a start costs beside reading the file.
//!
//! No bar: the commit is the fsync, and a start that makes the index anew is rare. `BWLD_STORE_FRAMES` (10,000) sets the size.

use std::{fs, hint::black_box, path::Path, sync::Arc};

use bwld::list::{Digest, ListId, Serial, Timestamp};
use bwld::store::faults::HastyDisk;
use bwld::store::{ArtefactKind, BaseRef, Disk, IndexKind, IndexRecovery, ListMeta, RealDisk, Record, Store, StoreOptions, VersionRecord};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

fn list() -> ListId {
    "adult".parse().expect("a name")
}

fn open(dir: &Path, index: IndexKind, disk: Arc<dyn Disk>) -> (Store, IndexRecovery) {
    let options = StoreOptions { index, ..StoreOptions::default() };
    let (store, recovery) = Store::open(dir, options, disk, &mut |_| {}).expect("opens");
    (store, recovery.index)
}

/// A folder with a list whose base is there.
fn prepared(dir: &Path, disk: Arc<dyn Disk>) -> Store {
    let (store, _) = open(dir, IndexKind::Sled, disk);
    for kind in [ArtefactKind::Snapshot, ArtefactKind::Buckets] {
        store.artefacts().put(kind, &Digest::of("base"), b"base").expect("stored");
    }
    let at = Timestamp::from_unix(1_800_000_000);
    let meta = ListMeta {
        id: list(),
        colour: "black".parse().expect("a colour"),
        title: "Adult content".into(),
        categories: Vec::new(),
        owner: "bench".into(),
        licence: "CC0-1.0".into(),
        source: String::new(),
        review: String::new(),
        created: at,
    };
    store.commit(&Record::List { meta, at, by: "bench".into() }).expect("committed");
    store
}

/// A publication as large as real ones are: the head is a note of some 800 octets.
fn published(n: u64) -> Record {
    let serial = Serial::new(n).expect("a serial");
    let base = BaseRef {
        serial: Serial::FIRST,
        snapshot: Digest::of("base"),
        snapshot_size: 4_718_592,
        snapshot_zst: 1_000_000,
        buckets: Digest::of("base"),
        bits: 11,
        entries: 218_844,
    };
    let version = VersionRecord {
        serial,
        at: Timestamp::from_unix(1_800_000_000 + n),
        by: "operator".into(),
        reason: "new reports of the day".into(),
        forced: Vec::new(),
        entries: 218_844,
        added: 12,
        removed: 3,
        replaced: 0,
        version: Digest::of(n.to_be_bytes()),
        delta: None,
    };
    Record::Published { list: list(), version, head: "h".repeat(800), base }
}

fn commit(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a folder");
    let store = prepared(&dir.path().join("store"), Arc::new(RealDisk));
    let octets = published(1).encode().len();
    let mut group = c.benchmark_group("commit");
    group.sample_size(50);
    let mut n = 0;
    group.bench_function("store: journal, fsync, index", |b| {
        b.iter(|| {
            n += 1;
            store.commit(&published(n)).expect("committed")
        });
    });
    assert_eq!(store.versions(&list(), None, 1).expect("readable")[0].serial.get(), n);
    let file = RealDisk.create(&dir.path().join("bare"), false).expect("created");
    let bytes = vec![7; octets];
    group.bench_function("bare: append, fsync", |b| {
        b.iter(|| {
            RealDisk.append(&file, &bytes).expect("written");
            RealDisk.sync(&file).expect("durable");
        });
    });
    group.finish();
}

fn start(c: &mut Criterion) {
    let frames = std::env::var("BWLD_STORE_FRAMES").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000u64);
    let dir = tempfile::tempdir().expect("a folder");
    let store = prepared(dir.path(), Arc::new(HastyDisk));
    for n in 1..=frames {
        store.commit(&published(n)).expect("committed");
    }
    drop(store);
    let mut group = c.benchmark_group(format!("start with {frames} frames"));
    group.sample_size(10);
    let whole = |found: (Store, IndexRecovery), current: bool| {
        assert_eq!(found.0.versions(&list(), None, 1).expect("readable")[0].serial.get(), frames);
        assert_eq!(found.1 == IndexRecovery::Current, current);
    };
    group.bench_function("index current", |b| {
        b.iter(|| whole(open(dir.path(), IndexKind::Sled, Arc::new(HastyDisk)), true));
    });
    group.bench_function("index made anew, sled", |b| {
        let gone = || fs::remove_dir_all(dir.path().join("index")).expect("removed");
        b.iter_batched(gone, |()| whole(open(dir.path(), IndexKind::Sled, Arc::new(HastyDisk)), false), BatchSize::PerIteration);
    });
    group.bench_function("index made anew, in memory", |b| {
        b.iter(|| whole(open(dir.path(), IndexKind::Memory, Arc::new(HastyDisk)), false));
    });
    group.bench_function("bare: read the journal's files and hash them", |b| {
        b.iter(|| {
            for entry in fs::read_dir(dir.path().join("journal")).expect("there").flatten() {
                black_box(Digest::of(fs::read(entry.path()).expect("readable")));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, commit, start);
criterion_main!(benches);
