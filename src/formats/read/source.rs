//! An input of which it is counted how far it was read, for readers that cut it up themselves.
//!
//! Guarantees: whoever reads it without saying that a piece is done ([`Counters::done`]) gets an error instead of more
//! than a bound, so that no reader can be made to hold a file in memory.

use std::cell::{Cell, RefCell};
use std::io::{self, BufRead, Read};

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Counters {
    lines: Cell<u64>,
    piece: Cell<usize>,
    too_long: Cell<bool>,
    failed: RefCell<Option<io::Error>>,
}

impl Counters {
    /// The line that is being read, from 1.
    pub(super) fn line(&self) -> u64 {
        self.lines.get() + 1
    }

    /// What was read so far has been dealt with.
    pub(super) fn done(&self) {
        self.piece.set(0);
    }

    /// Whether a piece was longer than the bound.
    pub(super) fn too_long(&self) -> bool {
        self.too_long.get()
    }

    /// The error of the input itself, if that is what went wrong.
    pub(super) fn failed(&self) -> Option<io::Error> {
        self.failed.borrow_mut().take()
    }
}

/// How octets become text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Encoding {
    /// As they are.
    Utf8,
    /// windows-1251, as many registers of Russian make have it.
    Windows1251,
    /// ISO-8859-1.
    Latin1,
}

/// The input.
pub(super) struct Source<'c, R> {
    input: R,
    counters: &'c Counters,
    /// Longest piece, in octets.
    most: usize,
    encoding: Encoding,
    text: Vec<u8>,
    at: usize,
}

/// Octets that are looked at once.
const CHUNK: usize = 8 * 1024;

impl<'c, R: BufRead> Source<'c, R> {
    pub(super) fn new(input: R, counters: &'c Counters, most: usize, encoding: Encoding) -> Self {
        Source { input, counters, most, encoding, text: Vec::new(), at: 0 }
    }

    fn fail(&self, error: io::Error) -> io::Error {
        *self.counters.failed.borrow_mut() = Some(error);
        io::ErrorKind::Other.into()
    }
}

impl<R: BufRead> BufRead for Source<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.counters.piece.get() > self.most {
            self.counters.too_long.set(true);
            return Err(io::ErrorKind::Other.into());
        }
        if self.at == self.text.len() {
            self.text.clear();
            self.at = 0;
            let read = loop {
                match self.input.fill_buf() {
                    Ok(octets) => break Ok(&octets[..octets.len().min(CHUNK)]),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => break Err(error),
                }
            };
            match read {
                Ok(octets) => {
                    let count = octets.len();
                    match self.encoding {
                        Encoding::Utf8 => self.text.extend_from_slice(octets),
                        encoding => octets.iter().for_each(|octet| push(*octet, encoding, &mut self.text)),
                    }
                    self.input.consume(count);
                }
                Err(error) => return Err(self.fail(error)),
            }
        }
        Ok(&self.text[self.at..])
    }

    fn consume(&mut self, count: usize) {
        let used = &self.text[self.at..self.at + count];
        self.counters.lines.set(self.counters.lines.get() + memchr::memchr_iter(b'\n', used).count() as u64);
        self.counters.piece.set(self.counters.piece.get() + count);
        self.at += count;
    }
}

impl<R: BufRead> Read for Source<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let from = self.fill_buf()?;
        let count = from.len().min(into.len());
        into[..count].copy_from_slice(&from[..count]);
        self.consume(count);
        Ok(count)
    }
}

/// One octet as UTF-8.
fn push(octet: u8, encoding: Encoding, text: &mut Vec<u8>) {
    /// 0x80 to 0xBF of windows-1251.
    const LOWER: &str = "ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—\u{98}™љ›њќћџ\u{a0}ЎўЈ¤Ґ¦§Ё©Є«¬\u{ad}®Ї°±Ііґµ¶·ё№є»јЅѕї";
    let c = match (octet, encoding) {
        (0..=0x7f, _) | (_, Encoding::Utf8 | Encoding::Latin1) => char::from(octet),
        (0xc0..=0xff, Encoding::Windows1251) => char::from_u32(0x410 + u32::from(octet - 0xc0)).unwrap_or('\u{fffd}'),
        (_, Encoding::Windows1251) => LOWER.chars().nth(usize::from(octet - 0x80)).unwrap_or('\u{fffd}'),
    };
    text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_windows_1251() {
        let counters = Counters::default();
        let mut text = String::new();
        let octets = b"\xef\xf0\xe8\xec\xe5\xf0.\xf0\xf4\n\xa8\xb8\xbf\x80";
        Source::new(&octets[..], &counters, 100, Encoding::Windows1251).read_to_string(&mut text).expect("memory");
        assert_eq!((text.as_str(), counters.line()), ("пример.рф\nЁёїЂ", 2));
    }

    #[test]
    fn a_piece_without_end_is_an_error() {
        let counters = Counters::default();
        let mut source = Source::new(io::BufReader::new(io::repeat(b'x')), &counters, 100_000, Encoding::Utf8);
        assert!(io::copy(&mut source, &mut io::sink()).is_err());
        assert!(counters.too_long() && counters.failed().is_none());
    }
}
