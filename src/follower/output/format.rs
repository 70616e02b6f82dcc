//! Writes lists in the format of a filter.
//!
//! Guarantees: the file is replaced as a whole by rename, or it stays as it was; what it holds is verified content of every list it
//! is to hold, stale or not; where nothing but comments would change it is not written, and no reload follows.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::Path,
};

use crate::formats::write::{self, ExportError, ExportFormat, ExportHeader};
use crate::list::{Colour, Digest};

use super::super::plan::Written;
use super::super::shared::{Shared, lock};
use super::super::state::View;
use super::super::{FollowError, OutputChoice};
use super::merge::Merged;
use super::record::{Hashing, HeldVersion, Record, digest_of};
use super::{folder_of, temporary_of};

/// Raised when the same content would be written differently by a newer version of this program.
const EDITION: u32 = 1;

/// Formats whose rules say themselves whether they block or allow, and in which one list may follow another.
fn takes_both_colours(format: ExportFormat) -> bool {
    matches!(format, ExportFormat::Adblock | ExportFormat::AdguardDns)
}

/// Of the format and everything that is selected.
fn how(choice: &OutputChoice) -> Digest {
    Digest::of(format!("{EDITION} {} {} {:?} {:?}", env!("CARGO_PKG_VERSION"), choice.format, choice.export, choice.lists))
}

/// Whether the file is what it should be for these views.
fn is_current(record: &Record, choice: &OutputChoice, views: &[View]) -> bool {
    let roots = |held: &[HeldVersion]| held.iter().map(|v| (v.list.clone(), v.root)).collect::<Vec<_>>();
    let wanted: Vec<HeldVersion> = views.iter().map(HeldVersion::of).collect();
    record.how == how(choice) && roots(&record.versions) == roots(&wanted) && digest_of(&choice.file) == Some(record.content)
}

/// Whether it must be written: something that it would hold has changed, or the file has been.
pub(super) fn is_due(dir: &Path, choice: &OutputChoice, views: &[Option<View>]) -> bool {
    let views: Option<Vec<View>> = views.iter().map(|v| v.as_ref().map(View::clone_for_reading)).collect();
    // Without content it waits, and is due.
    let Some(views) = views else { return true };
    !Record::read(dir, &choice.file).is_some_and(|record| is_current(&record, choice, &views))
}

/// Writes an output. An error of a list's own files names the list by its place in the follower's options.
pub(super) fn write(shared: &Shared, choice: &OutputChoice, lists: &[usize], marker: Option<&Path>) -> Result<Written, FollowError> {
    let views: Option<Vec<View>> = lists.iter().map(|list| lock(&shared.lists[*list].state).view()).collect();
    let Some(mut views) = views else { return Ok(Written::Unchanged) };
    let before = Record::read(&shared.dir, &choice.file);
    if before.as_ref().is_some_and(|record| is_current(record, choice, &views)) {
        return Ok(Written::Unchanged);
    }
    let beside = temporary_of(&choice.file);
    let _ = fs::remove_file(&beside);
    let result = put(shared, choice, &mut views, before, &beside, marker);
    if result.is_err() {
        let _ = fs::remove_file(&beside);
    }
    result
}

fn put(
    shared: &Shared,
    choice: &OutputChoice,
    views: &mut [View],
    before: Option<Record>,
    beside: &Path,
    marker: Option<&Path>,
) -> Result<Written, FollowError> {
    let disk = &*shared.disk;
    let mut record = write_beside(shared, choice, views, beside)?;
    let there = digest_of(&choice.file);
    let same = there == Some(record.content)
        || before.as_ref().is_some_and(|b| there == Some(b.content) && b.body == record.body && b.how == record.how);
    if same && let Some(there) = there {
        let _ = fs::remove_file(beside);
        record.content = there;
        record.written = before.map_or(record.written, |b| b.written);
        record.write(disk, &shared.dir, &choice.file)?;
        return Ok(Written::Unchanged);
    }
    // Whoever may read the old one may read the new one.
    if let Ok(old) = fs::metadata(&choice.file) {
        let _ = fs::set_permissions(beside, old.permissions());
    }
    if let Some(marker) = marker {
        // A crash from here on: the next start reloads, perhaps once too often.
        fs::write(marker, b"").map_err(FollowError::io("write", marker))?;
    }
    disk.rename(beside, &choice.file).map_err(FollowError::io("rename to", &choice.file))?;
    disk.sync_dir(folder_of(&choice.file)).map_err(FollowError::io("fsync folder of", &choice.file))?;
    // A crash before this: the next start makes the file again and finds it the same.
    record.write(disk, &shared.dir, &choice.file)?;
    Ok(Written::Changed)
}

/// The views of one colour, black first.
fn by_colour(choice: &OutputChoice, views: &mut [View]) -> Result<Vec<(Colour, Vec<View>)>, FollowError> {
    let of = |colour| views.iter().filter(|v| v.meta.colour == colour).map(View::clone_for_reading).collect::<Vec<_>>();
    let both: Vec<(Colour, Vec<View>)> =
        [Colour::Black, Colour::White].map(|colour| (colour, of(colour))).into_iter().filter(|(_, views)| !views.is_empty()).collect();
    if both.len() > 1 && !takes_both_colours(choice.format) {
        return Err(FollowError::Options(format!(
            "{}: the format {} cannot hold lists that block and lists that allow in one file; write them to two outputs",
            choice.file.display(),
            choice.format
        )));
    }
    Ok(both)
}

fn write_beside(shared: &Shared, choice: &OutputChoice, views: &mut [View], beside: &Path) -> Result<Record, FollowError> {
    let versions = views.iter().map(HeldVersion::of).collect();
    let file = shared.disk.create(beside, false).map_err(FollowError::io("create", beside))?;
    let mut out = Hashing::new(BufWriter::with_capacity(256 << 10, &file), choice.format.comment());
    let (mut rules, mut left_out) = (0, 0);
    for (colour, mut views) in by_colour(choice, views)? {
        let report = one_colour(choice, colour, &mut views, &mut out, beside)?;
        rules += report.rules;
        left_out += report.left_out_total();
    }
    let (mut out, content, body) = out.finish();
    out.flush().map_err(FollowError::io("write", beside))?;
    drop(out);
    shared.disk.sync(&file).map_err(FollowError::io("fsync", beside))?;
    let written = shared.clock.now();
    Ok(Record { how: how(choice), versions, content, body, written, rules, left_out })
}

fn one_colour(
    choice: &OutputChoice,
    colour: Colour,
    views: &mut [View],
    out: &mut dyn Write,
    beside: &Path,
) -> Result<write::ExportReport, FollowError> {
    let header = header(colour, views);
    let ids: Vec<_> = views.iter().map(|v| v.meta.list.clone()).collect();
    let mut lines = Merged::new(views);
    let header = ExportHeader { entries: lines.entries(), ..header };
    let report = write::export(choice.format, &choice.export, &header, &mut lines, out);
    let damaged = lines.damaged.map(|n| ids[n].clone());
    report.map_err(|error| match (error, damaged) {
        // The digest at the end of the snapshot did not match, or it could not be read: nothing of it is written out.
        (ExportError::Io(e), Some(list)) if matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::NotFound) => {
            FollowError::Damaged { list, reason: e.to_string() }
        }
        (ExportError::Io(e), _) => FollowError::io("write", beside)(e),
        (refused, _) => FollowError::Options(format!("{}: {refused}", choice.file.display())),
    })
}

/// The first lines of the file. Of several lists the title says which, and serial and time are those of the newest.
fn header(colour: Colour, views: &[View]) -> ExportHeader {
    let first = &views[0].meta;
    let title = match views {
        [one] => format!("{} of {}, serial {}", first.list, first.origin, one.serial),
        many => {
            let each: Vec<String> = many.iter().map(|v| format!("{} (serial {})", v.meta.list, v.serial)).collect();
            format!("{} of {}", each.join(" and "), first.origin)
        }
    };
    let issued = views.iter().filter_map(|v| v.head.as_ref().map(|h| h.issued)).max();
    ExportHeader {
        origin: Some(first.origin.clone()),
        list: first.list.clone(),
        colour,
        title,
        owner: String::new(),
        licence: String::new(),
        source: String::new(),
        serial: views.iter().map(|v| v.serial).max().unwrap_or(views[0].serial),
        updated: issued.unwrap_or(crate::list::Timestamp::from_unix(0)),
        entries: 0,
    }
}
