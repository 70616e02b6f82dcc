//! Around every request: counts, one log line, the count of octets. Route, status, duration, octets; never who asked.
//!
//! The line is at *info* for what an operator wants to read afterwards, which is every write and every error; the polls,
//! streams and downloads of subscribers are at *debug*.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;
use tracing::Instrument;

use super::app::Shared;
use super::connection::InFlight;
use super::metrics;
use super::streams::{PIECE, Taking};

/// Numbers requests, for finding together what the log says of one.
static REQUESTS: AtomicU64 = AtomicU64::new(1);

fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

pub(super) async fn observe(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route: Arc<str> = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).into();
    let method = method(request.method());
    let in_flight = request.extensions_mut().remove::<InFlight>();
    let id = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let span = tracing::info_span!("request", id, method, route = &*route);

    let response = next.run(request).instrument(span.clone()).await;

    let status = response.status().as_u16();
    let label = metrics::Route { route: route.to_string() };
    shared.metrics.requests.get_or_create(&metrics::Request { route: label.route.clone(), method, status }).inc();
    shared.metrics.duration.get_or_create(&label).observe(began.elapsed().as_secs_f64());
    let total = shared.metrics.body_bytes.get_or_create_owned(&label);
    let notable = status >= 400 || !matches!(method, "GET" | "HEAD" | "OPTIONS");
    let (taking, rest) = (Taking::of_this_stream(), Bytes::new());
    response.map(|inner| Body::new(Observed { inner, rest, sent: 0, total, status, notable, began, span, taking, _in_flight: in_flight }))
}

/// A body that is counted, and that says when it has gone out or was broken off.
struct Observed {
    inner: Body,
    /// Of a piece that was larger than one is handed out in HTTP/2.
    rest: Bytes,
    sent: u64,
    total: Counter,
    status: u16,
    /// Whether its line is one at info.
    notable: bool,
    began: Instant,
    span: tracing::Span,
    /// In HTTP/2: whether the peer takes what is handed out.
    taking: Option<Taking>,
    _in_flight: Option<InFlight>,
}

impl Observed {
    /// What is handed out now of these octets; the rest is kept.
    fn piece(&mut self, mut octets: Bytes) -> Bytes {
        if let Some(taking) = &self.taking {
            taking.handed_out();
            if octets.len() > PIECE {
                self.rest = octets.split_off(PIECE);
            }
        }
        octets
    }
}

impl HttpBody for Observed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(taking) = &self.taking {
            taking.asked_for();
        }
        let octets = match std::mem::take(&mut self.rest) {
            rest if !rest.is_empty() => rest,
            _ => match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(octets) => octets,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                end => return Poll::Ready(end),
            },
        };
        let octets = self.piece(octets);
        self.sent += octets.len() as u64;
        self.total.inc_by(octets.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(octets))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(inner.lower() + rest);
        hint
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        let milliseconds = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if self.notable {
            tracing::info!(target: "bwld::access", parent: &self.span, status = self.status, milliseconds, octets = self.sent);
        } else {
            tracing::debug!(target: "bwld::access", parent: &self.span, status = self.status, milliseconds, octets = self.sent);
        }
    }
}
