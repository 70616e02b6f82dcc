//! What an index knows of a rule beyond that it is there: its text, its attributes, its reference; and all its entries.
//!
//! Nothing of this is read by a look-up that only wants the verdict.

use super::index::{AT_LENGTHS, AT_TAGS, DOMAIN, Hit, Index, REMOVED, SUBTREE, u32_at};
use super::layout::{IndexError, SLOTS, Section};
use super::ranges::{V4, V6, V6_PLACE};
use super::urls::GROUP_SIZE;
use crate::list::Kind;

/// A reference: kind, place of the rule, place and length of the text.
pub(crate) const REFERENCE_SIZE: usize = 16;

fn text(octets: &[u8]) -> Result<&str, IndexError> {
    std::str::from_utf8(octets).map_err(|_| IndexError::Contradiction("a text that is not ASCII"))
}

impl Index {
    /// How many different sets of attributes there are, [`REMOVED`] included.
    pub(crate) fn attribute_sets(&self) -> u32 {
        (self.header_length(Section::Attributes) / 4) as u32
    }

    /// Attributes as they stand in an entry line, without a TAB before them and without `ref`; empty if none is set.
    pub(crate) fn attributes(&self, number: u32) -> Result<&str, IndexError> {
        let start = match number.checked_sub(1) {
            Some(before) => self.read_u32(Section::Attributes, 4 * before as usize)? as usize,
            None => 0,
        };
        let end = self.read_u32(Section::Attributes, 4 * number as usize)? as usize;
        let length = end.checked_sub(start).ok_or(IndexError::Contradiction("attributes that end before they begin"))?;
        text(self.read(Section::AttributeText, start, length)?)
    }

    /// The reference of a rule, if it has one.
    pub(crate) fn reference(&self, kind: Kind, at: u32) -> Result<Option<&str>, IndexError> {
        let key = reference_key(kind, at);
        let (mut low, mut high) = (0, self.header_length(Section::References) / REFERENCE_SIZE);
        while low < high {
            let middle = low + (high - low) / 2;
            let octets = self.read(Section::References, middle * REFERENCE_SIZE, REFERENCE_SIZE)?;
            match (u32_at(octets, 0), u32_at(octets, 4)).cmp(&key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    return text(self.read(Section::ReferenceText, u32_at(octets, 8) as usize, u32_at(octets, 12) as usize)?).map(Some);
                }
            }
        }
        Ok(None)
    }

    /// Appends the rule of a hit, `kind:target`.
    pub(crate) fn write_rule(&self, hit: &Hit, out: &mut String) -> Result<(), IndexError> {
        out.push_str(hit.kind.word());
        out.push(':');
        match hit.kind {
            Kind::Domain | Kind::Subtree => {
                let name = self.read(Section::Names, hit.at as usize + self.width(), hit.length as usize)?;
                out.push_str(text(name)?);
            }
            Kind::Url | Kind::Prefix => {
                out.push_str(text(self.group_host(self.group_of(hit.at)?)?)?);
                out.push_str(text(self.url_text(&self.url_rule(hit.at)?)?)?);
            }
            Kind::Cidr => {
                let family = if hit.at & V6_PLACE == 0 { V4 } else { V6 };
                out.push_str(&self.range(family, hit.at & !V6_PLACE)?.text(family));
            }
        }
        Ok(())
    }

    /// Appends the entry of a hit as it stands in a snapshot.
    pub(crate) fn write_line(&self, hit: &Hit, out: &mut String) -> Result<(), IndexError> {
        self.write_rule(hit, out)?;
        self.finish_line(hit.kind, hit.at, hit.attributes, out).map(|_| ())
    }

    /// The group that a URL rule belongs to: the last one that begins not after it.
    fn group_of(&self, rule: u32) -> Result<u32, IndexError> {
        let (mut low, mut high) = (0, self.groups());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.group(middle)?.0 > rule { high = middle } else { low = middle + 1 }
        }
        low.checked_sub(1).ok_or(IndexError::Contradiction("a URL rule without a host"))
    }

    /// How many hosts have URL rules.
    pub(crate) fn groups(&self) -> u32 {
        (self.header_length(Section::Groups) / GROUP_SIZE).saturating_sub(1) as u32
    }

    fn finish_line(&self, kind: Kind, at: u32, attributes: u32, line: &mut String) -> Result<bool, IndexError> {
        if attributes == REMOVED {
            return Ok(false);
        }
        let reference = self.reference(kind, at)?;
        push_attributes(self.attributes(attributes)?, reference, line);
        Ok(true)
    }

    /// Gives every rule with its line: `Some(line)` an entry as in a snapshot, `None` one that an overlay takes away. In
    /// the order of the index, not of the list.
    ///
    /// # Errors
    /// [`IndexError`] if the index is damaged; what was given before it is right.
    pub(crate) fn each_entry(&self, mut each: impl FnMut(&str, Option<&str>)) -> Result<(), IndexError> {
        let mut line = String::new();
        let mut give = |index: &Index, kind: Kind, at: u32, attributes: u32, line: &mut String| -> Result<(), IndexError> {
            let rule = line.len();
            let kept = index.finish_line(kind, at, attributes, line)?;
            each(&line[..rule], kept.then_some(line.as_str()));
            Ok(())
        };
        for at in 0..self.lines() {
            let stored = self.line(at)?;
            for slot in (0..SLOTS).take_while(|slot| stored[AT_LENGTHS + slot] != 0) {
                let kind = match u16::from(stored[AT_TAGS + 2 * slot]) & 3 {
                    DOMAIN => Kind::Domain,
                    SUBTREE => Kind::Subtree,
                    _ => continue,
                };
                let (attributes, place, name) = self.name(stored, slot)?;
                line.clear();
                line.push_str(kind.word());
                line.push(':');
                line.push_str(text(name)?);
                give(self, kind, place as u32, attributes, &mut line)?;
            }
        }
        for group in 0..self.groups() {
            let (first, last) = self.group(group)?;
            for n in first..last {
                let rule = self.url_rule(n)?;
                line.clear();
                line.push_str(rule.kind.word());
                line.push(':');
                line.push_str(text(self.group_host(group)?)?);
                line.push_str(text(self.url_text(&rule)?)?);
                give(self, rule.kind, n, rule.attributes, &mut line)?;
            }
        }
        for family in [V4, V6] {
            for n in 0..self.ranges(family) {
                line.clear();
                line.push_str("cidr:");
                line.push_str(&self.range(family, n)?.text(family));
                give(self, Kind::Cidr, n | family.mark, self.range(family, n)?.attributes, &mut line)?;
            }
        }
        Ok(())
    }
}

/// By what references are ordered.
pub(crate) fn reference_key(kind: Kind, at: u32) -> (u32, u32) {
    let section = match kind {
        Kind::Domain | Kind::Subtree => 0,
        Kind::Url | Kind::Prefix => 1,
        Kind::Cidr => 2,
    };
    (section, at)
}

/// Appends attributes to a line, the reference in its place: behind the categories (docs/PROTOCOL.md section 4).
fn push_attributes(attributes: &str, reference: Option<&str>, line: &mut String) {
    let (categories, others) = match attributes.split_once('\t') {
        _ if !attributes.starts_with("cat=") => ("", attributes),
        Some((categories, others)) => (categories, others),
        None => (attributes, ""),
    };
    let mut put = |key: &str, text: &str| {
        line.push('\t');
        line.push_str(key);
        line.push_str(text);
    };
    if !categories.is_empty() {
        put("", categories);
    }
    if let Some(reference) = reference {
        put("ref=", reference);
    }
    if !others.is_empty() {
        put("", others);
    }
}

/// Cuts the attributes of an entry line (without their first TAB) into what is not the reference and the reference.
pub(crate) fn without_reference<'a>(attributes: &'a str, room: &'a mut String) -> (&'a str, Option<&'a str>) {
    let Some(at) = attributes.split('\t').position(|part| part.starts_with("ref=")) else { return (attributes, None) };
    room.clear();
    let mut reference = None;
    for (n, part) in attributes.split('\t').enumerate() {
        if n == at {
            reference = part.strip_prefix("ref=");
        } else {
            if !room.is_empty() {
                room.push('\t');
            }
            room.push_str(part);
        }
    }
    (room.as_str(), reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_and_put_together_again() {
        for line in [
            "",
            "cat=a,b",
            "ref=Ab123456",
            "cat=a\tref=Ab123456",
            "cat=a\tref=Ab123456\tage=18",
            "ref=Ab123456\trsn=x",
            "act=log\texp=2027-01-01",
        ] {
            let mut room = String::new();
            let (attributes, reference) = without_reference(line, &mut room);
            assert!(!attributes.contains("ref="));
            let mut again = String::new();
            push_attributes(attributes, reference, &mut again);
            assert_eq!(again.strip_prefix('\t').unwrap_or(&again), line);
        }
    }
}
