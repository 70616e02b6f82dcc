//! The one place where signatures are verified and counted, for key sets and heads alike.

use std::collections::HashSet;

use ed25519_dalek::{Signature, VerifyingKey};

use crate::wire::Note;

use super::{TrustError, signer::key_hash};

/// A key that may stand behind a signature line.
#[derive(Clone, Copy)]
pub(super) struct KnownKey<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Its public key.
    pub(super) key: &'a [u8; 32],
}

/// The distinct public keys of `known` that signed the note.
///
/// A line belongs to the keys that have its name and its key hash; a line that belongs to none is passed over. Counting
/// keys and not lines, a signature repeated or a key under two names gains nothing.
///
/// # Errors
/// [`TrustError::BadSignature`] if a line belongs to a known key and its signature is not that key's: nobody honest makes
/// such a note.
pub(super) fn signers(note: &Note, known: &[KnownKey<'_>]) -> Result<HashSet<[u8; 32]>, TrustError> {
    let mut signed = HashSet::new();
    for line in &note.signatures {
        // More than one only when two different keys share name and hash (2^32 work): then either may be meant.
        let mut candidates = known.iter().filter(|k| k.name == line.name && key_hash(k.name, k.key) == line.key_hash).peekable();
        if candidates.peek().is_none() {
            continue;
        }
        match candidates.find(|k| is_by(k.key, note.text.as_bytes(), &line.signature)) {
            Some(known) => signed.insert(*known.key),
            None => return Err(TrustError::BadSignature { key: line.name.clone() }),
        };
    }
    Ok(signed)
}

/// Ed25519 by the strict rules: no small-order key, no second encoding of a signature.
fn is_by(key: &[u8; 32], text: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (VerifyingKey::from_bytes(key), Signature::from_slice(signature)) else { return false };
    key.verify_strict(text, &signature).is_ok()
}
