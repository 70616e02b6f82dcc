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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(lines: usize) -> Vec<u8> {
        (0..lines).flat_map(|i| format!("domain:host-{i}.example\n").into_bytes()).collect()
    }

    #[test]
    fn what_was_compressed_comes_back() {
        let text = text(5_000);
        for level in [1, 3, 19, 100, -5] {
            assert_eq!(decompress("text", &compress(&text, level), text.len() as u64).unwrap(), text);
        }
        assert_eq!(decompress("text", &compress(b"", 3), 0).unwrap(), b"");
        let mut writer = ZstdWriter::new(Vec::new(), 3).unwrap();
        writer.write_all(&text).unwrap();
        assert_eq!(decompress("text", &writer.finish().unwrap(), text.len() as u64).unwrap(), text);
    }

    #[test]
    fn decompression_bomb() {
        // 64 MiB of zeros in a few kilobytes: nothing past the limit is ever made.
        let bomb = compress(&vec![0; 64 << 20], 3);
        assert!(bomb.len() < 10_000);
        let error = decompress("delta", &bomb, 65_536).unwrap_err();
        assert!(matches!(error, WireError::TooLarge { what: "delta", limit: 65_536 }), "{error}");
        // Many small frames, one behind the other, are bounded together.
        let bomb = compress(&[0; 1_000], 3).repeat(1_000);
        assert!(matches!(decompress("delta", &bomb, 65_536), Err(WireError::TooLarge { .. })));
        assert_eq!(decompress("delta", &bomb, 1_000_000).unwrap().len(), 1_000_000);
    }

    #[test]
    fn a_frame_that_wants_too_much_memory_is_refused() {
        let mut encoder = Encoder::new(Vec::new(), 3).unwrap();
        encoder.window_log(WINDOW_LOG + 1).unwrap();
        encoder.write_all(b"little").unwrap();
        let error = decompress("delta", &encoder.finish().unwrap(), 65_536).unwrap_err();
        assert!(matches!(error, WireError::Compression { .. }), "{error}");
    }

    #[test]
    fn damage_is_seen_as_damage() {
        let text = text(100);
        let good = compress(&text, 3);
        for bad in [&good[..good.len() - 1], &good[1..], &[&good[..], b"x"].concat(), &[&good[..], &good[..9]].concat()] {
            let error = decompress("delta", bad, 65_536).unwrap_err();
            assert!(matches!(error, WireError::Compression { .. }), "{error}");
        }
    }

    #[test]
    fn a_fault_of_the_source_stays_one() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
        let mut reader = ZstdReader::new("delta", io::BufReader::new(Broken), 10).unwrap();
        let error = WireError::from(reader.read(&mut [0; 10]).unwrap_err());
        assert!(matches!(error, WireError::Io(e) if e.kind() == io::ErrorKind::ConnectionReset));
    }
}
