//! Seeded hashes of a host name and of the names above it, all in one pass from the right.
//!
//! Guarantees: without the seed nobody can make names that meet in one bucket (folded multiplication with secret
//! numbers); the same seed and name give the same hash on every machine. No cryptographic hash: it protects a table
//! against crowding, not a list against forgery.

/// The secret numbers of an index. Indexes with one seed hash alike, so that a question is hashed once for all of them.
#[derive(Clone, Copy)]
pub struct Seed {
    octets: [u8; 16],
    start: u64,
    /// Multiplied with the last sixteen octets of a label, and with those before them.
    last: u64,
    before: u64,
}

impl Seed {
    /// A seed from 16 random octets. The follower draws them once; a fixed seed is for tests and reproducible builds.
    pub fn new(octets: [u8; 16]) -> Seed {
        let number = u128::from_le_bytes(octets);
        let (low, high) = (number as u64, (number >> 64) as u64);
        // Three numbers of two, with digits of pi so that a seed of zeros works too.
        let start = fold(low ^ 0x243f_6a88_85a3_08d3, high ^ 0x1319_8a2e_0370_7344);
        let last = fold(start ^ 0xa409_3822_299f_31d0, high ^ 0x082e_fa98_ec4e_6c89);
        let before = fold(last ^ 0x4528_21e6_38d0_1377, low ^ 0xbe54_66cf_34e9_0c6c);
        Seed { octets, start, last, before }
    }

    /// The octets from which [`Seed::new`] makes this seed again.
    pub fn to_octets(self) -> [u8; 16] {
        self.octets
    }
}

/// By the octets, of which all else is made.
impl PartialEq for Seed {
    fn eq(&self, other: &Seed) -> bool {
        self.octets == other.octets
    }
}

impl Eq for Seed {}

/// Says nothing of the numbers: they are secret.
impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// Octets that must be readable behind the start of a label's last part, so that sixteen can be taken at once.
pub(crate) const PADDING: usize = 16;

/// What is kept of two words when `n` octets are left.
const MASKS: [[u64; 2]; 17] = {
    let mut masks = [[u64::MAX; 2]; 17];
    let mut n = 0;
    while n < 16 {
        masks[n] = if n < 8 { [(1 << (8 * n)) - 1, 0] } else { [u64::MAX, (1 << (8 * (n - 8))) - 1] };
        n += 1;
    }
    masks
};

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    wide as u64 ^ (wide >> 64) as u64
}

/// The hash of a name, grown label by label from the right.
///
/// A label is taken sixteen octets at a time. A host has no octet zero, so that zeros behind a short one are unambiguous; the
/// parts of a long one are multiplied with another secret than its end, so that cutting elsewhere gives another hash.
#[derive(Clone, Copy)]
pub(crate) struct SuffixHash {
    state: u64,
    last: u64,
    before: u64,
}

impl SuffixHash {
    #[inline(always)]
    pub(crate) fn new(seed: &Seed) -> SuffixHash {
        SuffixHash { state: seed.start, last: seed.last, before: seed.before }
    }

    /// Takes the next label to the left, `octets[start..end]`; [`PADDING`] octets must follow `end`. Gives the hash of
    /// the name that begins with it.
    #[inline(always)]
    pub(crate) fn label(&mut self, octets: &[u8], start: usize, end: usize) -> u64 {
        let words = |at: usize| {
            let sixteen: [u8; 16] = octets[at..at + 16].try_into().expect("a slice of sixteen octets");
            let both = u128::from_le_bytes(sixteen);
            (both as u64, (both >> 64) as u64)
        };
        let mut at = start;
        while end - at > 16 {
            let (a, b) = words(at);
            self.state = fold(self.state ^ a, self.before ^ b);
            at += 16;
        }
        let [keep_a, keep_b] = MASKS[end - at];
        let (a, b) = words(at);
        self.state = fold(self.state ^ (a & keep_a), self.last ^ (b & keep_b));
        // Names that differ in a few octets differ by a multiple of one number so far; once more, and they do not.
        fold(self.state, self.before)
    }
}

/// The hash of a whole name, as [`SuffixHash`] gives it after its leftmost label; `padded` has the name in its first `length`
/// octets, at most 255, and [`PADDING`] behind it. For building.
pub(crate) fn hash_name(padded: &[u8], length: usize, seed: &Seed) -> u64 {
    let mut hash = SuffixHash::new(seed);
    let mut end = length;
    loop {
        let start = memchr::memrchr(b'.', &padded[..end]).map_or(0, |dot| dot + 1);
        let value = hash.label(padded, start, end);
        if start == 0 {
            return value;
        }
        end = start - 1;
    }
}

/// As [`hash_name`], of a text. For tests, which have no name with room behind it.
#[cfg(test)]
pub(crate) fn hash_text(name: &str, seed: &Seed) -> u64 {
    // What stands behind must not matter.
    let padded = [name.as_bytes(), &[0xff; PADDING]].concat();
    hash_name(&padded, name.len(), seed)
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
        for name in [
            "ab.c",
            "a.bc",
            "abc",
            "a.b.c",
            "c.ab",
            "a.c",
            "aaaaaaaa.b",
            "aaaaaaaab",
            "aaaaaaa.ab",
            "aaaaaaaaa.b",
            "aaaaaaaaaaaaaaaa.b",
            "aaaaaaaaaaaaaaaaa.b",
            "aaaaaaaaaaaaaaaaab",
        ] {
            if let Some(other) = seen.insert(hash_text(name, &seed), name) {
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
                let value = hash_text(&format!("host{n}.example.com"), &Seed::new(seed));
                filled[((value >> 32) as usize * buckets) >> 32] += 1;
            }
            // Poisson with mean 16: variance 16 as well.
            let variance = filled.iter().map(|f| (f64::from(*f) - 16.0).powi(2)).sum::<f64>() / buckets as f64;
            assert!((13.0..19.0).contains(&variance), "{variance} of {seed:?}");
        }
    }
}
