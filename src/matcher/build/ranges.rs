//! The address ranges of an index: sorted, each with the range around it.

use super::{Address, BuildError, Family, NONE, Range, index32};

/// Sorts ranges and finds the one around each.
pub(super) fn lay_ranges(addresses: &mut [Address], family: Family) -> Result<Vec<Range>, BuildError> {
    addresses.sort_unstable_by_key(|a| (a.range.address, a.range.length));
    let mut ranges: Vec<Range> = Vec::with_capacity(addresses.len());
    let mut open: Vec<u32> = Vec::new();
    for (n, Address { range, .. }) in addresses.iter().enumerate() {
        if ranges.last().is_some_and(|before| (before.address, before.length) == (range.address, range.length)) {
            return Err(BuildError::Twice(format!("cidr:{}", range.text(family))));
        }
        while open.last().is_some_and(|around| !ranges[*around as usize].holds(range.address, family.bits)) {
            open.pop();
        }
        ranges.push(Range { around: open.last().copied().unwrap_or(NONE), ..*range });
        open.push(index32(n, "ranges")?);
    }
    Ok(ranges)
}

pub(super) fn encode_ranges(family: Family, ranges: &[Range]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(ranges.len() * family.size);
    ranges.iter().for_each(|range| range.encode(family, &mut octets));
    octets
}
