//! Why something was not trusted.

use crate::list::{Colour, Digest, ListId, Origin, Serial, Timestamp};
use crate::wire::WireError;

/// Why something was not trusted. Every refusal of docs/PROTOCOL.md section 10 has its own variant; in each case what was
/// accepted before stays in force. [`TrustError::is_superseded`] and [`TrustError::NewerKeySet`] are no alarms.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Not of the form, or too large.
    #[error(transparent)]
    Form(#[from] WireError),

    // What was offered is of something else.
    /// Of another publisher.
    #[error("signed for origin {found}, but {expected} is trusted here; check the address")]
    WrongOrigin {
        /// Whose keys are trusted.
        expected: Origin,
        /// What the document says.
        found: Origin,
    },
    /// A genuine head of another list, offered in the place of this one.
    #[error("the head is of list {found}, not of {expected}; the address or a cache on the way mixes lists up, ask another")]
    WrongList {
        /// The list that was asked for.
        expected: ListId,
        /// What the head says.
        found: ListId,
    },
    /// A black list where a white one is followed, or the other way round.
    #[error("list {list} is {expected}, but a head says {found}; a list never changes its colour, ask the publisher")]
    WrongColour {
        /// The list.
        list: ListId,
        /// What is followed or was accepted before.
        expected: Colour,
        /// What the head says.
        found: Colour,
    },

    // Key sets.
    /// Not the key set that was pinned.
    #[error("the key set's fingerprint is {found}, but {expected} is pinned; compare both with the publisher by another way")]
    FingerprintMismatch {
        /// What the subscriber pinned.
        expected: Digest,
        /// Of the document.
        found: Digest,
    },
    /// A key set out of turn: older than the one in force, or one was left out.
    #[error("key set {found} was offered where {expected} comes next; fetch the key sets in order")]
    KeySetNumber {
        /// One more than the newest trusted.
        expected: u64,
        /// Of the document.
        found: u64,
    },
    /// A key set that does not follow the one in force.
    #[error("key set {number} names another predecessor than the one trusted here; somebody shows two chains, ask the publisher")]
    KeySetPrevious {
        /// Its number.
        number: u64,
    },
    /// Too few root keys signed.
    #[error("key set {number} has {found} signatures by root keys of key set {of}, which demands {needed}; let more root keys sign it")]
    TooFewRootSignatures {
        /// Number of the document.
        number: u64,
        /// Whose root keys were counted.
        of: u64,
        /// Its threshold.
        needed: u32,
        /// Distinct keys with a good signature.
        found: u32,
    },
    /// The head was signed under a key set not known here yet. No alarm: fetch the chain, then check again.
    #[error("the head was signed under key set {needed}, the newest known here is {known}; fetch the key sets in between")]
    NewerKeySet {
        /// What the head says. Not verified: fetch one key set after the other and stop at the first that fails.
        needed: u64,
        /// The newest trusted.
        known: u64,
    },

    // Signatures of a head.
    /// A known key's signature does not fit the text: octets were changed on the way, or it is forged.
    #[error("the signature of key {key} does not fit the text; it was changed on the way or forged, ask another address")]
    BadSignature {
        /// The key's name.
        key: String,
    },
    /// No line is by a key of the newest key set.
    #[error("no signature by a key of key set {keyset}; the head is older than the key set, or it is another publisher's")]
    UnknownKey {
        /// Number of the key set.
        keyset: u64,
    },
    /// Signed, but by a key outside its time.
    #[error("key {key} is valid from {from} until {until}, not at {at}; the publisher must sign with a valid key")]
    KeyNotValid {
        /// The key's name.
        key: String,
        /// Inclusive.
        from: Timestamp,
        /// Exclusive.
        until: Timestamp,
        /// When it was used or checked.
        at: Timestamp,
    },
    /// Signed, but by a key that may not sign this list.
    #[error("key {key} may not sign list {list}; the publisher must sign with a key that may")]
    KeyNotForList {
        /// The key's name.
        key: String,
        /// The list.
        list: ListId,
    },

    // Times and versions of a head.
    /// Issued later than now.
    #[error("issued at {issued}, which lies in the future (it is {now} here); check this machine's clock, then the publisher's")]
    IssuedInFuture {
        /// What the head says.
        issued: Timestamp,
        /// This machine's time.
        now: Timestamp,
    },
    /// Expires before it was issued, or too long after.
    #[error("valid from {issued} to {expires}; a head lives for more than 0 seconds and at most 32 days")]
    Lifetime {
        /// What the head says.
        issued: Timestamp,
        /// What the head says.
        expires: Timestamp,
    },
    /// The serial is lower than one accepted before.
    #[error("rollback: serial {offered} of list {list} was offered after {accepted} had been accepted; ask another address, and report it")]
    Rollback {
        /// The list.
        list: ListId,
        /// What was offered.
        offered: Serial,
        /// The highest accepted.
        accepted: Serial,
    },
    /// Two different versions under one serial, both signed.
    #[error(
        "split view: serial {serial} of list {list} is {found} here and {accepted} there, both signed; report it to the publisher at once"
    )]
    SplitView {
        /// The list.
        list: ListId,
        /// The serial that has two versions.
        serial: Serial,
        /// Version digest of the one accepted.
        accepted: Digest,
        /// Version digest of the other.
        found: Digest,
    },
    /// An older signing of the version that is accepted already: a slow mirror or cache. To be passed over quietly.
    #[error("serial {serial} of list {list} is known already, by a head issued later, at {kept}; nothing to do")]
    Superseded {
        /// The list.
        list: ListId,
        /// The serial.
        serial: Serial,
        /// When the head that is kept was issued.
        kept: Timestamp,
    },

    // Secret keys.
    /// Not a name for a key.
    #[error("a key's name is 1 to 255 of a-z, 0-9 and . - _ /, for example lists.example.org/signing-1")]
    KeyName,
    /// Not the text of a secret key.
    #[error("not a secret key of this program; expected one line \"bwld-secret-key-v1 NAME SEED\"")]
    SecretKeyForm,
    /// The operating system gave no random octets.
    #[error("the operating system's random source failed ({0}); no key was made")]
    NoRandomness(String),
}

impl TrustError {
    /// A short stable word for status files, metrics and the test vectors of docs/PROTOCOL.md.
    pub const fn code(&self) -> &'static str {
        match self {
            TrustError::Form(_) => "form",
            TrustError::WrongOrigin { .. } => "wrong-origin",
            TrustError::WrongList { .. } => "wrong-list",
            TrustError::WrongColour { .. } => "wrong-colour",
            TrustError::FingerprintMismatch { .. } => "fingerprint-mismatch",
            TrustError::KeySetNumber { .. } => "key-set-number",
            TrustError::KeySetPrevious { .. } => "key-set-previous",
            TrustError::TooFewRootSignatures { .. } => "too-few-root-signatures",
            TrustError::NewerKeySet { .. } => "newer-key-set",
            TrustError::BadSignature { .. } => "bad-signature",
            TrustError::UnknownKey { .. } => "unknown-key",
            TrustError::KeyNotValid { .. } => "key-not-valid",
            TrustError::KeyNotForList { .. } => "key-not-for-list",
            TrustError::IssuedInFuture { .. } => "issued-in-future",
            TrustError::Lifetime { .. } => "lifetime",
            TrustError::Rollback { .. } => "rollback",
            TrustError::SplitView { .. } => "split-view",
            TrustError::Superseded { .. } => "superseded",
            TrustError::KeyName => "key-name",
            TrustError::SecretKeyForm => "secret-key-form",
            TrustError::NoRandomness(_) => "no-randomness",
        }
    }

    /// Whether this only says that something newer is known already.
    pub const fn is_superseded(&self) -> bool {
        matches!(self, TrustError::Superseded { .. })
    }

    /// Whether somebody was shown another history than we were: to be reported loudly, never retried quietly.
    pub const fn is_split_view(&self) -> bool {
        matches!(self, TrustError::SplitView { .. } | TrustError::KeySetPrevious { .. })
    }
}
