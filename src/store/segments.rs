//! The segments of a journal as a row of files: reading all in order, making one, moving those before a checkpoint away.
//!
//! Guarantees: a segment has its name only when it is durable; each follows the one before it, or the reader is told where
//! the row breaks; a crash at any moment leaves a row without a hole. What one segment holds is for `segment.rs`.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
};

use super::{
    Disk, StoreError,
    disk::{at, create_folder, temporary_in},
    frame::{GENESIS, SegmentHeader},
    segment::{Frame, Scanned, damaged, read_header, scan, segment_path, segments_in},
};

pub(super) fn archive_of(dir: &Path) -> PathBuf {
    dir.join("archive")
}

/// Reads all segments in order and checks that each follows the one before.
pub(super) fn scan_all(
    dir: &Path,
    kind: [u8; 4],
    numbers: &[u64],
    visit: &mut dyn FnMut(Frame<'_>) -> Result<(), StoreError>,
) -> Result<Scanned, StoreError> {
    let mut before: Option<Scanned> = None;
    for (i, &number) in numbers.iter().enumerate() {
        let path = segment_path(dir, number);
        let header = read_header(&path)?;
        if header.kind != kind {
            let reason = format!("it is of kind {:?}", String::from_utf8_lossy(&header.kind));
            return Err(StoreError::NotAJournal { segment: path.display().to_string(), reason });
        }
        let follows = match &before {
            Some(b) => header.segment == b.header.segment + 1 && header.first == b.next && header.before == b.last,
            // The oldest one must be the first of all, or begin with a checkpoint.
            None => header.state_frames > 0 || (header.first == 1 && header.before == GENESIS),
        };
        if header.segment != number || !follows {
            let at = before.as_ref().map_or(1, |b| b.next);
            return Err(damaged(&path, 0, at, "it does not follow the segment before it; one is missing or was put in its place".into()));
        }
        before = Some(scan(&path, i + 1 == numbers.len(), visit)?);
    }
    before.ok_or_else(|| damaged(&segment_path(dir, 1), 0, 1, "all segments are missing".into()))
}

/// Creates a segment under a temporary name, lets `fill` write to it, and gives it its name when it is durable.
///
/// A crash before the rename leaves a `*.tmp`, which the next open removes; after it, a whole segment.
/// [`StoreError::Poisoned`] says that it may be there or not; any other error that it is not.
pub(super) fn create_segment(
    dir: &Path,
    disk: &dyn Disk,
    header: &SegmentHeader,
    fill: &mut dyn FnMut(&File) -> Result<(), StoreError>,
) -> Result<File, StoreError> {
    let temporary = temporary_in(dir);
    let not_committed = |action| move |source| StoreError::NotCommitted { action, source };
    let filled = (|| {
        let file = disk.create(&temporary, false).map_err(not_committed("create segment"))?;
        disk.append(&file, &header.encode()).map_err(not_committed("write"))?;
        fill(&file)?;
        disk.sync(&file).map_err(not_committed("fsync"))?;
        Ok(file)
    })();
    let file = match filled {
        Ok(file) => file,
        Err(error) => {
            // What cannot be removed now is removed by the next start.
            let _ = disk.remove(&temporary);
            return Err(error);
        }
    };
    let unknown = |action| move |source: std::io::Error| StoreError::Poisoned { reason: format!("{action}: {source}") };
    disk.rename(&temporary, &segment_path(dir, header.segment)).map_err(unknown("rename segment"))?;
    disk.sync_dir(dir).map_err(unknown("fsync folder"))?;
    Ok(file)
}

/// Moves the segments before the newest checkpoint to the archive. Each move is atomic and oldest first, so that a crash in between
/// leaves a journal that begins later, and never one with a hole.
pub(super) fn archive_before_checkpoint(dir: &Path, disk: &dyn Disk) -> Result<u64, StoreError> {
    let numbers = segments_in(dir)?;
    let mut checkpoint = None;
    for &number in numbers.iter().rev() {
        if read_header(&segment_path(dir, number))?.state_frames > 0 {
            checkpoint = Some(number);
            break;
        }
    }
    let old: Vec<u64> = numbers.into_iter().filter(|n| checkpoint.is_some_and(|c| *n < c)).collect();
    if old.is_empty() {
        return Ok(0);
    }
    let archive = archive_of(dir);
    create_folder(disk, &archive)?;
    // The checkpoint must be whole before what it replaces goes away.
    if let Some(number) = checkpoint {
        let path = segment_path(dir, number);
        scan(&path, true, &mut |_| Ok(()))?;
        let file = OpenOptions::new().append(true).open(&path).map_err(at("open", &path))?;
        disk.sync(&file).map_err(at("fsync", &path))?;
        disk.sync_dir(dir).map_err(at("fsync folder", dir))?;
    }
    for number in &old {
        let from = segment_path(dir, *number);
        disk.rename(&from, &segment_path(&archive, *number)).map_err(at("move to the archive", &from))?;
    }
    disk.sync_dir(&archive).map_err(at("fsync folder", &archive))?;
    disk.sync_dir(dir).map_err(at("fsync folder", dir))?;
    Ok(old.len() as u64)
}
