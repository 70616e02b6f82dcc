//! The mark: how far the index has come, and a fingerprint of all that is in it.

use sha2::{Digest as _, Sha256};

use super::{
    super::{FrameId, StoreError, index::Index},
    MARK, each,
};

/// Of the layout of the index; another one is rebuilt from the journal.
const LAYOUT: u8 = 1;

/// How far the index has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::store) struct Mark {
    /// The last frame applied; 0: none.
    pub frame: FrameId,
    /// Its hash.
    pub hash: [u8; 32],
    /// Pairs, the mark not counted.
    pub(super) pairs: u64,
    /// Sum of the pairs' digests, cut to 128 bits.
    sum: u128,
}

impl Mark {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![LAYOUT];
        out.extend_from_slice(&self.frame.to_be_bytes());
        out.extend_from_slice(&self.hash);
        out.extend_from_slice(&self.pairs.to_be_bytes());
        out.extend_from_slice(&self.sum.to_be_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Mark> {
        let bytes: &[u8; 65] = bytes.try_into().ok()?;
        if bytes[0] != LAYOUT {
            return None;
        }
        Some(Mark {
            frame: u64::from_be_bytes(bytes[1..9].try_into().ok()?),
            hash: bytes[9..41].try_into().ok()?,
            pairs: u64::from_be_bytes(bytes[41..49].try_into().ok()?),
            sum: u128::from_be_bytes(bytes[49..].try_into().ok()?),
        })
    }

    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.pairs = self.pairs.wrapping_add(1);
        self.sum = self.sum.wrapping_add(pair_digest(key, value));
    }

    pub(super) fn subtract(&mut self, key: &[u8], value: &[u8]) {
        self.pairs = self.pairs.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(pair_digest(key, value));
    }
}

fn pair_digest(key: &[u8], value: &[u8]) -> u128 {
    let hash: [u8; 32] =
        Sha256::new().chain_update((key.len() as u64).to_be_bytes()).chain_update(key).chain_update(value).finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    u128::from_be_bytes(half)
}

/// How far the index has come; an index without a mark is empty.
pub(in crate::store) fn mark(index: &dyn Index) -> Result<Mark, StoreError> {
    match index.get(MARK)? {
        None => Ok(Mark::default()),
        Some(bytes) => Mark::decode(&bytes).ok_or_else(|| StoreError::Index { reason: "it has another layout".into() }),
    }
}

/// Reads every pair and compares with the mark.
pub(in crate::store) fn fingerprint_holds(index: &dyn Index) -> Result<bool, StoreError> {
    let mark = mark(index)?;
    let mut found = Mark { frame: mark.frame, hash: mark.hash, pairs: 0, sum: 0 };
    each(index, b"", &mut |key, value| {
        if key != MARK {
            found.add(key, value);
        }
        Ok(())
    })?;
    Ok(found == mark)
}
