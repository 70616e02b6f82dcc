//! `current.json`: which version of a list is in force, and the files that it is made of.
//!
//! Guarantees: what [`Current::parse`] gives back is consistent in itself and names files of its own folder only.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::IndexesError;
use crate::list::{Colour, Digest, ListId, Origin, Serial, Timestamp};
use crate::matcher::{About, Index, ListState};

/// The name of the file.
pub(super) const NAME: &str = "current.json";
/// The version of its form.
const FORMAT: u32 = 1;
/// Largest one that is read, in octets.
pub(super) const MOST_OCTETS: u64 = 64 << 10;
/// Files a list may be made of: a base, the overlays on it, and those that came while a base was being folded.
const MOST_FILES: usize = 16;
/// How the names of index files end.
pub(super) const EXTENSION: &str = "idx";

/// A list at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Current {
    format: u32,
    pub origin: Origin,
    pub list: ListId,
    pub colour: Colour,
    /// The version of the content; `null` if it never arrived.
    pub serial: Option<Serial>,
    /// Its root digest.
    pub root: Option<Digest>,
    /// When the newest head expires; `null` if there is none.
    pub expires: Option<Timestamp>,
    /// Newest first, the base last; empty if the content never arrived.
    pub files: Vec<FileRef>,
}

/// An index file and what must be in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileRef {
    pub name: String,
    pub serial: Serial,
    pub root: Digest,
    pub octets: u64,
}

impl FileRef {
    pub fn of(name: String, index: &Index) -> FileRef {
        FileRef { name, serial: index.about().serial, root: index.about().root, octets: index.octets().len() as u64 }
    }

    /// In what an index differs from what is said of it.
    pub fn differs(&self, index: &Index, current: &Current) -> Option<&'static str> {
        let About { origin, list, colour, serial, root } = index.about();
        if (origin, list, *colour) != (&current.origin, &current.list, current.colour) {
            Some("it is of another list")
        } else if *serial != self.serial || *root != self.root {
            Some("it is of another version")
        } else if index.octets().len() as u64 != self.octets {
            Some("it is of another length")
        } else {
            None
        }
    }
}

impl Current {
    pub fn new(state: &ListState, files: Vec<FileRef>) -> Current {
        Current {
            format: FORMAT,
            origin: state.origin.clone(),
            list: state.list.clone(),
            colour: state.colour,
            serial: files.first().map(|file| file.serial),
            root: files.first().map(|file| file.root),
            expires: state.expires,
            files,
        }
    }

    /// What is known of the list beside its rules.
    pub fn state(&self) -> ListState {
        ListState {
            origin: self.origin.clone(),
            list: self.list.clone(),
            colour: self.colour,
            serial: self.serial,
            expires: self.expires,
            local: false,
        }
    }

    /// Reads the file of the list `list`; `path` is for messages.
    pub fn parse(octets: &[u8], list: &ListId, path: &Path) -> Result<Current, IndexesError> {
        let wrong = |reason: String| IndexesError::Current { path: path.to_owned(), reason };
        let current: Current = serde_json::from_slice(octets).map_err(|e| wrong(e.to_string()))?;
        match current.contradiction(list) {
            None => Ok(current),
            Some(reason) => Err(wrong(reason.to_owned())),
        }
    }

    fn contradiction(&self, list: &ListId) -> Option<&'static str> {
        let mut names = BTreeSet::new();
        if self.format != FORMAT {
            Some("another form; this program is older or newer than the follower")
        } else if self.list != *list {
            Some("of another list")
        } else if self.files.len() > MOST_FILES {
            Some("too many files")
        } else if self.serial != self.files.first().map(|file| file.serial) || self.root != self.files.first().map(|file| file.root) {
            Some("not of the version of its newest file")
        } else if self.files.windows(2).any(|pair| pair[0].serial < pair[1].serial) {
            Some("files not in order")
        } else if !self.files.iter().all(|file| is_name(&file.name) && names.insert(&file.name)) {
            Some("a name that no index file has")
        } else {
            None
        }
    }
}

/// Whether a file may have this name: in the folder itself, and an index.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= 100
        && name.strip_suffix(EXTENSION).is_some_and(|stem| stem.len() > 1 && stem.ends_with('.'))
        && !name.starts_with('.')
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.'))
}

/// Where the file of a list's folder lies.
pub(super) fn path_in(folder: &Path) -> PathBuf {
    folder.join(NAME)
}
