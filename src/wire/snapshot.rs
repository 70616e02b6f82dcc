//! Snapshots, written and read as streams (docs/PROTOCOL.md section 6).
//!
//! Both sides check form and order of every line. They do not check that every rule is canonical: a snapshot is accepted only if
//! its content has the root digest of a signed head, so the publisher's signature vouches for each octet, and the full
//! check belongs to whoever makes rules. [`SnapshotReader::canonical`] asks for it nevertheless (`bwld verify --strict`).

use std::{
    fmt::Write as _,
    io::{ErrorKind, Read, Write},
};

use sha2::{Digest as _, Sha256};

use crate::list::{Colour, Digest, Entry, Kind, ListId, MAX_LINE, MAX_RULE, Origin, Serial};

use super::{WireError, lines::Lines};

/// Longest header, in octets: fixed words and names of bounded length.
const MAX_HEADER: usize = 512;
/// Size of the reader's buffer: any two lines and the header fit many times.
const BUFFER: usize = 128 << 10;
/// How much the writer gathers before it hashes and writes.
const BATCH: usize = 64 << 10;
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

/// Writes a snapshot; refuses entries out of order and a wrong count; tells digest and size at the end.
pub struct SnapshotWriter<W: Write> {
    inner: W,
    hash: Sha256,
    size: u64,
    batch: Vec<u8>,
    last_rule: Vec<u8>,
    expected: u64,
    written: u64,
}

impl<W: Write> SnapshotWriter<W> {
    /// Writes the header. It buffers by itself; `inner` need not.
    ///
    /// # Errors
    /// Of the writer.
    pub fn new(inner: W, header: &SnapshotHeader) -> Result<Self, WireError> {
        let mut batch = Vec::with_capacity(BATCH + MAX_LINE + 1);
        batch.extend_from_slice(header.to_text().as_bytes());
        let (expected, last_rule) = (header.entries, Vec::with_capacity(MAX_RULE));
        Ok(SnapshotWriter { inner, hash: Sha256::new(), size: 0, batch, last_rule, expected, written: 0 })
    }

    /// Writes an entry line (without LF), which must come after the one before.
    ///
    /// # Errors
    /// Of the writer, or [`WireError::Line`] if out of order.
    pub fn push(&mut self, line: &str) -> Result<(), WireError> {
        let number = HEADER_LINES + self.written + 1;
        let rule = check_form(line.as_bytes()).map_err(|reason| refused(number, reason))?;
        let rule = &line.as_bytes()[..rule];
        if rule <= self.last_rule.as_slice() {
            return Err(refused(number, "not in ascending order of the rules, or a rule twice"));
        }
        if self.written == self.expected {
            return Err(refused(number, format!("more entries than the {} that the header states", self.expected)));
        }
        self.last_rule.clear();
        self.last_rule.extend_from_slice(rule);
        self.batch.extend_from_slice(line.as_bytes());
        self.batch.push(b'\n');
        self.written += 1;
        if self.batch.len() >= BATCH { self.drain() } else { Ok(()) }
    }

    /// Ends the snapshot: the writer, the digest and the size in octets of the uncompressed bytes.
    ///
    /// # Errors
    /// [`WireError::Line`] if fewer or more entries came than the header says.
    pub fn finish(mut self) -> Result<(W, Digest, u64), WireError> {
        if self.written != self.expected {
            let reason = format!("ends after {} of the {} entries that the header states", self.written, self.expected);
            return Err(refused(HEADER_LINES + self.written, reason));
        }
        self.drain()?;
        Ok((self.inner, Digest(self.hash.finalize().into()), self.size))
    }

    fn drain(&mut self) -> Result<(), WireError> {
        self.hash.update(&self.batch);
        self.inner.write_all(&self.batch)?;
        self.size += self.batch.len() as u64;
        self.batch.clear();
        Ok(())
    }
}

/// Reads a snapshot through one buffer of 128 KiB, whatever its size.
pub struct SnapshotReader<R: Read> {
    inner: R,
    hash: Sha256,
    limit: u64,
    size: u64,
    header: SnapshotHeader,
    canonical: bool,
    line: u64,
    ended: bool,
    /// `buffer[kept..filled]` holds what is still needed: the line before (for the order), then what has not been read yet.
    buffer: Box<[u8]>,
    kept: usize,
    last_rule: usize,
    unread: usize,
    filled: usize,
}

impl<R: Read> SnapshotReader<R> {
    /// Reads the header. `limit` bounds the uncompressed octets read in all. It buffers by itself; `inner` need not.
    ///
    /// # Errors
    /// [`WireError`] of the header.
    pub fn new(inner: R, limit: u64) -> Result<Self, WireError> {
        let none = SnapshotHeader {
            origin: "unread".parse().expect("a constant that is an origin"),
            list: "unread".parse().expect("a constant that is a list name"),
            colour: Colour::Black,
            serial: Serial::FIRST,
            entries: 0,
        };
        let buffer = vec![0; BUFFER].into_boxed_slice();
        let mut reader = SnapshotReader {
            inner,
            hash: Sha256::new(),
            limit,
            size: 0,
            header: none,
            canonical: false,
            line: 0,
            ended: false,
            buffer,
            kept: 0,
            last_rule: 0,
            unread: 0,
            filled: 0,
        };
        let mut text = String::new();
        for _ in 0..HEADER_LINES {
            let at = reader.raw_line(MAX_HEADER)?.ok_or_else(|| refused(reader.line, "ends within the header"))?;
            let line = std::str::from_utf8(&reader.buffer[at..reader.unread]).map_err(|_| refused(reader.line, "not UTF-8"))?;
            text.push_str(line);
            reader.kept = reader.unread;
        }
        reader.header = SnapshotHeader::parse(&text)?;
        Ok(reader)
    }

    /// From here on every line must be a canonical entry by the whole of section 3 and 4; costs several times as much.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        self.canonical = true;
        self
    }

    /// The header.
    pub fn header(&self) -> &SnapshotHeader {
        &self.header
    }

    /// The next entry line, without LF, form and order checked; `None` after the last, when count and end have been checked.
    ///
    /// # Errors
    /// [`WireError::Line`] names the line.
    pub fn next_line(&mut self) -> Result<Option<&str>, WireError> {
        if self.ended {
            return Ok(None);
        }
        let entries = self.header.entries;
        let read = self.line - HEADER_LINES;
        let Some(at) = self.raw_line(MAX_LINE)? else {
            if read < entries {
                return Err(refused(self.line, format!("ends after {read} of the {entries} entries that the header states")));
            }
            self.ended = true;
            return Ok(None);
        };
        if read == entries {
            return Err(refused(self.line, format!("more entries than the {entries} that the header states")));
        }
        // The line before lies at `kept`: `raw_line` has moved it along if it had to.
        let bytes = &self.buffer[at..self.unread - 1];
        let rule = check_form(bytes).map_err(|reason| refused(self.line, reason))?;
        if bytes[..rule] <= self.buffer[self.kept..self.kept + self.last_rule] {
            return Err(refused(self.line, "not in ascending order of the rules, or a rule twice"));
        }
        let line = std::str::from_utf8(bytes).map_err(|_| refused(self.line, "not UTF-8"))?;
        if self.canonical {
            line.parse::<Entry>().map_err(|e| refused(self.line, e.to_string()))?;
        }
        self.kept = at;
        self.last_rule = rule;
        Ok(Some(line))
    }

    /// Digest and size of all that was read; meaningful after `next_line` has returned `None`.
    pub fn digest(&self) -> (Digest, u64) {
        (Digest(self.hash.clone().finalize().into()), self.size)
    }

    /// Moves `unread` behind the next LF and says where that line begins; `None` at the end. `kept` may move.
    fn raw_line(&mut self, longest: usize) -> Result<Option<usize>, WireError> {
        self.line += 1;
        let mut searched = 0;
        loop {
            if let Some(lf) = memchr::memchr(b'\n', &self.buffer[self.unread + searched..self.filled]) {
                let at = self.unread;
                self.unread += searched + lf + 1;
                return Ok(Some(at));
            }
            searched = self.filled - self.unread;
            if searched > longest {
                return Err(refused(self.line, format!("longer than {longest} octets")));
            }
            if self.fill()? == 0 {
                return if searched == 0 { Ok(None) } else { Err(refused(self.line, "does not end with LF")) };
            }
        }
    }

    /// Reads more behind `filled`; 0 at the end. Every octet passes here once, and is counted and hashed here.
    fn fill(&mut self) -> Result<usize, WireError> {
        if self.filled == self.buffer.len() {
            self.buffer.copy_within(self.kept..self.filled, 0);
            self.unread -= self.kept;
            self.filled -= self.kept;
            self.kept = 0;
        }
        // One octet past the limit tells "exactly at the limit" from "more".
        let most = usize::try_from((self.limit - self.size).saturating_add(1)).unwrap_or(usize::MAX);
        let end = self.buffer.len().min(self.filled.saturating_add(most));
        let read = loop {
            match self.inner.read(&mut self.buffer[self.filled..end]) {
                Ok(read) => break read,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        };
        if read as u64 > self.limit - self.size {
            return Err(WireError::TooLarge { what: "snapshot", limit: self.limit });
        }
        self.hash.update(&self.buffer[self.filled..self.filled + read]);
        self.size += read as u64;
        self.filled += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
