//! The lines of a published version, gone through as often as an export needs.

use std::fs::File;
use std::io::{self, BufReader, Seek as _};
use std::sync::Arc;

use crate::formats::write::Lines;
use crate::store::{ArtefactKind, Artefacts, OwnSnapshot, PublishedList, SortedLines, StoreError};
use crate::wire::ZstdReader;

/// The lines of one version. The file of its base is held open, so that a sweep in between takes nothing away.
pub(super) struct VersionLines {
    list: Arc<PublishedList>,
    base: Option<File>,
}

impl VersionLines {
    /// # Errors
    /// Of opening the base.
    pub(super) fn open(list: Arc<PublishedList>, artefacts: &Artefacts) -> Result<VersionLines, StoreError> {
        let base = list.bases.last().map(|base| artefacts.open_file(ArtefactKind::Snapshot, &base.snapshot)).transpose()?;
        Ok(VersionLines { list, base })
    }
}

impl Lines for VersionLines {
    fn pass(&mut self, take: &mut dyn FnMut(&str) -> io::Result<()>) -> io::Result<()> {
        let mut snapshot = None;
        if let (Some(base), Some(file)) = (self.list.bases.last(), &mut self.base) {
            file.rewind()?;
            let file = BufReader::with_capacity(64 << 10, file.try_clone()?);
            let reader = ZstdReader::new("snapshot", file, base.snapshot_size)?;
            snapshot = Some(OwnSnapshot::new(reader, base.snapshot, base.snapshot_size)?);
        }
        match snapshot {
            // Nothing changed since: no merge.
            Some(mut snapshot) if self.list.content.overlay_len() == 0 => {
                while let Some(line) = snapshot.next_line()? {
                    take(line)?;
                }
            }
            snapshot => {
                let mut lines = SortedLines::new(snapshot, &self.list.content);
                while let Some(line) = lines.next_line()? {
                    take(line)?;
                }
            }
        }
        Ok(())
    }
}
