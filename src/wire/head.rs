//! The head: the signed statement about a version (docs/PROTOCOL.md section 8). Text only; signatures are in `trust`.

use std::fmt::Write as _;

use crate::list::{Colour, Digest, ListId, Origin, Serial, Timestamp};

use super::{MAX_BITS, Root, WireError, lines::Lines};

/// A snapshot from which deltas lead to a version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotRef {
    /// The version it is of; not later than the head's.
    pub serial: Serial,
    /// Digest of the uncompressed snapshot.
    pub digest: Digest,
    /// Uncompressed size in octets.
    pub size: u64,
}

/// What a publisher says of one version of one list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// The publisher.
    pub origin: Origin,
    /// The list.
    pub list: ListId,
    /// Its colour.
    pub colour: Colour,
    /// The version.
    pub serial: Serial,
    /// Version digest of the version before; `None` exactly in the first.
    pub previous: Option<Digest>,
    /// Root digest of the content.
    pub root: Root,
    /// Number of entries.
    pub entries: u64,
    /// Where to begin without a state of one's own.
    pub snapshot: SnapshotRef,
    /// Number of the key set in force at signing.
    pub keyset: u64,
    /// When it was signed.
    pub issued: Timestamp,
    /// When it goes stale.
    pub expires: Timestamp,
}

impl Head {
    /// The text that is signed. Fields that contradict each other print, but do not parse.
    pub fn to_text(&self) -> String {
        let mut text = self.version_text();
        let SnapshotRef { serial, digest, size } = self.snapshot;
        let _ = writeln!(text, "snapshot {serial} {digest} {size}");
        let _ = writeln!(text, "keyset {}\nissued {}\nexpires {}", self.keyset, self.issued, self.expires);
        text
    }

    /// Reads the text. It does not look at the clock; that is `trust`'s part.
    ///
    /// # Errors
    /// [`WireError::Line`] names the line.
    pub fn parse(text: &str) -> Result<Head, WireError> {
        let mut lines = Lines::new("head", text);
        lines.exactly("bwld head v1")?;
        let origin = lines.parsed("origin")?;
        let list = lines.parsed("list")?;
        let colour = lines.parsed("colour")?;
        let serial: Serial = lines.parsed("serial")?;
        let previous = match lines.field("previous")? {
            "none" => None,
            digest => Some(lines.value(digest)?),
        };
        if previous.is_none() != (serial == Serial::FIRST) {
            return Err(lines.error("\"previous none\" belongs to serial 1 and to no other"));
        }
        let root = parse_root(&mut lines)?;
        let entries = lines.number("entries")?;
        if root.bits > 0 && 1 << root.bits > entries {
            return Err(lines.error(format!("k={} needs at least {} entries", root.bits, 1_u64 << root.bits)));
        }
        let snapshot = parse_snapshot(&mut lines)?;
        if snapshot.serial > serial {
            return Err(lines.error(format!("the snapshot is of serial {}, later than the head's {serial}", snapshot.serial)));
        }
        let keyset = lines.number("keyset")?;
        if keyset == 0 {
            return Err(lines.error("key sets are numbered from 1"));
        }
        let issued = lines.parsed("issued")?;
        let expires = lines.parsed("expires")?;
        lines.end()?;
        Ok(Head { origin, list, colour, serial, previous, root, entries, snapshot, keyset, issued, expires })
    }

    /// SHA-256 over the text through the `entries` line: what this version is, whenever it was signed.
    pub fn version_digest(&self) -> Digest {
        Digest::of(self.version_text())
    }

    fn version_text(&self) -> String {
        let mut text = String::with_capacity(640);
        let Head { origin, list, colour, serial, entries, .. } = self;
        let _ = write!(text, "bwld head v1\norigin {origin}\nlist {list}\ncolour {colour}\nserial {serial}\nprevious ");
        let _ = match self.previous {
            Some(digest) => writeln!(text, "{digest}"),
            None => writeln!(text, "none"),
        };
        let _ = writeln!(text, "root {} k={}\nentries {entries}", self.root.digest, self.root.bits);
        text
    }
}

fn parse_root(lines: &mut Lines<'_>) -> Result<Root, WireError> {
    let (digest, bits) =
        lines.field("root")?.split_once(" k=").ok_or_else(|| lines.error("expected \"root\", a digest and \"k=\" with a number"))?;
    let digest = lines.value(digest)?;
    let bits = u8::try_from(lines.as_number(bits)?).ok().filter(|k| *k <= MAX_BITS);
    let bits = bits.ok_or_else(|| lines.error(format!("k is larger than {MAX_BITS}")))?;
    Ok(Root { digest, bits })
}

fn parse_snapshot(lines: &mut Lines<'_>) -> Result<SnapshotRef, WireError> {
    let mut parts = lines.field("snapshot")?.split(' ');
    let (Some(serial), Some(digest), Some(size), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(lines.error("expected \"snapshot\", a serial, a digest and a size"));
    };
    Ok(SnapshotRef { serial: lines.value(serial)?, digest: lines.value(digest)?, size: lines.as_number(size)? })
}
