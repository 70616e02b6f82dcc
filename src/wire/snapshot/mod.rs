//! Snapshots, written and read as streams (docs/PROTOCOL.md section 6).
//!
//! Both sides check form and order of every line. They do not check that every rule is canonical: a snapshot is accepted only if
//! its content has the root digest of a signed head, so the publisher's signature vouches for each octet, and the full
//! check belongs to whoever makes rules. [`SnapshotReader::canonical`] asks for it nevertheless (`bwld verify --strict`).

mod reader;
mod writer;

use std::fmt::Write as _;

use crate::list::{Colour, Kind, ListId, MAX_LINE, MAX_RULE, Origin, Serial};

use super::{WireError, lines::Lines};

pub use reader::SnapshotReader;
pub use writer::SnapshotWriter;

/// Longest header, in octets: fixed words and names of bounded length.
const MAX_HEADER: usize = 512;
/// The header's lines, the empty one included.
const HEADER_LINES: u64 = 7;

/// What a snapshot is of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SnapshotHeader {
    /// The publisher.
    pub origin: Origin,
    /// The list.
    pub list: ListId,
    /// Its colour.
    pub colour: Colour,
    /// The version.
    pub serial: Serial,
    /// How many entries follow.
    pub entries: u64,
}

impl SnapshotHeader {
    /// The header's lines, through the empty one.
    fn to_text(&self) -> String {
        let SnapshotHeader { origin, list, colour, serial, entries } = self;
        let mut text = String::with_capacity(MAX_HEADER);
        let _ = write!(text, "bwld snapshot v1\norigin {origin}\nlist {list}\ncolour {colour}\nserial {serial}\nentries {entries}\n\n");
        text
    }

    fn parse(text: &str) -> Result<SnapshotHeader, WireError> {
        let mut lines = Lines::new("snapshot", text);
        lines.exactly("bwld snapshot v1")?;
        let origin = lines.parsed("origin")?;
        let list = lines.parsed("list")?;
        let colour = lines.parsed("colour")?;
        let serial = lines.parsed("serial")?;
        let entries = lines.number("entries")?;
        lines.exactly("")?;
        lines.end()?;
        Ok(SnapshotHeader { origin, list, colour, serial, entries })
    }
}

/// Checks the cheap part of an entry line's form and tells how long its rule is.
fn check_form(line: &[u8]) -> Result<usize, &'static str> {
    if line.len() > MAX_LINE {
        return Err("longer than 4096 octets");
    }
    // No branch in the loop, so that it is vectorised.
    let foreign = line.iter().fold(false, |foreign, c| foreign | !(c.wrapping_sub(0x21) < 0x5e || *c == b'\t'));
    if foreign {
        return Err("holds an octet that is neither printable ASCII nor TAB");
    }
    let rule = memchr::memchr(b'\t', line).unwrap_or(line.len());
    if rule > MAX_RULE {
        return Err("its rule is longer than 2048 octets");
    }
    let known = Kind::ALL.iter().any(|kind| {
        let word = kind.word().as_bytes();
        rule > word.len() + 1 && line.starts_with(word) && line[word.len()] == b':'
    });
    if known { Ok(rule) } else { Err("does not begin with domain:, subtree:, url:, prefix: or cidr: and a target") }
}

fn refused(line: u64, reason: impl Into<String>) -> WireError {
    WireError::Line { what: "snapshot", line, reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::{reader::BUFFER, *};
    use crate::list::Digest;

    fn header(entries: u64) -> SnapshotHeader {
        SnapshotHeader {
            origin: "lists.example.org".parse().unwrap(),
            list: "adult".parse().unwrap(),
            colour: Colour::Black,
            serial: Serial::new(7).unwrap(),
            entries,
        }
    }

    fn written(lines: &[String]) -> (Vec<u8>, Digest, u64) {
        let mut writer = SnapshotWriter::new(Vec::new(), &header(lines.len() as u64)).unwrap();
        for line in lines {
            writer.push(line).unwrap();
        }
        writer.finish().unwrap()
    }

    fn read(bytes: impl Read, limit: u64) -> Result<(Vec<String>, Digest, u64), WireError> {
        let mut reader = SnapshotReader::new(bytes, limit)?;
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line()? {
            lines.push(line.to_owned());
        }
        assert!(reader.next_line()?.is_none(), "the end stays the end");
        let (digest, size) = reader.digest();
        Ok((lines, digest, size))
    }

    fn body(after_header: &str, entries: u64) -> String {
        header(entries).to_text() + after_header
    }

    /// Gives one octet a call, so that every boundary is crossed.
    struct Trickle<'a>(&'a [u8]);
    impl Read for Trickle<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let n = self.0.len().min(1).min(into.len());
            into[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let lines: Vec<String> = (0..9_000).map(|i| format!("domain:host-{i:06}.example.com\tcat=adult")).collect();
        let (bytes, digest, size) = written(&lines);
        assert_eq!((Digest::of(&bytes), bytes.len() as u64), (digest, size));
        assert!(bytes.len() > 2 * BUFFER, "the buffer was refilled");
        assert_eq!(read(bytes.as_slice(), size).unwrap(), (lines.clone(), digest, size));
        assert_eq!(read(Trickle(&bytes), size).unwrap(), (lines, digest, size));
        assert_eq!(read(written(&[]).0.as_slice(), 1_000).unwrap().0.len(), 0);
    }

    #[test]
    fn the_longest_lines_pass_the_edge_of_the_buffer() {
        let attribute = format!("\tref={}", "r".repeat(MAX_LINE - MAX_RULE - 5));
        let lines: Vec<String> = (0..200).map(|i| format!("url:example.com/{i:03}{}{attribute}", "a".repeat(MAX_RULE - 19))).collect();
        assert_eq!(lines[0].len(), MAX_LINE);
        let (bytes, digest, size) = written(&lines);
        assert_eq!(read(bytes.as_slice(), size).unwrap(), (lines, digest, size));
    }

    #[test]
    fn endless_data_is_cut_at_the_limit() {
        let (bytes, _, size) = written(&["domain:a.example".to_owned()]);
        assert!(read(bytes.as_slice(), size).is_ok(), "exactly the limit is enough");
        assert!(matches!(read(bytes.as_slice(), size - 1), Err(WireError::TooLarge { .. })));
        assert!(matches!(read(std::io::repeat(b'a'), 1 << 40), Err(WireError::Line { line: 1, .. })), "a header without end");
        let endless = bytes.as_slice().chain(std::io::repeat(b'a'));
        assert!(matches!(read(endless, 1 << 40), Err(WireError::Line { line: 9, .. })), "a line without end");
        let endless = bytes.as_slice().chain(std::io::repeat(b'\n'));
        assert!(matches!(read(endless, 1 << 40), Err(WireError::Line { line: 9, .. })), "lines without end");
    }

    #[test]
    fn form_order_and_count_are_checked() {
        for (text, entries, line) in [
            ("domain:b.example\ndomain:a.example\n", 2, 9),
            ("domain:a.example\ndomain:a.example\n", 2, 9),
            ("domain:a.example\ndomain:a.example\tage=3\n", 2, 9),
            ("domain:a.example\n", 2, 9),
            ("domain:a.example\ndomain:b.example\n", 1, 9),
            ("domain:a.example", 1, 8),
            ("domain:a.example\r\n", 1, 8),
            ("domain:a b.example\n", 1, 8),
            ("domain:\u{e4}.example\n", 1, 8),
            ("host:a.example\n", 1, 8),
            ("domain:\n", 1, 8),
            ("\n", 1, 8),
            ("domain:a.example\n\n", 1, 9),
        ] {
            let found = read(body(text, entries).as_bytes(), 1_000).unwrap_err();
            assert!(matches!(found, WireError::Line { line: l, .. } if l == line), "{text:?}: {found}");
        }
        let text = body("domain:a.example\n", 1);
        for (from, to) in [("v1", "v2"), ("serial 7", "serial 07"), ("entries 1", "entries 01"), ("black", "Black"), ("\n\n", "\n \n")] {
            assert!(read(text.replacen(from, to, 1).as_bytes(), 1_000).is_err(), "{to}");
        }
        assert!(read(&text.as_bytes()[..40], 1_000).is_err(), "cut off in the header");
    }

    #[test]
    fn the_writer_refuses_what_the_reader_would() {
        let mut writer = SnapshotWriter::new(Vec::new(), &header(2)).unwrap();
        writer.push("domain:b.example\tage=9").unwrap();
        for bad in ["domain:a.example", "domain:b.example", "domain:c.example\n", "nothing", ""] {
            assert!(writer.push(bad).is_err(), "{bad:?}");
        }
        writer.push("domain:c.example").unwrap();
        assert!(writer.push("domain:d.example").is_err(), "more than stated");
        writer.finish().unwrap();
        assert!(SnapshotWriter::new(Vec::new(), &header(1)).unwrap().finish().is_err(), "fewer than stated");
    }

    #[test]
    fn the_full_check_is_made_when_asked_for() {
        let text = body("domain:www.EXAMPLE.com\n", 1);
        assert!(read(text.as_bytes(), 1_000).is_ok(), "well-formed, and vouched for by a signature");
        let mut strict = SnapshotReader::new(text.as_bytes(), 1_000).unwrap().canonical();
        assert!(matches!(strict.next_line(), Err(WireError::Line { line: 8, .. })));
    }
}
