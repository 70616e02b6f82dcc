//! Lines of bounded length from a stream.
//!
//! Guarantees: holds one line and nothing else; a line beyond the bound is reported as such and skipped to its end.

use std::io::{self, BufRead, ErrorKind};

/// What a line is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Line<'a> {
    /// A line in UTF-8, without its end.
    Text(&'a str),
    /// A line that is not UTF-8, and where it stops to be.
    NotUtf8(&'a [u8], usize),
    /// A line longer than the bound; its beginning.
    TooLong(&'a [u8]),
}

/// Reads lines. Ends are LF and CR LF; in a file of the old Macintosh kind also a single CR.
pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    max: usize,
    cr: bool,
    number: u64,
    unterminated: bool,
}

impl<R: BufRead> Lines<R> {
    /// `max`: the longest line in octets; `cr`: a single CR ends a line.
    pub(super) fn new(input: R, max: usize, cr: bool) -> Self {
        Lines { input, line: Vec::with_capacity(256), max: max.max(64), cr, number: 0, unterminated: false }
    }

    /// How many lines have been given.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Whether the last line had no end.
    pub(super) fn unterminated(&self) -> bool {
        self.unterminated
    }

    /// The longest line, in octets.
    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// The next line and its number, from 1; `None` after the last.
    ///
    /// # Errors
    /// Of the input.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        self.line.clear();
        let mut too_long = false;
        let mut any = false;
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                if !any {
                    return Ok(None);
                }
                self.unterminated = true;
                break;
            }
            any = true;
            let end = if self.cr { memchr::memchr2(b'\n', b'\r', buffer) } else { memchr::memchr(b'\n', buffer) };
            let part = &buffer[..end.unwrap_or(buffer.len())];
            // One octet more than the bound is kept, for the CR of a CR LF.
            let room = (self.max + 1).saturating_sub(self.line.len());
            too_long |= part.len() > room;
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            let used = end.map_or(buffer.len(), |at| at + 1);
            self.input.consume(used);
            if end.is_some() {
                break;
            }
        }
        self.number += 1;
        while self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        if too_long || self.line.len() > self.max {
            self.line.truncate(self.max);
            return Ok(Some((self.number, Line::TooLong(&self.line))));
        }
        let line = match str::from_utf8(&self.line) {
            Ok(text) => Line::Text(text),
            Err(error) => Line::NotUtf8(&self.line, error.valid_up_to()),
        };
        Ok(Some((self.number, line)))
    }
}

/// A line without its comment and the blanks around it; `None` if nothing is left. `!` begins a comment only at the
/// beginning, `#` and `;` also behind a blank.
pub(super) fn content(line: &str) -> Option<&str> {
    let text = line.trim();
    match text.bytes().next() {
        None | Some(b'#' | b'!' | b';') => return None,
        Some(_) => {}
    }
    for at in memchr::memchr2_iter(b'#', b';', text.as_bytes()) {
        if text[..at].ends_with(char::is_whitespace) {
            return Some(text[..at].trim_end());
        }
    }
    Some(text)
}

/// Column in octets, from 1, of a part of a line.
pub(super) fn column(line: &str, part: &str) -> usize {
    // Both are slices of one buffer; were they not, the column is 1.
    let at = (part.as_ptr() as usize).wrapping_sub(line.as_ptr() as usize);
    if at <= line.len() { at + 1 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &[u8], max: usize, cr: bool, capacity: usize) -> (Vec<String>, bool) {
        let mut lines = Lines::new(io::BufReader::with_capacity(capacity, input), max, cr);
        let mut seen = Vec::new();
        while let Some((_, line)) = lines.next().expect("memory reads") {
            seen.push(match line {
                Line::Text(text) => text.to_owned(),
                Line::NotUtf8(_, at) => format!("<not UTF-8 at {at}>"),
                Line::TooLong(start) => format!("<long {}>", start.len()),
            });
        }
        assert_eq!(seen.len() as u64, lines.number());
        (seen, lines.unterminated())
    }

    #[test]
    fn ends_of_all_kinds_at_any_buffer_size() {
        for capacity in [1, 2, 3, 7, 1024] {
            assert_eq!(all(b"a\r\nb\n\nc\r\r\nd", 64, false, capacity), (["a", "b", "", "c", "d"].map(str::to_owned).to_vec(), true));
            assert_eq!(all(b"a\rb\rc\r", 64, true, capacity), (["a", "b", "c"].map(str::to_owned).to_vec(), false));
            assert_eq!(all(b"", 64, false, capacity), (vec![], false));
            assert_eq!(all(b"ab\xffc\n", 64, false, capacity), (vec!["<not UTF-8 at 2>".to_owned()], false));
            let long = [b"x".repeat(200), b"\nok\n".to_vec(), b"y".repeat(64), b"\r\n".to_vec(), b"z".repeat(65)].concat();
            let expected = vec!["<long 64>".to_owned(), "ok".to_owned(), "y".repeat(64), "<long 64>".to_owned()];
            assert_eq!(all(&long, 64, false, capacity), (expected, true));
        }
    }

    #[test]
    fn a_line_without_end_costs_no_memory() {
        use std::io::Read as _;
        let endless = io::repeat(b'x').take(64 << 20).chain(&b"\na.example\n"[..]);
        let mut lines = Lines::new(io::BufReader::new(endless), 8 * 1024, false);
        assert!(matches!(lines.next(), Ok(Some((1, Line::TooLong(start)))) if start.len() == 8 * 1024));
        assert_eq!(lines.next().expect("memory reads"), Some((2, Line::Text("a.example"))));
        assert!(lines.line.capacity() <= 2 * (8 * 1024 + 1), "{}", lines.line.capacity());
    }

    #[test]
    fn comments_need_a_blank_before_them() {
        for (line, left) in [
            ("  a.example  ", Some("a.example")),
            ("# c", None),
            ("! c", None),
            ("; c", None),
            (" \t", None),
            ("a.example # c", Some("a.example")),
            ("a.example\t; c # d", Some("a.example")),
            ("a.example#c", Some("a.example#c")),
            ("a.example#c #d", Some("a.example#c")),
            ("a.example ! c", Some("a.example ! c")),
            ("\u{a0}a.example\u{3000}", Some("a.example")),
        ] {
            assert_eq!(content(line), left, "{line:?}");
        }
        let line = "  ab cd";
        assert_eq!(column(line, &line[5..]), 6);
    }
}
