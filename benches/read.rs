//! What does it cost to read a list of other people's making, from bytes to canonical lines?
//!
//! Beside it the obvious alternative: `BufRead::lines`, the IDNA crate and the suffix list for every name, without issues, places or hints.

use std::{fmt::Write as _, fs::File, hint::black_box, io::BufRead as _, io::Read as _, path::Path, time::Duration};

use bwld::formats::{self, Format, Item, ReadError, ReadOptions};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// 200,000 names: of a real list where there is one, else made up in its likeness.
fn names() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/big/domains-1120k.txt.zst");
    let mut text = String::new();
    let read = File::open(path).and_then(zstd::stream::Decoder::new).and_then(|mut d| d.read_to_string(&mut text));
    let all: Vec<&str> = text.lines().filter(|l| !l.contains('*')).collect();
    if read.is_ok() && all.len() > 1_000_000 {
        return all.iter().step_by(5).take(200_000).map(|l| (*l).to_owned()).collect();
    }
    (0..200_000_u64).map(|n| format!("w{}.ads-{:x}.example-{}.com", n % 7, n.wrapping_mul(0x9e37_79b9), n % 1000)).collect()
}

fn entries(text: &str, format: Format) -> u64 {
    let options = ReadOptions { format: Some(format), ..ReadOptions::default() };
    let read = formats::read::<ReadError>(text.as_bytes(), &options, |handed| {
        black_box(matches!(handed, Item::Put(line) if line.is_empty()));
        Ok(())
    });
    read.map_or(0, |summary| summary.entries)
}

fn read(c: &mut Criterion) {
    let names = names();
    let mut forms = [
        (Format::Domains, String::new()),
        (Format::Hosts, String::new()),
        (Format::Csv, "domain,category\n".to_owned()),
        (Format::Bwld, String::new()),
    ];
    for name in &names {
        for (format, text) in &mut forms {
            let _ = match format {
                Format::Domains => writeln!(text, "{name}"),
                Format::Hosts => writeln!(text, "0.0.0.0 {name}"),
                Format::Csv => writeln!(text, "{name},ads"),
                Format::Bwld => writeln!(text, "domain:{name}\tcat=ads"),
            };
        }
    }
    let mut group = c.benchmark_group("read");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Elements(names.len() as u64));
    let expected = entries(&forms[0].1, Format::Domains);
    assert!(expected * 100 > names.len() as u64 * 99, "{expected} of {}", names.len());
    for (format, text) in &forms {
        assert_eq!(entries(text, *format), expected, "{format:?} says the same");
        group.bench_function(format!("{format:?}"), |b| b.iter(|| entries(text, *format)));
    }
    group.bench_function("alternative: lines, idna, psl", |b| {
        b.iter(|| {
            let mut octets = 0;
            for line in forms[0].1.as_bytes().lines().map_while(Result::ok) {
                let Ok(name) = idna::domain_to_ascii(line.trim()) else { continue };
                if psl::suffix(name.as_bytes()).is_some_and(|suffix| suffix.as_bytes().len() < name.len()) {
                    octets += black_box(format!("domain:{name}")).len();
                }
            }
            octets
        });
    });
    group.finish();
}

criterion_group!(benches, read);
criterion_main!(benches);
