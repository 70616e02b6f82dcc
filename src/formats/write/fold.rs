//! Which entries another rule of the list covers, found in bounded memory.
//!
//! The order of a list is that of its text, in which a parent stands anywhere. So the parents (hashes of 64 bits, keyed
//! afresh each time) are taken into a table of fixed size, part by part, and all entries are held against each part; what
//! stays is one bit an entry. A false find needs two keyed hashes to be equal by chance: less than once in 10^5 exports of
//! five million entries.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::list::Kind;

use super::entry::{EntryRef, Range};
use super::format::Fold;
use super::{Lines, broken};

/// Parents in the table at a time.
const AT_A_TIME: usize = 1 << 21;

/// One bit an entry, by its place.
#[derive(Debug, Default)]
pub(super) struct Covered(Vec<u64>);

impl Covered {
    /// Whether the entry at this place is covered.
    pub(super) fn contains(&self, place: u64) -> bool {
        let word = usize::try_from(place / 64).ok().and_then(|word| self.0.get(word));
        word.is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    fn insert(&mut self, place: u64) {
        let word = usize::try_from(place / 64).expect("an entry of a list in memory or on this machine's disk");
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (place % 64);
    }
}

/// The entries that another one of those that count (`counts`) covers.
pub(super) fn covered(fold: Fold, lines: &mut dyn Lines, entries: u64, counts: impl Fn(&EntryRef<'_>) -> bool) -> io::Result<Covered> {
    covered_by_parts(fold, lines, entries, counts, AT_A_TIME)
}

fn covered_by_parts(
    fold: Fold,
    lines: &mut dyn Lines,
    entries: u64,
    counts: impl Fn(&EntryRef<'_>) -> bool,
    at_a_time: usize,
) -> io::Result<Covered> {
    let mut covered = Covered(vec![0; usize::try_from(entries / 64 + 1).unwrap_or(0).min(1 << 24)]);
    let keys = RandomState::new();
    let mut done = 0;
    loop {
        let mut parents = Parents::new(usize::try_from(entries).unwrap_or(usize::MAX).min(at_a_time));
        let mut seen = 0_u64;
        lines.pass(&mut |line| {
            let entry = EntryRef::of(line).ok_or_else(|| broken(line))?;
            if is_parent(fold, &entry) && counts(&entry) {
                if seen >= done && parents.count < at_a_time {
                    parents.add(fold, &keys, &entry);
                }
                seen += 1;
            }
            Ok(())
        })?;
        if parents.count == 0 {
            return Ok(covered);
        }
        done += parents.count as u64;
        let mut place = 0;
        lines.pass(&mut |line| {
            let entry = EntryRef::of(line).ok_or_else(|| broken(line))?;
            if parents.cover(fold, &keys, &entry) {
                covered.insert(place);
            }
            place += 1;
            Ok(())
        })?;
        if done >= seen {
            return Ok(covered);
        }
    }
}

fn is_parent(fold: Fold, entry: &EntryRef<'_>) -> bool {
    entry.kind == if fold == Fold::Names { Kind::Subtree } else { Kind::Cidr }
}

/// Hashes in a table with open addressing, at most two thirds full; 0 is an empty place.
struct Parents {
    table: Vec<u64>,
    count: usize,
    /// Lengths of the ranges among them: bit n of the first for IPv4, of the second for IPv6.
    lengths: [u128; 2],
}

impl Parents {
    fn new(most: usize) -> Parents {
        Parents { table: vec![0; (most * 3 / 2 + 1).next_power_of_two()], count: 0, lengths: [0; 2] }
    }

    fn add(&mut self, fold: Fold, keys: &RandomState, entry: &EntryRef<'_>) {
        let hash = match (fold, entry.range()) {
            (Fold::Ranges, Some(range)) => {
                let (family, length) = match range {
                    Range::V4(_, length) => (0, length),
                    Range::V6(_, length) => (1, length),
                };
                // A range of full length covers nothing but itself.
                self.lengths[family] |= 1_u128.checked_shl(u32::from(length)).unwrap_or(0);
                hash_of_range(keys, range)
            }
            _ => hash_of_name(keys, entry.target),
        };
        let mut at = self.place(hash);
        while self.table[at] != 0 {
            at = (at + 1) % self.table.len();
        }
        self.table[at] = hash;
        self.count += 1;
    }

    fn place(&self, hash: u64) -> usize {
        hash as usize & (self.table.len() - 1)
    }

    fn has(&self, hash: u64) -> bool {
        let mut at = self.place(hash);
        loop {
            match self.table[at] {
                0 => return false,
                found if found == hash => return true,
                _ => at = (at + 1) % self.table.len(),
            }
        }
    }

    /// Whether one of these covers the entry and is not the entry itself.
    fn cover(&self, fold: Fold, keys: &RandomState, entry: &EntryRef<'_>) -> bool {
        match (fold, entry.kind) {
            (Fold::Names, Kind::Domain) => names_from(entry.target).any(|name| self.has(hash_of_name(keys, name))),
            (Fold::Names, Kind::Subtree) => names_from(entry.target).skip(1).any(|name| self.has(hash_of_name(keys, name))),
            (Fold::Ranges, Kind::Cidr) => entry.range().is_some_and(|range| self.cover_range(keys, range)),
            _ => false,
        }
    }

    fn cover_range(&self, keys: &RandomState, range: Range) -> bool {
        let (family, longest) = match range {
            Range::V4(_, length) => (0, length),
            Range::V6(_, length) => (1, length),
        };
        let shorter = (0..longest).filter(|length| self.lengths[family] >> length & 1 == 1);
        shorter.into_iter().any(|length| self.has(hash_of_range(keys, wider(range, length))))
    }
}

/// The name and those above it, down to two labels.
fn names_from(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.split_once('.').map(|(_, above)| above).filter(|above| above.contains('.')))
}

/// The range of this length around a range.
fn wider(range: Range, length: u8) -> Range {
    match range {
        Range::V4(address, _) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            Range::V4(Ipv4Addr::from(u32::from(address) & mask), length)
        }
        Range::V6(address, _) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            Range::V6(Ipv6Addr::from(u128::from(address) & mask), length)
        }
    }
}

fn hash_of_name(keys: &RandomState, name: &str) -> u64 {
    keys.hash_one(name.as_bytes()).max(1)
}

fn hash_of_range(keys: &RandomState, range: Range) -> u64 {
    let hash = match range {
        Range::V4(address, length) => keys.hash_one((4_u8, u32::from(address), length)),
        Range::V6(address, length) => keys.hash_one((6_u8, u128::from(address), length)),
    };
    hash.max(1)
}
