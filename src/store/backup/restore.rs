//! Making a data folder from a backup, after everything in it was verified.

use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    io::Read,
    path::{Component, Path},
    sync::Arc,
};

use crate::list::{Digest, ListId, Serial, Timestamp};

use super::{
    super::{
        Disk, Progress, Record, Store, StoreError, StoreOptions,
        artefacts::{name_of, relative_path, verify_file},
        check::HeadChain,
        disk::{at, create_folder, folder_of, write_file_atomic},
        index::MemoryIndex,
        journal::read_only,
        open::{KIND, Replay, UNFINISHED_RESTORE},
        state,
    },
    FORMAT, MANIFEST, Manifest,
    files::{copy_file, digest_file, files_of, must_be_empty, sync_folders},
};

/// Largest manifest, in octets: some 1.5 million files.
const MAX_MANIFEST: u64 = 256 << 20;

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
        create_folder(&**disk, folder_of(&target))?;
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
    for ((kind, digest), owner) in state::named(&state)? {
        let path = Path::new("artefacts").join(relative_path((kind, digest)));
        if !path.to_str().is_some_and(|p| listed.contains(p)) {
            return Err(bad(from, format!("{} is missing, which {owner} needs", path.display())));
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
