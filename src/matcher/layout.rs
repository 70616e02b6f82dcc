//! How the octets of an index are laid out: the header, and where the sections lie (docs/MATCHING.md, The file).
//!
//! Guarantees: a header that was read is whole (its checksum held), of this version, and names sections that lie within
//! the file, in order and apart. Numbers are little-endian.

use std::num::NonZeroU32;

use crate::list::{Colour, Digest, Kind, ListId, Origin, Serial};

use super::hash::Seed;
use super::pages::PAGE;

const MAGIC: &[u8; 8] = b"bwldindx";
/// The version of this layout.
pub(crate) const VERSION: u32 = 1;
/// Size of a line of the host table, in octets: one cache line.
pub(crate) const LINE: usize = 64;
/// Names in a line.
pub(crate) const SLOTS: usize = 19;
/// Lines behind the last home line, for what its neighbours overflow with; and the farthest that a name stands from its home.
pub(crate) const EXTRA_LINES: usize = 64;

/// A part of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Section {
    /// Lines of the host table.
    Lines,
    /// Names and the numbers of their attributes, grouped by line.
    Names,
    /// Hosts that have URL rules: first rule, place and length of the host's name.
    Groups,
    /// URL rules, sorted within their group.
    Urls,
    /// The texts of URL rules.
    UrlText,
    /// IPv4 ranges.
    V4,
    /// IPv6 ranges.
    V6,
    /// Where each set of attributes ends.
    Attributes,
    /// The texts of attributes.
    AttributeText,
    /// References of domain rules, URL rules and ranges: place of the rule, place of the text.
    References,
    /// Texts of the references.
    ReferenceText,
    /// Checksums of the pages.
    Sums,
}

impl Section {
    pub(crate) const COUNT: usize = 12;
}

/// What an index says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct About {
    /// Whose list.
    pub origin: Origin,
    /// Which list.
    pub list: ListId,
    /// What it is for.
    pub colour: Colour,
    /// Which version of it; of an overlay the newest in it.
    pub serial: Serial,
    /// The root digest of that version.
    pub root: Digest,
}

/// The header, read.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) about: About,
    pub(crate) seed: Seed,
    pub(crate) length: u64,
    /// Octets of the number that stands before each name, 1 to 4.
    pub(crate) width: usize,
    /// The names of a line stand at its number times this, or as soon behind it as those before leave room.
    pub(crate) stride: u16,
    /// Home lines; there are [`EXTRA_LINES`] more.
    pub(crate) home_lines: u32,
    /// Rules by [`Kind::ALL`]; rules that an overlay takes away are counted too.
    pub(crate) rules: [u64; 5],
    /// Start and length by [`Section`].
    pub(crate) sections: [(u64, u64); Section::COUNT],
    pub(crate) sums: u32,
}

/// Why a file is no index that could be opened.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Not long enough for a header, or without its first octets.
    #[error("this is no index of bwld; build one from the list")]
    NotAnIndex,
    /// Another version.
    #[error("the index is of layout {0}, this program reads layout {VERSION}; build it again from the list")]
    Version(u32),
    /// The checksum of the header does not hold, or what it says cannot be.
    #[error("the header of the index is damaged ({0}); build the index again from the list")]
    Header(&'static str),
    /// Shorter or longer than its header says.
    #[error("the index has {found} octets and should have {expected}; build it again from the list")]
    Length {
        /// As the header says.
        expected: u64,
        /// As it is.
        found: u64,
    },
    /// A page's checksum does not hold.
    #[error("page {page} of the index (octets {start} to {end}) is damaged; build the index again from the list", start = page * PAGE, end = (page + 1) * PAGE - 1)]
    Page {
        /// Which, of 4,096 octets.
        page: usize,
    },
    /// Whole by its checksums, yet contradicting itself: written by another program or a faulty one.
    #[error("the index contradicts itself ({0}); build it again from the list")]
    Contradiction(&'static str),
}

/// What a look-up finds wrong, in four octets, so that an answer goes through registers; an [`IndexError`] for everybody else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fault(NonZeroU32);

/// Set in a [`Fault`] that is no page: the rest is a place in [`CONTRADICTIONS`].
const CONTRADICTION: u32 = 1 << 31;
/// By [`Section`]; then what has no section.
const CONTRADICTIONS: [&str; Section::COUNT + 2] = [
    "a line beyond the table",
    "a name beyond its section",
    "a host of URL rules beyond its section",
    "a URL rule beyond its section",
    "the text of a URL rule beyond its section",
    "an IPv4 range beyond its section",
    "an IPv6 range beyond its section",
    "attributes beyond their section",
    "the text of attributes beyond its section",
    "a reference beyond its section",
    "the text of a reference beyond its section",
    "a checksum beyond its section",
    "a URL rule around which lies a later one",
    "a range around which lies a later one",
];

impl Fault {
    pub(crate) const URL_AROUND: Fault = Fault::contradiction(Section::COUNT);
    pub(crate) const RANGE_AROUND: Fault = Fault::contradiction(Section::COUNT + 1);

    const fn contradiction(at: usize) -> Fault {
        match NonZeroU32::new(CONTRADICTION | at as u32) {
            Some(number) => Fault(number),
            None => unreachable!(),
        }
    }

    /// Something lies outside its section.
    #[cold]
    pub(crate) const fn outside(section: Section) -> Fault {
        Fault::contradiction(section as usize)
    }

    /// A page's checksum does not hold.
    #[cold]
    pub(crate) fn page(page: usize) -> Fault {
        // 2^31 pages are 8 TiB, far beyond what the sections can hold.
        Fault(NonZeroU32::MIN.saturating_add((page as u32).min(CONTRADICTION - 2)))
    }
}

impl From<Fault> for IndexError {
    fn from(fault: Fault) -> IndexError {
        let number = fault.0.get();
        match number.checked_sub(CONTRADICTION) {
            Some(at) => IndexError::Contradiction(CONTRADICTIONS.get(at as usize).copied().unwrap_or_default()),
            None => IndexError::Page { page: number as usize - 1 },
        }
    }
}

const HEADER: IndexError = IndexError::Header("a number out of range");

/// Reads little-endian numbers one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn octets(&mut self, n: usize) -> Result<&'a [u8], IndexError> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(HEADER)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], IndexError> {
        self.octets(N)?.try_into().map_err(|_| HEADER)
    }

    fn u32(&mut self) -> Result<u32, IndexError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, IndexError> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Result<&'a str, IndexError> {
        let n = usize::from(self.array().map(u16::from_le_bytes)?);
        std::str::from_utf8(self.octets(n)?).map_err(|_| HEADER)
    }
}

/// Where the checksum of the header stands.
const SUM_AT: usize = 12;

fn header_sum(page: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&page[..SUM_AT]);
    sum.update(&[0; 4]);
    sum.update(&page[SUM_AT + 4..]);
    sum.finalize()
}

impl Header {
    /// Where a section lies.
    #[inline(always)]
    pub(crate) fn section(&self, section: Section) -> (usize, usize) {
        let (start, length) = self.sections[section as usize];
        (start as usize, length as usize)
    }

    /// Writes the header into the first page.
    pub(crate) fn write(&self, page: &mut [u8]) {
        let mut octets = Vec::with_capacity(PAGE);
        octets.extend_from_slice(MAGIC);
        octets.extend_from_slice(&VERSION.to_le_bytes());
        octets.extend_from_slice(&[0; 4]);
        octets.extend_from_slice(&self.length.to_le_bytes());
        octets.extend_from_slice(&self.seed.to_octets());
        octets.extend_from_slice(&self.about.serial.get().to_le_bytes());
        octets.extend_from_slice(&self.about.root.0);
        octets.extend_from_slice(&[u8::from(self.about.colour == Colour::White), self.width as u8]);
        octets.extend_from_slice(&self.stride.to_le_bytes());
        octets.extend_from_slice(&self.home_lines.to_le_bytes());
        octets.extend_from_slice(&self.sums.to_le_bytes());
        for rules in self.rules {
            octets.extend_from_slice(&rules.to_le_bytes());
        }
        for (start, length) in self.sections {
            octets.extend_from_slice(&start.to_le_bytes());
            octets.extend_from_slice(&length.to_le_bytes());
        }
        for text in [self.about.origin.as_str(), self.about.list.as_str()] {
            octets.extend_from_slice(&(text.len() as u16).to_le_bytes());
            octets.extend_from_slice(text.as_bytes());
        }
        page[..octets.len()].copy_from_slice(&octets);
        let sum = header_sum(&page[..PAGE]);
        page[SUM_AT..SUM_AT + 4].copy_from_slice(&sum.to_le_bytes());
    }

    /// Reads and checks the header of a whole file; of the rest only the table of checksums is read.
    pub(crate) fn read(file: &[u8]) -> Result<Header, IndexError> {
        let page = file.get(..PAGE).ok_or(IndexError::NotAnIndex)?;
        let mut fields = Fields(page);
        if fields.octets(8)? != MAGIC {
            return Err(IndexError::NotAnIndex);
        }
        match fields.u32()? {
            VERSION => {}
            other => return Err(IndexError::Version(other)),
        }
        if fields.u32()? != header_sum(page) {
            return Err(IndexError::Header("its checksum does not hold"));
        }
        let length = fields.u64()?;
        let seed = Seed::new(fields.array()?);
        let serial = Serial::new(fields.u64()?).ok_or(HEADER)?;
        let root = Digest(fields.array()?);
        let [white, width, stride @ ..] = fields.array::<4>()?;
        let home_lines = fields.u32()?;
        let sums = fields.u32()?;
        let mut rules = [0; Kind::ALL.len()];
        for count in &mut rules {
            *count = fields.u64()?;
        }
        let mut sections = [(0, 0); Section::COUNT];
        for section in &mut sections {
            *section = (fields.u64()?, fields.u64()?);
        }
        let origin = fields.text()?.parse().map_err(|_| HEADER)?;
        let list = fields.text()?.parse().map_err(|_| HEADER)?;
        let colour = match white {
            0 => Colour::Black,
            1 => Colour::White,
            _ => return Err(HEADER),
        };
        let about = About { origin, list, colour, serial, root };
        let header = Header {
            about,
            seed,
            length,
            width: usize::from(width),
            stride: u16::from_le_bytes(stride),
            home_lines,
            rules,
            sections,
            sums,
        };
        header.check(file)?;
        Ok(header)
    }

    fn check(&self, file: &[u8]) -> Result<(), IndexError> {
        if self.length != file.len() as u64 {
            return Err(IndexError::Length { expected: self.length, found: file.len() as u64 });
        }
        let too_many = self.rules.iter().any(|rules| *rules > u64::from(u32::MAX));
        if !(1..=4).contains(&self.width) || self.home_lines == 0 || too_many {
            return Err(HEADER);
        }
        let mut before = PAGE as u64;
        for (start, length) in self.sections {
            let end = start.checked_add(length).ok_or(HEADER)?;
            if start < before || end > self.length {
                return Err(IndexError::Header("a section lies outside the file or in another"));
            }
            before = end;
        }
        let lines = (self.home_lines as usize).checked_add(EXTRA_LINES).and_then(|lines| lines.checked_mul(LINE));
        if lines != Some(self.section(Section::Lines).1) {
            return Err(IndexError::Header("the number of lines"));
        }
        let (start, length) = self.section(Section::Sums);
        if start % PAGE != 0 || length != 4 * (start / PAGE) {
            return Err(IndexError::Header("the table of checksums"));
        }
        if crc32fast::hash(&file[start..start + length]) != self.sums {
            return Err(IndexError::Header("the checksum of the table of checksums does not hold"));
        }
        Ok(())
    }
}
