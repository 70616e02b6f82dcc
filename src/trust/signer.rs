//! Secret keys and signing.

use crate::wire::{Note, NoteSignature};

use super::TrustError;

/// An Ed25519 secret key with its name; zeroised when dropped, never printed.
pub struct SecretKey {
    name: String,
}

impl SecretKey {
    /// A new key from the operating system's random source.
    ///
    /// # Errors
    /// [`TrustError`] if the name is not one or there is no randomness.
    pub fn generate(name: &str) -> Result<SecretKey, TrustError> {
        let _ = name;
        todo!()
    }

    /// Reads the text form of [`SecretKey::to_text`].
    ///
    /// # Errors
    /// [`TrustError`] if it is not of the form; the text is never quoted.
    pub fn from_text(text: &str) -> Result<SecretKey, TrustError> {
        let _ = text;
        todo!()
    }

    /// One line for a file of mode 0600: `bwld-secret-key-v1 NAME BASE64SEED`. Zeroised when dropped.
    pub fn to_text(&self) -> zeroize::Zeroizing<String> {
        todo!()
    }

    /// Its name in signature lines.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key.
    pub fn public(&self) -> [u8; 32] {
        todo!()
    }

    /// Signs `text` (which ends in LF).
    pub fn sign(&self, text: &str) -> NoteSignature {
        let _ = text;
        todo!()
    }

    /// A note with this key's signature.
    pub fn sign_note(&self, text: String) -> Note {
        let signature = self.sign(&text);
        Note { text, signatures: vec![signature] }
    }
}
