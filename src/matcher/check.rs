//! Whether an index is what a builder makes: the second half of [`Index::verify`].
//!
//! Checksums say that the octets are those that were written. This says that they were written without fault: every name is
//! found where it stands and nowhere else, everything sorted is sorted, every rule names the one around it, and the
//! counts are true. What passes answers as its own entries say. It does not compare them with a list; the root digest does.

use super::details::REFERENCE_SIZE;
use super::hash::{PADDING, hash_name};
use super::index::{AT_LENGTHS, AT_TAGS, DOMAIN, GROUP, Hit, Index, SUBTREE, names_place, u32_at};
use super::layout::{IndexError, LINE, SLOTS, Section};
use super::policy::parse;
use super::ranges::{Family, V4, V6};
use super::urls::{NONE, URL_SIZE};
use crate::list::domain::push_host;
use crate::list::{Kind, Rule, canonical_cidr};

fn ensure(holds: bool, wrong: &'static str) -> Result<(), IndexError> {
    if holds { Ok(()) } else { Err(IndexError::Contradiction(wrong)) }
}

/// What was met on the way.
struct Tally<'i> {
    index: &'i Index,
    rules: [u64; 5],
    references: usize,
    sets: u32,
}

impl Tally<'_> {
    /// Takes one rule.
    fn rule(&mut self, kind: Kind, at: u32, attributes: u32) -> Result<(), IndexError> {
        ensure(attributes < self.sets, "attributes of a rule that there are not")?;
        self.rules[Kind::ALL.iter().position(|k| *k == kind).unwrap_or_default()] += 1;
        if self.index.header_length(Section::References) > 0
            && let Some(text) = self.index.reference(kind, at)?
        {
            let plain = text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'));
            ensure(plain && (8..=32).contains(&text.len()), "a reference that is none")?;
            self.references += 1;
        }
        Ok(())
    }
}

impl Index {
    /// Compares everything with everything; all pages are read.
    pub(crate) fn check_structure(&self) -> Result<(), IndexError> {
        self.check_attributes()?;
        let mut tally = Tally { index: self, rules: [0; 5], references: 0, sets: self.attribute_sets() };
        self.check_names(&mut tally)?;
        self.check_urls(&mut tally)?;
        self.check_ranges(V4, &mut tally)?;
        self.check_ranges(V6, &mut tally)?;
        ensure(tally.rules == self.rules(), "the number of rules")?;
        ensure(tally.references * REFERENCE_SIZE == self.header_length(Section::References), "references of no rule")
    }

    fn check_attributes(&self) -> Result<(), IndexError> {
        let sets = self.attribute_sets();
        ensure(sets > 0 && self.header_length(Section::Attributes) == 4 * sets as usize, "the number of attributes")?;
        let mut text = 0;
        for set in 0..sets {
            let attributes = self.attributes(set)?;
            ensure(set > 0 || attributes.is_empty(), "attributes of what is taken away")?;
            parse(attributes)?;
            text += attributes.len();
        }
        ensure(text == self.header_length(Section::AttributeText), "the text of attributes")
    }

    fn check_names(&self, tally: &mut Tally<'_>) -> Result<(), IndexError> {
        let (mut next, mut groups) = (0, 0);
        let (mut padded, mut name_is) = ([0; 256 + PADDING], String::new());
        for at in 0..self.lines() {
            let line: &[u8; LINE] = self.line(at)?;
            let filled = line[AT_LENGTHS..AT_LENGTHS + SLOTS].iter().take_while(|n| **n != 0).count();
            next = names_place(at, self.stride(), next, filled == 0);
            ensure(u32_at(line, 0) as usize == next, "the place of a line's names")?;
            ensure(line[AT_LENGTHS + filled..AT_LENGTHS + SLOTS].iter().all(|n| *n == 0), "an empty slot before a full one")?;
            for slot in 0..filled {
                let kind = u16::from(line[AT_TAGS + 2 * slot]) & 3;
                let (number, place, name) = self.name(line, slot)?;
                next += self.width() + name.len();
                padded[..name.len()].copy_from_slice(name);
                let hash = hash_name(&padded, name.len(), self.seed());
                let found = self.find(hash, name, kind)?.map(|(_, at)| at as usize);
                // One that comes twice is found where it stands first.
                ensure(found == Some(place), "a name that is not found where it stands")?;
                name_is.clear();
                let host = std::str::from_utf8(name).is_ok_and(|text| push_host(text, &mut name_is).is_ok()) && name_is.as_bytes() == name;
                ensure(host || kind == GROUP, "a name that is no host")?;
                match kind {
                    DOMAIN => tally.rule(Kind::Domain, place as u32, number)?,
                    SUBTREE => tally.rule(Kind::Subtree, place as u32, number)?,
                    GROUP => {
                        let own = number < self.groups() && self.group_place(number)? == (place + self.width(), name.len());
                        ensure(own, "a host of URL rules that is not that of its group")?;
                        groups += 1;
                    }
                    _ => return Err(IndexError::Contradiction("a slot of no kind")),
                }
            }
        }
        ensure(next == self.header_length(Section::Names), "the length of the names")?;
        ensure(groups == self.groups(), "the number of hosts with URL rules")
    }

    fn check_urls(&self, tally: &mut Tally<'_>) -> Result<(), IndexError> {
        let (mut next, mut text_at) = (0, 0);
        let (mut around, mut written): (Vec<(u32, &[u8])>, String) = (Vec::new(), String::new());
        for group in 0..self.groups() {
            let (first, last) = self.group(group)?;
            ensure(first == next && first < last, "the bounds of a group of URL rules")?;
            around.clear();
            let mut before: Option<(&[u8], bool)> = None;
            for n in first..last {
                let rule = self.url_rule(n)?;
                let text = self.url_text(&rule)?;
                ensure(rule.text as usize == text_at, "the place of a URL rule's text")?;
                text_at += text.len();
                let key = (text, rule.kind == Kind::Url);
                ensure(before.is_none_or(|before| before < key), "the order of URL rules")?;
                before = Some(key);
                while around.last().is_some_and(|(_, prefix)| !text.starts_with(prefix)) {
                    around.pop();
                }
                ensure(rule.around == around.last().map_or(NONE, |(n, _)| *n), "the rule around a URL rule")?;
                if rule.kind == Kind::Prefix {
                    around.push((n, text));
                }
                written.clear();
                self.write_rule(&Hit { kind: rule.kind, length: 0, attributes: 0, at: n }, &mut written)?;
                ensure(written.parse::<Rule>().is_ok(), "a URL rule that is none")?;
                tally.rule(rule.kind, n, rule.attributes)?;
            }
            next = last;
        }
        ensure(next as usize * URL_SIZE == self.header_length(Section::Urls), "the number of URL rules")?;
        ensure(text_at == self.header_length(Section::UrlText), "the text of URL rules")
    }

    fn check_ranges(&self, family: Family, tally: &mut Tally<'_>) -> Result<(), IndexError> {
        let mut around = Vec::new();
        let mut before = None;
        for n in 0..self.ranges(family) {
            let range = self.range(family, n)?;
            let key = (range.address, range.length);
            let sound = range.length <= family.bits && range.is_network(family.bits);
            ensure(sound && canonical_cidr(&range.text(family)).is_ok(), "a range that is none")?;
            ensure(before.is_none_or(|before| before < key), "the order of ranges")?;
            before = Some(key);
            while around.last().is_some_and(|(_, outer): &(u32, super::ranges::Range)| !outer.holds(range.address, family.bits)) {
                around.pop();
            }
            ensure(range.around == around.last().map_or(NONE, |(n, _)| *n), "the range around a range")?;
            around.push((n, range));
            tally.rule(Kind::Cidr, n | family.mark, range.attributes)?;
        }
        ensure(self.ranges(family) as usize * family.size == self.header_length(family.section), "the number of ranges")
    }
}
