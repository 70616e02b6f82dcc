//! Writing indexes into a folder under the eyes of readers.
//!
//! Guarantees: an index file gets its name when it is whole and on disk, and is never changed afterwards; `current.json` is
//! replaced as a whole, after the files that it names; files are removed after it, once it no longer names them. A crash leaves files
//! that nobody names, which the next change removes.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::current::{Current, EXTENSION, FileRef, path_in};
use super::read::{open_index, read_list};
use super::{IndexesError, folder_in};
use crate::list::ListId;
use crate::matcher::{Index, Layers, ListState, Seed};

/// The name of the seed's file: no list can have it.
const SEED: &str = "seed.bin";
/// How the names of unfinished files end.
const UNFINISHED: &str = "tmp";

/// A folder of indexes for its one writer.
#[derive(Debug)]
pub struct IndexWriter {
    dir: PathBuf,
    seed: Seed,
}

impl IndexWriter {
    /// Opens the folder below a follower's, or makes it with these lists in it, none of them with content. Lists that are no
    /// longer wanted are removed.
    ///
    /// # Errors
    /// [`IndexesError::Io`].
    pub fn open(followed: &Path, wanted: &[ListState]) -> Result<IndexWriter, IndexesError> {
        let dir = folder_in(followed);
        if !dir.is_dir() {
            // With all its lists at once, so that nobody takes some of them for all.
            let beside = followed.join("index.tmp");
            let _ = fs::remove_dir_all(&beside);
            fs::create_dir(&beside).map_err(IndexesError::io("create folder", &beside))?;
            for state in wanted {
                begin(&beside.join(state.list.as_str()), state)?;
            }
            fs::rename(&beside, &dir).map_err(IndexesError::io("rename to", &dir))?;
        }
        let seed = read_or_draw_seed(&dir)?;
        for state in wanted.iter().filter(|state| !path_in(&dir.join(state.list.as_str())).exists()) {
            let (folder, beside) = (dir.join(state.list.as_str()), dir.join(format!("{}.{UNFINISHED}", state.list)));
            let _ = fs::remove_dir_all(&beside);
            begin(&beside, state)?;
            let _ = fs::remove_dir_all(&folder);
            fs::rename(&beside, &folder).map_err(IndexesError::io("rename to", &folder))?;
        }
        let writer = IndexWriter { dir, seed };
        writer.remove_others(wanted)?;
        Ok(writer)
    }

    /// The seed to build with.
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// The files of a list.
    pub fn list(&self, id: &ListId) -> ListFiles {
        ListFiles { folder: self.dir.join(id.as_str()), id: id.clone(), written: Vec::new(), said: None, next: 0 }
    }

    fn remove_others(&self, wanted: &[ListState]) -> Result<(), IndexesError> {
        let wanted: BTreeSet<&str> = wanted.iter().map(|state| state.list.as_str()).collect();
        for entry in fs::read_dir(&self.dir).map_err(IndexesError::io("read folder", &self.dir))?.flatten() {
            let name = entry.file_name();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !name.to_str().is_some_and(|name| wanted.contains(name)) {
                // What cannot be removed now is removed by the next start.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        Ok(())
    }
}

/// Makes the folder of a list without content.
fn begin(folder: &Path, state: &ListState) -> Result<(), IndexesError> {
    fs::create_dir(folder).map_err(IndexesError::io("create folder", folder))?;
    replace(&path_in(folder), &text_of(&Current::new(state, Vec::new())))
}

fn text_of(current: &Current) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(current).expect("names and numbers are always representable in JSON");
    text.push(b'\n');
    text
}

/// The folder's seed. One that cannot be used is drawn anew: indexes carry the seed that they were built with.
fn read_or_draw_seed(dir: &Path) -> Result<Seed, IndexesError> {
    let path = dir.join(SEED);
    match fs::read(&path).map(<[u8; 16]>::try_from) {
        Ok(Ok(octets)) => return Ok(Seed::new(octets)),
        Ok(Err(_)) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(IndexesError::io("read", &path)(error)),
    }
    let mut octets = [0; 16];
    getrandom::fill(&mut octets).map_err(|e| IndexesError::io("draw a seed for", &path)(io::Error::other(e)))?;
    replace(&path, &octets)?;
    Ok(Seed::new(octets))
}

/// Writes a file under a temporary name and renames it. It is its owner's alone if it is the seed.
fn replace(path: &Path, octets: &[u8]) -> Result<(), IndexesError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if name == SEED {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    name.push(".");
    name.push(UNFINISHED);
    let beside = path.with_file_name(name);
    let _ = fs::remove_file(&beside);
    let write = |mut file: File| file.write_all(octets).and_then(|()| file.sync_all());
    let written = options.open(&beside).and_then(write).map_err(IndexesError::io("write", &beside));
    let named = written.and_then(|()| fs::rename(&beside, path).map_err(IndexesError::io("rename to", path)));
    if named.is_err() {
        let _ = fs::remove_file(&beside);
    }
    named
}

/// The files of one list, for the writer.
#[derive(Debug)]
pub struct ListFiles {
    folder: PathBuf,
    id: ListId,
    /// Index files that are there.
    written: Vec<(FileRef, Arc<Index>)>,
    /// What `current.json` says.
    said: Option<Current>,
    /// The number of the next file; 0: not known yet.
    next: u64,
}

impl ListFiles {
    /// What an earlier run left, opened and not verified; `None` if there is no content.
    ///
    /// # Errors
    /// [`IndexesError`] if it cannot be used: build the list anew.
    pub fn reopen(&mut self) -> Result<Option<(ListState, Layers)>, IndexesError> {
        let read = read_list(&self.folder, &self.id, &[]).map_err(|unread| unread.error)?;
        let state = read.current.state();
        self.written = read.files;
        self.said = Some(read.current);
        Ok(Layers::of(self.written.iter().map(|(_, index)| index.clone()).collect()).map(|layers| (state, layers)))
    }

    /// Writes an index and gives it back as it is on disk, mapped: for a base, which is not to be held in memory twice. Nobody
    /// sees it before [`ListFiles::publish`].
    ///
    /// # Errors
    /// [`IndexesError`] of writing.
    pub fn store(&mut self, index: &Index) -> Result<Arc<Index>, IndexesError> {
        let name = self.write(index)?;
        let mapped = Arc::new(open_index(&self.folder.join(&name))?);
        self.written.push((FileRef::of(name, index), mapped.clone()));
        Ok(mapped)
    }

    /// Shows this to readers: writes the layers that are not there yet and `current.json`, and removes what it no longer names.
    /// Does nothing if readers have it already.
    ///
    /// # Errors
    /// [`IndexesError`] of writing; readers have what they had.
    pub fn publish(&mut self, state: &ListState, layers: Option<&Layers>) -> Result<(), IndexesError> {
        let mut files = Vec::new();
        for layer in layers.map_or(&[][..], Layers::layers) {
            let file = match self.written.iter().find(|(_, index)| Arc::ptr_eq(index, layer)) {
                Some((file, _)) => file.clone(),
                None => {
                    let file = FileRef::of(self.write(layer)?, layer);
                    self.written.push((file.clone(), layer.clone()));
                    file
                }
            };
            files.push(file);
        }
        let current = Current::new(state, files);
        if self.said.as_ref() != Some(&current) {
            replace(&path_in(&self.folder), &text_of(&current))?;
        }
        self.written.retain(|(file, _)| current.files.contains(file));
        self.said = Some(current);
        self.sweep();
        Ok(())
    }

    fn write(&mut self, index: &Index) -> Result<String, IndexesError> {
        if self.next == 0 {
            self.next = self.highest() + 1;
        }
        let name = format!("{}-{}.{EXTENSION}", index.about().serial.get(), self.next);
        self.next += 1;
        replace(&self.folder.join(&name), index.octets())?;
        Ok(name)
    }

    /// The highest number that a file of the folder has, so that no name comes twice while a reader may hold it.
    fn highest(&self) -> u64 {
        let number = |name: &str| name.strip_suffix(EXTENSION)?.strip_suffix('.')?.rsplit_once('-')?.1.parse().ok();
        self.names().iter().filter_map(|name| number(name)).max().unwrap_or(0)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Removes what is not named; what cannot be removed now is removed by the next change.
    fn sweep(&self) {
        let named = |name: &str| self.written.iter().any(|(file, _)| file.name == name);
        for name in self.names() {
            let index = name.ends_with(&format!(".{EXTENSION}")) && !named(&name);
            if index || name.ends_with(&format!(".{UNFINISHED}")) {
                let _ = fs::remove_file(self.folder.join(name));
            }
        }
    }
}
