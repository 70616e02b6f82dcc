//! The life of an index: built, opened from a file, changed, and asked while it changes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bwld::list::{Change, ChangeSet, Entry};
use bwld::matcher::{Buffer, Index, Layers, Lists, Matcher, Question};

use super::allocator::counted;
use super::contest::median;
use super::corpus::{Corpus, Random};
use super::world::{World, about, build, lists, now};

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Building against sorting the same lines, taken in turns.
pub fn building(world: &World, rounds: usize) {
    let corpus = &world.corpus;
    let mut lines: Vec<String> = (0..corpus.names.len()).map(|n| corpus.line(n)).collect();
    Random::new().shuffle(&mut lines);
    let shuffled = lines.join("\n");
    drop(lines);
    let mut sorted: Vec<&str> = shuffled.lines().collect();
    sorted.sort_unstable();
    let in_order = sorted.join("\n");
    drop(sorted);
    let (mut sorts, mut builds, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let mut sorted: Vec<&str> = shuffled.lines().collect();
        let start = Instant::now();
        sorted.sort_unstable();
        sorts.push(ms(start.elapsed()));
        drop(sorted);
        let start = Instant::now();
        let index = build(about("names", 1), in_order.lines());
        builds.push(ms(start.elapsed()));
        assert!(index.octets() == world.base.octets(), "the order of the lines does not matter");
        ratios.push(builds[builds.len() - 1] / sorts[sorts.len() - 1]);
    }
    let (index, asked) = counted(|| build(about("names", 1), in_order.lines()));
    let rules = index.len() as f64;
    // A large index is mapped, past the allocator that counts.
    let peak = asked.peak as f64 + index.octets().len() as f64;
    println!("\nbuild {:.0} ms, sort {:.0} ms: {:.2} ×", median(&mut builds), median(&mut sorts), median(&mut ratios));
    println!("peak while building, the index included: at most {:.1} octets a rule ({:.0} MB)", peak / rules, peak / 1e6);
}

/// What of a mapped file is in this process's memory, in octets.
fn resident(path: &Path) -> u64 {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let mut lines = maps.lines().skip_while(|line| !line.ends_with(&*path.to_string_lossy()));
    let line = lines.find_map(|line| line.strip_prefix("Rss:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kib| kib << 10)
}

/// Opening from a file that the system has in its cache.
pub fn opening(world: &World) {
    let path = world.folder.path().join("again.index");
    std::fs::write(&path, world.base.octets()).expect("room");
    let mut times = Vec::new();
    let mut touched = 0;
    for _ in 0..21 {
        let start = Instant::now();
        let buffer = Buffer::map(&std::fs::File::open(&path).expect("there")).expect("maps");
        let index = Index::open(buffer).expect("an index");
        times.push(ms(start.elapsed()));
        touched = resident(&path);
        assert_eq!(index.len(), world.base.len());
    }
    let buffer = Buffer::map(&std::fs::File::open(&path).expect("there")).expect("maps");
    let lists = lists(Layers::new(Index::open(buffer).expect("an index").into()));
    let before = resident(&path);
    assert!(lists.ask(world.hit[0], now()).expect("a name").decided_by().is_some());
    println!("\nopen {:.3} ms; of {} octets {touched} are in the process's memory then", median(&mut times), world.base.octets().len());
    println!("(the system maps more around each page that is touched), and {} more after a look-up that hits", resident(&path) - before);
}

/// Changes that can be applied in this order: half add a rule, half take one away.
fn changes(corpus: &Corpus, delta: usize, size: usize) -> ChangeSet {
    let mut set = ChangeSet::default();
    for k in 0..size / 2 {
        let n = (delta * size + 2 * k) % corpus.names.len();
        let added: Entry = format!("domain:d{delta}.{}", corpus.names[n])
            .parse()
            .unwrap_or_else(|_| format!("domain:d{delta}-{n}.example.net").parse().expect("an entry"));
        set.push(Change::Add(added)).expect("each once");
        let removed: Entry = corpus.line((n + 1) % corpus.names.len()).parse().expect("an entry");
        set.push(Change::Remove(removed.rule())).expect("each once");
    }
    set
}

/// Deltas from the empty overlay until the list is to be folded, and the fold.
pub fn deltas(world: &World, most: usize) {
    let mut layers = Layers::new(world.base.clone());
    let mut times = Vec::new();
    while times.len() < most && !layers.wants_fold() {
        let set = changes(&world.corpus, times.len(), 1_000);
        let start = Instant::now();
        layers = layers.apply(about("names", times.len() as u64 + 2), &set).expect("applies");
        times.push(ms(start.elapsed()));
    }
    let lines: Vec<String> = (0..world.corpus.names.len()).map(|n| world.corpus.line(n)).collect();
    let start = Instant::now();
    drop(build(about("names", 1), lines.iter().map(String::as_str)));
    let rebuild = ms(start.elapsed());
    drop(lines);
    let start = Instant::now();
    let (folding, fold) = layers.begin_fold();
    let folded = folding.finish_fold(Arc::new(fold.run().expect("folds")));
    let fold = ms(start.elapsed());
    assert_eq!(folded.layers().len(), 1, "folded");
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    let most = times.iter().copied().fold(0.0, f64::max);
    println!(
        "\n{} deltas of 1,000 until the fold: mean {mean:.2} ms, median {:.2} ms, longest {most:.1} ms",
        times.len(),
        median(&mut times)
    );
    println!("a rebuild takes {rebuild:.0} ms: 1/{:.0} on average", rebuild / mean);
    println!("the fold, beside the look-ups, takes {fold:.0} ms: {:.2} ms for each of its deltas", fold / times.len() as f64);
    assert!(lists(folded).ask(&world.corpus.names[1], now()).expect("a name").decided_by().is_none(), "a rule that was taken away");
}

/// Ten deltas a second, and folds, until it is told to end. Says how many of each there were.
fn changing(matcher: &Matcher, corpus: &Corpus, end: &AtomicBool, fold_every: usize) -> (usize, usize) {
    let about_list = about("names", 1);
    let exchange = |change: &dyn Fn(&Layers) -> Layers| {
        let result: Result<(), bwld::matcher::IndexError> = matcher.update(|before: &Lists| {
            let layers = change(before.layers(&about_list.origin, &about_list.list).expect("it is there"));
            let mut state = before.states().next().expect("one list").clone();
            state.serial = Some(layers.about().serial);
            before.with_list(state, Some(layers))
        });
        result.expect("whole");
    };
    let (mut done, mut folds) = (0, 0);
    let start = Instant::now();
    while !end.load(Relaxed) {
        let set = changes(corpus, done, 100);
        exchange(&|layers| layers.apply(about("names", done as u64 + 2), &set).expect("applies"));
        done += 1;
        if done % fold_every == 0 {
            let begun = std::cell::OnceCell::new();
            exchange(&|layers| {
                let (layers, fold) = layers.begin_fold();
                assert!(begun.set(fold).is_ok(), "once");
                layers
            });
            let folded = Arc::new(begun.get().expect("begun").run().expect("folds"));
            exchange(&|layers| layers.finish_fold(folded.clone()));
            folds += 1;
        }
        let next = start + Duration::from_millis(100 * done as u64);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    (done, folds)
}

/// How long single look-ups take, one by one, in nanoseconds, the clock's own time included.
fn latencies(matcher: &Matcher, world: &World, span: Duration) -> Vec<f64> {
    let mut times = Vec::with_capacity(1 << 24);
    let (mut question, now) = (Question::new(), now());
    let end = Instant::now() + span;
    'all: loop {
        for text in &world.half {
            let start = Instant::now();
            question.set(text).expect("a question");
            std::hint::black_box(matcher.load().look_up(&question, now).decided_by().is_some());
            let done = Instant::now();
            times.push((done - start).as_nanos() as f64);
            if done > end || times.len() == times.capacity() {
                break 'all times;
            }
        }
    }
}

/// Look-ups while deltas arrive, against the same without.
pub fn beside(world: &World, span: Duration, fold_every: usize) {
    println!("\n| look-ups, half hits | p50 ns | p99 ns | p99.9 ns | mean ns | look-ups |\n|---|---:|---:|---:|---:|---:|");
    let matcher = Matcher::new(world.lists.clone());
    let print = |name: &str, mut times: Vec<f64>| {
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        times.sort_by(f64::total_cmp);
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
        println!("| {name} | {:.0} | {:.0} | {:.0} | {mean:.0} | {} |", at(0.5), at(0.99), at(0.999), times.len());
    };
    print("without deltas", latencies(&matcher, world, span));
    let end = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let writer = threads.spawn(|| changing(&matcher, &world.corpus, &end, fold_every));
        let times = latencies(&matcher, world, span);
        end.store(true, Relaxed);
        let (deltas, folds) = writer.join().expect("ends well");
        print(&format!("beside {deltas} deltas of 100 in {:.1} s, and {folds} folds", span.as_secs_f64()), times);
    });
    print("with these overlays, at rest", latencies(&matcher, world, span));
}
