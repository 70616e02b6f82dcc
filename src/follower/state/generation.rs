//! A generation: a base and the log on top of it, in one folder, that comes into being by one rename.
//!
//! ```text
//! lists/adult/g00000007/base.snapshot.zst   as downloaded, or as folded here
//!                       base.buckets        the same lines as a bucket file
//!                       base.json           what both are: serial, digest, sizes, root
//!                       log/                journal of accepted heads and applied deltas
//! ```

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::list::{Colour, Digest, ListId, Origin, Serial};
use crate::store::{BaseWriter, Built, Content, Disk, StoreError, create_folder, write_file_atomic};
use crate::wire::{Head, Root, SnapshotHeader, SnapshotReader, SnapshotWriter, ZstdReader, ZstdWriter};

use super::super::FollowError;

/// Compression level of bases written here: they are read more often than written, and never sent.
const LEVEL: i32 = 3;

/// What a base is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseMeta {
    /// The publisher.
    pub origin: Origin,
    /// The list.
    pub list: ListId,
    /// Its colour.
    pub colour: Colour,
    /// The version.
    pub serial: Serial,
    /// Digest of the uncompressed snapshot.
    pub snapshot: Digest,
    /// Its uncompressed octets.
    pub snapshot_size: u64,
    /// Its compressed octets.
    pub snapshot_zst: u64,
    /// Root digest.
    pub root: Digest,
    /// k.
    pub bits: u8,
    /// Number of entries.
    pub entries: u64,
}

impl BaseMeta {
    /// Of a snapshot (its header, digest and uncompressed size, compressed size) and the bucket file of the same lines.
    fn new(header: &SnapshotHeader, (snapshot, snapshot_size): (Digest, u64), snapshot_zst: u64, built: &Built) -> BaseMeta {
        BaseMeta {
            origin: header.origin.clone(),
            list: header.list.clone(),
            colour: header.colour,
            serial: header.serial,
            snapshot,
            snapshot_size,
            snapshot_zst,
            root: built.root.digest,
            bits: built.bits,
            entries: built.entries,
        }
    }

    /// Root digest and k.
    pub fn root(&self) -> Root {
        Root { digest: self.root, bits: self.bits }
    }
}

/// Takes entry lines one after another.
pub(in crate::follower) type Sink<'s> = dyn FnMut(&str) -> io::Result<()> + 's;
/// Hands entry lines in order to a sink.
pub(in crate::follower) type Lines<'l> = dyn FnMut(&mut Sink<'_>) -> io::Result<()> + 'l;

pub(super) fn name(number: u64) -> String {
    format!("g{number:08}")
}

pub(in crate::follower) fn snapshot_in(folder: &Path) -> PathBuf {
    folder.join("base.snapshot.zst")
}

pub(in crate::follower) fn buckets_in(folder: &Path) -> PathBuf {
    folder.join("base.buckets")
}

pub(super) fn meta_in(folder: &Path) -> PathBuf {
    folder.join("base.json")
}

pub(in crate::follower) fn log_in(folder: &Path) -> PathBuf {
    folder.join("log")
}

/// The complete generations in a list's folder, ascending.
pub(in crate::follower) fn numbers_in(folder: &Path) -> Vec<u64> {
    let mut numbers: Vec<u64> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix('g')?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
}

/// A base that has been written in a folder of its own and bears no name yet: a crash now leaves a `*.tmp` folder that the
/// next start removes.
#[derive(Debug)]
pub struct NewBase {
    /// The folder.
    pub(in crate::follower) folder: PathBuf,
    /// What it is.
    pub meta: BaseMeta,
    /// Taken over by a generation: not to be removed.
    pub(super) kept: bool,
}

impl Drop for NewBase {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn fresh_folder(disk: &dyn Disk, list_dir: &Path) -> Result<PathBuf, FollowError> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let folder = list_dir.join(format!("new-{}.tmp", NUMBER.fetch_add(1, Ordering::Relaxed)));
    let _ = fs::remove_dir_all(&folder);
    create_folder(disk, &folder)?;
    Ok(folder)
}

fn sync_file(disk: &dyn Disk, path: &Path) -> Result<(), FollowError> {
    let file = File::open(path).map_err(FollowError::io("open", path))?;
    disk.sync(&file).map_err(FollowError::io("fsync", path))
}

/// Takes in a downloaded snapshot: `download` is moved, not copied. The bucket file is made with the head's k. The digest
/// is compared with the one that the signed head names.
pub(in crate::follower) fn from_download(disk: &dyn Disk, list_dir: &Path, download: &Path, head: &Head) -> Result<NewBase, FollowError> {
    let folder = fresh_folder(disk, list_dir)?;
    let snapshot = snapshot_in(&folder);
    let guard = Folder(Some(folder.clone()));
    disk.rename(download, &snapshot).map_err(FollowError::io("move", download))?;
    sync_file(disk, &snapshot)?;
    let meta = index(disk, &folder, head.root.bits, head.snapshot.size)?;
    let expected = (&head.origin, &head.list, head.colour, head.snapshot.serial, head.snapshot.digest, head.snapshot.size);
    if (&meta.origin, &meta.list, meta.colour, meta.serial, meta.snapshot, meta.snapshot_size) != expected {
        return Err(FollowError::NotAsSigned { what: "the snapshot", list: head.list.clone(), serial: head.serial.get() });
    }
    finish(disk, guard, meta)
}

/// Writes a base from lines in order.
pub(in crate::follower) fn from_lines(
    disk: &dyn Disk,
    list_dir: &Path,
    header: &SnapshotHeader,
    bits: u8,
    lines: &mut Lines<'_>,
) -> Result<NewBase, FollowError> {
    let folder = fresh_folder(disk, list_dir)?;
    let guard = Folder(Some(folder.clone()));
    let path = snapshot_in(&folder);
    let file = disk.create(&path, false).map_err(FollowError::io("create", &path))?;
    let zstd = ZstdWriter::new(BufWriter::with_capacity(256 << 10, &file), LEVEL).map_err(FollowError::io("compress", &path))?;
    let mut snapshot = SnapshotWriter::new(zstd, header)?;
    let mut buckets = BaseWriter::new(bits, &folder);
    lines(&mut |line| {
        snapshot.push(line)?;
        buckets.push(line)
    })
    .map_err(FollowError::io("write", &path))?;
    let (zstd, digest, size) = snapshot.finish()?;
    zstd.finish().and_then(|mut out| out.flush()).map_err(FollowError::io("write", &path))?;
    disk.sync(&file).map_err(FollowError::io("fsync", &path))?;
    let snapshot_zst = file.metadata().map_err(FollowError::io("look at", &path))?.len();
    let built = buckets.finish_at(disk, &buckets_in(&folder))?;
    let meta = BaseMeta::new(header, (digest, size), snapshot_zst, &built);
    finish(disk, guard, meta)
}

/// Removes a folder unless told that it is complete.
struct Folder(Option<PathBuf>);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(folder) = &self.0 {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

fn finish(disk: &dyn Disk, mut guard: Folder, meta: BaseMeta) -> Result<NewBase, FollowError> {
    let folder = guard.0.take().expect("taken once, here");
    let new = NewBase { folder, meta, kept: false };
    let text = serde_json::to_vec_pretty(&new.meta).map_err(|e| FollowError::Unexpected(e.to_string()))?;
    write_file_atomic(disk, &meta_in(&new.folder), &text)?;
    Ok(new)
}

/// Makes the bucket file of the snapshot in `folder`, reading at most `limit` uncompressed octets.
pub(super) fn index(disk: &dyn Disk, folder: &Path, bits: u8, limit: u64) -> Result<BaseMeta, FollowError> {
    let path = snapshot_in(folder);
    let file = File::open(&path).map_err(FollowError::io("open", &path))?;
    let snapshot_zst = file.metadata().map_err(FollowError::io("look at", &path))?.len();
    let zstd = ZstdReader::new("snapshot", BufReader::with_capacity(256 << 10, file), limit)?;
    let mut reader = SnapshotReader::new(zstd, limit)?;
    let mut buckets = BaseWriter::new(bits, folder);
    while let Some(line) = reader.next_line()? {
        buckets.push(line).map_err(FollowError::io("write", folder))?;
    }
    let built = buckets.finish_at(disk, &buckets_in(folder))?;
    Ok(BaseMeta::new(reader.header(), reader.digest(), snapshot_zst, &built))
}

/// Reads what a base is.
pub(in crate::follower) fn read_meta(folder: &Path) -> Result<BaseMeta, String> {
    let path = meta_in(folder);
    let text = fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.display()))
}

/// Opens the bucket file and compares it with what the base is said to be. One that is damaged is made anew from the snapshot
/// beside it, if that is whole; then `true` comes with it.
pub(super) fn open_base(disk: &dyn Disk, folder: &Path, meta: &BaseMeta, mend: bool) -> Result<(Content, bool), String> {
    let open = || -> Result<Content, String> {
        let content = Content::open(&buckets_in(folder)).map_err(|e: StoreError| e.to_string())?;
        if content.root() == meta.root() && content.entries() == meta.entries {
            Ok(content)
        } else {
            Err("the bucket file is of other content".to_owned())
        }
    };
    let reason = match open() {
        Ok(content) => return Ok((content, false)),
        Err(reason) if !mend => return Err(reason),
        Err(reason) => reason,
    };
    reindex(disk, folder, meta).map_err(|e| format!("{reason}; and the snapshot beside it: {e}"))?;
    open().map(|content| (content, true))
}

/// Makes the bucket file anew from the snapshot beside it.
pub(super) fn reindex(disk: &dyn Disk, folder: &Path, meta: &BaseMeta) -> Result<(), FollowError> {
    let found = index(disk, folder, meta.bits, meta.snapshot_size)?;
    if (found.snapshot, found.root, found.serial) == (meta.snapshot, meta.root, meta.serial) {
        Ok(())
    } else {
        Err(FollowError::Damaged { list: meta.list.clone(), reason: "the snapshot is not the one that was written".into() })
    }
}
