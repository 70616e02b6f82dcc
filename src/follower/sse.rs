//! Reads `text/event-stream` (the HTML standard, section 9.2) from chunks of any size.
//!
//! Guarantees: memory is bounded by [`MAX_EVENT`] whatever comes; where the stream is cut into chunks changes nothing; what
//! is not UTF-8 is refused. It knows nothing of heads.

use std::time::Duration;

/// Octets of one event at most, its field names included. A head and an inline delta take a tenth of it.
pub const MAX_EVENT: usize = 64 << 10;

/// An event.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SseEvent {
    /// Its type; `message` if it bears none.
    pub event: String,
    /// The lines of its `data` fields, joined by LF.
    pub data: String,
    /// The last `id` that was seen, in this event or before.
    pub id: String,
    /// How long to wait before coming back, if this event says so.
    pub retry: Option<Duration>,
}

/// What a stream brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SseFrame {
    /// A comment line: somebody is there.
    Comment,
    /// An event.
    Event(SseEvent),
}

/// Why a stream was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// An event or a line that is too long.
    #[error("an event of more than {MAX_EVENT} octets; ask another address")]
    TooLarge,
    /// Not text.
    #[error("an event stream that is not UTF-8; ask another address")]
    NotText,
}

/// The parser: chunks in, frames out.
#[derive(Debug, Default)]
pub struct SseParser {
    line: Vec<u8>,
    /// The octet before was a CR: an LF that follows belongs to it.
    after_cr: bool,
    begun: bool,
    event: String,
    data: Option<String>,
    id: String,
    retry: Option<Duration>,
    /// Octets of the fields of the event that is being read.
    size: usize,
}

impl SseParser {
    /// Takes a chunk and hands on what it completes.
    ///
    /// # Errors
    /// [`SseError`]; the stream is of no more use then.
    pub fn push(&mut self, mut chunk: &[u8], mut on: impl FnMut(SseFrame)) -> Result<(), SseError> {
        while !chunk.is_empty() {
            if std::mem::take(&mut self.after_cr) && chunk[0] == b'\n' {
                chunk = &chunk[1..];
                continue;
            }
            let end = memchr::memchr2(b'\n', b'\r', chunk);
            let part = &chunk[..end.unwrap_or(chunk.len())];
            if self.size + self.line.len() + part.len() > MAX_EVENT {
                return Err(SseError::TooLarge);
            }
            self.line.extend_from_slice(part);
            let Some(end) = end else { return Ok(()) };
            self.after_cr = chunk[end] == b'\r';
            chunk = &chunk[end + 1..];
            let line = std::mem::take(&mut self.line);
            if let Some(frame) = self.end_line(&line)? {
                on(frame);
            }
            // The buffer is used again.
            self.line = line;
            self.line.clear();
        }
        Ok(())
    }

    fn end_line(&mut self, line: &[u8]) -> Result<Option<SseFrame>, SseError> {
        let mut line = std::str::from_utf8(line).map_err(|_| SseError::NotText)?;
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        if line.starts_with(':') {
            return Ok(Some(SseFrame::Comment));
        }
        self.size += line.len() + 1;
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            "retry" if !value.is_empty() && value.bytes().all(|c| c.is_ascii_digit()) => {
                self.retry = value.parse().ok().map(Duration::from_millis);
            }
            _ => {}
        }
        Ok(None)
    }

    fn dispatch(&mut self) -> Option<SseFrame> {
        self.size = 0;
        let mut event = std::mem::take(&mut self.event);
        let data = self.data.take();
        let retry = self.retry.take();
        // The standard drops an event without data; one that bears only `retry`, or a bare `bye`, is kept: both say when to come back.
        if data.is_none() && retry.is_none() && event.is_empty() {
            return None;
        }
        if event.is_empty() {
            event.push_str("message");
        }
        Some(SseFrame::Event(SseEvent { event, data: data.unwrap_or_default(), id: self.id.clone(), retry }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(chunks: &[&[u8]]) -> Result<Vec<SseFrame>, SseError> {
        let mut parser = SseParser::default();
        let mut frames = Vec::new();
        for chunk in chunks {
            parser.push(chunk, |f| frames.push(f))?;
        }
        Ok(frames)
    }

    fn event(event: &str, data: &str, id: &str, retry: Option<u64>) -> SseFrame {
        SseFrame::Event(SseEvent { event: event.into(), data: data.into(), id: id.into(), retry: retry.map(Duration::from_millis) })
    }

    const STREAM: &[u8] = "\u{feff}event: head\nid: a:1042,b:77\ndata: {\"list\":\"a\"}\n\n: still here\r\n\r\n\
        data:one\rdata: two\r\n\r\nunknown: x\nid\n\nevent: bye\nretry: 1500\n\ndata\n\nretry: soon\n\n"
        .as_bytes();

    fn expected() -> Vec<SseFrame> {
        vec![
            event("head", "{\"list\":\"a\"}", "a:1042,b:77", None),
            SseFrame::Comment,
            event("message", "one\ntwo", "a:1042,b:77", None),
            event("bye", "", "", Some(1500)),
            event("message", "", "", None),
        ]
    }

    #[test]
    fn a_stream_is_read_wherever_it_is_split() {
        assert_eq!(parse(&[STREAM]).unwrap(), expected());
        for at in 0..=STREAM.len() {
            assert_eq!(parse(&[&STREAM[..at], &STREAM[at..]]).unwrap(), expected(), "split at {at}");
        }
        let octets: Vec<&[u8]> = STREAM.chunks(1).collect();
        assert_eq!(parse(&octets).unwrap(), expected());
    }

    #[test]
    fn what_never_ends_is_refused_and_not_kept() {
        let mut parser = SseParser::default();
        let mut taken = 0;
        let error = loop {
            match parser.push(&[b'x'; 1000], |_| {}) {
                Ok(()) => taken += 1000,
                Err(e) => break e,
            }
        };
        assert_eq!(error, SseError::TooLarge);
        assert!(taken <= MAX_EVENT);
        // Many small lines of one event count together.
        let mut parser = SseParser::default();
        assert!((0..MAX_EVENT).any(|_| parser.push(b"data: x\n", |_| {}).is_err()));
        // Comments do not: they end with their line.
        let mut parser = SseParser::default();
        assert!((0..MAX_EVENT).all(|_| parser.push(b": x\n", |_| {}).is_ok()));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert_eq!(parse(&[b"data: \xff\n"]), Err(SseError::NotText));
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter_and_nothing_panics(bytes in prop::collection::vec(prop_oneof![
            Just(b'\n'), Just(b'\r'), Just(b':'), Just(b' '), Just(b'd'), any::<u8>()], 0..300), cuts in prop::collection::vec(0usize..300, 0..6)) {
            let whole = parse(&[&bytes]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            prop_assert_eq!(parse(&chunks), whole);
        }
    }
}
