//! What is fuzzed of the matching core: questions, index files, and look-ups over deltas against a naive model.

use std::collections::BTreeMap;

use bwld::list::{Change, ChangeSet, Colour, Digest, Entry, Kind, Serial, TargetError, canonical_url};
use bwld::matcher::{About, Buffer, Index, IndexBuilder, Layers, ListState, Lists, Question, Seed, Verdict};

fn about(serial: u64) -> About {
    About {
        origin: "lists.example.org".parse().expect("an origin"),
        list: "fuzz".parse().expect("a list"),
        colour: Colour::Black,
        serial: Serial::new(serial).expect("not zero"),
        root: Digest::of(""),
    }
}

fn lists(layers: Layers) -> Lists {
    let about = layers.about().clone();
    let serial = Some(about.serial);
    let state = ListState { origin: about.origin, list: about.list, colour: about.colour, serial, expires: None, local: false };
    Lists::new().with_list(state, Some(layers)).expect("no policy reads attributes")
}

/// A question or an error, never a panic; a URL is read as a rule would be.
pub fn question(bytes: &[u8]) {
    match Question::parse_octets(bytes) {
        Ok(question) => assert!(question.name().len() <= 253 && question.to_string().is_ascii()),
        Err(error) => assert!(error.to_string().len() < 4_000, "a message is bounded"),
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    let _ = Question::host(text);
    match (Question::url(text), canonical_url(text)) {
        (Ok(question), Ok(canonical)) => assert_eq!(question.to_string(), canonical),
        (Ok(question), Err(TargetError::SingleLabel(_))) => assert_eq!(question.name(), ""),
        (question, canonical) => assert!(question.is_err() && canonical.is_err(), "{text:?}: {question:?}, {canonical:?}"),
    }
}

/// An index file is opened, verified and asked, as it is and with its checksums made to hold: an error or an answer, and an end.
pub fn index_open(bytes: &[u8]) {
    open_and_ask(bytes);
    let mut sealed = bytes.to_vec();
    if seal(&mut sealed).is_some() {
        open_and_ask(&sealed);
    }
}

/// Makes the checksums of an index hold, or no fuzzer would come past them; `None` if it is not long enough to have any.
fn seal(octets: &mut [u8]) -> Option<()> {
    const PAGE: usize = 4_096;
    let number = |octets: &[u8], at: usize| Some(u64::from_le_bytes(octets.get(at..at + 8)?.try_into().ok()?) as usize);
    octets.get(..PAGE)?;
    let (sums, length) = (number(octets, 308)?, number(octets, 316)?);
    if sums % PAGE == 0 && sums >= PAGE && sums.checked_add(length)? <= octets.len() {
        for page in 1..(length / 4).min(sums / PAGE) {
            let mut sum = crc32fast::Hasher::new_with_initial(page as u32);
            sum.update(&octets[page * PAGE..(page + 1) * PAGE]);
            octets[sums + 4 * page..sums + 4 * page + 4].copy_from_slice(&sum.finalize().to_le_bytes());
        }
        let sum = crc32fast::hash(&octets[sums..sums + length]);
        octets[88..92].copy_from_slice(&sum.to_le_bytes());
    }
    octets[12..16].fill(0);
    let sum = crc32fast::hash(&octets[..PAGE]);
    octets[12..16].copy_from_slice(&sum.to_le_bytes());
    Some(())
}

fn open_and_ask(bytes: &[u8]) {
    let Ok(index) = Index::open(Buffer::from(bytes)) else { return };
    let whole = index.verify().is_ok();
    let layers = Layers::new(index.into());
    assert!(layers.begin_fold().1.run().is_ok() || !whole, "what is whole can be built again");
    let lists = lists(layers);
    let now = "2026-11-24T12:00:00Z".parse().expect("a time");
    for text in ["a.example", "www.b.example", "a.example/p/q?r", "10.0.0.1", "10.0.0.1/p", "2001:db8::1"] {
        let question = Question::parse(text).expect("a question");
        let verdict = lists.look_up(&question, now);
        if let Some(by) = verdict.decided_by() {
            assert!(by.entry().is_ok() || !whole);
        }
        assert!(lists.explain(&question, now).is_ok() || !whole);
    }
}

/// Whether a rule meets a question, by the words of docs/PROTOCOL.md section 3, and how specific it is.
fn met(rule: &str, question: &Question<'_>) -> Option<(u8, usize)> {
    let (kind, target) = Kind::split(rule)?;
    let (name, rest) = (question.name(), question.rest());
    let edge = |c: Option<char>| matches!(c, Some('/' | '?' | '&' | '='));
    let is_name = question.as_address().is_none();
    match kind {
        Kind::Domain => (is_name && name == target).then_some((3, target.len())),
        Kind::Subtree => {
            let under = name.strip_suffix(target).is_some_and(|more| more.is_empty() || more.ends_with('.'));
            (is_name && under).then_some((2, target.len()))
        }
        Kind::Url => (format!("{name}{}", rest?) == target).then_some((5, target.len())),
        Kind::Prefix => {
            let url = format!("{name}{}", rest?);
            let more = url.strip_prefix(target)?;
            (more.is_empty() || edge(target.chars().last()) || edge(more.chars().next())).then_some((4, target.len()))
        }
        Kind::Cidr => {
            let (network, length) = target.split_once('/')?;
            let (network, length): (std::net::IpAddr, u32) = (network.parse().ok()?, length.parse().ok()?);
            let within = match (network, question.as_address()?) {
                (std::net::IpAddr::V4(a), std::net::IpAddr::V4(b)) => {
                    (u32::from(a) ^ u32::from(b)).checked_shr(32 - length).unwrap_or(0) == 0
                }
                (std::net::IpAddr::V6(a), std::net::IpAddr::V6(b)) => {
                    (u128::from(a) ^ u128::from(b)).checked_shr(128 - length).unwrap_or(0) == 0
                }
                _ => false,
            };
            within.then_some((1, length as usize))
        }
    }
}

/// Lines: `+ENTRY` adds or replaces, `-RULE` takes away, `.` ends a delta, `!` folds, all else is asked.
pub fn look_up(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let now = "2026-11-24T12:00:00Z".parse().expect("a time");
    let mut seed = [0; 16];
    bytes.iter().enumerate().for_each(|(n, octet)| seed[n % 16] ^= octet);
    let mut layers = Layers::new(IndexBuilder::new(about(1), Seed::new(seed)).finish().expect("an empty index").into());
    let (mut model, mut changes): (BTreeMap<String, Entry>, ChangeSet) = (BTreeMap::new(), ChangeSet::default());
    let mut serial = 1;
    for line in text.lines().take(200) {
        match line.split_at_checked(1) {
            Some(("+", entry)) => {
                let Ok(entry) = entry.parse::<Entry>() else { continue };
                let there = model.insert(entry.rule_str().to_owned(), entry.clone()).is_some();
                changes.push(if there { Change::Replace(entry) } else { Change::Add(entry) }).expect("the model says what it is");
            }
            Some(("-", rule)) => {
                if let Some(entry) = model.remove(rule) {
                    changes.push(Change::Remove(entry.rule())).expect("it was there");
                }
            }
            Some((".", "")) => {
                serial += 1;
                layers = layers.apply(about(serial), &std::mem::take(&mut changes)).expect("it applies");
            }
            Some(("!", "")) => {
                let (with, fold) = layers.begin_fold();
                layers = with.finish_fold(fold.run().expect("it folds").into());
            }
            // Only where the layers are as the model is.
            _ if changes.is_empty() => {
                let Ok(question) = Question::parse(line) else { continue };
                let best = model.iter().filter_map(|(rule, entry)| Some((met(rule, &question)?, entry))).max_by_key(|(rank, _)| *rank);
                let lists = lists(layers.clone());
                let given = match lists.look_up(&question, now) {
                    Verdict::Block(by) => Some(by.entry().expect("a whole index")),
                    Verdict::Unlisted { stale: false } => None,
                    other => panic!("{other:?}"),
                };
                assert_eq!(given.as_ref(), best.map(|(_, entry)| entry), "{question}");
            }
            _ => {}
        }
    }
}
