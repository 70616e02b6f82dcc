//! The accept loop and its limits, and the way out: stop accepting, say goodbye, wait, break off.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use crate::list::Digest;
use crate::people::source;

use super::app::{App, router};
use super::connection::{Patience, Watch, Watched};
use super::problem::Problem;
use super::proxies::Proxies;
use super::streams::StreamExecutor;
use super::tls::Tls;

/// Limits of connections.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Connections at one time.
    pub max_connections: usize,
    /// Connections at one time from one address (IPv6: one /64); 0: no limit. Loopback is exempt: there a proxy may stand.
    pub max_per_peer: usize,
    /// Largest request header in octets; at least 8,192.
    pub max_header: usize,
    /// How long a request header may take from its first octet on.
    pub header_timeout: Duration,
    /// How long a connection may stay without a request.
    pub idle_timeout: Duration,
    /// How long a peer may leave unread what is sent to it. In HTTP/1 the connection is then broken off, in HTTP/2 the stream.
    pub stall_timeout: Duration,
    /// How long what is in flight at a shutdown may take.
    pub drain_timeout: Duration,
    /// Proxies that are believed when they name whom they speak for. They are exempt from `max_per_peer`.
    pub proxies: Proxies,
    /// Certificate and key; none: HTTP without TLS.
    pub tls: Option<Arc<Tls>>,
}

/// Who is at the other end of a connection, or whom a proxy there speaks for: an extension of each request. Nothing but the operator's acts is noted down with it.
#[derive(Clone, Copy, Debug)]
pub struct Remote {
    /// Its address.
    pub address: IpAddr,
    /// SHA-256 of the certificate it has shown, which an authority of [`TlsFiles`](super::TlsFiles) vouches for.
    pub certificate: Option<Digest>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        HttpOptions {
            max_connections: 10_000,
            max_per_peer: 512,
            max_header: 16 << 10,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(90),
            stall_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
            proxies: Proxies::default(),
            tls: None,
        }
    }
}

/// What a connection is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Serve,
    Drain,
    BreakOff,
}

/// Connections per address, only while they are open.
#[derive(Debug, Default)]
struct Peers(Mutex<HashMap<IpAddr, usize>>);

struct Peer {
    peers: Arc<Peers>,
    address: IpAddr,
}

impl Peers {
    /// A place for one more from this address, unless there are `max`.
    fn enter(self: &Arc<Self>, address: IpAddr, max: usize) -> Option<Peer> {
        let address = source(address);
        let mut peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = peers.entry(address).or_default();
        if max > 0 && *count >= max && !address.is_loopback() {
            return None;
        }
        *count += 1;
        Some(Peer { peers: self.clone(), address })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let mut peers = self.peers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = peers.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                peers.remove(&self.address);
            }
        }
    }
}

struct Server {
    routes: Router,
    builder: auto::Builder<StreamExecutor>,
    options: HttpOptions,
    places: Arc<Semaphore>,
    peers: Arc<Peers>,
    phase: watch::Sender<Phase>,
}

/// Serves `app` on `listener` until `shutdown` is ready, then stops accepting, sends subscribers a `bye`, and waits for
/// what is in flight, at most [`HttpOptions::drain_timeout`].
pub async fn serve(listener: TcpListener, app: App, options: HttpOptions, shutdown: impl Future<Output = ()>) {
    let hub = app.hub.clone();
    let server = Arc::new(Server {
        routes: router(app),
        builder: builder(&options),
        places: Arc::new(Semaphore::new(options.max_connections.min(Semaphore::MAX_PERMITS))),
        peers: Arc::default(),
        phase: watch::Sender::new(Phase::Serve),
        options,
    });
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => server.admit(stream, peer.ip()),
                // Out of descriptors, most likely. Those that are open must not suffer from a busy loop here.
                Err(e) => {
                    tracing::warn!(error = %e, "no connection could be accepted");
                    sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    drop(listener);
    hub.close();
    server.drain().await;
}

fn builder(options: &HttpOptions) -> auto::Builder<StreamExecutor> {
    let mut builder = auto::Builder::new(StreamExecutor { stall: options.stall_timeout });
    // The buffer bounds the header, and how much is read ahead of a slow consumer.
    builder.http1().max_buf_size(options.max_header.max(8 << 10)).header_read_timeout(None).timer(TokioTimer::new());
    builder
        .http2()
        .max_header_list_size(u32::try_from(options.max_header).unwrap_or(u32::MAX))
        .max_concurrent_streams(64)
        .max_send_buf_size(64 << 10)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .timer(TokioTimer::new());
    builder
}

impl Server {
    fn admit(self: &Arc<Self>, stream: TcpStream, address: IpAddr) {
        let place = self.places.clone().try_acquire_owned();
        let most = if self.options.proxies.has(address) { 0 } else { self.options.max_per_peer };
        let peer = self.peers.enter(address, most);
        let (Ok(place), Some(peer)) = (place, peer) else {
            turn_away(&stream);
            return;
        };
        // Events are small and must not wait for an acknowledgement. Failing means the peer is gone, which shows soon.
        let _ = stream.set_nodelay(true);
        let remote = Remote { address: address.to_canonical(), certificate: None };
        tokio::spawn(self.clone().begin(stream, remote, place, peer));
    }

    /// TLS if it is wanted, then HTTP.
    async fn begin(self: Arc<Self>, stream: TcpStream, mut remote: Remote, _place: OwnedSemaphorePermit, _peer: Peer) {
        let Some(tls) = &self.options.tls else { return self.connection(stream, remote).await };
        let mut phase = self.phase.subscribe();
        let shaken = tokio::select! {
            shaken = timeout(self.options.header_timeout, tls.acceptor().accept(stream)) => shaken,
            // Nobody has asked for anything yet, so nothing is lost.
            _ = phase.wait_for(|phase| *phase != Phase::Serve) => return,
        };
        match shaken {
            Ok(Ok(stream)) => {
                let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                remote.certificate = shown.map(Digest::of);
                self.connection(stream, remote).await;
            }
            Ok(Err(e)) => tracing::debug!(error = %e, "a connection did not come to TLS"),
            Err(_) => tracing::debug!("a connection did not come to TLS in time"),
        }
    }

    async fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, stream: S, remote: Remote) {
        let o = &self.options;
        let watch = Watch::new(Patience { header: o.header_timeout, idle: o.idle_timeout, stall: o.stall_timeout });
        let requests = watch.clone();
        let service = service_fn(|mut request: Request<Incoming>| {
            let in_flight = requests.request(request.version() == hyper::Version::HTTP_2);
            request.extensions_mut().insert(in_flight);
            let remote = o.proxies.remote(remote, request.headers());
            request.extensions_mut().insert(remote);
            self.routes.clone().oneshot(request.map(Body::new))
        });
        let io = TokioIo::new(Watched { stream, watch: watch.clone() });
        let mut connection = pin!(self.builder.serve_connection(io, service));
        let mut timer = pin!(sleep(Duration::ZERO));
        let mut phase = self.phase.subscribe();
        // It may have changed between the accepting and now, and will then not change again.
        phase.mark_changed();
        loop {
            // Whatever the connection just did may have moved the deadline, so the timer is set after it.
            let ended_or_late = poll_fn(|context| {
                if connection.as_mut().poll(context).is_ready() {
                    return Poll::Ready(false);
                }
                let Some(deadline) = watch.deadline() else { return Poll::Pending };
                if timer.deadline() != deadline {
                    timer.as_mut().reset(deadline);
                }
                timer.as_mut().poll(context).map(|()| true)
            });
            tokio::select! {
                biased;
                late = ended_or_late => {
                    // Quiet is ended in good order, which takes a moment at most; whatever else is late is broken off.
                    if late && watch.is_idle() {
                        connection.as_mut().graceful_shutdown();
                        let _ = timeout(Duration::from_secs(1), connection.as_mut()).await;
                    }
                    return;
                }
                changed = phase.changed() => match *phase.borrow_and_update() {
                    Phase::Drain if changed.is_ok() => connection.as_mut().graceful_shutdown(),
                    Phase::Serve if changed.is_ok() => {}
                    _ => return,
                },
            }
        }
    }

    /// Lets what is in flight end, then breaks off what has not.
    async fn drain(&self) {
        let all = u32::try_from(self.options.max_connections).unwrap_or(u32::MAX);
        self.phase.send_replace(Phase::Drain);
        if timeout(self.options.drain_timeout, self.places.acquire_many(all)).await.is_err() {
            tracing::warn!("connections that were still in use have been broken off");
            self.phase.send_replace(Phase::BreakOff);
            let _ = timeout(Duration::from_secs(1), self.places.acquire_many(all)).await;
        }
    }
}

/// Says that there is no place, as far as it can be said without waiting.
fn turn_away(stream: &TcpStream) {
    let detail = "too many connections are open here; come back in a minute";
    let body = Problem::busy("too-many-connections", detail, 30).document();
    let length = body.len();
    let head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 30\r\nConnection: close";
    let _ = stream.try_write(format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_that_comes_to_its_turn_after_the_shutdown_began_is_not_waited_for() {
        let options = HttpOptions::default();
        let server = Server {
            routes: Router::new(),
            builder: builder(&options),
            places: Arc::new(Semaphore::new(1)),
            peers: Arc::default(),
            phase: watch::Sender::new(Phase::Drain),
            options,
        };
        let (_silent, stream) = tokio::io::duplex(64);
        let remote = Remote { address: std::net::Ipv6Addr::LOCALHOST.into(), certificate: None };
        // Far less than a connection may be idle for.
        timeout(Duration::from_secs(20), server.connection(stream, remote)).await.expect("it ends");
    }

    #[test]
    fn places_are_counted_by_address_and_given_back() {
        let peers = Arc::new(Peers::default());
        let enter = |address: &str| peers.enter(address.parse().expect("an address"), 2);
        let first = enter("192.0.2.1");
        let second = enter("::ffff:192.0.2.1");
        assert!(first.is_some() && second.is_some() && enter("192.0.2.1").is_none());
        assert!(enter("192.0.2.2").is_some());
        drop(first);
        assert!(enter("192.0.2.1").is_some());
        // One subscriber has a /64 of IPv6 addresses.
        let (a, b) = (enter("2001:db8::1"), enter("2001:db8::2"));
        assert!(a.is_some() && b.is_some() && enter("2001:db8::3").is_none() && enter("2001:db8:0:1::1").is_some());
        let loopback: Vec<_> = (0..10).map(|_| (enter("127.0.0.1"), enter("::1"))).collect();
        assert!(loopback.iter().all(|(four, six)| four.is_some() && six.is_some()));
        drop((second, a, b, loopback));
        assert!(peers.0.lock().expect("no panic").is_empty(), "no address is kept longer than its connection");
    }
}
