//! Where a reader's entries and issues go: the sink, the counts, the first issues.

use crate::list::{Attributes, EntryError, Kind, Rule, TargetError, quoted};

use super::{Exceptions, ISSUES_KEPT, Issue, Item, LeftOut, ReadError, ReadOptions, Summary, Wildcards, lines::Line};

/// What a rule of a foreign file is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Block,
    /// In spite of what blocks: an exception.
    Allow,
}

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
    pub(super) exceptions: Exceptions,
    /// The file in the archive that is being read.
    pub(super) file: String,
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
            exceptions: options.exceptions,
            file: String::new(),
            summary: Summary::default(),
        })
    }

    /// From here on entries that bring no attributes get these.
    pub(super) fn set_attributes(&mut self, attributes: &Attributes) -> Result<(), EntryError> {
        self.default.clear();
        attributes.write(&mut self.default)
    }

    /// Hands on a rule of a foreign file, if rules of this sort are asked for; counts it if not, reports it if it is no rule.
    pub(super) fn entry<E>(&mut self, verdict: Verdict, kind: Kind, target: &str, place: Place<'_>) -> Result<(), E>
    where
        F: FnMut(Item<'_>) -> Result<(), E>,
    {
        self.entry_by(verdict, place, |out| out.rule(kind, target))
    }

    /// As [`Out::entry`] for a name that means exactly that host, or what the options say ([`Out::host`]).
    pub(super) fn bare<E>(&mut self, verdict: Verdict, name: &str, place: Place<'_>) -> Result<(), E>
    where
        F: FnMut(Item<'_>) -> Result<(), E>,
    {
        self.entry_by(verdict, place, |out| out.host(name))
    }

    /// As [`Out::entry`] for the beginning of URLs ([`Out::prefix`]).
    pub(super) fn prefix_entry<E>(&mut self, verdict: Verdict, target: &str, place: Place<'_>) -> Result<(), E>
    where
        F: FnMut(Item<'_>) -> Result<(), E>,
    {
        self.entry_by(verdict, place, |out| out.prefix(target))
    }

    fn entry_by<E>(&mut self, verdict: Verdict, place: Place<'_>, rule: impl FnOnce(&mut Self) -> Result<(), TargetError>) -> Result<(), E>
    where
        F: FnMut(Item<'_>) -> Result<(), E>,
    {
        if self.takes(verdict, place) {
            match rule(self) {
                Ok(()) => return self.put(None),
                Err(error) => self.refuse(place, &error),
            }
        }
        Ok(())
    }

    /// Whether rules of this sort are asked for; counts the rule if not.
    pub(super) fn takes(&mut self, verdict: Verdict, place: Place<'_>) -> bool {
        match (verdict, self.exceptions) {
            (Verdict::Allow, Exceptions::LeaveOut) => self.leave_out("exception", place),
            (Verdict::Block, Exceptions::Only) => self.leave_out("rule that blocks", place),
            _ => return true,
        }
        false
    }

    /// Counts what the format can say and a list cannot hold. `sort`: one of few words.
    pub(super) fn leave_out(&mut self, sort: &'static str, place: Place<'_>) {
        match self.summary.left_out.get_mut(sort) {
            Some(left) => left.count += 1,
            None => {
                let left = LeftOut { count: 1, line: place.line, file: self.file.clone(), text: quoted(place.text) };
                self.summary.left_out.insert(sort.to_owned(), left);
            }
        }
    }

    /// Makes the rule of the entry to come; [`Out::put`] hands it on.
    pub(super) fn rule(&mut self, kind: Kind, target: &str) -> Result<(), TargetError> {
        self.line.clear();
        Rule::write(kind, target, &mut self.line)
    }

    /// As [`Out::rule`] for a beginning of URLs that is compared as text where it comes from: dot segments, which the
    /// canonical form takes out, would leave a beginning that is wider.
    pub(super) fn prefix(&mut self, target: &str) -> Result<(), TargetError> {
        if has_dot_segment(target) {
            return Err(TargetError::PrefixEnd(quoted(target)));
        }
        self.rule(Kind::Prefix, target)
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
            self.summary.issues.push(Issue { file: self.file.clone(), line: place.line, column, reason, hint, text: quoted(place.text) });
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

/// Whether a segment of the path is `.` or `..`, in any spelling.
fn has_dot_segment(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.split(['/', '\\']).skip(1).any(|segment| {
        segment.len() <= 6 && segment.starts_with(['.', '%']) && matches!(&*segment.to_ascii_lowercase().replace("%2e", "."), "." | "..")
    })
}

#[cfg(test)]
mod tests {
    use super::has_dot_segment;

    #[test]
    fn dot_segments_are_seen_in_every_spelling() {
        for url in ["a.example/x/..", "a.example/./x", "a.example/%2E./", "a.example/x\\..\\y", "a.example/%2e?x", "a.example/."] {
            assert!(has_dot_segment(url), "{url}");
        }
        for url in ["a.example/", "a.example/.hidden", "a.example/a..b/...", "a.example/x?/../", "a.example", "..example/a"] {
            assert!(!has_dot_segment(url), "{url}");
        }
    }
}
