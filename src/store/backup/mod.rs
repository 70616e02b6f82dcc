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

mod files;
mod restore;

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::list::{Digest, Timestamp};

use super::{
    ArtefactName, Disk, FrameId, Store, StoreError,
    disk::{create_folder, folder_of, write_file_atomic},
    state,
};
use files::{copy_file, digest_file, files_of, must_be_empty, sync_folders};

pub use restore::{RestoreOptions, RestoreReport, restore};

const FORMAT: &str = "bwld backup v1";
const MANIFEST: &str = "manifest.json";

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
        create_folder(self.disk, folder_of(&target))?;
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
