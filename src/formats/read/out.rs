//! Where a reader's entries and issues go: the sink, the counts, the first issues.

use crate::list::{Attributes, EntryError, Kind, Rule, TargetError, quoted};

use super::{ISSUES_KEPT, Issue, Item, ReadError, ReadOptions, Summary, Wildcards, lines::Line};

/// The place of a word: its line's number, its column in octets from 1, and the word.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) line: u64,
    pub(super) column: usize,
    pub(super) text: &'a str,
}

/// Makes canonical lines in one reused buffer, hands them to the sink and keeps count.
pub(super) struct Out<F> {
    sink: F,
    line: String,
    /// Attributes for entries that bring none, as they stand in a line.
    default: String,
    pub(super) subtree: bool,
    pub(super) wildcards: Wildcards,
    pub(super) summary: Summary,
}

impl<F> Out<F> {
    pub(super) fn new(options: &ReadOptions, sink: F) -> Result<Self, ReadError> {
        let mut default = String::new();
        options.attributes.write(&mut default)?;
        Ok(Out {
            sink,
            line: String::with_capacity(256),
            default,
            subtree: options.subtree,
            wildcards: options.wildcards,
            summary: Summary::default(),
        })
    }

    /// Makes the rule of the entry to come; [`Out::put`] hands it on.
    pub(super) fn rule(&mut self, kind: Kind, target: &str) -> Result<(), TargetError> {
        self.line.clear();
        Rule::write(kind, target, &mut self.line)
    }

    /// As [`Out::rule`] for a bare host: exact, or what the options say of scope and of wildcards.
    pub(super) fn host(&mut self, name: &str) -> Result<(), TargetError> {
        if self.wildcards == Wildcards::Subtree
            && let Some(rest) = name.strip_prefix("*.").or_else(|| name.strip_prefix('.'))
        {
            return self.rule(Kind::Subtree, rest);
        }
        self.rule(if self.subtree { Kind::Subtree } else { Kind::Domain }, name)
    }

    /// Hands the rule made last on as an entry. `attributes`: as they stand in a line behind the first TAB, checked;
    /// `None`: those of the options.
    pub(super) fn put<E>(&mut self, attributes: Option<&str>) -> Result<(), E>
    where
        F: FnMut(Item<'_>) -> Result<(), E>,
    {
        match attributes {
            Some(text) => {
                self.line.push('\t');
                self.line.push_str(text);
            }
            None => self.line.push_str(&self.default),
        }
        self.summary.entries += 1;
        (self.sink)(Item::Put(&self.line))
    }

    /// As [`Out::put`], with attributes as a value; out of range they are an error and nothing is handed on.
    pub(super) fn put_with<E>(&mut self, attributes: &Attributes) -> Result<Result<(), EntryError>, E>
    where
        F: FnMut(Item<'_>) -> Result<(), E>,
    {
        if let Err(error) = attributes.write(&mut self.line) {
            return Ok(Err(error));
        }
        self.summary.entries += 1;
        (self.sink)(Item::Put(&self.line)).map(Ok)
    }

    /// Hands on a removal.
    pub(super) fn remove<E>(&mut self, rule: &Rule) -> Result<(), E>
    where
        F: FnMut(Item<'_>) -> Result<(), E>,
    {
        self.summary.removals += 1;
        (self.sink)(Item::Remove(rule.as_str()))
    }

    /// Counts a line that says nothing.
    pub(super) fn comment(&mut self) {
        self.summary.comments += 1;
    }

    /// Takes the text of a line, or reports why there is none.
    pub(super) fn text<'a>(&mut self, number: u64, line: Line<'a>) -> Option<&'a str> {
        let (bytes, at, reason, hint) = match line {
            Line::Text(text) => return Some(text),
            Line::NotUtf8(bytes, at) => (bytes, at, "not UTF-8", "save the file as UTF-8, or correct the name"),
            Line::TooLong(bytes) => (bytes, 0, "the line is too long, it was skipped to its end", "put one rule on a line"),
        };
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(400)]);
        self.issue(Place { line: number, column: at + 1, text: &text }, || (reason.to_owned(), hint.to_owned()));
        None
    }

    /// Reports an issue; the texts are only made for those that are kept.
    pub(super) fn issue(&mut self, place: Place<'_>, texts: impl FnOnce() -> (String, String)) {
        self.summary.issues_total += 1;
        if self.summary.issues.len() < ISSUES_KEPT {
            let (reason, hint) = texts();
            let column = u32::try_from(place.column).unwrap_or(u32::MAX);
            self.summary.issues.push(Issue { line: place.line, column, reason, hint, text: quoted(place.text) });
        }
    }

    /// Reports a refused target; the column is that of the character, where it is one that is wrong.
    pub(super) fn refuse(&mut self, mut place: Place<'_>, error: &TargetError) {
        if let TargetError::Character { character, .. } = error {
            place.column += place.text.find(*character).unwrap_or(0);
        }
        self.issue(place, || error.reason_and_hint());
    }

    /// Reports an issue of fixed words.
    pub(super) fn say(&mut self, place: Place<'_>, reason: &str, hint: &str) {
        self.issue(place, || (reason.to_owned(), hint.to_owned()));
    }
}
