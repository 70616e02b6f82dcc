//! Canonical forms against standard vectors and models: one spelling per target, reached in one step.

use std::collections::BTreeMap;

use bwld::list::{Attributes, Change, ChangeSet, Entry, Kind, Rule, TargetError, canonical_cidr, canonical_domain, canonical_url};
use proptest::prelude::*;

use crate::shared_data;

/// Each line: `kind:target` as written, TAB, the rule; or `!` and the beginning of the reason.
#[test]
fn own_vectors() {
    let text = include_str!("../data/canonical/targets.tsv");
    let mut seen = 0;
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (written, expected) = line.split_once('\t').expect("two columns");
        let (kind, target) = Kind::split(written).expect("a kind");
        match (Rule::new(kind, target), expected.strip_prefix('!')) {
            (Ok(rule), None) => {
                assert_eq!(rule.as_str(), expected, "{written}");
                assert_eq!(expected.parse(), Ok(rule), "{written}: reads back");
            }
            (Err(error), Some(reason)) => assert!(error.to_string().contains(reason), "{written}: {error}"),
            (Ok(rule), Some(reason)) => panic!("{written}: gave {rule}, expected to be refused: {reason}"),
            (Err(error), None) => panic!("{written}: {error}, expected {expected}"),
        }
        seen += 1;
    }
    assert!(seen >= 60, "{seen} vectors");
}

/// `\uXXXX` and `\x{XXXX}` of IdnaTestV2; `None` for surrogates, which no Rust text can hold.
fn unescape(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let (hex, after) = match tail.strip_prefix("x{") {
            Some(braced) => braced.split_once('}')?,
            None => (tail.get(1..5)?, &tail[5..]),
        };
        out.push(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

#[test]
fn idna_test_v2() {
    let Some(text) = shared_data::load_text("vectors/IdnaTestV2.txt.zst") else { return };
    let (mut equal, mut refused, mut stricter, mut unassigned) = (0, 0, 0, 0);
    for line in text.lines().map(|line| line.split('#').next().unwrap_or("").trim()).filter(|line| !line.is_empty()) {
        let columns: Vec<&str> = line.split(';').map(str::trim).collect();
        let value = |at: usize, before: &str| match columns[at] {
            "" => before.to_owned(),
            "\"\"" => String::new(),
            text => text.to_owned(),
        };
        let source = value(0, "");
        let unicode = value(1, &source);
        let unicode_status = value(2, "[]");
        let expected = value(3, &unicode);
        let status = value(4, &unicode_status);
        let (Some(source), Some(expected)) = (unescape(&source), unescape(&expected)) else { continue };
        // CheckHyphens and VerifyDnsLength are off in the URL Standard's processing; lengths are this project's own check.
        let ignored = ["V2", "V3", "A4_1", "A4_2", "X4_2", "U1"];
        let codes: Vec<&str> =
            status.trim_matches(['[', ']']).split(',').map(str::trim).filter(|c| !c.is_empty() && !ignored.contains(c)).collect();
        match canonical_domain(&source) {
            Ok(name) if codes.is_empty() => {
                assert_eq!(name, expected.strip_suffix('.').unwrap_or(&expected), "{line}");
                equal += 1;
            }
            // Code points of plane 3 that no edition of Unicode assigns pass the crate's tables. Nobody can register
            // such a name, and it is one host: it is let be.
            Ok(_) => {
                assert_eq!(codes, ["V7"], "{line}");
                unassigned += 1;
            }
            Err(_) if !codes.is_empty() => refused += 1,
            Err(TargetError::Idna(text)) => panic!("{line}: {text} was refused by the tables at hand"),
            // Single labels, empty labels, characters of no host, suffixes.
            Err(_) => stricter += 1,
        }
    }
    println!("equal {equal}, refused {refused}, stricter here {stricter}, unassigned {unassigned}");
    assert!(equal > 400 && refused > 5_000 && unassigned <= 4);
}

#[test]
fn url_standard_vectors() {
    let Some(text) = shared_data::load_text("vectors/urltestdata.json.zst") else { return };
    let all: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let (mut equal, mut refused, mut stricter) = (0, 0, 0);
    for case in all.as_array().expect("an array") {
        let text = |key: &str| case.get(key).and_then(|v| v.as_str());
        let Some(input) = text("input") else { continue };
        let web = |url: &str| ["http://", "https://"].iter().any(|s| url.get(..s.len()).is_some_and(|p| p.eq_ignore_ascii_case(s)));
        if !web(input) {
            continue;
        }
        match (canonical_url(input), text("href")) {
            (Ok(canonical), Some(href)) => {
                assert_eq!(canonical_url(href), Ok(canonical.clone()), "{input}: the standard's own spelling gives the same");
                let host = text("hostname").unwrap_or_default().trim_end_matches('.');
                assert!(canonical.starts_with(&format!("{host}/")) || canonical.starts_with(&format!("{host}:")), "{input}: {canonical}");
                assert_eq!(canonical_url(&canonical), Ok(canonical.clone()), "{input}: in one step");
                equal += 1;
            }
            (Ok(canonical), None) => panic!("{input}: became {canonical}, though it is no URL"),
            (Err(_), None) => refused += 1,
            (Err(error), Some(_)) => {
                let own = matches!(
                    error,
                    TargetError::SingleLabel(_)
                        | TargetError::Control(_)
                        | TargetError::NoHost(_)
                        | TargetError::Character { .. }
                        | TargetError::EmptyLabel(_)
                        | TargetError::LabelTooLong(_)
                        | TargetError::Wildcard { .. }
                        | TargetError::Root
                );
                assert!(own, "{input}: {error}");
                stricter += 1;
            }
        }
    }
    println!("equal {equal}, refused {refused}, stricter here {stricter}");
    assert!(equal > 50 && refused > 50);
}

#[test]
fn public_suffix_vectors() {
    let Some(text) = shared_data::load_text("vectors/test_psl.txt.zst") else { return };
    let mut seen = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix("checkPublicSuffix(")) {
        let Some((name, registrable)) = line.trim_end_matches(");").split_once(", ") else { continue };
        let name = name.trim_matches('\'');
        if name == "null" || name.starts_with('.') {
            continue;
        }
        let refused = canonical_domain(name).is_err();
        // uk.com is a suffix of the private section, which may be listed; kobe.jp is refused as the parent of *.kobe.jp.
        let expected = (registrable == "null" && name != "uk.com") || name == "kobe.jp";
        assert_eq!(refused, expected, "{line}");
        seen += 1;
    }
    assert!(seen > 60, "{seen}");
}

/// Words that meet many branches: labels of all kinds, escapes, addresses, and anything.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zA-Z0-9_-]{1,10}",
        2 => prop::sample::select(vec![".", "..", "*", "/", "//", ":", "?", "#", "@", "%", "%2e", "%2F", "%41", "%C3%BC", "[", "]", "\\", " ", "=", "&"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["com", "co.uk", "example", "kobe.jp", "xn--bcher-kva", "xn--a", "0x7f", "127.0.0.1", "::1", "2001:db8::", "/24", ":8080", "http://", "https://", "ß", "ü", "。", "\u{ad}", "\u{200d}"]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..8).prop_map(|parts| parts.concat())
}

fn host() -> impl Strategy<Value = String> {
    "[a-z0-9_-]{1,8}\\.[a-z]{3,6}\\.example"
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let code = || "[a-z0-9][a-z0-9._-]{0,8}".prop_map(|c| c.parse().expect("a code"));
    (
        prop::collection::vec(code(), 0..5),
        prop::option::of("[A-Za-z0-9_-]{8,32}"),
        prop::option::of(1_u8..=21),
        prop::option::of(prop::sample::select(vec!["block", "warn", "log"])),
        prop::option::of(code()),
        prop::option::of((1970..2100_u32, 1..=12_u32, 1..=28_u32)),
    )
        .prop_map(|(categories, reference, age, action, reason, day)| Attributes {
            categories,
            reference,
            age,
            action: action.map(|a| a.parse().expect("an action")),
            reason,
            expires: day.map(|(y, m, d)| format!("{y:04}-{m:02}-{d:02}").parse().expect("a date")),
        })
}

/// Changes that may follow `state`, and the state after them: the model is a map.
fn steps(state: &BTreeMap<String, String>, choices: &[(u8, u8)]) -> (ChangeSet, BTreeMap<String, String>) {
    let mut set = ChangeSet::default();
    let mut after = state.clone();
    let mut touched = std::collections::BTreeSet::new();
    for (rule, what) in choices {
        let rule = format!("domain:h{}.example", rule % 12);
        if !touched.insert(rule.clone()) {
            continue;
        }
        let line = format!("{rule}\tage={}", what % 20 + 1);
        let entry: Entry = line.parse().expect("an entry");
        let change = match (after.contains_key(&rule), what % 3 == 0) {
            (true, true) => {
                after.remove(&rule);
                Change::Remove(entry.rule())
            }
            (true, false) => {
                after.insert(rule, line);
                Change::Replace(entry)
            }
            (false, _) => {
                after.insert(rule, line);
                Change::Add(entry)
            }
        };
        set.push(change).expect("the first of this rule");
    }
    (set, after)
}

/// Strict application, by the words of the protocol.
fn apply(state: &BTreeMap<String, String>, set: &ChangeSet) -> BTreeMap<String, String> {
    let mut state = state.clone();
    for change in set.iter() {
        let rule = change.rule_str().to_owned();
        match change {
            Change::Add(e) => assert!(state.insert(rule, e.line().to_owned()).is_none(), "+ of what is there"),
            Change::Replace(e) => assert!(state.insert(rule, e.line().to_owned()).is_some(), "~ of what is not there"),
            Change::Remove(_) => assert!(state.remove(&rule).is_some(), "- of what is not there"),
        }
    }
    state
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn canonical_form_is_reached_in_one_step(text in text()) {
        for canonical in [canonical_domain, canonical_url, canonical_cidr] {
            if let Ok(once) = canonical(&text) {
                prop_assert_eq!(canonical(&once), Ok(once.clone()), "{:?}", text);
                prop_assert!(once.bytes().all(|c| c.is_ascii_graphic()), "{:?}", once);
            }
        }
        for kind in Kind::ALL {
            match Rule::new(kind, &text) {
                Ok(rule) => prop_assert_eq!(rule.as_str().parse(), Ok(rule.clone())),
                Err(error) => prop_assert!(!error.reason_and_hint().1.is_empty() && error.to_string().len() < 2_000, "{}", error),
            }
        }
        if let Ok(rule) = Rule::interpret(&text) {
            prop_assert_eq!(Rule::interpret(rule.as_str()), Ok(rule));
        }
    }

    #[test]
    fn the_ascii_path_is_the_idna_path(name in "[a-zA-Z0-9._-]{1,40}") {
        if let Ok(canonical) = canonical_domain(&name) {
            prop_assert_eq!(idna::domain_to_ascii(name.strip_suffix('.').unwrap_or(&name)).ok(), Some(canonical));
        }
    }

    #[test]
    fn a_spelling_with_other_letters_is_the_same_host(name in host()) {
        let canonical = canonical_domain(&name);
        prop_assert_eq!(canonical_domain(&name.to_uppercase()), canonical.clone());
        prop_assert_eq!(canonical_domain(&format!("{name}.")), canonical.clone());
        prop_assert_eq!(canonical_url(&format!("HTTPS://{}:443", name.to_uppercase())), canonical.map(|c| c + "/"));
    }

    #[test]
    fn an_entry_reads_as_it_prints(name in host(), attributes in attributes()) {
        let rule = Rule::new(Kind::Domain, &name).expect("a host");
        let entry = Entry::new(&rule, &attributes).expect("in range");
        prop_assert_eq!(entry.line().parse(), Ok(entry.clone()));
        prop_assert_eq!(Entry::new(&entry.rule(), &entry.attributes()), Ok(entry.clone()));
        prop_assert_eq!(entry.rule_str(), rule.as_str());
    }

    #[test]
    fn an_entry_line_that_reads_prints_the_same(line in "(domain:a\\.example|url:a\\.example/x)(\t(cat|ref|age|act|rsn|exp|x)=[a-z0-9,-]{0,10}){0,3}") {
        if let Ok(entry) = line.parse::<Entry>() {
            let again = Entry::new(&entry.rule(), &entry.attributes()).expect("in range");
            prop_assert_eq!(again.line(), line.as_str());
        }
    }

    #[test]
    fn composed_changes_do_what_the_steps_do(
        before in prop::collection::vec(0_u8..12, 0..8),
        a in prop::collection::vec(any::<(u8, u8)>(), 0..12),
        b in prop::collection::vec(any::<(u8, u8)>(), 0..12),
        c in prop::collection::vec(any::<(u8, u8)>(), 0..12),
    ) {
        let before: BTreeMap<String, String> = before.iter().map(|n| (format!("domain:h{n}.example"), format!("domain:h{n}.example"))).collect();
        let (a, after_a) = steps(&before, &a);
        let (b, after_b) = steps(&after_a, &b);
        let (c, after_c) = steps(&after_b, &c);
        let ab = a.clone().then(b.clone()).expect("b follows a");
        prop_assert_eq!(apply(&before, &ab), apply(&apply(&before, &a), &b));
        prop_assert_eq!(apply(&before, &ab), after_b);
        let left = ab.then(c.clone()).expect("c follows");
        let right = a.then(b.then(c).expect("c follows b")).expect("bc follows a");
        prop_assert_eq!(&left, &right, "associative");
        prop_assert_eq!(apply(&before, &left), after_c);
    }
}
