//! Reading a folder of indexes while it is written.
//!
//! A reader takes `current.json`, then opens the files that it names. The writer removes files only once a newer `current.json` is in
//! place, so a file that has vanished means that there is a newer one to be read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::current::{Current, FileRef, MOST_OCTETS, path_in};
use super::{IndexesError, folder_in, nobody};
use crate::list::{Colour, ListId, Origin};
use crate::matcher::{Buffer, Index, IndexError, Layers, ListState, Lists, Matcher};

/// How often a list is read again when its files change meanwhile.
const TRIES: usize = 16;
/// Lists of one folder that are looked at. A follower follows at most 64.
const MOST_LISTS: usize = 256;
/// A file that was written so short a time ago may be written again without its time changing: it is not passed over by time and
/// number alone.
const SETTLED: Duration = Duration::from_secs(2);

/// The indexes that a follower keeps in its folder, as a reader sees them.
#[derive(Debug)]
pub struct IndexFolder {
    dir: PathBuf,
    only: Option<BTreeSet<ListId>>,
    seen: BTreeMap<ListId, Seen>,
}

/// What was last seen of a list.
#[derive(Debug, Default)]
struct Seen {
    stamp: Option<Stamp>,
    octets: Vec<u8>,
    /// What look-ups use of it.
    state: Option<ListState>,
    files: Vec<(FileRef, Arc<Index>)>,
    problem: Option<IndexesError>,
}

/// A list that has changed: what is known of it, its content, and under which name it was known before.
struct Changed {
    state: ListState,
    layers: Option<Layers>,
    before: Option<Origin>,
}

impl IndexFolder {
    /// Opens the folder that a follower keeps (`index/` lies in it). Nothing is read yet.
    ///
    /// # Errors
    /// [`IndexesError::NoFolder`].
    pub fn open(followed: &Path) -> Result<IndexFolder, IndexesError> {
        let dir = folder_in(followed);
        if !dir.is_dir() {
            return Err(IndexesError::NoFolder(followed.to_owned()));
        }
        Ok(IndexFolder { dir, only: None, seen: BTreeMap::new() })
    }

    /// Only these lists; the others are not read.
    #[must_use]
    pub fn only(mut self, lists: BTreeSet<ListId>) -> IndexFolder {
        self.only = Some(lists);
        self
    }

    /// Reads all lists. One that cannot be read is among them without content, and in [`IndexFolder::problems`].
    ///
    /// # Errors
    /// [`IndexesError`] if the folder itself cannot be read.
    pub fn load(&mut self) -> Result<Lists, IndexesError> {
        self.seen.clear();
        let mut lists = Lists::new();
        for id in self.names()? {
            if let Some(changed) = self.look(&id) {
                lists = self.put(&lists, &id, changed);
            }
        }
        Ok(lists)
    }

    /// Brings a matcher up to date and says whether anything changed; of the lists only those that changed are opened anew, and
    /// local rules and policy stay. A list that has become unreadable stays as it was and grows stale; see
    /// [`IndexFolder::problems`]. When nothing changed this reads the folder's names and the times of one file a list.
    ///
    /// # Errors
    /// [`IndexesError`] if the folder itself cannot be read; the matcher is as it was.
    pub fn refresh(&mut self, matcher: &Matcher) -> Result<bool, IndexesError> {
        let names = self.names()?;
        let mut changes: Vec<(ListId, Changed)> = Vec::new();
        for id in &names {
            if let Some(changed) = self.look(id) {
                changes.push((id.clone(), changed));
            }
        }
        let gone: Vec<ListId> = self.seen.keys().filter(|id| !names.contains(id)).cloned().collect();
        if changes.is_empty() && gone.is_empty() {
            return Ok(false);
        }
        let changed = matcher.update(|lists| {
            let mut lists = lists.clone();
            for id in &gone {
                if let Some(state) = self.seen.remove(id).and_then(|seen| seen.state) {
                    lists = lists.without_list(&state.origin, id);
                }
            }
            for (id, changed) in changes {
                lists = self.put(&lists, &id, changed);
            }
            Ok::<_, IndexesError>(lists)
        });
        changed.map(|()| true)
    }

    /// The lists that could not be read as they are in the folder now, and why.
    pub fn problems(&self) -> impl Iterator<Item = (&ListId, &IndexesError)> {
        self.seen.iter().filter_map(|(id, seen)| Some((id, seen.problem.as_ref()?)))
    }

    /// The names of the lists in the folder.
    fn names(&self) -> Result<BTreeSet<ListId>, IndexesError> {
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(&self.dir).map_err(IndexesError::io("read folder", &self.dir))?.take(4 * MOST_LISTS) {
            let entry = entry.map_err(IndexesError::io("read folder", &self.dir))?;
            let name: Option<ListId> = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if let Some(name) = name
                && names.len() < MOST_LISTS
                && self.only.as_ref().is_none_or(|only| only.contains(&name))
                && entry.file_type().is_ok_and(|kind| kind.is_dir())
            {
                names.insert(name);
            }
        }
        Ok(names)
    }

    /// Puts a changed list in. One whose attributes turn out to be damaged is put in without content.
    fn put(&mut self, lists: &Lists, id: &ListId, changed: Changed) -> Lists {
        let Changed { state, layers, before } = changed;
        let lists = match before {
            Some(origin) if origin != state.origin => lists.without_list(&origin, id),
            _ => lists.clone(),
        };
        let error = match lists.with_list(state.clone(), layers) {
            Ok(lists) => return lists,
            Err(error) => error,
        };
        if let Some(seen) = self.seen.get_mut(id) {
            seen.problem = Some(IndexesError::Index { path: self.dir.join(id.as_str()), source: error });
            seen.files.clear();
        }
        // Without content nothing can be damaged.
        lists.with_list(state, None).unwrap_or(lists)
    }

    /// What has become of a list; `None` if look-ups have it as it is.
    fn look(&mut self, id: &ListId) -> Option<Changed> {
        let folder = self.dir.join(id.as_str());
        let first = !self.seen.contains_key(id);
        let seen = self.seen.entry(id.clone()).or_default();
        if seen.is_unchanged(&folder) {
            return None;
        }
        match read_list(&folder, id, &seen.files) {
            Ok(read) => {
                let state = read.current.state();
                let same = seen.octets == read.octets && seen.state.as_ref() == Some(&state) && seen.problem.is_none();
                let before = seen.state.replace(state.clone()).map(|state| state.origin);
                let layers = Layers::of(read.files.iter().map(|(_, index)| index.clone()).collect());
                *seen = Seen { stamp: Some(read.stamp), octets: read.octets, files: read.files, problem: None, state: seen.state.take() };
                (!same).then_some(Changed { state, layers, before })
            }
            Err(unread) => {
                let Unread { error, stated } = *unread;
                seen.stamp = None;
                seen.problem = Some(error);
                if !first {
                    // What was read before is whole and genuine.
                    return None;
                }
                let state = stated.map_or_else(|| unknown(id), |current| current.state());
                seen.state = Some(state.clone());
                Some(Changed { state, layers: None, before: None })
            }
        }
    }
}

/// A list of which not even `current.json` can be read.
fn unknown(id: &ListId) -> ListState {
    ListState { origin: nobody(), list: id.clone(), colour: Colour::Black, serial: None, expires: None, local: false }
}

impl Seen {
    fn is_unchanged(&self, folder: &Path) -> bool {
        let now = fs::metadata(path_in(folder)).ok().map(|metadata| Stamp::of(&metadata));
        self.problem.is_none() && now.is_some() && now == self.stamp && now.is_some_and(|stamp| stamp.settled)
    }
}

/// By what a file that was replaced is told from the one before.
#[derive(Clone, Copy, Debug)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    inode: u64,
    /// Whether, when this was taken, the file had been there for long enough.
    settled: bool,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let inode = 0;
        let modified = metadata.modified().ok();
        // A time in the future (clocks differ between machines that share a disk) never settles.
        let settled = modified.and_then(|at| SystemTime::now().duration_since(at).ok()).is_some_and(|age| age >= SETTLED);
        Stamp { length: metadata.len(), modified, inode, settled }
    }
}

impl PartialEq for Stamp {
    fn eq(&self, other: &Stamp) -> bool {
        (self.length, self.modified, self.inode) == (other.length, other.modified, other.inode)
    }
}

/// Why a list could not be read, and what `current.json` said, if that could be.
pub(super) struct Unread {
    pub error: IndexesError,
    stated: Option<Current>,
}

/// A list as it was read.
pub(super) struct ReadList {
    stamp: Stamp,
    octets: Vec<u8>,
    pub current: Current,
    pub files: Vec<(FileRef, Arc<Index>)>,
}

/// Reads `current.json` and opens the files it names, those of `kept` excepted.
pub(super) fn read_list(folder: &Path, id: &ListId, kept: &[(FileRef, Arc<Index>)]) -> Result<ReadList, Box<Unread>> {
    let path = path_in(folder);
    let unread = |error, stated| Box::new(Unread { error, stated });
    let mut before: Option<Vec<u8>> = None;
    for _ in 0..TRIES {
        let (stamp, octets) = read_current(&path).map_err(|error| unread(error, None))?;
        let current = Current::parse(&octets, id, &path).map_err(|error| unread(error, None))?;
        match open_files(folder, &current, kept) {
            Ok(files) => return Ok(ReadList { stamp, octets, current, files }),
            Err(error) if before.as_ref() == Some(&octets) => return Err(unread(told(error), Some(current))),
            Err(_) => before = Some(octets),
        }
    }
    Err(unread(IndexesError::Restless(path), None))
}

/// A missing file is told as what it is: an index that must be built again.
fn told(error: IndexesError) -> IndexesError {
    match error {
        IndexesError::Io { path, source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            IndexesError::Another { path, reason: "there is no such file" }
        }
        other => other,
    }
}

fn read_current(path: &Path) -> Result<(Stamp, Vec<u8>), IndexesError> {
    let file = File::open(path).map_err(IndexesError::io("open", path))?;
    let metadata = file.metadata().map_err(IndexesError::io("look at", path))?;
    let mut octets = Vec::new();
    file.take(MOST_OCTETS + 1).read_to_end(&mut octets).map_err(IndexesError::io("read", path))?;
    if octets.len() as u64 > MOST_OCTETS {
        return Err(IndexesError::Current { path: path.to_owned(), reason: format!("more than {MOST_OCTETS} octets") });
    }
    Ok((Stamp::of(&metadata), octets))
}

fn open_files(folder: &Path, current: &Current, kept: &[(FileRef, Arc<Index>)]) -> Result<Vec<(FileRef, Arc<Index>)>, IndexesError> {
    let mut files: Vec<(FileRef, Arc<Index>)> = Vec::with_capacity(current.files.len());
    for named in &current.files {
        let path = folder.join(&named.name);
        let index = match kept.iter().find(|(file, _)| file == named) {
            Some((_, index)) => index.clone(),
            None => Arc::new(open_index(&path)?),
        };
        if let Some(reason) = named.differs(&index, current) {
            return Err(IndexesError::Another { path, reason });
        }
        // Layers are asked with the hashes of one seed.
        if files.first().is_some_and(|(_, first)| first.seed() != index.seed()) {
            return Err(IndexesError::Another { path, reason: "it was built with another seed" });
        }
        files.push((named.clone(), index));
    }
    Ok(files)
}

/// Maps an index file.
pub(super) fn open_index(path: &Path) -> Result<Index, IndexesError> {
    let file = File::open(path).map_err(IndexesError::io("open", path))?;
    let damaged = |source: IndexError| IndexesError::Index { path: path.to_owned(), source };
    if file.metadata().map_err(IndexesError::io("look at", path))?.len() == 0 {
        // Nothing cannot be mapped.
        return Err(damaged(IndexError::NotAnIndex));
    }
    Index::open(Buffer::map(&file).map_err(IndexesError::io("map", path))?).map_err(damaged)
}
