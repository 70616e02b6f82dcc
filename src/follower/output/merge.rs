//! The entry lines of several lists as those of one.
//!
//! Guarantees: lines come in canonical order; a rule that several lists hold comes once, and asks for as much as the list that
//! asks for most; every pass reads to the end of each list, whose digest is compared there.

use std::io;

use crate::formats::write::Lines;
use crate::list::{Action, Attributes, Entry, Rule};

use super::super::state::{Sorted, View};

/// Views of several lists of one colour, to be gone through as one.
pub(super) struct Merged<'v> {
    views: &'v mut [View],
    /// Which of the views could not be read, or was not what it should be.
    pub damaged: Option<usize>,
}

impl<'v> Merged<'v> {
    pub fn new(views: &'v mut [View]) -> Merged<'v> {
        Merged { views, damaged: None }
    }

    /// Lines of all, those counted more than once that several lists hold.
    pub fn entries(&self) -> u64 {
        self.views.iter().map(|v| v.content.entries()).sum()
    }
}

/// One list as it is read.
struct Head<'v> {
    lines: Sorted<'v>,
    line: Option<String>,
    read: u64,
    due: u64,
}

impl Head<'_> {
    /// Reads the next line; at the end, whether there were as many as are due.
    fn next(&mut self) -> io::Result<()> {
        let mut buffer = self.line.take().unwrap_or_default();
        match self.lines.next_line()? {
            Some(line) => {
                self.read += 1;
                buffer.clear();
                buffer.push_str(line);
                self.line = Some(buffer);
            }
            None if self.read != self.due => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} lines where {} are due", self.read, self.due)));
            }
            None => {}
        }
        Ok(())
    }
}

fn rule_of(line: &str) -> &str {
    line.split_once('\t').map_or(line, |(rule, _)| rule)
}

impl Lines for Merged<'_> {
    fn pass(&mut self, take: &mut dyn FnMut(&str) -> io::Result<()>) -> io::Result<()> {
        let mut heads = Vec::with_capacity(self.views.len());
        let damaged = &mut self.damaged;
        let mut blame = |n: usize, error: io::Error| {
            *damaged = Some(n);
            error
        };
        for (n, view) in self.views.iter_mut().enumerate() {
            let due = view.content.entries();
            let mut head = Head { lines: view.sorted().map_err(|e| blame(n, e))?, line: None, read: 0, due };
            head.next().map_err(|e| blame(n, e))?;
            heads.push(head);
        }
        let mut merged = String::new();
        loop {
            let first = heads.iter().enumerate().filter_map(|(n, h)| Some((rule_of(h.line.as_deref()?), n))).min();
            let Some((rule, first)) = first else { return Ok(()) };
            let alike: Vec<usize> =
                if heads.len() == 1 { Vec::new() } else { (first + 1..heads.len()).filter(|n| is_of(&heads[*n], rule)).collect() };
            let line = heads[first].line.as_deref().unwrap_or_default();
            if alike.is_empty() {
                take(line)?;
            } else {
                line.clone_into(&mut merged);
                for n in &alike {
                    merged = together(&merged, heads[*n].line.as_deref().unwrap_or_default());
                }
                take(&merged)?;
            }
            for n in std::iter::once(first).chain(alike) {
                heads[n].next().map_err(|e| blame(n, e))?;
            }
        }
    }
}

fn is_of(head: &Head<'_>, rule: &str) -> bool {
    head.line.as_deref().is_some_and(|line| rule_of(line) == rule)
}

/// Two lines of one rule as one: of a category if one of them is, for whoever one of them is for.
fn together(one: &str, other: &str) -> String {
    let parse = |line: &str| line.split_once('\t').map_or(Ok(Attributes::default()), |(_, text)| Attributes::parse(text));
    let (Ok(mut a), Ok(b)) = (parse(one), parse(other)) else { return one.to_owned() };
    // Without a category an entry is of every selection.
    if a.categories.is_empty() || b.categories.is_empty() {
        a.categories.clear();
    } else {
        a.categories.extend(b.categories);
        a.categories.sort_unstable();
        a.categories.dedup();
    }
    a.age = a.age.zip(b.age).map(|(a, b)| a.max(b));
    let strength = |action: Option<Action>| match action {
        None => 3,
        Some(Action::Block) => 2,
        Some(Action::Warn) => 1,
        Some(Action::Log) => 0,
    };
    if strength(b.action) > strength(a.action) {
        a.action = b.action;
    }
    let rule = Rule::interpret(rule_of(one)).map(|rule| Entry::new(&rule, &a));
    // More categories than a line may hold: of every selection then.
    match rule {
        Ok(Ok(entry)) => entry.line().to_owned(),
        Ok(Err(_)) => rule_of(one).to_owned(),
        Err(_) => one.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_rule_of_two_lists_asks_for_as_much_as_either() {
        let both = together("domain:a.example\tcat=b\tage=16\tact=warn", "domain:a.example\tcat=a,b\tage=18\tact=block");
        assert_eq!(both, "domain:a.example\tcat=a,b\tage=18\tact=block");
        assert_eq!(together("domain:a.example\tcat=b\tage=16", "domain:a.example"), "domain:a.example");
        assert_eq!(together("domain:a.example", "domain:a.example\tact=log"), "domain:a.example");
    }
}
