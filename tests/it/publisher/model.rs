//! Random staging, publishing, maintaining and restarting against a map; and every write failing in its turn.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Act {
    /// Numbers of entries and their category; category 3 removes.
    Stage(Vec<(u8, u8)>),
    Publish,
    Discard,
    Maintain,
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => proptest::collection::vec((0u8..40, 0u8..4), 0..20).prop_map(Act::Stage),
        4 => Just(Act::Publish),
        1 => Just(Act::Discard),
        1 => Just(Act::Maintain),
        2 => Just(Act::Restart),
    ];
    proptest::collection::vec(act, 1..25)
}

type Model = BTreeMap<String, String>;

fn stage(house: &House, effective: &mut Model, wishes: &[(u8, u8)]) {
    let wishes: BTreeMap<u8, u8> = wishes.iter().copied().collect();
    let (mut put, mut remove) = (Vec::new(), Vec::new());
    for (number, category) in wishes {
        let rule = format!("domain:n{number:02}.example");
        if category == 3 {
            // Removing what is not there is refused, which has a test of its own.
            if effective.remove(&rule).is_some() {
                remove.push(rule);
            }
        } else {
            let line = if category == 0 { rule.clone() } else { format!("{rule}\tcat=c{category}") };
            put.push(line.clone());
            effective.insert(rule, line);
        }
    }
    let (put, remove): (Vec<&str>, Vec<&str>) = (put.iter().map(|s| &**s).collect(), remove.iter().map(|s| &**s).collect());
    house.stage(&put, &remove);
}

fn differences(a: &Model, b: &Model) -> u64 {
    let changed = b.iter().filter(|(rule, line)| a.get(*rule) != Some(line)).count();
    (changed + a.keys().filter(|rule| !b.contains_key(*rule)).count()) as u64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn does_as_a_map_would(acts in acts()) {
        let dir = tempfile::tempdir().unwrap();
        let mut house = House::with_list(dir.path());
        let (mut published, mut effective, mut serial) = (Model::new(), Model::new(), 0);
        for act in acts {
            match act {
                Act::Stage(wishes) => stage(&house, &mut effective, &wishes),
                Act::Publish => {
                    let expected = serial == 0 || differences(&published, &effective) > 0;
                    let version = house.publish().version;
                    prop_assert_eq!(version.is_some(), expected);
                    serial += u64::from(expected);
                    if let Some(version) = version {
                        prop_assert_eq!((version.serial.get(), version.entries), (serial, effective.len() as u64));
                    }
                    published = effective.clone();
                }
                Act::Discard => {
                    house.publisher.discard(&test(), "test").unwrap();
                    effective = published.clone();
                }
                Act::Maintain => {
                    prop_assert!(house.publisher.maintain().unwrap().files_missing.is_empty());
                }
                Act::Restart => {
                    drop(house);
                    house = House::open(dir.path());
                }
            }
            let view = house.publisher.staged(&test(), 100).unwrap();
            prop_assert_eq!(view.added + view.removed + view.replaced, differences(&published, &effective));
            prop_assert_eq!(plains(&house.lines()), published.values().cloned().collect::<Vec<_>>());
            house.assert_sound();
        }
    }
}

/// A disk whose operation number `at` fails, before or after it took effect.
#[derive(Debug)]
struct Failing {
    at: u64,
    done: bool,
    count: AtomicU64,
}

impl Failing {
    fn run<T>(&self, f: impl FnOnce() -> std::io::Result<T>) -> std::io::Result<T> {
        if self.count.fetch_add(1, Ordering::SeqCst) != self.at {
            return f();
        }
        if self.done {
            f()?;
        }
        Err(std::io::Error::other("the test's disk fails here"))
    }
}

impl Disk for Failing {
    fn create(&self, path: &Path, secret: bool) -> std::io::Result<std::fs::File> {
        self.run(|| RealDisk.create(path, secret))
    }
    fn create_dir(&self, path: &Path) -> std::io::Result<()> {
        self.run(|| RealDisk.create_dir(path))
    }
    fn append(&self, file: &std::fs::File, bytes: &[u8]) -> std::io::Result<()> {
        self.run(|| RealDisk.append(file, bytes))
    }
    fn sync(&self, _: &std::fs::File) -> std::io::Result<()> {
        self.run(|| Ok(()))
    }
    fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        self.run(|| RealDisk.rename(from, to))
    }
    fn sync_dir(&self, _: &Path) -> std::io::Result<()> {
        self.run(|| Ok(()))
    }
    fn remove(&self, path: &Path) -> std::io::Result<()> {
        self.run(|| RealDisk.remove(path))
    }
    fn truncate(&self, file: &std::fs::File, len: u64) -> std::io::Result<()> {
        self.run(|| RealDisk.truncate(file, len))
    }
}

/// Three publications with staging before each; `Err` at the first failure, with what had been acknowledged by then.
fn publish_three(house: &House, acknowledged: &mut Vec<(u64, Vec<String>)>) -> Result<(), PublishError> {
    let many: Vec<String> = (0..1_200).map(|n| format!("host{n:04}.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (put, remove) in [(&["a.example", "b.example"][..], &[][..]), (&["c.example"], &["a.example"]), (&many, &["b.example"])] {
        house.try_stage(put, remove)?;
        let version = house.try_publish(&["max-added"])?.version.unwrap();
        acknowledged.push((version.serial.get(), plains(&house.lines())));
    }
    house.publisher.maintain()?;
    Ok(())
}

#[test]
fn every_write_may_fail_and_what_was_acknowledged_is_whole() {
    // How many operations opening takes, and how many all of it.
    let template = tempfile::tempdir().unwrap();
    drop(House::with_list(template.path()));
    let copy = |to: &Path| {
        let status = std::process::Command::new("cp").arg("-r").arg(template.path().join(".")).arg(to).status().unwrap();
        assert!(status.success());
    };
    let mut runs = 0;
    for done in [false, true] {
        for at in 0.. {
            let dir = tempfile::tempdir().unwrap();
            copy(dir.path());
            let disk = Arc::new(Failing { at, done, count: AtomicU64::new(0) });
            let mut acknowledged = Vec::new();
            let outcome = match House::open_on(dir.path(), disk.clone(), options(), signed::now()) {
                Ok(house) => publish_three(&house, &mut acknowledged),
                Err(e) => Err(e),
            };
            let reached = disk.count.load(Ordering::SeqCst) > at;
            assert!(outcome.is_err() || !reached || acknowledged.len() == 3, "a failure was passed over at {at}");
            runs += 1;

            let house = House::open(dir.path());
            let versions = house.publisher.log(&test(), None, 9).unwrap().versions;
            let newest = versions.first().map_or(0, |v| v.serial.get());
            if let Some((serial, lines)) = acknowledged.last() {
                // The one after may be there as well: its acknowledgement was what failed.
                assert!(newest == *serial || newest == serial + 1, "{newest} after {serial} was acknowledged, failure at {at}");
                if newest == *serial {
                    assert_eq!(plains(&house.lines()), *lines);
                }
            } else {
                assert!(newest <= 1);
            }
            house.assert_sound();
            // And it goes on.
            house.stage(&["z.example"], &[]);
            assert_eq!(house.try_publish(&["max-added"]).unwrap().version.unwrap().serial.get(), newest + 1);
            house.assert_sound();
            if !reached {
                break;
            }
        }
    }
    assert!(runs > 60, "{runs}");
}
