//! Builds an index from the entries of a list.
//!
//! Guarantees: the same entries in any order, with the same seed, give the same octets; a rule that comes twice is an
//! error; nothing is left out. Memory while building: the text of the rules once, 24 octets a rule, and the index.

mod ranges;
mod table;
mod urls;

use std::collections::HashMap;

use self::ranges::{encode_ranges, lay_ranges};
use self::urls::{UrlLayout, encode_groups};
use super::buffer::Buffer;
use super::details::{REFERENCE_SIZE, reference_key, without_reference};
use super::hash::{PADDING, Seed, hash_name};
use super::index::{AT_LENGTHS, AT_OVERFLOW, AT_TAGS, DOMAIN, GROUP, Index, Place, SUBTREE, names_place};
use super::layout::{About, EXTRA_LINES, Header, LINE, SLOTS, Section};
use super::pages::{PAGE, page_sum};
use super::prefetch::prefetch;
use super::ranges::{Family, Range, V4, V6, V6_PLACE};
use super::urls::{GROUP_SIZE, NONE, URL_SIZE, UrlRule};
use crate::list::{Kind, canonical_cidr};

/// Names to a home line: 0.85 of its slots. Fuller lines overflow too often, emptier ones cost memory.
pub(crate) const NAMES_PER_LINE: f64 = 16.15;

/// Why an index could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Not a line of a list.
    #[error("{0:?} is no entry in canonical form; build from a verified list")]
    Line(String),
    /// A rule twice.
    #[error("the rule {0} comes twice; build from a verified list")]
    Twice(String),
    /// More than an index can hold.
    #[error("the list is too large for one index ({0}); split it")]
    TooLarge(&'static str),
    /// More names in one place than chance puts there: they were made to meet under this seed.
    #[error("too many names of the list meet in one line; build the index with another seed")]
    Crowded,
}

/// A name of the host table before it has its place.
#[derive(Clone, Copy)]
struct Key {
    hash: u64,
    /// Place of its text in the pool.
    text: u32,
    /// Attributes, or the group.
    number: u32,
    /// Its reference, or [`NONE`].
    reference: u32,
    length: u8,
    kind: u8,
}

#[derive(Clone, Copy)]
struct Url {
    host: (u32, u8),
    rest: (u32, u16),
    kind: Kind,
    attributes: u32,
    reference: u32,
}

struct Address {
    range: Range,
    reference: u32,
}

/// Takes entries, then makes an index of them.
pub struct IndexBuilder {
    about: About,
    seed: Seed,
    pool: Vec<u8>,
    names: Vec<Key>,
    urls: Vec<Url>,
    v4: Vec<Address>,
    v6: Vec<Address>,
    attributes: HashMap<Box<str>, u32>,
    /// The attributes of the entry before: most lists have few, in long rows.
    latest: (String, u32),
    references: Vec<(u32, u8)>,
    reference_pool: Vec<u8>,
    rules: [u64; 5],
}

fn index32(n: usize, what: &'static str) -> Result<u32, BuildError> {
    u32::try_from(n).ok().filter(|n| *n < V6_PLACE).ok_or(BuildError::TooLarge(what))
}

impl IndexBuilder {
    /// An empty index of this version. The seed keeps others from making names that crowd one line; indexes that are
    /// asked together should share it.
    pub fn new(about: About, seed: Seed) -> IndexBuilder {
        // Number 0 is what takes a rule away; no text of attributes begins with a TAB.
        let attributes = HashMap::from([(Box::from("\t"), 0)]);
        IndexBuilder {
            about,
            seed,
            pool: Vec::new(),
            names: Vec::new(),
            urls: Vec::new(),
            v4: Vec::new(),
            v6: Vec::new(),
            attributes,
            latest: ("\t".to_owned(), 0),
            references: Vec::new(),
            reference_pool: Vec::new(),
            rules: [0; 5],
        }
    }

    /// Takes an entry, a canonical line as in a snapshot without its LF.
    ///
    /// # Errors
    /// [`BuildError`]; the builder is of no use afterwards.
    pub fn push(&mut self, line: &str) -> Result<(), BuildError> {
        let (rule, attributes) = line.split_once('\t').unwrap_or((line, ""));
        let mut room = String::new();
        let (attributes, reference) = without_reference(attributes, &mut room);
        let number = self.intern(attributes)?;
        let reference = match reference {
            Some(text) => self.add_reference(text)?,
            None => NONE,
        };
        self.add(rule, number, reference)
    }

    /// Takes the statement that a rule is not there, whatever lies below: for overlays.
    pub(crate) fn push_removed(&mut self, rule: &str) -> Result<(), BuildError> {
        self.add(rule, super::index::REMOVED, NONE)
    }

    fn intern(&mut self, attributes: &str) -> Result<u32, BuildError> {
        if self.latest.0 == attributes {
            return Ok(self.latest.1);
        }
        let next = index32(self.attributes.len(), "sets of attributes")?;
        let number = *self.attributes.entry(attributes.into()).or_insert(next);
        self.latest.0.clear();
        self.latest.0.push_str(attributes);
        self.latest.1 = number;
        Ok(number)
    }

    fn add_reference(&mut self, text: &str) -> Result<u32, BuildError> {
        let at = index32(self.reference_pool.len(), "references")?;
        self.reference_pool.extend_from_slice(text.as_bytes());
        self.references.push((at, text.len() as u8));
        index32(self.references.len() - 1, "references")
    }

    fn add(&mut self, rule: &str, number: u32, reference: u32) -> Result<(), BuildError> {
        let wrong = || BuildError::Line(rule.to_owned());
        let (kind, target) = Kind::split(rule).ok_or_else(wrong)?;
        let place = Kind::ALL.iter().position(|k| *k == kind).unwrap_or_default();
        self.rules[place] += 1;
        match kind {
            Kind::Domain => self.add_name(target, DOMAIN, number, reference),
            Kind::Subtree => self.add_name(target, SUBTREE, number, reference),
            Kind::Cidr => self.add_range(target, number, reference),
            Kind::Url | Kind::Prefix => {
                let host = match target.strip_prefix('[') {
                    Some(rest) => rest.find(']').ok_or_else(wrong)? + 2,
                    None => target.find([':', '/']).ok_or_else(wrong)?,
                };
                let at = index32(self.pool.len(), "text")?;
                self.pool.extend_from_slice(target.as_bytes());
                let rest = u16::try_from(target.len() - host).map_err(|_| wrong())?;
                let host = u8::try_from(host).map_err(|_| wrong())?;
                self.urls.push(Url { host: (at, host), rest: (at + u32::from(host), rest), kind, attributes: number, reference });
                Ok(())
            }
        }
    }

    fn add_name(&mut self, name: &str, kind: u16, number: u32, reference: u32) -> Result<(), BuildError> {
        let text = index32(self.pool.len(), "text")?;
        let length = u8::try_from(name.len()).ok().filter(|n| (1..=253).contains(n)).ok_or_else(|| BuildError::Line(name.to_owned()))?;
        let hash = self.push_name(name.as_bytes());
        self.names.push(Key { hash, text, number, reference, length, kind: kind as u8 });
        Ok(())
    }

    /// Appends a name of at most 255 octets to the pool and hashes it there.
    fn push_name(&mut self, name: &[u8]) -> u64 {
        let start = self.pool.len();
        self.pool.extend_from_slice(name);
        self.pool.extend_from_slice(&[0; PADDING]);
        let hash = hash_name(&self.pool[start..], name.len(), &self.seed);
        self.pool.truncate(start + name.len());
        hash
    }

    fn add_range(&mut self, target: &str, attributes: u32, reference: u32) -> Result<(), BuildError> {
        let wrong = || BuildError::Line(target.to_owned());
        if canonical_cidr(target).ok().as_deref() != Some(target) {
            return Err(wrong());
        }
        let (address, length) = target.split_once('/').ok_or_else(wrong)?;
        let length = length.parse().map_err(|_| wrong())?;
        let (to, address) = match address.parse().map_err(|_| wrong())? {
            std::net::IpAddr::V4(v4) => (&mut self.v4, u128::from(u32::from(v4))),
            std::net::IpAddr::V6(v6) => (&mut self.v6, u128::from(v6)),
        };
        to.push(Address { range: Range { address, length, attributes, around: NONE }, reference });
        Ok(())
    }

    fn text(&self, at: u32, length: usize) -> &[u8] {
        &self.pool[at as usize..at as usize + length]
    }

    /// Makes the index.
    ///
    /// # Errors
    /// [`BuildError`] if a rule came twice or there are too many.
    pub fn finish(mut self) -> Result<Index, BuildError> {
        let attributes = self.sort_attributes();
        let UrlLayout { groups, rules: urls, text: url_text } = self.lay_urls()?;
        let v4 = lay_ranges(&mut self.v4, V4)?;
        let v6 = lay_ranges(&mut self.v6, V6)?;
        self.sort_names()?;
        let mut home_lines = ((self.names.len() as f64 / NAMES_PER_LINE).ceil() as u32).max(1);
        let most_lines = home_lines.saturating_mul(2);
        let highest = (attributes.len() - 1).max(groups.len());
        let width = (1..=4).find(|w| *w == 4 || highest < 1 << (8 * w)).unwrap_or(4);
        let plan = loop {
            match self.plan(home_lines, width) {
                Some(plan) => break plan,
                // Chance does not do that in the life of the sun: somebody knows the seed.
                None if home_lines > most_lines => return Err(BuildError::Crowded),
                None => home_lines += home_lines / 8 + 1,
            }
        };
        index32(plan.names_length, "text")?;
        let lengths = [
            (home_lines as usize + EXTRA_LINES) * LINE,
            plan.names_length,
            (groups.len() + 1) * GROUP_SIZE,
            urls.len() * URL_SIZE,
            url_text.len(),
            self.v4.len() * V4.size,
            self.v6.len() * V6.size,
            4 * attributes.len(),
            attributes.iter().map(|text| text.len()).sum(),
            self.references.len() * REFERENCE_SIZE,
            self.reference_pool.len(),
            0,
        ];
        let (sections, length) = lay_out(lengths);
        let (about, seed, rules, stride) = (self.about.clone(), self.seed, self.rules, plan.stride);
        let header = Header { about, seed, length: length as u64, width, stride, home_lines, rules, sections, sums: 0 };
        let mut buffer = Buffer::zeroed(length);
        let mut table = self.fill_table(&header, &plan, groups.len(), buffer.heap_mut());
        let octets = buffer.heap_mut();
        let mut put = |section: Section, contents: &[u8]| {
            let start = header.section(section).0;
            octets[start..start + contents.len()].copy_from_slice(contents);
        };
        put(Section::Groups, &encode_groups(&groups, &table.group_places, urls.len()));
        put(Section::Urls, &urls.iter().flat_map(UrlRule::encode).collect::<Vec<u8>>());
        put(Section::UrlText, &url_text);
        for (family, ranges) in [(V4, &v4), (V6, &v6)] {
            put(family.section, &encode_ranges(family, ranges));
        }
        put_attributes(&attributes, &mut put);
        self.url_and_range_references(&mut table.references);
        let (references, reference_text) = self.encode_references(&mut table.references);
        put(Section::References, &references);
        put(Section::ReferenceText, &reference_text);
        Ok(seal(header, buffer))
    }

    /// Numbers the attributes in their own order, so that the order of the entries does not matter.
    fn sort_attributes(&mut self) -> Vec<Box<str>> {
        let mut sorted: Vec<(Box<str>, u32)> = std::mem::take(&mut self.attributes).into_iter().collect();
        sorted.sort_unstable_by(|a, b| (a.1 != 0).cmp(&(b.1 != 0)).then_with(|| a.0.cmp(&b.0)));
        let mut renamed = vec![0; sorted.len()];
        for (new, (_, old)) in sorted.iter().enumerate() {
            renamed[*old as usize] = new as u32;
        }
        self.names.iter_mut().for_each(|key| key.number = renamed[key.number as usize]);
        self.urls.iter_mut().for_each(|url| url.attributes = renamed[url.attributes as usize]);
        self.v4.iter_mut().chain(&mut self.v6).for_each(|a| a.range.attributes = renamed[a.range.attributes as usize]);
        sorted.into_iter().map(|(text, number)| if number == 0 { "".into() } else { text }).collect()
    }

    fn url_and_range_references(&self, references: &mut Vec<((u32, u32), u32)>) {
        let urls = self.urls.iter().map(|url| (url.kind, url.reference));
        references.extend((0..).zip(urls).map(|(n, (kind, reference))| (reference_key(kind, n), reference)));
        for (bit, ranges) in [(0, &self.v4), (V6_PLACE, &self.v6)] {
            references.extend((0..).zip(ranges).map(|(n, range)| (reference_key(Kind::Cidr, n | bit), range.reference)));
        }
        references.retain(|(_, reference)| *reference != NONE);
    }

    /// The references and their texts, both in the order of the rules: that of the entries does not matter.
    fn encode_references(&self, references: &mut [((u32, u32), u32)]) -> (Vec<u8>, Vec<u8>) {
        references.sort_unstable();
        let mut octets = Vec::with_capacity(references.len() * REFERENCE_SIZE);
        let mut text = Vec::with_capacity(self.reference_pool.len());
        for ((section, at), reference) in references {
            let (start, length) = self.references[*reference as usize];
            for number in [*section, *at, text.len() as u32, u32::from(length)] {
                octets.extend_from_slice(&number.to_le_bytes());
            }
            text.extend_from_slice(&self.reference_pool[start as usize..start as usize + usize::from(length)]);
        }
        (octets, text)
    }
}

fn lossy(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

fn put_attributes(attributes: &[Box<str>], put: &mut impl FnMut(Section, &[u8])) {
    let (mut ends, mut text) = (Vec::with_capacity(4 * attributes.len()), String::new());
    for set in attributes {
        text.push_str(set);
        ends.extend_from_slice(&(text.len() as u32).to_le_bytes());
    }
    put(Section::Attributes, &ends);
    put(Section::AttributeText, text.as_bytes());
}

/// Where everything lies, and how long the file is.
fn lay_out(lengths: [usize; Section::COUNT]) -> ([(u64, u64); Section::COUNT], usize) {
    let mut at = PAGE;
    let mut sections = [(0, 0); Section::COUNT];
    for (section, length) in sections.iter_mut().zip(lengths) {
        *section = (at as u64, length as u64);
        at = (at + length).next_multiple_of(LINE);
    }
    let sums_at = at.next_multiple_of(PAGE);
    let sums = 4 * (sums_at / PAGE);
    sections[Section::Sums as usize] = (sums_at as u64, sums as u64);
    (sections, sums_at + sums)
}

/// Writes the checksums and the header.
fn seal(mut header: Header, mut buffer: Buffer) -> Index {
    let octets = buffer.heap_mut();
    let (start, length) = header.section(Section::Sums);
    let (pages, sums) = octets.split_at_mut(start);
    for (page, sum) in sums[..length].chunks_exact_mut(4).enumerate().skip(1) {
        sum.copy_from_slice(&page_sum(pages, page).to_le_bytes());
    }
    header.sums = crc32fast::hash(&sums[..length]);
    header.write(&mut octets[..PAGE]);
    Index::built(buffer, header)
}
