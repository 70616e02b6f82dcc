//! Secret keys and signing.
//!
//! Guarantees: the seed is zeroised when a key is dropped, and neither `Debug` nor an error ever shows it. Files are not
//! this module's part: whoever keeps a key writes [`SecretKey::to_text`] to a file of mode 0600.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::wire::{Note, NoteSignature, is_key_name};

use super::TrustError;

/// What the text form begins with.
const WORD: &str = "bwld-secret-key-v1";
/// Length of 32 octets in base64 with padding.
const SEED_BASE64: usize = 44;

/// An Ed25519 secret key with its name; zeroised when dropped, never printed.
pub struct SecretKey {
    name: String,
    key: SigningKey,
}

impl SecretKey {
    /// A new key from the operating system's random source.
    ///
    /// # Errors
    /// [`TrustError`] if the name is not one or there is no randomness.
    pub fn generate(name: &str) -> Result<SecretKey, TrustError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(|e| TrustError::NoRandomness(e.to_string()))?;
        SecretKey::from_seed(name, &seed)
    }

    /// The key of a seed of 32 random octets.
    ///
    /// # Errors
    /// [`TrustError::KeyName`] if the name is not one.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<SecretKey, TrustError> {
        if !is_key_name(name) {
            return Err(TrustError::KeyName);
        }
        Ok(SecretKey { name: name.to_owned(), key: SigningKey::from_bytes(seed) })
    }

    /// Reads the text form of [`SecretKey::to_text`]; the final LF may be missing.
    ///
    /// # Errors
    /// [`TrustError`] if it is not of the form; the text is never quoted.
    pub fn from_text(text: &str) -> Result<SecretKey, TrustError> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let rest = line.strip_prefix(WORD).and_then(|rest| rest.strip_prefix(' ')).ok_or(TrustError::SecretKeyForm)?;
        let (name, base64) = rest.split_once(' ').ok_or(TrustError::SecretKeyForm)?;
        // One octet of room more than needed, so that a seed that is too long is refused and not cut.
        let mut seed = Zeroizing::new([0; 33]);
        let decoded = if base64.len() == SEED_BASE64 { STANDARD.decode_slice(base64, &mut *seed).ok() } else { None };
        match (decoded, seed.first_chunk::<32>()) {
            (Some(32), Some(seed)) => SecretKey::from_seed(name, seed),
            _ => Err(TrustError::SecretKeyForm),
        }
    }

    /// One line for a file of mode 0600: `bwld-secret-key-v1 NAME BASE64SEED` and LF. Zeroised when dropped.
    pub fn to_text(&self) -> Zeroizing<String> {
        // Room for all of it from the start: a string that grows leaves copies behind that nobody zeroises.
        let mut text = Zeroizing::new(String::with_capacity(WORD.len() + 1 + self.name.len() + 1 + SEED_BASE64 + 1));
        text.push_str(WORD);
        text.push(' ');
        text.push_str(&self.name);
        text.push(' ');
        STANDARD.encode_string(self.key.as_bytes(), &mut text);
        text.push('\n');
        text
    }

    /// Its name in signature lines.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key.
    pub fn public(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// Signs `text` (which ends in LF).
    pub fn sign(&self, text: &str) -> NoteSignature {
        NoteSignature {
            name: self.name.clone(),
            key_hash: key_hash(&self.name, &self.public()),
            signature: self.key.sign(text.as_bytes()).to_bytes().to_vec(),
        }
    }

    /// The bare signature over `octets`.
    pub(super) fn sign_octets(&self, octets: &[u8]) -> [u8; 64] {
        self.key.sign(octets).to_bytes()
    }

    /// A note with this key's signature.
    pub fn sign_note(&self, text: String) -> Note {
        let signature = self.sign(&text);
        Note { text, signatures: vec![signature] }
    }
}

/// The name and the public key; never the seed.
impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({}, public {})", self.name, STANDARD.encode(self.public()))
    }
}

/// What a signature line says of its key: the first four octets of SHA-256(name || LF || 0x01 || public key).
pub(super) fn key_hash(name: &str, public: &[u8; 32]) -> [u8; 4] {
    let [a, b, c, d, ..]: [u8; 32] = Sha256::new_with_prefix(name).chain_update(b"\n\x01").chain_update(public).finalize().into();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_comes_back() {
        let key = SecretKey::generate("origin.example/signing-1").unwrap();
        let text = key.to_text();
        let again = SecretKey::from_text(&text).unwrap();
        assert_eq!((again.name(), again.public()), (key.name(), key.public()));
        assert_eq!(SecretKey::from_text(text.trim_end()).unwrap().public(), key.public());
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn what_is_not_a_secret_key_is_refused_without_being_quoted() {
        let good = SecretKey::from_seed("a", &[7; 32]).unwrap().to_text();
        let seed = good.trim_end().rsplit(' ').next().unwrap().to_owned();
        for bad in [
            String::new(),
            "bwld-secret-key-v1".to_owned(),
            good.replace("v1", "v2"),
            good.replace(" a ", " A "),
            good.replace(" a ", "  "),
            format!("{}\n", good.as_str()),
            good.replace(&seed, &seed[4..]),
            good.replace(&seed, &format!("AAAA{seed}")),
            good.replace('=', "A"),
        ] {
            let error = SecretKey::from_text(&bad).unwrap_err();
            assert!(!error.to_string().contains(&seed[..8]), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_seed() {
        let key = SecretKey::from_seed("a", &[7; 32]).unwrap();
        let shown = format!("{key:?}");
        assert!(!shown.contains(&STANDARD.encode([7; 32])) && !shown.contains("7, 7"), "{shown}");
    }

    #[test]
    fn a_new_key_is_another_each_time() {
        assert_ne!(SecretKey::generate("a").unwrap().public(), SecretKey::generate("a").unwrap().public());
        assert!(matches!(SecretKey::generate("A b"), Err(TrustError::KeyName)));
    }
}
