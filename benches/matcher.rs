//! The matching core against what the memory allows and against the obvious alternatives: from a text to a verdict.
//!
//! `cargo bench --bench matcher` prints tables first, in which questions and reads take turns in one process, so that their
//! ratios hold on a machine that others use too; then the same questions in criterion's group `look-up`. Every table
//! asserts that the answers are right, by a hash map with a suffix walk.
//!
//! `BWLD_RULES=5000000` asks a larger list (usual: 1,000,000); `BWLD_PARTS=tables,batches,adblock,build,open,deltas,beside,criterion`
//! only some of it. For figures, pin the finished program: `taskset -c 1 target/release/deps/matcher-HASH --bench`; the
//! part `beside` needs two cores.

#[path = "matcher/allocator.rs"]
mod allocator;
#[path = "matcher/contest.rs"]
mod contest;
#[path = "matcher/corpus.rs"]
mod corpus;
#[path = "matcher/life.rs"]
mod life;
#[path = "matcher/reads.rs"]
mod reads;
#[path = "matcher/rivals.rs"]
mod rivals;
#[path = "matcher/tables.rs"]
mod tables;
#[path = "matcher/world.rs"]
mod world;

use std::time::Duration;

use bwld::matcher::{BATCH, Lists, Question};
use contest::Effort;
use corpus::Texts;
use criterion::{Criterion, Throughput};
use world::{World, asking, now};

/// Questions that criterion has answered in one go.
const SOME: usize = 1_000;

fn look_up(c: &mut Criterion, world: &mut World) {
    let fst = rivals::Fst::new(&world.corpus);
    let engine = rivals::Adblock::new(&world.corpus);
    let mut reads = reads::Reads::new(world.base.octets().len(), false, &mut world.random);
    let world = &*world;
    let mut group = c.benchmark_group("look-up");
    group.sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    group.throughput(Throughput::Elements(SOME as u64));
    group.bench_function("dependent read", |b| b.iter(|| reads.dependent(SOME)));
    group.bench_function("independent read", |b| b.iter(|| reads.independent(SOME)));
    group.bench_function("prefetched read", |b| b.iter(|| reads.prefetched(SOME)));
    let mut bench = |name: &str, texts: &Texts, listed: &mut dyn FnMut(&'static str) -> bool| {
        let mut all = texts.chunks_exact(SOME).cycle();
        group.bench_function(name, |b| {
            b.iter(|| all.next().map_or(0, |some| some.iter().filter(|text| listed(text)).count()));
        });
    };
    for (kind, texts) in [("miss", &world.miss), ("half hits", &world.half), ("hit", &world.hit), ("deep", &world.deep)] {
        bench(&format!("index, {kind}"), texts, &mut asking(&world.lists));
        bench(&format!("hash map, {kind}"), texts, &mut |text| world.walk.listed(text));
        bench(&format!("fst, {kind}"), texts, &mut |text| fst.listed(text));
    }
    bench("index, URL hit", &world.urls.0, &mut asking(&world.others));
    bench("index, URL miss", &world.urls.1, &mut asking(&world.others));
    bench("index, address hit", &world.addresses.0, &mut asking(&world.others));
    bench("index, address miss", &world.addresses.1, &mut asking(&world.others));
    bench("adblock, URL on a listed host", &world.urls.0, &mut |url| engine.listed(url));
    group.bench_function("index, batch, half hits", |b| batches(b, &world.lists, &world.half));
    group.finish();
}

fn batches(b: &mut criterion::Bencher<'_>, lists: &Lists, texts: &Texts) {
    let (mut questions, now) = (vec![Question::new(); BATCH], now());
    let mut all = texts.chunks_exact(SOME).cycle();
    b.iter(|| {
        let mut found = 0;
        for some in all.next().unwrap_or_default().chunks(BATCH) {
            for (question, text) in questions.iter_mut().zip(some) {
                question.set(text).expect("a question");
            }
            lists.look_up_batch(&questions[..some.len()], now, |_, verdict| found += usize::from(verdict.decided_by().is_some()));
        }
        found
    });
}

fn main() {
    // cargo passes --bench to measure, and nothing (or --test) to ask whether it runs.
    let measuring = std::env::args().any(|a| a == "--bench") && !std::env::args().any(|a| a == "--test");
    let rules = std::env::var("BWLD_RULES").ok().and_then(|n| n.parse().ok()).filter(|_| measuring);
    let rules = rules.unwrap_or(if measuring { 1_000_000 } else { 20_000 });
    let effort = if measuring { Effort { rounds: 7, turns: 40 } } else { Effort { rounds: 1, turns: 2 } };
    let parts = std::env::var("BWLD_PARTS").unwrap_or_default();
    let wanted = |part: &str| parts.is_empty() || parts.split(',').any(|p| p == part);

    let mut world = World::new(rules);
    println!("{rules} rules; index {} octets, {} of them hot", world.base.octets().len(), world.base.hot_size());
    let octets: usize = world.corpus.names.iter().map(|name| name.len()).sum();
    println!("a name has {:.1} octets on average", octets as f64 / rules as f64);
    tables::allocations(&world);
    if wanted("tables") {
        tables::look_ups(&mut world, effort);
    }
    if wanted("batches") {
        tables::batches(&mut world, effort);
    }
    if wanted("adblock") {
        tables::adblock(&mut world, effort);
    }
    if wanted("build") {
        life::building(&world, if measuring { 3 } else { 1 });
    }
    if wanted("open") {
        life::opening(&world);
    }
    if wanted("deltas") {
        life::deltas(&world, if measuring { usize::MAX } else { 6 });
    }
    if wanted("beside") {
        let (span, fold_every) = if measuring { (Duration::from_secs(6), 20) } else { (Duration::from_millis(300), 2) };
        life::beside(&world, span, fold_every);
    }
    if wanted("criterion") {
        let mut criterion = Criterion::default().configure_from_args();
        look_up(&mut criterion, &mut world);
        criterion.final_summary();
    }
}
