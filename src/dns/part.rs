//! Parts of a zone: each a zone of its own, `0.NAME` to `(N-1).NAME`, with the rules whose target's hash falls to it.
//!
//! Guarantees: every target is in exactly one part, its name and its wildcard in the same one; which, depends on the target
//! and the number of parts alone, and is the same in every version of this program.

/// Parts of a zone, at most. BIND allows 64 policy zones in all.
pub const MOST_PARTS: u32 = 32;

/// One part of a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// From 0.
    pub number: u32,
    /// How many there are; 1: the zone is not divided.
    pub of: u32,
}

impl Part {
    /// All of it.
    pub const WHOLE: Part = Part { number: 0, of: 1 };

    /// Its place among the parts.
    pub fn at(self) -> usize {
        self.number as usize
    }

    /// Whether a target is in it.
    pub fn has(self, target: &str) -> bool {
        self.of == 1 || part_of(target, self.of) == self.number
    }
}

/// To which of `of` parts a target belongs: FNV-1a of 64 bits over the octets of its canonical text (`a.example`,
/// `192.0.2.0/24`), the upper half xor the lower, modulo `of`.
pub fn part_of(target: &str, of: u32) -> u32 {
    let hash = target.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3));
    let folded = (hash >> 32) ^ (hash & 0xffff_ffff);
    u32::try_from(folded % u64::from(of.max(1))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_documented_one_for_ever() {
        // FNV-1a of "a" is af63dc4c8601ec8c: af63dc4c ^ 8601ec8c = 296230c0.
        assert_eq!(part_of("a", 32), 0x2962_30c0 % 32);
        assert_eq!(part_of("a", 7), 0x2962_30c0 % 7);
        assert_eq!(part_of("", 5), (0xcbf2_9ce4 ^ 0x8422_2325) % 5);
    }

    #[test]
    fn parts_are_even_and_each_target_is_in_one() {
        for of in [1, 2, 4, 7, 8, 16, 32] {
            let mut sizes = vec![0u32; of as usize];
            for n in 0..16_000 {
                let target = format!("n{n}.example");
                let parts = (0..of).filter(|number| Part { number: *number, of }.has(&target));
                let [part] = parts.collect::<Vec<_>>()[..] else { panic!("{target} is not in one part of {of}") };
                sizes[part as usize] += 1;
            }
            let even = 16_000 / of;
            assert!(sizes.iter().all(|size| size.abs_diff(even) < even / 4 + 1), "{of}: {sizes:?}");
        }
    }
}
