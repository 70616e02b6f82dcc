//! zstd with a bound on what comes out.

use super::WireError;

/// Compresses with zstd at `level` (1 to 19), with the content size in the frame header.
pub fn compress(bytes: &[u8], level: i32) -> Vec<u8> {
    let _ = (bytes, level);
    todo!()
}

/// Decompresses at most `limit` octets.
///
/// # Errors
/// [`WireError::TooLarge`] if there is more, [`WireError::Compression`] if it is damaged or cut off.
pub fn decompress(what: &'static str, bytes: &[u8], limit: u64) -> Result<Vec<u8>, WireError> {
    let _ = (what, bytes, limit);
    todo!()
}
