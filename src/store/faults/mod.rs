//! Disks that fail and machines that lose power: for tests, here and in `tests/`. Nothing in the program uses them.
//!
//! [`FaultDisk`] makes one operation, counted from 0, fail as the caller sees it, with or without its effect. [`RecordDisk`] notes
//! every operation, and [`RecordDisk::after_power_loss`] builds the folder as it may be found when the power went away after
//! any of them.

mod power;

use std::{
    fs::File,
    io,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{Disk, RealDisk};

pub use power::RecordDisk;

/// A disk that works but fsyncs nothing: for tests in which no power goes away, and which would otherwise wait for the disk all day.
#[derive(Debug, Clone, Copy, Default)]
pub struct HastyDisk;

impl Disk for HastyDisk {
    fn create(&self, path: &Path, secret: bool) -> io::Result<File> {
        RealDisk.create(path, secret)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir(path)
    }
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        RealDisk.append(file, bytes)
    }
    fn sync(&self, _: &File) -> io::Result<()> {
        Ok(())
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
    fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        RealDisk.truncate(file, len)
    }
}

/// What a failing operation does before it says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Nothing.
    Nothing,
    /// Half of the bytes, where it writes; nothing else.
    Half,
    /// All of it: it is done, and reported as failed.
    All,
}

/// What happens to the operations behind the failing one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    /// They work.
    Works,
    /// They fail without effect, as on a full or dead disk.
    Fails,
}

/// A disk one of whose operations fails. It fsyncs nothing, see [`HastyDisk`].
#[derive(Debug)]
pub struct FaultDisk {
    nth: AtomicU64,
    effect: Effect,
    then: Then,
    count: AtomicU64,
}

impl FaultDisk {
    /// Fails at operation `nth`, counted from 0.
    pub fn new(nth: u64, effect: Effect, then: Then) -> Self {
        FaultDisk { nth: AtomicU64::new(nth), effect, then, count: AtomicU64::new(0) }
    }

    /// Counts from 0 again, and fails at operation `nth` from now on.
    pub fn fail_at(&self, nth: u64) {
        self.nth.store(nth, Ordering::SeqCst);
        self.count.store(0, Ordering::SeqCst);
    }

    /// How many operations there were.
    pub fn operations(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    fn run<T>(&self, half: impl FnOnce() -> io::Result<()>, all: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let failed = || io::Error::other("the test's disk fails here");
        let (n, nth) = (self.count.fetch_add(1, Ordering::SeqCst), self.nth.load(Ordering::SeqCst));
        if n == nth {
            match self.effect {
                Effect::Nothing => {}
                Effect::Half => half()?,
                Effect::All => drop(all()?),
            }
            return Err(failed());
        }
        if n > nth && self.then == Then::Fails {
            return Err(failed());
        }
        all()
    }

    fn whole<T>(&self, all: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.run(|| Ok(()), all)
    }
}

impl Disk for FaultDisk {
    fn create(&self, path: &Path, secret: bool) -> io::Result<File> {
        self.whole(|| HastyDisk.create(path, secret))
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.whole(|| HastyDisk.create_dir(path))
    }
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        self.run(|| HastyDisk.append(file, &bytes[..bytes.len() / 2]), || HastyDisk.append(file, bytes))
    }
    fn sync(&self, file: &File) -> io::Result<()> {
        self.whole(|| HastyDisk.sync(file))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.whole(|| HastyDisk.rename(from, to))
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.whole(|| HastyDisk.sync_dir(path))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.whole(|| HastyDisk.remove(path))
    }
    fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        self.whole(|| HastyDisk.truncate(file, len))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_fault_happens_once_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let disk = FaultDisk::new(1, Effect::Half, Then::Works);
        let file = disk.create(&dir.path().join("a"), false).unwrap();
        assert!(disk.append(&file, b"1234").is_err());
        disk.append(&file, b"5").unwrap();
        assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"125");
        assert_eq!(disk.operations(), 3);
    }
}
