//! Every write fails, in every way; and the power goes away after every write.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bwld::list::Digest;
use bwld::store::faults::{Effect, FaultDisk, HastyDisk, RecordDisk, Then};
use bwld::store::{ArtefactKind, Disk, Record, Store, StoreError, StoreOptions};

use super::made::*;

/// A folder in memory where there is one: thousands of small files are written here, and none has to be durable.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Small segments, so that the sequence crosses several.
const OPTIONS: StoreOptions = StoreOptions { segment_size: 1_200, ..MEMORY };

/// What the sequence has reached: the highest version of each list that was acknowledged, and the highest that was tried.
#[derive(Clone, Default, Debug)]
struct Reached {
    lists: BTreeMap<&'static str, (u64, u64)>,
    staged: Option<String>,
}

/// A fixed sequence: two lists, stagings, publications on old and new bases, dropped deltas, a checkpoint. Goes on after an error as a
/// caller would who gives up on that step; ends when the store says that it can go on no more.
fn sequence(store: &Store, reached: &mut Reached, after_each: &mut dyn FnMut(&Reached)) -> Result<(), StoreError> {
    let fatal = |result: Result<u64, StoreError>| match result {
        Err(error @ StoreError::Poisoned { .. }) => Err(error),
        other => Ok(other.is_ok()),
    };
    for name in ["a", "b"] {
        if fatal(store.commit(&list(name)))? {
            reached.lists.insert(name, (0, 0));
        }
        after_each(reached);
    }
    for round in 1..=3u64 {
        for name in ["a", "b"] {
            let Some(state) = store.list(&id(name))? else { continue };
            let next = state.next_serial().unwrap().get();
            if !reached.lists.contains_key(name) {
                reached.lists.insert(name, (0, 0)); // it was there after all
            }
            let text = format!("+domain:{name}{round}.example\n");
            if fatal(stage(store, name, &text))? && name == "b" {
                reached.staged = Some(text);
                after_each(reached);
            }
            let entry = reached.lists.get_mut(name).unwrap();
            entry.1 = next;
            if fatal(publish(store, name, next, next.div_ceil(3)))? {
                entry.0 = next;
                if name == "b" {
                    reached.staged = None;
                }
            }
            after_each(reached);
        }
        if round == 2 {
            fatal(store.commit(&Record::DeltasDropped { list: id("a"), before: serial(2), at: at(9) }))?;
        }
        if round == 2 {
            fatal(store.checkpoint())?;
        }
    }
    Ok(())
}

/// What must hold of a folder in which the sequence came as far as `acknowledged` at least and `tried` at most.
fn whole(dir: &Path, acknowledged: &Reached, tried: &Reached, context: &str) {
    let (store, recovery) = open_on(dir, OPTIONS, Arc::new(HastyDisk)).unwrap_or_else(|e| panic!("{context}: {e}"));
    assert_eq!(recovery.missing, [], "{context}");
    for (name, (published, _)) in &acknowledged.lists {
        let state = store.list(&id(name)).unwrap().unwrap_or_else(|| panic!("{context}: the list {name} is lost"));
        let versions = store.versions(&id(name), None, 100).unwrap();
        let newest = versions.first().map_or(0, |v| v.serial.get());
        let most = tried.lists.get(name).map_or(0, |t| t.1);
        assert!((*published..=most).contains(&newest), "{context}: {name} is at {newest}, acknowledged {published}, tried {most}");
        // No version is half there, none is missing in between.
        let serials: Vec<u64> = versions.iter().map(|v| v.serial.get()).collect();
        assert_eq!(serials, (1..=newest).rev().collect::<Vec<_>>(), "{context}");
        for version in &versions {
            assert_eq!(version.version, version_digest(name, version.serial.get()), "{context}");
        }
        assert_eq!(state.newest.as_ref().map_or(0, |n| n.version.serial.get()), newest, "{context}");
        if let Some(newest) = &state.newest {
            for (kind, digest) in [(ArtefactKind::Snapshot, newest.base.snapshot), (ArtefactKind::Buckets, newest.base.buckets)] {
                store.artefacts().verify(kind, &digest).unwrap_or_else(|e| panic!("{context}: {e}"));
            }
        }
        // And it goes on.
        publish(&store, name, newest + 1, newest + 1).unwrap_or_else(|e| panic!("{context}: {e}"));
    }
    if let Some(text) = &acknowledged.staged
        && tried.lists == acknowledged.lists
    {
        // b's newest version may still have been tried, and then nothing is staged; its changes are there in either case.
        let state = store.list(&id("b")).unwrap().unwrap();
        assert!(state.staged.is_none() || store.artefacts().contains(ArtefactKind::Changes, &Digest::of(text)), "{context}");
    }
    let report = store.check().unwrap();
    assert!(report.problems.is_empty(), "{context}: {:?}", report.problems);
}

#[test]
fn every_write_fails_in_every_way_and_nothing_acknowledged_is_lost() {
    let count = {
        let dir = scratch();
        let disk = Arc::new(FaultDisk::new(u64::MAX, Effect::Nothing, Then::Works));
        let (store, _) = open_on(dir.path(), OPTIONS, disk.clone()).unwrap();
        sequence(&store, &mut Reached::default(), &mut |_| {}).unwrap();
        disk.operations()
    };
    assert!(count > 150, "the sequence has {count} operations");
    for effect in [Effect::Nothing, Effect::Half, Effect::All] {
        for then in [Then::Works, Then::Fails] {
            // The dead disk differs from the other only behind the fault, and half a write is one only where there is a write.
            let step = match (effect, then) {
                _ if std::env::var_os("BWLD_LONG").is_some() => 1,
                (_, Then::Fails) => 7,
                (Effect::Half, _) => 3,
                _ => 1,
            };
            for nth in (0..count).step_by(step) {
                let context = format!("operation {nth} fails with effect {effect:?}, the rest {then:?}");
                let dir = scratch();
                let mut reached = Reached::default();
                if let Ok((store, _)) = open_on(dir.path(), OPTIONS, Arc::new(FaultDisk::new(nth, effect, then))) {
                    let _ = sequence(&store, &mut reached, &mut |_| {});
                }
                whole(dir.path(), &reached, &reached, &context);
            }
        }
    }
}

#[test]
fn power_goes_away_after_every_write_and_nothing_acknowledged_is_lost() {
    let dir = scratch();
    let disk = Arc::new(RecordDisk::new(dir.path()));
    let shared: Arc<dyn Disk> = disk.clone();
    let (store, _) = open_on(dir.path(), OPTIONS, shared).unwrap();
    let mut log: Vec<(usize, Reached)> = vec![(0, Reached::default())];
    let mut end = Reached::default();
    sequence(&store, &mut end, &mut |reached| log.push((disk.operations(), reached.clone()))).unwrap();
    drop(store);
    let rounds = if std::env::var_os("BWLD_LONG").is_some() { 40 } else { 2 };
    for done in 0..=disk.operations() {
        let acknowledged = &log.iter().rev().find(|(at, _)| *at <= done).unwrap().1;
        for round in 0..rounds {
            let chance = (done as u64) << 16 | round;
            let found = scratch();
            disk.after_power_loss(done, found.path(), chance).unwrap();
            whole(found.path(), acknowledged, &end, &format!("power lost after operation {done}, chance {chance}"));
        }
    }
}
