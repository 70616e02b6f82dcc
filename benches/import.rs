//! Import and first publication of 1.12 million real domains, beside `LC_ALL=C sort -u` of the same file.
//!
//! Bar: at most 5 times the time of `sort -u`, at most 3 times the file in memory. The import ends with a signed version whose
//! every file is fsynced; `sort` ends with a file in the page cache.

mod house;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bwld::publisher::ImportMode;
use criterion::{Criterion, criterion_group, criterion_main};

fn bench(c: &mut Criterion) {
    let files = tempfile::tempdir().expect("a temporary folder");
    let (path, lines, origin) = house::corpus(files.path(), None);
    let size = std::fs::metadata(&path).expect("just written").len();
    println!("{lines} lines, {size} octets, {origin}");

    let (mut sorting, mut importing) = (Vec::new(), Vec::new());
    let mut group = c.benchmark_group("import and first publication");
    group.sample_size(10).measurement_time(Duration::from_secs(12));
    group.bench_function("sort -u", |b| {
        b.iter_custom(|times| {
            (0..times)
                .map(|_| {
                    let begin = Instant::now();
                    let sorted = Command::new("sort").arg("-u").arg(&path).env("LC_ALL", "C").stdout(Stdio::null()).status();
                    assert!(sorted.expect("sort is there").success());
                    sorting.push(begin.elapsed());
                    begin.elapsed()
                })
                .sum()
        });
    });
    house::forget_peak().ok();
    group.bench_function("bwld", |b| {
        b.iter_custom(|times| {
            (0..times)
                .map(|_| {
                    let dir = tempfile::tempdir().expect("a temporary folder");
                    let (publisher, ..) = house::publisher(dir.path());
                    let begin = Instant::now();
                    let report = house::import(&publisher, &path, ImportMode::Merge);
                    let read = begin.elapsed();
                    let entries = house::publish(&publisher);
                    let took = begin.elapsed();
                    importing.push((took, read));
                    assert_eq!(entries + report.duplicates + report.summary.issues_total, lines);
                    took
                })
                .sum()
        });
    });
    let peak = house::peak();
    group.bench_function("bwld, once more with 100 differences", |b| {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (publisher, ..) = house::publisher(dir.path());
        house::import(&publisher, &path, ImportMode::Merge);
        let entries = house::publish(&publisher);
        let other = files.path().join("other.txt");
        let text = std::fs::read_to_string(&path).expect("just written");
        let shorter: Vec<&str> = text.lines().enumerate().filter(|(n, _)| n % (lines as usize / 100) != 7).map(|(_, l)| l).collect();
        std::fs::write(&other, shorter.join("\n") + "\n").expect("room");
        b.iter(|| {
            let report = house::import(&publisher, &other, ImportMode::Replace);
            assert!((90..=101).contains(&report.staged.removed), "{}", report.staged.removed);
            assert_eq!(report.staged.added + report.staged.replaced, 0);
            assert_eq!(report.staged.unchanged + report.staged.removed, entries);
        });
    });
    group.finish();

    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    };
    let (sort, whole) = (median(sorting), median(importing.iter().map(|t| t.0).collect()));
    let read = median(importing.iter().map(|t| t.1).collect());
    if !sort.is_zero() && !whole.is_zero() {
        println!(
            "sort -u {sort:.2?}; import {read:.2?}, with publication {whole:.2?}: {:.2} times (bar 5)",
            whole.as_secs_f64() / sort.as_secs_f64()
        );
        println!("peak memory of this process {:.1} MB: {:.2} times the file (bar 3)", peak as f64 / 1e6, peak as f64 / size as f64);
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
