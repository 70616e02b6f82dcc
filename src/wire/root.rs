//! The bucketed root digest (docs/PROTOCOL.md section 5): cost follows the change, not the list.

use sha2::{Digest as _, Sha256};

use crate::list::Digest;

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
    let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(rule).into();
    // A shift by 32, all bits, is what k = 0 means.
    u32::from_be_bytes([a, b, c, d]).checked_shr(32 - u32::from(bits.min(32))).unwrap_or(0)
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
        let rule = line.split_once('\t').map_or(line, |(rule, _)| rule);
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
