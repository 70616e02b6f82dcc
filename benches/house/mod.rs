//! A publisher for measuring, in a folder of its own, with fsyncs as they are.
#![allow(dead_code)] // each bench uses its part

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bwld::formats::{Format, ReadOptions};
use bwld::list::{Colour, ListId, Origin};
use bwld::publisher::{ImportMode, ImportOptions, ImportReport, NewList, PublishRequest, Publisher, PublisherOptions};
use bwld::store::{Catalog, RealDisk, Store, StoreOptions, SystemClock};
use bwld::trust::SecretKey;
use bwld::wire::{KeySet, ListSelection, RootKey, SigningKeyLine};

pub fn list() -> ListId {
    "bench".parse().expect("a list name")
}

/// A publisher with an empty black list.
pub fn publisher(dir: &Path) -> (Publisher, Arc<Store>, Arc<Catalog>) {
    let origin: Origin = "lists.example.org".parse().expect("an origin");
    let (root, signer) = (SecretKey::generate("root").expect("randomness"), SecretKey::generate("signing").expect("randomness"));
    let time = |text: &str| text.parse().expect("a time");
    let (from, until) = (time("2020-01-01T00:00:00Z"), time("2099-01-01T00:00:00Z"));
    let keyset = KeySet {
        origin: origin.clone(),
        number: 1,
        previous: None,
        threshold: 1,
        roots: vec![RootKey { name: "root".into(), key: root.public() }],
        signing: vec![SigningKeyLine { name: "signing".into(), key: signer.public(), from, until, lists: ListSelection::All }],
        issued: from,
    };
    let (store, _) = Store::open(dir, StoreOptions::default(), Arc::new(RealDisk), &mut |_| {}).expect("an empty folder");
    let (store, catalog) = (Arc::new(store), Arc::new(Catalog::default()));
    let options = PublisherOptions::new(origin);
    let publisher =
        Publisher::open(store.clone(), catalog.clone(), options, signer, Arc::new(SystemClock), Box::new(|_| ())).expect("opens");
    publisher.activate_keyset(&root.sign_note(keyset.to_text()).encode(), "bench").expect("a valid key set");
    let new = NewList {
        id: list(),
        colour: Colour::Black,
        title: "Bench".into(),
        categories: Vec::new(),
        owner: String::new(),
        licence: String::new(),
        source: String::new(),
        review: String::new(),
    };
    publisher.create_list(new, "bench").expect("a new list");
    (publisher, store, catalog)
}

pub fn import(publisher: &Publisher, path: &Path, mode: ImportMode) -> ImportReport {
    import_as(publisher, path, mode, Format::Domains)
}

pub fn import_as(publisher: &Publisher, path: &Path, mode: ImportMode, format: Format) -> ImportReport {
    let options =
        ImportOptions { read: ReadOptions { format: Some(format), ..ReadOptions::default() }, mode, strict: false, dry_run: false };
    let mut input = BufReader::with_capacity(64 << 10, File::open(path).expect("the corpus"));
    publisher.import(&list(), &mut input, &options, "bench").expect("imports")
}

pub fn publish(publisher: &Publisher) -> u64 {
    let report = publisher.publish(
        &list(),
        &PublishRequest { force: vec!["max-added".into(), "max-removed".into()], ..Default::default() },
        "bench",
    );
    report.expect("publishes").version.expect("something was staged").entries
}

/// The first `count` lines (all: `None`) of the corpus as a file in `dir`, and how many there are. Real names where ../shared/data/big is; else made up.
pub fn corpus(dir: &Path, count: Option<u64>) -> (PathBuf, u64, &'static str) {
    let path = dir.join("domains.txt");
    let mut out = BufWriter::new(File::create(&path).expect("a temporary file"));
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/big/domains-1120k.txt.zst");
    let most = count.unwrap_or(u64::MAX);
    let (lines, origin) = match File::open(real) {
        Ok(file) => {
            let mut lines = BufReader::new(zstd::Decoder::new(file).expect("zstd"));
            let (mut line, mut n) = (Vec::new(), 0);
            while n < most && lines.read_until(b'\n', &mut line).expect("readable") > 0 {
                out.write_all(&line).expect("room");
                line.clear();
                n += 1;
            }
            (n, "real domains")
        }
        Err(_) => {
            let n = most.min(1_120_582);
            for number in 0..n {
                // In order, of the length real ones have.
                writeln!(out, "{:08x}-{:05}.example-{}.net", number * 3_797, number % 99_991, number % 7).expect("room");
            }
            (n, "made-up domains: ../shared/data/big is not there")
        }
    };
    out.flush().expect("room");
    (path, lines, origin)
}

/// Peak resident memory since the start or the last [`forget_peak`], in octets.
pub fn peak() -> u64 {
    peak_of("self")
}

/// As [`peak`], of another process.
pub fn peak_of(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kib| kib << 10)
}

/// Makes [`peak`] begin anew.
pub fn forget_peak() -> io::Result<()> {
    std::fs::write("/proc/self/clear_refs", "5")
}

/// Resident memory now, in octets.
pub fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}
