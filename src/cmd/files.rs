//! Names in the data folder, and the few ways `cmd` touches files: secrets exclusively, the rest by rename.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The root key, below the data folder.
pub const ROOT_KEY: &str = "keys/root.key";
/// The signing key, below the data folder.
pub const SIGNING_KEY: &str = "keys/signing.key";
/// The operator's token, below the data folder.
pub const TOKEN: &str = "operator.token";
/// Where the running daemon listens, below the data folder.
pub const ADDRESS: &str = "address";

/// Creates a file of mode 0600 that must not exist; it is durable when this returns.
///
/// # Errors
/// That it exists, or of the disk.
pub fn create_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let attempt = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        sync_folder(path)
    };
    attempt().with_context(|| match path.exists() {
        true => format!("creating {}: it exists, and a secret is never written over", path.display()),
        false => format!("creating {}", path.display()),
    })
}

/// Writes a file beside its place and renames it there; it is durable when this returns.
///
/// # Errors
/// Of the disk.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let temporary = beside(path);
    let attempt = || -> io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_folder(path)
    };
    attempt().with_context(|| format!("writing {}", path.display())).inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

/// A temporary name beside `path`.
pub fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}

/// fsync of the folder that holds `path`.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent().filter(|p| !p.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

/// Reads at most `limit` octets; `-` is the standard input.
///
/// # Errors
/// Of the disk, or that there is more.
pub fn read_bounded(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = |source: &mut dyn io::Read, bytes: &mut Vec<u8>| source.take(limit + 1).read_to_end(bytes);
    if path == Path::new("-") {
        read(&mut io::stdin().lock(), &mut bytes)
    } else {
        File::open(path).and_then(|mut f| read(&mut f, &mut bytes))
    }
    .with_context(|| format!("reading {}", path.display()))?;
    anyhow::ensure!(bytes.len() as u64 <= limit, "{} is larger than {limit} octets", path.display());
    Ok(bytes)
}

/// Reads a secret of at most `limit` octets; the copy is zeroised when dropped.
///
/// # Errors
/// Of the disk, or that it is too long or no text.
pub fn read_secret(path: &Path, limit: u64) -> anyhow::Result<zeroize::Zeroizing<String>> {
    // The capacity is there from the start: growing would leave copies behind.
    let mut text = zeroize::Zeroizing::new(String::with_capacity(usize::try_from(limit).unwrap_or(0) + 1));
    File::open(path)?.take(limit + 1).read_to_string(&mut text)?;
    anyhow::ensure!(text.len() as u64 <= limit, "longer than {limit} octets");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_private_and_never_written_over() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("k");
        create_secret(&path, "one").expect("created");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        let error = create_secret(&path, "two").expect_err("exists");
        assert!(format!("{error:#}").contains("never written over"), "{error:#}");
        assert_eq!(read_secret(&path, 10).expect("read").as_str(), "one");
        assert!(read_secret(&path, 2).is_err());
    }

    #[test]
    fn reading_is_bounded_and_writing_replaces() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("f");
        write_atomic(&path, b"12345").expect("written");
        write_atomic(&path, b"123").expect("written");
        assert_eq!(read_bounded(&path, 3).expect("read"), b"123");
        assert!(read_bounded(&path, 2).is_err());
        assert_eq!(fs::read_dir(dir.path()).expect("folder").count(), 1, "no temporary file is left");
    }
}
