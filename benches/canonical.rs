//! What does it cost to bring a host name to canonical form and make a rule of it?
//!
//! Beside it the obvious alternative: always through the IDNA tables, and the URL parser for every host.

mod names;

use std::{hint::black_box, time::Duration};

use bwld::list::{Kind, Rule, canonical_domain};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn canonical(c: &mut Criterion) {
    let names = names::names(100_000, 11);
    let mut group = c.benchmark_group("canonical");
    group.sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(names.len() as u64));
    group.bench_function("rule into a reused buffer", |b| {
        let mut out = String::new();
        b.iter(|| {
            for name in &names {
                out.clear();
                let _ = black_box(Rule::write(Kind::Domain, black_box(name), &mut out));
            }
        });
    });
    group.bench_function("rule as a value", |b| {
        b.iter(|| names.iter().filter_map(|n| Rule::new(Kind::Domain, n).ok()).for_each(|r| drop(black_box(r))))
    });
    group.bench_function("domain as a string", |b| {
        b.iter(|| names.iter().filter_map(|n| canonical_domain(n).ok()).for_each(|r| drop(black_box(r))))
    });
    group.bench_function("alternative: idna for every name", |b| {
        b.iter(|| {
            for name in &names {
                let ascii = idna::domain_to_ascii(black_box(name)).unwrap_or_default();
                let suffix = psl::suffix(ascii.as_bytes()).is_some_and(|s| s.as_bytes().len() == ascii.len());
                let _ = black_box((format!("domain:{ascii}"), suffix));
            }
        });
    });
    group.bench_function("alternative: url parser for every name", |b| {
        b.iter(|| {
            for name in &names {
                let host = url::Host::parse(black_box(name)).map(|h| h.to_string()).unwrap_or_default();
                let suffix = psl::suffix(host.as_bytes()).is_some_and(|s| s.as_bytes().len() == host.len());
                let _ = black_box((format!("domain:{host}"), suffix));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, canonical);
criterion_main!(benches);
