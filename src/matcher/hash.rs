//! Seeded hashes of a host name and of the names above it, all in one pass from the right.
//!
//! Guarantees: without the seed nobody can make names that meet in one bucket (folded multiplication with secret
//! numbers); the same seed and name give the same hash on every machine. No cryptographic hash: it protects a table
//! against crowding, not a list against forgery.

/// The secret numbers of an index. Two indexes with one seed hash alike, so that a question is hashed once for both.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub(crate) [u64; 2]);

impl Seed {
    /// A seed from 16 random octets. The follower draws them once; a fixed seed is for tests and reproducible builds.
    pub fn new(octets: [u8; 16]) -> Seed {
        let number = u128::from_le_bytes(octets);
        // An odd multiplier with bits in both halves, whatever was drawn.
        Seed([number as u64, (number >> 64) as u64 | 0x8000_0000_0000_0001])
    }

    /// The octets from which [`Seed::new`] makes this seed again.
    pub fn to_octets(self) -> [u8; 16] {
        (u128::from(self.0[0]) | u128::from(self.0[1]) << 64).to_le_bytes()
    }
}

/// Says nothing of the numbers: they are secret.
impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// Octets that must be readable behind a name, so that eight can be taken at once.
pub(crate) const PADDING: usize = 8;

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    wide as u64 ^ (wide >> 64) as u64
}

/// The hash of a name, grown label by label from the right.
#[derive(Clone, Copy)]
pub(crate) struct SuffixHash {
    state: u64,
    factor: u64,
}

impl SuffixHash {
    #[inline(always)]
    pub(crate) fn new(seed: Seed) -> SuffixHash {
        // A seed that somebody chose (zeros, say) has few bits that are set, and would mix as little.
        SuffixHash { state: seed.0[0] ^ 0x243f_6a88_85a3_08d3, factor: seed.0[1] ^ 0x1319_8a2e_0370_7344 }
    }

    /// Takes the next label to the left, `octets[start..end]`; [`PADDING`] octets must follow `end`.
    #[inline(always)]
    pub(crate) fn label(&mut self, octets: &[u8], start: usize, end: usize) -> u64 {
        let mut at = start;
        let word = |at: usize| u64::from_le_bytes(octets[at..at + 8].try_into().expect("a slice of eight octets"));
        while end - at >= 8 {
            self.state = fold(self.state ^ word(at), self.factor);
            at += 8;
        }
        // At most seven octets are left, so that the length has the highest one to itself: no two labels give one word.
        let left = end - at;
        let rest = word(at) & !(u64::MAX << (8 * left));
        self.state = fold(self.state ^ rest ^ ((end - start) as u64) << 56, self.factor);
        self.state
    }
}

/// The hash of a whole name, as [`SuffixHash`] gives it after its leftmost label. For building.
pub(crate) fn hash_name(name: &[u8], seed: Seed) -> u64 {
    let mut padded = [0_u8; 256 + PADDING];
    let n = name.len().min(255);
    padded[..n].copy_from_slice(&name[..n]);
    let mut hash = SuffixHash::new(seed);
    let mut end = n;
    loop {
        let start = name[..end].iter().rposition(|c| *c == b'.').map_or(0, |dot| dot + 1);
        let value = hash.label(&padded, start, end);
        if start == 0 {
            return value;
        }
        end = start - 1;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_seed_is_its_octets() {
        let seed = Seed::new([7; 16]);
        assert_eq!(Seed::new(seed.to_octets()), seed);
        assert_eq!(format!("{seed:?}"), "Seed(..)");
    }

    #[test]
    fn where_labels_end_matters() {
        let seed = Seed::new(*b"0123456789abcdef");
        let mut seen = HashMap::new();
        for name in ["ab.c", "a.bc", "abc", "a.b.c", "c.ab", "a.c", "aaaaaaaa.b", "aaaaaaaab", "aaaaaaa.ab", "aaaaaaaaa.b"] {
            if let Some(other) = seen.insert(hash_name(name.as_bytes(), seed), name) {
                panic!("{name} and {other} have one hash");
            }
        }
    }

    #[test]
    fn buckets_fill_as_chance_would_have_it() {
        let buckets = 1 << 10;
        let names = 16 * buckets;
        for seed in [*b"fedcba9876543210", [0; 16], [1; 16], [0x80; 16], [0xff; 16]] {
            let mut filled = vec![0_u32; buckets];
            for n in 0..names {
                let hash = hash_name(format!("host{n}.example.com").as_bytes(), Seed::new(seed));
                filled[((hash >> 32) as usize * buckets) >> 32] += 1;
            }
            // Poisson with mean 16: variance 16 as well.
            let variance = filled.iter().map(|f| (f64::from(*f) - 16.0).powi(2)).sum::<f64>() / buckets as f64;
            assert!((13.0..19.0).contains(&variance), "{variance} of {seed:?}");
        }
    }
}
