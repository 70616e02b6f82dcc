//! What happens with time: heartbeats, key sets, folding, deltas that go, damage that is found.

use bwld::list::Serial;
use bwld::publisher::{Class, Signed};
use bwld::store::Clock as _;

use super::*;

#[test]
fn heads_are_signed_again_before_they_expire() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::with_list(dir.path());
    house.stage(&["a.example"], &[]);
    house.publish();
    let first = house.published();
    assert_eq!(first.head.expires, first.head.issued.plus(24 * 3600));
    assert_eq!(house.publisher.heartbeat().unwrap(), first.head.issued.plus(6 * 3600));
    assert_eq!(house.published().note, first.note);

    house.clock.advance(6 * 3600);
    let next = house.publisher.heartbeat().unwrap();
    let second = house.published();
    assert_eq!(second.head.issued, house.clock.now());
    assert_eq!(next, house.clock.now().plus(6 * 3600));
    assert_eq!(second.head.version_digest(), first.head.version_digest());
    assert_eq!(second.updated, first.updated);
    assert_eq!(house.announced.lock().unwrap().len(), 2);
    let count = |kind| house.publisher.metrics().publications(&second.meta.id, kind);
    assert_eq!([Signed::Version, Signed::Heartbeat, Signed::Base].map(count), [1, 1, 0], "each is counted, whoever asked for it");
    house.assert_sound();
    drop(house);

    // A start signs what is due.
    let later = signed::now().plus(40 * 3600);
    let house = House::open_on(dir.path(), Arc::new(RealDisk), options(), later).unwrap();
    assert_eq!(house.published().head.issued, later);
    house.assert_sound();
}

#[test]
fn a_new_key_set_signs_everything_anew_and_one_that_cannot_sign_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::with_list(dir.path());
    house.stage(&["a.example"], &[]);
    house.publish();
    let two = signed::keyset_2();
    let roots = ["root-a", "root-b", "root-d"];
    // Not signed by enough of the old ones.
    let error = house.publisher.activate_keyset(&signed::note(&two.to_text(), &["root-d"]), "test").unwrap_err();
    assert_eq!(error.class(), Class::Reject);
    let mut without = two.clone();
    without.signing.clear();
    let error = house.publisher.activate_keyset(&signed::note(&without.to_text(), &roots), "test").unwrap_err();
    assert!(matches!(error, PublishError::Signing(_)), "{error}");
    assert_eq!(house.published().head.keyset, 1);

    let mut with = two;
    if with.signing.iter().all(|line| line.name != "signing-1") {
        with.signing.insert(0, signed::keyset_1().signing[0].clone());
    }
    assert_eq!(house.publisher.activate_keyset(&signed::note(&with.to_text(), &roots), "test").unwrap(), 2);
    assert_eq!(house.published().head.keyset, 2);
    house.assert_sound();
    drop(house);
    let house = House::open(dir.path());
    assert_eq!(house.published().head.keyset, 2);
    house.assert_sound();
}

#[test]
fn many_changes_fold_into_a_new_base_in_the_background() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::with_list(dir.path());
    let entries: Vec<String> = (0..2_000).map(|n| format!("host{n:04}.example")).collect();
    let put = |range: std::ops::Range<usize>| {
        let some: Vec<&str> = entries[range].iter().map(String::as_str).collect();
        house.stage(&some, &[]);
        house.publish();
    };
    put(0..300);
    for step in 0..6 {
        put(300 + step * 250..550 + step * 250);
    }
    let before = house.published();
    assert_eq!((before.head.serial.get(), before.head.snapshot.serial.get()), (7, 1));
    assert!(before.content.overlay_len() > 1_000);

    let done = house.publisher.maintain().unwrap();
    assert_eq!((done.folded.len(), done.files_missing.len()), (1, 0));
    let after = house.published();
    assert_eq!((after.head.serial.get(), after.head.snapshot.serial.get()), (7, 7));
    assert_eq!(after.content.overlay_len(), 0);
    assert_eq!(after.head.version_digest(), before.head.version_digest());
    assert_eq!(after.bases.len(), 2, "the base before can still be fetched");
    let count = |kind| house.publisher.metrics().publications(&after.meta.id, kind);
    assert_eq!([Signed::Version, Signed::Heartbeat, Signed::Base].map(count), [7, 0, 1]);
    house.assert_sound();
    assert_eq!(house.publisher.maintain().unwrap().folded.len(), 0);
    house.stage(&[], &["host0001.example"]);
    house.publish();
    house.assert_sound();
    drop(house);
    let house = House::open(dir.path());
    assert_eq!(house.lines().len(), 1_799);
    house.assert_sound();
}

#[test]
fn old_deltas_go_but_never_those_a_start_needs() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::with_list(dir.path());
    let many: Vec<String> = (0..4_200).map(|n| format!("host{n:04}.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    house.stage(&many[..3_000], &[]);
    house.publish();
    for name in ["b.example", "c.example", "d.example"] {
        house.clock.advance(20 * 24 * 3600);
        house.publisher.heartbeat().unwrap();
        house.stage(&[name], &[]);
        house.publish();
    }
    // All lead on from the base of version 1, so all stay.
    assert_eq!(house.publisher.maintain().unwrap().deltas_dropped, 0);
    assert_eq!(house.published().deltas.len(), 3);

    // A publication that makes a base of its own lets the old ones go.
    house.stage(&many[3_000..], &[]);
    house.try_publish(&["max-added"]).unwrap();
    house.clock.advance(15 * 24 * 3600);
    house.publisher.heartbeat().unwrap();
    let done = house.publisher.maintain().unwrap();
    assert_eq!((done.deltas_dropped, done.files_removed >= 2), (2, true));
    assert_eq!(house.published().deltas.iter().map(|d| d.from.get()).collect::<Vec<_>>(), [3, 4]);
    house.assert_sound();
    drop(house);
    let house = House::open_on(dir.path(), Arc::new(RealDisk), options(), signed::now().plus(80 * 24 * 3600)).unwrap();
    assert_eq!(house.published().deltas.len(), 2);
    house.assert_sound();
}

#[test]
fn serials_go_on_above_a_floor() {
    let dir = tempfile::tempdir().unwrap();
    {
        let house = House::with_list(dir.path());
        house.stage(&["a.example"], &[]);
        house.publish();
        let floor = bwld::store::Record::SerialFloor { list: test(), serial: Serial::new(41).unwrap(), at: house.clock.now() };
        house.store.commit(&floor).unwrap();
    }
    let house = House::open(dir.path());
    house.stage(&["b.example"], &[]);
    let version = house.publish().version.unwrap();
    assert_eq!((version.serial.get(), version.delta), (42, None));
    house.assert_sound();
    house.stage(&["c.example"], &[]);
    assert!(house.publish().version.unwrap().delta.is_some());
    house.assert_sound();
    drop(house);
    House::open(dir.path()).assert_sound();
}

#[test]
fn a_damaged_list_is_not_served_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = {
        let house = House::with_list(dir.path());
        house.create("other", Colour::White, &[]);
        house.stage(&["a.example", "b.example"], &[]);
        house.publish();
        let base = house.published().bases[0].clone();
        house.store.artefacts().path(bwld::store::ArtefactKind::Buckets, &base.buckets)
    };
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() - 20;
    bytes[at] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let house = House::open(dir.path());
    assert!(house.catalog.get(&test()).is_none());
    assert_eq!(house.publisher.out_of_service()[0].0, test());
    let error = house.try_publish(&[]).unwrap_err();
    assert!(matches!(error, PublishError::OutOfService { .. }));
    assert_eq!(error.class(), Class::Fatal);
    assert_eq!(house.publisher.check().problems.len(), 1);
    // Others are as they were.
    assert_eq!(house.publisher.lists().len(), 2);
}

#[test]
fn check_finds_a_changed_octet_in_any_artefact() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::with_list(dir.path());
    house.stage(&["a.example", "b.example"], &[]);
    house.publish();
    house.stage(&["c.example"], &[]);
    house.publish();
    house.stage(&["d.example"], &[]);
    // What was staged before is named no more.
    house.publisher.maintain().unwrap();
    house.assert_sound();
    let mut seen = 0;
    for folder in std::fs::read_dir(dir.path().join("artefacts")).unwrap().flatten() {
        for file in std::fs::read_dir(folder.path()).unwrap().flatten() {
            let good = std::fs::read(file.path()).unwrap();
            // The middle of a bucket file is its content; of the others, compressed octets.
            let at = if file.path().extension().unwrap() == "buckets" { 20 } else { good.len() - 1 };
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(file.path(), &bad).unwrap();
            assert!(!house.publisher.check().problems.is_empty(), "{}", file.path().display());
            std::fs::write(file.path(), &good).unwrap();
            seen += 1;
        }
    }
    assert!(seen >= 4, "snapshot, buckets, delta, changes");
    house.assert_sound();
}

#[test]
fn from_every_snapshot_a_delta_leads_on_that_a_follower_unpacks() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::with_list(dir.path());
    house.stage(&["a.example"], &[]);
    house.publish();
    // Few changes, but long ones that compress to nearly nothing: neither their number nor their weight makes a base due.
    for round in 0..8 {
        let rules: Vec<String> = (0..90).map(|i| format!("url:r{round}-{i}.example/{}", "x".repeat(200))).collect();
        house.stage(&rules.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
        house.publish();
        let published = house.published();
        let base = published.bases.last().unwrap();
        let onward: u64 = published.deltas.iter().filter(|delta| delta.from >= base.serial).map(|delta| delta.size).sum();
        assert!(onward <= base.snapshot_size.max(65_536), "round {round}: {onward} octets from serial {}", base.serial);
    }
    assert!(house.published().bases.last().unwrap().serial > Serial::FIRST);
    house.assert_sound();
}
