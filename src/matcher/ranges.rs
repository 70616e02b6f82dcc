//! Address ranges: sorted, each knowing the nearest range around it.
//!
//! As with URLs: every range that holds an address is the last one that begins not after it, or around that one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::index::{Hit, Index, u32_at};
use super::layout::{Fault, Section};
use super::urls::NONE;
use crate::list::Kind;

/// An IPv4 range: address, length, attributes, the range around it.
pub(crate) const V4_SIZE: usize = 16;
/// An IPv6 range: the same with a longer address.
pub(crate) const V6_SIZE: usize = 28;

/// One range as it is stored.
#[derive(Clone, Copy)]
pub(crate) struct Range {
    /// IPv4 addresses stand in the lowest 32 bits.
    pub(crate) address: u128,
    pub(crate) length: u8,
    pub(crate) attributes: u32,
    /// Number of the nearest range around it, or [`NONE`].
    pub(crate) around: u32,
}

/// Sizes of the two versions of the protocol.
#[derive(Clone, Copy)]
pub(crate) struct Family {
    pub(crate) section: Section,
    pub(crate) size: usize,
    pub(crate) bits: u8,
    /// Set in the places of its ranges.
    pub(crate) mark: u32,
}

/// Marks the place of an IPv6 range, so that a place alone says which family it is of.
pub(crate) const V6_PLACE: u32 = 1 << 31;
pub(crate) const V4: Family = Family { section: Section::V4, size: V4_SIZE, bits: 32, mark: 0 };
pub(crate) const V6: Family = Family { section: Section::V6, size: V6_SIZE, bits: 128, mark: V6_PLACE };

fn family_of(address: IpAddr) -> (Family, u128) {
    match address {
        IpAddr::V4(v4) => (V4, u128::from(u32::from(v4))),
        IpAddr::V6(v6) => (V6, u128::from(v6)),
    }
}

impl Range {
    pub(crate) fn encode(&self, family: Family, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.address.to_be_bytes()[16 - usize::from(family.bits) / 8..]);
        out.extend_from_slice(&u32::from(self.length).to_le_bytes());
        out.extend_from_slice(&self.attributes.to_le_bytes());
        out.extend_from_slice(&self.around.to_le_bytes());
    }

    /// `ADDRESS/LENGTH`.
    pub(crate) fn text(&self, family: Family) -> String {
        match family.bits {
            32 => format!("{}/{}", Ipv4Addr::from(self.address as u32), self.length),
            _ => format!("{}/{}", Ipv6Addr::from(self.address), self.length),
        }
    }

    /// Whether it holds the address.
    pub(crate) fn holds(&self, address: u128, bits: u8) -> bool {
        let rest = u32::from(bits.saturating_sub(self.length));
        rest >= 128 || (self.address ^ address) >> rest == 0
    }

    /// Whether all bits beyond its length are zero.
    pub(crate) fn is_network(&self, bits: u8) -> bool {
        network(self.address, bits, u32::from(self.length)) == self.address
    }
}

/// The address with all bits beyond a length zero.
fn network(address: u128, bits: u8, length: u32) -> u128 {
    address & u128::MAX.checked_shl(u32::from(bits).saturating_sub(length)).unwrap_or(0)
}

impl Index {
    /// Whether there is the range of this length that holds the address.
    pub(crate) fn has_range(&self, address: IpAddr, length: u32) -> Result<bool, Fault> {
        let (family, asked) = family_of(address);
        let key = (network(asked, family.bits, length), length);
        let (mut low, mut high) = (0, self.ranges(family));
        while low < high {
            let middle = low + (high - low) / 2;
            let range = self.range(family, middle)?;
            match (range.address, u32::from(range.length)).cmp(&key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(true),
            }
        }
        Ok(false)
    }

    pub(crate) fn range(&self, family: Family, n: u32) -> Result<Range, Fault> {
        let octets = self.read(family.section, n as usize * family.size, family.size)?;
        let (address, rest) = octets.split_at(usize::from(family.bits) / 8);
        let address = address.iter().fold(0, |number, octet| number << 8 | u128::from(*octet));
        Ok(Range { address, length: rest[0], attributes: u32_at(rest, 4), around: u32_at(rest, 8) })
    }

    pub(crate) fn ranges(&self, family: Family) -> u32 {
        (self.header_length(family.section) / family.size) as u32
    }

    /// Gives the ranges that hold an address, narrowest first.
    pub(crate) fn range_hits(&self, address: IpAddr, each: &mut impl FnMut(Hit) -> bool) -> Result<bool, Fault> {
        let (family, asked) = family_of(address);
        let (mut low, mut high) = (0, self.ranges(family));
        while low < high {
            let middle = low + (high - low) / 2;
            if self.range(family, middle)?.address > asked { high = middle } else { low = middle + 1 }
        }
        let mut next = if low > 0 { low - 1 } else { NONE };
        while next != NONE {
            let range = self.range(family, next)?;
            if range.holds(asked, family.bits) {
                let hit = Hit { kind: Kind::Cidr, length: u32::from(range.length), attributes: range.attributes, at: next | family.mark };
                if each(hit) {
                    return Ok(true);
                }
            }
            match range.around {
                NONE => next = NONE,
                around if around < next => next = around,
                _ => return Err(Fault::RANGE_AROUND),
            }
        }
        Ok(false)
    }
}
