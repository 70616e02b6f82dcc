//! Writes a base: snapshot and bucket file of one version, both as streams, side by side.

use std::thread;

use crate::list::Digest;
use crate::store::{ArtefactKind, Artefacts, BaseRef, BaseWriter, Built, Content, VersionLines};
use crate::wire::{Root, SnapshotHeader, SnapshotWriter};

use super::PublishError;
use super::chunks::{LineReceiver, LineSender, fan_out, first_cause, join};
use super::lines::{Lines, NoLines};
use super::loose::Loose;
use super::pack::Packer;

/// How much time there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Haste {
    /// Somebody waits for the publication.
    Now,
    /// In the background.
    Later,
}

impl Haste {
    /// zstd's level for a stream. Measured on a million domains, 1 gives 7.1 MB where 3 gives 7.0 and takes longer, 7 gives 6.4
    /// in four times the time. Levels above 7 cost tens of MiB of memory when the size is not known beforehand.
    fn level(self) -> i32 {
        match self {
            Haste::Now => 1,
            Haste::Later => 7,
        }
    }
}

/// Writes the base of the version in `header`, whose lines `make` sends in order.
///
/// A crash leaves artefacts that no record names; the sweep removes them. What was written is `loose`, also after an error.
pub(super) fn write_base<T>(
    artefacts: &Artefacts,
    loose: &Loose<'_>,
    header: &SnapshotHeader,
    bits: u8,
    haste: Haste,
    make: impl FnOnce(&mut LineSender) -> Result<T, PublishError>,
) -> Result<(BaseRef, Root, T), PublishError> {
    let (mut sender, [to_snapshot, to_buckets]) = fan_out();
    thread::scope(|scope| {
        let snapshot = scope.spawn(move || write_snapshot(artefacts, header, haste, &to_snapshot));
        let buckets = scope.spawn(move || write_buckets(artefacts, bits, &to_buckets));
        let made = make(&mut sender);
        let made = sender.end(made);
        let (snapshot, buckets) = (join(snapshot), join(buckets));
        snapshot.iter().for_each(|(digest, ..)| loose.add(ArtefactKind::Snapshot, *digest));
        buckets.iter().for_each(|built| loose.add(ArtefactKind::Buckets, built.digest));
        let written = first_cause(snapshot, buckets);
        let (((snapshot, snapshot_size, snapshot_zst), built), made) = first_cause(written, made)?;
        let base = BaseRef {
            serial: header.serial,
            snapshot,
            snapshot_size,
            snapshot_zst,
            buckets: built.digest,
            bits: built.bits,
            entries: built.entries,
        };
        Ok((base, built.root, made))
    })
}

/// Digest, size and compressed size.
fn write_snapshot(
    artefacts: &Artefacts,
    header: &SnapshotHeader,
    haste: Haste,
    lines: &LineReceiver,
) -> Result<(Digest, u64, u64), PublishError> {
    let mut writer = SnapshotWriter::new(Packer::new(artefacts, ArtefactKind::Snapshot, haste.level()), header)?;
    lines.each(|line| Ok(writer.push(line)?))?;
    let (packer, digest, size) = writer.finish()?;
    let zst = packer.finish(&digest)?;
    Ok((digest, size, zst))
}

fn write_buckets(artefacts: &Artefacts, bits: u8, lines: &LineReceiver) -> Result<Built, PublishError> {
    let mut writer = BaseWriter::new(bits, &artefacts.temporary_dir());
    lines.each(|line| Ok(writer.push(line)?))?;
    let (out, built) = writer.finish(artefacts.writer(ArtefactKind::Buckets)?)?;
    out.finish(&built.digest)?;
    Ok(built)
}

/// The lines of a list: the snapshot of its base merged with what changed since.
pub(super) fn list_lines<'c>(
    artefacts: &Artefacts,
    base: Option<&BaseRef>,
    content: &'c Content,
) -> Result<Box<dyn Lines + 'c>, PublishError> {
    let Some(base) = base else { return Ok(Box::new(NoLines)) };
    let file = artefacts.open_file(ArtefactKind::Snapshot, &base.snapshot)?;
    Ok(Box::new(VersionLines::new(file, base, content)?))
}
