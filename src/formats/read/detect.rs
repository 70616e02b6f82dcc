//! Looks at the beginning of a file: refuses what is no list, finds the format and the kind of line ends.
//!
//! Guarantees: looks at no more than 64 KiB, whatever the file; what it refuses, nobody reads.

use std::{
    io::{BufRead, Cursor, Read as _},
    net::IpAddr,
};

use crate::list::Kind;

use super::{Exceptions, Format, ReadError, ReadOptions, Rest, csv, lines, lines::Lines};

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
    // A tar archive is binary, and no text.
    let tar = head.get(257..262) == Some(b"ustar");
    if tar || options.format == Some(Format::Tree) {
        let format = options.format.unwrap_or(Format::Tree);
        if format != Format::Tree {
            return Err(ReadError::Packed("a tar archive"));
        }
        exceptions(format, options)?;
        return Ok(Opened { input: Cursor::new(head).chain(input), format, cr: false });
    }
    refuse_foreign(&head, options.format)?;
    if head.starts_with(b"\xef\xbb\xbf") {
        head.drain(..3);
    }
    let cr = head.contains(&b'\r') && !head.contains(&b'\n');
    let format = options.format.unwrap_or_else(|| detect(&head, cr));
    exceptions(format, options)?;
    Ok(Opened { input: Cursor::new(head).chain(input), format, cr })
}

/// A format without exceptions gives all it has; who asks for exceptions only must not get that.
fn exceptions(format: Format, options: &ReadOptions) -> Result<(), ReadError> {
    match options.exceptions {
        Exceptions::Only if !format.has_exceptions() => Err(ReadError::NoExceptions(format)),
        _ => Ok(()),
    }
}

/// Refuses what is no UTF-8 text at all, and what is text but no list.
fn refuse_foreign(head: &[u8], format: Option<Format>) -> Result<(), ReadError> {
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
        [b'<', ..] if format == Some(Format::Xml) => Ok(()),
        [b'<', b'?', ..] => Err(ReadError::NotAList("XML (a register's dump? then say that the format is xml)")),
        [b'<', b'!' | b'a'..=b'z' | b'A'..=b'Z', ..] => Err(ReadError::NotAList("a web page (a network's login page?)")),
        [b'{' | b'[', ..] if matches!(format, Some(Format::Json | Format::Ndjson)) => Ok(()),
        [b'{', ..] if text.starts_with(b"{\"list\":") || text.starts_with(b"{\"rule\":") => Ok(()),
        [b'{', ..] => Err(ReadError::NotAList("JSON (a list? then say that the format is json or ndjson)")),
        [b'[', ..] if matches!(text[1..].trim_ascii_start().first(), Some(b'{' | b'[' | b'"')) => {
            Err(ReadError::NotAList("JSON (a list? then say that the format is json or ndjson)"))
        }
        _ => Ok(()),
    }
}

/// What most of the first lines look like.
fn detect(head: &[u8], cr: bool) -> Format {
    const FORMATS: usize = 10;
    // In the order in which the first of equal counts wins.
    let mut counts: [(Format, u32); FORMATS] = [
        (Format::Domains, 0),
        (Format::Bwld, 0),
        (Format::Hosts, 0),
        (Format::Adblock, 0),
        (Format::Rpz, 0),
        (Format::Dnsmasq, 0),
        (Format::Unbound, 0),
        (Format::Bind, 0),
        (Format::Urls, 0),
        (Format::Ipset, 0),
    ];
    let mut sample = Lines::new(head, 8 * 1024, cr);
    let mut first = true;
    let mut seen = 0;
    // A read error cannot come from memory; the first lines decide.
    while let Ok(Some((_, line))) = sample.next() {
        let lines::Line::Text(text) = line else { continue };
        if first && text.starts_with("[Adblock") {
            return Format::Adblock;
        }
        if first && (text.starts_with("{\"list\":") || text.starts_with("{\"rule\":")) {
            return Format::Ndjson;
        }
        let Some(text) = lines::content(text) else { continue };
        if first && (text == "bwld snapshot v1" || text == "bwld delta v1") {
            return Format::Bwld;
        }
        if first
            && ["table ", "add table ", "add set ", "add element ", "flush set ", "define "].iter().any(|begin| text.starts_with(begin))
        {
            return Format::Nft;
        }
        if first && csv::is_header(text) {
            return Format::Csv;
        }
        first = false;
        let format = of_line(text);
        counts.iter_mut().filter(|(of, _)| *of == format).for_each(|(_, count)| *count += 1);
        seen += 1;
        if seen >= 200 {
            break;
        }
    }
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(Format::Domains, |(format, _)| *format)
}

/// What one line looks like.
fn of_line(text: &str) -> Format {
    let mut words = text.split_whitespace();
    let word = words.next().unwrap_or(text);
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| text.starts_with(beginning));
    if Kind::split(word.trim_start_matches(['+', '-', '~'])).is_some() {
        Format::Bwld
    } else if word.len() < text.len() && (word == "0" || word.parse::<IpAddr>().is_ok()) {
        Format::Hosts
    } else if begins(&["||", "@@|", "|http", "##"]) || text.contains("##") {
        Format::Adblock
    } else if begins(&["address=/", "server=/", "local=/"]) {
        Format::Dnsmasq
    } else if begins(&["local-zone:", "local-data:"]) {
        Format::Unbound
    } else if begins(&["http://", "https://", "HTTP://", "HTTPS://"]) {
        Format::Urls
    } else if begins(&["add ", "create "]) && !text.contains("address=") && word.len() < text.len() {
        Format::Ipset
    } else if begins(&["zone \""]) {
        Format::Bind
    } else if begins(&["$TTL", "$ORIGIN"]) || words.any(|word| matches!(word, "CNAME" | "SOA" | "IN")) {
        Format::Rpz
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
            (b"<?xml version", "XML"),
            (b"{\"error\":1}", "JSON"),
            (b"[ {\"a\":1}]", "JSON"),
        ] {
            let error = refuse_foreign(bytes, None).expect_err(part).to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(refuse_foreign(b"[Adblock Plus 2.0]\n", None).is_ok(), "its lines are issues, one by one");
        assert!(refuse_foreign(b"a.example\0\n", None).is_ok(), "one NUL is one issue");
    }
}
