//! The key set document (docs/PROTOCOL.md section 9). Text only; the chain is verified in `trust`.

use crate::list::{Digest, ListId, Origin, Timestamp};

use super::WireError;

/// A root key: signs key sets, lies off line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RootKey {
    /// Its name in signature lines.
    pub name: String,
    /// Ed25519 public key.
    pub key: [u8; 32],
}

/// Which lists a signing key may sign.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ListSelection {
    /// `*`
    All,
    /// These, ascending.
    Some(Vec<ListId>),
}

/// A signing key: signs heads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SigningKeyLine {
    /// Its name in signature lines.
    pub name: String,
    /// Ed25519 public key.
    pub key: [u8; 32],
    /// Valid from, inclusive.
    pub from: Timestamp,
    /// Valid until, exclusive.
    pub until: Timestamp,
    /// For which lists.
    pub lists: ListSelection,
}

/// A key set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeySet {
    /// The publisher.
    pub origin: Origin,
    /// Its number, from 1.
    pub number: u64,
    /// Digest of the text of the key set before; `None` exactly in number 1.
    pub previous: Option<Digest>,
    /// How many root keys must sign.
    pub threshold: u32,
    /// Root keys, ordered by name.
    pub roots: Vec<RootKey>,
    /// Signing keys, ordered by name.
    pub signing: Vec<SigningKeyLine>,
    /// When it was made.
    pub issued: Timestamp,
}

impl KeySet {
    /// The text that is signed.
    pub fn to_text(&self) -> String {
        todo!()
    }

    /// Reads the text.
    ///
    /// # Errors
    /// [`WireError::Line`] names the line.
    pub fn parse(text: &str) -> Result<KeySet, WireError> {
        let _ = text;
        todo!()
    }

    /// SHA-256 of the text: what a subscriber pins.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(self.to_text())
    }
}
