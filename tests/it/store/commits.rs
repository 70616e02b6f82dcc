//! What a store says of itself in normal running and after a restart.

use std::fs;

use bwld::list::{Colour, Digest};
use bwld::store::{ArtefactKind, Class, IndexRecovery, Owner, Record, StoreError};

use super::made::*;

fn refusal(result: Result<u64, StoreError>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.class(), Class::Reject, "{error}");
    error.to_string()
}

#[test]
fn what_was_committed_is_read_back_now_and_after_a_restart() {
    for options in [MEMORY, SLED] {
        let dir = tempfile::tempdir().unwrap();
        let (store, recovery) = open(dir.path(), options);
        assert_eq!((recovery.index, recovery.torn, recovery.swept), (IndexRecovery::Current, None, 0));
        store.commit(&Record::KeySet { number: 1, note: "note 1".into(), at: at(0) }).unwrap();
        store.commit(&list("a")).unwrap();
        store.commit(&list("b")).unwrap();
        for n in 1..=12 {
            stage(&store, "a", &format!("+domain:x{n}.example\n")).unwrap();
            publish(&store, "a", n, 1 + n / 5 * 5 - u64::from(n >= 5)).unwrap();
        }
        stage(&store, "b", "+domain:y.example\n").unwrap();
        let before = (store.lists().unwrap(), store.versions(&id("a"), None, 100).unwrap(), store.keysets().unwrap(), store.last_frame());
        drop(store);
        let (store, recovery) = open(dir.path(), options);
        let after = (store.lists().unwrap(), store.versions(&id("a"), None, 100).unwrap(), store.keysets().unwrap(), store.last_frame());
        assert_eq!(before, after);
        assert_eq!(recovery.missing, []);
        let serials = |before, limit| store.versions(&id("a"), before, limit).unwrap().iter().map(|v| v.serial.get()).collect::<Vec<_>>();
        assert_eq!(serials(None, 3), [12, 11, 10]);
        assert_eq!(serials(Some(serial(10)), 3), [9, 8, 7]);
        assert_eq!(serials(Some(serial(1)), 3), [0; 0]);
        let a = store.list(&id("a")).unwrap().unwrap();
        assert_eq!((a.next_serial(), a.staged), (Some(serial(13)), None));
        assert_eq!((a.newest.unwrap().base.serial, a.previous_base.unwrap().serial), (serial(10), serial(5)));
        assert!(store.list(&id("b")).unwrap().unwrap().staged.is_some());
        assert_eq!(store.list(&id("c")).unwrap(), None);
    }
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path(), MEMORY);
    store.commit(&list("a")).unwrap();
    publish(&store, "a", 1, 1).unwrap();
    let before = (store.last_frame(), store.lists().unwrap());
    assert!(refusal(publish(&store, "a", 1, 1)).contains("next serial of a is 2"));
    assert!(refusal(publish(&store, "a", 3, 1)).contains("next serial of a is 2"));
    assert!(refusal(publish(&store, "a", 2, 3)).contains("later version"));
    assert!(refusal(publish(&store, "nope", 1, 1)).contains("no list nope"));
    let mut white = meta("a");
    white.colour = Colour::White;
    assert!(refusal(store.commit(&Record::List { meta: white, at: at(2), by: "test".into() })).contains("black for ever"));
    let absent = Record::Staged { list: id("a"), changes: Some(Digest::of("absent")), count: 1, at: at(1), by: "test".into() };
    assert!(refusal(store.commit(&absent)).contains("not there"));
    store.commit(&Record::KeySet { number: 1, note: "one".into(), at: at(0) }).unwrap();
    assert!(refusal(store.commit(&Record::KeySet { number: 1, note: "two".into(), at: at(0) })).contains("another key set 1"));
    let state = store.list(&id("a")).unwrap().unwrap();
    assert!(refusal(store.commit(&Record::ListState { state })).contains("checkpoint"));
    assert_eq!((store.last_frame(), store.lists().unwrap()), (before.0 + 1, before.1));
}

#[test]
fn serials_outlive_removal_and_respect_the_floor() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path(), MEMORY);
    store.commit(&list("a")).unwrap();
    publish(&store, "a", 1, 1).unwrap();
    publish(&store, "a", 2, 1).unwrap();
    store.commit(&Record::ListRemoved { list: id("a"), at: at(3), by: "test".into() }).unwrap();
    assert!(refusal(publish(&store, "a", 3, 3)).contains("removed"));
    // Its artefacts are no longer needed; its log is.
    assert_eq!(store.sweep().unwrap().removed, 3);
    assert_eq!(store.versions(&id("a"), None, 9).unwrap().len(), 2);
    store.commit(&list("a")).unwrap();
    publish(&store, "a", 3, 3).unwrap();
    store.commit(&Record::SerialFloor { list: id("a"), serial: serial(40), at: at(4) }).unwrap();
    assert!(refusal(publish(&store, "a", 4, 3)).contains("is 41"));
    publish(&store, "a", 41, 3).unwrap();
    drop(store);
    let (store, recovery) = open(dir.path(), MEMORY);
    assert_eq!(recovery.missing, [], "deltas of before the removal are not looked for");
    assert_eq!(store.list(&id("a")).unwrap().unwrap().next_serial(), Some(serial(42)));
}

#[test]
fn a_start_sweeps_what_nothing_names_and_says_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path(), MEMORY);
    store.commit(&list("a")).unwrap();
    for n in 1..=5 {
        publish(&store, "a", n, 1).unwrap();
    }
    store.commit(&Record::DeltasDropped { list: id("a"), before: serial(3), at: at(6) }).unwrap();
    // While it runs, an artefact that is still to be named stays.
    put(store.artefacts(), ArtefactKind::Delta, "not named yet\n").unwrap();
    assert_eq!(store.sweep().unwrap().removed, 2);
    let snapshot = store.artefacts().path(ArtefactKind::Snapshot, &Digest::of("snapshot of a 1\n"));
    let foreign = snapshot.with_file_name("readme.txt");
    fs::write(&foreign, "not ours").unwrap();
    fs::write(dir.path().join("artefacts/tmp/1-1.tmp"), "half").unwrap();
    drop(store);
    fs::remove_file(&snapshot).unwrap();
    let (_store, recovery) = open(dir.path(), MEMORY);
    assert_eq!(recovery.swept, 1);
    assert_eq!(recovery.missing, [((ArtefactKind::Snapshot, Digest::of("snapshot of a 1\n")), Owner::List(id("a")))]);
    assert!(foreign.exists());
    assert!(!dir.path().join("artefacts/tmp/1-1.tmp").exists());
}

#[test]
fn a_folder_belongs_to_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, _) = open(dir.path(), MEMORY);
    let error = open_on(dir.path(), MEMORY, std::sync::Arc::new(bwld::store::RealDisk)).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
}
