//! Content: deltas, snapshots, buckets. All of it immutable, all of it checked by the follower against the signed head.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::response::Builder;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::feed::SpanError;
use crate::list::{Digest, Serial};
use crate::store::{ArtefactKind, PublishedList};
use crate::wire::compress;

use super::accept::{Coding, negotiate};
use super::app::{Inner, Shared};
use super::body::from_reader;
use super::problem::Problem;
use super::public::header_value;
use super::range::{Part, none_match, part};
use super::table::{Need, Route, route};

/// For what never changes.
pub(super) const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// A smaller body is sent as it is.
const WORTH_COMPRESSING: usize = 512;

pub(super) fn routes() -> Vec<Route> {
    let text = "text/plain";
    vec![
        route(Method::GET, "/v1/lists/{list}/delta/{from}/{to}", "delta", Need::Nobody, delta)
            .about("What changed between two versions.")
            .gives_raw(200, "the changes", text)
            .problems(&[404, 406, 410, 503]),
        route(Method::GET, "/v1/lists/{list}/snapshot/{digest}", "snapshot", Need::Nobody, snapshot)
            .about("A whole version, or a range of its compressed octets.")
            .gives_raw(200, "the snapshot", text)
            .gives_raw(206, "a part of it", text)
            .problems(&[404, 406, 410, 416]),
        route(Method::GET, "/v1/lists/{list}/buckets/{serial}", "buckets", Need::Nobody, buckets)
            .about("The digests of the buckets of the newest version.")
            .gives_raw(200, "32 octets each", "application/octet-stream")
            .problems(&[404, 406, 410]),
        route(Method::GET, "/v1/lists/{list}/bucket/{serial}/{b}", "bucket", Need::Nobody, bucket)
            .about("The entry lines of one bucket of the newest version.")
            .gives_raw(200, "the lines", text)
            .problems(&[404, 406, 410]),
    ]
}

/// `GET /v1/lists/{list}/delta/{from}/{to}`
pub(super) async fn delta(
    State(shared): State<Shared>,
    Path((id, from, to)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let list = shared.list(&id)?;
    let (from, to) = (serial(&from)?, serial(&to)?);
    let coding = coding(&headers)?;
    let deltas = shared.app.hub.deltas();
    let refused = |e| no_span(&shared, &list, e);
    let (digest, size, stored) = match deltas.steps(&list, from, to).map_err(refused)? {
        // Kept as it is asked for: straight from its file.
        [step] => (step.digest, step.size, Stored::Kept(ArtefactKind::Delta, step.digest, step.zst)),
        _ => {
            let span = deltas.span(&list, from, to).await.map_err(refused)?;
            (span.digest, span.size, Stored::Memory(span.zstd.clone()))
        }
    };
    let tag = tag(&digest, coding, stored.length())?;
    if none_match(&headers, &tag) {
        return built(fields(&tag, &IMMUTABLE).status(StatusCode::NOT_MODIFIED), Body::empty());
    }
    let answer = fields(&tag, &IMMUTABLE).header(header::CONTENT_TYPE, TEXT);
    encoded(answer, coding, stored.open(&shared, &list).await?, size)
}

/// `GET /v1/lists/{list}/snapshot/{digest}`
pub(super) async fn snapshot(
    State(shared): State<Shared>,
    Path((id, digest)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let list = shared.list(&id)?;
    let digest =
        Digest::from_hex(&digest).map_err(|_| Problem::bad_request("bad-digest", "a snapshot is named by 64 lower-case hex digits"))?;
    let base = list.bases.iter().find(|base| base.snapshot == digest).ok_or_else(|| {
        let detail = "this snapshot is not kept; the newest head names the one to take";
        Problem::new(StatusCode::GONE, "snapshot-gone", "No longer kept", detail).with_link(&list)
    })?;
    let coding = coding(&headers)?;
    let tag = tag(&digest, coding, base.snapshot_zst)?;
    if none_match(&headers, &tag) {
        return built(fields(&tag, &IMMUTABLE).status(StatusCode::NOT_MODIFIED), Body::empty());
    }
    let opened = Stored::Kept(ArtefactKind::Snapshot, digest, base.snapshot_zst).open(&shared, &list).await?;
    let answer = fields(&tag, &IMMUTABLE).header(header::CONTENT_TYPE, TEXT);
    match (coding, opened) {
        (Coding::Zstd, Opened::File(file, length)) => ranged(answer, &headers, &tag, file, length),
        (_, opened) => encoded(answer, coding, opened, base.snapshot_size),
    }
}

/// The stored octets of a snapshot, or a part of them.
fn ranged(answer: Builder, headers: &HeaderMap, tag: &HeaderValue, mut file: File, length: u64) -> Result<Response, Problem> {
    let answer = answer.header(header::ACCEPT_RANGES, "bytes").header(header::CONTENT_ENCODING, "zstd");
    match part(headers, tag, length) {
        Part::Whole => built(answer.header(header::CONTENT_LENGTH, length), from_reader(file.take(length))),
        Part::Octets { first, last } => {
            file.seek(SeekFrom::Start(first)).map_err(|_| Problem::internal("the snapshot cannot be read; ask another address"))?;
            let range = format!("bytes {first}-{last}/{length}");
            let answer = answer.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, range);
            let count = last - first + 1;
            built(answer.header(header::CONTENT_LENGTH, count), from_reader(file.take(count)))
        }
        Part::Outside => {
            let detail = format!("the snapshot has {length} octets as zstd; ask for a range within them");
            let range = header_value(&format!("bytes */{length}"))?;
            Err(Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range-outside", "Outside", detail).with(header::CONTENT_RANGE, range))
        }
    }
}

/// `GET /v1/lists/{list}/buckets/{serial}`
pub(super) async fn buckets(
    State(shared): State<Shared>,
    Path((id, asked)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let list = shared.list(&id)?;
    newest_only(&list, &asked)?;
    let leaves = list.content.tree().leaves();
    // Digests do not compress.
    let tag = tag(&Digest::of(&leaves), Coding::Identity, 0)?;
    if none_match(&headers, &tag) {
        return built(fields(&tag, &IMMUTABLE).status(StatusCode::NOT_MODIFIED), Body::empty());
    }
    built(fields(&tag, &IMMUTABLE).header(header::CONTENT_TYPE, OCTETS), leaves.into())
}

/// `GET /v1/lists/{list}/bucket/{serial}/{b}`
pub(super) async fn bucket(
    State(shared): State<Shared>,
    Path((id, asked, b)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let list = shared.list(&id)?;
    newest_only(&list, &asked)?;
    let count = 1u32 << list.content.tree().bits();
    let digits = (1..=7).contains(&b.len()) && b.bytes().all(|c| c.is_ascii_digit());
    let b: u32 = digits
        .then(|| b.parse().ok())
        .flatten()
        .ok_or_else(|| Problem::bad_request("bad-bucket", "a bucket is asked for by its number, from 0"))?;
    if b >= count {
        return Err(Problem::not_found("unknown-bucket", format!("this version has buckets 0 to {}", count - 1)));
    }
    let name = list.meta.id.clone();
    let read = tokio::task::spawn_blocking(move || list.content.bucket(b)).await;
    let lines = read.map_err(std::io::Error::other).flatten().map_err(|e| {
        tracing::error!(list = %name, error = %e, "a bucket cannot be read; run check");
        Problem::internal("the bucket cannot be read; ask another address")
    })?;
    small(&headers, lines.into(), TEXT, IMMUTABLE)
}

fn newest_only(list: &PublishedList, asked: &str) -> Result<(), Problem> {
    let (asked, newest) = (serial(asked)?, list.head.serial);
    if asked == newest {
        return Ok(());
    }
    let detail = format!("buckets are given of the newest version only, which is {newest}; take its head first");
    Err(Problem::new(StatusCode::GONE, "not-newest", "Not of this version", detail))
}

fn serial(text: &str) -> Result<Serial, Problem> {
    text.parse().map_err(|e| Problem::bad_request("bad-serial", e))
}

pub(super) fn coding(headers: &HeaderMap) -> Result<Coding, Problem> {
    negotiate(headers).ok_or_else(|| {
        let detail = "Accept-Encoding takes nothing that is here; there are zstd, gzip and identity";
        Problem::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", "Not in this coding", detail)
    })
}

impl Problem {
    /// Points to the snapshot, which is the better way now.
    fn with_link(self, list: &PublishedList) -> Self {
        let link = format!("</v1/lists/{}/snapshot/{}>; rel=\"alternate\"", list.meta.id, list.head.snapshot.digest.hex());
        match HeaderValue::from_str(&link) {
            Ok(link) => self.with(header::LINK, link),
            Err(_) => self,
        }
    }
}

fn no_span(shared: &Inner, list: &PublishedList, error: SpanError) -> Problem {
    let gone = |code| Problem::new(StatusCode::GONE, code, "Take the snapshot", error.to_string()).with_link(list);
    match error {
        SpanError::Order { .. } => Problem::bad_request("bad-span", error),
        SpanError::Future { .. } => Problem::not_found("unknown-serial", error.to_string()),
        SpanError::Gone { .. } => gone("delta-gone"),
        SpanError::TooCostly { .. } => gone("delta-too-costly"),
        SpanError::Damaged { .. } => {
            tracing::error!(%error, "a delta cannot be served");
            gone("delta-damaged").with(header::RETRY_AFTER, HeaderValue::from(shared.come_back()))
        }
    }
}

/// A strong tag: content, coding, and for zstd the stored length, since the same content may be compressed otherwise
/// after a restore.
fn tag(digest: &Digest, coding: Coding, stored: u64) -> Result<HeaderValue, Problem> {
    let hex = &digest.hex()[..32];
    header_value(&match coding {
        Coding::Identity => format!("\"{hex}\""),
        Coding::Gzip => format!("\"{hex}-gzip\""),
        Coding::Zstd => format!("\"{hex}-zstd-{stored}\""),
    })
}

fn fields(tag: &HeaderValue, cache: &HeaderValue) -> Builder {
    Response::builder().header(header::ETAG, tag).header(header::CACHE_CONTROL, cache).header(header::VARY, "accept-encoding")
}

pub(super) fn built(answer: Builder, body: Body) -> Result<Response, Problem> {
    answer.body(body).map_err(|_| Problem::internal("the answer could not be written"))
}

/// Stored zstd, not yet opened.
enum Stored {
    Memory(Bytes),
    /// As an artefact: kind, digest, stored octets.
    Kept(ArtefactKind, Digest, u64),
}

/// Stored zstd, to be read.
enum Opened {
    Memory(Bytes),
    /// A file and its length.
    File(File, u64),
}

impl Stored {
    fn length(&self) -> u64 {
        match self {
            Stored::Memory(bytes) => bytes.len() as u64,
            Stored::Kept(_, _, length) => *length,
        }
    }

    async fn open(self, shared: &Inner, list: &PublishedList) -> Result<Opened, Problem> {
        let (kind, digest, length) = match self {
            Stored::Memory(bytes) => return Ok(Opened::Memory(bytes)),
            Stored::Kept(kind, digest, length) => (kind, digest, length),
        };
        let artefacts = shared.app.hub.deltas().artefacts().clone();
        let opened = tokio::task::spawn_blocking(move || artefacts.open_file(kind, &digest)).await;
        match opened.map_err(|e| e.to_string()).and_then(|file| file.map_err(|e| e.to_string())) {
            Ok(file) => Ok(Opened::File(file, length)),
            Err(error) => {
                tracing::error!(list = %list.meta.id, %digest, error, "an artefact cannot be opened; run check");
                Err(Problem::internal("the content cannot be opened here; ask another address"))
            }
        }
    }
}

/// Stored zstd in the coding that the client takes, re-coded piece by piece if need be. `size` is of the plain octets.
fn encoded(answer: Builder, coding: Coding, stored: Opened, size: u64) -> Result<Response, Problem> {
    let answer = match coding.name() {
        Some(name) => answer.header(header::CONTENT_ENCODING, name),
        None => answer,
    };
    let source: Box<dyn Read + Send> = match (stored, coding) {
        (Opened::Memory(bytes), Coding::Zstd) => return built(answer, bytes.into()),
        (Opened::File(file, length), Coding::Zstd) => {
            return built(answer.header(header::CONTENT_LENGTH, length), from_reader(file.take(length)));
        }
        (Opened::Memory(bytes), _) => Box::new(std::io::Cursor::new(bytes)),
        (Opened::File(file, length), _) => Box::new(file.take(length)),
    };
    let failed = |_| Problem::internal("the content cannot be decompressed; ask another address");
    let plain = zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(64 << 10, source)).map_err(failed)?.take(size);
    match coding {
        Coding::Gzip => built(answer, from_reader(flate2::read::GzEncoder::new(plain, flate2::Compression::fast()))),
        _ => built(answer.header(header::CONTENT_LENGTH, size), from_reader(plain)),
    }
}

/// A body that is at hand, compressed if that is worth it; 304 if the client has it.
pub(super) fn small(headers: &HeaderMap, body: Bytes, kind: HeaderValue, cache: HeaderValue) -> Result<Response, Problem> {
    let coding = if body.len() < WORTH_COMPRESSING { Coding::Identity } else { coding(headers)? };
    let tag = tag(&Digest::of(&body), coding, 0)?;
    let answer = fields(&tag, &cache);
    if none_match(headers, &tag) {
        return built(answer.status(StatusCode::NOT_MODIFIED), Body::empty());
    }
    let answer = answer.header(header::CONTENT_TYPE, kind);
    let answer = match coding.name() {
        Some(name) => answer.header(header::CONTENT_ENCODING, name),
        None => answer,
    };
    let body = match coding {
        Coding::Identity => body,
        Coding::Zstd => compress(&body, 3).into(),
        Coding::Gzip => {
            let mut packed = Vec::new();
            let read = flate2::read::GzEncoder::new(&body[..], flate2::Compression::fast()).read_to_end(&mut packed);
            read.map_err(|_| Problem::internal("the answer could not be compressed"))?;
            packed.into()
        }
    };
    Ok(built(answer, body.into())?.into_response())
}
