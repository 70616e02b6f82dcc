//! Rules and questions: names of a real list where there is one, and names made of their labels beyond it. The same in
//! every run.

use std::collections::HashSet;
use std::fs::File;
use std::hash::BuildHasher as _;
use std::io::Read as _;
use std::path::Path;

use bwld::list::canonical_domain;
use foldhash::quality::FixedState;

/// Questions of a kind.
const QUESTIONS: usize = 200_000;

/// Numbers as good as random (xorshift).
pub struct Random(u64);

impl Random {
    pub fn new() -> Random {
        Random(88_172_645_463_325_252)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for i in (1..all.len()).rev() {
            all.swap(i, self.below(i + 1));
        }
    }
}

/// The rules, in random order.
pub struct Corpus {
    pub names: Vec<Box<str>>,
    /// Whether a rule covers what is below its name.
    pub subtree: Vec<bool>,
    labels: Vec<Vec<&'static str>>,
}

/// Texts to ask for; for ever, as the process ends with the bench.
pub type Texts = Vec<&'static str>;

pub fn texts(all: impl IntoIterator<Item = String>) -> Texts {
    // In one text, as they come from a socket or a log, not each in its own corner of the memory.
    let joined = all.into_iter().collect::<Vec<_>>().join("\n");
    joined.leak().lines().collect()
}

/// Real names, or made-up ones that look like them.
fn real(least: usize) -> Vec<&'static str> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/big/domains-1120k.txt.zst");
    let mut text = String::new();
    let read = File::open(path).and_then(zstd::stream::Decoder::new).and_then(|mut d| d.read_to_string(&mut text));
    if read.is_err() {
        println!("the real names are skipped: ../shared/data/big is not there; these are made up");
        let name = |n: usize| format!("w{}-{:x}.ads-{}.example-{}.com\n", n % 7, n * 3_797 % 1_000_003, n % 9_973, n % 1_009);
        text = (0..least.clamp(100_000, 1_120_000)).map(name).collect();
    }
    let names = text.leak().lines().map(|line| line.trim_start_matches("*."));
    names.filter(|name| name.is_ascii() && name.contains('.')).collect()
}

impl Corpus {
    pub fn new(count: usize, random: &mut Random) -> Corpus {
        let mut real = real(count);
        let labels = real.iter().map(|name| name.split('.').collect()).collect();
        random.shuffle(&mut real);
        let mut corpus = Corpus { names: Vec::with_capacity(count), subtree: Vec::new(), labels };
        // Hashes: two names that share one cost the corpus a name, nothing else.
        let mut seen = HashSet::with_capacity(count);
        let hasher = FixedState::default();
        let mut real = real.into_iter();
        while corpus.names.len() < count {
            let name = real.next().map_or_else(|| corpus.made(random), str::to_owned);
            if canonical_domain(&name).as_deref() == Ok(&name) && seen.insert(hasher.hash_one(&name)) {
                corpus.names.push(name.into());
            }
        }
        corpus.subtree = (0..count).map(|_| random.below(2) == 0).collect();
        corpus
    }

    /// A name of the labels of two real ones.
    fn made(&self, random: &mut Random) -> String {
        let a = &self.labels[random.below(self.labels.len())];
        let b = &self.labels[random.below(self.labels.len())];
        let first = format!("{}{}", a[0], if random.below(3) == 0 { "x" } else { "" });
        let mut rest = b[b.len() - 2..].to_vec();
        if random.below(2) == 0 {
            rest[0] = a[a.len() - 2];
        }
        format!("{first}.{}", rest.join("."))
    }

    /// The rule as a line of a list.
    pub fn line(&self, n: usize) -> String {
        format!("{}:{}", if self.subtree[n] { "subtree" } else { "domain" }, self.names[n])
    }

    /// Names for which there is no rule, as `listed` says.
    pub fn misses(&self, random: &mut Random, listed: impl Fn(&str) -> bool) -> Texts {
        let made = std::iter::repeat_with(|| self.made(random));
        texts(made.filter(|name| canonical_domain(name).as_deref() == Ok(name) && !listed(name)).take(self.questions()))
    }

    /// Names that have a rule.
    pub fn hits(&self, random: &mut Random) -> Texts {
        texts((0..self.questions()).map(|_| self.names[random.below(self.names.len())].to_string()))
    }

    /// Two labels below a name that covers what is below it.
    pub fn deep(&self, random: &mut Random) -> Texts {
        let rules = std::iter::repeat_with(|| random.below(self.names.len()));
        texts(rules.filter(|n| self.subtree[*n]).take(self.questions()).map(|n| format!("a.www.{}", self.names[n])))
    }

    /// How many questions of a kind.
    pub fn questions(&self) -> usize {
        QUESTIONS.min(self.names.len() / 2)
    }
}
