//! sled is deleted, cut, flipped, set back and swapped: the state is the same afterwards.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bwld::store::{IndexRecovery, ListState, Store, StoreError, VersionRecord};

use super::made::*;

type State = (Vec<ListState>, Vec<VersionRecord>, Vec<(u64, String)>, u64);

fn state(store: &Store) -> State {
    (store.lists().unwrap(), store.versions(&id("a"), None, 1_000).unwrap(), store.keysets().unwrap(), store.last_frame())
}

fn filled(dir: &Path, versions: u64) -> State {
    let (store, _) = open(dir, SLED);
    store.commit(&list("a")).unwrap();
    store.commit(&list("b")).unwrap();
    for n in 1..=versions {
        publish(&store, "a", n, 1).unwrap();
    }
    state(&store)
}

fn files(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, into) } else { into.push(path) }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn same_after(dir: &Path, expected: &State, what: &str) -> IndexRecovery {
    let (store, recovery) = open(dir, SLED);
    assert_eq!(state(&store), *expected, "{what}");
    assert_eq!(store.check().unwrap().problems, [""; 0], "{what}");
    recovery.index
}

#[test]
fn an_index_that_is_deleted_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let expected = filled(dir.path(), 30);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    assert!(matches!(same_after(dir.path(), &expected, "deleted"), IndexRecovery::Rebuilt { aside: None, .. }));
    assert_eq!(same_after(dir.path(), &expected, "and again"), IndexRecovery::Current);
}

#[test]
fn an_index_whose_files_are_cut_or_flipped_never_changes_the_state() {
    let dir = tempfile::tempdir().unwrap();
    let expected = filled(dir.path(), 30);
    let (index, good) = (dir.path().join("index"), dir.path().join("good"));
    copy(&index, &good);
    let mut names = Vec::new();
    files(&good, &mut names);
    names.sort();
    let mut rebuilt = 0;
    for name in names {
        let bytes = fs::read(&name).unwrap();
        if bytes.is_empty() {
            continue;
        }
        let mut spoilt = vec![("cut to half", bytes[..bytes.len() / 2].to_vec()), ("emptied", Vec::new())];
        for at in [bytes.len() / 3, bytes.len() - 1] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x55;
            spoilt.push(("flipped", flipped));
        }
        for (how, bytes) in spoilt {
            fs::remove_dir_all(&index).unwrap();
            copy(&good, &index);
            fs::write(index.join(name.strip_prefix(&good).unwrap()), bytes).unwrap();
            let became = same_after(dir.path(), &expected, &format!("{} {how}", name.display()));
            rebuilt += u32::from(matches!(became, IndexRecovery::Rebuilt { .. }));
        }
    }
    assert!(rebuilt > 3, "some of that was damage: {rebuilt}");
    let aside =
        fs::read_dir(dir.path()).unwrap().filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with("index.damaged-"));
    assert!((1..=3).contains(&aside.count()), "damaged ones are kept, but not for ever");
}

#[test]
fn an_index_that_is_behind_is_brought_up_and_one_that_is_foreign_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 5);
    let (index, old) = (dir.path().join("index"), dir.path().join("old"));
    copy(&index, &old);
    let (store, _) = open(dir.path(), SLED);
    for n in 6..=20 {
        publish(&store, "a", n, 1).unwrap();
    }
    let expected = state(&store);
    drop(store);
    fs::remove_dir_all(&index).unwrap();
    copy(&old, &index);
    assert_eq!(same_after(dir.path(), &expected, "behind"), IndexRecovery::Replayed(15));

    let other = tempfile::tempdir().unwrap();
    let (store, _) = open(other.path(), SLED);
    store.commit(&list("z")).unwrap();
    store.commit(&list("y")).unwrap();
    drop(store);
    fs::remove_dir_all(&index).unwrap();
    copy(&other.path().join("index"), &index);
    assert!(matches!(same_after(dir.path(), &expected, "foreign"), IndexRecovery::Rebuilt { aside: Some(_), .. }));
}

#[test]
fn an_index_that_has_seen_more_than_the_journal_holds_means_a_lost_frame() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 5);
    let (store, _) = open(dir.path(), SLED);
    publish(&store, "a", 6, 1).unwrap();
    drop(store);
    let mut segments = Vec::new();
    files(&dir.path().join("journal"), &mut segments);
    segments.sort();
    let last = segments.pop().unwrap();
    let bytes = fs::read(&last).unwrap();
    fs::write(&last, &bytes[..bytes.len() - 1]).unwrap();
    // It had been acknowledged: this is no torn tail.
    let error = Store::open(dir.path(), SLED, std::sync::Arc::new(bwld::store::RealDisk), &mut |_| {}).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn a_checkpoint_keeps_the_state_and_a_new_index_can_be_made_from_it_alone() {
    for options in [MEMORY, SLED] {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = open(dir.path(), options);
        store.commit(&bwld::store::Record::KeySet { number: 1, note: "note".into(), at: at(0) }).unwrap();
        store.commit(&list("a")).unwrap();
        for n in 1..=300 {
            publish(&store, "a", n, n.div_ceil(100)).unwrap();
        }
        stage(&store, "a", "+domain:x.example\n").unwrap();
        let before = (store.lists().unwrap(), store.versions(&id("a"), None, 1_000).unwrap(), store.keysets().unwrap());
        assert!(store.checkpoint().unwrap() > 3);
        publish(&store, "a", 301, 3).unwrap();
        assert_eq!(store.check().unwrap().problems, [""; 0]);
        let expected = state(&store);
        assert_eq!((&expected.1[1..], &expected.2), (&before.1[..], &before.2));
        drop(store);
        let _ = fs::remove_dir_all(dir.path().join("index"));
        let (store, _) = open(dir.path(), options);
        assert_eq!(state(&store), expected);
        assert_eq!(store.check().unwrap().problems, [""; 0]);
    }
}
