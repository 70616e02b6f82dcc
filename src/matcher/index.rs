//! A compiled list: one immutable run of octets, opened in a moment, asked without allocation.
//!
//! Guarantees: opening reads the header and the table of checksums, nothing else; every page is compared with its
//! checksum when it is first read, every number in it checked against bounds whenever it is used, so that a damaged
//! index is an error and never a crash or a wrong answer. It knows no policy (that is `set`) and no time.

use std::ops::ControlFlow;

use super::buffer::Buffer;
use super::hash::Seed;
use super::layout::{About, EXTRA_LINES, Header, IndexError, LINE, SLOTS, Section};
use super::pages::{PAGE, Pages};
use super::question::Question;
use crate::list::Kind;

/// Hashes of more names than this are not kept for a question; its deeper names are hashed anew.
pub(crate) const MAX_SUFFIXES: usize = 127;

/// The number that stands for "taken away" in an overlay.
pub(crate) const REMOVED: u32 = 0;

/// What a slot of the host table is about.
pub(crate) const DOMAIN: u16 = 0;
pub(crate) const SUBTREE: u16 = 1;
pub(crate) const GROUP: u16 = 2;

/// Offsets within a line.
pub(crate) const AT_OVERFLOW: usize = 4;
pub(crate) const AT_LENGTHS: usize = 5;
pub(crate) const AT_TAGS: usize = 24;

/// A rule of an index that a question meets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Hit {
    pub(crate) kind: Kind,
    /// Length of the rule's target in octets, of a range in bits. With the kind and the question it says which rule it is.
    pub(crate) length: u32,
    /// Number of its attributes; [`REMOVED`] in an overlay takes the rule away.
    pub(crate) attributes: u32,
    /// Where the rule stands in the section of its kind.
    pub(crate) at: u32,
}

impl Hit {
    /// More is more specific. Two rules that meet one question have the same rank only if they are the same rule.
    pub(crate) fn rank(&self) -> u32 {
        let kind = match self.kind {
            Kind::Url => 5,
            Kind::Prefix => 4,
            Kind::Domain => 3,
            Kind::Subtree => 2,
            Kind::Cidr => 1,
        };
        kind << 16 | self.length
    }
}

/// Where a hash belongs.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) tag: u16,
    pub(crate) overflow: u8,
}

impl Place {
    #[inline(always)]
    pub(crate) fn of(hash: u64, home_lines: u32) -> Place {
        Place {
            line: (((hash >> 32) * u64::from(home_lines)) >> 32) as usize,
            tag: (hash & 0x3fff) as u16,
            overflow: 1 << (hash >> 14 & 7),
        }
    }
}

/// A compiled list, or the changes of one that lie over it.
pub struct Index {
    buffer: Buffer,
    header: Header,
    pages: Pages,
}

impl Index {
    /// Opens an index. Of a mapped file only the header and the table of checksums (a thousandth of it) are read.
    ///
    /// # Errors
    /// [`IndexError`] if it is none, of another layout, cut off, or damaged where it was read.
    pub fn open(buffer: Buffer) -> Result<Index, IndexError> {
        let header = Header::read(buffer.as_ref())?;
        let pages = Pages::unseen(header.section(Section::Sums).0 / PAGE);
        Ok(Index { buffer, header, pages })
    }

    /// Wraps what was just built.
    pub(crate) fn built(buffer: Buffer, header: Header) -> Index {
        Index { buffer, header, pages: Pages::trusted() }
    }

    /// Reads every page, compares its checksum, then everything in it with everything else: to be sure before a file is
    /// used, at the price of reading it. What passes answers as the entries it holds.
    ///
    /// # Errors
    /// [`IndexError::Page`] names the first damaged page; [`IndexError::Contradiction`] says what no builder writes.
    pub fn verify(&self) -> Result<(), IndexError> {
        let (sums, length) = self.header.section(Section::Sums);
        let octets = self.octets();
        for page in 1..length / 4 {
            let expected = &octets[sums + 4 * page..sums + 4 * page + 4];
            if super::pages::page_sum(&octets[..sums], page).to_le_bytes() != expected {
                return Err(IndexError::Page { page });
            }
        }
        self.check_structure()
    }

    /// Which version of which list it was built of.
    pub fn about(&self) -> &About {
        &self.header.about
    }

    /// How many rules, by [`Kind::ALL`].
    pub fn rules(&self) -> [u64; 5] {
        self.header.rules
    }

    /// How many rules in all.
    pub fn len(&self) -> u64 {
        self.header.rules.iter().sum()
    }

    /// Whether it holds no rule.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole index as it is written into a file.
    pub fn octets(&self) -> &[u8] {
        self.buffer.as_ref()
    }

    /// Size of the part that a question about a name that is not listed touches, in octets.
    pub fn hot_size(&self) -> usize {
        self.header.section(Section::Lines).1
    }

    pub(crate) fn seed(&self) -> Seed {
        self.header.seed
    }

    /// Length of a section, in octets.
    pub(crate) fn header_length(&self, section: Section) -> usize {
        self.header.section(section).1
    }

    /// Octets of the number before each name.
    pub(crate) fn width(&self) -> usize {
        self.header.width
    }

    pub(crate) fn lines(&self) -> usize {
        self.header.home_lines as usize + EXTRA_LINES
    }

    /// Octets of a section, their pages checked.
    #[inline(always)]
    pub(crate) fn read(&self, section: Section, at: usize, n: usize) -> Result<&[u8], IndexError> {
        let (start, length) = self.header.section(section);
        let end = at.checked_add(n).filter(|end| *end <= length);
        let Some(end) = end else { return Err(outside(section)) };
        let (sums, sums_length) = self.header.section(Section::Sums);
        let octets = self.buffer.as_ref();
        if let Err(damaged) = self.pages.check(&octets[..sums], &octets[sums..sums + sums_length], start + at, start + end) {
            return Err(IndexError::Page { page: damaged.0 });
        }
        Ok(&octets[start + at..start + end])
    }

    #[inline(always)]
    pub(crate) fn read_u32(&self, section: Section, at: usize) -> Result<u32, IndexError> {
        let octets = self.read(section, at, 4)?;
        Ok(u32::from_le_bytes([octets[0], octets[1], octets[2], octets[3]]))
    }

    #[inline(always)]
    pub(crate) fn line(&self, line: usize) -> Result<&[u8; LINE], IndexError> {
        self.read(Section::Lines, line * LINE, LINE)?.try_into().map_err(|_| outside(Section::Lines))
    }

    /// Starts reading the line of a hash without waiting for it: the value is of no use, the cache line is.
    #[inline(always)]
    pub(crate) fn touch(&self, hash: u64) -> u8 {
        let start = self.header.section(Section::Lines).0;
        self.buffer.as_ref().get(start + Place::of(hash, self.header.home_lines).line * LINE).copied().unwrap_or_default()
    }

    /// The number before the name in slot `slot` of a line, the name's place, and the name.
    pub(crate) fn name(&self, line: &[u8; LINE], slot: usize) -> Result<(u32, usize, &[u8]), IndexError> {
        let width = self.header.width;
        let base = u32::from_le_bytes([line[0], line[1], line[2], line[3]]) as usize;
        let before: usize = line[AT_LENGTHS..AT_LENGTHS + slot].iter().map(|n| usize::from(*n)).sum();
        let at = base + before + slot * width;
        let octets = self.read(Section::Names, at, width + usize::from(line[AT_LENGTHS + slot]))?;
        let (number, name) = octets.split_at(width);
        Ok((little_endian(number), at, name))
    }

    /// Finds the slots of a name whose kinds are among `kinds` (a bit each) and gives kind, number and place of each.
    #[inline]
    pub(crate) fn probe(&self, hash: u64, name: &[u8], kinds: u16, mut found: impl FnMut(u16, u32, usize)) -> Result<(), IndexError> {
        let place = Place::of(hash, self.header.home_lines);
        let mut at = place.line;
        loop {
            let line = self.line(at)?;
            let mut candidates = same_tag(line, place.tag);
            while candidates != 0 {
                let slot = candidates.trailing_zeros() as usize;
                candidates &= candidates - 1;
                let kind = u16::from(line[AT_TAGS + 2 * slot]) & 3;
                if usize::from(line[AT_LENGTHS + slot]) != name.len() || kinds >> kind & 1 == 0 {
                    continue;
                }
                let (number, at, stored) = self.name(line, slot)?;
                if stored == name {
                    found(kind, number, at);
                }
            }
            if line[AT_OVERFLOW] & place.overflow == 0 {
                return Ok(());
            }
            at += 1;
            // No name stands farther from its home, so that no question takes longer.
            if at > place.line + EXTRA_LINES {
                return Ok(());
            }
        }
    }

    /// Hashes the names of a question for this index.
    #[inline]
    pub(crate) fn hash<'h>(&self, question: &Question<'_>, room: &'h mut [u64]) -> &'h [u64] {
        let n = question.suffixes().min(room.len());
        question.hashes(self.header.seed, &mut room[..n]);
        &room[..n]
    }

    /// Gives every rule that the question meets, most specific first, until `each` breaks.
    #[inline]
    pub(crate) fn hits<B>(
        &self,
        question: &Question<'_>,
        hashes: &[u64],
        mut each: impl FnMut(Hit) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>, IndexError> {
        let Some(&whole) = hashes.first() else { return Ok(ControlFlow::Continue(())) };
        let name = question.name_octets();
        // The three kinds of slot of the whole host: domain, subtree, group.
        let mut slots = [None; 3];
        let kinds = if question.as_address().is_some() { 1 << GROUP } else { 1 << DOMAIN | 1 << SUBTREE | 1 << GROUP };
        self.probe(whole, name, kinds, |kind, number, at| slots[usize::from(kind) % 3] = Some((number, at as u32)))?;
        if let (Some((group, _)), Some(rest)) = (slots[usize::from(GROUP)], question.rest())
            && let ControlFlow::Break(done) = self.url_hits(group, name.len(), rest.as_bytes(), &mut each)?
        {
            return Ok(ControlFlow::Break(done));
        }
        for (slot, kind) in [(slots[0], Kind::Domain), (slots[1], Kind::Subtree)] {
            if let Some((attributes, at)) = slot
                && let ControlFlow::Break(done) = each(Hit { kind, length: name.len() as u32, attributes, at })
            {
                return Ok(ControlFlow::Break(done));
            }
        }
        if let Some(address) = question.as_address() {
            return self.range_hits(address, &mut each);
        }
        for (n, hash) in hashes.iter().enumerate().skip(1) {
            let mut slot = None;
            let suffix = question.suffix(n);
            self.probe(*hash, suffix, 1 << SUBTREE, |_, number, at| slot = Some((number, at as u32)))?;
            if let Some((attributes, at)) = slot
                && let ControlFlow::Break(done) = each(Hit { kind: Kind::Subtree, length: suffix.len() as u32, attributes, at })
            {
                return Ok(ControlFlow::Break(done));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Slots of a line whose tag is this one, a bit each. Empty slots have length 0, which no name has.
#[inline(always)]
fn same_tag(line: &[u8; LINE], tag: u16) -> u32 {
    let mut found = 0;
    for slot in 0..SLOTS {
        let stored = u16::from_le_bytes([line[AT_TAGS + 2 * slot], line[AT_TAGS + 2 * slot + 1]]);
        found |= u32::from(stored >> 2 == tag) << slot;
    }
    found
}

#[inline(always)]
pub(crate) fn little_endian(octets: &[u8]) -> u32 {
    octets.iter().rev().fold(0, |number, octet| number << 8 | u32::from(*octet))
}

#[cold]
fn outside(section: Section) -> IndexError {
    IndexError::Contradiction(match section {
        Section::Lines => "a line beyond the table",
        Section::Names => "a name beyond its section",
        Section::Groups | Section::Urls | Section::UrlText => "a URL rule beyond its section",
        Section::V4 | Section::V6 => "a range beyond its section",
        Section::Attributes | Section::AttributeText => "an attribute beyond its section",
        Section::References | Section::ReferenceText => "a reference beyond its section",
        Section::Sums => "a checksum beyond its section",
    })
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("about", &self.header.about).field("rules", &self.header.rules).finish_non_exhaustive()
    }
}
