//! A disk that works until a test tells it to fail, and how. Nothing in the program uses it.
//!
//! `faults.rs` counts operations and lets a chosen one fail; this one is for daemons, whose operations nobody can count.

use std::{
    fs::File,
    io,
    path::Path,
    sync::atomic::{AtomicU8, Ordering},
};

use super::{Disk, faults::HastyDisk};

/// How a [`FailingDisk`] behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Condition {
    /// It works. It fsyncs nothing, see [`HastyDisk`].
    Sound,
    /// It takes no more octets; what is there stays readable and can be cut off.
    Full,
    /// It takes octets and then reports that they may not be durable.
    Gone,
}

/// A disk in a condition that a test sets.
#[derive(Debug)]
pub struct FailingDisk(AtomicU8);

impl Default for FailingDisk {
    fn default() -> Self {
        FailingDisk(AtomicU8::new(Condition::Sound as u8))
    }
}

impl FailingDisk {
    /// From now on it is in this condition.
    pub fn set(&self, condition: Condition) {
        self.0.store(condition as u8, Ordering::SeqCst);
    }

    fn unless(&self, condition: Condition, kind: io::ErrorKind) -> io::Result<()> {
        let is = self.0.load(Ordering::SeqCst) == condition as u8;
        if is { Err(io::Error::new(kind, "the test's disk fails here")) } else { Ok(()) }
    }
}

impl Disk for FailingDisk {
    fn create(&self, path: &Path, secret: bool) -> io::Result<File> {
        HastyDisk.create(path, secret)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        HastyDisk.create_dir(path)
    }
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        self.unless(Condition::Full, io::ErrorKind::StorageFull)?;
        HastyDisk.append(file, bytes)
    }
    fn sync(&self, file: &File) -> io::Result<()> {
        self.unless(Condition::Gone, io::ErrorKind::Other)?;
        HastyDisk.sync(file)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        HastyDisk.rename(from, to)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        HastyDisk.sync_dir(path)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        HastyDisk.remove(path)
    }
    fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        HastyDisk.truncate(file, len)
    }
}
