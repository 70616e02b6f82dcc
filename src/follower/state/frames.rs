//! What a frame of a list's log says: one line of JSON, then the octets of a delta if there is one.

use serde::{Deserialize, Serialize};

/// Four octets that tell this kind of journal from others.
pub const KIND: [u8; 4] = *b"bwlf";

/// The line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "frame", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Frame {
    /// This head was verified and accepted. It says nothing of the content.
    Head {
        /// The note.
        note: String,
    },
    /// The delta that follows (zstd) was applied, and the content is that of the head.
    Delta {
        /// The note of the head.
        note: String,
    },
}

impl Frame {
    /// The frame's octets.
    pub fn encode(&self, delta: &[u8]) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("strings are always representable in JSON");
        bytes.push(b'\n');
        bytes.extend_from_slice(delta);
        bytes
    }

    /// Takes a frame apart.
    ///
    /// # Errors
    /// A sentence, if it is not one.
    pub fn decode(bytes: &[u8]) -> Result<(Frame, &[u8]), String> {
        let end = memchr::memchr(b'\n', bytes).ok_or("no line")?;
        let frame = serde_json::from_slice(&bytes[..end]).map_err(|e| e.to_string())?;
        Ok((frame, &bytes[end + 1..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back() {
        let frame = Frame::Delta { note: "line\nline\n".into() };
        assert_eq!(Frame::decode(&frame.encode(b"\n{zstd")).unwrap(), (frame, &b"\n{zstd"[..]));
        assert!(Frame::decode(b"{}").is_err() && Frame::decode(b"{}\n").is_err());
    }
}
