//! The one path on which key sets and heads are verified (docs/PROTOCOL.md sections 9 and 10).

use crate::list::{Colour, Digest, ListId, Origin, Timestamp};
use crate::wire::{Head, KeySet, MAX_HEAD, MAX_KEYSET, Note, SigningKeyLine};

use super::{
    TrustError,
    signatures::{KnownKey, signers},
};

/// How far ahead a publisher's clock may be, in seconds.
pub const CLOCK_SKEW: u64 = 300;
/// Longest life of a head, in seconds: 32 days.
pub const MAX_LIFETIME: u64 = 32 * 24 * 3600;

/// The newest key set that is trusted, and how it came to be.
#[derive(Clone, Debug)]
pub struct Trusted {
    keyset: KeySet,
    fingerprint: Digest,
    note: String,
}

impl Trusted {
    /// Begins with a key set, of any number, whose fingerprint the subscriber has pinned; it must carry its own threshold of
    /// signatures.
    ///
    /// # Errors
    /// [`TrustError`] if the fingerprint is another or too few root keys signed.
    pub fn pin(note: &[u8], fingerprint: &Digest) -> Result<Trusted, TrustError> {
        let parsed = Note::parse(note, MAX_KEYSET)?;
        let found = Digest::of(&parsed.text);
        if found != *fingerprint {
            return Err(TrustError::FingerprintMismatch { expected: *fingerprint, found });
        }
        Trusted::from_own_signatures(parsed)
    }

    /// Trust on first use: believes a key set because it signed itself. Whoever answered this first request decides
    /// whom this subscriber trusts; only for a subscriber who asked for just that, by name.
    ///
    /// # Errors
    /// [`TrustError`] if it does not carry its own threshold of signatures.
    pub fn self_signed_for_tofu(note: &[u8]) -> Result<Trusted, TrustError> {
        Trusted::from_own_signatures(Note::parse(note, MAX_KEYSET)?)
    }

    fn from_own_signatures(note: Note) -> Result<Trusted, TrustError> {
        let keyset = KeySet::parse(&note.text)?;
        demand_threshold(&note, keyset.number, &keyset)?;
        Ok(Trusted { keyset, fingerprint: Digest::of(&note.text), note: note.encode() })
    }

    /// Goes on to the next key set: threshold of this one and of its own.
    ///
    /// # Errors
    /// [`TrustError`]; `self` stays in force then.
    pub fn advance(&self, note: &[u8]) -> Result<Trusted, TrustError> {
        let parsed = Note::parse(note, MAX_KEYSET)?;
        let next = KeySet::parse(&parsed.text)?;
        if next.origin != self.keyset.origin {
            return Err(TrustError::WrongOrigin { expected: self.keyset.origin.clone(), found: next.origin });
        }
        let expected = self.keyset.number.saturating_add(1);
        if next.number != expected {
            return Err(TrustError::KeySetNumber { expected, found: next.number });
        }
        if next.previous != Some(self.fingerprint) {
            return Err(TrustError::KeySetPrevious { number: next.number });
        }
        demand_threshold(&parsed, next.number, &self.keyset)?;
        demand_threshold(&parsed, next.number, &next)?;
        Ok(Trusted { keyset: next, fingerprint: Digest::of(&parsed.text), note: parsed.encode() })
    }

    /// The key set.
    pub fn keyset(&self) -> &KeySet {
        &self.keyset
    }

    /// Its fingerprint.
    pub fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    /// The note as it travelled, to be kept.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Verifies a head for `list` against this key set and what was accepted before, in the order of section 10.
    ///
    /// `colour` is what the subscriber expects, if he said so; an accepted head fixes it in any case. Past its expiry a head
    /// comes out as [`Freshness::Stale`], not as an error.
    ///
    /// # Errors
    /// [`TrustError`], one variant a reason; [`TrustError::NewerKeySet`] when the chain must be fetched first;
    /// [`TrustError::Superseded`] when a newer signing of the same version is known.
    pub fn verify_head(
        &self,
        note: &[u8],
        list: &ListId,
        colour: Option<Colour>,
        before: Option<&Accepted>,
        now: Timestamp,
    ) -> Result<VerifiedHead, TrustError> {
        // 1. form and size; origin, list, colour
        let parsed = Note::parse(note, MAX_HEAD)?;
        let head = Head::parse(&parsed.text)?;
        self.check_subject(&head, list, colour, before)?;
        // 2. the key set
        if head.keyset > self.keyset.number {
            return Err(TrustError::NewerKeySet { needed: head.keyset, known: self.keyset.number });
        }
        // 3. signatures
        self.check_signatures(&parsed, &head, now)?;
        // 4. times
        if head.issued > now.plus(CLOCK_SKEW) {
            return Err(TrustError::IssuedInFuture { issued: head.issued, now });
        }
        if head.expires <= head.issued || head.expires.since(head.issued) > MAX_LIFETIME {
            return Err(TrustError::Lifetime { issued: head.issued, expires: head.expires });
        }
        // 5. and 6. what was accepted before
        if let Some(before) = before {
            check_history(&head, &before.head)?;
        }
        // 7. freshness
        let freshness = if now < head.expires { Freshness::Fresh } else { Freshness::Stale };
        Ok(VerifiedHead { head, note: parsed.encode(), freshness })
    }

    /// What a head accepted earlier, `note` as it was kept, still counts for: `None` if the keys that signed it have been taken out
    /// of the key set since. A thief who signed the highest serial there is would else shut every follower out for ever;
    /// so a stolen key takes what it claimed with it. Heads by the remaining keys lose nothing.
    ///
    /// The colour of a list outlives this: pass it to [`Trusted::verify_head`] by itself.
    ///
    /// # Errors
    /// [`TrustError`] if it is no head of this origin or was damaged where it was kept.
    pub fn accepted(&self, note: &[u8]) -> Result<Option<Accepted>, TrustError> {
        let parsed = Note::parse(note, MAX_HEAD)?;
        let head = Head::parse(&parsed.text)?;
        if head.origin != self.keyset.origin {
            return Err(TrustError::WrongOrigin { expected: self.keyset.origin.clone(), found: head.origin });
        }
        let signed = signers(&parsed, &self.signing_keys())?;
        Ok((!signed.is_empty()).then_some(Accepted { head }))
    }

    /// The publisher.
    pub fn origin(&self) -> &Origin {
        &self.keyset.origin
    }

    fn signing_keys(&self) -> Vec<KnownKey<'_>> {
        self.keyset.signing.iter().map(|s| KnownKey { name: &s.name, key: &s.key }).collect()
    }

    fn check_subject(&self, head: &Head, list: &ListId, colour: Option<Colour>, before: Option<&Accepted>) -> Result<(), TrustError> {
        if head.origin != self.keyset.origin {
            return Err(TrustError::WrongOrigin { expected: self.keyset.origin.clone(), found: head.origin.clone() });
        }
        if head.list != *list {
            return Err(TrustError::WrongList { expected: list.clone(), found: head.list.clone() });
        }
        for expected in [colour, before.map(|b| b.head.colour)].into_iter().flatten() {
            if head.colour != expected {
                return Err(TrustError::WrongColour { list: list.clone(), expected, found: head.colour });
            }
        }
        Ok(())
    }

    /// One signature at least must be by a key that may sign this list at both times. Every line of a known key must be good.
    fn check_signatures(&self, note: &Note, head: &Head, now: Timestamp) -> Result<(), TrustError> {
        let signed = signers(note, &self.signing_keys())?;
        let mut refusal = None;
        for key in self.keyset.signing.iter().filter(|s| signed.contains(&s.key)) {
            match may_sign(key, head, now) {
                Ok(()) => return Ok(()),
                Err(e) => refusal = refusal.or(Some(e)),
            }
        }
        Err(refusal.unwrap_or(TrustError::UnknownKey { keyset: self.keyset.number }))
    }
}

/// At least the threshold of `of` must be reached by its own root keys.
fn demand_threshold(note: &Note, number: u64, of: &KeySet) -> Result<(), TrustError> {
    let known: Vec<KnownKey<'_>> = of.roots.iter().map(|r| KnownKey { name: &r.name, key: &r.key }).collect();
    let found = u32::try_from(signers(note, &known)?.len()).unwrap_or(u32::MAX);
    if found < of.threshold {
        return Err(TrustError::TooFewRootSignatures { number, of: of.number, needed: of.threshold, found });
    }
    Ok(())
}

fn may_sign(key: &SigningKeyLine, head: &Head, now: Timestamp) -> Result<(), TrustError> {
    if !key.lists.allows(&head.list) {
        return Err(TrustError::KeyNotForList { key: key.name.clone(), list: head.list.clone() });
    }
    for at in [head.issued, now] {
        if at < key.from || at >= key.until {
            return Err(TrustError::KeyNotValid { key: key.name.clone(), from: key.from, until: key.until, at });
        }
    }
    Ok(())
}

fn check_history(head: &Head, before: &Head) -> Result<(), TrustError> {
    let list = || head.list.clone();
    if head.serial < before.serial {
        return Err(TrustError::Rollback { list: list(), offered: head.serial, accepted: before.serial });
    }
    let accepted = before.version_digest();
    // What this head says the version accepted before was, if it says anything of it.
    let found = if head.serial == before.serial {
        Some(head.version_digest())
    } else if Some(head.serial) == before.serial.next() {
        head.previous
    } else {
        None
    };
    if let Some(found) = found
        && found != accepted
    {
        return Err(TrustError::SplitView { list: list(), serial: before.serial, accepted, found });
    }
    if head.serial == before.serial && head.issued < before.issued {
        return Err(TrustError::Superseded { list: list(), serial: head.serial, kept: before.issued });
    }
    Ok(())
}

/// What a follower remembers of the newest head it accepted for a list, for ever; see [`Trusted::accepted`] for the one exception.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// That head.
    pub head: Head,
}

impl From<&VerifiedHead> for Accepted {
    fn from(verified: &VerifiedHead) -> Self {
        Accepted { head: verified.head.clone() }
    }
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
