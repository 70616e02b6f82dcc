//! Bodies that are read piece by piece on blocking threads, never held whole.

use std::io::{self, Read};

use axum::body::{Body, Bytes};
use futures_util::stream;

/// Octets read at a time.
const PIECE: usize = 128 << 10;

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

fn read_piece(reader: &mut impl Read) -> io::Result<Bytes> {
    let mut piece = Vec::with_capacity(PIECE);
    reader.take(PIECE as u64).read_to_end(&mut piece)?;
    Ok(piece.into())
}
