//! Immutable files named by the digest of their uncompressed content.
//!
//! ```text
//! artefacts/3f/3fa9....snapshot.zst    artefacts/tmp/4711-0.tmp
//! ```
//!
//! Guarantees: a file with an artefact's name is whole and durable before the call that made it returns, so a journal frame
//! may name it; it is never changed. [`Artefacts::verify`] checks content against name. Reading with a limit is bounded.
//! It does not know which artefacts are needed: whoever calls [`Artefacts::sweep`] says so.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use sha2::{Digest as _, Sha256};

use crate::list::Digest;

use super::{
    Disk, StoreError,
    disk::{at, create_folder, sweep_temporary, temporary_in},
};

/// What an artefact is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ArtefactKind {
    /// A snapshot (docs/PROTOCOL.md section 6), zstd.
    Snapshot,
    /// A delta (section 7), zstd.
    Delta,
    /// A bucket file, not compressed: it is read in place.
    Buckets,
    /// Staged changes: change lines without header, zstd.
    Changes,
    /// Lines of the audit chain, zstd.
    Audit,
}

impl ArtefactKind {
    /// All of them.
    pub const ALL: [ArtefactKind; 5] =
        [ArtefactKind::Snapshot, ArtefactKind::Delta, ArtefactKind::Buckets, ArtefactKind::Changes, ArtefactKind::Audit];

    /// Ending of the file name, without the dot before it.
    pub const fn ending(self) -> &'static str {
        match self {
            ArtefactKind::Snapshot => "snapshot.zst",
            ArtefactKind::Delta => "delta.zst",
            ArtefactKind::Buckets => "buckets",
            ArtefactKind::Changes => "changes.zst",
            ArtefactKind::Audit => "audit.zst",
        }
    }

    /// Whether it is stored as zstd.
    pub const fn compressed(self) -> bool {
        !matches!(self, ArtefactKind::Buckets)
    }
}

/// An artefact's name: what it is and the digest of its uncompressed content.
pub type ArtefactName = (ArtefactKind, Digest);

/// The path of an artefact below the folder of artefacts.
pub(super) fn relative_path((kind, digest): ArtefactName) -> PathBuf {
    let hex = digest.hex();
    Path::new(&hex[..2]).join(format!("{hex}.{}", kind.ending()))
}

/// The artefact that a file of this name would be.
pub(super) fn name_of(file_name: &str) -> Option<ArtefactName> {
    let (hex, ending) = file_name.split_once('.')?;
    let kind = ArtefactKind::ALL.into_iter().find(|k| k.ending() == ending)?;
    Some((kind, Digest::from_hex(hex).ok()?))
}

/// The folder of artefacts. Clones share it.
#[derive(Clone, Debug)]
pub struct Artefacts {
    dir: Arc<Path>,
    disk: Arc<dyn Disk>,
    /// Written, but not yet named by a record, and how many have written it to name it: a sweep must leave them.
    unnamed: Arc<Mutex<HashMap<ArtefactName, usize>>>,
}

/// What a sweep did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SweepReport {
    /// Files that nothing names, removed.
    pub removed: u64,
    /// Their octets.
    pub octets: u64,
    /// Named, but not there.
    pub missing: Vec<ArtefactName>,
}

impl Artefacts {
    /// Opens or creates the folder and removes unfinished files.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn open(dir: &Path, disk: Arc<dyn Disk>) -> Result<Artefacts, StoreError> {
        create_folder(&*disk, dir)?;
        let unfinished = dir.join("tmp");
        create_folder(&*disk, &unfinished)?;
        sweep_temporary(&*disk, &unfinished)?;
        Ok(Artefacts { dir: dir.into(), disk, unnamed: Arc::default() })
    }

    /// Where unfinished files lie; on the same file system. A start removes what is left there.
    pub fn temporary_dir(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    /// Where an artefact lies, whether it is there or not.
    pub fn path(&self, kind: ArtefactKind, digest: &Digest) -> PathBuf {
        self.dir.join(relative_path((kind, *digest)))
    }

    /// Stores an artefact whose stored form (compressed, if its kind is) is in memory. `digest` is that of the uncompressed content.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn put(&self, kind: ArtefactKind, digest: &Digest, stored: &[u8]) -> Result<(), StoreError> {
        let mut writer = self.writer(kind)?;
        writer.write_out(stored)?;
        writer.finish(digest)?;
        Ok(())
    }

    /// Begins an artefact whose digest is known at its end.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn writer(&self, kind: ArtefactKind) -> Result<ArtefactWriter, StoreError> {
        let temporary = temporary_in(&self.dir.join("tmp"));
        let file = self.disk.create(&temporary, false).map_err(at("create", &temporary))?;
        Ok(ArtefactWriter { artefacts: self.clone(), kind, temporary: Some(temporary), file, buffer: Vec::new(), size: 0 })
    }

    /// Whether it is there.
    pub fn contains(&self, kind: ArtefactKind, digest: &Digest) -> bool {
        self.path(kind, digest).is_file()
    }

    /// Octets of its stored form.
    ///
    /// # Errors
    /// [`StoreError::Io`], also when it is not there.
    pub fn size(&self, kind: ArtefactKind, digest: &Digest) -> Result<u64, StoreError> {
        let path = self.path(kind, digest);
        Ok(fs::metadata(&path).map_err(at("look at", &path))?.len())
    }

    /// Opens its stored form.
    ///
    /// # Errors
    /// [`StoreError::Io`], also when it is not there.
    pub fn open_file(&self, kind: ArtefactKind, digest: &Digest) -> Result<File, StoreError> {
        let path = self.path(kind, digest);
        File::open(&path).map_err(at("open", &path))
    }

    /// Its stored form, of at most `limit` octets.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], [`StoreError::Io`].
    pub fn read(&self, kind: ArtefactKind, digest: &Digest, limit: u64) -> Result<Vec<u8>, StoreError> {
        let path = self.path(kind, digest);
        let mut bytes = Vec::new();
        let file = File::open(&path).map_err(at("open", &path))?;
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(at("read", &path))?;
        if bytes.len() as u64 > limit {
            return Err(StoreError::TooLarge { what: path.display().to_string(), limit });
        }
        Ok(bytes)
    }

    /// Reads it to its end and compares its content with its name; returns the octets of the content. Memory is bounded.
    ///
    /// # Errors
    /// [`StoreError::BadArtefact`], [`StoreError::Io`].
    pub fn verify(&self, kind: ArtefactKind, digest: &Digest) -> Result<u64, StoreError> {
        verify_file(&self.path(kind, digest), kind, digest)
    }

    /// Removes an artefact; one that is not there is no error.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn remove(&self, kind: ArtefactKind, digest: &Digest) -> Result<(), StoreError> {
        let path = self.path(kind, digest);
        match self.disk.remove(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(at("remove", &path)),
        }
    }

    /// Removes every artefact that is neither in `named` nor was written since the start without having been named, and says which
    /// of `named` are missing. Files that do not bear an artefact's name are left alone.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn sweep(&self, named: &HashSet<ArtefactName>) -> Result<SweepReport, StoreError> {
        let mut report = SweepReport::default();
        let mut present = HashSet::new();
        for folder in folders_of(&self.dir)? {
            for entry in fs::read_dir(&folder).map_err(at("read folder", &folder))? {
                let entry = entry.map_err(at("read folder", &folder))?;
                let Some(name) = entry.file_name().to_str().and_then(name_of) else { continue };
                let path = entry.path();
                if named.contains(&name) {
                    present.insert(name);
                    continue;
                }
                // Held over the removal, so that nobody makes the same artefact anew in between.
                let unnamed = self.unnamed.lock().unwrap_or_else(PoisonError::into_inner);
                if path == self.path(name.0, &name.1) && !unnamed.contains_key(&name) {
                    report.octets += entry.metadata().map_or(0, |m| m.len());
                    self.disk.remove(&path).map_err(at("remove", &path))?;
                    report.removed += 1;
                }
            }
        }
        report.missing = named.difference(&present).copied().collect();
        report.missing.sort_unstable();
        Ok(report)
    }

    /// Says that one of those who wrote this artefact is not going to name it. When the last has said so, the next sweep goes by the
    /// records alone. If a record names it already, this changes nothing.
    pub fn let_go(&self, kind: ArtefactKind, digest: &Digest) {
        let mut unnamed = self.unnamed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writers) = unnamed.get_mut(&(kind, *digest)) {
            *writers -= 1;
            if *writers == 0 {
                unnamed.remove(&(kind, *digest));
            }
        }
    }

    /// Says that a record names these now: a later sweep goes by the records alone.
    pub(super) fn named(&self, names: &[ArtefactName]) {
        let mut unnamed = self.unnamed.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            unnamed.remove(name);
        }
    }
}

/// The folders that hold artefacts: two hex digits each.
fn folders_of(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(dir).map_err(at("read folder", dir))? {
        let entry = entry.map_err(at("read folder", dir))?;
        let name = entry.file_name();
        if name.len() == 2 && name.as_encoded_bytes().iter().all(u8::is_ascii_hexdigit) && entry.path().is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort_unstable();
    Ok(folders)
}

/// As [`Artefacts::verify`], of any file.
pub(super) fn verify_file(path: &Path, kind: ArtefactKind, digest: &Digest) -> Result<u64, StoreError> {
    let bad = |reason: String| StoreError::BadArtefact { path: path.display().to_string(), reason };
    let file = File::open(path).map_err(at("open", path))?;
    let mut reader: Box<dyn Read> =
        if kind.compressed() { Box::new(zstd::Decoder::new(file).map_err(at("read", path))?) } else { Box::new(file) };
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut size = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                hasher.update(&buffer[..n]);
                size += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(bad(e.to_string())),
        }
    }
    let found = Digest(hasher.finalize().into());
    if found == *digest { Ok(size) } else { Err(bad(format!("its content is {found}"))) }
}

/// A file being written: temporary name, fsync, rename, fsync of the folder. Dropped without [`ArtefactWriter::finish`] it is gone.
#[derive(Debug)]
pub struct ArtefactWriter {
    artefacts: Artefacts,
    kind: ArtefactKind,
    temporary: Option<PathBuf>,
    file: File,
    buffer: Vec<u8>,
    size: u64,
}

impl ArtefactWriter {
    const BUFFER: usize = 64 << 10;

    /// Gives the file its name; when this returns it is durable. `digest` is that of the uncompressed content. Returns the octets
    /// of the stored form.
    ///
    /// A crash before the rename leaves a `*.tmp`; after it an artefact that no record names. The next start removes either.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn finish(mut self, digest: &Digest) -> Result<u64, StoreError> {
        self.flush_out()?;
        let Some(temporary) = self.temporary.clone() else { return Ok(self.size) };
        let artefacts = self.artefacts.clone();
        let disk = &*artefacts.disk;
        disk.sync(&self.file).map_err(at("fsync", &temporary))?;
        let path = artefacts.path(self.kind, digest);
        let folder = artefacts.dir.join(&digest.hex()[..2]);
        create_folder(disk, &folder)?;
        // Before it is there, so that no sweep sees it without knowing of it.
        *artefacts.unnamed.lock().unwrap_or_else(PoisonError::into_inner).entry((self.kind, *digest)).or_default() += 1;
        disk.rename(&temporary, &path).map_err(at("rename to", &path))?;
        self.temporary = None;
        disk.sync_dir(&folder).map_err(at("fsync folder", &folder))?;
        Ok(self.size)
    }

    fn write_out(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.temporary.clone().unwrap_or_default();
        self.write_all(bytes).map_err(at("write", &path))
    }

    fn flush_out(&mut self) -> Result<(), StoreError> {
        let path = self.temporary.clone().unwrap_or_default();
        self.flush().map_err(at("write", &path))
    }
}

impl Write for ArtefactWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > Self::BUFFER {
            self.flush()?;
        }
        if bytes.len() > Self::BUFFER {
            self.artefacts.disk.append(&self.file, bytes)?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.artefacts.disk.append(&self.file, &self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }
}

impl Drop for ArtefactWriter {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            // What cannot be removed now is removed by the next start.
            let _ = self.artefacts.disk.remove(&temporary);
        }
    }
}
