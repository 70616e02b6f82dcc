//! The same verdicts from Brave's engine, which reads what is exported, and from our own matcher, which has the lists themselves.
//!
//! Asked are hosts: the engine compares paths by regular expressions only with a feature that is not built here. The program's own
//! lists and questions are made up, so that nothing of them is a name of anybody.

use std::collections::BTreeSet;

use adblock::lists::ParseOptions;
use adblock::request::Request;
use adblock::{Engine, FilterSet};
use bwld::formats::write::{ExportFormat, ExportOptions};
use bwld::list::{Colour, Digest, Serial, Timestamp};
use bwld::matcher::{About, IndexBuilder, Layers, ListState, Lists, Seed, Verdict};

use super::exported;

const QUESTIONS: usize = 100_000;

/// Numbers that look drawn at random and are the same every time (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    /// A host of two to five labels, from few enough that lists and questions meet, beside and above one another.
    fn host(&mut self) -> String {
        const LABELS: [&str; 12] = ["a", "b", "aa", "ab", "www", "x1", "xn--bcher-kva", "a-b", "c", "cdn", "ads", "z"];
        let mut name = format!("n{}.example", self.below(400));
        for _ in 0..self.below(4) {
            name = format!("{}.{name}", LABELS[self.below(LABELS.len())]);
        }
        name
    }

    fn entries(&mut self, count: usize) -> Vec<String> {
        let rules: BTreeSet<String> = (0..count).map(|_| format!("{}:{}", ["domain", "subtree"][self.below(2)], self.host())).collect();
        rules.into_iter().collect()
    }
}

fn list(name: &str, colour: Colour, entries: &[String]) -> (ListState, Layers) {
    let (origin, list, root) = ("lists.example.org".parse().expect("an origin"), name.parse().expect("a name"), Digest::of(""));
    let about = About { origin, list, colour, serial: Serial::FIRST, root };
    let mut builder = IndexBuilder::new(about.clone(), Seed::new(*b"the same always!"));
    entries.iter().for_each(|entry| builder.push(entry).expect("an entry"));
    let expires = Some("2027-01-01T00:00:00Z".parse().expect("a time"));
    let state = ListState { origin: about.origin, list: about.list, colour, serial: Some(Serial::FIRST), expires, local: false };
    (state, Layers::new(builder.finish().expect("an index").into()))
}

#[test]
fn the_engine_of_brave_and_our_matcher_give_the_same_verdicts() {
    crate::formats::wider::suffixes();
    let mut numbers = Numbers(2026);
    let (black, white) = (numbers.entries(1_500), numbers.entries(400));
    let mut set = FilterSet::new(false);
    let mut lists = Lists::new();
    for (name, colour, entries) in [("black", Colour::Black, &black), ("white", Colour::White, &white)] {
        let lines: Vec<&str> = entries.iter().map(String::as_str).collect();
        let (text, report) = exported(ExportFormat::Adblock, &ExportOptions::default(), colour, &lines);
        assert_eq!((report.written, report.left_out_total()), (lines.len() as u64, 0));
        set.add_filter_list(text, ParseOptions::default());
        let (state, layers) = list(name, colour, entries);
        lists = lists.with_list(state, Some(layers)).expect("a list");
    }
    let engine = Engine::new_with_filter_set(set);
    let now: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
    let (mut blocked, mut allowed, mut differ) = (0, 0, Vec::new());
    for _ in 0..QUESTIONS {
        let host = numbers.host();
        let ours = lists.ask(&host, now).expect("a question");
        let url = format!("https://{host}/");
        let request = Request::new(&url, "https://asking.test/", "script", "GET").expect("a request");
        let theirs = engine.check_network_request(&request);
        let theirs = (theirs.filter.is_some(), theirs.exception.is_some());
        match ours {
            Verdict::Block(_) => blocked += 1,
            Verdict::Allow(_) => allowed += 1,
            _ => {}
        }
        let agree = match ours {
            Verdict::Block(_) => theirs == (true, false),
            // The engine looks for an exception only where it would have blocked.
            Verdict::Allow(_) => !theirs.0 || theirs.1,
            Verdict::Unlisted { .. } => !theirs.0,
            _ => false,
        };
        if !agree {
            differ.push(format!("{host}: ours {ours:?}, theirs blocked and excepted {theirs:?}"));
        }
    }
    assert!(differ.is_empty(), "{} of {QUESTIONS} differ, such as {}", differ.len(), differ[0]);
    assert!(blocked > QUESTIONS / 10 && allowed > QUESTIONS / 50, "{blocked} blocked, {allowed} allowed: too few to say anything");
}
