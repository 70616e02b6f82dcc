//! One test an attack: what a thief of keys, a mirror or the network can and cannot do to what is trusted (docs/TRUST.md).

use bwld::{
    list::{Colour, Timestamp},
    trust::{Accepted, Freshness, TrustError, Trusted, VerifiedHead},
    wire::{Delta, Head, KeySet, ListSelection, Note, SnapshotReader, WireError},
};

use crate::signed::{
    applied, chain, delta, head, key, keyset_1, keyset_2, keyset_3, list, note, now, origin, serial, signed, snapshot, time, tree_root,
    trusted, version,
};

fn check(trusted: &Trusted, note: &str, before: Option<&Head>, now: Timestamp) -> Result<VerifiedHead, TrustError> {
    let before = before.map(|head| Accepted { head: head.clone() });
    trusted.verify_head(note.as_bytes(), &list("adult"), Some(Colour::Black), before.as_ref(), now)
}

/// The word of the refusal, `fresh` or `stale`.
fn outcome(trusted: &Trusted, note: &str, before: Option<&Head>, now: Timestamp) -> &'static str {
    match check(trusted, note, before, now) {
        Ok(verified) if verified.freshness() == Freshness::Fresh => "fresh",
        Ok(_) => "stale",
        Err(e) => e.code(),
    }
}

fn bent(number: u64, bend: impl FnOnce(&mut Head)) -> Head {
    let mut head = head(number);
    bend(&mut head);
    head
}

#[test]
fn a_good_head_is_taken_as_it_travelled() {
    let text = signed(&head(3));
    let verified = check(&trusted(3), &text, Some(&head(2)), now()).unwrap();
    assert_eq!((verified.head(), verified.note(), verified.freshness()), (&head(3), text.as_str(), Freshness::Fresh));
    assert_eq!(Accepted::from(&verified).head, head(3));
    // The same once more, a later version after a gap, and a heartbeat are taken too.
    assert_eq!(outcome(&trusted(3), &text, Some(&head(3)), now()), "fresh");
    assert_eq!(outcome(&trusted(3), &signed(&head(4)), Some(&head(1)), now()), "fresh");
    let heartbeat = bent(3, |h| (h.issued, h.expires) = (time("2026-11-24T11:59:00Z"), time("2026-11-25T11:59:00Z")));
    assert_eq!(outcome(&trusted(3), &signed(&heartbeat), Some(&head(3)), now()), "fresh");
}

#[test]
fn rollback() {
    for older in [1, 2] {
        let error = check(&trusted(3), &signed(&head(older)), Some(&head(3)), now()).unwrap_err();
        assert!(matches!(&error, TrustError::Rollback { offered, accepted, .. } if (offered.get(), accepted.get()) == (older, 3)));
        assert!(error.to_string().contains("rollback"), "{error}");
    }
    // An earlier signing of the very version that is kept is a slow cache, no attack.
    let heartbeat = bent(3, |h| h.issued = time("2026-11-24T11:30:00Z"));
    let error = check(&trusted(3), &signed(&head(3)), Some(&heartbeat), now()).unwrap_err();
    assert!(error.is_superseded() && !error.is_split_view());
}

#[test]
fn rollback_of_key_sets() {
    let [one, two, three] = chain();
    for (trusted, note) in [(trusted(3), &two), (trusted(3), &three), (trusted(2), &one), (trusted(1), &three)] {
        assert!(matches!(trusted.advance(note.as_bytes()), Err(TrustError::KeySetNumber { .. })));
    }
}

#[test]
fn freeze() {
    let text = signed(&head(3));
    for (at, expected) in [
        ("2026-11-25T10:59:59Z", "fresh"),
        ("2026-11-25T11:00:00Z", "stale"),
        ("2026-12-25T11:00:00Z", "stale"),
        ("2027-10-31T23:59:59Z", "stale"),
        ("2027-11-01T00:00:00Z", "key-not-valid"),
    ] {
        assert_eq!(outcome(&trusted(3), &text, Some(&head(3)), time(at)), expected, "{at}");
    }
    // Nobody can make a head that never goes stale, not even with the signing key.
    for (issued, expires, expected) in [
        ("2026-11-24T11:00:00Z", "2026-12-26T11:00:00Z", "fresh"),
        ("2026-11-24T11:00:00Z", "2026-12-26T11:00:01Z", "lifetime"),
        ("2026-11-24T11:00:00Z", "9999-12-31T23:59:59Z", "lifetime"),
        ("2026-11-24T11:00:00Z", "2026-11-24T11:00:00Z", "lifetime"),
        ("2026-11-24T11:00:00Z", "2026-11-24T10:00:00Z", "lifetime"),
        ("2026-11-24T12:05:00Z", "2026-11-25T12:05:00Z", "fresh"),
        ("2026-11-24T12:05:01Z", "2026-11-25T12:05:01Z", "issued-in-future"),
    ] {
        let head = bent(3, |h| (h.issued, h.expires) = (time(issued), time(expires)));
        assert_eq!(outcome(&trusted(3), &signed(&head), None, now()), expected, "{issued} to {expires}");
    }
}

#[test]
fn split_view() {
    // Another version under the serial that is known ...
    let other = bent(3, |h| h.entries = 1_000);
    let error = check(&trusted(3), &signed(&other), Some(&head(3)), now()).unwrap_err();
    assert!(error.is_split_view(), "{error}");
    // ... is seen even when it claims to have been signed earlier.
    let other = bent(3, |h| (h.entries, h.issued) = (1_000, time("2026-11-24T10:59:00Z")));
    assert_eq!(outcome(&trusted(3), &signed(&other), Some(&head(3)), now()), "split-view");
    // The next version must name the one that is known; so must the next key set.
    let other = bent(4, |h| h.previous = Some(bwld::list::Digest([7; 32])));
    assert_eq!(outcome(&trusted(3), &signed(&other), Some(&head(3)), now()), "split-view");
    let mut other = keyset_2();
    other.previous = Some(bwld::list::Digest([7; 32]));
    let error = trusted(1).advance(note(&other.to_text(), &["root-a", "root-b"]).as_bytes()).unwrap_err();
    assert!(matches!(error, TrustError::KeySetPrevious { number: 2 }) && error.is_split_view());
}

#[test]
fn wrong_list_or_colour() {
    let refused = |head: &Head, colour, before: Option<Accepted>| {
        trusted(3).verify_head(signed(head).as_bytes(), &list("adult"), colour, before.as_ref(), now()).unwrap_err()
    };
    let other_list = bent(3, |h| h.list = list("games"));
    assert!(matches!(refused(&other_list, None, None), TrustError::WrongList { .. }));
    let other_colour = bent(3, |h| h.colour = Colour::White);
    assert!(matches!(refused(&other_colour, Some(Colour::Black), None), TrustError::WrongColour { .. }));
    assert!(matches!(refused(&other_colour, None, Some(Accepted { head: head(2) })), TrustError::WrongColour { .. }));
    let other_origin = bent(3, |h| h.origin = "lists.example.net".parse().unwrap());
    assert!(matches!(refused(&other_origin, None, None), TrustError::WrongOrigin { .. }));
    let mut keys = keyset_2();
    keys.origin = "lists.example.net".parse().unwrap();
    let error = trusted(1).advance(note(&keys.to_text(), &["root-a", "root-b"]).as_bytes()).unwrap_err();
    assert!(matches!(error, TrustError::WrongOrigin { .. }));
}

#[test]
fn changed_bytes_of_a_head() {
    let (trusted, good) = (trusted(3), signed(&head(3)).into_bytes());
    for at in 0..good.len() {
        for flip in [1 << (at % 8), 0x20, 0x80] {
            let mut bytes = good.clone();
            bytes[at] ^= flip;
            let refused = trusted.verify_head(&bytes, &list("adult"), None, None, now());
            assert!(refused.is_err(), "octet {at} ^ {flip:#x}");
        }
        assert!(trusted.verify_head(&good[..at], &list("adult"), None, None, now()).is_err(), "cut at {at}");
    }
}

#[test]
fn changed_bytes_of_a_key_set() {
    let good = chain()[1].clone().into_bytes();
    let trusted = trusted(1);
    assert!(trusted.advance(&good).is_ok());
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        assert!(trusted.advance(&bytes).is_err(), "octet {at}");
        assert!(Trusted::pin(&bytes, &keyset_2().fingerprint()).is_err(), "octet {at}");
    }
}

#[test]
fn changed_bytes_of_a_delta() {
    let good = delta(2, 3).encode();
    let reached = |bytes: &[u8]| {
        let read = Delta::parse(bytes).ok().filter(|d| d.header == delta(2, 3).header)?;
        let content = applied(&version(2), &read.changes)?;
        (tree_root(&content, 0) == head(3).root).then_some(())
    };
    assert!(reached(&good).is_some());
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        assert!(reached(&bytes).is_none(), "octet {at}");
    }
}

#[test]
fn changed_bytes_of_a_snapshot() {
    let (good, digest) = snapshot(3, &version(3));
    let read = |bytes: &[u8]| {
        let mut reader = SnapshotReader::new(bytes, good.len() as u64).ok()?;
        while reader.next_line().ok()?.is_some() {}
        (reader.digest().0 == digest).then_some(())
    };
    assert!(read(&good).is_some());
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        assert!(read(&bytes).is_none(), "octet {at}");
    }
}

#[test]
fn mix_and_match() {
    // A delta of other versions, genuine in itself, does not lead to the root that the head names.
    let two = version(2);
    for other in [delta(1, 2), delta(3, 4), delta(1, 4)] {
        let reached = applied(&two, &other.changes).map(|content| tree_root(&content, 0));
        assert_ne!(reached, Some(head(3).root), "{:?}", other.header);
    }
    // A head's text under the signature of another head.
    let (a, b) = (signed(&head(3)), signed(&head(2)));
    let mixed =
        Note { text: Note::parse(a.as_bytes(), 4_096).unwrap().text, signatures: Note::parse(b.as_bytes(), 4_096).unwrap().signatures };
    assert_eq!(outcome(&trusted(3), &mixed.encode(), None, now()), "bad-signature");
    // A key set's text is no head and a head's text is no key set, whoever signed them.
    assert_eq!(outcome(&trusted(3), &note(&keyset_3().to_text(), &["signing-2"]), None, now()), "form");
    assert!(matches!(trusted(2).advance(note(&head(3).to_text(), &["root-a", "root-b"]).as_bytes()), Err(TrustError::Form(_))));
}

#[test]
fn endless_data() {
    let endless = |text: &str, n: usize| [text.as_bytes(), &vec![b'a'; n]].concat();
    let head = endless(&signed(&head(3)), 1 << 20);
    let error = trusted(3).verify_head(&head, &list("adult"), None, None, now()).unwrap_err();
    assert!(matches!(error, TrustError::Form(WireError::TooLarge { limit: 4_096, .. })));
    let keys = endless(&chain()[1], 1 << 20);
    assert!(matches!(trusted(1).advance(&keys), Err(TrustError::Form(WireError::TooLarge { limit: 65_536, .. }))));
    assert!(matches!(Trusted::pin(&keys, &keyset_1().fingerprint()), Err(TrustError::Form(WireError::TooLarge { .. }))));
    // A snapshot that never ends is cut at the size in the head; see also the unit tests of wire.
    let (bytes, _) = snapshot(3, &version(3));
    let endless = std::io::Read::chain(bytes.as_slice(), std::io::repeat(b'\n'));
    let mut reader = SnapshotReader::new(endless, bytes.len() as u64).unwrap();
    let refused = loop {
        match reader.next_line() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it was taken"),
            Err(e) => break e,
        }
    };
    assert!(matches!(refused, WireError::TooLarge { .. }), "{refused}");
}

#[test]
fn unknown_keys_are_passed_over() {
    let text = head(3).to_text();
    assert_eq!(outcome(&trusted(3), &note(&text, &["stranger"]), None, now()), "unknown-key");
    assert_eq!(outcome(&trusted(3), &note(&text, &["stranger", "signing-2"]), None, now()), "fresh");
    // The name of a known key with the hash of another: unknown as well.
    let mut signature = key("stranger").sign(&text);
    signature.name = "signing-2".to_owned();
    let forged = Note { text: text.clone(), signatures: vec![signature.clone()] };
    assert_eq!(outcome(&trusted(3), &forged.encode(), None, now()), "unknown-key");
    // The right name and hash and a wrong signature refuse the head, even beside a good one.
    signature.key_hash = key("signing-2").sign(&text).key_hash;
    let forged = Note { text: text.clone(), signatures: vec![signature, key("signing-2").sign(&text)] };
    assert_eq!(outcome(&trusted(3), &forged.encode(), None, now()), "bad-signature");
    // Root keys sign no heads.
    assert_eq!(outcome(&trusted(3), &note(&text, &["root-a", "root-b"]), None, now()), "unknown-key");
}

#[test]
fn a_key_signs_only_its_lists_in_its_time() {
    let text = head(3).to_text();
    assert_eq!(outcome(&trusted(3), &note(&text, &["canary-only"]), None, now()), "key-not-for-list");
    assert_eq!(outcome(&trusted(3), &note(&text, &["canary-only", "signing-2"]), None, now()), "fresh");
    let canary = bent(3, |h| h.list = list("canary"));
    let note_of = note(&canary.to_text(), &["canary-only"]);
    assert!(trusted(3).verify_head(note_of.as_bytes(), &list("canary"), None, None, now()).is_ok());
    // Issued before the key's time, and checked before it.
    let early = bent(3, |h| (h.issued, h.expires) = (time("2026-11-19T23:59:59Z"), time("2026-11-25T00:00:00Z")));
    assert_eq!(outcome(&trusted(3), &signed(&early), None, now()), "key-not-valid");
    assert_eq!(outcome(&trusted(3), &signed(&head(3)), None, time("2026-11-19T00:00:00Z")), "key-not-valid");
}

#[test]
fn key_compromise_and_recovery() {
    // signing-1 is stolen while key set 1 is in force: the thief signs what he likes.
    let forged = bent(3, |h| (h.keyset, h.entries) = (1, 1_000));
    let forged_note = note(&forged.to_text(), &["signing-1"]);
    assert_eq!(outcome(&trusted(1), &forged_note, Some(&head(2)), now()), "fresh", "until the key is taken out");
    // He cannot make a key set: root keys lie elsewhere.
    let mut own = keyset_2();
    own.signing[0].key = key("stranger").public();
    for keys in [&["signing-1"][..], &["stranger"], &["root-a"], &["root-a", "root-a"], &["root-a", "signing-1", "stranger"]] {
        let error = trusted(1).advance(note(&own.to_text(), keys).as_bytes()).unwrap_err();
        assert!(matches!(error, TrustError::TooFewRootSignatures { needed: 2, .. }), "{keys:?}: {error}");
    }
    // Key set 3 takes the key out: from then on nothing it signs counts, however it is dated.
    assert_eq!(outcome(&trusted(3), &forged_note, Some(&head(2)), now()), "unknown-key");
    // The follower that accepted the forged version lets go of it with the key, and is back with the next honest head,
    // whatever its serial.
    assert_eq!(trusted(1).accepted(forged_note.as_bytes()).unwrap(), Some(Accepted { head: forged.clone() }));
    assert_eq!(trusted(3).accepted(forged_note.as_bytes()).unwrap(), None);
    for number in [3, 4] {
        assert_eq!(outcome(&trusted(3), &signed(&head(number)), None, now()), "fresh");
    }
    let honest = head(4);
    let kept = trusted(3).accepted(signed(&honest).as_bytes()).unwrap();
    assert_eq!(kept, Some(Accepted { head: honest.clone() }), "heads by the remaining keys keep their claim");
    // A follower that knows only the old key set is sent for the new one before anything else.
    assert!(matches!(check(&trusted(1), &signed(&honest), Some(&head(3)), now()), Err(TrustError::NewerKeySet { needed: 3, known: 1 })));
}

#[test]
fn fast_forward() {
    // The thief of a signing key signs the highest serial there is. As long as his key is in force, nothing else passes ...
    let last = bent(3, |h| (h.serial, h.keyset) = (serial(i64::MAX as u64), 1));
    let forged = note(&last.to_text(), &["signing-1"]);
    assert_eq!(outcome(&trusted(1), &forged, Some(&head(3)), now()), "fresh");
    let honest = bent(4, |h| h.keyset = 1);
    assert_eq!(outcome(&trusted(1), &note(&honest.to_text(), &["signing-1"]), Some(&last), now()), "rollback");
    // ... and with his key his serial goes too.
    let kept = trusted(3).accepted(forged.as_bytes()).unwrap().map(|accepted| accepted.head);
    assert_eq!(outcome(&trusted(3), &signed(&head(4)), kept.as_ref(), now()), "fresh");
}

#[test]
fn one_root_key_of_two_is_not_enough() {
    let text = keyset_2().to_text();
    let refused = |keys: &[&str]| match trusted(1).advance(note(&text, keys).as_bytes()) {
        Err(TrustError::TooFewRootSignatures { of, needed, found, .. }) => (of, needed, found),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&["root-a"]), (1, 2, 1));
    assert_eq!(refused(&["root-a", "root-a", "root-a"]), (1, 2, 1), "a key counts once");
    assert_eq!(refused(&["root-a", "root-d"]), (1, 2, 1), "root-d is not in key set 1");
    assert_eq!(refused(&["root-a", "root-c"]), (2, 2, 1), "root-c is not in key set 2");
    assert!(trusted(1).advance(note(&text, &["root-b", "root-a"]).as_bytes()).is_ok());
    // A wrong signature of a known root key refuses the note.
    let mut forged = Note::parse(chain()[1].as_bytes(), 65_536).unwrap();
    forged.signatures[1].signature[9] ^= 1;
    assert!(matches!(trusted(1).advance(forged.encode().as_bytes()), Err(TrustError::BadSignature { .. })));
}

#[test]
fn pinning() {
    let [one, two, three] = chain();
    // Any key set may be pinned, and the chain goes on from there.
    let pinned = Trusted::pin(two.as_bytes(), &keyset_2().fingerprint()).unwrap();
    assert_eq!((pinned.keyset().number, pinned.note(), pinned.origin()), (2, two.as_str(), &origin()));
    assert_eq!(pinned.advance(three.as_bytes()).unwrap().fingerprint(), keyset_3().fingerprint());
    // Another key set than the pinned one, however well signed, is refused.
    assert!(matches!(Trusted::pin(one.as_bytes(), &keyset_2().fingerprint()), Err(TrustError::FingerprintMismatch { .. })));
    // The right one must still carry its own threshold.
    let thin = note(&keyset_1().to_text(), &["root-a"]);
    assert!(matches!(Trusted::pin(thin.as_bytes(), &keyset_1().fingerprint()), Err(TrustError::TooFewRootSignatures { .. })));
    assert!(matches!(Trusted::self_signed_for_tofu(thin.as_bytes()), Err(TrustError::TooFewRootSignatures { .. })));
    assert_eq!(Trusted::self_signed_for_tofu(one.as_bytes()).unwrap().fingerprint(), keyset_1().fingerprint());
}

#[test]
fn weak_keys_sign_nothing() {
    // The point of order 1 as a public key: lenient verification would take one signature for every text.
    let mut weak = [0; 32];
    weak[0] = 1;
    let mut set: KeySet = keyset_1();
    set.threshold = 1;
    set.roots[0].key = weak;
    let text = set.to_text();
    let hash = bwld::list::Digest::of([b"root-a\n\x01".as_slice(), &weak].concat()).0;
    let mut signature = vec![0; 64];
    signature[0] = 1;
    let signatures = vec![bwld::wire::NoteSignature { name: "root-a".to_owned(), key_hash: *hash.first_chunk().unwrap(), signature }];
    let note = Note { text, signatures }.encode();
    assert!(matches!(Trusted::self_signed_for_tofu(note.as_bytes()), Err(TrustError::BadSignature { .. })));
}

#[test]
fn a_key_may_be_limited_to_lists() {
    assert!(ListSelection::All.allows(&list("anything")));
    let some = ListSelection::Some(vec![list("a"), list("b")]);
    assert!(some.allows(&list("b")) && !some.allows(&list("c")));
}

/// Text of the tests of a room: one file of this binary or a folder of them, or one file of `src/wire/`.
fn tests_of(room: &str, module: Option<&str>) -> Option<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = match module {
        Some(module) => root.join("src").join(room).join(format!("{module}.rs")),
        None => root.join("tests/it").join(format!("{room}.rs")),
    };
    if let Ok(text) = std::fs::read_to_string(path) {
        return Some(text);
    }
    let folder = std::fs::read_dir(root.join("tests/it").join(room)).ok()?;
    Some(folder.flatten().filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect())
}

#[test]
fn every_test_that_the_trust_page_names_exists() {
    let page = include_str!("../../docs/TRUST.md");
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).filter(|name| name.contains("::")).collect();
    assert!(named.len() > 30, "{named:?}");
    for name in named {
        let parts: Vec<&str> = name.split("::").collect();
        let (room, test) = (parts[0], parts[parts.len() - 1]);
        let module = (room == "wire").then(|| parts[1]);
        match tests_of(room, module) {
            Some(text) => assert!(text.contains(&format!("fn {test}(")), "docs/TRUST.md names {name}, which does not exist"),
            None => println!("{name} is skipped: no tests of {room} here"),
        }
    }
}
