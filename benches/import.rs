//! Import and first publication of 1.12 million real domains, beside `LC_ALL=C sort -u` of the same file; and what memory
//! 5 million lines take. And a million lines staged through the API beside the command and the publisher alone (bar: half as fast).
//!
//! Bars: at most 5 times the time of `sort -u` (file in order, in the publisher itself), at most 3 times the file in memory;
//! 5 million lines in at most 300 MB, which is asserted. The import ends with a signed version whose every file is
//! fsynced; `sort` ends with a file in the page cache. `sort` runs before every import, so that both see the same machine.

#[path = "import/daemon.rs"]
#[allow(dead_code, reason = "the search uses more of it")]
mod daemon;
mod house;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bwld::publisher::ImportMode;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, criterion_group, criterion_main};

use daemon::Daemon;

/// Most memory that the daemon may take for [`MANY`] lines, in octets.
const MEMORY: u64 = 300_000_000;
const MANY: u64 = 5_000_000;

fn sort(path: &Path) -> Duration {
    let begin = Instant::now();
    let sorted = Command::new("sort").arg("-u").arg(path).env("LC_ALL", "C").stdout(Stdio::null()).status();
    assert!(sorted.expect("sort is there").success());
    begin.elapsed()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Times of `sort -u`, of the whole and of the import alone where that is known, each run with its own `sort` before it.
#[derive(Default)]
struct Runs(Vec<(Duration, Duration, Option<Duration>)>);

impl Runs {
    fn print(&self, what: &str) {
        let sort = median(self.0.iter().map(|t| t.0.as_secs_f64() * 1e3).collect());
        let whole = median(self.0.iter().map(|t| t.1.as_secs_f64() * 1e3).collect());
        let read = median(self.0.iter().filter_map(|t| t.2).map(|t| t.as_secs_f64() * 1e3).collect());
        let ratio = median(self.0.iter().map(|t| t.1.as_secs_f64() / t.0.as_secs_f64()).collect());
        let alone = if read.is_nan() { String::new() } else { format!(" (import alone {read:.0} ms)") };
        println!("{what}: sort -u {sort:.0} ms; import and publication {whole:.0} ms{alone}: {ratio:.2} times");
    }
}

/// `run` imports the file and publishes, and says how long the whole and the import took; `sort -u` before each is not counted.
fn beside_sort(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, path: &Path, mut run: impl FnMut() -> (Duration, Option<Duration>)) {
    let mut runs = Runs::default();
    group.bench_function(name, |b| {
        b.iter_custom(|times| {
            let mut sum = Duration::ZERO;
            for _ in 0..times {
                let sorting = sort(path);
                let (whole, read) = run();
                runs.0.push((sorting, whole, read));
                sum += whole;
            }
            sum
        });
    });
    if !runs.0.is_empty() {
        runs.print(name);
    }
}

/// Import and publication in a publisher of its own.
fn in_process(path: &Path, lines: u64) -> (Duration, Option<Duration>) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (publisher, ..) = house::publisher(dir.path());
    let begin = Instant::now();
    let report = house::import(&publisher, path, ImportMode::Merge);
    let read = begin.elapsed();
    let entries = house::publish(&publisher);
    let whole = begin.elapsed();
    assert_eq!(entries + report.duplicates + report.summary.issues_total, lines);
    (whole, Some(read))
}

/// The same through command line and HTTP.
fn through_daemon(path: &Path) -> (Duration, Option<Duration>) {
    let daemon = Daemon::start();
    let begin = Instant::now();
    daemon.import_and_publish(path, "domains");
    (begin.elapsed(), None)
}

/// The lines of a file in an order that is always the same and has no order.
fn shuffled(path: &Path, to: &Path) {
    let text = std::fs::read_to_string(path).expect("just written");
    let mut lines: Vec<&str> = text.lines().collect();
    let mut state = 0x5EED_u64;
    for last in (1..lines.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        lines.swap(last, (state >> 33) as usize % (last + 1));
    }
    std::fs::write(to, lines.join("\n") + "\n").expect("room");
}

fn times(c: &mut Criterion) {
    let files = tempfile::tempdir().expect("a temporary folder");
    let (path, lines, origin) = house::corpus(files.path(), None);
    let size = std::fs::metadata(&path).expect("just written").len();
    println!("{lines} lines, {size} octets, {origin}");
    let mixed = files.path().join("mixed.txt");
    shuffled(&path, &mixed);

    let mut group = c.benchmark_group("import and first publication");
    group.sample_size(10).measurement_time(Duration::from_secs(12));
    for (name, path) in [("file in order", &path), ("file in no order", &mixed)] {
        house::forget_peak().ok();
        beside_sort(&mut group, name, path, || in_process(path, lines));
        let peak = house::peak();
        println!("peak memory of this process {:.1} MB: {:.2} times the file (bar 3)", peak as f64 / 1e6, peak as f64 / size as f64);
    }
    beside_sort(&mut group, "through command line and HTTP", &path, || through_daemon(&path));
    group.bench_function("once more with 100 differences", |b| {
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
}

/// One file of 1,000,000 lines staged in three ways, by turns: by the publisher alone, by one request to the daemon, by `bwld import`.
fn ways(c: &mut Criterion) {
    let files = tempfile::tempdir().expect("a temporary folder");
    let (path, lines, origin) = house::corpus(files.path(), Some(1_000_000));
    let mut group = c.benchmark_group(format!("staging {lines} lines"));
    group.sampling_mode(SamplingMode::Flat).sample_size(10).measurement_time(Duration::from_secs(12));
    let (mut alone, mut request, mut command) = (Vec::new(), Vec::new(), Vec::new());
    let timed = |times: &mut Vec<f64>, run: &dyn Fn()| {
        let begin = Instant::now();
        run();
        let took = begin.elapsed();
        times.push(took.as_secs_f64() * 1e3);
        took
    };
    group.bench_function("by one request", |b| {
        b.iter_custom(|times| {
            (0..times)
                .map(|_| {
                    let dir = tempfile::tempdir().expect("a temporary folder");
                    let (publisher, ..) = house::publisher(dir.path());
                    timed(&mut alone, &|| drop(house::import(&publisher, &path, ImportMode::Merge)));
                    let (one, other) = (Daemon::start(), Daemon::start());
                    timed(&mut command, &|| one.import(&path));
                    timed(&mut request, &|| other.post(&path))
                })
                .sum()
        });
    });
    group.finish();
    let (alone, request, command) = (median(alone), median(request), median(command));
    println!(
        "{lines} lines ({origin}) staged by the publisher alone {alone:.0} ms, by one request {request:.0} ms, by the command {command:.0} ms: \
         a request is {:.2} times as fast as the command (bar: 0.5) and {:.2} times as fast as the publisher alone",
        command / request,
        alone / request
    );
}

/// A file of `count` distinct names, in order or in none.
fn made_up(dir: &Path, count: u64, ordered: bool) -> PathBuf {
    let path = dir.join(if ordered { "ordered.txt" } else { "mixed.txt" });
    let mut out = BufWriter::new(File::create(&path).expect("a temporary file"));
    for number in 0..count {
        // An odd factor maps 32 bits onto themselves: distinct, and in no order.
        let first = if ordered { number * 800 } else { (number * 2_654_435_761) & 0xffff_ffff };
        writeln!(out, "{first:08x}.example-{}.net", number % 997).expect("room");
    }
    out.flush().expect("room");
    path
}

/// Not a time, so it can be asserted: what the built daemon takes for 5 million lines. Few where the program is not optimised.
fn memory(_: &mut Criterion) {
    let count = if std::env::args().any(|arg| arg == "--bench") { MANY } else { MANY / 100 };
    for ordered in [true, false] {
        let files = tempfile::tempdir().expect("a temporary folder");
        let path = made_up(files.path(), count, ordered);
        let size = std::fs::metadata(&path).expect("just written").len();
        let daemon = Daemon::start();
        let begin = Instant::now();
        daemon.import_and_publish(&path, "domains");
        let took = begin.elapsed();
        let (entries, peak) = (daemon.entries(), daemon.peak());
        println!(
            "{count} lines, {:.0} MB, {}: the daemon imported and published them in {took:.2?} and took at most {:.1} MB (bar 300)",
            size as f64 / 1e6,
            if ordered { "in order" } else { "in no order" },
            peak as f64 / 1e6
        );
        assert_eq!(entries, count);
        assert!(peak > 0 && peak <= MEMORY, "{peak} octets of memory");
    }
}

criterion_group!(benches, times, ways, memory);
criterion_main!(benches);
