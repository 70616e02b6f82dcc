//! Deltas (docs/PROTOCOL.md section 7).

use std::fmt::Write as _;

use crate::list::{Change, ChangeSet, Colour, ListId, Origin, Serial};

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

impl Delta {
    /// The uncompressed bytes.
    pub fn encode(&self) -> Vec<u8> {
        let DeltaHeader { origin, list, colour, from, to } = &self.header;
        let lines: usize = self.changes.iter().map(|change| change.body().len() + 2).sum();
        let mut text = String::with_capacity(512 + lines);
        let _ = write!(text, "bwld delta v1\norigin {origin}\nlist {list}\ncolour {colour}\nfrom {from}\nto {to}\n");
        let _ = write!(text, "changes {}\n\n", self.changes.len());
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
            let rule = line[1..].split_once('\t').map_or(&line[1..], |(rule, _)| rule);
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
