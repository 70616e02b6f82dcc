//! Damaged index files: an error at opening, an error of `verify`, or "no data" where it is asked; never another answer.

use std::io::Write as _;

use bwld::list::Entry;
use bwld::matcher::{Buffer, Categories, Index, IndexError, Layers, Lists, Policy, Question, Verdict};

use super::made::{build, now, state};

const PAGE: usize = 4_096;

/// Entries that fill every section.
pub fn all_sections() -> Vec<String> {
    let mut lines: Vec<String> = [
        "domain:a.example\tcat=adult\tref=Abcdefgh1",
        "subtree:a.example",
        "subtree:b.example\tcat=ads,news\tage=18",
        "domain:www.b.example\tact=log",
        "url:a.example/p\tref=Zyxwvuts",
        "prefix:a.example/",
        "prefix:a.example/p",
        "prefix:a.example/p/q\tcat=adult",
        "url:c.example/x",
        "prefix:c.example:8080/y",
        "prefix:10.0.0.1/p",
        "prefix:[2001:db8::1]/p",
        "cidr:10.0.0.0/8\tref=-_-_-_-_",
        "cidr:10.0.0.0/24",
        "cidr:10.0.0.1/32",
        "cidr:192.0.2.0/24",
        "cidr:2001:db8::/32",
        "cidr:2001:db8::/48",
        "cidr:2001:db8::1/128",
    ]
    .map(str::to_owned)
    .into();
    lines.extend((0..40).map(|n| format!("subtree:n{n}.example\tcat=c{}", n % 5)));
    lines
}

pub const ASKED: [&str; 16] = [
    "a.example",
    "www.a.example",
    "www.b.example",
    "x.b.example",
    "a.example/p",
    "a.example/p/q?r",
    "a.example/other",
    "c.example/x",
    "c.example:8080/y/z",
    "10.0.0.1/p",
    "10.0.0.9",
    "http://[2001:db8::1]/p",
    "2001:db8::2",
    "n7.example",
    "x.n23.example",
    "nothing.example",
];

/// Word, rule and attributes: all of an answer that must not change.
fn answer(verdict: &Verdict<'_>) -> Result<(&'static str, Option<Entry>), IndexError> {
    Ok((verdict.word(), verdict.decided_by().map(|by| by.entry()).transpose()?))
}

fn lists(index: Index) -> Lists {
    Lists::new().with_list(state(index.about()), Some(Layers::new(index.into()))).expect("no policy reads attributes")
}

/// The answers of a whole index.
pub struct Whole(Vec<(String, (&'static str, Option<Entry>))>);

impl Whole {
    pub fn of(octets: &[u8], questions: impl IntoIterator<Item = String>) -> Whole {
        let lists = lists(Index::open(Buffer::from(octets)).expect("a whole index"));
        let answer = |text: &String| answer(&lists.ask(text, now()).expect(text)).expect("a whole index");
        Whole(questions.into_iter().map(|text| (text.clone(), answer(&text))).collect())
    }

    /// Asks a damaged index: each answer is the same, or says that the list is damaged. Gives how many did.
    pub fn ask(&self, index: Index, what: &str) -> usize {
        let lists = lists(index);
        let mut damaged = 0;
        for (text, whole) in &self.0 {
            let question = Question::parse(text).expect(text);
            match lists.look_up(&question, now()) {
                Verdict::NoData(missing) => {
                    assert!(missing.damaged, "{what}: {text}");
                    damaged += 1;
                }
                // The verdict stands on pages that are whole; text and attributes may stand on one that is not.
                verdict => match answer(&verdict) {
                    Ok(answer) => assert_eq!(&answer, whole, "{what}: {text}"),
                    Err(_) => assert_eq!(verdict.word(), whole.0, "{what}: {text}"),
                },
            }
            let _ = lists.explain(&question, now());
        }
        // Under a policy the attributes are read: an error, or a policy as it should be.
        let only = Policy { categories: Categories::Only([].into_iter().collect()), ..Policy::default() };
        let _ = lists.with_policy(only);
        damaged
    }

    /// A damaged file is found by `verify`, if not at opening; and asked all the same it says nothing wrong.
    fn survives(&self, octets: &[u8], what: &str) -> usize {
        let Ok(index) = Index::open(Buffer::from(octets)) else { return 0 };
        assert!(index.verify().is_err(), "{what}");
        let fresh = Index::open(Buffer::from(octets)).expect("it opened before");
        self.ask(fresh, what)
    }
}

#[test]
fn every_octet_of_a_small_index_matters() {
    let lines = all_sections();
    let octets = build(lines.iter().map(String::as_str)).octets().to_vec();
    let whole = Whole::of(&octets, ASKED.map(str::to_owned));
    let mut damaged = 0;
    for at in 0..octets.len() {
        let mut flipped = octets.clone();
        flipped[at] ^= [0x01, 0x80, 0xff][at % 3];
        damaged += whole.survives(&flipped, &format!("octet {at}"));
    }
    assert!(damaged > 10_000, "{damaged} answers met the damage");
}

#[test]
fn an_index_cut_anywhere_does_not_open() {
    let lines = all_sections();
    let octets = build(lines.iter().map(String::as_str)).octets().to_vec();
    for end in 0..octets.len() {
        assert!(Index::open(Buffer::from(&octets[..end])).is_err(), "cut to {end}");
    }
    for more in [1, 64, PAGE] {
        let longer = [&octets[..], &vec![0; more]].concat();
        assert!(matches!(Index::open(Buffer::from(&longer[..])), Err(IndexError::Length { .. })));
    }
    assert!(matches!(Index::open(Buffer::from(&[0; PAGE][..])), Err(IndexError::NotAnIndex)));
}

#[test]
fn every_page_of_a_large_index_matters() {
    let lines: Vec<String> = (0..20_000).map(|n| format!("subtree:name{n}.example\tref=reference{n}")).chain(all_sections()).collect();
    let octets = build(lines.iter().map(String::as_str)).octets().to_vec();
    let questions = ASKED.map(str::to_owned).into_iter().chain((0..60).map(|n| format!("x.name{}.example", n * 331)));
    let whole = Whole::of(&octets, questions);
    let pages = octets.len() / PAGE;
    assert!(pages > 200);
    let mut damaged = 0;
    for page in 0..=pages {
        let (start, end) = (page * PAGE, ((page + 1) * PAGE).min(octets.len()));
        if start == end {
            continue;
        }
        for at in [start, start + (page * 997) % (end - start), end - 1] {
            let mut flipped = octets.clone();
            flipped[at] ^= 1 << (page % 8);
            damaged += whole.survives(&flipped, &format!("octet {at}"));
        }
        if octets[start..end].iter().any(|octet| *octet != 0) {
            let mut zeroed = octets.clone();
            zeroed[start..end].fill(0);
            damaged += whole.survives(&zeroed, &format!("page {page} zeroed"));
        }
        let other = (page * 7 + 1) % pages;
        if end - start == PAGE && octets[start..end] != octets[other * PAGE..(other + 1) * PAGE] {
            let mut swapped = octets.clone();
            swapped.copy_within(other * PAGE..(other + 1) * PAGE, start);
            swapped[other * PAGE..(other + 1) * PAGE].copy_from_slice(&octets[start..end]);
            damaged += whole.survives(&swapped, &format!("pages {page} and {other} exchanged"));
        }
    }
    assert!(damaged > 100, "{damaged} answers met the damage");
}

#[test]
fn a_mapped_file_is_checked_as_memory_is() {
    let lines = all_sections();
    let octets = build(lines.iter().map(String::as_str)).octets().to_vec();
    let whole = Whole::of(&octets, ASKED.map(str::to_owned));
    let map = |octets: &[u8]| {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(octets).expect("it is written");
        Buffer::map(&file)
    };
    let index = Index::open(map(&octets).expect("it maps")).expect("it opens");
    assert_eq!((index.len() as usize, index.octets() == octets), (lines.len(), true));
    index.verify().expect("it is whole");
    assert_eq!(whole.ask(index, "whole"), 0);
    for at in (0..octets.len()).step_by(97) {
        let mut flipped = octets.clone();
        flipped[at] ^= 0x10;
        let Ok(index) = Index::open(map(&flipped).expect("it maps")) else { continue };
        whole.ask(index, &format!("octet {at}"));
        assert!(Index::open(map(&flipped).expect("it maps")).expect("it opens").verify().is_err());
    }
    assert!(map(&octets[..PAGE]).is_ok_and(|short| Index::open(short).is_err()));
    assert!(map(&[]).map_or(true, |empty| Index::open(empty).is_err()));
}
