//! The bucketed root digest (docs/PROTOCOL.md section 5): cost follows the change, not the list.

use crate::list::Digest;

/// A root digest and the number of bucket bits it was made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Root {
    /// The digest.
    pub digest: Digest,
    /// k: there are 2^k buckets.
    pub bits: u8,
}

/// The bucket of a rule: the first `bits` bits of SHA-256(rule).
pub fn bucket_of(rule: &str, bits: u8) -> u32 {
    let _ = (rule, bits);
    todo!()
}

/// Digest of a bucket from its entry lines (each with its LF) in order.
pub fn bucket_digest(lines_with_lf: &[u8]) -> Digest {
    let _ = lines_with_lf;
    todo!()
}

/// The k a publisher chooses for a list of `entries`: about 128 entries a bucket, 0 for a small list.
pub fn bits_for(entries: u64) -> u8 {
    let _ = entries;
    todo!()
}

/// The binary tree over bucket digests; changing one bucket costs k hashes.
#[derive(Clone, Debug)]
pub struct Tree {
    bits: u8,
    /// Heap order: node 1 is the top, leaves begin at 2^bits.
    nodes: Vec<[u8; 32]>,
}

impl Tree {
    /// Builds the tree; `leaves.len()` must be a power of two, at most 2^[`super::MAX_BITS`].
    ///
    /// # Errors
    /// `None` if it is not.
    pub fn new(leaves: &[Digest]) -> Option<Tree> {
        let _ = leaves;
        todo!()
    }

    /// k.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// Digest of bucket `b`.
    pub fn leaf(&self, b: u32) -> Digest {
        let _ = b;
        Digest(self.nodes[0])
    }

    /// Sets several buckets and rehashes each touched node once. Later settings of one bucket win.
    pub fn set(&mut self, changed: &[(u32, Digest)]) {
        let _ = changed;
        todo!()
    }

    /// All bucket digests as they travel: 32 octets each, in order.
    pub fn leaves(&self) -> Vec<u8> {
        todo!()
    }

    /// The root for a list of `entries`.
    pub fn root(&self, entries: u64) -> Root {
        let _ = entries;
        todo!()
    }
}
