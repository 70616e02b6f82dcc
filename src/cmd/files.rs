//! Names in the data folder, and the few ways `cmd` touches files that are not the store's business.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The root key, below the data folder.
pub const ROOT_KEY: &str = "keys/root.key";
/// The key that signs exports in the form of minisign, below the data folder.
pub const MINISIGN_KEY: &str = "keys/minisign.key";
/// The signing key, below the data folder.
pub const SIGNING_KEY: &str = "keys/signing.key";
/// The first key set, below the data folder: written by `serve`, or put there before its first start.
pub const FIRST_KEYSET: &str = "keys/first.keyset";
/// From which second factors are made, below the data folder.
pub const PEOPLE_KEY: &str = "keys/factor.key";
/// The operator's token, below the data folder.
pub const TOKEN: &str = "operator.token";
/// Where the running daemon listens, below the data folder.
pub const ADDRESS: &str = "address";
/// Where the running daemon serves zones, one address a line.
pub const DNS_ADDRESS: &str = "dns.address";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_is_bounded() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("f");
        std::fs::write(&path, b"123").expect("written");
        assert_eq!(read_bounded(&path, 3).expect("read"), b"123");
        assert!(read_bounded(&path, 2).is_err());
    }
}
