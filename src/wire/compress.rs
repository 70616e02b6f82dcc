//! zstd with a bound on what comes out and on what the decoder may ask for.
//!
//! Guarantees: not more than the stated limit is ever produced, and a frame can make the decoder reserve at most
//! [`WINDOW_LOG`] bits of window, whatever its header says. Digests are over uncompressed bytes, so that how something was
//! compressed never matters to trust.

use std::io::{self, BufRead, Read, Write};

use zstd::stream::{read::Decoder, write::Encoder};

use super::WireError;

/// log2 of the largest window a decoder accepts: 8 MiB, the bound of RFC 9659. Levels 1 to 19 stay within it.
pub const WINDOW_LOG: u32 = 23;

/// Compresses with zstd at `level` (1 to 19), with the content size in the frame header.
pub fn compress(bytes: &[u8], level: i32) -> Vec<u8> {
    zstd::bulk::compress(bytes, level.clamp(1, 19))
        .expect("compressing from memory into a vector of sufficient size fails only when memory is exhausted")
}

/// Decompresses at most `limit` octets.
///
/// # Errors
/// [`WireError::TooLarge`] if there is more, [`WireError::Compression`] if it is damaged or cut off.
pub fn decompress(what: &'static str, bytes: &[u8], limit: u64) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::new();
    ZstdReader::new(what, bytes, limit)?.read_to_end(&mut out)?;
    Ok(out)
}

/// Compresses what is written to it; [`ZstdWriter::finish`] must be called, else the frame lacks its end.
pub struct ZstdWriter<W: Write>(Encoder<'static, W>);

impl<W: Write> ZstdWriter<W> {
    /// Begins a frame at `level` (1 to 19).
    ///
    /// # Errors
    /// If the encoder cannot be set up.
    pub fn new(inner: W, level: i32) -> io::Result<Self> {
        let mut encoder = Encoder::new(inner, level.clamp(1, 19))?;
        encoder.include_checksum(false)?;
        Ok(ZstdWriter(encoder))
    }

    /// Ends the frame and gives the writer back.
    ///
    /// # Errors
    /// Of the writer.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

impl<W: Write> Write for ZstdWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Decompresses what it reads and stops at a limit.
///
/// A refusal comes as an [`io::Error`] that holds a [`WireError`]; `WireError::from` takes it out again.
pub struct ZstdReader<R: BufRead> {
    what: &'static str,
    decoder: Decoder<'static, R>,
    limit: u64,
    left: u64,
}

impl<R: BufRead> ZstdReader<R> {
    /// Reads at most `limit` octets (uncompressed) of a document called `what` in messages.
    ///
    /// # Errors
    /// [`WireError::Compression`] if the decoder cannot be set up.
    pub fn new(what: &'static str, inner: R, limit: u64) -> Result<Self, WireError> {
        let refused = |e: io::Error| WireError::Compression { what, reason: e.to_string() };
        let mut decoder = Decoder::with_buffer(inner).map_err(refused)?;
        decoder.window_log_max(WINDOW_LOG).map_err(refused)?;
        Ok(ZstdReader { what, decoder, limit, left: limit })
    }
}

impl<R: BufRead> Read for ZstdReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // One octet past the limit is asked for, so that "exactly at the limit" and "more" can be told apart.
        let most = usize::try_from(self.left.saturating_add(1)).unwrap_or(usize::MAX).min(into.len());
        let read = match self.decoder.read(&mut into[..most]) {
            Ok(read) => read as u64,
            // The decoder's own complaints have these kinds; anything else comes from the reader below and passes as it is.
            Err(e) if matches!(e.kind(), io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
                let refusal = WireError::Compression { what: self.what, reason: e.to_string() };
                return Err(io::Error::new(io::ErrorKind::InvalidData, refusal));
            }
            Err(e) => return Err(e),
        };
        if read > self.left {
            let refusal = WireError::TooLarge { what: self.what, limit: self.limit };
            return Err(io::Error::new(io::ErrorKind::InvalidData, refusal));
        }
        self.left -= read;
        Ok(read as usize)
    }
}
