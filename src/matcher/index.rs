//! A compiled list: one immutable run of octets, opened in a moment, asked without allocation.
//!
//! Guarantees: opening reads the header and the table of checksums, nothing else; every page is compared with its
//! checksum when it is first read, every number in it checked against bounds whenever it is used, so that a damaged
//! index is an error and never a crash or a wrong answer. It knows no policy (that is `set`) and no time.

use super::buffer::Buffer;
use super::hash::Seed;
use super::layout::{About, EXTRA_LINES, Fault, Header, IndexError, LINE, Section};
use super::pages::{PAGE, Pages};
use super::prefetch::prefetch;
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
pub(crate) const AT_LENGTHS: usize = 6;
pub(crate) const AT_TAGS: usize = 26;

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
    /// Which names leave a full line first: 0 to 15, the highest first.
    pub(crate) class: u32,
}

impl Place {
    #[inline(always)]
    pub(crate) fn of(hash: u64, home_lines: u32) -> Place {
        Place {
            line: (((hash >> 32) * u64::from(home_lines)) >> 32) as usize,
            tag: (hash & 0x3fff) as u16,
            class: (hash >> 14 & 15) as u32,
        }
    }
}

/// Where the names of a line stand, if those before end at `end`.
pub(crate) fn names_place(line: usize, stride: u16, end: usize, empty: bool) -> usize {
    if empty { end } else { end.max(line * usize::from(stride)) }
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

    pub(crate) fn seed(&self) -> &Seed {
        &self.header.seed
    }

    /// Length of a section, in octets.
    pub(crate) fn header_length(&self, section: Section) -> usize {
        self.header.section(section).1
    }

    /// See [`Header::stride`].
    pub(crate) fn stride(&self) -> u16 {
        self.header.stride
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
    pub(crate) fn read(&self, section: Section, at: usize, n: usize) -> Result<&[u8], Fault> {
        let (start, length) = self.header.section(section);
        let end = at.checked_add(n).filter(|end| *end <= length);
        let Some(end) = end else { return Err(Fault::outside(section)) };
        let (sums, sums_length) = self.header.section(Section::Sums);
        let octets = self.buffer.as_ref();
        if let Err(damaged) = self.pages.check(&octets[..sums], &octets[sums..sums + sums_length], start + at, start + end) {
            return Err(Fault::page(damaged.0));
        }
        Ok(&octets[start + at..start + end])
    }

    #[inline(always)]
    pub(crate) fn read_u32(&self, section: Section, at: usize) -> Result<u32, Fault> {
        Ok(u32_at(self.read(section, at, 4)?, 0))
    }

    #[inline(always)]
    pub(crate) fn line(&self, line: usize) -> Result<&[u8; LINE], Fault> {
        self.read(Section::Lines, line * LINE, LINE)?.try_into().map_err(|_| Fault::outside(Section::Lines))
    }

    /// Starts reading the line of a hash without waiting for it, and the place about which its names stand: where that is
    /// follows from the number of the line, so that the two reads need not wait for each other.
    #[inline(always)]
    pub(crate) fn fetch_line(&self, hash: u64) {
        let octets = self.buffer.as_ref();
        let line = Place::of(hash, self.header.home_lines).line;
        prefetch(octets, self.header.section(Section::Lines).0 + line * LINE);
        let stride = usize::from(self.header.stride);
        prefetch(octets, self.header.section(Section::Names).0 + line * stride + stride);
    }

    /// Starts reading the names that a hash may be about, once its line is here. What is found here is not believed: the
    /// look-up checks all of it.
    #[inline(always)]
    pub(crate) fn fetch_name(&self, hash: u64) {
        let octets = self.buffer.as_ref();
        let place = Place::of(hash, self.header.home_lines);
        let at = self.header.section(Section::Lines).0 + place.line * LINE;
        let Some(line) = octets.get(at..at + LINE).and_then(|line| <&[u8; LINE]>::try_from(line).ok()) else { return };
        if !has_tag(line, place.tag) {
            return;
        }
        let Some(slot) = tags(line).position(|stored| stored >> 2 == place.tag) else { return };
        prefetch(octets, self.header.section(Section::Names).0 + self.name_at(line, slot));
    }

    /// Where the number and name of a slot stand among the names.
    #[inline(always)]
    fn name_at(&self, line: &[u8; LINE], slot: usize) -> usize {
        let base = u32_at(line, 0) as usize;
        // All lengths are looked at, so that the compiler can add them side by side.
        let mut before = 0_u16;
        for (k, length) in line[AT_LENGTHS..AT_TAGS - 1].iter().enumerate() {
            before += if k < slot { u16::from(*length) } else { 0 };
        }
        base + usize::from(before) + slot * self.header.width
    }

    /// The number before the name in slot `slot` of a line, the name's place, and the name.
    #[inline(always)]
    pub(crate) fn name(&self, line: &[u8; LINE], slot: usize) -> Result<(u32, usize, &[u8]), Fault> {
        let width = self.header.width;
        let at = self.name_at(line, slot);
        let octets = self.read(Section::Names, at, width + usize::from(line[AT_LENGTHS + slot]))?;
        let (number, name) = octets.split_at(width);
        Ok((little_endian(number), at, name))
    }

    /// Whether a name may be in the table, by its home line alone: most that are not are known by that.
    #[inline(always)]
    pub(crate) fn may_hold(&self, hash: u64) -> Result<bool, Fault> {
        let place = Place::of(hash, self.header.home_lines);
        let line = self.line(place.line)?;
        Ok(has_tag(line, place.tag) || overflows(line, place.class))
    }

    /// The number and the place of a name of this kind, if it is in the table.
    #[inline]
    pub(crate) fn find(&self, hash: u64, name: &[u8], kind: u16) -> Result<Option<(u32, u32)>, Fault> {
        let place = Place::of(hash, self.header.home_lines);
        let tag = place.tag << 2 | kind;
        let mut at = place.line;
        loop {
            let line = self.line(at)?;
            let mut candidates = same_tag(line, tag);
            while candidates != 0 {
                let slot = candidates.trailing_zeros() as usize;
                candidates &= candidates - 1;
                if usize::from(line[AT_LENGTHS + slot]) == name.len() {
                    let (number, at, stored) = self.name(line, slot)?;
                    if stored == name {
                        return Ok(Some((number, at as u32)));
                    }
                }
            }
            at += 1;
            // No name stands farther from its home than that, so that no question takes longer.
            if !overflows(line, place.class) || at > place.line + EXTRA_LINES {
                return Ok(None);
            }
        }
    }

    /// Gives the domain rule and the subtree rule of a name.
    #[inline(always)]
    fn name_hits(&self, hash: u64, name: &[u8], each: &mut impl FnMut(Hit) -> bool) -> Result<bool, Fault> {
        for (slot, kind) in [(DOMAIN, Kind::Domain), (SUBTREE, Kind::Subtree)] {
            if let Some((attributes, at)) = self.find(hash, name, slot)?
                && each(Hit { kind, length: name.len() as u32, attributes, at })
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Gives every rule that the question meets, most specific first, until `each` says that it is enough. Says whether
    /// it did.
    #[inline]
    pub(crate) fn hits(&self, question: &Question<'_>, hashes: &[u64], mut each: impl FnMut(Hit) -> bool) -> Result<bool, Fault> {
        let Some(&whole) = hashes.first() else { return Ok(false) };
        let name = question.name_octets();
        let address = question.as_address();
        if self.may_hold(whole)? {
            if let Some(rest) = question.rest()
                && let Some((group, _)) = self.find(whole, name, GROUP)?
                && self.url_hits(group, name.len(), rest.as_bytes(), &mut each)?
            {
                return Ok(true);
            }
            if address.is_none() && self.name_hits(whole, name, &mut each)? {
                return Ok(true);
            }
        }
        if let Some(address) = address {
            return self.range_hits(address, &mut each);
        }
        for (n, hash) in hashes.iter().enumerate().skip(1) {
            if !self.may_hold(*hash)? {
                continue;
            }
            let suffix = question.suffix(n);
            if let Some((attributes, at)) = self.find(*hash, suffix, SUBTREE)?
                && each(Hit { kind: Kind::Subtree, length: suffix.len() as u32, attributes, at })
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Tags of a line, the kind in the two lowest bits of each.
#[inline(always)]
fn tags(line: &[u8; LINE]) -> impl Iterator<Item = u16> {
    line[AT_TAGS..].chunks_exact(2).map(|tag| u16::from_le_bytes([tag[0], tag[1]]))
}

/// Whether a slot of a line has this tag, whatever its kind: one comparison of all, which the compiler makes of vectors.
#[inline(always)]
fn has_tag(line: &[u8; LINE], tag: u16) -> bool {
    let mut found = false;
    tags(line).for_each(|stored| found |= stored >> 2 == tag);
    found
}

/// Slots of a line whose tag and kind are these, a bit each. Empty slots have length 0, which no name has.
#[inline(always)]
fn same_tag(line: &[u8; LINE], tag: u16) -> u32 {
    let mut found = 0;
    for (slot, stored) in tags(line).enumerate() {
        found |= u32::from(stored == tag) << slot;
    }
    found
}

/// Whether names of this class that are at home in the line stand in a later one.
#[inline(always)]
pub(crate) fn overflows(line: &[u8; LINE], class: u32) -> bool {
    u16::from_le_bytes([line[AT_OVERFLOW], line[AT_OVERFLOW + 1]]) >> class & 1 == 1
}

/// The number of four octets at a place, which the caller knows to be there.
#[inline(always)]
pub(crate) fn u32_at(octets: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]])
}

#[inline(always)]
pub(crate) fn little_endian(octets: &[u8]) -> u32 {
    octets.iter().rev().fold(0, |number, octet| number << 8 | u32::from(*octet))
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("about", &self.header.about).field("rules", &self.header.rules).finish_non_exhaustive()
    }
}
