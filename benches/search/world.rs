//! What is searched: a list in bulk, and as many entries under administration.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bwld::desk::{Case, CaseState, Desk, Hats, LegalBasis, NewCase, Words};
use bwld::formats::Format;
use bwld::list::{Attributes, Kind, Rule, Timestamp};
use bwld::publisher::{By, ImportMode};
use bwld::store::{Record, SystemClock};

use super::house;
use super::names::names;

const CATEGORIES: [&str; 12] =
    ["adult", "ads", "dating", "drugs", "gambling", "games", "malware", "phishing", "proxy", "social", "spyware", "violence"];
const REASONS: [&str; 4] = ["court", "hotline", "ministry", "own-research"];
const PROPOSERS: [&str; 8] = ["anna", "borys", "chen", "daria", "elif", "farid", "greta", "hugo"];

/// 22 characters that look as a reference does, the same for the same number.
fn reference(number: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = number;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        LETTERS[(z >> 58) as usize] as char
    };
    (0..22).map(|_| next()).collect()
}

fn day(number: u64) -> String {
    format!("{}-{:02}-{:02}", 2027 + number % 3, number / 3 % 12 + 1, number / 36 % 28 + 1)
}

/// The line of entry `number`: all have a category, some a reference, a reason, a date. One in a hundred thousand has rare codes.
fn line(number: u64, rule: &str) -> String {
    let mut line = format!("{rule}\tcat=");
    line += if number % 100_003 == 17 { "seldom" } else { CATEGORIES[(number % 12) as usize] };
    if number % 4 == 1 {
        line += &format!("\tref={}", reference(number));
    }
    match number {
        n if n % 100_003 == 29 => line += "\trsn=one-off",
        n if n % 4 == 0 => line += &format!("\trsn={}", REASONS[(n / 4 % 4) as usize]),
        _ => {}
    }
    if number % 8 == 3 {
        line += &format!("\texp={}", day(number / 8));
    }
    line
}

/// The lines in order of the rule, in a file in `dir` as well.
pub fn corpus(dir: &Path, count: usize) -> (PathBuf, Vec<String>) {
    let names = names(count, 1);
    // A public suffix is refused by the import.
    let rules = names.iter().filter_map(|name| Rule::new(Kind::Domain, name).ok().filter(|rule| rule.check_suffix().is_ok()));
    let mut lines: Vec<String> = rules.enumerate().map(|(number, rule)| line(number as u64, rule.as_str())).collect();
    lines.sort_unstable_by(|a, b| a.split('\t').next().cmp(&b.split('\t').next()));
    lines.dedup_by(|a, b| a.split('\t').next() == b.split('\t').next());
    let path = dir.join("entries.txt");
    let mut out = BufWriter::new(File::create(&path).expect("a temporary file"));
    lines.iter().for_each(|line| writeln!(out, "{line}").expect("room"));
    out.flush().expect("room");
    (path, lines)
}

/// A desk over a list with these lines.
pub fn with_entries(dir: &Path, file: &Path, count: usize) -> Desk {
    let (publisher, store, catalog) = house::publisher(dir);
    let report = house::import_as(&publisher, file, ImportMode::Merge, Format::Bwld);
    assert_eq!(report.summary.issues_total, 0, "{:?}", report.summary.issues.first());
    assert_eq!(house::publish(&publisher), count as u64);
    Desk::open(Arc::new(publisher), store, catalog, Arc::new(SystemClock)).expect("opens")
}

/// Turns a case into case `number` of its kind.
fn case(of: &Case, number: u64, name: &str) -> Case {
    let pick = |from: &[&str], step: u64| from[(number / step % from.len() as u64) as usize].to_owned();
    let mut case = of.clone();
    case.reference = reference(number + 1_000_000_007);
    case.words.rule = format!("domain:{name}");
    case.words.attributes = Attributes {
        categories: vec![(if number % 100_003 == 17 { "seldom".into() } else { pick(&CATEGORIES, 1) }).parse().expect("a code")],
        reason: (number.is_multiple_of(2))
            .then(|| (if number % 100_003 == 29 { "one-off".into() } else { pick(&REASONS, 2) }).parse().expect("a code")),
        expires: (number % 8 == 3).then(|| day(number / 8).parse().expect("a day")),
        ..Attributes::default()
    };
    let english = format!("Sells what the decree forbids to everybody under {}; found by complaint {number}.", 12 + number % 10);
    let ukrainian = format!("Продає заборонене особам до {} років; скарга {number}.", 12 + number % 10);
    case.words.reasons = [("en".to_owned(), english), ("uk".to_owned(), ukrainian)].into();
    case.words.basis = Some(LegalBasis {
        jurisdiction: "UA".into(),
        instrument: "Law on the protection of childhood, article 18".into(),
        authority: "National Commission".into(),
        number: format!("{}/{}", number % 5_000, 2020 + number % 7),
        date: None,
    });
    case.proposer = if number % 100_003 == 41 { "zoe".into() } else { pick(&PROPOSERS, 3) };
    case.authors = vec![case.proposer.clone()];
    case.state = match number % 100 {
        _ if number % 100_003 == 53 => CaseState::Suspended,
        0..60 => CaseState::Published,
        60..75 => CaseState::Expired,
        75..90 => CaseState::Removed,
        90..95 => CaseState::Proposed,
        _ => CaseState::Draft,
    };
    case.created = Timestamp::from_unix(1_700_000_000 + number * 60);
    case
}

/// A desk with this many cases and an empty list, and the cases.
pub fn with_cases(dir: &Path, count: usize) -> (Desk, Vec<Case>) {
    let (publisher, store, catalog) = house::publisher(dir);
    let publisher = Arc::new(publisher);
    let open = || Desk::open(publisher.clone(), store.clone(), catalog.clone(), Arc::new(SystemClock)).expect("opens");
    let hats = Hats { owner: true, editor: true, reviewer: true, clock: false, author: false, approved: false };
    let words = Words { rule: "domain:first.example".into(), ..Words::default() };
    let first = open().propose(&house::list(), NewCase { words, ..NewCase::default() }, hats, &By::new("anna", "bench")).expect("a case");
    let names = names(count, 1);
    let cases: Vec<Case> = names.iter().enumerate().map(|(number, name)| case(&first, number as u64, name)).collect();
    let record = |key: &str, value| Record::Document { table: "case".into(), key: key.into(), value };
    for some in cases.chunks(1_000) {
        let records = some.iter().map(|case| record(&case.reference, Some(serde_json::to_value(case).expect("a case")))).collect();
        store.commit(&Record::All { records }).expect("commits");
    }
    store.commit(&record(&first.reference, None)).expect("commits");
    house::forget_peak().ok();
    let begin = std::time::Instant::now();
    let before = house::resident();
    let desk = open();
    println!("a desk of {count} cases opens in {:.2?}; they take {:.0} MB", begin.elapsed(), (house::resident() - before) as f64 / 1e6);
    (desk, cases)
}
