//! Records of a master file (RFC 1035 section 5), one after the other.
//!
//! Guarantees: holds one record, within the bound of a line whatever the parentheses say. It knows nothing of names and
//! origins: that is [`super::rpz`].

use super::{
    Item,
    out::{Out, Place},
};

/// Most lines of a record in parentheses.
const MOST_LINES: u64 = 100;
/// Most words of a record.
const MOST_WORDS: usize = 256;

/// Puts records together from lines.
pub(super) struct Records {
    text: String,
    /// Where each word ends in `text`.
    ends: Vec<usize>,
    /// Line on which it began.
    line: u64,
    /// The line began with a blank: the owner is that of the record before.
    same_owner: bool,
    depth: u32,
    max: usize,
}

/// A whole record, in words.
pub(super) struct Record<'a> {
    records: &'a Records,
}

impl Records {
    /// `max`: the most octets of a record.
    pub(super) fn new(max: usize) -> Self {
        Records { text: String::new(), ends: Vec::new(), line: 0, same_owner: false, depth: 0, max }
    }

    /// Takes a line; a record is complete, or not, or the line is an issue, which `out` is told.
    pub(super) fn push<E, F>(&mut self, number: u64, raw: &str, out: &mut Out<F>) -> Option<Record<'_>>
    where
        F: FnMut(Item<'_>) -> Result<(), E>,
    {
        if self.depth == 0 {
            self.text.clear();
            self.ends.clear();
            self.line = number;
            self.same_owner = raw.starts_with([' ', '\t']);
        }
        let place = Place { line: number, column: 1, text: raw };
        if let Err((reason, hint)) = self.words(raw) {
            self.depth = 0;
            out.say(place, reason, hint);
            return None;
        }
        if self.depth > 0 {
            if number - self.line >= MOST_LINES || self.text.len() > self.max || self.ends.len() > MOST_WORDS {
                self.depth = 0;
                out.say(
                    place,
                    "a record in parentheses that does not end",
                    "close the parenthesis; the lines since it opened are not read",
                );
            }
            return None;
        }
        if self.ends.is_empty() {
            out.comment();
            return None;
        }
        Some(Record { records: self })
    }

    /// The line on which a record began that is not complete.
    pub(super) fn open(&self) -> Option<u64> {
        (self.depth > 0).then_some(self.line)
    }

    fn words(&mut self, raw: &str) -> Result<(), (&'static str, &'static str)> {
        let mut rest = raw;
        loop {
            rest = rest.trim_start();
            match rest.as_bytes().first() {
                None | Some(b';') => return Ok(()),
                Some(b'(') => {
                    self.depth += 1;
                    rest = &rest[1..];
                }
                Some(b')') => {
                    self.depth =
                        self.depth.checked_sub(1).ok_or(("a parenthesis that was not opened", "write ( before the record goes on"))?;
                    rest = &rest[1..];
                }
                Some(b'"') => {
                    let end = word_end(&rest[1..], |c| c == '"').filter(|end| *end < rest.len() - 1);
                    let end = end.ok_or(("a quote that does not end", "close the quote on its line"))?;
                    self.push_word(&rest[1..=end]);
                    rest = &rest[end + 2..];
                }
                Some(_) => {
                    let end = word_end(rest, |c| c.is_whitespace() || matches!(c, ';' | '(' | ')' | '"')).unwrap_or(rest.len());
                    self.push_word(&rest[..end]);
                    rest = &rest[end..];
                }
            }
        }
    }

    fn push_word(&mut self, word: &str) {
        // One more than is allowed tells that there are too many.
        if self.ends.len() <= MOST_WORDS && self.text.len() <= self.max {
            self.text.push_str(word);
            self.ends.push(self.text.len());
        }
    }
}

/// Where a word ends; a character behind a backslash never ends one.
fn word_end(text: &str, ends: impl Fn(char) -> bool) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if ends(c) => return Some(at),
            _ => {}
        }
    }
    None
}

impl Record<'_> {
    /// Line on which it began.
    pub(super) fn line(&self) -> u64 {
        self.records.line
    }

    /// Whether its owner is that of the record before.
    pub(super) fn same_owner(&self) -> bool {
        self.records.same_owner
    }

    /// The words, quotes taken off, escapes as they are.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        let mut from = 0;
        self.records.ends.iter().map(move |end| {
            let word = &self.records.text[from..*end];
            from = *end;
            word
        })
    }
}
