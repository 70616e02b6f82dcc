//! The few durable operations everything here is made of, behind a trait so that a test can make each fail
//! (before it took effect, or after).
//!
//! Guarantees: [`write_file_atomic`] leaves either the old file or the whole new one, after a crash and after power
//! loss. It does not retry, and it knows nothing of what the bytes mean.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use super::StoreError;

/// Ending of every file that is not finished. A start removes what a crash left of them.
pub const TEMPORARY: &str = "tmp";

/// Durable operations. Reading needs no trait: a failed read changes nothing.
pub trait Disk: Send + Sync + std::fmt::Debug {
    /// Creates a file that must not exist, mode 0600 for secrets, 0644 else.
    ///
    /// # Errors
    /// Of the system.
    fn create(&self, path: &Path, secret: bool) -> io::Result<File>;
    /// Creates a folder, mode 0700; one that is there already is no error.
    ///
    /// # Errors
    /// Of the system.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Writes all bytes at the end of `file`, which was opened by [`Disk::create`] or for appending.
    ///
    /// # Errors
    /// Of the system; how much was written is then unknown.
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()>;
    /// `fdatasync`/`fsync`.
    ///
    /// # Errors
    /// Of the system; what is durable is then unknown, and a second call proves nothing.
    fn sync(&self, file: &File) -> io::Result<()>;
    /// Renames over whatever is there.
    ///
    /// # Errors
    /// Of the system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// fsync of a folder.
    ///
    /// # Errors
    /// Of the system.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// Of the system.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Cuts a file to `len` octets.
    ///
    /// # Errors
    /// Of the system.
    fn truncate(&self, file: &File, len: u64) -> io::Result<()>;
}

/// The operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path, secret: bool) -> io::Result<File> {
        // O_APPEND: what is written lands at the end whatever a truncation did to the file before.
        OpenOptions::new().append(true).create_new(true).mode(if secret { 0o600 } else { 0o644 }).open(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            other => other,
        }
    }

    fn append(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        file.set_len(len)
    }
}

/// Reads a file of at most `limit` octets.
///
/// # Errors
/// Of the disk, or `FileTooLarge`.
pub fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut octets)?;
    let large = || io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit} octets"));
    if octets.len() as u64 > limit { Err(large()) } else { Ok(octets) }
}

/// Attaches what was tried on which path to an error of the system.
pub(super) fn at<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> StoreError + 'a {
    move |source| StoreError::Io { action, path: path.display().to_string(), source }
}

/// The folder that holds `path`.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A name for an unfinished file in `folder` that no other one of this process or of a crashed one bears.
pub(super) fn temporary_in(folder: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    loop {
        let path = folder.join(format!("{}-{}.{TEMPORARY}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed)));
        if !path.exists() {
            return path;
        }
    }
}

/// Makes a folder and, where missing, its parents; each is durable when this returns.
///
/// # Errors
/// [`StoreError::Io`] names the folder.
pub fn create_folder(disk: &dyn Disk, path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = folder_of(path);
    create_folder(disk, parent)?;
    disk.create_dir(path).map_err(at("create folder", path))?;
    disk.sync_dir(parent).map_err(at("fsync folder", parent))
}

/// Puts `bytes` at `path`, replacing whatever is there: temporary file beside it, fsync, rename, fsync of the folder.
///
/// A crash leaves the old file or the new one, and perhaps a `*.tmp` beside it, which [`sweep_temporary`] removes.
///
/// # Errors
/// [`StoreError::Io`]. The old file is then still whole, unless only the last fsync failed: then it is either.
pub fn write_file_atomic(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    write_replacing(disk, path, bytes, false)
}

/// As [`write_file_atomic`], with mode 0600 for a `secret`.
pub(super) fn write_replacing(disk: &dyn Disk, path: &Path, bytes: &[u8], secret: bool) -> Result<(), StoreError> {
    let folder = folder_of(path);
    let temporary = temporary_in(folder);
    let written = (|| {
        let file = disk.create(&temporary, secret).map_err(at("create", &temporary))?;
        disk.append(&file, bytes).map_err(at("write", &temporary))?;
        disk.sync(&file).map_err(at("fsync", &temporary))?;
        disk.rename(&temporary, path).map_err(at("rename to", path))
    })();
    if written.is_err() {
        // What cannot be removed now is removed by the next start.
        let _ = disk.remove(&temporary);
    }
    written?;
    disk.sync_dir(folder).map_err(at("fsync folder", folder))
}

/// Removes the unfinished files of a folder (not of folders below it) and says how many there were.
///
/// # Errors
/// [`StoreError::Io`] if the folder cannot be read or a file not removed.
pub fn sweep_temporary(disk: &dyn Disk, folder: &Path) -> Result<u64, StoreError> {
    let mut removed = 0;
    for entry in fs::read_dir(folder).map_err(at("read folder", folder))? {
        let path = entry.map_err(at("read folder", folder))?.path();
        if path.extension().is_some_and(|e| e == TEMPORARY) && path.is_file() {
            disk.remove(&path).map_err(at("remove", &path))?;
            removed += 1;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_a_file_whole_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_file_atomic(&RealDisk, &path, b"one").unwrap();
        write_file_atomic(&RealDisk, &path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn sweeps_only_unfinished_files() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("7-0.tmp"), b"x").unwrap();
        fs::write(dir.path().join("kept.seg"), b"x").unwrap();
        assert_eq!(sweep_temporary(&RealDisk, dir.path()).unwrap(), 1);
        assert!(dir.path().join("kept.seg").exists());
    }

    #[test]
    fn makes_missing_parents() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b/c");
        create_folder(&RealDisk, &deep).unwrap();
        create_folder(&RealDisk, &deep).unwrap();
        assert!(deep.is_dir());
    }
}
