//! The C2SP signed note envelope: text, empty line, signature lines (<https://c2sp.org/signed-note>).

use super::WireError;

/// One signature line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoteSignature {
    /// The key's name.
    pub name: String,
    /// First four octets of SHA-256(name || 0x0A || 0x01 || public key).
    pub key_hash: [u8; 4],
    /// What follows the key hash; 64 octets for Ed25519, others are kept and passed over.
    pub signature: Vec<u8>,
}

/// A note: the text exactly as it travelled, and who signed it. Nothing here has been verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// The signed text, through its final LF.
    pub text: String,
    /// At least one.
    pub signatures: Vec<NoteSignature>,
}

impl Note {
    /// Reads a note of at most `limit` octets and at most 16 signature lines.
    ///
    /// # Errors
    /// [`WireError`] if it is too large or not of the form.
    pub fn parse(bytes: &[u8], limit: usize) -> Result<Note, WireError> {
        let _ = (bytes, limit);
        todo!()
    }

    /// The note as it travels.
    pub fn encode(&self) -> String {
        todo!()
    }
}
