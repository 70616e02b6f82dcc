//! A list on disk: what is acknowledged is there, whatever write fails, and nothing is ever half there.

use std::{fs, path::Path, sync::Arc};

use super::*;
use crate::list::{Change, ChangeSet, Colour, Entry, Timestamp};
use crate::store::faults::{Effect, FaultDisk, HastyDisk, Then};
use crate::trust::{SecretKey, Trusted};
use crate::wire::{
    DeltaHeader, KeySet, ListSelection, RootKey, SigningKeyLine, SnapshotHeader, SnapshotRef, SnapshotWriter, TreeBuilder, bits_for,
    compress,
};

/// A publisher in memory.
struct Publisher {
    trusted: Trusted,
    key: SecretKey,
    versions: Vec<(Vec<String>, Head, String)>,
    snapshot: Vec<u8>,
}

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn list() -> ListId {
    "adult".parse().unwrap()
}

fn serial(n: u64) -> Serial {
    Serial::new(n).unwrap()
}

impl Publisher {
    fn new() -> Publisher {
        let (root, key) = (SecretKey::from_seed("root", &[1; 32]).unwrap(), SecretKey::from_seed("signing", &[2; 32]).unwrap());
        let set = KeySet {
            origin: "lists.example.org".parse().unwrap(),
            number: 1,
            previous: None,
            threshold: 1,
            roots: vec![RootKey { name: "root".into(), key: root.public() }],
            signing: vec![SigningKeyLine {
                name: "signing".into(),
                key: key.public(),
                from: Timestamp::from_unix(0),
                until: Timestamp::MAX,
                lists: ListSelection::All,
            }],
            issued: now(),
        };
        let note = root.sign_note(set.to_text()).encode();
        let trusted = Trusted::self_signed_for_tofu(note.as_bytes()).unwrap();
        let mut publisher = Publisher { trusted, key, versions: Vec::new(), snapshot: Vec::new() };
        publisher.publish((0..60).map(|i| format!("domain:n{i:04}.example")).collect());
        publisher
    }

    fn publish(&mut self, mut lines: Vec<String>) {
        lines.sort();
        let bits = bits_for(lines.len() as u64);
        let mut tree = TreeBuilder::new(bits);
        lines.iter().for_each(|line| tree.push(line));
        let (_, root) = tree.finish();
        let origin = self.trusted.origin().clone();
        let number = serial(self.versions.len() as u64 + 1);
        let snapshot = match self.versions.first() {
            Some((_, head, _)) => head.snapshot,
            None => {
                let header = SnapshotHeader {
                    origin: origin.clone(),
                    list: list(),
                    colour: Colour::Black,
                    serial: number,
                    entries: lines.len() as u64,
                };
                let mut writer = SnapshotWriter::new(Vec::new(), &header).unwrap();
                lines.iter().for_each(|line| writer.push(line).unwrap());
                let (bytes, digest, size) = writer.finish().unwrap();
                self.snapshot = compress(&bytes, 3);
                SnapshotRef { serial: number, digest, size }
            }
        };
        let head = Head {
            origin,
            list: list(),
            colour: Colour::Black,
            serial: number,
            previous: self.versions.last().map(|(_, head, _)| head.version_digest()),
            root,
            entries: lines.len() as u64,
            snapshot,
            audit: None,
            keyset: 1,
            issued: now(),
            expires: now().plus(86_400),
        };
        let note = self.key.sign_note(head.to_text()).encode();
        self.versions.push((lines, head, note));
    }

    /// One line goes and two come.
    fn next(&mut self) {
        let n = self.versions.len();
        let mut lines = self.versions.last().unwrap().0.clone();
        lines.remove(n);
        lines.push(format!("domain:new{n}.example\tcat=x"));
        lines.push(format!("domain:newer{n}.example"));
        self.publish(lines);
    }

    fn head(&self, n: u64) -> VerifiedHead {
        let (_, _, note) = &self.versions[n as usize - 1];
        self.trusted.verify_head(note.as_bytes(), &list(), None, None, now()).unwrap()
    }

    fn lines(&self, n: u64) -> &[String] {
        &self.versions[n as usize - 1].0
    }

    fn delta(&self, from: u64, to: u64) -> Vec<u8> {
        let (old, new) = (self.lines(from), self.lines(to));
        let mut changes = ChangeSet::default();
        for line in old.iter().filter(|l| !new.contains(l)) {
            changes.push(Change::Remove(line.parse::<Entry>().unwrap().rule())).unwrap();
        }
        for line in new.iter().filter(|l| !old.contains(l)) {
            changes.push(Change::Add(line.parse().unwrap())).unwrap();
        }
        let origin = self.trusted.origin().clone();
        let header = DeltaHeader { origin, list: list(), colour: Colour::Black, from: serial(from), to: serial(to) };
        compress(&Delta { header, changes }.encode(), 3)
    }

    fn install(&self, state: &mut ListState, disk: &dyn Disk, dir: &Path) -> Result<(), FollowError> {
        let download = dir.join("snapshot.download");
        fs::write(&download, &self.snapshot).unwrap();
        let base = from_download(disk, dir, &download, self.head(1).head())?;
        state.install(&self.head(1), base, None)
    }
}

fn lines_of(state: &ListState) -> Vec<String> {
    let mut lines = Vec::new();
    state
        .view()
        .unwrap()
        .lines(&mut |line| {
            lines.push(line.to_owned());
            Ok(())
        })
        .unwrap();
    lines
}

fn fold_now(state: &mut ListState, disk: &dyn Disk, dir: &Path) -> Result<(), FollowError> {
    let Some(mut view) = state.begin_fold() else { return Ok(()) };
    let base = fold(disk, dir, &mut view)?;
    state.end_fold(base)
}

#[test]
fn deltas_are_kept_folded_and_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(HastyDisk);
    let mut publisher = Publisher::new();
    let (mut state, found) = ListState::open(dir.path(), &list(), disk.clone()).unwrap();
    assert_eq!(found, Found::default());
    assert!(state.view().is_none());
    publisher.install(&mut state, &*disk, dir.path()).unwrap();
    for n in 1..6 {
        publisher.next();
        state.apply(&publisher.head(n + 1), &publisher.delta(n, n + 1)).unwrap();
        if n == 3 {
            fold_now(&mut state, &*disk, dir.path()).unwrap();
        }
        assert_eq!(lines_of(&state), publisher.lines(n + 1));
        drop(state);
        let found;
        (state, found) = ListState::open(dir.path(), &list(), disk.clone()).unwrap();
        assert_eq!(found, Found::default());
        assert_eq!(state.serial(), Some(serial(n + 1)));
        assert_eq!(lines_of(&state), publisher.lines(n + 1));
    }
    assert_eq!(numbers_in(dir.path()), [2]);
    assert_eq!(state.head_of_content().unwrap().0.serial, serial(6));
}

#[test]
fn what_comes_during_a_fold_is_in_the_new_base_too() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(HastyDisk);
    let mut publisher = Publisher::new();
    let (mut state, _) = ListState::open(dir.path(), &list(), disk.clone()).unwrap();
    publisher.install(&mut state, &*disk, dir.path()).unwrap();
    publisher.next();
    publisher.next();
    state.apply(&publisher.head(2), &publisher.delta(1, 2)).unwrap();
    let mut view = state.begin_fold().unwrap();
    state.apply(&publisher.head(3), &publisher.delta(2, 3)).unwrap();
    let base = fold(&*disk, dir.path(), &mut view).unwrap();
    state.end_fold(base).unwrap();
    assert_eq!((state.serial(), lines_of(&state).as_slice()), (Some(serial(3)), publisher.lines(3)));
    let (state, found) = ListState::open(dir.path(), &list(), disk).unwrap();
    assert_eq!((found, state.serial()), (Found::default(), Some(serial(3))));
}

#[test]
fn a_delta_that_does_not_lead_there_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(HastyDisk);
    let mut publisher = Publisher::new();
    let (mut state, _) = ListState::open(dir.path(), &list(), disk.clone()).unwrap();
    publisher.install(&mut state, &*disk, dir.path()).unwrap();
    publisher.next();
    publisher.next();
    let wrong = [
        (2, publisher.delta(1, 3)),
        (3, publisher.delta(1, 2)),
        (3, publisher.delta(2, 3)),
        (2, compress(b"nonsense", 3)),
        (2, b"no zstd".to_vec()),
        (2, compress(&vec![b'x'; 1 << 20], 3)),
    ];
    for (to, delta) in wrong {
        assert!(state.apply(&publisher.head(to), &delta).is_err());
        assert_eq!((state.serial(), lines_of(&state).as_slice()), (Some(serial(1)), publisher.lines(1)));
    }
    // Right in form, but not the content that was signed.
    let mut other = Publisher::new();
    let mut lines = other.lines(1).to_vec();
    lines.push("domain:smuggled.example".into());
    other.publish(lines);
    let error = state.apply(&publisher.head(2), &other.delta(1, 2)).unwrap_err();
    assert!(matches!(error, FollowError::NotAsSigned { .. }), "{error}");
    state.apply(&publisher.head(3), &publisher.delta(1, 3)).unwrap();
    assert_eq!(lines_of(&state), publisher.lines(3));
}

/// A change of k by the publisher makes a base of its own.
#[test]
fn another_k_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(HastyDisk);
    let mut publisher = Publisher::new();
    let (mut state, _) = ListState::open(dir.path(), &list(), disk.clone()).unwrap();
    publisher.install(&mut state, &*disk, dir.path()).unwrap();
    let before = state.root().unwrap().bits;
    let lines = (0..1_500).map(|i| format!("domain:n{i:04}.example")).collect();
    publisher.publish(lines);
    state.apply(&publisher.head(2), &publisher.delta(1, 2)).unwrap();
    assert!(state.root().unwrap().bits > before);
    assert_eq!(lines_of(&state), publisher.lines(2));
}

/// Every operation on the disk fails once, in every way, and what then opens is what was acknowledged, or the step after it.
#[test]
fn whatever_write_fails_what_was_acknowledged_is_there_and_it_goes_on() {
    let mut publisher = Publisher::new();
    (0..4).for_each(|_| publisher.next());
    let steps = |state: &mut ListState, disk: &dyn Disk, dir: &Path| -> u64 {
        // How far it was acknowledged. Each step may fail; the next is tried all the same, as a follower does.
        let mut acknowledged = 0;
        if publisher.install(state, disk, dir).is_ok() {
            acknowledged = 1;
        }
        for n in 2..=4 {
            let _ = state.accept(&publisher.head(n));
            let Some(have) = state.serial() else { continue };
            if have.get() < n && state.apply(&publisher.head(n), &publisher.delta(have.get(), n)).is_ok() {
                acknowledged = n;
            }
            if n == 3 {
                let _ = fold_now(state, disk, dir);
            }
        }
        acknowledged
    };
    let kinds = [(Effect::Nothing, Then::Works), (Effect::All, Then::Works), (Effect::Half, Then::Fails)];
    for (effect, then) in kinds {
        for nth in 0.. {
            let dir = tempfile::tempdir().unwrap();
            let disk = Arc::new(FaultDisk::new(nth, effect, then));
            let told = format!("operation {nth}, {effect:?}, then {then:?}");
            let acknowledged = match ListState::open(dir.path(), &list(), disk.clone()) {
                Ok((mut state, _)) => steps(&mut state, &*disk, dir.path()),
                Err(_) => 0,
            };
            let (mut state, found) = ListState::open(dir.path(), &list(), Arc::new(HastyDisk)).unwrap();
            assert_eq!(found.damage, None, "{told}");
            let have = state.serial().map_or(0, Serial::get);
            assert!(have >= acknowledged, "{told}: {have} is there, {acknowledged} was acknowledged");
            if have > 0 {
                assert_eq!(lines_of(&state), publisher.lines(have), "{told}");
                state.apply(&publisher.head(5), &publisher.delta(have, 5)).unwrap();
            } else {
                publisher.install(&mut state, &HastyDisk, dir.path()).unwrap();
            }
            if disk.operations() <= nth {
                break;
            }
        }
    }
}
