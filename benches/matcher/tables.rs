//! Questions against reads: one by one, and in batches.

use bwld::matcher::{BATCH, Lists, Question};

use super::allocator::counted;
use super::contest::{Contender, Effort, Row, contest, print};
use super::corpus::{Texts, texts};
use super::reads::Reads;
use super::rivals::{ADBLOCK_MOST, Adblock, Fst, Walk};
use super::world::{World, asking, now};

/// The four kinds of questions about names, with what is to be found.
fn kinds(world: &World) -> [(&'static str, &Texts, usize); 4] {
    let all = world.hit.len();
    [
        ("miss", &world.miss, 0),
        ("half hits", &world.half, all.div_ceil(2)),
        ("hit", &world.hit, all),
        ("deep", &world.deep, world.deep.len()),
    ]
}

/// The same where a question begins only when the one before has its answer, as if each came from another connection:
/// otherwise the processor reads ahead for the next.
fn fenced(mut listed: impl FnMut(&'static str) -> bool) -> impl FnMut(&'static str) -> bool {
    move |text| {
        finish();
        listed(text)
    }
}

/// Waits until everything before is done. A fence of the language orders accesses, which does not keep the processor from
/// reading ahead.
fn finish() {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code, unused_unsafe)]
    // SAFETY: the instruction is part of every x86-64 (SSE2) and touches nothing.
    unsafe {
        std::arch::x86_64::_mm_lfence();
    }
}

fn singles<'a>(world: &'a World, fst: &'a Fst) -> Vec<Contender<'a>> {
    let mut all = Vec::new();
    for (kind, texts, expected) in kinds(world) {
        let name = |who: &str| format!("{who}: {kind}");
        all.push(Contender::new(&name("index in memory"), texts, expected, asking(&world.lists)));
        all.push(Contender::new(&name("index mapped"), texts, expected, asking(&world.mapped)));
        all.push(Contender::new(&name("hash map, suffix walk"), texts, expected, |text| world.walk.listed(text)));
        all.push(Contender::new(&name("index in memory, fenced"), texts, expected, fenced(asking(&world.lists))));
        all.push(Contender::new(&name("hash map, suffix walk, fenced"), texts, expected, fenced(|text| world.walk.listed(text))));
        all.push(Contender::new(&name("fst, reversed names"), texts, expected, |text| fst.listed(text)));
    }
    let (urls, addresses) = (&world.urls, &world.addresses);
    for (kind, texts, expected) in [
        ("URL, hit", &urls.0, urls.0.len()),
        ("URL, miss on a host with rules", &urls.1, 0),
        ("address, hit", &addresses.0, addresses.0.len()),
        ("address, miss", &addresses.1, 0),
    ] {
        all.push(Contender::new(&format!("index in memory: {kind}"), texts, expected, asking(&world.others)));
    }
    all
}

/// Questions one by one against dependent reads.
pub fn look_ups(world: &mut World, effort: Effort) {
    let (fst, size) = (Fst::new(&world.corpus), world.base.octets().len());
    let mut reads = Reads::new(size, false, &mut world.random);
    let rules = world.corpus.names.len();
    let rows = contest(&mut singles(world, &fst), effort, &mut reads, Reads::dependent);
    print(&format!("Look-ups, {rules} rules, against a dependent read over {size} octets"), "dependent read", &rows);
    let mut large = Reads::new(size, true, &mut world.random);
    let mut alone: Vec<_> = kinds(world)
        .into_iter()
        .map(|(kind, texts, expected)| Contender::new(&format!("index in memory: {kind}"), texts, expected, asking(&world.lists)))
        .collect();
    print("The same, both in pages of 2 MiB", "dependent read", &contest(&mut alone, effort, &mut large, Reads::dependent));
    let of = |name: &str| rows.iter().find(|row| row.name == name).map_or(f64::NAN, |row| row.ratio);
    for (kind, _, _) in kinds(world) {
        for how in ["", ", fenced"] {
            let walk = of(&format!("hash map, suffix walk{how}: {kind}")) / of(&format!("index in memory{how}: {kind}"));
            println!("the walk takes {walk:.2} times as long{how}: {kind}");
        }
    }
    let (walk, asked) = counted(|| Walk::new(&world.corpus));
    drop(walk);
    let each = |octets: usize| octets as f64 / rules as f64;
    println!("\noctets a rule: index {:.2}, of it hot {:.2}; ", each(size), each(world.base.hot_size()));
    println!("hash map {:.2} (without what the allocator adds), fst {:.2}", each(asked.kept as usize), each(fst.size()));
}

/// Against Brave's engine, on as many rules as it is given.
pub fn adblock(world: &mut World, effort: Effort) {
    let start = std::time::Instant::now();
    let (engine, asked) = counted(|| Adblock::new(&world.corpus));
    let rules = world.corpus.names.len().min(ADBLOCK_MOST);
    println!("\nadblock: {rules} rules, built in {:.2?}, {:.1} octets a rule", start.elapsed(), asked.kept as f64 / rules as f64);
    // It has no rules for one name alone: names below any name of the list are left out.
    let any = |name: &str| name.match_indices('.').any(|(at, _)| world.walk.listed(&name[at + 1..]));
    let miss = texts(world.miss.iter().filter(|name| !any(name)).map(|name| (*name).to_owned()));
    let hit = texts((0..miss.len()).map(|n| world.corpus.names[n * 7 % rules].to_string()));
    let urls = |names: &Texts| texts(names.iter().map(|name| format!("https://{name}/")));
    let (miss_urls, hit_urls) = (urls(&miss), urls(&hit));
    let mut reads = Reads::new(world.base.octets().len(), false, &mut world.random);
    let mut all = Vec::new();
    for (kind, names, urls, expected) in [("miss", &miss, &miss_urls, 0), ("hit", &hit, &hit_urls, hit.len())] {
        all.push(Contender::new(&format!("index in memory: {kind}"), names, expected, asking(&world.lists)));
        all.push(Contender::new(&format!("index in memory, asked with the URL: {kind}"), urls, expected, asking(&world.lists)));
        all.push(Contender::new(&format!("adblock: {kind}"), urls, expected, |url| engine.listed(url)));
        let requests: Vec<_> = urls.iter().filter_map(|url| Adblock::request(url)).collect();
        let mut next = 0;
        let engine = &engine;
        let ready = move |_| {
            next = (next + 1) % requests.len();
            engine.decides(&requests[next])
        };
        all.push(Contender::new(&format!("adblock, URL parsed beforehand: {kind}"), urls, expected, ready));
    }
    let rows = contest(&mut all, effort, &mut reads, Reads::dependent);
    print("Against adblock", "dependent read", &rows);
    for some in rows.chunks(4) {
        let [ours, url, theirs, ready] = [0, 1, 2, 3].map(|n| some[n].ratio);
        println!(
            "{} takes {:.1} times as long (asked with the URL {:.1}, parsed beforehand {:.1})",
            some[2].name,
            theirs / ours,
            theirs / url,
            ready / ours
        );
    }
}

/// A contender that asks [`BATCH`] questions together.
fn batch<'a>(name: &str, lists: &'a Lists, texts: &'a Texts, expected: usize) -> Contender<'a> {
    let mut questions = vec![Question::new(); BATCH];
    let now = now();
    let ask = move |some: &[&'static str]| {
        let mut found = 0;
        for some in some.chunks(BATCH) {
            for (question, text) in questions.iter_mut().zip(some) {
                question.set(text).expect("a question");
            }
            lists.look_up_batch(&questions[..some.len()], now, |_, verdict| found += usize::from(verdict.decided_by().is_some()));
        }
        found
    };
    Contender { name: name.to_owned(), texts, expected, ask: Box::new(ask) }
}

fn batched(world: &World) -> Vec<Contender<'_>> {
    let both = kinds(world).into_iter().flat_map(|(kind, texts, expected)| {
        let of = |who: &str, lists| batch(&format!("{who}: {kind}"), lists, texts, expected);
        [of("batch, index in memory", &world.lists), of("batch, index mapped", &world.mapped)]
    });
    both.collect()
}

/// Questions in batches against reads whose places are known.
pub fn batches(world: &mut World, effort: Effort) {
    let mut reads = Reads::new(world.base.octets().len(), false, &mut world.random);
    let rows: Vec<Row> = contest(&mut batched(world), effort, &mut reads, Reads::prefetched);
    print(&format!("Batches of {BATCH} against reads of which {BATCH} are begun together"), "prefetched read", &rows);
    let rows: Vec<Row> = contest(&mut batched(world), effort, &mut reads, Reads::independent);
    print("The same against reads that nobody begins early", "independent read", &rows);
}

/// Whether the host of a text is read without the tables of UTS #46, which may allocate: no label is in Punycode, and the
/// last one cannot be the number of an address.
fn is_plain(text: &str) -> bool {
    let host = text.strip_prefix("https://").and_then(|rest| rest.split('/').next()).unwrap_or(text);
    let number = host.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()));
    !host.contains("xn--") && (!number || host.parse::<std::net::IpAddr>().is_ok())
}

/// What look-ups allocate: nothing, or the bench fails. Names that are not plain are counted by themselves.
pub fn allocations(world: &World) {
    let (mut names, mut others) = (asking(&world.lists), asking(&world.others));
    let of_others = [&world.urls.0, &world.urls.1, &world.addresses.0, &world.addresses.1];
    let of_names = kinds(world).into_iter().flat_map(|(_, texts, _)| texts).map(|text| (text, false));
    let all = of_names.chain(of_others.into_iter().flatten().map(|text| (text, true)));
    let (mut plain, mut rest) = ((0, 0), (0, 0));
    for (text, other) in all {
        let (_, asked) = counted(|| if other { others(text) } else { names(text) });
        assert!(asked.allocations == 0 || !is_plain(text), "looking up {text} allocates");
        let sum = if is_plain(text) { &mut plain } else { &mut rest };
        *sum = (sum.0 + 1, sum.1 + asked.allocations);
    }
    println!("\nallocations in {} look-ups of every kind: {}", plain.0, plain.1);
    println!("in {} about names in Punycode, or with a digit where their last label begins: {}", rest.0, rest.1);
}
