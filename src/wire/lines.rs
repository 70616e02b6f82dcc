//! Reading of header lines, strictly: `word value`, in a fixed order, each ended by one LF.
//!
//! Every text of the protocol begins with such lines. There is one way to write each, so nothing is skipped, trimmed or
//! repaired here.

use std::{fmt::Display, str::FromStr};

use super::WireError;

/// Largest number of the protocol: fits into a signed 64-bit integer in any language.
const MAX_NUMBER: u64 = i64::MAX as u64;

/// Walks over the lines of a text and knows where it is.
pub(super) struct Lines<'a> {
    what: &'static str,
    rest: &'a str,
    line: u64,
}

impl<'a> Lines<'a> {
    /// Begins before the first line of `text`, a document called `what` in messages.
    pub(super) fn new(what: &'static str, text: &'a str) -> Self {
        Lines { what, rest: text, line: 0 }
    }

    /// An error at the line read last.
    pub(super) fn error(&self, reason: impl Into<String>) -> WireError {
        WireError::Line { what: self.what, line: self.line, reason: reason.into() }
    }

    /// Whether nothing is left.
    pub(super) fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// The line that comes next, without its LF, not consumed; empty at the end.
    pub(super) fn peek(&self) -> &'a str {
        self.rest.split_once('\n').map_or("", |(line, _)| line)
    }

    /// The next line without its LF.
    pub(super) fn line(&mut self) -> Result<&'a str, WireError> {
        self.line += 1;
        if self.rest.is_empty() {
            return Err(self.error("the text ends here; more lines were expected"));
        }
        let (line, rest) = self.rest.split_once('\n').ok_or_else(|| self.error("the last line does not end with LF"))?;
        self.rest = rest;
        Ok(line)
    }

    /// A line that must read exactly so.
    pub(super) fn exactly(&mut self, expected: &str) -> Result<(), WireError> {
        if self.line()? == expected { Ok(()) } else { Err(self.error(format!("expected \"{expected}\""))) }
    }

    /// The part behind `word` and one space.
    pub(super) fn field(&mut self, word: &str) -> Result<&'a str, WireError> {
        let line = self.line()?;
        line.strip_prefix(word)
            .and_then(|rest| rest.strip_prefix(' '))
            .filter(|value| !value.is_empty())
            .ok_or_else(|| self.error(format!("expected \"{word}\", one space and a value")))
    }

    /// A field read by `FromStr`.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&mut self, word: &str) -> Result<T, WireError> {
        let text = self.field(word)?;
        self.value(text)
    }

    /// A part of the line read last, by `FromStr`.
    pub(super) fn value<T: FromStr<Err: Display>>(&self, text: &str) -> Result<T, WireError> {
        text.parse().map_err(|e: T::Err| self.error(e.to_string()))
    }

    /// A field that is a number.
    pub(super) fn number(&mut self, word: &str) -> Result<u64, WireError> {
        let text = self.field(word)?;
        self.as_number(text)
    }

    /// A part of the line read last, as a number.
    pub(super) fn as_number(&self, text: &str) -> Result<u64, WireError> {
        number(text).ok_or_else(|| self.error("expected a number from 0 to 9223372036854775807, without sign or leading zeros"))
    }

    /// Nothing may follow.
    pub(super) fn end(&mut self) -> Result<(), WireError> {
        if self.at_end() {
            return Ok(());
        }
        self.line += 1;
        Err(self.error("the text should end before this line"))
    }
}

/// A decimal number without sign or leading zeros, at most 2^63-1.
pub(super) fn number(text: &str) -> Option<u64> {
    let canonical =
        !text.is_empty() && text.len() <= 19 && text.bytes().all(|c| c.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if !canonical {
        return None;
    }
    text.parse().ok().filter(|n| *n <= MAX_NUMBER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_in_one_way() {
        for (text, value) in [("0", 0), ("7", 7), ("10", 10), ("9223372036854775807", MAX_NUMBER)] {
            assert_eq!(number(text), Some(value));
        }
        for text in ["", "00", "01", "+1", "-1", " 1", "1 ", "1_0", "9223372036854775808", "18446744073709551616", "0x1", "\u{661}"] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_line_number_is_that_of_the_fault() {
        let mut lines = Lines::new("text", "a 1\nb 2\n");
        assert_eq!(lines.number("a").unwrap(), 1);
        let error = lines.field("c").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("\"c\""), "{error}");
        lines.end().unwrap();
        assert!(lines.line().is_err());
        assert!(Lines::new("text", "no end").line().is_err());
        assert!(Lines::new("text", "a  1\n").number("a").is_err(), "two spaces");
        assert!(Lines::new("text", "a 1\r\n").number("a").is_err(), "CR LF");
    }
}
