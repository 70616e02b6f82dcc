//! What is taken of a file as it comes, for a list that holds nothing: the lines in order, which published lists mostly
//! are from end to end.
//!
//! A line that stands before its place in the order waits for it: `sportfogadás.com` stands among the names with `s`, and
//! comes to stand among those with `xn--`. Memory for such lines is bounded. A line that stands behind its place
//! is not taken; somebody else sorts it in.
//!
//! Guarantees: what is sent is in order, each rule once; of equal rules the last one taken is sent, and the screen has let
//! it pass. Every line that was taken is sent, refused or counted as a duplicate when [`Ahead::finish`] has returned.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io;

use super::chunks::LineSender;
use super::guards::Screen;
use super::import::Found;
use super::reading::Lot;
use crate::list::rule_of;

/// Octets of lines that may wait for their place.
const EARLY: usize = 512 << 10;

/// Takes lines as long as they are in order, nearly.
pub(super) struct Ahead<'a> {
    screen: Screen<'a>,
    /// Waits for the next one, which may be of the same rule.
    line: String,
    /// The last rule that is past: what comes must be behind it.
    past: String,
    /// Lines that stood before their place, by rule; all behind `line`.
    early: BTreeMap<Box<str>, Box<str>>,
    early_octets: usize,
    found: Found,
    duplicates: u64,
}

impl<'a> Ahead<'a> {
    pub(super) fn new(screen: Screen<'a>) -> Self {
        let (line, past, early) = (String::new(), String::new(), BTreeMap::new());
        Ahead { screen, line, past, early, early_octets: 0, found: Found::default(), duplicates: 0 }
    }

    /// Takes a line, or says that it is out of order.
    ///
    /// # Errors
    /// Of `sender`.
    pub(super) fn takes(&mut self, line: &str, sender: &mut LineSender) -> io::Result<bool> {
        if !self.line.is_empty() {
            match rule_of(line).cmp(rule_of(&self.line)) {
                Ordering::Greater => self.pass_to(rule_of(line), sender)?,
                Ordering::Equal => self.duplicates += 1,
                // The line that waits stands before its place, not this one behind its own.
                Ordering::Less if rule_of(line) > &*self.past && self.early_octets + self.line.len() <= EARLY => {
                    self.early_octets += self.line.len();
                    self.early.insert(rule_of(&self.line).into(), self.line.as_str().into());
                }
                Ordering::Less => return Ok(false),
            }
        }
        self.line.clear();
        self.line.push_str(line);
        Ok(true)
    }

    /// As [`Ahead::takes`] for a whole lot, without a look at its lines; gives it back if they need one.
    ///
    /// # Errors
    /// Of `sender`.
    pub(super) fn takes_lot(&mut self, mut lot: Lot, sender: &mut LineSender) -> io::Result<Option<Lot>> {
        let between = lot.is_plain()
            && lot.rules().is_some_and(|(first, last)| {
                (self.line.is_empty() || first > rule_of(&self.line)) && self.early.keys().next().is_none_or(|early| last < &**early)
            });
        if !between {
            return Ok(Some(lot));
        }
        self.flush(sender)?;
        lot.pop(&mut self.line);
        if let Some((_, last)) = lot.rules() {
            self.past.clear();
            self.past.push_str(last);
        }
        self.found.take_lot(&lot);
        sender.push_all(lot.into_text())?;
        Ok(None)
    }

    /// Sends all that waits, and gives what was found and how many duplicates there were.
    ///
    /// # Errors
    /// Of `sender`.
    pub(super) fn finish(mut self, sender: &mut LineSender) -> io::Result<(Found, u64)> {
        self.flush(sender)?;
        for (_, line) in std::mem::take(&mut self.early) {
            self.line.clear();
            self.line.push_str(&line);
            self.flush(sender)?;
        }
        Ok((self.found, self.duplicates))
    }

    /// Sends what waits before `rule`; an early line of `rule` itself gives way to the one that comes.
    fn pass_to(&mut self, rule: &str, sender: &mut LineSender) -> io::Result<()> {
        self.flush(sender)?;
        while let Some(first) = self.early.first_entry().filter(|first| &**first.key() <= rule) {
            let (early, line) = first.remove_entry();
            self.early_octets -= line.len();
            if *early == *rule {
                self.duplicates += 1;
                break;
            }
            self.line.clear();
            self.line.push_str(&line);
            self.flush(sender)?;
        }
        Ok(())
    }

    /// Sends the line that waits, if there is one and the screen lets it pass.
    fn flush(&mut self, sender: &mut LineSender) -> io::Result<()> {
        if self.line.is_empty() {
            return Ok(());
        }
        self.past.clear();
        self.past.push_str(rule_of(&self.line));
        if let Some(refusal) = self.screen.refuses(&self.line) {
            self.found.refuse(refusal);
            return Ok(());
        }
        self.found.take("+", &self.line);
        sender.push(["+", &self.line])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::list::{Colour, Timestamp};
    use crate::publisher::chunks::fan_out;
    use crate::publisher::publish::LISTED;
    use crate::publisher::{Protected, PublisherOptions};
    use crate::store::ListMeta;

    /// What was sent, what was found, the duplicates, and how many lines were taken before the first that was not.
    fn run(lines: &[String]) -> (Vec<String>, Found, u64, usize) {
        let (title, owner) = (String::new(), String::new());
        let (licence, source, review) = (String::new(), String::new(), String::new());
        let (id, created) = ("test".parse().unwrap(), Timestamp::from_unix(0));
        let meta = ListMeta { id, colour: Colour::Black, title, categories: Vec::new(), owner, licence, source, review, created };
        let mut options = PublisherOptions::new("lists.example.org".parse().unwrap());
        options.protected = Protected::parse("n13.example").unwrap();
        let (mut sender, [receiver]) = fan_out();
        std::thread::scope(|scope| {
            let sent = scope.spawn(move || {
                let mut sent = Vec::new();
                receiver.each(|line| {
                    sent.push(line.to_owned());
                    Ok(())
                })?;
                Ok::<_, crate::publisher::PublishError>(sent)
            });
            let demands = super::super::policy::Demands::default();
            let mut ahead = Ahead::new(Screen::new(&meta, &options, &demands));
            let taken = lines.iter().take_while(|line| ahead.takes(line, &mut sender).unwrap()).count();
            let (found, duplicates) = ahead.finish(&mut sender).unwrap();
            sender.end(Ok(())).unwrap();
            (sent.join().unwrap().unwrap(), found, duplicates, taken)
        })
    }

    fn line((number, category): (u8, u8)) -> String {
        format!("domain:n{number:02}.example\tcat=c{category}")
    }

    proptest! {
        #[test]
        fn sends_what_a_map_would(mut numbers in proptest::collection::vec((0u8..60, 0u8..3), 0..80), sorted in 0usize..80, swaps in proptest::collection::vec((0usize..80, 0usize..80), 0..3)) {
            // In order but for a few places.
            let sorted = sorted.min(numbers.len());
            numbers[..sorted].sort_by_key(|n| n.0);
            for (a, b) in swaps {
                if a.max(b) < numbers.len() { numbers.swap(a, b); }
            }
            let lines: Vec<String> = numbers.into_iter().map(line).collect();
            let (sent, found, duplicates, taken) = run(&lines);
            let mut model = BTreeMap::new();
            for line in &lines[..taken] {
                model.insert(rule_of(line).to_owned(), format!("+{line}"));
            }
            let all = model.len();
            model.remove("domain:n13.example");
            prop_assert_eq!(duplicates, (taken - all) as u64);
            prop_assert_eq!(found.refused_total, (all - model.len()) as u64);
            prop_assert_eq!(found.tally.added, model.len() as u64);
            let wanted: Vec<String> = model.into_values().collect();
            prop_assert_eq!(&found.lines, &wanted[..wanted.len().min(LISTED)]);
            prop_assert_eq!(sent, wanted);
        }
    }

    #[test]
    fn a_line_before_its_place_waits_and_one_behind_it_is_not_taken() {
        let lines = |numbers: &[u8]| -> Vec<String> { numbers.iter().map(|n| line((*n, 0))).collect() };
        let (sent, _, _, taken) = run(&lines(&[1, 2, 50, 3, 4, 40, 5, 42, 60]));
        assert_eq!((sent.len(), taken), (9, 9));
        assert!(sent.is_sorted());
        assert_eq!(run(&lines(&[1, 5, 9, 4])).3, 3);
    }

    #[test]
    fn not_many_lines_wait() {
        let lines: Vec<String> = (0..20_000u32).rev().map(|n| format!("domain:{n:032}.example")).collect();
        let (sent, .., taken) = run(&lines);
        assert_eq!(sent.len(), taken);
        assert!((EARLY / 50..EARLY / 40).contains(&taken), "{taken}");
    }
}
