//! Bytes of the journal: the header of a segment and its frames. Pure; no file is touched here.
//!
//! ```text
//! header   magic "BWLDJRN1" | kind, 4 octets | segment u64 | first frame u64 | state frames u64 | hash before, 32 | crc32
//! frame    content length u32 | crc32 | hash of the frame before, 32 | content
//! ```
//!
//! Numbers are big-endian. The crc32 of a frame is over its length, the hash before and the content; the hash of a frame is SHA-256
//! over all its octets. The hash before the first frame of all is 32 zeros.
//!
//! Guarantees: decoding never panics and never allocates by a length it read; a frame that decodes is the one that
//! was encoded. It does not decide whether what is broken is a torn tail or damage (that is `segment.rs`).

use crate::list::Digest;

use super::FrameId;

/// Largest content of a frame, in octets: 16 MiB.
pub const MAX_FRAME: usize = 16 << 20;

/// Octets before the content of a frame.
pub(super) const FRAME_HEADER: usize = 4 + 4 + 32;

/// Octets of a segment's header.
pub(super) const SEGMENT_HEADER: usize = 8 + 4 + 8 + 8 + 8 + 32 + 4;

const MAGIC: [u8; 8] = *b"BWLDJRN1";

/// The hash before the first frame of a journal.
pub(super) const GENESIS: Digest = Digest([0; 32]);

/// The header of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SegmentHeader {
    /// What the frames say: of the publisher, of a follower's list.
    pub kind: [u8; 4],
    /// Number of the segment, as in its file name; guards against a file put in another's place.
    pub segment: u64,
    /// Number of its first frame.
    pub first: FrameId,
    /// How many of its first frames restate the state before them; 0 unless it is a checkpoint.
    pub state_frames: u64,
    /// Hash of the frame before the first.
    pub before: Digest,
}

impl SegmentHeader {
    /// As in the file.
    pub fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut out = [0; SEGMENT_HEADER];
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&self.kind);
        out[12..20].copy_from_slice(&self.segment.to_be_bytes());
        out[20..28].copy_from_slice(&self.first.to_be_bytes());
        out[28..36].copy_from_slice(&self.state_frames.to_be_bytes());
        out[36..68].copy_from_slice(&self.before.0);
        let crc = crc32fast::hash(&out[..68]);
        out[68..].copy_from_slice(&crc.to_be_bytes());
        out
    }

    /// Reads it back; the error is what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<SegmentHeader, &'static str> {
        let bytes: &[u8; SEGMENT_HEADER] = bytes.get(..SEGMENT_HEADER).and_then(|b| b.try_into().ok()).ok_or("its header is cut off")?;
        if bytes[..8] != MAGIC {
            return Err("it does not begin with BWLDJRN1");
        }
        if be32(&bytes[68..]) != Some(crc32fast::hash(&bytes[..68])) {
            return Err("the checksum of its header is wrong");
        }
        let mut kind = [0; 4];
        kind.copy_from_slice(&bytes[8..12]);
        let mut before = [0; 32];
        before.copy_from_slice(&bytes[36..68]);
        Ok(SegmentHeader {
            kind,
            segment: be64(&bytes[12..]).ok_or("its header is cut off")?,
            first: be64(&bytes[20..]).ok_or("its header is cut off")?,
            state_frames: be64(&bytes[28..]).ok_or("its header is cut off")?,
            before: Digest(before),
        })
    }
}

/// A frame as it stands in a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawFrame<'a> {
    /// Hash of the frame before.
    pub before: Digest,
    /// What it says.
    pub content: &'a [u8],
    /// SHA-256 over its octets: what the next frame names.
    pub hash: Digest,
    /// Its octets in the file.
    pub size: usize,
}

/// Why the octets at a place are no frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameError {
    /// There are fewer octets than a frame needs.
    CutOff,
    /// The length is 0 or over [`MAX_FRAME`].
    Length(u32),
    /// The checksum does not match.
    Checksum,
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FrameError::CutOff => f.write_str("the frame is cut off"),
            FrameError::Length(n) => write!(f, "a frame of {n} octets cannot be"),
            FrameError::Checksum => f.write_str("the frame's checksum is wrong"),
        }
    }
}

/// Encodes a frame: its octets and its hash. `content` holds 1 to [`MAX_FRAME`] octets, which the caller has checked.
///
/// # Panics
/// If it holds 4 GiB or more.
pub fn encode_frame(before: &Digest, content: &[u8]) -> (Vec<u8>, Digest) {
    let length = u32::try_from(content.len()).expect("the caller has checked the content against MAX_FRAME");
    let mut out = Vec::with_capacity(FRAME_HEADER + content.len());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&checksum(length, &before.0, content).to_be_bytes());
    out.extend_from_slice(&before.0);
    out.extend_from_slice(content);
    let hash = Digest::of(&out);
    (out, hash)
}

/// Reads the frame at the beginning of `bytes`.
///
/// # Errors
/// [`FrameError`].
pub fn decode_frame(bytes: &[u8]) -> Result<RawFrame<'_>, FrameError> {
    let length = be32(bytes).ok_or(FrameError::CutOff)?;
    if length == 0 || length as usize > MAX_FRAME {
        return Err(FrameError::Length(length));
    }
    let size = FRAME_HEADER + length as usize;
    let frame = bytes.get(..size).ok_or(FrameError::CutOff)?;
    let content = &frame[FRAME_HEADER..];
    let mut before = [0; 32];
    before.copy_from_slice(&frame[8..FRAME_HEADER]);
    if be32(&frame[4..]) != Some(checksum(length, &before, content)) {
        return Err(FrameError::Checksum);
    }
    Ok(RawFrame { before: Digest(before), content, hash: Digest::of(frame), size })
}

/// Whether a whole frame stands anywhere in `bytes` behind their first octet.
pub(super) fn any_frame_after_first_octet(bytes: &[u8]) -> bool {
    // Nearly every place fails at the length, so this is one pass in practice.
    (1..bytes.len().saturating_sub(FRAME_HEADER)).any(|at| decode_frame(&bytes[at..]).is_ok())
}

fn checksum(length: u32, before: &[u8; 32], content: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&length.to_be_bytes());
    crc.update(before);
    crc.update(content);
    crc.finalize()
}

fn be32(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?))
}

fn be64(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(..8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_frame_comes_back(before in any::<[u8; 32]>(), content in prop::collection::vec(any::<u8>(), 1..300), behind in prop::collection::vec(any::<u8>(), 0..50)) {
            let (mut bytes, hash) = encode_frame(&Digest(before), &content);
            let size = bytes.len();
            bytes.extend_from_slice(&behind);
            let frame = decode_frame(&bytes).unwrap();
            prop_assert_eq!(frame, RawFrame { before: Digest(before), content: &content, hash, size });
        }

        #[test]
        fn one_changed_octet_is_noticed(content in prop::collection::vec(any::<u8>(), 1..100), at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let (mut bytes, _) = encode_frame(&GENESIS, &content);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(decode_frame(&bytes).is_err());
        }

        #[test]
        fn anything_at_all_is_decoded_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_frame(&bytes);
            let _ = SegmentHeader::decode(&bytes);
            let _ = any_frame_after_first_octet(&bytes);
        }

        #[test]
        fn a_header_comes_back(kind in any::<[u8; 4]>(), segment in any::<u64>(), first in any::<u64>(), state_frames in any::<u64>(), before in any::<[u8; 32]>()) {
            let header = SegmentHeader { kind, segment, first, state_frames, before: Digest(before) };
            prop_assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
        }
    }
}
