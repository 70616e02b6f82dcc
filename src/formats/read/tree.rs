//! Trees of categories as squidGuard and UT1 have them, in a tar archive: `CATEGORY/domains`, `CATEGORY/urls`.
//!
//! A name in `domains` means the host and all under it, a line of `urls` everything that begins so, as for squidGuard. The
//! folder's name becomes the category of its entries; within a folder that only holds the tree (`blacklists/`) it is left
//! away, and the names of deeper ones are joined by dots.
//!
//! Guarantees: nothing is unpacked to a disk, and a member's name is only ever used to find its category; memory does not
//! grow with the archive, whatever its headers say; an archive that is cut off is an error, never a shorter list.

use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, Read};

use tar::EntryType;

use crate::list::{Attributes, Code};

use super::{
    Item, ReadError, ReadOptions,
    lines::Lines,
    out::{Out, Place},
    plain,
};

/// Most members of an archive.
const MOST_MEMBERS: u64 = 100_000;
/// Longest name of a member, and largest extended header.
const LONGEST_NAME: u64 = 4_096;
const LARGEST_HEADER: u64 = 64 * 1024;
/// Folders that hold a tree and are no category.
const ROOTS: [&str; 6] = ["blacklists", "blacklist", "bl", "dest", "db", "lists"];

/// Remembers an error of the input, so that it is told from one of the archive.
struct Watch<'w, R> {
    input: R,
    failed: &'w RefCell<Option<io::Error>>,
}

impl<R: Read> Read for Watch<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.input.read(into).map_err(|error| {
            if error.kind() == io::ErrorKind::Interrupted {
                return error;
            }
            *self.failed.borrow_mut() = Some(error);
            io::ErrorKind::Other.into()
        })
    }
}

/// Reads an archive.
pub(super) fn read<R: BufRead, E: From<ReadError>, F>(input: R, options: &ReadOptions, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let failed = RefCell::new(None);
    let bad = |error: io::Error| match failed.borrow_mut().take() {
        Some(error) => ReadError::Io(error),
        None => ReadError::Archive(error.to_string()),
    };
    let mut archive = tar::Archive::new(Watch { input, failed: &failed });
    // Raw: the crate would hold headers of any size in memory to make sense of them.
    let entries = archive.entries().map_err(bad)?.raw(true);
    let mut long_name: Option<Vec<u8>> = None;
    let mut members = 0;
    for entry in entries {
        let mut entry = entry.map_err(bad)?;
        members += 1;
        if members > MOST_MEMBERS {
            return Err(ReadError::Archive(format!("it has more than {MOST_MEMBERS} members")).into());
        }
        match entry.header().entry_type() {
            EntryType::GNULongName => long_name = Some(bounded(&mut entry, LONGEST_NAME).map_err(bad)?),
            EntryType::XHeader => {
                let header = bounded(&mut entry, LARGEST_HEADER).map_err(bad)?;
                long_name = pax_path(&header)?.or(long_name);
            }
            EntryType::GNULongLink | EntryType::XGlobalHeader => {}
            EntryType::Directory => long_name = None,
            EntryType::Regular | EntryType::Continuous => {
                let path = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                let size = entry.size();
                let mut counted = Counted { input: entry, read: 0 };
                member(&path, &mut counted, options, out)?;
                if counted.read < size && io::copy(&mut counted, &mut io::sink()).map_err(bad)? + counted.read < size {
                    return Err(cut().into());
                }
            }
            _ => {
                out.file.clear();
                let path = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                out.leave_out("link or special file in the archive", Place { line: 1, column: 1, text: &String::from_utf8_lossy(&path) });
            }
        }
    }
    out.file.clear();
    if members == 0 {
        return Err(ReadError::Archive("it has no members".to_owned()).into());
    }
    Ok(())
}

fn cut() -> ReadError {
    ReadError::Archive("it is cut off inside a member".to_owned())
}

/// Counts what is read.
struct Counted<R> {
    input: R,
    read: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(into)?;
        self.read += count as u64;
        Ok(count)
    }
}

/// All of a small member.
fn bounded(entry: &mut impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    entry.take(most + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > most { Err(io::Error::other("a header in it is too large")) } else { Ok(octets) }
}

/// The path of an extended header: records `LENGTH key=value\n` (POSIX pax).
fn pax_path(header: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
    let wrong = || ReadError::Archive("an extended header in it makes no sense".to_owned());
    let (mut rest, mut path) = (header, None);
    while !rest.is_empty() && rest[0] != 0 {
        let blank = rest.iter().position(|c| *c == b' ').ok_or_else(wrong)?;
        let length = str::from_utf8(&rest[..blank]).ok().and_then(|n| n.parse::<usize>().ok()).ok_or_else(wrong)?;
        let record = rest.get(blank + 1..length).ok_or_else(wrong)?;
        let record = record.strip_suffix(b"\n").ok_or_else(wrong)?;
        if let Some(value) = record.strip_prefix(b"path=") {
            path = Some(value.to_vec());
        }
        if record.starts_with(b"size=") || record.starts_with(b"GNU.sparse") {
            return Err(ReadError::Archive("it has a member that is sparse or larger than 8 GiB".to_owned()));
        }
        rest = &rest[length..];
    }
    Ok(path)
}

/// One file of the archive.
fn member<R: Read, E: From<ReadError>, F>(path: &[u8], input: &mut Counted<R>, options: &ReadOptions, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let path = String::from_utf8_lossy(path.strip_suffix(b"\0").unwrap_or(path));
    let mut parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let name = parts.pop().unwrap_or_default();
    let place = Place { line: 1, column: 1, text: &path };
    out.file.clear();
    out.file.push_str(&crate::list::quoted(&path));
    match name {
        "domains" | "urls" => {}
        "expressions" => {
            out.leave_out("file of expressions", place);
            return Ok(());
        }
        _ if name.ends_with(".diff") => {
            out.leave_out("file of changes (.diff)", place);
            return Ok(());
        }
        _ => {
            out.leave_out("other file in the archive", place);
            return Ok(());
        }
    }
    if parts.first().is_some_and(|first| ROOTS.iter().any(|root| first.eq_ignore_ascii_case(root))) {
        parts.remove(0);
    }
    let mut attributes: Attributes = options.attributes.clone();
    if !parts.is_empty() {
        let Ok(category) = parts.join(".").to_ascii_lowercase().parse::<Code>() else {
            out.say(
                place,
                "the folder's name cannot be a category",
                "name it with a-z, 0-9, . _ and -, at most 32, or import the file alone",
            );
            return Ok(());
        };
        if !options.only.is_empty() && !options.only.contains(&category) {
            out.leave_out("file of another category", place);
            return Ok(());
        }
        attributes.categories.push(category);
    }
    out.set_attributes(&attributes).map_err(ReadError::Attributes)?;
    let mut lines = Lines::new(BufReader::with_capacity(64 << 10, input), options.max_line, false);
    let read = if name == "domains" { plain::subtrees(&mut lines, out) } else { plain::prefixes(&mut lines, out) };
    out.summary.lines += lines.number();
    out.summary.unterminated |= lines.unterminated();
    read
}
