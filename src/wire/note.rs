//! The C2SP signed note envelope: text, empty line, signature lines (<https://c2sp.org/signed-note>).
//!
//! Written here and not taken from the crate `signed_note` 0.2: that one brings a second Ed25519 stack (ed25519-dalek 2,
//! sha2 0.10, base64 0.21), verifies with the lenient `verify` where this project demands `verify_strict`, and drops a known key's
//! wrong signature into the same error as a form fault. The envelope itself is small; the cryptography stays in `trust`.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::WireError;

/// Most signature lines of a note.
pub const MAX_SIGNATURES: usize = 16;
/// What a signature line begins with: U+2014 and a space.
const MARK: &str = "\u{2014} ";

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
        if bytes.len() > limit {
            return Err(WireError::TooLarge { what: "signed note", limit: limit as u64 });
        }
        let error = |line: usize, reason: &str| WireError::Line { what: "signed note", line: line as u64, reason: reason.to_owned() };
        let whole = std::str::from_utf8(bytes).map_err(|_| error(1, "not UTF-8"))?;
        if let Some(at) = whole.bytes().position(|c| c != b'\n' && c.is_ascii_control()) {
            let line = 1 + whole.bytes().take(at).filter(|c| *c == b'\n').count();
            return Err(error(line, "a control character; lines end with LF alone"));
        }
        // The last empty line divides: a signature line is never empty.
        let at = whole.rfind("\n\n").ok_or_else(|| error(1, "no empty line between text and signatures"))?;
        let (text, below) = (&whole[..=at], &whole[at + 2..]);
        let first = text.bytes().filter(|c| *c == b'\n').count() + 2;
        let below = below.strip_suffix('\n').ok_or_else(|| error(first, "expected signature lines, each ended by LF"))?;
        let mut signatures = Vec::new();
        for (i, line) in below.split('\n').enumerate() {
            if i == MAX_SIGNATURES {
                return Err(error(first + i, "more than 16 signature lines"));
            }
            let signature = parse_line(line).ok_or_else(|| {
                error(first + i, "not a signature line; expected \"\u{2014} NAME BASE64\" with a key hash and a signature")
            })?;
            signatures.push(signature);
        }
        Ok(Note { text: text.to_owned(), signatures })
    }

    /// The note as it travels.
    pub fn encode(&self) -> String {
        let mut out = String::with_capacity(self.text.len() + 1 + self.signatures.len() * 160);
        out.push_str(&self.text);
        out.push('\n');
        for NoteSignature { name, key_hash, signature } in &self.signatures {
            let mut bytes = Vec::with_capacity(4 + signature.len());
            bytes.extend_from_slice(key_hash);
            bytes.extend_from_slice(signature);
            out.push_str(MARK);
            out.push_str(name);
            out.push(' ');
            STANDARD.encode_string(&bytes, &mut out);
            out.push('\n');
        }
        out
    }
}

fn parse_line(line: &str) -> Option<NoteSignature> {
    let (name, base64) = line.strip_prefix(MARK)?.split_once(' ')?;
    let named = (1..=255).contains(&name.len()) && !name.contains(|c: char| c.is_whitespace() || c == '+');
    let bytes = STANDARD.decode(base64).ok()?;
    let (key_hash, signature) = bytes.split_first_chunk::<4>()?;
    (named && !signature.is_empty()).then(|| NoteSignature { name: name.to_owned(), key_hash: *key_hash, signature: signature.to_vec() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn note() -> impl Strategy<Value = Note> {
        let signature = ("[!-*,-~]{1,30}", any::<[u8; 4]>(), prop::collection::vec(any::<u8>(), 1..80))
            .prop_map(|(name, key_hash, signature)| NoteSignature { name, key_hash, signature });
        (prop::collection::vec("[ -~]{0,20}", 1..5), prop::collection::vec(signature, 1..=MAX_SIGNATURES))
            .prop_map(|(lines, signatures)| Note { text: lines.join("\n") + "\n", signatures })
    }

    #[test]
    fn the_form_is_strict() {
        let good = "text\n\n\u{2014} name AAAAAAA=\n";
        assert_eq!(Note::parse(good.as_bytes(), 100).unwrap().signatures[0].signature, [0]);
        assert!(matches!(Note::parse(good.as_bytes(), good.len() - 1), Err(WireError::TooLarge { .. })));
        for bad in [
            "",
            "\n",
            "\n\n",
            "text\n",
            "text\n\n",
            "text\n\n\n",
            "text\n\n\u{2014} name AAAAAAA=",
            "text\n\n\u{2014} name AAAAAAA=\n\n",
            "text\n\n\u{2014} name AAAAAAA=\nx\n",
            "text\n\u{2014} name AAAAAAA=\n",
            "text\n\n- name AAAAAAA=\n",
            "text\n\n\u{2014}  name AAAAAAA=\n",
            "text\n\n\u{2014} name  AAAAAAA=\n",
            "text\n\n\u{2014} name AAAAAAA= \n",
            "text\n\n\u{2014} na+me AAAAAAA=\n",
            "text\n\n\u{2014} na\u{a0}me AAAAAAA=\n",
            "text\n\n\u{2014} name AAAAAA==\n",
            "text\n\n\u{2014} name AAAAAAB=\n",
            "text\n\n\u{2014} name AAAAAAA\n",
            "text\n\n\u{2014} name AAAA-_A=\n",
            "text\r\n\r\n\u{2014} name AAAAAAA=\r\n",
            "te\txt\n\n\u{2014} name AAAAAAA=\n",
        ] {
            assert!(Note::parse(bad.as_bytes(), 100).is_err(), "{bad:?}");
        }
        assert!(Note::parse(b"\xff\n\n", 100).is_err());
        let many = |n: usize| format!("text\n\n{}", "\u{2014} name AAAAAAA=\n".repeat(n));
        assert!(Note::parse(many(16).as_bytes(), 1_000).is_ok() && Note::parse(many(17).as_bytes(), 1_000).is_err());
    }

    proptest! {
        #[test]
        fn encode_and_parse_are_inverse(note in note()) {
            let encoded = note.encode();
            let parsed = Note::parse(encoded.as_bytes(), 65_536).unwrap();
            prop_assert_eq!(parsed.encode(), encoded);
            prop_assert_eq!(parsed, note);
        }

        #[test]
        fn anything_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(note) = Note::parse(&bytes, 200) {
                prop_assert_eq!(note.encode().into_bytes(), bytes);
            }
        }
    }
}
