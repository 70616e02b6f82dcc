//! A search over 1,000,000 entries: of a list in bulk, of entries under administration, and through HTTP.
//!
//! Bar: 50 ms, median over the kinds of question, each kind with few hits, many and none. Beside each question the obvious
//! alternative, by turns with ours in one run: a pass over the same entries in memory, each read as an entry, up to a full page
//! (so it has already what costs most: the lines); through HTTP `grep` over a file. What both find is compared before anything is
//! measured.
//!
//!     cargo bench --bench search
//!     cargo bench --bench search -- --test     20,000 entries, once

#[path = "import/daemon.rs"]
#[allow(dead_code, reason = "the import uses more of it")]
mod daemon;
mod house;
mod names;
#[path = "search/questions.rs"]
mod questions;
#[path = "search/world.rs"]
mod world;

use std::cell::RefCell;
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use bwld::desk::{Desk, Page, Search};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, criterion_group, criterion_main};

use daemon::Daemon;
use questions::{Question, Searched, of_cases, of_entries};

/// Entries of the list, and cases of the desk.
fn count() -> usize {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    if has("--bench") && !has("--test") { 1_000_000 } else { 20_000 }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Ours and the other's times of a question, in turns.
#[derive(Default)]
struct Turns(Vec<Duration>, Vec<Duration>);

fn timed<T>(times: &mut Vec<Duration>, run: impl FnOnce() -> T) -> Duration {
    let begin = Instant::now();
    black_box(run());
    let took = begin.elapsed();
    times.push(took);
    took
}

fn ask(
    group: &mut BenchmarkGroup<'_, WallTime>,
    question: &Question,
    ours: impl Fn(&Search) -> Page,
    other: impl Fn(&Search) -> usize,
) -> Turns {
    let mut turns = Turns::default();
    group.bench_function(question.name, |b| {
        b.iter_custom(|times| {
            (0..times)
                .map(|_| {
                    // The pass may take seconds: a few are enough.
                    if turns.1.len() < 5 {
                        timed(&mut turns.1, || other(&question.search));
                    }
                    timed(&mut turns.0, || ours(&question.search))
                })
                .sum()
        });
    });
    turns
}

fn tell(what: &str, questions: &[Question], turns: Vec<Turns>) {
    println!("{what}: median of ours, of a pass in memory, ratio, our longest");
    let mut medians = Vec::new();
    for (question, Turns(mut ours, mut other)) in questions.iter().zip(turns) {
        let (median, other) = (median(&mut ours), median(&mut other));
        let longest = ours.last().copied().unwrap_or_default();
        let ratio = other.as_secs_f64() / median.as_secs_f64().max(1e-9);
        println!("  {:44} {median:>9.2?} {other:>9.2?} {ratio:>7.1} x {longest:>9.2?}", question.name);
        medians.push(median);
    }
    let worst = medians.iter().max().copied().unwrap_or_default();
    println!("{what}: median over {} kinds of question {:.2?}, worst kind {worst:.2?} (bar: 50 ms)", medians.len(), median(&mut medians));
}

/// Measures these questions to a desk beside a pass over `all`.
fn measure<T: Searched>(c: &mut Criterion, what: &str, desk: &Desk, all: &[T], questions: &[Question]) {
    let ours = |search: &Search| desk.search(search).expect("an answer");
    let other = |search: &Search| all.iter().filter(|one| one.is_meant(search)).take(search.limit).count();
    for question in questions.iter().filter(|question| question.search.cursor.is_empty()) {
        assert_eq!(ours(&question.search).found.len(), other(&question.search), "{}", question.name);
    }
    let mut group = c.benchmark_group(what);
    group
        .sampling_mode(SamplingMode::Flat)
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(1));
    let turns = questions.iter().map(|question| ask(&mut group, question, ours, other)).collect();
    group.finish();
    tell(what, questions, turns);
}

fn entries(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (file, lines) = world::corpus(dir.path(), count());
    let desk = world::with_entries(&dir.path().join("publisher"), &file, lines.len());
    measure(c, &format!("search of {} entries", lines.len()), &desk, &lines, &of_entries(&desk));
}

fn cases(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (desk, cases) = world::with_cases(dir.path(), count());
    measure(c, &format!("search of {} cases", cases.len()), &desk, &cases, &of_cases(&desk, &cases));
}

/// Through the built program, beside `grep` over a file of the same lines.
fn http(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (file, lines) = world::corpus(dir.path(), count());
    let daemon = Daemon::start();
    daemon.import_and_publish(&file, "bwld");
    let ask = RefCell::new(daemon.asking());
    let what = format!("search of {} entries over HTTP", lines.len());
    let mut group = c.benchmark_group(&what);
    group.sampling_mode(SamplingMode::Flat).sample_size(10).measurement_time(Duration::from_secs(1));
    let no_hit = "no-such-name-anywhere";
    for (name, text, query) in [
        ("text, many hits", "shop", "text=shop"),
        ("text, no hit", no_hit, "text=no-such-name-anywhere"),
        ("category, few hits", "cat=seldom", "category=seldom"),
        ("reason, no hit", "rsn=never", "reason=never"),
    ] {
        let mut turns = Turns::default();
        let grep = || Command::new("grep").args(["-F", "-m", "50", text]).arg(&file).env("LC_ALL", "C").output().expect("grep is there");
        let path = format!("entries?limit=50&{query}");
        let page: Page = serde_json::from_slice(&ask.borrow_mut()(&path)).expect("a page");
        assert_eq!(page.found.len(), String::from_utf8(grep().stdout).expect("text").lines().count(), "{name}");
        group.bench_function(name, |b| {
            b.iter_custom(|times| {
                (0..times)
                    .map(|_| {
                        timed(&mut turns.1, grep);
                        timed(&mut turns.0, || ask.borrow_mut()(&path))
                    })
                    .sum()
            });
        });
        let (ours, other) = (median(&mut turns.0), median(&mut turns.1));
        println!("{what}, {name}: {ours:.2?}, longest {:.2?}; grep {other:.2?}", turns.0.last().copied().unwrap_or_default());
    }
    group.finish();
}

criterion_group!(benches, entries, http, cases);
criterion_main!(benches);
