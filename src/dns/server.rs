//! The sockets: datagrams, connections, their limits and deadlines.
//!
//! A connection costs a task and a buffer of at most one request; it is closed when nothing comes, when a request does not
//! come on, when a peer does not read, and after so many requests. Beyond the limits of connections in all and per source
//! a new one is closed at once: a secondary tries again.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::options::DnsOptions;
use super::service::{Reply, Service, Transport};
use super::{DnsError, notify};

/// Largest request taken, in octets: a question, an SOA and a signature need a tenth.
const MAX_REQUEST: usize = 4_096;
/// After an error of accepting: most likely out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Sockets that are bound but not served yet.
pub struct Bound {
    udp: Vec<Arc<UdpSocket>>,
    tcp: Vec<TcpListener>,
    tls: Vec<TcpListener>,
    accept: Option<TlsAccept>,
}

/// How the next connection over TLS is taken: asked for each one, so that a new certificate is in force at once. It must
/// offer the protocol `dot`.
pub type TlsAccept = Arc<dyn Fn() -> TlsAcceptor + Send + Sync>;

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound").field("addresses", &self.addresses()).field("tls", &self.tls_addresses()).finish_non_exhaustive()
    }
}

/// Binds the sockets: UDP and TCP of each address, with the same port also where port 0 was asked for.
///
/// # Errors
/// [`DnsError::Listen`].
pub async fn bind(options: &DnsOptions, accept: Option<TlsAccept>) -> Result<Bound, DnsError> {
    let mut bound = Bound { udp: Vec::new(), tcp: Vec::new(), tls: Vec::new(), accept };
    for address in &options.listen {
        let wrong = |source| DnsError::Listen { address: *address, source };
        let (tcp, udp) = both(*address).await.map_err(wrong)?;
        bound.tcp.push(tcp);
        bound.udp.push(Arc::new(udp));
    }
    for address in &options.tls_listen {
        bound.tls.push(TcpListener::bind(address).await.map_err(|source| DnsError::Listen { address: *address, source })?);
    }
    Ok(bound)
}

/// A listener and a datagram socket of the same port. A free port of the one may not be free for the other: another is tried.
async fn both(address: SocketAddr) -> io::Result<(TcpListener, UdpSocket)> {
    let mut tries = if address.port() == 0 { 20 } else { 1 };
    loop {
        let tcp = TcpListener::bind(address).await?;
        match UdpSocket::bind(tcp.local_addr()?).await {
            Ok(udp) => return Ok((tcp, udp)),
            Err(_) if tries > 1 => tries -= 1,
            Err(error) => return Err(error),
        }
    }
}

impl Bound {
    /// Where it listens, UDP and TCP alike.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.tcp.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// Where it listens for TLS.
    pub fn tls_addresses(&self) -> Vec<SocketAddr> {
        self.tls.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// Serves, and notifies secondaries, until `stop` ends; then waits for what is being sent, `drain` at most.
    pub async fn serve(self, service: Arc<Service>, stop: impl Future<Output = ()>, drain: Duration) {
        let (stopping, stopped) = watch::channel(false);
        let room = Arc::new(Room::new(&service));
        let sources = self.addresses();
        let mut tasks = tokio::task::JoinSet::new();
        for socket in self.udp {
            tasks.spawn(datagrams(socket, service.clone(), stopped.clone()));
        }
        for listener in self.tcp {
            tasks.spawn(connections(listener, None, service.clone(), room.clone(), stopped.clone()));
        }
        for listener in self.tls {
            tasks.spawn(connections(listener, self.accept.clone(), service.clone(), room.clone(), stopped.clone()));
        }
        tasks.spawn(notify::run(service.clone(), sources, stopped.clone()));
        stop.await;
        stopping.send_replace(true);
        let all = async { while tasks.join_next().await.is_some() {} };
        let _ = timeout(drain, all).await;
    }
}

async fn datagrams(socket: Arc<UdpSocket>, service: Arc<Service>, mut stopped: watch::Receiver<bool>) {
    let at_once = Arc::new(Semaphore::new(service.limits.datagrams.max(1)));
    let mut buffer = vec![0; MAX_REQUEST];
    loop {
        let received = tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            received = socket.recv_from(&mut buffer) => received,
        };
        let Ok((length, source)) = received else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(permit) = at_once.clone().try_acquire_owned() else {
            service.metrics.count("dropped");
            continue;
        };
        let (socket, service, request) = (socket.clone(), service.clone(), buffer[..length].to_vec());
        tokio::spawn(async move {
            let _permit = permit;
            if let Reply::One(message) = service.answer(&request, source, Transport::Datagram).await {
                // The first two octets are the length that streams want. A sender that cannot be reached asks again.
                let _ = socket.send_to(&message[2..], source).await;
            }
        });
    }
}

/// How many connections there are, in all and by source.
#[derive(Debug)]
struct Room {
    all: Arc<Semaphore>,
    by_source: Mutex<HashMap<IpAddr, usize>>,
    per_source: usize,
}

/// A place for one connection.
struct Place {
    room: Arc<Room>,
    source: IpAddr,
    _one: tokio::sync::OwnedSemaphorePermit,
}

impl Room {
    fn new(service: &Service) -> Room {
        Room {
            all: Arc::new(Semaphore::new(service.limits.connections.max(1))),
            by_source: Mutex::default(),
            per_source: service.limits.per_source.max(1),
        }
    }

    fn place(self: &Arc<Self>, source: IpAddr) -> Option<Place> {
        let one = self.all.clone().try_acquire_owned().ok()?;
        let mut by_source = self.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_source.entry(source).or_default();
        if *count >= self.per_source {
            return None;
        }
        *count += 1;
        Some(Place { room: self.clone(), source, _one: one })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_source = self.room.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_source.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                by_source.remove(&self.source);
            }
        }
    }
}

async fn connections(
    listener: TcpListener,
    accept: Option<TlsAccept>,
    service: Arc<Service>,
    room: Arc<Room>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut open = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            Some(_) = open.join_next(), if !open.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, source)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Some(place) = room.place(source.ip()) else {
            service.say(source, "too many connections; one was closed");
            service.metrics.count("too-many-connections");
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (service, stopped) = (service.clone(), stopped.clone());
        let accept = accept.as_ref().map(|accept| accept());
        open.spawn(async move {
            let _place = place;
            service.metrics.connections.inc();
            match accept {
                None => connection(stream, source, &service, stopped).await,
                Some(accept) => encrypted(stream, &accept, source, &service, stopped).await,
            }
            service.metrics.connections.dec();
        });
    }
    while open.join_next().await.is_some() {}
}

/// One connection over TLS. Who offers protocols must offer `dot` (RFC 9103 section 7.1), or the handshake fails; who offers
/// none is served too, because Unbound (1.17 at least) transfers zones so.
async fn encrypted(stream: TcpStream, accept: &TlsAcceptor, source: SocketAddr, service: &Arc<Service>, stopped: watch::Receiver<bool>) {
    let shaken = match timeout(service.limits.idle, accept.accept(stream)).await {
        Ok(Ok(shaken)) => shaken,
        Ok(Err(error)) => return service.say(source, &format!("TLS could not be set up: {error}")),
        Err(_) => return,
    };
    connection(shaken, source, service, stopped).await;
}

/// One connection to its end.
pub(super) async fn connection(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    source: SocketAddr,
    service: &Arc<Service>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut request = Vec::new();
    for _ in 0..service.limits.requests {
        let length = tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            length = timeout(service.limits.idle, stream.read_u16()) => length,
        };
        let Ok(Ok(length)) = length else { return };
        let length = usize::from(length);
        if length > MAX_REQUEST {
            service.say(source, "a request that is too large");
            service.metrics.count("malformed");
            return;
        }
        request.resize(length, 0);
        match timeout(service.limits.idle, stream.read_exact(&mut request)).await {
            Ok(Ok(_)) => {}
            _ => return,
        }
        match service.answer(&request, source, Transport::Stream).await {
            Reply::Nothing => return,
            Reply::One(message) => {
                if !sent(&mut stream, &message, service).await {
                    return;
                }
            }
            Reply::Many(mut messages) => {
                while let Some(message) = messages.recv().await {
                    let Ok(message) = message else { return };
                    if !sent(&mut stream, &message, service).await {
                        return;
                    }
                }
            }
        }
    }
}

async fn sent(stream: &mut (impl AsyncWrite + Unpin), mut message: &[u8], service: &Service) -> bool {
    while !message.is_empty() {
        match timeout(service.limits.stall, stream.write(message)).await {
            Ok(Ok(written)) if written > 0 => message = &message[written..],
            _ => return false,
        }
    }
    matches!(timeout(service.limits.stall, stream.flush()).await, Ok(Ok(())))
}
