//! The head: the signed statement about a version (docs/PROTOCOL.md section 8). Text only; signatures are in `trust`.

use std::fmt::Write as _;

use crate::list::{Colour, Digest, ListId, Origin, Serial, Timestamp};

use super::{AuditTip, MAX_BITS, Root, WireError, lines::Lines};

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
    /// The newest line of the publisher's audit chain at signing; `None`: there is no chain. It may differ between two heads of one version.
    pub audit: Option<AuditTip>,
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
        if let Some(audit) = self.audit {
            let _ = writeln!(text, "audit {audit}");
        }
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
        let audit = lines.peek().starts_with("audit ").then(|| lines.parsed("audit")).transpose()?;
        let keyset = lines.number("keyset")?;
        if keyset == 0 {
            return Err(lines.error("key sets are numbered from 1"));
        }
        let issued = lines.parsed("issued")?;
        let expires = lines.parsed("expires")?;
        lines.end()?;
        Ok(Head { origin, list, colour, serial, previous, root, entries, snapshot, audit, keyset, issued, expires })
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "bwld head v1
origin lists.example.org
list adult
colour black
serial 1042
previous sha256:1111111111111111111111111111111111111111111111111111111111111111
root sha256:2222222222222222222222222222222222222222222222222222222222222222 k=11
entries 218844
snapshot 1024 sha256:3333333333333333333333333333333333333333333333333333333333333333 4718592
keyset 3
issued 2026-11-24T01:00:00Z
expires 2026-11-25T01:00:00Z
";

    fn digest() -> impl Strategy<Value = Digest> {
        any::<[u8; 32]>().prop_map(Digest)
    }

    fn head() -> impl Strategy<Value = Head> {
        let names = ("[a-z]{1,9}(\\.[a-z0-9]{1,9}){0,3}", "[a-z0-9][a-z0-9-]{0,20}", any::<bool>());
        let numbers = (1..=i64::MAX as u64, 0..=20_u8, 1 << 20..=i64::MAX as u64, 1..=i64::MAX as u64, 0..=i64::MAX as u64);
        let times = (0..=Timestamp::MAX.unix(), 0..=Timestamp::MAX.unix());
        (names, numbers, (digest(), digest(), digest(), any::<bool>()), times, 1..=i64::MAX as u64).prop_map(
            |((origin, list, black), (serial, bits, entries, keyset, size), (previous, root, snapshot, audited), (issued, expires), at)| {
                let serial = Serial::new(serial).unwrap();
                Head {
                    origin: origin.parse().unwrap(),
                    list: list.parse().unwrap(),
                    colour: if black { Colour::Black } else { Colour::White },
                    serial,
                    previous: (serial != Serial::FIRST).then_some(previous),
                    root: Root { digest: root, bits },
                    entries,
                    snapshot: SnapshotRef { serial: Serial::new(at.min(serial.get())).unwrap(), digest: snapshot, size },
                    audit: audited.then_some(AuditTip { number: at, digest: root }),
                    keyset,
                    issued: Timestamp::from_unix(issued),
                    expires: Timestamp::from_unix(expires),
                }
            },
        )
    }

    #[test]
    fn the_example_of_the_protocol_parses() {
        let head = Head::parse(TEXT).unwrap();
        assert_eq!((head.serial.get(), head.root.bits, head.entries, head.keyset), (1042, 11, 218_844, 3));
        assert_eq!(head.to_text(), TEXT);
        let through_entries = TEXT.find("snapshot").unwrap();
        assert_eq!(head.version_digest(), Digest::of(&TEXT[..through_entries]));
    }

    #[test]
    fn the_audit_line_is_there_or_not_and_no_part_of_the_version() {
        let audit = format!("audit 17 sha256:{}\n", "4".repeat(64));
        let bound = TEXT.replace("keyset 3", &format!("{audit}keyset 3"));
        let head = Head::parse(&bound).unwrap();
        assert_eq!(head.audit.map(|a| a.number), Some(17));
        assert_eq!((head.to_text(), head.version_digest()), (bound.clone(), Head::parse(TEXT).unwrap().version_digest()));
        for wrong in ["audit 0 ", "audit 017 ", "audit +17 ", "audit 17"] {
            assert!(Head::parse(&bound.replace("audit 17 ", wrong)).is_err(), "{wrong}");
        }
        assert!(Head::parse(&TEXT.replace("keyset 3", &format!("{audit}{audit}keyset 3"))).is_err());
        assert!(Head::parse(&TEXT.replace("entries", &format!("{audit}entries"))).is_err());
    }

    #[test]
    fn there_is_one_way_to_write_a_head() {
        for (from, to) in [
            ("v1", "v2"),
            ("bwld head v1\n", ""),
            ("list adult\n", ""),
            ("list adult\n", "list adult\nlist adult\n"),
            ("list adult\ncolour black\n", "colour black\nlist adult\n"),
            ("colour black", "colour blue"),
            ("serial 1042", "serial 01042"),
            ("serial 1042", "serial +1042"),
            ("serial 1042", "serial 0"),
            ("serial 1042", "serial 9223372036854775808"),
            ("serial 1042", "serial 1023"),
            ("serial 1042", "serial 1"),
            ("previous sha256:1", "previous sha256:"),
            ("previous sha256:11111111", "previous sha256:1111111A"),
            ("previous sha256:1111111111111111111111111111111111111111111111111111111111111111", "previous none"),
            (" k=11", " k=21"),
            (" k=11", " k=011"),
            (" k=11", ""),
            (" k=11", " k=18"),
            ("entries 218844", "entries 2047"),
            ("entries 218844", "entries "),
            (" 4718592", ""),
            (" 4718592", " 4718592 1"),
            ("keyset 3", "keyset 0"),
            ("T01:00:00Z\nexpires", "T01:00:00+00:00\nexpires"),
            ("T01:00:00Z\nexpires", "T1:00:00Z\nexpires"),
            ("2026-11-24", "2026-11-31"),
            ("\nexpires", "\n\nexpires"),
            ("\n", "\r\n"),
            ("list adult", "list adult "),
            ("list adult", "list  adult"),
        ] {
            let text = TEXT.replacen(from, to, 1);
            assert_ne!(text, TEXT, "{from}");
            assert!(Head::parse(&text).is_err(), "{from:?} -> {to:?}");
        }
        assert!(Head::parse(&TEXT[..TEXT.len() - 1]).is_err(), "no LF at the end");
        assert!(Head::parse(&format!("{TEXT}\n")).is_err(), "an empty line at the end");
    }

    proptest! {
        #[test]
        fn print_and_parse_are_inverse(head in head()) {
            let text = head.to_text();
            prop_assert_eq!(Head::parse(&text).unwrap(), head);
            prop_assert!(text.len() < 1_200);
        }

        #[test]
        fn what_parses_prints_as_it_was(text in prop::sample::select(vec![TEXT]), at in 0..TEXT.len(), octet in 0_u8..0x80) {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = octet;
            let text = String::from_utf8(bytes).unwrap();
            if let Ok(head) = Head::parse(&text) {
                prop_assert_eq!(head.to_text(), text);
            }
        }
    }
}
