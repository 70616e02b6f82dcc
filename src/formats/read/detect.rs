//! Looks at the beginning of a file: refuses what is no list, finds the format and the kind of line ends.
//!
//! Guarantees: looks at no more than 64 KiB, whatever the file; what it refuses, nobody reads.

use std::{
    io::{BufRead, Cursor, Read as _},
    net::IpAddr,
};

use crate::list::Kind;

use super::{Format, ReadError, ReadOptions, Rest, csv, lines, lines::Lines};

const SNIFF: u64 = 64 * 1024;

/// A file of which the beginning has been looked at.
pub(super) struct Opened<R> {
    /// All of it, without a byte order mark.
    pub(super) input: Rest<R>,
    pub(super) format: Format,
    /// A single CR ends a line.
    pub(super) cr: bool,
}

/// Looks at the beginning and makes the file ready to be read as lines.
pub(super) fn open<R: BufRead>(mut input: R, options: &ReadOptions) -> Result<Opened<R>, ReadError> {
    let mut head = Vec::new();
    input.by_ref().take(SNIFF).read_to_end(&mut head).map_err(ReadError::Io)?;
    refuse_foreign(&head)?;
    if head.starts_with(b"\xef\xbb\xbf") {
        head.drain(..3);
    }
    let cr = head.contains(&b'\r') && !head.contains(&b'\n');
    let format = options.format.unwrap_or_else(|| detect(&head, cr));
    Ok(Opened { input: Cursor::new(head).chain(input), format, cr })
}

/// Refuses what is no UTF-8 text at all, and what is text but no list.
fn refuse_foreign(head: &[u8]) -> Result<(), ReadError> {
    const ENCODINGS: [(&[u8], &str); 4] =
        [(b"\xff\xfe\0\0", "UTF-32"), (b"\0\0\xfe\xff", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16")];
    const PACKED: [(&[u8], &str); 8] = [
        (b"\x1f\x8b", "compressed with gzip"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
        (b"\xfd7zXZ", "compressed with xz"),
        (b"BZh", "compressed with bzip2"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"%PDF-", "a PDF document"),
        (b"SQLite format 3\0", "a SQLite database"),
    ];
    if let Some((_, name)) = ENCODINGS.iter().find(|(mark, _)| head.starts_with(mark)) {
        return Err(ReadError::Encoding(name));
    }
    if let Some((_, name)) = PACKED.iter().find(|(mark, _)| head.starts_with(mark)) {
        return Err(ReadError::Packed(name));
    }
    // UTF-16 without a mark: in ASCII text every second octet is NUL.
    let sample = &head[..head.len().min(1024)];
    let zeros = |odd: usize| sample.iter().skip(odd).step_by(2).filter(|c| **c == 0).count();
    if sample.len() >= 8 && zeros(0).max(zeros(1)) * 4 > sample.len() {
        return Err(ReadError::Encoding("UTF-16 without a mark, or it is binary"));
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    match text {
        [b'<', b'!' | b'?' | b'a'..=b'z' | b'A'..=b'Z', ..] => Err(ReadError::NotAList("a web page (a network's login page?)")),
        [b'{', ..] => Err(ReadError::NotAList("JSON")),
        [b'[', ..] if matches!(text[1..].trim_ascii_start().first(), Some(b'{' | b'[' | b'"')) => Err(ReadError::NotAList("JSON")),
        _ => Ok(()),
    }
}

/// What most of the first lines look like.
fn detect(head: &[u8], cr: bool) -> Format {
    let mut sample = Lines::new(head, 8 * 1024, cr);
    let (mut own, mut hosts, mut domains) = (0_u32, 0_u32, 0_u32);
    let mut first = true;
    // A read error cannot come from memory; the first lines decide.
    while let Ok(Some((_, line))) = sample.next() {
        let lines::Line::Text(text) = line else { continue };
        let Some(text) = lines::content(text) else { continue };
        if first && (text == "bwld snapshot v1" || text == "bwld delta v1") {
            return Format::Bwld;
        }
        if first && csv::is_header(text) {
            return Format::Csv;
        }
        first = false;
        let word = text.split_whitespace().next().unwrap_or(text);
        if Kind::split(word.trim_start_matches(['+', '-', '~'])).is_some() {
            own += 1;
        } else if word.len() < text.len() && (word == "0" || word.parse::<IpAddr>().is_ok()) {
            hosts += 1;
        } else {
            domains += 1;
        }
        if own + hosts + domains >= 200 {
            break;
        }
    }
    if own > hosts && own > domains {
        Format::Bwld
    } else if hosts > domains {
        Format::Hosts
    } else {
        Format::Domains
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_apart() {
        for (text, format) in [
            ("", Format::Domains),
            ("# c\n\n", Format::Domains),
            ("a.example\nb.example\n", Format::Domains),
            ("0.0.0.0 a.example\n", Format::Hosts),
            ("# c\r127.0.0.1 a.example\r", Format::Hosts),
            ("::1 localhost\n0 a.example\na.example\n", Format::Hosts),
            ("domain:a.example\n", Format::Bwld),
            ("# id: x\n+url:a.example/\tcat=x\n-domain:b.example\n", Format::Bwld),
            ("bwld snapshot v1\norigin a\n", Format::Bwld),
            ("domain,category\na.example,x\n", Format::Csv),
            ("\"URL\";\"note\"\n", Format::Csv),
            ("domain\na.example\n", Format::Csv),
            ("a.example,b.example\n", Format::Domains),
            ("192.0.2.1\n", Format::Domains),
        ] {
            let cr = text.contains('\r');
            assert_eq!(detect(text.as_bytes(), cr), format, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_list_is_refused_as_a_whole() {
        for (bytes, part) in [
            (&b"\xff\xfea\0"[..], "UTF-16"),
            (b"\xff\xfe\0\0a\0\0\0", "UTF-32"),
            (b"a\0.\0e\0x\0\n\0", "UTF-16"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"\x28\xb5\x2f\xfd", "zstd"),
            (b"\n <!DOCTYPE html>", "web page"),
            (b"\xef\xbb\xbf<html>", "web page"),
            (b"<?xml version", "web page"),
            (b"{\"error\":1}", "JSON"),
            (b"[ {\"a\":1}]", "JSON"),
        ] {
            let error = refuse_foreign(bytes).expect_err(part).to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(refuse_foreign(b"[Adblock Plus 2.0]\n").is_ok(), "its lines are issues, one by one");
        assert!(refuse_foreign(b"a.example\0\n").is_ok(), "one NUL is one issue");
    }
}
