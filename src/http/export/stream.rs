//! An export as the body of an answer: made on a blocking thread, only as fast as the client takes it.

use std::io::{self, Write};

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::sync::mpsc;

use crate::formats::write::ExportError;

use super::super::accept::Coding;

/// Pieces that may wait for the client; each has at most some 64 KiB.
const WAITING: usize = 4;

/// Hands each piece that is written to the body; fails when the client is gone.
pub(super) struct Outlet(mpsc::Sender<io::Result<Bytes>>);

impl Write for Outlet {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if octets.is_empty() {
            return Ok(0);
        }
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the client is gone");
        self.0.blocking_send(Ok(Bytes::copy_from_slice(octets))).map_err(gone).map(|()| octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs `work` on a blocking thread. What it writes is the body; what goes wrong before the first octet is given back, later the
/// body is broken off, so that a part is never taken for the whole. `permit` is held until the work is done.
pub(super) async fn body(
    coding: Coding,
    permit: impl Send + 'static,
    work: impl FnOnce(&mut dyn Write) -> Result<(), ExportError> + Send + 'static,
) -> Result<Body, ExportError> {
    let (sender, mut pieces) = mpsc::channel(WAITING);
    let made = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let failed = sender.clone();
        let done = coded(coding, Outlet(sender), work);
        if let Err(error) = &done {
            let _ = failed.blocking_send(Err(io::Error::other(error.to_string())));
        }
        done
    });
    let first = match pieces.recv().await {
        Some(Ok(first)) => first,
        None | Some(Err(_)) => match made.await {
            Ok(Ok(())) => Bytes::new(),
            Ok(Err(error)) => return Err(error),
            Err(error) => return Err(io::Error::other(error).into()),
        },
    };
    Ok(Body::from_stream(stream::unfold((Some(first), pieces), |(first, mut pieces)| async move {
        match first {
            Some(first) => Some((Ok(first), (None, pieces))),
            None => pieces.recv().await.map(|piece| (piece, (None, pieces))),
        }
    })))
}

/// Runs `work` with what it writes in this coding. Nothing is written before `work` writes.
fn coded(coding: Coding, outlet: Outlet, work: impl FnOnce(&mut dyn Write) -> Result<(), ExportError>) -> Result<(), ExportError> {
    match coding {
        Coding::Identity => {
            let mut outlet = outlet;
            work(&mut outlet)
        }
        Coding::Gzip => {
            // Compressed output comes in pieces of its own size; gathered, they are worth a message between threads.
            let gathered = io::BufWriter::with_capacity(32 << 10, outlet);
            let mut encoder = flate2::write::GzEncoder::new(gathered, flate2::Compression::fast());
            work(&mut encoder)?;
            Ok(encoder.finish()?.flush()?)
        }
        Coding::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(outlet, 1)?;
            work(&mut encoder)?;
            Ok(encoder.finish()?.flush()?)
        }
    }
}
