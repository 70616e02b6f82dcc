//! Random commits, reopenings and checkpoints against a plain vector of versions.

use std::{collections::BTreeMap, sync::Arc};

use bwld::store::faults::HastyDisk;
use bwld::store::{Record, Store, StoreError, StoreOptions};
use proptest::prelude::*;

use super::made::*;

const OPTIONS: StoreOptions = StoreOptions { segment_size: 3_000, ..MEMORY };
const NAMES: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
enum Step {
    Create(usize),
    Remove(usize),
    Stage(usize, u8),
    Publish(usize, u64),
    Floor(usize, u64),
    Drop(usize),
    Reopen,
    Checkpoint,
    Maintain,
}

fn step() -> impl Strategy<Value = Step> {
    let list = 0..NAMES.len();
    prop_oneof![
        3 => list.clone().prop_map(Step::Create),
        1 => list.clone().prop_map(Step::Remove),
        3 => (list.clone(), any::<u8>()).prop_map(|(l, n)| Step::Stage(l, n)),
        8 => (list.clone(), 0..3u64).prop_map(|(l, off)| Step::Publish(l, off)),
        1 => (list.clone(), 1..9u64).prop_map(|(l, n)| Step::Floor(l, n)),
        1 => list.prop_map(Step::Drop),
        2 => Just(Step::Reopen),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Maintain),
    ]
}

/// A list as a naive reader of the rules would keep it.
#[derive(Default, Debug)]
struct Model {
    versions: Vec<u64>,
    removed: bool,
    floor: u64,
    staged: Option<String>,
}

impl Model {
    fn next(&self) -> u64 {
        self.versions.last().copied().unwrap_or(0).max(self.floor) + 1
    }
}

/// Commits and says whether it was taken; anything but taken and refused is wrong.
fn taken(result: Result<u64, StoreError>) -> bool {
    match result {
        Ok(_) => true,
        Err(StoreError::Refused { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

fn open_hasty(dir: &std::path::Path) -> Store {
    let (store, recovery) = open_on(dir, OPTIONS, Arc::new(HastyDisk)).unwrap();
    assert_eq!((recovery.missing, recovery.torn), (vec![], None));
    store
}

fn apply(store: &Store, model: &mut BTreeMap<&'static str, Model>, step: Step) {
    match step {
        Step::Create(l) => {
            assert!(taken(store.commit(&list(NAMES[l]))));
            model.entry(NAMES[l]).or_default().removed = false;
        }
        Step::Remove(l) => {
            let done = taken(store.commit(&Record::ListRemoved { list: id(NAMES[l]), at: at(1), by: "test".into() }));
            let there = model.get_mut(NAMES[l]).filter(|m| !m.removed);
            assert_eq!(done, there.is_some());
            if let Some(m) = there {
                m.removed = true;
                m.staged = None;
            }
        }
        Step::Stage(l, n) => {
            let text = format!("+domain:{}{n}.example\n", NAMES[l]);
            let done = taken(stage(store, NAMES[l], &text));
            let there = model.get_mut(NAMES[l]).filter(|m| !m.removed);
            assert_eq!(done, there.is_some());
            there.into_iter().for_each(|m| m.staged = Some(text.clone()));
        }
        Step::Publish(l, off) => {
            let next = model.get(NAMES[l]).map_or(1, Model::next);
            let serial = next + off - u64::from(off > 1 && next > 1) * 3 % next;
            let done = taken(publish(store, NAMES[l], serial, serial));
            let there = model.get_mut(NAMES[l]).filter(|m| !m.removed && serial == next);
            assert_eq!(done, there.is_some(), "serial {serial}, next {next}");
            if let Some(m) = there {
                m.versions.push(serial);
                m.staged = None;
            }
        }
        Step::Floor(l, n) => {
            let floor = model.get(NAMES[l]).map_or(n, |m| m.next() + n);
            let done = taken(store.commit(&Record::SerialFloor { list: id(NAMES[l]), serial: serial(floor), at: at(2) }));
            assert_eq!(done, model.contains_key(NAMES[l]));
            model.get_mut(NAMES[l]).into_iter().for_each(|m| m.floor = floor);
        }
        Step::Drop(l) => {
            let before = model.get(NAMES[l]).and_then(|m| m.versions.last().copied()).unwrap_or(1);
            taken(store.commit(&Record::DeltasDropped { list: id(NAMES[l]), before: serial(before), at: at(3) }));
        }
        Step::Checkpoint => drop(store.checkpoint().unwrap()),
        Step::Maintain => assert_eq!(store.maintain().unwrap().swept.missing, []),
        Step::Reopen => unreachable!("done by the caller"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_store_is_its_records(steps in prop::collection::vec(step(), 1..60)) {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let mut store = open_hasty(dir.path());
        let mut model = BTreeMap::new();
        for step in steps {
            match step {
                Step::Reopen => {
                    drop(store);
                    store = open_hasty(dir.path());
                }
                step => apply(&store, &mut model, step),
            }
            prop_assert_eq!(store.lists().unwrap().len(), model.len());
            for (name, m) in &model {
                let state = store.list(&id(name)).unwrap().unwrap();
                let versions: Vec<u64> = store.versions(&id(name), None, 99).unwrap().iter().rev().map(|v| v.serial.get()).collect();
                prop_assert_eq!(&versions, &m.versions);
                prop_assert_eq!(state.removed, m.removed);
                prop_assert_eq!(state.next_serial().unwrap().get(), m.next());
                prop_assert_eq!(state.staged.map(|s| s.0), m.staged.as_ref().map(bwld::list::Digest::of));
            }
        }
    }
}
