//! Files of a backup: finding, copying and digesting them.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::list::Digest;

use super::super::{Disk, StoreError, disk::at};

/// That a folder is empty or not there.
pub(super) fn must_be_empty(folder: &Path) -> Result<(), StoreError> {
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
pub(super) fn files_of(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
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
pub(super) fn copy_file(disk: &dyn Disk, from: &Path, to: &Path, limit: Option<u64>, secret: bool) -> Result<(u64, Digest), StoreError> {
    let target = disk.create(to, secret).map_err(at("create", to))?;
    let result = each_piece(from, limit, &mut |piece| disk.append(&target, piece).map_err(at("write", to)))?;
    disk.sync(&target).map_err(at("fsync", to))?;
    if limit.is_some_and(|limit| limit != result.0) {
        return Err(StoreError::BadArtefact { path: from.display().to_string(), reason: "it is shorter than it was".into() });
    }
    Ok(result)
}

pub(super) fn digest_file(path: &Path) -> Result<(u64, Digest), StoreError> {
    each_piece(path, None, &mut |_| Ok(()))
}

/// Reads a file in pieces; returns size and digest.
pub(super) fn each_piece(
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
pub(super) fn sync_folders<'a>(disk: &dyn Disk, root: &Path, files: impl Iterator<Item = &'a str>) -> Result<(), StoreError> {
    let mut folders: HashSet<PathBuf> = HashSet::from([root.to_path_buf()]);
    for file in files {
        folders.extend(Path::new(file).ancestors().skip(1).map(|folder| root.join(folder)));
    }
    for folder in folders {
        disk.sync_dir(&folder).map_err(at("fsync folder", &folder))?;
    }
    Ok(())
}
