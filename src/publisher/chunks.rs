//! Lines handed to other threads in chunks: what costs time (hashing, compressing, dealing into buckets) is done beside
//! the merge that makes the lines. Channels are bounded, so memory is too.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::PublishError;

/// Octets of a chunk. Below the size from which the allocator maps and unmaps pages each time.
const CHUNK: usize = 64 << 10;
/// Chunks that may wait in a channel.
const WAITING: usize = 8;

/// Whole lines with their LF; `None`: the sender failed, what comes out must not be kept.
type Chunk = Option<Arc<String>>;

/// Sends lines to every receiver.
pub(super) struct LineSender {
    to: Vec<SyncSender<Chunk>>,
    chunk: String,
}

/// Receives lines.
pub(super) struct LineReceiver(Receiver<Chunk>);

/// A sender and `N` receivers that each get every line.
pub(super) fn fan_out<const N: usize>() -> (LineSender, [LineReceiver; N]) {
    let mut to = Vec::with_capacity(N);
    let receivers = std::array::from_fn(|_| {
        let (sender, receiver) = sync_channel(WAITING);
        to.push(sender);
        LineReceiver(receiver)
    });
    (LineSender { to, chunk: String::with_capacity(CHUNK) }, receivers)
}

impl LineSender {
    /// Sends a line made of these parts.
    ///
    /// # Errors
    /// `BrokenPipe` if a receiver has given up: its own error says why.
    pub(super) fn push(&mut self, parts: [&str; 2]) -> io::Result<()> {
        for part in parts {
            self.chunk.push_str(part);
        }
        self.chunk.push('\n');
        if self.chunk.len() >= CHUNK - 4_200 { self.send() } else { Ok(()) }
    }

    /// Sends many whole lines with their LF, as they are.
    ///
    /// # Errors
    /// As [`LineSender::push`].
    pub(super) fn push_all(&mut self, lines: String) -> io::Result<()> {
        if !self.chunk.is_empty() {
            self.send()?;
        }
        self.send_chunk(Arc::new(lines))
    }

    fn send(&mut self) -> io::Result<()> {
        let chunk = std::mem::replace(&mut self.chunk, String::with_capacity(CHUNK));
        self.send_chunk(Arc::new(chunk))
    }

    fn send_chunk(&self, chunk: Arc<String>) -> io::Result<()> {
        for to in &self.to {
            to.send(Some(chunk.clone())).map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        Ok(())
    }

    /// Ends the stream: well, or (when `made` is an error) so that receivers keep nothing.
    pub(super) fn end<T>(mut self, made: Result<T, PublishError>) -> Result<T, PublishError> {
        let sent = made.and_then(|value| self.send().map(|()| value).map_err(PublishError::from));
        if sent.is_err() {
            for to in &self.to {
                // A receiver that is gone needs no telling.
                let _ = to.send(None);
            }
        }
        sent
    }
}

impl LineReceiver {
    /// Hands on each chunk of whole lines.
    ///
    /// # Errors
    /// Of `each`; `Interrupted` if the sender failed: its own error says why.
    pub(super) fn each_chunk(&self, mut each: impl FnMut(&str) -> Result<(), PublishError>) -> Result<(), PublishError> {
        for chunk in &self.0 {
            each(&chunk.ok_or_else(|| io::Error::from(io::ErrorKind::Interrupted))?)?;
        }
        Ok(())
    }

    /// Hands on each line, without LF.
    ///
    /// # Errors
    /// As [`LineReceiver::each_chunk`].
    pub(super) fn each(&self, mut each: impl FnMut(&str) -> Result<(), PublishError>) -> Result<(), PublishError> {
        self.each_chunk(|chunk| {
            let mut at = 0;
            for lf in memchr::memchr_iter(b'\n', chunk.as_bytes()) {
                each(&chunk[at..lf])?;
                at = lf + 1;
            }
            Ok(())
        })
    }
}

/// The error that says why, where one thread's failure makes the others fail.
pub(super) fn first_cause<T, U>(a: Result<T, PublishError>, b: Result<U, PublishError>) -> Result<(T, U), PublishError> {
    let follows =
        |e: &PublishError| matches!(e, PublishError::Io(e) if matches!(e.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::Interrupted));
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(a), Err(b)) => Err(if follows(&a) { b } else { a }),
        (Err(e), Ok(_)) | (Ok(_), Err(e)) => Err(e),
    }
}

/// The result of a thread; a panic goes on in this one.
pub(super) fn join<T>(handle: std::thread::ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
