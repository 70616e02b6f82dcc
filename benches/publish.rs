//! Publishing 100 changes on a list of 10,000 and on one of 1,000,000 entries, fsyncs included; and a follower's work for such
//! a delta beside loading the snapshot.
//!
//! Bars: the large list costs at most twice the small one; applying the delta at most 1/100 of loading the snapshot.

mod house;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bwld::publisher::{ChangeRequest, ImportMode, Publisher, PutEntry};
use bwld::store::{ArtefactKind, BaseWriter, Catalog, Content, RealDisk, Store};
use bwld::wire::{Delta, SnapshotReader, ZstdReader, decompress};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};

/// 100 changes: in turn 50 put and 50 removed, so that the list keeps its size.
fn change(publisher: &Publisher, round: u64, first: bool) {
    let name = |round: u64, n: u64| format!("n{:016x}.added.example", (round * 100 + n).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let put = (0..50).map(|n| PutEntry { rule: name(round, n), attributes: Default::default() }).collect();
    let remove = if first { Vec::new() } else { (0..50).map(|n| name(round - 1, n)).collect() };
    let view = publisher.stage(&house::list(), &ChangeRequest { put, remove, dry_run: false }, "bench").expect("stages");
    assert_eq!(view.added, 50);
}

/// The follower's two ways to the newest version: the newest delta on what it has, or the snapshot into a base of its own.
fn follow(c: &mut Criterion, store: &Store, catalog: &Catalog, entries: u64) -> (f64, f64) {
    let published = catalog.get(&house::list()).expect("published");
    let (base, newest) = (published.bases.last().expect("a base"), published.deltas.last().expect("a delta"));
    let stored = store.artefacts().read(ArtefactKind::Delta, &newest.digest, newest.zst).expect("kept");
    let snapshot = store.artefacts().read(ArtefactKind::Snapshot, &base.snapshot, base.snapshot_zst).expect("kept");
    let opened = Content::open(&store.artefacts().path(ArtefactKind::Buckets, &base.buckets)).expect("kept");
    let read = |d: &bwld::store::DeltaRef| {
        let stored = store.artefacts().read(ArtefactKind::Delta, &d.digest, d.zst).expect("kept");
        Delta::parse(&decompress("delta", &stored, d.size).expect("whole")).expect("a delta")
    };
    let since = published.deltas.iter().filter(|d| d.from >= base.serial && d.from < newest.from);
    let before = since.fold(opened, |content, d| content.apply(&read(d).changes).expect("fits"));

    let (mut by_delta, mut by_snapshot) = (Vec::new(), Vec::new());
    let mut group = c.benchmark_group(format!("a follower of {entries} entries comes to the newest version"));
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    group.bench_function("by the delta", |b| {
        b.iter_custom(|times| {
            let begin = Instant::now();
            for _ in 0..times {
                let delta = Delta::parse(&decompress("delta", &stored, newest.size).expect("whole")).expect("a delta");
                let after = before.apply(&delta.changes).expect("fits");
                assert_eq!(after.root(), published.head.root);
            }
            by_delta.push(begin.elapsed().as_secs_f64() / times as f64);
            begin.elapsed()
        });
    });
    let dir = tempfile::tempdir().expect("a temporary folder");
    group.bench_function("by the snapshot", |b| {
        b.iter_custom(|times| {
            let begin = Instant::now();
            for _ in 0..times {
                let zstd = ZstdReader::new("snapshot", &snapshot[..], base.snapshot_size).expect("zstd");
                let mut lines = SnapshotReader::new(zstd, base.snapshot_size).expect("a snapshot");
                let mut writer = BaseWriter::new(base.bits, dir.path());
                while let Some(line) = lines.next_line().expect("whole") {
                    writer.push(line).expect("room");
                }
                let built = writer.finish_at(&RealDisk, &dir.path().join("base.buckets")).expect("room");
                assert_eq!(built.entries, base.entries);
            }
            by_snapshot.push(begin.elapsed().as_secs_f64() / times as f64);
            begin.elapsed()
        });
    });
    group.finish();
    (median(by_delta), median(by_snapshot))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

fn bench(c: &mut Criterion) {
    let files = tempfile::tempdir().expect("a temporary folder");
    let mut medians = BTreeMap::new();
    let mut houses = Vec::new();
    for entries in [10_000_u64, 1_000_000] {
        let (path, lines, origin) = house::corpus(files.path(), Some(entries));
        assert_eq!(lines, entries);
        println!("{lines} entries, {origin}");
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (publisher, store, catalog) = house::publisher(dir.path());
        house::import(&publisher, &path, ImportMode::Merge);
        house::publish(&publisher);
        houses.push((entries, publisher, store, catalog, dir));
    }
    let mut group = c.benchmark_group("publish 100 changes");
    group.sample_size(40).measurement_time(Duration::from_secs(8));
    for (entries, publisher, ..) in &houses {
        let (round, times) = (RefCell::new(0), RefCell::new(Vec::new()));
        group.bench_function(BenchmarkId::from_parameter(entries), |b| {
            b.iter_batched(
                || {
                    change(publisher, *round.borrow(), *round.borrow() == 0);
                    *round.borrow_mut() += 1;
                },
                |()| {
                    let begin = Instant::now();
                    house::publish(publisher);
                    times.borrow_mut().push(begin.elapsed().as_secs_f64());
                },
                BatchSize::PerIteration,
            );
        });
        medians.insert(*entries, median(times.into_inner()));
    }
    group.finish();
    for (entries, publisher, ..) in &houses {
        // For the case that this bench was filtered out above.
        change(publisher, 1 << 40, true);
        house::publish(publisher);
        assert!(publisher.check().problems.is_empty(), "of {entries}");
    }
    let (_, _, store, catalog, _) = &houses[1];
    let (delta, snapshot) = follow(c, store, catalog, 1_000_000);

    let (small, large) = (medians[&10_000], medians[&1_000_000]);
    println!(
        "publishing 100 changes, fsyncs included: {:.2} ms on 10,000, {:.2} ms on 1,000,000: {:.2} times (bar 2)",
        small * 1e3,
        large * 1e3,
        large / small
    );
    println!("by the delta {:.3} ms, by the snapshot {:.1} ms: 1/{:.0} (bar 1/100)", delta * 1e3, snapshot * 1e3, snapshot / delta);
}

criterion_group!(benches, bench);
criterion_main!(benches);
