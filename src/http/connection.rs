//! One connection: how long it may idle, take over a request's header, or leave what was sent unread.
//!
//! hyper's own header timer also runs between requests, and not at all until the first octets have shown which HTTP it
//! is. So the deadlines are kept here, where octets and requests pass by.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// How long a connection may take for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) header: Duration,
    pub(super) idle: Duration,
    pub(super) stall: Duration,
}

/// Where a connection stands.
#[derive(Debug)]
struct Times {
    in_flight: usize,
    /// Since when no request is in flight.
    idle_since: Instant,
    /// Since when octets of a header have been coming.
    header_since: Option<Instant>,
    /// Since when the peer has not taken what is to be sent.
    blocked_since: Option<Instant>,
    http2: bool,
}

/// Shared by the connection's task, its socket and its requests.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    patience: Patience,
    times: Arc<Mutex<Times>>,
}

impl Watch {
    /// A connection that has just come.
    pub(super) fn new(patience: Patience) -> Self {
        let now = Instant::now();
        // The first header is due at once: a connection that says nothing is not idle, it has not begun.
        let times = Times { in_flight: 0, idle_since: now, header_since: Some(now), blocked_since: None, http2: false };
        Watch { patience, times: Arc::new(Mutex::new(times)) }
    }

    /// When it will have taken too long, as it stands now.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let times = self.lock();
        let stalled = times.blocked_since.map(|since| since + self.patience.stall);
        let idle = match times.header_since {
            _ if times.in_flight > 0 => None,
            Some(since) => Some(since + self.patience.header),
            None => Some(times.idle_since + self.patience.idle),
        };
        stalled.into_iter().chain(idle).min()
    }

    /// Whether nothing but quiet ends it, so that it may be closed in good order.
    pub(super) fn is_idle(&self) -> bool {
        let times = self.lock();
        times.in_flight == 0 && times.header_since.is_none() && times.blocked_since.is_none()
    }

    /// A request has come; it is in flight until what is given back is dropped.
    pub(super) fn request(&self, http2: bool) -> InFlight {
        let mut times = self.lock();
        times.in_flight += 1;
        times.header_since = None;
        times.http2 = http2;
        drop(times);
        InFlight(Arc::new(Guard(self.clone())))
    }

    fn octets_read(&self) {
        let mut times = self.lock();
        // In HTTP/2 octets between requests are mostly frames of the connection, not a header.
        if times.in_flight == 0 && times.header_since.is_none() && !times.http2 {
            times.header_since = Some(Instant::now());
        }
    }

    fn wrote(&self, blocked: bool) {
        let mut times = self.lock();
        times.blocked_since = blocked.then(|| times.blocked_since.unwrap_or_else(Instant::now));
    }

    fn lock(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in flight, until its body has gone out.
#[derive(Clone, Debug)]
pub(super) struct InFlight(#[allow(dead_code, reason = "held to be dropped")] Arc<Guard>);

#[derive(Debug)]
struct Guard(Watch);

impl Drop for Guard {
    fn drop(&mut self) {
        let mut times = self.0.lock();
        times.in_flight -= 1;
        if times.in_flight == 0 {
            times.idle_since = Instant::now();
        }
    }
}

/// What octets come and go through, watched.
pub(super) struct Watched<S> {
    pub(super) stream: S,
    pub(super) watch: Watch,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        if buffer.filled().len() > before {
            self.watch.octets_read();
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, octets);
        self.watch.wrote(written.is_pending());
        written
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, octets);
        self.watch.wrote(written.is_pending());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
