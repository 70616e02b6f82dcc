//! What is written on a blocking thread goes out as a body, piece by piece, as fast as the client takes it.

use std::io::{self, Write};

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::mpsc;

use crate::publisher::PublishError;

use super::super::app::Shared;
use super::super::problem::Problem;
use super::refused;

/// Octets gathered before they are sent.
const PIECE: usize = 64 << 10;

/// Hands what is written to a body; fails when the client is gone.
pub(super) struct Outlet {
    pieces: mpsc::Sender<Result<Bytes, io::Error>>,
    gathered: Vec<u8>,
}

impl Outlet {
    fn send(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.gathered, Vec::with_capacity(PIECE));
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the client is gone");
        if piece.is_empty() { Ok(()) } else { self.pieces.blocking_send(Ok(piece.into())).map_err(gone) }
    }
}

impl Write for Outlet {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(octets);
        if self.gathered.len() >= PIECE {
            self.send()?;
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

/// An answer of what `work` writes. If it fails on the way, the body is broken off, so that a part is never taken for the whole.
pub(super) async fn streamed(
    shared: &Shared,
    kind: &'static str,
    work: impl FnOnce(&mut Outlet) -> Result<(), PublishError> + Send + 'static,
) -> Result<Response, Problem> {
    let (sender, mut pieces) = mpsc::channel(4);
    let work = tokio::task::spawn_blocking(move || {
        let mut outlet = Outlet { pieces: sender, gathered: Vec::new() };
        let done = work(&mut outlet).and_then(|()| Ok(outlet.flush()?));
        if let Err(e) = &done {
            let _ = outlet.pieces.blocking_send(Err(io::Error::other(e.to_string())));
        }
        done
    });
    // The first piece decides between an answer and a problem; afterwards only breaking off is left.
    let first = match pieces.recv().await {
        Some(Ok(first)) => first,
        None | Some(Err(_)) => match work.await {
            Ok(Ok(())) => Bytes::new(),
            Ok(Err(e)) => return Err(refused(shared, &e)),
            Err(_) => return Err(Problem::internal("the publisher failed at this; the log says where")),
        },
    };
    let body = stream::unfold((Some(first), pieces), |(first, mut pieces)| async move {
        match first {
            Some(first) => Some((Ok(first), (None, pieces))),
            None => pieces.recv().await.map(|piece| (piece, (None, pieces))),
        }
    });
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], Body::from_stream(body)).into_response())
}
