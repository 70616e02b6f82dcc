//! Files that only their owner may read: secret keys and the operator's token.
//!
//! Guarantees: such a file is created exclusively with mode 0600 and is durable when the call returns; one that others
//! could read is not used. It does not encrypt.

use std::{fs::File, io::Read as _, os::unix::fs::MetadataExt as _, path::Path};

use zeroize::Zeroizing;

use super::{
    Disk, StoreError,
    disk::{at, write_replacing},
};

/// Largest secret file that is read, in octets.
const MAX_SECRET: u64 = 65_536;

/// Creates a secret file with mode 0600. One that is there already is an error and stays as it is.
///
/// # Errors
/// [`StoreError::Exists`] if there is a file of that name; [`StoreError::Io`] else. After an error nothing of the
/// secret is at `path`, unless only the last fsync of the folder failed.
pub fn create_secret(disk: &dyn Disk, path: &Path, text: &str) -> Result<(), StoreError> {
    // The check is for a good message; two that create at once are kept apart by the lock of the data folder.
    if path.symlink_metadata().is_ok() {
        return Err(StoreError::Exists { path: path.display().to_string() });
    }
    write_replacing(disk, path, text.as_bytes(), true)
}

/// Reads a secret file; the text is wiped from memory when it is dropped.
///
/// # Errors
/// [`StoreError::SecretIsOpen`] if group or others may read or write it; [`StoreError::TooLarge`]; [`StoreError::Io`].
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, StoreError> {
    let file = File::open(path).map_err(at("open", path))?;
    // Of the open file, not of the path: nobody can swap it in between.
    let mode = file.metadata().map_err(at("look at", path))?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(StoreError::SecretIsOpen { path: path.display().to_string(), mode });
    }
    let mut text = Zeroizing::new(String::with_capacity(4_096));
    file.take(MAX_SECRET + 1).read_to_string(&mut text).map_err(at("read", path))?;
    if text.len() as u64 > MAX_SECRET {
        return Err(StoreError::TooLarge { what: path.display().to_string(), limit: MAX_SECRET });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::store::RealDisk;

    #[test]
    fn is_created_once_and_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        create_secret(&RealDisk, &path, "s3cret\n").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(read_secret(&path).unwrap().as_str(), "s3cret\n");
        assert!(matches!(create_secret(&RealDisk, &path, "other"), Err(StoreError::Exists { .. })));
        assert_eq!(read_secret(&path).unwrap().as_str(), "s3cret\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn one_that_others_can_read_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        create_secret(&RealDisk, &path, "s3cret").unwrap();
        for mode in [0o640, 0o604, 0o620, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = read_secret(&path).unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn is_read_with_a_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        create_secret(&RealDisk, &path, &"x".repeat(70_000)).unwrap();
        assert!(matches!(read_secret(&path), Err(StoreError::TooLarge { .. })));
    }
}
