//! Signatures in the form of minisign, so that a subscriber without this program can verify an export with what its
//! distribution has.
//!
//! The prehashed form: Ed25519 over BLAKE2b-512 of the file, and a second signature over the first and the trusted comment, which
//! says what was signed and until when it counts.

use std::io::{self, Write};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use blake2::{Blake2b512, Digest as _};
use sha2::Sha256;

use super::SecretKey;

/// Hashes what is written to it.
#[derive(Clone, Default)]
pub struct MinisignHash(Blake2b512);

impl MinisignHash {
    /// The digest that is signed.
    pub fn finish(self) -> [u8; 64] {
        self.0.finalize().into()
    }
}

impl Write for MinisignHash {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.update(octets);
        Ok(octets.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SecretKey {
    /// The text of a signature file for what `hash` is the digest of; `trusted`, one line without control characters, is signed
    /// too.
    pub fn minisign(&self, hash: &[u8; 64], trusted: &str) -> String {
        let trusted: String = trusted.chars().filter(|c| !c.is_control()).collect();
        let signature = self.sign_octets(hash);
        let mut line = b"ED".to_vec();
        line.extend_from_slice(&self.minisign_id());
        line.extend_from_slice(&signature);
        let both = [&signature[..], trusted.as_bytes()].concat();
        format!(
            "untrusted comment: signature by {}\n{}\ntrusted comment: {trusted}\n{}\n",
            self.name(),
            STANDARD.encode(&line),
            STANDARD.encode(self.sign_octets(&both))
        )
    }

    /// The text of the public key's file. Its second line alone is what `minisign -P` takes.
    pub fn minisign_public(&self) -> String {
        let id = self.minisign_id();
        let mut line = b"Ed".to_vec();
        line.extend_from_slice(&id);
        line.extend_from_slice(&self.public());
        // Shown as a number, as minisign does it.
        let shown = u64::from_le_bytes(id);
        format!("untrusted comment: minisign public key {shown:016X} of {}\n{}\n", self.name(), STANDARD.encode(&line))
    }

    /// The name of the key in both: any eight octets; here of the public key, so that one key has one.
    fn minisign_id(&self) -> [u8; 8] {
        let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = Sha256::digest(self.public()).into();
        [a, b, c, d, e, f, g, h]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_that_of_minisign() {
        let key = SecretKey::from_seed("a.example/minisign", &[7; 32]).unwrap();
        let mut hash = MinisignHash::default();
        hash.write_all(b"abc").unwrap();
        let hash = hash.finish();
        // RFC 7693, appendix A.
        assert_eq!(hash[..4], [0xba, 0x80, 0xa5, 0x3f]);
        let text = key.minisign(&hash, "list=a\nserial=1");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[2]), (4, "trusted comment: list=aserial=1"));
        assert_eq!(STANDARD.decode(lines[1]).unwrap().len(), 74);
        assert_eq!(STANDARD.decode(lines[3]).unwrap().len(), 64);
        let public = key.minisign_public();
        let public = STANDARD.decode(public.lines().nth(1).unwrap()).unwrap();
        assert_eq!((public.len(), &public[2..10]), (42, &STANDARD.decode(lines[1]).unwrap()[2..10]));
    }
}
