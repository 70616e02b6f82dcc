//! A machine that loses power: what was done to the disk is noted, and any folder that may be left of it can be built.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::super::{Disk, RealDisk, disk::folder_of};

/// One operation as it was done.
#[derive(Clone, Debug)]
enum Operation {
    Create { path: PathBuf, inode: u64 },
    CreateDir { path: PathBuf },
    Append { inode: u64, bytes: Vec<u8> },
    Truncate { inode: u64, len: usize },
    Sync { inode: u64 },
    Rename { from: PathBuf, to: PathBuf },
    SyncDir { path: PathBuf },
    Remove { path: PathBuf },
}

/// A disk that works and notes what was done, from an empty folder on.
#[derive(Debug)]
pub struct RecordDisk {
    root: PathBuf,
    operations: Mutex<Vec<Operation>>,
    /// The system gives the number of a removed file to a new one; these are given once.
    files: Mutex<HashMap<u64, u64>>,
}

/// A file's octets: those that are durable, and what was done to them since.
#[derive(Clone, Default, Debug)]
struct Octets {
    durable: Vec<u8>,
    now: Vec<u8>,
}

/// A folder's entries as far as they are durable, and what was done to them since, in order.
#[derive(Clone, Default, Debug)]
struct Folders {
    entries: BTreeMap<PathBuf, Option<u64>>,
    pending: Vec<(PathBuf, Operation)>,
}

impl Folders {
    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Create { path, inode } => drop(self.entries.insert(path.clone(), Some(*inode))),
            Operation::CreateDir { path } => drop(self.entries.insert(path.clone(), None)),
            Operation::Rename { from, to } => {
                // The entry may be durable under the new name though it never was under the old one.
                let inode = self.entries.remove(from).or_else(|| self.inode_of(from));
                if let Some(inode) = inode {
                    self.entries.insert(to.clone(), inode);
                }
            }
            Operation::Remove { path } => drop(self.entries.remove(path)),
            _ => {}
        }
    }

    /// The file created as `path` and not yet durably there.
    fn inode_of(&self, path: &Path) -> Option<Option<u64>> {
        self.pending.iter().rev().find_map(|(_, operation)| match operation {
            Operation::Create { path: p, inode } if p == path => Some(Some(*inode)),
            _ => None,
        })
    }
}

impl RecordDisk {
    /// Notes what happens below `root`, which is empty.
    pub fn new(root: &Path) -> Self {
        RecordDisk { root: root.into(), operations: Mutex::default(), files: Mutex::default() }
    }

    /// How many operations there were.
    pub fn operations(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Operation>> {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file's own number.
    fn number(&self, file: &File, new: bool) -> io::Result<u64> {
        let inode = file.metadata()?.ino();
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if new {
            let next = self.operations() as u64;
            files.insert(inode, next);
        }
        files.get(&inode).copied().ok_or_else(|| io::Error::other("a file that this disk has not created"))
    }

    fn note(&self, operation: Operation) {
        self.lock().push(operation);
    }

    /// Builds in `into` a folder as it may be found after the power went away behind the first `done` operations.
    ///
    /// What was fsynced is there. Of the rest, `chance` decides: of the octets of each file any part from the first may be there, or
    /// zeros in their place; of the changes of each folder any number from the first.
    ///
    /// # Errors
    /// Of writing the files.
    pub fn after_power_loss(&self, done: usize, into: &Path, chance: u64) -> io::Result<()> {
        let mut chance = Chance(chance);
        let mut octets: BTreeMap<u64, Octets> = BTreeMap::new();
        let mut folders = Folders::default();
        for operation in &self.lock()[..done] {
            match operation {
                Operation::Append { inode, bytes } => octets.entry(*inode).or_default().now.extend_from_slice(bytes),
                Operation::Truncate { inode, len } => octets.entry(*inode).or_default().now.truncate(*len),
                Operation::Sync { inode } => {
                    let file = octets.entry(*inode).or_default();
                    file.durable.clone_from(&file.now);
                }
                Operation::SyncDir { path } => {
                    let (synced, rest): (Vec<_>, Vec<_>) = folders.pending.iter().cloned().partition(|(folder, _)| folder == path);
                    for (_, operation) in &synced {
                        folders.apply(operation);
                    }
                    folders.pending = rest;
                }
                Operation::Create { path, .. } | Operation::CreateDir { path } | Operation::Remove { path } => {
                    folders.pending.push((parent(path), operation.clone()));
                }
                Operation::Rename { to, .. } => folders.pending.push((parent(to), operation.clone())),
            }
        }
        let mut stopped: Vec<PathBuf> = Vec::new();
        for (folder, operation) in folders.pending.clone() {
            if !stopped.contains(&folder) {
                if chance.of(2) == 0 {
                    stopped.push(folder);
                } else {
                    folders.apply(&operation);
                }
            }
        }
        for (path, inode) in &folders.entries {
            let Ok(relative) = path.strip_prefix(&self.root) else { continue };
            let target = into.join(relative);
            if !target.parent().is_some_and(Path::is_dir) {
                continue; // its folder did not make it
            }
            match inode {
                None => RealDisk.create_dir(&target)?,
                Some(inode) => fs::write(&target, chance.left_of(octets.get(inode).unwrap_or(&Octets::default())))?,
            }
        }
        Ok(())
    }
}

fn parent(path: &Path) -> PathBuf {
    folder_of(path).into()
}

/// A small generator of numbers (splitmix64), so that a case can be repeated.
struct Chance(u64);

impl Chance {
    /// A number below `n`.
    fn of(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % n.max(1) as u64).unwrap_or(0)
    }

    /// What is left of a file that was changed since its last fsync.
    fn left_of(&mut self, file: &Octets) -> Vec<u8> {
        if file.now == file.durable || self.of(3) == 0 {
            return file.durable.clone();
        }
        if !file.now.starts_with(&file.durable) {
            return file.now.clone(); // it was cut, and that happened to reach the disk
        }
        let more = file.now.len() - file.durable.len();
        let kept = file.durable.len() + self.of(more + 1);
        let mut left = file.now[..kept].to_vec();
        if self.of(2) == 0 {
            left.resize(file.now.len(), 0); // the size reached the disk, the octets did not
        }
        left
    }
}

impl Disk for RecordDisk {
    fn create(&self, path: &Path, secret: bool) -> io::Result<File> {
        let file = RealDisk.create(path, secret)?;
        self.note(Operation::Create { path: path.into(), inode: self.number(&file, true)? });
        Ok(file)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir(path)?;
        self.note(Operation::CreateDir { path: path.into() });
        Ok(())
    }
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        RealDisk.append(file, bytes)?;
        self.note(Operation::Append { inode: self.number(file, false)?, bytes: bytes.into() });
        Ok(())
    }
    fn sync(&self, file: &File) -> io::Result<()> {
        self.note(Operation::Sync { inode: self.number(file, false)? });
        Ok(())
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)?;
        self.note(Operation::Rename { from: from.into(), to: to.into() });
        Ok(())
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.note(Operation::SyncDir { path: path.into() });
        Ok(())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)?;
        self.note(Operation::Remove { path: path.into() });
        Ok(())
    }
    fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        RealDisk.truncate(file, len)?;
        self.note(Operation::Truncate { inode: self.number(file, false)?, len: usize::try_from(len).unwrap_or(usize::MAX) });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_synced_may_be_lost_and_what_was_may_not() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RecordDisk::new(dir.path());
        let path = dir.path().join("a");
        let file = disk.create(&path, false).unwrap();
        disk.append(&file, b"one").unwrap();
        disk.sync(&file).unwrap();
        disk.sync_dir(dir.path()).unwrap();
        disk.append(&file, b"two").unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for chance in 0..200 {
            let into = tempfile::tempdir().unwrap();
            disk.after_power_loss(disk.operations(), into.path(), chance).unwrap();
            seen.insert(fs::read(into.path().join("a")).unwrap());
        }
        assert!(seen.iter().all(|bytes| bytes.starts_with(b"one")));
        for expected in [b"one".as_slice(), b"onetwo", b"onet", b"one\0\0\0"] {
            assert!(seen.contains(expected), "{expected:?}");
        }
        // Without the fsync of the folder the file itself may be missing.
        let lost = (0..20).filter(|chance| {
            let into = tempfile::tempdir().unwrap();
            disk.after_power_loss(3, into.path(), *chance).unwrap();
            !into.path().join("a").exists()
        });
        assert!((1..20).contains(&lost.count()));
    }
}
