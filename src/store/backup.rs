//! Copying a data folder while it is in use, and making one from such a copy.
//!
//! ```text
//! manifest.json   journal/...   artefacts/...   keys/... and operator.token, only if asked for
//! ```
//!
//! Guarantees: a backup is of one frame of the journal and holds all that the state at that frame names; its manifest is written
//! last, so one without it is not whole. A restore verifies every octet, the journal's chain, the chain of heads and every
//! artefact before it writes anything, and makes serials go on above the highest ever published. It does not encrypt, and it
//! does not verify signatures.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io::{self, Read},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::list::{Digest, ListId, Serial, Timestamp};

use super::{
    ArtefactName, Disk, FrameId, Progress, Record, Store, StoreError, StoreOptions,
    artefacts::{name_of, relative_path, verify_file},
    check::HeadChain,
    disk::{at, create_folder, write_file_atomic},
    index::MemoryIndex,
    journal::read_only,
    open::{KIND, Replay, UNFINISHED_RESTORE},
    state,
};

const FORMAT: &str = "bwld backup v1";
const MANIFEST: &str = "manifest.json";
/// Largest manifest, in octets: some 1.5 million files.
const MAX_MANIFEST: u64 = 256 << 20;

/// A file of a backup.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    path: String,
    size: u64,
    /// SHA-256 of its octets as stored.
    digest: Digest,
}

/// What a backup holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: String,
    made: Timestamp,
    frame: FrameId,
    hash: Digest,
    secrets: bool,
    files: Vec<Listed>,
}

/// What a backup did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackupReport {
    /// The frame it is of.
    pub frame: FrameId,
    /// Files in it.
    pub files: u64,
    /// Their octets.
    pub octets: u64,
    /// How many are hard links to the store's own immutable files and take no room.
    pub linked: u64,
    /// Digest of the manifest. Kept somewhere else, it shows that a backup is this one.
    pub manifest: Digest,
}

/// How to restore.
#[derive(Clone, Debug, Default)]
pub struct RestoreOptions {
    /// The highest serial ever published, of each list of which a mirror, a follower or a log tells it.
    pub highest: BTreeMap<ListId, Serial>,
    /// How many serials to leave out for a list that is not in `highest`, so that none is used twice. A serial is 63 bits: be generous.
    pub margin: u64,
    /// The digest that the manifest must have.
    pub manifest: Option<Digest>,
}

/// What a restore did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestoreReport {
    /// Files restored.
    pub files: u64,
    /// Their octets.
    pub octets: u64,
    /// When the backup was made.
    pub made: Timestamp,
    /// Whether keys and token were in it.
    pub secrets: bool,
    /// The serial that the next version of each list gets.
    pub next: Vec<(ListId, Serial)>,
    /// Lists in [`RestoreOptions::highest`] that the backup does not know: made after it.
    pub unknown: Vec<ListId>,
}

impl Store {
    /// Copies the data folder as of now into `to`, which is empty or not there. Publishing goes on meanwhile.
    ///
    /// With `secrets`, the folder `keys` and the file `operator.token` go into it, and whoever has it can sign.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if `to` is not empty; [`StoreError::BadArtefact`] if an artefact that is needed is missing; [`StoreError::Io`].
    pub fn backup(&self, to: &Path, secrets: bool, now: Timestamp) -> Result<BackupReport, StoreError> {
        let disk = &*self.disk;
        must_be_empty(to)?;
        create_folder(disk, to)?;
        // Nothing is swept and no segment moves while this is held; commits go on.
        let _alone = self.maintenance.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (segments, frame, hash, named) = {
            let writer = self.writer();
            let journal = &writer.journal;
            (journal.segments()?, journal.last_frame(), journal.last_hash(), self.read_held(&writer, state::named)?)
        };
        let mut copy = Copying { disk, from: &self.dir, to, files: Vec::new(), linked: 0 };
        for (path, size) in segments {
            copy.copy(&path, Some(size), false)?;
        }
        let archive = self.dir.join("journal/archive");
        for path in files_of(&archive)? {
            copy.copy(&path, None, false)?;
        }
        let names: HashSet<ArtefactName> = named.into_iter().map(|(name, _)| name).collect();
        for (kind, digest) in names {
            copy.link(&self.artefacts.path(kind, &digest))?;
        }
        if secrets {
            for path in files_of(&self.dir.join("keys"))?.into_iter().chain([self.dir.join("operator.token")]) {
                if path.is_file() {
                    copy.copy(&path, None, true)?;
                }
            }
        }
        let (mut files, linked) = (copy.files, copy.linked);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let octets = files.iter().map(|f| f.size).sum();
        let count = files.len() as u64;
        sync_folders(disk, to, files.iter().map(|f| f.path.as_str()))?;
        let manifest = Manifest { format: FORMAT.into(), made: now, frame, hash, secrets, files };
        let text = serde_json::to_vec_pretty(&manifest).expect("a manifest has only text keys and values that JSON can hold");
        write_file_atomic(disk, &to.join(MANIFEST), &text)?;
        Ok(BackupReport { frame, files: count, octets, linked, manifest: Digest::of(&text) })
    }
}

/// Files being copied out of a data folder.
struct Copying<'a> {
    disk: &'a dyn Disk,
    from: &'a Path,
    to: &'a Path,
    files: Vec<Listed>,
    linked: u64,
}

impl Copying<'_> {
    /// Where a file goes, its folder made.
    fn target(&self, path: &Path) -> Result<(String, PathBuf), StoreError> {
        let relative = path.strip_prefix(self.from).unwrap_or(path);
        let target = self.to.join(relative);
        create_folder(self.disk, super::disk::folder_of(&target))?;
        Ok((relative.display().to_string(), target))
    }

    fn copy(&mut self, path: &Path, size: Option<u64>, secret: bool) -> Result<(), StoreError> {
        let (name, target) = self.target(path)?;
        let (size, digest) = copy_file(self.disk, path, &target, size, secret)?;
        self.files.push(Listed { path: name, size, digest });
        Ok(())
    }

    /// A hard link where that is possible: artefacts are never changed. A copy else.
    fn link(&mut self, path: &Path) -> Result<(), StoreError> {
        let (name, target) = self.target(path)?;
        if !path.is_file() {
            let reason = "it is missing, and a backup without it could not be restored".into();
            return Err(StoreError::BadArtefact { path: path.display().to_string(), reason });
        }
        if fs::hard_link(path, &target).is_err() {
            return self.copy(path, None, false);
        }
        let (size, digest) = digest_file(&target)?;
        self.linked += 1;
        self.files.push(Listed { path: name, size, digest });
        Ok(())
    }
}

/// Makes the data folder `into`, which is empty or not there, from the backup in `from`.
///
/// # Errors
/// [`StoreError::BadBackup`], [`StoreError::Damaged`], [`StoreError::BadFrame`], [`StoreError::BadArtefact`]: the backup is not whole or
/// was changed, and nothing was written. [`StoreError::Exists`] if `into` is not empty. [`StoreError::Io`]: what is in `into` then
/// is not a data folder, and no start takes it for one.
pub fn restore(
    from: &Path,
    into: &Path,
    options: &RestoreOptions,
    now: Timestamp,
    disk: &Arc<dyn Disk>,
    progress: &mut dyn FnMut(Progress),
) -> Result<RestoreReport, StoreError> {
    must_be_empty(into)?;
    let manifest = verify_backup(from, options.manifest)?;
    create_folder(&**disk, into)?;
    // Removed when all is done: until then no start takes the folder for a whole one.
    let marker = into.join(UNFINISHED_RESTORE);
    write_file_atomic(&**disk, &marker, b"bwld restore has not finished with this folder\n")?;
    let mut octets = 0;
    for file in &manifest.files {
        let target = into.join(&file.path);
        create_folder(&**disk, super::disk::folder_of(&target))?;
        let copied = copy_file(&**disk, &from.join(&file.path), &target, None, is_secret(&file.path))?;
        if copied != (file.size, file.digest) {
            return Err(bad(from, format!("{} changed while it was being read", file.path)));
        }
        octets += file.size;
    }
    sync_folders(&**disk, into, manifest.files.iter().map(|f| f.path.as_str()))?;
    let (store, _) = Store::open_restored(into, StoreOptions::default(), disk.clone(), progress)?;
    let mut next = Vec::new();
    for list in store.lists()? {
        if let Some(serial) = floor_of(options, &list.meta.id, list.last.map(|(serial, _)| serial)) {
            store.commit(&Record::SerialFloor { list: list.meta.id.clone(), serial, at: now })?;
        }
        let state = store.list(&list.meta.id)?.unwrap_or(list);
        next.extend(state.next_serial().map(|serial| (state.meta.id, serial)));
    }
    let unknown = options.highest.keys().filter(|id| next.iter().all(|(known, _)| known != *id)).cloned().collect();
    drop(store);
    disk.remove(&marker).map_err(at("remove", &marker))?;
    disk.sync_dir(into).map_err(at("fsync folder", into))?;
    Ok(RestoreReport { files: manifest.files.len() as u64, octets, made: manifest.made, secrets: manifest.secrets, next, unknown })
}

/// Above which serial a restored list goes on.
///
/// One serial is left out on purpose: a follower that has the highest one would find that the next names another version before it
/// (the restored one) and call it a split view, rightly. It asks no such thing of the one after.
fn floor_of(options: &RestoreOptions, id: &ListId, last: Option<Serial>) -> Option<Serial> {
    match (options.highest.get(id), last) {
        (Some(highest), last) if last.is_none_or(|last| *highest > last) => highest.next(),
        (Some(_), _) => None,
        (None, last) if options.margin > 0 => Serial::new(last.map_or(0, Serial::get).saturating_add(options.margin)),
        (None, _) => None,
    }
}

/// Reads a backup and checks everything in it.
fn verify_backup(from: &Path, expected: Option<Digest>) -> Result<Manifest, StoreError> {
    let path = from.join(MANIFEST);
    let mut text = Vec::new();
    File::open(&path).map_err(at("open", &path))?.take(MAX_MANIFEST + 1).read_to_end(&mut text).map_err(at("read", &path))?;
    if text.len() as u64 > MAX_MANIFEST {
        return Err(bad(from, "its manifest is too large".into()));
    }
    if expected.is_some_and(|digest| digest != Digest::of(&text)) {
        return Err(bad(from, format!("its manifest is {}, not the one asked for", Digest::of(&text))));
    }
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|e| bad(from, format!("its manifest cannot be read: {e}")))?;
    if manifest.format != FORMAT {
        return Err(bad(from, format!("it is a \"{}\", and this bwld reads \"{FORMAT}\"", manifest.format)));
    }
    let mut listed = HashSet::new();
    for file in &manifest.files {
        if !belongs_in_a_backup(&file.path) || !listed.insert(file.path.as_str()) {
            return Err(bad(from, format!("its manifest names {:?}, which has no place in it", file.path)));
        }
        let (size, digest) = digest_file(&from.join(&file.path))?;
        if (size, digest) != (file.size, file.digest) {
            return Err(bad(from, format!("{} is not as the manifest says; it was damaged or changed", file.path)));
        }
    }
    let journal = from.join("journal");
    for path in files_of(&journal)? {
        let name = format!("journal/{}", path.file_name().unwrap_or_default().to_string_lossy());
        if !listed.contains(name.as_str()) {
            return Err(bad(from, format!("{name} is not in the manifest")));
        }
    }
    let state = MemoryIndex::default();
    let mut replay = Replay::onto(&state)?;
    let mut heads = HeadChain::default();
    let end = read_only(&journal, KIND, &mut |frame| {
        heads.frame(&frame);
        replay.frame(frame)
    })?;
    replay.finish()?;
    if end != (manifest.frame, manifest.hash) {
        return Err(bad(from, format!("its journal ends at frame {}, the manifest says {}", end.0, manifest.frame)));
    }
    if let Some(problem) = heads.problems.first() {
        return Err(bad(from, problem.clone()));
    }
    for ((kind, digest), list) in state::named(&state)? {
        let path = Path::new("artefacts").join(relative_path((kind, digest)));
        if !path.to_str().is_some_and(|p| listed.contains(p)) {
            return Err(bad(from, format!("{} is missing, which list {list} needs", path.display())));
        }
        verify_file(&from.join(&path), kind, &digest)?;
    }
    Ok(manifest)
}

/// Whether a path may stand in a manifest: nothing that leaves the folder, nothing but what a data folder is made of.
fn belongs_in_a_backup(path: &str) -> bool {
    let parts: Option<Vec<&str>> = Path::new(path)
        .components()
        .map(|c| match c {
            Component::Normal(part) => part.to_str(),
            _ => None,
        })
        .collect();
    let segment = |name: &str| name.strip_suffix(".seg").is_some_and(|n| n.len() >= 8 && n.bytes().all(|b| b.is_ascii_digit()));
    match parts.as_deref() {
        Some(["journal", name] | ["journal", "archive", name]) => segment(name),
        Some(["artefacts", folder, name]) => name_of(name).is_some_and(|name| relative_path(name).parent() == Some(Path::new(folder))),
        Some(["keys", name]) => !name.starts_with('.'),
        Some(["operator.token"]) => true,
        _ => false,
    }
}

fn is_secret(path: &str) -> bool {
    path == "operator.token" || path.starts_with("keys/")
}

fn bad(folder: &Path, reason: String) -> StoreError {
    StoreError::BadBackup { folder: folder.display().to_string(), reason }
}

/// That a folder is empty or not there.
fn must_be_empty(folder: &Path) -> Result<(), StoreError> {
    match fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(StoreError::Exists { path: folder.display().to_string() }),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(at("read folder", folder)(e)),
    }
}

/// The plain files of a folder in order; of one that is not there, none.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut files = Vec::new();
    match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(files),
        Err(e) => return Err(at("read folder", folder)(e)),
        Ok(entries) => {
            for entry in entries {
                let path = entry.map_err(at("read folder", folder))?.path();
                if path.is_file() {
                    files.push(path);
                }
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Copies a file, or its first `limit` octets; the copy is durable but for its folder. Returns size and digest.
fn copy_file(disk: &dyn Disk, from: &Path, to: &Path, limit: Option<u64>, secret: bool) -> Result<(u64, Digest), StoreError> {
    let target = disk.create(to, secret).map_err(at("create", to))?;
    let result = each_piece(from, limit, &mut |piece| disk.append(&target, piece).map_err(at("write", to)))?;
    disk.sync(&target).map_err(at("fsync", to))?;
    if limit.is_some_and(|limit| limit != result.0) {
        return Err(StoreError::BadArtefact { path: from.display().to_string(), reason: "it is shorter than it was".into() });
    }
    Ok(result)
}

fn digest_file(path: &Path) -> Result<(u64, Digest), StoreError> {
    each_piece(path, None, &mut |_| Ok(()))
}

/// Reads a file in pieces; returns size and digest.
fn each_piece(
    path: &Path,
    limit: Option<u64>,
    visit: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
) -> Result<(u64, Digest), StoreError> {
    let mut file = File::open(path).map_err(at("open", path))?.take(limit.unwrap_or(u64::MAX));
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    let mut size = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((size, Digest(hasher.finalize().into()))),
            Ok(n) => {
                visit(&buffer[..n])?;
                hasher.update(&buffer[..n]);
                size += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(at("read", path)(e)),
        }
    }
}

/// fsyncs every folder that holds one of the files, and those above them.
fn sync_folders<'a>(disk: &dyn Disk, root: &Path, files: impl Iterator<Item = &'a str>) -> Result<(), StoreError> {
    let mut folders: HashSet<PathBuf> = HashSet::from([root.to_path_buf()]);
    for file in files {
        folders.extend(Path::new(file).ancestors().skip(1).map(|folder| root.join(folder)));
    }
    for folder in folders {
        disk.sync_dir(&folder).map_err(at("fsync folder", &folder))?;
    }
    Ok(())
}
