//! Streams of lines in order of the rule, and the two merges the publisher is made of: what to stage, and what a list
//! holds after what is staged. Neither holds more than a line of each stream.

use std::collections::btree_map;
use std::io;

use crate::list::rule_of;
use crate::store::{Sorted, VersionLines};

/// Lines in order of the rule, each rule once: entry lines, or change lines (sign first).
pub(super) trait Lines {
    /// The next line, without LF.
    fn next_line(&mut self) -> io::Result<Option<&str>>;
}

impl Lines for Sorted {
    fn next_line(&mut self) -> io::Result<Option<&str>> {
        Sorted::next_line(self)
    }
}

impl Lines for VersionLines<'_> {
    fn next_line(&mut self) -> io::Result<Option<&str>> {
        VersionLines::next_line(self)
    }
}

/// Change lines that lie in memory, by rule.
pub(super) type SmallChanges = std::collections::BTreeMap<Box<str>, Box<str>>;

impl Lines for btree_map::Values<'_, Box<str>, Box<str>> {
    fn next_line(&mut self) -> io::Result<Option<&str>> {
        Ok(self.next().map(|line| &**line))
    }
}

/// No lines.
pub(super) struct NoLines;

impl Lines for NoLines {
    fn next_line(&mut self) -> io::Result<Option<&str>> {
        Ok(None)
    }
}

impl<L: Lines + ?Sized> Lines for &mut L {
    fn next_line(&mut self) -> io::Result<Option<&str>> {
        (**self).next_line()
    }
}

impl<L: Lines + ?Sized> Lines for Box<L> {
    fn next_line(&mut self) -> io::Result<Option<&str>> {
        (**self).next_line()
    }
}

/// A stream with its next line in hand.
pub(super) struct Ahead<L> {
    lines: L,
    /// Octets of sign before the rule.
    signed: usize,
    line: String,
    rule_end: usize,
    there: bool,
}

impl<L: Lines> Ahead<L> {
    pub(super) fn new(lines: L, signed: bool) -> io::Result<Ahead<L>> {
        let mut ahead = Ahead { lines, signed: usize::from(signed), line: String::with_capacity(256), rule_end: 0, there: true };
        ahead.advance()?;
        Ok(ahead)
    }

    pub(super) fn advance(&mut self) -> io::Result<()> {
        self.line.clear();
        match self.lines.next_line()? {
            Some(line) => {
                self.line.push_str(line);
                self.rule_end = memchr::memchr(b'\t', line.as_bytes()).unwrap_or(line.len());
            }
            None => self.there = false,
        }
        Ok(())
    }

    /// Hands on every line that is left, without a look at any other stream.
    fn rest<E: From<io::Error>>(&mut self, mut each: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
        if self.there {
            each(&self.line)?;
            while let Some(line) = self.lines.next_line()? {
                each(line)?;
            }
            self.there = false;
        }
        Ok(())
    }

    pub(super) fn rule(&self) -> Option<&str> {
        self.there.then(|| &self.line[self.signed..self.rule_end])
    }

    /// The line if it is of this rule.
    pub(super) fn at(&self, rule: &str) -> Option<&str> {
        (self.rule() == Some(rule)).then_some(&*self.line)
    }
}

pub(super) fn least(rules: [Option<&str>; 3]) -> Option<&str> {
    rules.into_iter().flatten().min()
}

/// What [`stage`] tells of a rule.
pub(super) enum Outcome<'a> {
    /// The rule is to change: sign and body of its change line.
    Change(&'static str, &'a str),
    /// It was asked for, but the list is so already.
    Unchanged,
    /// It may not be: the change line staged for it stays as it was (`None`: nothing is).
    Refused(Option<&'a str>),
}

/// What will be staged when `incoming` (change lines with `+` or `-`) comes on top of what is `staged` against the
/// `published` entries. With `replace` the list shall be what `incoming` puts and nothing else. `refuses` looks at each
/// entry that would newly come in.
pub(super) fn stage<E: From<io::Error>>(
    published: impl Lines,
    staged: impl Lines,
    incoming: impl Lines,
    replace: bool,
    mut refuses: impl FnMut(&str) -> bool,
    mut out: impl FnMut(Outcome<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut published = Ahead::new(published, false)?;
    let mut staged = Ahead::new(staged, true)?;
    let mut incoming = Ahead::new(incoming, true)?;
    let mut rule = String::new();
    loop {
        // An empty list, or one whose names all come before: nothing to compare with.
        if !published.there && !staged.there {
            return incoming.rest(|line| match line.split_at(1) {
                ("-", _) => out(Outcome::Unchanged),
                (_, new) if refuses(new) => out(Outcome::Refused(None)),
                (_, new) => out(Outcome::Change("+", new)),
            });
        }
        let Some(next) = least([published.rule(), staged.rule(), incoming.rule()]) else { return Ok(()) };
        rule.clear();
        rule.push_str(next);
        let (p, s, i) = (published.at(&rule), staged.at(&rule), incoming.at(&rule));
        let put = |line: &'_ str| !line.starts_with('-');
        let effective = match s {
            Some(change) => put(change).then(|| &change[1..]),
            None => p,
        };
        let target = match i {
            Some(line) => put(line).then(|| &line[1..]),
            None if replace => None,
            None => effective,
        };
        match (p, target) {
            (None, None) if i.is_some() && effective.is_none() => out(Outcome::Unchanged)?,
            (None, None) => {}
            (Some(old), Some(new)) if old == new => {
                if i.is_some() {
                    out(Outcome::Unchanged)?;
                }
            }
            (_, Some(new)) if i.is_some() && refuses(new) => out(Outcome::Refused(s))?,
            (Some(_), Some(new)) => out(Outcome::Change("~", new))?,
            (None, Some(new)) => out(Outcome::Change("+", new))?,
            (Some(_), None) => out(Outcome::Change("-", &rule))?,
        }
        let (p, s, i) = (p.is_some(), s.is_some(), i.is_some());
        if p {
            published.advance()?;
        }
        if s {
            staged.advance()?;
        }
        if i {
            incoming.advance()?;
        }
    }
}

/// The `published` entries after `changes`, strictly; those that are removed or replaced go to `gone`.
pub(super) fn apply<E: From<io::Error>>(
    published: impl Lines,
    changes: impl Lines,
    mut out: impl FnMut(&str) -> Result<(), E>,
    mut gone: impl FnMut(&str) -> Result<(), E>,
) -> Result<(), E> {
    let mut published = Ahead::new(published, false)?;
    let mut changes = Ahead::new(changes, true)?;
    loop {
        if !published.there {
            return changes.rest(|line| match line.split_at(1) {
                ("+", new) => out(new),
                (sign, body) => Err(misfit(sign, rule_of(body)).into()),
            });
        }
        let Some(change) = changes.rule() else { return published.rest(out) };
        while published.rule().is_some_and(|rule| rule < change) {
            out(&published.line)?;
            published.advance()?;
        }
        let present = published.at(change).is_some();
        let (sign, body) = changes.line.split_at(1);
        if present == (sign == "+") {
            return Err(misfit(sign, change).into());
        }
        if sign != "-" {
            out(body)?;
        }
        if present {
            gone(&published.line)?;
            published.advance()?;
        }
        changes.advance()?;
    }
}

fn misfit(sign: &str, rule: &str) -> io::Error {
    let reason = format!("the change \"{sign}\" of {rule} does not fit the list; run `bwld check`");
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// Change lines with those of a later stream on top: of equal rules the later one's, and the earlier one is counted.
pub(super) struct Over<A, B> {
    earlier: Ahead<A>,
    later: Ahead<B>,
    /// What was handed out last must be passed first.
    passed: (bool, bool),
    /// Lines of the earlier stream that gave way.
    pub(super) duplicates: u64,
}

impl<A: Lines, B: Lines> Over<A, B> {
    pub(super) fn new(earlier: A, later: B) -> io::Result<Self> {
        Ok(Over { earlier: Ahead::new(earlier, true)?, later: Ahead::new(later, true)?, passed: (false, false), duplicates: 0 })
    }
}

impl<A: Lines, B: Lines> Lines for Over<A, B> {
    fn next_line(&mut self) -> io::Result<Option<&str>> {
        if self.passed.0 {
            self.earlier.advance()?;
        }
        if self.passed.1 {
            self.later.advance()?;
        }
        let order = match (self.earlier.rule(), self.later.rule()) {
            (None, None) => {
                self.passed = (false, false);
                return Ok(None);
            }
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(a), Some(b)) => a.cmp(b),
        };
        self.passed = (order.is_le(), order.is_ge());
        self.duplicates += u64::from(order.is_eq());
        Ok(Some(if order.is_lt() { &self.earlier.line } else { &self.later.line }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    impl Lines for std::vec::IntoIter<String> {
        fn next_line(&mut self) -> io::Result<Option<&str>> {
            // Leaks: a test.
            Ok(self.next().map(|line| &*line.leak()))
        }
    }

    type Model = BTreeMap<String, String>;

    fn model() -> impl Strategy<Value = Model> {
        proptest::collection::btree_map(0u8..30, 0u8..3, 0..30).prop_map(|map| {
            map.into_iter().map(|(n, c)| (format!("domain:{n:02}.example"), format!("domain:{n:02}.example\tcat=c{c}"))).collect()
        })
    }

    fn diff(from: &Model, to: &Model) -> Vec<String> {
        let mut lines = Model::new();
        for (rule, line) in to {
            match from.get(rule) {
                None => lines.insert(rule.clone(), format!("+{line}")),
                Some(old) if old != line => lines.insert(rule.clone(), format!("~{line}")),
                Some(_) => None,
            };
        }
        for rule in from.keys().filter(|r| !to.contains_key(*r)) {
            lines.insert(rule.clone(), format!("-{rule}"));
        }
        lines.into_values().collect()
    }

    fn lines(model: &Model) -> std::vec::IntoIter<String> {
        model.values().cloned().collect::<Vec<_>>().into_iter()
    }

    proptest! {
        #[test]
        fn stages_what_leads_to_the_wish(published in model(), effective in model(), wish in model(), gone in model(), replace: bool) {
            let mut target = if replace { Model::new() } else { effective.clone() };
            let mut incoming = Model::new();
            for rule in gone.keys() {
                incoming.insert(rule.clone(), format!("-{rule}"));
                target.remove(rule);
            }
            for (rule, line) in &wish {
                incoming.insert(rule.clone(), format!("+{line}"));
                target.insert(rule.clone(), line.clone());
            }
            let mut staged = Vec::new();
            stage::<io::Error>(
                lines(&published),
                diff(&published, &effective).into_iter(),
                lines(&incoming),
                replace,
                |_| false,
                |outcome| {
                    if let Outcome::Change(sign, body) = outcome {
                        staged.push(format!("{sign}{body}"));
                    }
                    Ok(())
                },
            ).unwrap();
            prop_assert_eq!(&staged, &diff(&published, &target));

            let mut after = Vec::new();
            let mut gone = Vec::new();
            let kept = |lines: &mut Vec<String>, line: &str| { lines.push(line.to_owned()); Ok(()) };
            apply::<io::Error>(lines(&published), staged.into_iter(), |line| kept(&mut after, line), |line| kept(&mut gone, line)).unwrap();
            let changed = published.iter().filter(|(rule, line)| target.get(*rule) != Some(*line));
            prop_assert_eq!(gone, changed.map(|(_, line)| line.clone()).collect::<Vec<_>>());
            prop_assert_eq!(after, target.into_values().collect::<Vec<_>>());
        }
    }

    #[test]
    fn applies_strictly() {
        let list = || vec!["domain:b.example".to_owned()].into_iter();
        for change in ["+domain:b.example", "-domain:a.example", "~domain:c.example"] {
            let changes = vec![change.to_owned()].into_iter();
            assert!(apply::<io::Error>(list(), changes, |_| Ok(()), |_| Ok(())).is_err(), "{change}");
        }
    }
}
