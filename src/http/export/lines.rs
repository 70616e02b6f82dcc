//! The lines of a published version, gone through as often as an export needs.

use std::fs::File;
use std::io::{self, Seek as _};
use std::sync::Arc;

use crate::formats::write::Lines;
use crate::store::{ArtefactKind, Artefacts, PublishedList, StoreError, VersionLines};

/// The lines of one version. The file of its base is held open, so that a sweep in between takes nothing away.
pub(super) struct Passes {
    list: Arc<PublishedList>,
    base: Option<File>,
}

impl Passes {
    /// # Errors
    /// Of opening the base.
    pub(super) fn open(list: Arc<PublishedList>, artefacts: &Artefacts) -> Result<Passes, StoreError> {
        let base = list.bases.last().map(|base| artefacts.open_file(ArtefactKind::Snapshot, &base.snapshot)).transpose()?;
        Ok(Passes { list, base })
    }
}

impl Lines for Passes {
    fn pass(&mut self, take: &mut dyn FnMut(&str) -> io::Result<()>) -> io::Result<()> {
        if let (Some(base), Some(file)) = (self.list.bases.last(), &mut self.base) {
            file.rewind()?;
            let mut lines = VersionLines::new(file.try_clone()?, base, &self.list.content)?;
            while let Some(line) = lines.next_line()? {
                take(line)?;
            }
        }
        Ok(())
    }
}
