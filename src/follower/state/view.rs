//! What may be read of a list while it goes on, and the bases that are made of it.

use std::{
    fs::File,
    io::{self, BufReader, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use crate::list::Serial;
use crate::store::{Content, Disk, OwnSnapshot, SortedLines, Sorter};
use crate::wire::{Head, SnapshotHeader, ZstdReader};

use super::{BaseMeta, FollowError, NewBase, from_lines, generation};

/// Memory for sorting when a base must be made from buckets.
pub(super) const SORT_MEMORY: usize = 32 << 20;

/// The entry lines of a view.
pub type Sorted<'v> = SortedLines<'v, ZstdReader<BufReader<File>>>;

/// What may be read while the list goes on: content of one version.
#[derive(Debug)]
pub struct View {
    /// The content.
    pub content: Content,
    /// Its version.
    pub serial: Serial,
    /// Its base.
    pub meta: BaseMeta,
    /// A signed head of this version.
    pub head: Option<Head>,
    pub(super) snapshot: PathBuf,
    pub(super) file: io::Result<File>,
}

impl View {
    /// The same view, to be read on its own.
    pub fn clone_for_reading(&self) -> View {
        View {
            content: self.content.clone(),
            serial: self.serial,
            meta: self.meta.clone(),
            head: self.head.clone(),
            file: File::open(&self.snapshot),
            snapshot: self.snapshot.clone(),
        }
    }

    /// Hands every entry line, in order, to `sink`.
    ///
    /// # Errors
    /// Of reading; `InvalidData` if the snapshot is damaged, then `sink` may have seen lines that are not the list's.
    pub fn lines(&mut self, sink: &mut generation::Sink<'_>) -> io::Result<()> {
        let mut lines = self.sorted()?;
        while let Some(line) = lines.next_line()? {
            sink(line)?;
        }
        Ok(())
    }

    /// The entry lines, in order, one after another; from the first on each time, even when the base has been replaced since.
    ///
    /// # Errors
    /// As [`View::lines`].
    pub fn sorted(&mut self) -> io::Result<Sorted<'_>> {
        if self.file.is_err() {
            self.file = Ok(File::open(&self.snapshot)?);
        }
        let kept = self.file.as_ref().map_err(|e| io::Error::from(e.kind()))?;
        // The copy has the offset in common with the kept one: whoever comes last begins anew.
        let mut file = kept.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        let zstd = ZstdReader::new("snapshot", BufReader::with_capacity(256 << 10, file), self.meta.snapshot_size)?;
        let base = OwnSnapshot::new(zstd, self.meta.snapshot, self.meta.snapshot_size)?;
        Ok(SortedLines::new(Some(base), &self.content))
    }

    /// The same from the buckets, when the snapshot is damaged: costs a sort.
    fn lines_by_buckets(&self, dir: &Path) -> io::Result<Sorter> {
        let mut sorter = Sorter::new(dir, SORT_MEMORY);
        for b in 0..1u32 << self.content.tree().bits() {
            push_lines(&mut sorter, &self.content.bucket(b)?)?;
        }
        Ok(sorter)
    }
}

/// Writes the content of a view as a new base, from the snapshot or, if that is damaged, from the buckets.
///
/// # Errors
/// [`FollowError`] if neither is whole, or of writing.
pub fn fold(disk: &dyn Disk, dir: &Path, view: &mut View) -> Result<NewBase, FollowError> {
    let (serial, bits) = (view.serial, view.content.tree().bits());
    let root = view.content.root();
    let base = match rebase(disk, dir, view, serial, bits) {
        Ok(base) => base,
        Err(FollowError::Io { source, .. }) if source.kind() == io::ErrorKind::InvalidData || source.kind() == io::ErrorKind::NotFound => {
            let sorter = view.lines_by_buckets(dir).map_err(FollowError::io("read buckets in", dir))?;
            let header = SnapshotHeader { entries: view.content.entries(), ..header_of_meta(&view.meta, serial) };
            from_sorter(disk, dir, sorter, &header, bits)?
        }
        Err(other) => return Err(other),
    };
    if base.meta.root() == root && base.meta.entries == view.content.entries() {
        Ok(base)
    } else {
        Err(FollowError::Damaged { list: view.meta.list.clone(), reason: "a folded base came out different".into() })
    }
}

pub(super) fn rebase(disk: &dyn Disk, dir: &Path, view: &View, serial: Serial, bits: u8) -> Result<NewBase, FollowError> {
    let header = SnapshotHeader { entries: view.content.entries(), ..header_of_meta(&view.meta, serial) };
    let mut view = view.clone_for_reading();
    from_lines(disk, dir, &header, bits, &mut |sink| view.lines(sink))
}

fn header_of_meta(meta: &BaseMeta, serial: Serial) -> SnapshotHeader {
    SnapshotHeader { origin: meta.origin.clone(), list: meta.list.clone(), colour: meta.colour, serial, entries: meta.entries }
}

pub(super) fn header_of(head: &Head, serial: Serial) -> SnapshotHeader {
    SnapshotHeader { origin: head.origin.clone(), list: head.list.clone(), colour: head.colour, serial, entries: head.entries }
}

pub(super) fn push_lines(sorter: &mut Sorter, lines: &[u8]) -> io::Result<()> {
    let text = std::str::from_utf8(lines).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    text.split_terminator('\n').try_for_each(|line| sorter.push(b'+', line))
}

pub(super) fn from_sorter(disk: &dyn Disk, dir: &Path, sorter: Sorter, header: &SnapshotHeader, bits: u8) -> Result<NewBase, FollowError> {
    let mut sorted = sorter.finish().map_err(FollowError::io("sort in", dir))?;
    from_lines(disk, dir, header, bits, &mut |sink| {
        while let Some(line) = sorted.next_line()? {
            sink(&line[1..])?;
        }
        Ok(())
    })
}
