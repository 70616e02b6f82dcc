//! Deltas (docs/PROTOCOL.md section 7).

use crate::list::{Change, ChangeSet, Colour, ListId, Origin, Serial, rule_of};

use super::{WireError, lines::Lines};

/// What a delta leads from and to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeltaHeader {
    /// The publisher.
    pub origin: Origin,
    /// The list.
    pub list: ListId,
    /// Its colour.
    pub colour: Colour,
    /// The serial it must be applied to.
    pub from: Serial,
    /// The serial it leads to; later than `from`.
    pub to: Serial,
}

/// A delta.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delta {
    /// From where to where.
    pub header: DeltaHeader,
    /// What changes.
    pub changes: ChangeSet,
}

impl DeltaHeader {
    /// The header's lines, through the empty one, for a delta of `changes` change lines: for those who write a delta as a
    /// stream.
    pub fn to_text(&self, changes: u64) -> String {
        let DeltaHeader { origin, list, colour, from, to } = self;
        format!("bwld delta v1\norigin {origin}\nlist {list}\ncolour {colour}\nfrom {from}\nto {to}\nchanges {changes}\n\n")
    }
}

impl Delta {
    /// The uncompressed bytes.
    pub fn encode(&self) -> Vec<u8> {
        let lines: usize = self.changes.iter().map(|change| change.body().len() + 2).sum();
        let mut text = String::with_capacity(512 + lines);
        text.push_str(&self.header.to_text(self.changes.len() as u64));
        for change in self.changes.iter() {
            text.push(change.sign());
            text.push_str(change.body());
            text.push('\n');
        }
        text.into_bytes()
    }

    /// Reads uncompressed bytes, whose number the caller has bounded. Every rule and entry is checked to be canonical.
    ///
    /// # Errors
    /// [`WireError::Line`] names the line.
    pub fn parse(bytes: &[u8]) -> Result<Delta, WireError> {
        let not_text = |_| WireError::Line { what: "delta", line: 1, reason: "not UTF-8".to_owned() };
        let mut lines = Lines::new("delta", std::str::from_utf8(bytes).map_err(not_text)?);
        lines.exactly("bwld delta v1")?;
        let origin = lines.parsed("origin")?;
        let list = lines.parsed("list")?;
        let colour = lines.parsed("colour")?;
        let from: Serial = lines.parsed("from")?;
        let to: Serial = lines.parsed("to")?;
        if to <= from {
            return Err(lines.error(format!("a delta leads forward; {to} is not later than {from}")));
        }
        let count = lines.number("changes")?;
        lines.exactly("")?;

        let mut changes = ChangeSet::default();
        let mut before = None;
        while !lines.at_end() {
            if changes.len() as u64 == count {
                lines.line()?;
                return Err(lines.error(format!("more changes than the {count} that the header states")));
            }
            let line = lines.line()?;
            let change = parse_change(&lines, line)?;
            // Rules are ASCII without TAB, so the slice up to the first TAB is the rule.
            let rule = rule_of(&line[1..]);
            if before.is_some_and(|before| before >= rule) {
                return Err(lines.error("not in ascending order of the rules, or a rule twice"));
            }
            before = Some(rule);
            changes.push(change).map_err(|e| lines.error(e.to_string()))?;
        }
        if (changes.len() as u64) < count {
            return Err(lines.error(format!("ends after {} of the {count} changes that the header states", changes.len())));
        }
        Ok(Delta { header: DeltaHeader { origin, list, colour, from, to }, changes })
    }

    /// This delta followed by `later`: one delta over both spans, by the table of section 7.
    ///
    /// # Errors
    /// [`WireError::Unrelated`] if `later` does not begin where this one ends; [`WireError::Compose`] if their changes contradict
    /// each other.
    pub fn then(self, later: Delta) -> Result<Delta, WireError> {
        let (a, b) = (&self.header, &later.header);
        if (&a.origin, &a.list, a.colour) != (&b.origin, &b.list, b.colour) {
            let reason = format!("one is of list {} of {}, the other of list {} of {}", a.list, a.origin, b.list, b.origin);
            return Err(WireError::Unrelated { reason });
        }
        if a.to != b.from {
            return Err(WireError::Unrelated { reason: format!("one leads to serial {}, the other begins at {}", a.to, b.from) });
        }
        let header = DeltaHeader { to: b.to, ..self.header };
        Ok(Delta { header, changes: self.changes.then(later.changes)? })
    }
}

fn parse_change(lines: &Lines<'_>, line: &str) -> Result<Change, WireError> {
    let Some((sign, body)) = line.split_at_checked(1) else {
        return Err(lines.error("expected \"+\", \"-\" or \"~\" and an entry"));
    };
    match sign {
        "+" => Ok(Change::Add(lines.value(body)?)),
        "~" => Ok(Change::Replace(lines.value(body)?)),
        "-" => Ok(Change::Remove(lines.value(body)?)),
        _ => Err(lines.error("a change begins with \"+\", \"-\" or \"~\"")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::list::{Entry, Rule};

    const TEXT: &str = "bwld delta v1
origin lists.example.org
list adult
colour black
from 1041
to 1042
changes 3

+domain:added.example\tcat=adult
~domain:changed.example\tcat=adult,dating
-domain:removed.example
";

    fn header(from: u64, to: u64) -> DeltaHeader {
        let list = "adult".parse().unwrap();
        let serial = |n| Serial::new(n).unwrap();
        DeltaHeader { origin: "lists.example.org".parse().unwrap(), list, colour: Colour::Black, from: serial(from), to: serial(to) }
    }

    type Content = BTreeMap<String, Entry>;

    fn content() -> impl Strategy<Value = Content> {
        prop::collection::btree_map("[a-d]{1,2}", 1..4_u8, 0..12).prop_map(|rules| {
            rules
                .into_iter()
                .map(|(name, age)| (format!("domain:{name}.example"), format!("domain:{name}.example\tage={age}").parse().unwrap()))
                .collect()
        })
    }

    fn difference(a: &Content, b: &Content) -> ChangeSet {
        let mut changes = ChangeSet::default();
        for (rule, entry) in b {
            match a.get(rule) {
                None => changes.push(Change::Add(entry.clone())).unwrap(),
                Some(before) if before != entry => changes.push(Change::Replace(entry.clone())).unwrap(),
                Some(_) => {}
            }
        }
        for rule in a.keys().filter(|rule| !b.contains_key(*rule)) {
            changes.push(Change::Remove(rule.parse::<Rule>().unwrap())).unwrap();
        }
        changes
    }

    fn applied(mut a: Content, changes: &ChangeSet) -> Option<Content> {
        for change in changes.iter() {
            let there = a.contains_key(change.rule_str());
            match change {
                Change::Add(e) if !there => a.insert(e.rule_str().to_owned(), e.clone()),
                Change::Replace(e) if there => a.insert(e.rule_str().to_owned(), e.clone()),
                Change::Remove(r) if there => a.remove(r.as_str()),
                _ => return None,
            };
        }
        Some(a)
    }

    #[test]
    fn a_delta_is_read() {
        let delta = Delta::parse(TEXT.as_bytes()).unwrap();
        assert_eq!((delta.header.clone(), delta.changes.len()), (header(1041, 1042), 3));
        assert_eq!(delta.encode(), TEXT.as_bytes());
        let empty = Delta { header: header(1, 3), changes: ChangeSet::default() };
        assert_eq!(Delta::parse(&empty.encode()).unwrap(), empty);
    }

    #[test]
    fn there_is_one_way_to_write_a_delta() {
        for (from, to) in [
            ("v1", "v2"),
            ("to 1042", "to 1041"),
            ("to 1042", "to 01042"),
            ("from 1041", "from 0"),
            ("changes 3", "changes 2"),
            ("changes 3", "changes 4"),
            ("changes 3", "changes 03"),
            ("3\n\n", "3\n"),
            ("3\n\n", "3\n\n\n"),
            ("+domain:added", "+domain:czadded"),
            ("+domain:added", "*domain:added"),
            ("+domain:added", "domain:added"),
            ("+domain:added", "+domain:Added"),
            ("+domain:added", "+ domain:added"),
            ("-domain:removed", "-domain:changed"),
            ("-domain:removed.example", "-domain:removed.example\tcat=adult"),
            ("adult,dating", "dating,adult"),
            ("cat=adult\n", "cat=adult\t\n"),
            ("cat=adult\n", "cat=adult\r\n"),
            ("removed.example\n", "removed.example"),
            ("removed.example\n", "removed.example\n\n"),
        ] {
            let text = TEXT.replacen(from, to, 1);
            assert_ne!(text, TEXT, "{from}");
            assert!(Delta::parse(text.as_bytes()).is_err(), "{from:?} -> {to:?}");
        }
        assert!(Delta::parse(b"\xff").is_err());
    }

    #[test]
    fn deltas_that_do_not_follow_each_other_are_not_joined() {
        let delta = |from, to, sign: &str| {
            let text = format!("changes 1\n\n{sign}domain:a.example\n");
            let head = String::from_utf8(Delta { header: header(from, to), changes: ChangeSet::default() }.encode()).unwrap();
            Delta::parse(head.replace("changes 0\n\n", &text).as_bytes()).unwrap()
        };
        assert_eq!(delta(1, 2, "+").then(delta(2, 3, "-")).unwrap().changes.len(), 0);
        assert!(matches!(delta(1, 2, "+").then(delta(3, 4, "-")), Err(WireError::Unrelated { .. })));
        assert!(matches!(delta(1, 2, "+").then(delta(2, 3, "+")), Err(WireError::Compose(_))));
        let mut other = delta(2, 3, "-");
        other.header.list = "games".parse().unwrap();
        assert!(matches!(delta(1, 2, "+").then(other), Err(WireError::Unrelated { .. })));
    }

    proptest! {
        #[test]
        fn a_delta_travels_and_leads_where_it_should(a in content(), b in content()) {
            let delta = Delta { header: header(1, 2), changes: difference(&a, &b) };
            let read = Delta::parse(&delta.encode()).unwrap();
            prop_assert_eq!(applied(a, &read.changes), Some(b));
            prop_assert_eq!(read, delta);
        }

        #[test]
        fn joined_deltas_lead_where_the_steps_do(a in content(), b in content(), c in content(), d in content()) {
            let step = |x: &Content, y: &Content, from| Delta { header: header(from, from + 1), changes: difference(x, y) };
            let (ab, bc, cd) = (step(&a, &b, 1), step(&b, &c, 2), step(&c, &d, 3));
            let left = ab.clone().then(bc.clone()).unwrap().then(cd.clone()).unwrap();
            let right = ab.then(bc.then(cd).unwrap()).unwrap();
            prop_assert_eq!(&left, &right);
            prop_assert_eq!(applied(a, &left.changes), Some(d));
        }
    }
}
