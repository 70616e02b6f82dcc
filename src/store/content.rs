//! A list's content on disk: a base (immutable bucket file beside its snapshot) and the changes since, in memory.
//!
//! Guarantees: applying a delta costs by the delta, not by the list; a value is never changed, applying gives a new one
//! that shares the base, so readers need no lock.

use std::{io, path::Path, sync::Arc};

use crate::list::{ChangeSet, Entry, Rule};
use crate::wire::{Root, Tree};

use super::StoreError;

/// Why a delta did not fit the content. The content is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// `+` for a rule that is there.
    #[error("{0}: added, but it is already there")]
    Present(Rule),
    /// `-` or `~` for a rule that is not there.
    #[error("{0}: removed or replaced, but it is not there")]
    Absent(Rule),
    /// Reading the base failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// An open bucket file: entries grouped by bucket, each bucket sorted; read by pread, so that it costs no memory.
#[derive(Debug)]
pub struct Base {}

/// Content of one version.
#[derive(Clone, Debug)]
pub struct Content {
    #[allow(dead_code)]
    base: Option<Arc<Base>>,
    tree: Arc<Tree>,
    entries: u64,
}

impl Content {
    /// No entries.
    pub fn empty() -> Content {
        todo!()
    }

    /// The content of a bucket file, with nothing changed since.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be opened or its table is damaged.
    pub fn open(path: &Path) -> Result<Content, StoreError> {
        let _ = path;
        todo!()
    }

    /// The entry of this rule.
    ///
    /// # Errors
    /// Of reading the base.
    pub fn get(&self, rule: &Rule) -> io::Result<Option<Entry>> {
        let _ = rule;
        todo!()
    }

    /// The content after `changes`, strictly.
    ///
    /// # Errors
    /// [`ApplyError`]; `self` is as it was in any case.
    pub fn apply(&self, changes: &ChangeSet) -> Result<Content, ApplyError> {
        let _ = changes;
        todo!()
    }

    /// Root digest.
    pub fn root(&self) -> Root {
        self.tree.root(self.entries)
    }

    /// Number of entries.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The lines of bucket `b`, each with its LF, in order.
    ///
    /// # Errors
    /// Of reading the base.
    pub fn bucket(&self, b: u32) -> io::Result<Vec<u8>> {
        let _ = b;
        todo!()
    }

    /// The digests.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// How many rules differ from the base: when to fold.
    pub fn overlay_len(&self) -> usize {
        todo!()
    }

    /// The changes since the base, in order of the rule, for merging with the base's snapshot.
    pub fn since_base(&self) -> ChangeSet {
        todo!()
    }
}
