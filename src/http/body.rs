//! Bodies that are read or written piece by piece on blocking threads, never held whole.

use std::fmt::Display;
use std::io::{self, Read, Write};

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::sync::mpsc;

/// Octets read at a time.
const PIECE: usize = 128 << 10;
/// Written pieces that may wait for the client.
const WAITING: usize = 4;

/// A body of what `reader` gives. It is read only as fast as the client takes it; on an error the connection is broken
/// off, so that a cut body is never taken for a whole one.
pub(super) fn from_reader(reader: impl Read + Send + 'static) -> Body {
    Body::from_stream(stream::unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        let read = tokio::task::spawn_blocking(move || read_piece(&mut reader).map(|piece| (piece, reader)));
        match read.await.unwrap_or_else(|e| Err(io::Error::other(e))) {
            Ok((piece, _)) if piece.is_empty() => None,
            Ok((piece, reader)) => Some((Ok(piece), Some(reader))),
            Err(e) => {
                tracing::error!(error = %e, "an artefact could not be read to its end; run check");
                Some((Err(e), None))
            }
        }
    }))
}

/// Where a body that is written comes from; fails when the client is gone. What is still gathered when it is dropped is thrown away: an
/// encoder that is given up writes its end then, and that must not look like the beginning of an answer.
pub(super) struct Outlet {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    gathered: Vec<u8>,
    /// Octets that are worth a message between threads.
    worth: usize,
}

impl Outlet {
    fn send(&mut self) -> io::Result<()> {
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the client is gone");
        let piece = std::mem::take(&mut self.gathered);
        if piece.is_empty() { Ok(()) } else { self.pieces.blocking_send(Ok(piece.into())).map_err(gone) }
    }
}

impl Write for Outlet {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(octets);
        if self.gathered.len() >= self.worth {
            self.send()?;
        }
        Ok(octets.len())
    }

    /// Pieces go out when they are worth it, and at the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why nothing was written.
pub(super) enum Unwritten<E> {
    /// The work refused.
    Refused(E),
    /// It panicked; the log says where.
    Panicked,
}

/// Runs `work` on a blocking thread. What it writes is the body, in pieces of `worth` octets or more, made only as fast as the client takes
/// them. What goes wrong before the first piece is given back; later the body is broken off, so that a part is never taken for the whole.
pub(super) async fn written<E: Display + From<io::Error> + Send + 'static>(
    worth: usize,
    work: impl FnOnce(&mut Outlet) -> Result<(), E> + Send + 'static,
) -> Result<Body, Unwritten<E>> {
    let (pieces, mut written) = mpsc::channel(WAITING);
    let made = tokio::task::spawn_blocking(move || {
        let mut outlet = Outlet { pieces, gathered: Vec::new(), worth };
        let done = work(&mut outlet).and_then(|()| Ok(outlet.send()?));
        if let Err(error) = &done {
            let _ = outlet.pieces.blocking_send(Err(io::Error::other(error.to_string())));
        }
        done
    });
    let first = match written.recv().await {
        Some(Ok(first)) => first,
        None | Some(Err(_)) => match made.await {
            Ok(Ok(())) => return Ok(Body::empty()),
            Ok(Err(error)) => return Err(Unwritten::Refused(error)),
            Err(_) => return Err(Unwritten::Panicked),
        },
    };
    Ok(Body::from_stream(stream::unfold(Some((Some(first), written, made)), |rest| async move {
        let (first, mut written, made) = rest?;
        if let Some(first) = first {
            return Some((Ok(first), Some((None, written, made))));
        }
        match written.recv().await {
            Some(piece) => Some((piece, Some((None, written, made)))),
            // Work that panicked falls silent as work that is done does; only its own end tells them apart.
            None => made.await.err().map(|e| (Err(io::Error::other(e)), None)),
        }
    })))
}

fn read_piece(reader: &mut impl Read) -> io::Result<Bytes> {
    let mut piece = Vec::with_capacity(PIECE);
    reader.take(PIECE as u64).read_to_end(&mut piece)?;
    Ok(piece.into())
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    /// What goes out of a body that is written so: its octets, and whether it came to its end.
    async fn goes_out(work: impl FnOnce(&mut Outlet) -> io::Result<()> + Send + 'static) -> (Vec<u8>, bool) {
        let Ok(body) = written(0, work).await else { panic!("nothing was written") };
        let (mut octets, mut pieces) = (Vec::new(), body.into_data_stream());
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(piece) => octets.extend_from_slice(&piece),
                Err(_) => return (octets, false),
            }
        }
        (octets, true)
    }

    #[tokio::test]
    async fn a_body_comes_to_its_end_only_if_the_work_does() {
        assert_eq!(goes_out(|out| out.write_all(b"a").and_then(|()| out.write_all(b"b"))).await, (b"ab".to_vec(), true));
        assert_eq!(goes_out(|_| Ok(())).await, (Vec::new(), true));
        assert_eq!(goes_out(|out| out.write_all(b"a").and(Err(io::Error::other("no more")))).await, (b"a".to_vec(), false));
        let panics = |out: &mut Outlet| out.write_all(b"a").map(|()| panic!("the work of this test panics"));
        assert_eq!(goes_out(panics).await, (b"a".to_vec(), false));
        let at_once = written(0, |_| -> io::Result<()> { panic!("the work of this test panics") }).await;
        assert!(matches!(at_once, Err(Unwritten::Panicked)));
    }
}
