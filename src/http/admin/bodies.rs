//! Bodies of the operator's requests: JSON in memory, imports as streams.

use std::io::{self, BufRead, BufReader, Read};
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::super::app::Shared;
use super::super::problem::Problem;

/// Largest JSON body, in octets.
pub(in crate::http) const MAX_JSON: usize = 1 << 20;
/// Pieces of an import on their way from the socket to the reader.
const PIECES: usize = 64;
/// Octets that tell a packed file.
const MARK: usize = 4;
/// When an import was refused before its end, this much of the rest is still taken, so that the client reads the answer.
const MAX_REST: u64 = 64 << 20;

fn too_large(limit: u64) -> Problem {
    let detail = format!("the body is larger than {limit} octets; send it in parts");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Too large", detail)
}

fn stalled() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "body-timeout", "The body did not come", "send the whole body without long pauses")
}

/// A body of at most `limit` octets, in memory.
pub(in crate::http) async fn whole(shared: &Shared, body: Body, limit: usize) -> Result<Bytes, Problem> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(piece) = timeout(shared.app.options.body_stall, stream.next()).await.map_err(|_| stalled())? {
        let piece = piece.map_err(|_| Problem::bad_request("body-broken", "the body broke off; send it again"))?;
        if bytes.len() + piece.len() > limit {
            return Err(too_large(limit as u64));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.into())
}

/// A JSON body. An error names the field, the line and the column.
pub(super) async fn json<T: DeserializeOwned>(shared: &Shared, body: Body) -> Result<T, Problem> {
    let bytes = whole(shared, body, MAX_JSON).await?;
    match Json::<T>::from_bytes(&bytes) {
        Ok(Json(value)) => Ok(value),
        Err(rejection) => {
            // The rejection's own text says only that it failed; its source says where.
            let mut text = rejection.to_string();
            let mut source = std::error::Error::source(&rejection);
            while let Some(cause) = source {
                text = cause.to_string();
                source = if text.contains(" at line ") { None } else { cause.source() };
            }
            Err(Problem::bad_request("bad-json", text))
        }
    }
}

/// A JSON body, or the default when there is none.
pub(super) async fn json_or_default<T: DeserializeOwned + Default>(shared: &Shared, headers: &HeaderMap, body: Body) -> Result<T, Problem> {
    let empty = headers.get(header::CONTENT_LENGTH).is_none_or(|length| length == "0") && !headers.contains_key(header::TRANSFER_ENCODING);
    if empty && hyper::body::Body::is_end_stream(&body) { Ok(T::default()) } else { json(shared, body).await }
}

/// How an import's body is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Packed {
    No,
    Zstd,
    Gzip,
}

impl Packed {
    /// As `Content-Encoding` says.
    pub(super) fn of(headers: &HeaderMap) -> Result<Packed, Problem> {
        match headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase()).as_deref() {
            None | Some(b"" | b"identity") => Ok(Packed::No),
            Some(b"zstd") => Ok(Packed::Zstd),
            Some(b"gzip" | b"x-gzip") => Ok(Packed::Gzip),
            Some(_) => {
                let detail = "Content-Encoding may be zstd, gzip or absent";
                Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad-encoding", "Not in this coding", detail))
            }
        }
    }
}

/// What goes through the channel; that it ends without [`Piece::End`] means that the body broke off.
enum Piece {
    Octets(Bytes),
    End,
    Broken(io::Error),
}

/// Why an import's body was not taken to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Cut {
    #[error("the body is larger than the limit")]
    TooLarge,
    #[error("the body did not come for too long")]
    Stalled,
    #[error("the body broke off")]
    Broken,
    #[error("the body is damaged")]
    Damaged,
}

/// The sending side of an import: moves pieces from the socket to the reader as they are.
pub(super) struct Pump {
    pieces: mpsc::Sender<Piece>,
    limit: u64,
    stall: Duration,
}

/// The receiving side: a reader for a blocking thread. A body that broke off is an error, never an end.
pub(super) struct Import {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
    ended: bool,
}

/// A channel for a body of at most `limit` octets as sent, which may stand still for `stall`.
pub(super) fn import(limit: u64, stall: Duration) -> (Pump, Import) {
    let (sender, receiver) = mpsc::channel(PIECES);
    (Pump { pieces: sender, limit, stall }, Import { pieces: receiver, current: Bytes::new(), ended: false })
}

impl Pump {
    /// Sends the whole body. What was wrong with it is told to both sides.
    pub(super) async fn run(self, body: Body) -> Result<(), Cut> {
        let mut stream = body.into_data_stream();
        let mut taken = 0u64;
        let mut rest = None;
        loop {
            let cut = match timeout(self.stall, stream.next()).await {
                Err(_) => Cut::Stalled,
                Ok(None) => {
                    let _ = self.pieces.send(Piece::End).await;
                    return Ok(());
                }
                Ok(Some(Err(_))) => Cut::Broken,
                Ok(Some(Ok(octets))) => {
                    taken += octets.len() as u64;
                    // The reader is gone when it has refused the file; then only the client is still to be heard out.
                    let unread = rest.is_some() || self.pieces.send(Piece::Octets(octets)).await.is_err();
                    if unread && taken > *rest.get_or_insert(taken + MAX_REST) {
                        return Ok(());
                    }
                    if taken <= self.limit {
                        continue;
                    }
                    Cut::TooLarge
                }
            };
            let _ = self.pieces.send(Piece::Broken(io::Error::other(cut))).await;
            return Err(cut);
        }
    }
}

impl BufRead for Import {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Piece::Octets(octets)) => self.current = octets,
                Some(Piece::End) => self.ended = true,
                Some(Piece::Broken(e)) => return Err(e),
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, Cut::Broken)),
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, count: usize) {
        bytes::Buf::advance(&mut self.current, count);
    }
}

impl Read for Import {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let from = self.fill_buf()?;
        let count = from.len().min(into.len());
        into[..count].copy_from_slice(&from[..count]);
        self.consume(count);
        Ok(count)
    }
}

/// Refuses what is longer than its limit, instead of ending as if it were whole, and marks what the decoder refused.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into).map_err(|e| if cut_inside(&e).is_some() { e } else { io::Error::other(Cut::Damaged) })?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| io::Error::other(Cut::TooLarge))?;
        Ok(count)
    }
}

impl Import {
    /// Unpacked, as a reader; at most `limit` octets come out. A body that no header calls packed may be a packed file.
    pub(super) fn unpacked(mut self, packed: Packed, limit: u64) -> io::Result<Box<dyn BufRead + Send>> {
        let bounded = |inner: Box<dyn Read + Send>| Box::new(BufReader::with_capacity(256 << 10, Bounded { inner, left: limit }));
        let mut head = Vec::with_capacity(MARK);
        if packed == Packed::No {
            self.by_ref().take(MARK as u64).read_to_end(&mut head)?;
        }
        let packed = match &*head {
            [0x1f, 0x8b, ..] => Packed::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] => Packed::Zstd,
            _ => packed,
        };
        let whole = io::Cursor::new(head).chain(self);
        Ok(match packed {
            Packed::No => Box::new(whole),
            Packed::Zstd => bounded(Box::new(zstd::stream::read::Decoder::with_buffer(whole)?)),
            Packed::Gzip => bounded(Box::new(flate2::bufread::MultiGzDecoder::new(whole))),
        })
    }
}

/// What was wrong with the body, if that is what this error says.
pub(super) fn cut_inside(error: &io::Error) -> Option<Cut> {
    error.get_ref()?.downcast_ref().copied()
}

/// The problem that a cut body is.
pub(super) fn cut(cut: Cut, limit: u64) -> Problem {
    match cut {
        Cut::TooLarge => too_large(limit),
        Cut::Stalled => stalled(),
        Cut::Broken => Problem::bad_request("body-broken", "the body broke off; nothing was staged; send it again"),
        Cut::Damaged => {
            Problem::bad_request("bad-encoding", "the body is not whole in the coding that Content-Encoding names; nothing was staged")
        }
    }
}
