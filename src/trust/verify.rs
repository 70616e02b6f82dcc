//! The one path on which key sets and heads are verified (docs/PROTOCOL.md sections 9 and 10).

use crate::list::{Colour, Digest, ListId, Origin, Timestamp};
use crate::wire::{Head, KeySet};

use super::TrustError;

/// The newest key set that is trusted, and how it came to be.
#[derive(Clone, Debug)]
pub struct Trusted {
    keyset: KeySet,
    note: String,
}

impl Trusted {
    /// Begins with a key set whose fingerprint the subscriber has pinned; it must carry its own threshold of signatures.
    ///
    /// # Errors
    /// [`TrustError`] if the fingerprint is another or too few root keys signed.
    pub fn pin(note: &[u8], fingerprint: &Digest) -> Result<Trusted, TrustError> {
        let _ = (note, fingerprint);
        todo!()
    }

    /// Goes on to the next key set: threshold of this one and of its own.
    ///
    /// # Errors
    /// [`TrustError`]; `self` stays in force then.
    pub fn advance(&self, note: &[u8]) -> Result<Trusted, TrustError> {
        let _ = note;
        todo!()
    }

    /// The key set.
    pub fn keyset(&self) -> &KeySet {
        &self.keyset
    }

    /// The note as it travelled, to be kept.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Verifies a head for `list` against this key set and what was accepted before.
    ///
    /// # Errors
    /// [`TrustError`], one variant a reason; `TrustError::NewerKeySet` when the chain must be fetched first.
    pub fn verify_head(
        &self,
        note: &[u8],
        list: &ListId,
        colour: Option<Colour>,
        before: Option<&Accepted>,
        now: Timestamp,
    ) -> Result<VerifiedHead, TrustError> {
        let _ = (note, list, colour, before, now);
        todo!()
    }

    /// The publisher.
    pub fn origin(&self) -> &Origin {
        &self.keyset.origin
    }
}

/// What a follower remembers of the newest head it accepted for a list, for ever.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// That head.
    pub head: Head,
}

/// Whether a head is still within its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freshness {
    /// now < expires
    Fresh,
    /// Past its time: genuine, and perhaps superseded.
    Stale,
}

/// A head that passed every check. Cannot be made otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifiedHead {
    head: Head,
    note: String,
    freshness: Freshness,
}

impl VerifiedHead {
    /// The head.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The note as it travelled.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Fresh or stale at the time of the check.
    pub fn freshness(&self) -> Freshness {
        self.freshness
    }
}
