//! The bucketed root digest (docs/PROTOCOL.md section 5): cost follows the change, not the list.

use sha2::{Digest as _, Sha256, block_api::compress256};

use crate::list::{Digest, rule_of};

use super::{MAX_BITS, WireError};

/// How many entries a bucket should hold, about.
const PER_BUCKET: u64 = 128;
/// How many entries a bucket may hold on average before k is chosen anew.
const MOST_PER_BUCKET: u64 = 512;

/// A root digest and the number of bucket bits it was made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Root {
    /// The digest.
    pub digest: Digest,
    /// k: there are 2^k buckets.
    pub bits: u8,
}

/// The bucket of a rule: the first `bits` bits (at most 32) of SHA-256(rule).
pub fn bucket_of(rule: &str, bits: u8) -> u32 {
    // A shift by 32, all bits, is what k = 0 means.
    first_bits(rule.as_bytes()).checked_shr(32 - u32::from(bits.min(32))).unwrap_or(0)
}

/// The first 32 bits of SHA-256(text). Most rules fit the one block of a short message (FIPS 180-4, 5.1.1), which is laid
/// out here: a base hashes each of its rules, and half of that was the way through the buffer of a hasher.
fn first_bits(text: &[u8]) -> u32 {
    const INITIAL: [u32; 8] = [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
    if text.len() > 55 {
        let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(text).into();
        return u32::from_be_bytes([a, b, c, d]);
    }
    let mut block = [0; 64];
    block[..text.len()].copy_from_slice(text);
    block[text.len()] = 0x80;
    block[56..].copy_from_slice(&(text.len() as u64 * 8).to_be_bytes());
    let mut state = INITIAL;
    compress256(&mut state, &[block]);
    state[0]
}

/// Digest of a bucket from its entry lines (each with its LF) in order.
pub fn bucket_digest(lines_with_lf: &[u8]) -> Digest {
    Digest(Sha256::new_with_prefix([0]).chain_update(lines_with_lf).finalize().into())
}

/// The k a publisher chooses for a list of `entries`: about 128 entries a bucket, 0 for a small list.
pub fn bits_for(entries: u64) -> u8 {
    (0..MAX_BITS).find(|k| entries <= PER_BUCKET << k).unwrap_or(MAX_BITS)
}

/// Whether a list that has come to `entries` may keep its k. A change of k rehashes everything, so a publisher keeps the
/// one it has until it is not allowed any more (2^k > entries) or buckets hold more than 512 entries on average.
pub fn keep_bits(current: u8, entries: u64) -> bool {
    current <= MAX_BITS && 1 << current <= entries.max(1) && entries <= MOST_PER_BUCKET << current
}

/// The binary tree over bucket digests; changing one bucket costs k hashes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tree {
    bits: u8,
    /// Heap order: node 1 is the top, leaves begin at 2^bits; node 0 is unused.
    nodes: Vec<[u8; 32]>,
}

impl Tree {
    /// Builds the tree; `leaves.len()` must be a power of two, at most 2^[`super::MAX_BITS`].
    ///
    /// # Errors
    /// `None` if it is not.
    pub fn new(leaves: &[Digest]) -> Option<Tree> {
        if !leaves.len().is_power_of_two() || leaves.len() > 1 << MAX_BITS {
            return None;
        }
        let first = leaves.len();
        let mut nodes = vec![[0; 32]; 2 * first];
        for (node, leaf) in nodes[first..].iter_mut().zip(leaves) {
            *node = leaf.0;
        }
        for at in (1..first).rev() {
            nodes[at] = node(&nodes[2 * at], &nodes[2 * at + 1]);
        }
        Some(Tree { bits: first.ilog2() as u8, nodes })
    }

    /// Reads bucket digests as they travel: 32 octets each, in order.
    ///
    /// # Errors
    /// [`WireError::Line`] if there are not exactly 2^`bits` of them; [`WireError::TooLarge`] if `bits` is not allowed.
    pub fn from_leaves(bytes: &[u8], bits: u8) -> Result<Tree, WireError> {
        if bits > MAX_BITS {
            return Err(WireError::TooLarge { what: "bucket digests", limit: 32 << MAX_BITS });
        }
        let (leaves, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || leaves.len() != 1 << bits {
            let reason = format!("expected {} octets, got {}", 32_u64 << bits, bytes.len());
            return Err(WireError::Line { what: "bucket digests", line: 1, reason });
        }
        let leaves: Vec<Digest> = leaves.iter().map(|leaf| Digest(*leaf)).collect();
        Ok(Tree::new(&leaves).expect("their number was just checked to be an allowed power of two"))
    }

    /// k.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// How many buckets there are: 2^k.
    pub fn buckets(&self) -> u32 {
        1 << self.bits
    }

    /// Digest of bucket `b`.
    ///
    /// # Panics
    /// If `b` is not below [`Tree::buckets`].
    pub fn leaf(&self, b: u32) -> Digest {
        Digest(self.nodes[self.index(b)])
    }

    /// Sets several buckets and rehashes each touched node once. Later settings of one bucket win.
    ///
    /// # Panics
    /// If a bucket's number is not below [`Tree::buckets`].
    pub fn set(&mut self, changed: &[(u32, Digest)]) {
        let mut touched: Vec<usize> = Vec::with_capacity(changed.len());
        for (b, digest) in changed {
            let at = self.index(*b);
            self.nodes[at] = digest.0;
            touched.push(at);
        }
        touched.sort_unstable();
        // All touched nodes lie on one level; halving keeps them sorted, so equal parents are neighbours.
        for _ in 0..self.bits {
            for at in &mut touched {
                *at /= 2;
            }
            touched.dedup();
            for at in &touched {
                self.nodes[*at] = node(&self.nodes[2 * at], &self.nodes[2 * at + 1]);
            }
        }
    }

    /// All bucket digests as they travel: 32 octets each, in order.
    pub fn leaves(&self) -> Vec<u8> {
        self.nodes[self.nodes.len() / 2..].as_flattened().to_vec()
    }

    /// The root for a list of `entries`.
    pub fn root(&self, entries: u64) -> Root {
        let hash = Sha256::new_with_prefix([2, 1, self.bits]).chain_update(entries.to_be_bytes()).chain_update(self.nodes[1]);
        Root { digest: Digest(hash.finalize().into()), bits: self.bits }
    }

    fn index(&self, b: u32) -> usize {
        let buckets = self.nodes.len() / 2;
        assert!((b as usize) < buckets, "bucket {b} of a tree with {buckets}");
        buckets + b as usize
    }
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new_with_prefix([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Computes the tree from entry lines in list order, without holding them: one hash state (about 100 octets) a bucket.
pub struct TreeBuilder {
    bits: u8,
    entries: u64,
    buckets: Vec<Sha256>,
}

impl TreeBuilder {
    /// For 2^`bits` buckets; more than [`super::MAX_BITS`] is cut to it.
    pub fn new(bits: u8) -> Self {
        let bits = bits.min(MAX_BITS);
        TreeBuilder { bits, entries: 0, buckets: vec![Sha256::new_with_prefix([0]); 1 << bits] }
    }

    /// Takes the next entry line, without its LF.
    pub fn push(&mut self, line: &str) {
        let rule = rule_of(line);
        let bucket = &mut self.buckets[bucket_of(rule, self.bits) as usize];
        bucket.update(line);
        bucket.update(b"\n");
        self.entries += 1;
    }

    /// The tree and the root of all that was pushed.
    pub fn finish(self) -> (Tree, Root) {
        let leaves: Vec<Digest> = self.buckets.into_iter().map(|bucket| Digest(bucket.finalize().into())).collect();
        let tree = Tree::new(&leaves).expect("2^bits buckets were made, bits being at most MAX_BITS");
        let root = tree.root(self.entries);
        (tree, root)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_block_of_a_short_message_gives_what_a_hasher_gives() {
        for length in 0..200 {
            for octet in [0, b'a', 0x80, 0xff] {
                let mut text = vec![octet; length];
                text.iter_mut().enumerate().for_each(|(at, c)| *c ^= at as u8);
                assert_eq!(first_bits(&text).to_be_bytes(), Sha256::digest(&text)[..4], "{length} octets");
            }
        }
    }

    /// Section 5 word for word, with nothing shared.
    fn naive_root(lines: &[String], bits: u8) -> Digest {
        fn sha(parts: &[&[u8]]) -> Vec<u8> {
            Sha256::digest(parts.concat()).to_vec()
        }
        let mut level: Vec<Vec<u8>> = (0..1_u32 << bits)
            .map(|b| {
                let mine = lines.iter().filter(|line| {
                    let hash = sha(&[line.split('\t').next().unwrap().as_bytes()]);
                    let number = hash.iter().fold(String::new(), |s, byte| s + &format!("{byte:08b}"));
                    u32::from_str_radix(&format!("0{}", &number[..usize::from(bits)]), 2).unwrap() == b
                });
                sha(&[&[0], mine.map(|line| format!("{line}\n")).collect::<String>().as_bytes()])
            })
            .collect();
        while level.len() > 1 {
            level = level.chunks(2).map(|pair| sha(&[&[1], &pair[0], &pair[1]])).collect();
        }
        Digest(sha(&[&[2, 1, bits], &(lines.len() as u64).to_be_bytes(), &level[0]]).try_into().unwrap())
    }

    #[test]
    fn k_follows_the_number_of_entries() {
        for (entries, k) in [(0, 0), (1, 0), (128, 0), (129, 1), (256, 1), (257, 2), (1_000_000, 13), (134_217_728, 20), (u64::MAX, 20)] {
            assert_eq!(bits_for(entries), k, "{entries}");
            assert!(k == 0 || 1 << k <= entries);
            assert!(entries == u64::MAX || keep_bits(k, entries), "{entries}");
        }
        assert!(keep_bits(3, 8) && !keep_bits(3, 7), "2^k must not exceed the entries");
        assert!(keep_bits(3, 4096) && !keep_bits(3, 4097), "512 a bucket at most");
        assert!(keep_bits(0, 0) && keep_bits(0, 512) && !keep_bits(0, 513));
        assert!(!keep_bits(21, u64::MAX / 4));
    }

    #[test]
    fn only_powers_of_two_make_a_tree() {
        let leaf = Digest([3; 32]);
        for n in [0, 3, 5, 6, 7] {
            assert!(Tree::new(&vec![leaf; n]).is_none());
        }
        let tree = Tree::new(&[leaf; 4]).unwrap();
        assert_eq!((tree.bits(), tree.buckets(), tree.leaf(3)), (2, 4, leaf));
        assert_eq!(Tree::from_leaves(&tree.leaves(), 2).unwrap(), tree);
        for (bytes, bits) in [(128, 1), (127, 2), (129, 2), (0, 0), (32, 21)] {
            assert!(Tree::from_leaves(&vec![0; bytes], bits).is_err());
        }
    }

    proptest! {
        #[test]
        fn the_root_is_that_of_the_text_of_the_protocol(
            names in prop::collection::btree_set("[a-z]{1,4}", 0..40), bits in 0_u8..5, attribute in "(\tage=[1-9])?",
        ) {
            let lines: Vec<String> = names.iter().map(|n| format!("domain:{n}.example{attribute}")).collect();
            let mut builder = TreeBuilder::new(bits);
            lines.iter().for_each(|line| builder.push(line));
            prop_assert_eq!(builder.finish().1, Root { digest: naive_root(&lines, bits), bits });
        }

        #[test]
        fn setting_buckets_gives_the_tree_from_scratch(
            bits in 0_u8..7, changes in prop::collection::vec((any::<u32>(), any::<[u8; 32]>()), 0..50),
        ) {
            let mut leaves = vec![bucket_digest(b""); 1 << bits];
            let mut tree = Tree::new(&leaves).unwrap();
            let changes: Vec<(u32, Digest)> = changes.into_iter().map(|(b, d)| (b % (1 << bits), Digest(d))).collect();
            for (b, digest) in &changes {
                leaves[*b as usize] = *digest;
            }
            tree.set(&changes);
            prop_assert_eq!(tree, Tree::new(&leaves).unwrap());
        }

        #[test]
        fn a_bucket_number_is_a_prefix(rule in "[a-z]{1,9}", bits in 0_u8..=20) {
            let b = bucket_of(&rule, bits);
            prop_assert!(b < 1 << bits);
            prop_assert_eq!(bucket_of(&rule, 20) >> (20 - bits), b);
        }
    }
}
