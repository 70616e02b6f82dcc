//! What verification costs: the root after a small change against the root from scratch, reading a snapshot against hashing its
//! octets, a head against the bare signature. Made-up names; one million entries.

use std::{hint::black_box, time::Duration};

use bwld::{
    list::{Colour, Digest, ListId, Serial, Timestamp},
    trust::{SecretKey, Trusted},
    wire::{
        Head, KeySet, ListSelection, Root, RootKey, SigningKeyLine, SnapshotHeader, SnapshotReader, SnapshotRef, SnapshotWriter, Tree,
        TreeBuilder, bits_for, bucket_digest, bucket_of,
    },
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ed25519_dalek::{Signature, VerifyingKey};

const ENTRIES: u64 = 1_000_000;
const CHANGED: usize = 100;

fn lines() -> Vec<String> {
    // 7 digits, so that counting up is ascending order.
    (0..ENTRIES).map(|i| format!("domain:host-{i:07}.example.com\tcat=adult")).collect()
}

fn rule(line: &str) -> &str {
    line.split_once('\t').map_or(line, |(rule, _)| rule)
}

fn whole_root(lines: &[String], bits: u8) -> (Tree, Root) {
    let mut builder = TreeBuilder::new(bits);
    lines.iter().for_each(|line| builder.push(line));
    builder.finish()
}

fn root(c: &mut Criterion) {
    let lines = lines();
    let bits = bits_for(ENTRIES);
    let (tree, root) = whole_root(&lines, bits);
    // The buckets that 100 changes touch, as their lines: what a follower reads from its bucket file.
    let mut touched: Vec<(u32, Vec<u8>)> =
        lines.iter().step_by(lines.len() / CHANGED).map(|line| (bucket_of(rule(line), bits), Vec::new())).collect();
    for line in &lines {
        let b = bucket_of(rule(line), bits);
        for (_, text) in touched.iter_mut().filter(|(touched, _)| *touched == b) {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
    }
    let after = |tree: &mut Tree| {
        let leaves: Vec<(u32, Digest)> = touched.iter().map(|(b, text)| (*b, bucket_digest(text))).collect();
        tree.set(&leaves);
        tree.root(ENTRIES)
    };
    assert_eq!(after(&mut tree.clone()), root, "the same buckets, the same root");

    let mut group = c.benchmark_group("root of 1,000,000 entries");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    let mut mine = tree.clone();
    group.bench_function("after 100 changes", |b| b.iter(|| after(black_box(&mut mine))));
    group.bench_function("from scratch", |b| b.iter(|| whole_root(black_box(&lines), bits).1));
    group.finish();
}

fn snapshot(c: &mut Criterion) {
    let header = SnapshotHeader {
        origin: "lists.example.org".parse().expect("an origin"),
        list: "adult".parse().expect("a list name"),
        colour: Colour::Black,
        serial: Serial::FIRST,
        entries: ENTRIES,
    };
    let lines = lines();
    let write = || {
        let mut writer = SnapshotWriter::new(Vec::with_capacity(64 << 20), &header).expect("written to memory");
        lines.iter().for_each(|line| writer.push(line).expect("in order"));
        writer.finish().expect("all entries came")
    };
    let (bytes, digest, size) = write();
    let read = |bytes: &[u8]| {
        let mut reader = SnapshotReader::new(bytes, size).expect("a header");
        let mut octets = 0;
        while let Some(line) = reader.next_line().expect("a good line") {
            octets += line.len();
        }
        (reader.digest().0, octets)
    };
    assert_eq!(read(&bytes).0, digest);

    let mut group = c.benchmark_group("snapshot of 1,000,000 entries");
    group.sample_size(10).measurement_time(Duration::from_secs(3)).throughput(Throughput::Bytes(size));
    group.bench_function("read", |b| b.iter(|| read(black_box(&bytes))));
    group.bench_function("SHA-256 alone", |b| b.iter(|| Digest::of(black_box(&bytes))));
    group.bench_function("write", |b| b.iter(&write));
    group.finish();
}

fn head(c: &mut Criterion) {
    let now: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
    let list: ListId = "adult".parse().expect("a list name");
    let root_key = SecretKey::from_seed("root", &[1; 32]).expect("a name");
    let key = SecretKey::from_seed("signing", &[2; 32]).expect("a name");
    let signing =
        SigningKeyLine { name: "signing".to_owned(), key: key.public(), from: now, until: now.plus(86_400), lists: ListSelection::All };
    let keyset = KeySet {
        origin: "lists.example.org".parse().expect("an origin"),
        number: 1,
        previous: None,
        threshold: 1,
        roots: vec![RootKey { name: "root".to_owned(), key: root_key.public() }],
        signing: vec![signing],
        issued: now,
    };
    let digest = Digest([7; 32]);
    let head = Head {
        origin: keyset.origin.clone(),
        list: list.clone(),
        colour: Colour::Black,
        serial: Serial::new(1042).expect("from 1"),
        previous: Some(digest),
        root: Root { digest, bits: 11 },
        entries: 218_844,
        snapshot: SnapshotRef { serial: Serial::FIRST, digest, size: 4_718_592 },
        audit: None,
        keyset: 1,
        issued: now,
        expires: now.plus(86_400),
    };
    let trusted = Trusted::pin(root_key.sign_note(keyset.to_text()).encode().as_bytes(), &keyset.fingerprint()).expect("a good key set");
    let note = key.sign_note(head.to_text());
    let bytes = note.encode();
    let check = |bytes: &str| trusted.verify_head(bytes.as_bytes(), &list, None, None, now).expect("a good head");
    assert_eq!(check(&bytes).head(), &head);
    let public = VerifyingKey::from_bytes(&key.public()).expect("a key");
    let signature = Signature::from_slice(&note.signatures[0].signature).expect("64 octets");

    let mut group = c.benchmark_group("head");
    group.measurement_time(Duration::from_secs(2));
    group.bench_function("verify", |b| b.iter(|| check(black_box(&bytes))));
    group.bench_function("Ed25519 alone", |b| b.iter(|| public.verify_strict(black_box(note.text.as_bytes()), &signature).is_ok()));
    group.bench_function("sign", |b| b.iter(|| key.sign_note(black_box(&head).to_text()).encode()));
    group.finish();
}

criterion_group!(benches, root, snapshot, head);
criterion_main!(benches);
