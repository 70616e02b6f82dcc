//! Writes a list as a sorted text file: a block of `# key value` lines, then the entry lines in order.
//!
//! Guarantees: the file is replaced as a whole by rename, or it stays as it was; a file that is of this version already is not
//! written.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, BufWriter, Write as _},
    path::Path,
};

use crate::store::Disk;

use super::super::FollowError;
use super::super::plan::Written;
use super::super::state::View;
use super::{folder_of, temporary_of};

/// The lines before the entries.
fn header(view: &View) -> String {
    let root = view.content.root();
    let mut text = format!(
        "# bwld list\n# origin {}\n# list {}\n# colour {}\n# serial {}\n# root {} k={}\n# entries {}\n",
        view.meta.origin,
        view.meta.list,
        view.meta.colour,
        view.serial,
        root.digest,
        root.bits,
        view.content.entries()
    );
    if let Some(head) = &view.head {
        text.push_str(&format!("# issued {}\n", head.issued));
    }
    text
}

/// Whether the file at `path` is of the view's version already, by its header.
pub(in crate::follower) fn is_current(view: &View, path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let wanted = header(view);
    let wanted: Vec<&str> = wanted.lines().filter(|l| !l.starts_with("# issued")).collect();
    let found = BufReader::new(file).lines().take(wanted.len()).map_while(Result::ok);
    found.eq(wanted.iter().copied())
}

/// Writes the view to `path`. `marker`, if any, is put down before the file is replaced.
pub(super) fn write(disk: &dyn Disk, view: &mut View, path: &Path, marker: Option<&Path>) -> Result<Written, FollowError> {
    if is_current(view, path) {
        return Ok(Written::Unchanged);
    }
    let beside = temporary_of(path);
    let _ = fs::remove_file(&beside);
    let result = write_beside(disk, view, &beside);
    if let Err(error) = result {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    if let Some(marker) = marker {
        // A crash from here on: the next start reloads, perhaps once too often.
        fs::write(marker, b"").map_err(FollowError::io("write", marker))?;
    }
    disk.rename(&beside, path).map_err(FollowError::io("rename to", path))?;
    disk.sync_dir(folder_of(path)).map_err(FollowError::io("fsync folder of", path))?;
    Ok(Written::Changed)
}

fn write_beside(disk: &dyn Disk, view: &mut View, beside: &Path) -> Result<(), FollowError> {
    let file = disk.create(beside, false).map_err(FollowError::io("create", beside))?;
    let mut out = BufWriter::with_capacity(256 << 10, &file);
    out.write_all(header(view).as_bytes()).map_err(FollowError::io("write", beside))?;
    let list = view.meta.list.clone();
    let mut written = 0u64;
    let lines = view.lines(&mut |line| {
        written += 1;
        out.write_all(line.as_bytes())?;
        out.write_all(b"\n")
    });
    if let Err(e) = lines {
        return Err(match e.kind() {
            // The digest at the end of the snapshot did not match, or it could not be read: nothing of it is published.
            io::ErrorKind::InvalidData | io::ErrorKind::NotFound => FollowError::Damaged { list, reason: e.to_string() },
            _ => FollowError::io("write", beside)(e),
        });
    }
    if written != view.content.entries() {
        return Err(FollowError::Damaged { list, reason: format!("{written} lines where {} are due", view.content.entries()) });
    }
    out.flush().map_err(FollowError::io("write", beside))?;
    drop(out);
    disk.sync(&file).map_err(FollowError::io("fsync", beside))
}
