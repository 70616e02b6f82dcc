//! `examples/filter.rs`, the journey of a maker of filters, with the documents of a small publisher.

use bwld::matcher::Seed;
use bwld::wire::compress;

use super::signed;

#[path = "../../examples/filter.rs"]
#[allow(dead_code, reason = "its main reads files and the clock")]
mod example;

use example::Filter;

const QUESTIONS: [&str; 5] = ["one.example", "www.three.example", "https://four.example/a/x", "192.0.2.1", "elsewhere.example"];

fn answers(filter: &Filter) -> Vec<String> {
    QUESTIONS.iter().map(|question| filter.ask(question, signed::now()).expect("an index that is whole")).collect()
}

#[test]
fn from_the_publishers_files_to_verdicts() {
    let now = signed::now();
    let chain = signed::chain();
    let seed = Seed::new(*b"fixed for a test");
    let pinned = signed::keyset_1().fingerprint().to_string();
    let mut filter = Filter::new(&pinned, "adult", chain[0].as_bytes(), seed).expect("the pinned key set");
    let (snapshot, _) = signed::snapshot(1, &signed::version(1));
    assert!(filter.take(&snapshot, now).is_err(), "nothing is taken that no head vouches for");
    for note in &chain[1..] {
        filter.take(note.as_bytes(), now).expect("the chain is good");
    }
    assert!(answers(&filter).iter().all(|answer| answer.ends_with(": unlisted")), "no list is wanted yet");

    filter.take(signed::signed(&signed::head(1)).as_bytes(), now).expect("a good head");
    assert!(answers(&filter).iter().all(|answer| answer.ends_with(": no-data")), "wanted, and not here");
    let mut bent = snapshot.clone();
    *bent.iter_mut().rfind(|octet| **octet == b'w').expect("two.example") = b'x';
    assert!(filter.take(&bent, now).is_err());
    assert!(answers(&filter).iter().all(|answer| answer.ends_with(": no-data")));
    filter.take(&compress(&snapshot, 3), now).expect("the snapshot of the head");
    let first = [
        "one.example: block by domain:one.example of adult 1",
        "www.three.example: block by subtree:three.example of adult 1",
        "https://four.example/a/x: unlisted",
        "192.0.2.1: unlisted",
        "elsewhere.example: unlisted",
    ];
    assert_eq!(answers(&filter), first);

    // A later head; what it signs comes as a delta. Until then the old answers stand.
    filter.take(signed::signed(&signed::head(3)).as_bytes(), now).expect("a good head");
    assert_eq!(answers(&filter), first);
    assert!(filter.take(&signed::delta(2, 3).encode(), now).is_err(), "it begins elsewhere");
    filter.take(&compress(&signed::delta(1, 3).encode(), 3), now).expect("the delta to the head");
    assert_eq!(
        answers(&filter),
        [
            "one.example: block by domain:one.example of adult 3",
            "www.three.example: block by subtree:three.example of adult 3",
            "https://four.example/a/x: block by prefix:four.example/a/ of adult 3",
            "192.0.2.1: block by cidr:192.0.2.0/24 of adult 3",
            "elsewhere.example: unlisted",
        ]
    );
    assert!(filter.take(signed::signed(&signed::head(2)).as_bytes(), now).is_err(), "a rollback");
    let later = signed::time("2026-11-26T00:00:00Z");
    assert_eq!(filter.ask("one.example", later).expect("whole"), "one.example: block by domain:one.example of adult 3, stale");
    assert!(filter.ask("a..example", now).expect("an answer").starts_with("a..example: invalid: "));
}

#[test]
fn a_snapshot_older_than_its_head_waits_for_the_delta() {
    let now = signed::now();
    let chain = signed::chain();
    let fingerprint = signed::keyset_3().fingerprint().to_string();
    let mut filter = Filter::new(&fingerprint, "adult", chain[2].as_bytes(), Seed::new([7; 16])).expect("the pinned key set");
    filter.take(signed::signed(&signed::head(4)).as_bytes(), now).expect("a good head");
    filter.take(&signed::snapshot(1, &signed::version(1)).0, now).expect("the snapshot that the head names");
    assert!(answers(&filter).iter().all(|answer| answer.ends_with(": no-data")), "version 1 is not what the head signs");
    filter.take(&signed::delta(1, 4).encode(), now).expect("the delta to the head");
    assert_eq!(answers(&filter)[0], "one.example: block by domain:one.example of adult 4");
}
