//! A folder of categories as the archive that the daemon reads.
//!
//! Guarantees: streams, file by file, in the order of their names; no link is followed, so that nothing outside the folder is sent.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;

/// Folders in folders, at most.
const DEPTH: usize = 8;
/// Octets sent at once.
const CHUNK: usize = 64 << 10;

/// What is sent of a folder: the paths of the files, and their octets in all.
///
/// # Errors
/// Of the disk, or that there is nothing in it.
pub fn files(folder: &Path) -> anyhow::Result<(Vec<PathBuf>, u64)> {
    let (mut files, mut octets) = (Vec::new(), 0);
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((path, depth)) = folders.pop() {
        let reading = || format!("reading {}", path.display());
        for entry in fs::read_dir(&path).with_context(reading)? {
            let entry = entry.with_context(reading)?;
            let kind = entry.file_type().with_context(reading)?;
            if kind.is_dir() && depth < DEPTH {
                folders.push((entry.path(), depth + 1));
            } else if kind.is_file() {
                octets += entry.metadata().with_context(reading)?.len();
                files.push(entry.path());
            }
        }
    }
    anyhow::ensure!(
        files.iter().any(|path| path.ends_with("domains") || path.ends_with("urls")),
        "{} has no files domains or urls in it; name a file, or a folder of categories",
        folder.display()
    );
    files.sort();
    Ok((files, octets))
}

/// The archive, made as it is sent.
pub fn archive(folder: PathBuf, files: Vec<PathBuf>) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let (sender, receiver) = mpsc::channel(4);
    tokio::task::spawn_blocking(move || {
        let mut archive = tar::Builder::new(Outlet { sender: sender.clone(), gathered: Vec::with_capacity(CHUNK) });
        let made = files.iter().try_for_each(|path| {
            let name = path.strip_prefix(&folder).unwrap_or(path);
            archive.append_file(name, &mut File::open(path)?)
        });
        let made = made.and_then(|()| archive.into_inner()).and_then(|mut outlet| outlet.flush());
        if let Err(error) = made {
            // If the daemon has hung up, its answer says why.
            let _ = sender.blocking_send(Err(error));
        }
    });
    futures_util::stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|chunk| (chunk, receiver)) })
}

struct Outlet {
    sender: mpsc::Sender<io::Result<Bytes>>,
    gathered: Vec<u8>,
}

impl Write for Outlet {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(octets);
        if self.gathered.len() >= CHUNK {
            self.flush()?;
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let chunk = std::mem::take(&mut self.gathered);
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        if chunk.is_empty() { Ok(()) } else { self.sender.blocking_send(Ok(chunk.into())).map_err(gone) }
    }
}
