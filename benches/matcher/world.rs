//! The lists that are asked, and the questions.

use std::sync::Arc;

use bwld::list::{Colour, Digest, Serial, Timestamp};
use bwld::matcher::{About, Buffer, Index, IndexBuilder, Layers, ListState, Lists, Question, Seed};

use super::corpus::{Corpus, Random, Texts, texts};
use super::rivals::Walk;

pub fn about(list: &str, serial: u64) -> About {
    About {
        origin: "lists.example.org".parse().expect("an origin"),
        list: list.parse().expect("a list name"),
        colour: Colour::Black,
        serial: Serial::new(serial).expect("a serial"),
        root: Digest::of(""),
    }
}

pub fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().expect("a time")
}

pub fn build<'a>(about: About, lines: impl Iterator<Item = &'a str>) -> Index {
    let mut builder = IndexBuilder::new(about, Seed::new(*b"0123456789abcdef"));
    lines.for_each(|line| builder.push(line).expect("canonical"));
    builder.finish().expect("fits")
}

/// A black list of these layers and nothing else.
pub fn lists(layers: Layers) -> Lists {
    let About { origin, list, colour, serial, .. } = layers.about().clone();
    let state = ListState { origin, list, colour, serial: Some(serial), expires: None, local: false };
    Lists::new().with_list(state, Some(layers)).expect("whole")
}

/// From text to verdict, in a question that is used again and again: whether a rule decided.
pub fn asking(lists: &Lists) -> impl FnMut(&'static str) -> bool {
    let (mut question, now) = (Question::new(), now());
    move |text| {
        question.set(text).expect("a question");
        lists.look_up(&question, now).decided_by().is_some()
    }
}

/// Everything that is asked and put to it.
pub struct World {
    pub random: Random,
    pub corpus: Corpus,
    pub walk: Walk,
    pub base: Arc<Index>,
    /// The domain rules, built in memory.
    pub lists: Lists,
    /// The same, mapped from a file.
    pub mapped: Lists,
    /// URL prefixes and address ranges, a tenth as many of each.
    pub others: Lists,
    pub miss: Texts,
    pub half: Texts,
    pub hit: Texts,
    pub deep: Texts,
    /// URLs: found, and not found on a host that has such rules.
    pub urls: (Texts, Texts),
    /// Addresses: found and not.
    pub addresses: (Texts, Texts),
    pub folder: tempfile::TempDir,
}

impl World {
    pub fn new(rules: usize) -> World {
        let mut random = Random::new();
        let corpus = Corpus::new(rules, &mut random);
        let walk = Walk::new(&corpus);
        let lines: Vec<String> = (0..rules).map(|n| corpus.line(n)).collect();
        let base = Arc::new(build(about("names", 1), lines.iter().map(String::as_str)));
        drop(lines);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("names.index");
        std::fs::write(&path, base.octets()).expect("room");
        let buffer = Buffer::map(&std::fs::File::open(path).expect("just written")).expect("maps");
        let mapped = lists(Layers::new(Index::open(buffer).expect("an index").into()));

        let few = rules / 10;
        let net = |n: usize, host: u32| std::net::Ipv4Addr::from(0x0100_0000 + n as u32 * 512 + host);
        let mut lines: Vec<String> = corpus.names[..few].iter().map(|name| format!("prefix:{name}/ads/")).collect();
        lines.extend((0..few).map(|n| format!("cidr:{}/24", net(n, 0))));
        let others = lists(Layers::new(build(about("others", 1), lines.iter().map(String::as_str)).into()));

        let miss = corpus.misses(&mut random, |name| walk.listed(name));
        let (hit, deep) = (corpus.hits(&mut random), corpus.deep(&mut random));
        // Names of its own: those that are asked as hits would be in the cache from here.
        let (half_hit, half_miss) = (corpus.hits(&mut random), corpus.misses(&mut random, |name| walk.listed(name)));
        let half = texts((0..half_hit.len()).map(|n| if n % 2 == 0 { half_hit[n] } else { half_miss[n] }.to_owned()));
        let some: Vec<usize> = (0..corpus.questions()).map(|_| random.below(few)).collect();
        let url = |path: &str| texts(some.iter().map(|n| format!("https://{}/{path}/banner.js", corpus.names[*n])));
        let address = |host: u32| texts(some.iter().map(|n| net(*n, host).to_string()));
        World {
            urls: (url("ads"), url("news")),
            addresses: (address(17), address(256 + 17)),
            lists: lists(Layers::new(base.clone())),
            random,
            corpus,
            walk,
            base,
            mapped,
            others,
            miss,
            half,
            hit,
            deep,
            folder,
        }
    }
}
