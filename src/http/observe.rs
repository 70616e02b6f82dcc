//! Around every request: counts, one log line, the count of octets. Route, status, duration, octets; never who asked.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

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
    response.map(|inner| Body::new(Observed { inner, sent: 0, total, status, began, span, _in_flight: in_flight }))
}

/// A body that is counted, and that says when it has gone out or was broken off.
struct Observed {
    inner: Body,
    sent: u64,
    total: Counter,
    status: u16,
    began: Instant,
    span: tracing::Span,
    _in_flight: Option<InFlight>,
}

impl HttpBody for Observed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(octets) = frame.data_ref()
        {
            self.sent += octets.len() as u64;
            self.total.inc_by(octets.len() as u64);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        let milliseconds = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(target: "bwld::access", parent: &self.span, status = self.status, milliseconds, octets = self.sent);
    }
}
