//! The sockets: datagrams, connections, their limits and deadlines.
//!
//! A connection costs a task and a buffer of at most one request; it is closed when nothing comes, when a request does not
//! come on, when a peer does not read, and after so many requests. Beyond the limits of connections in all and per source
//! the one that has waited longest for a request makes room; if all are being answered a new one is closed at once.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::options::DnsOptions;
use super::room::{Entry, Place, Room};
use super::service::{Messages, Reply, Service, Transport};
use super::turns::Pace;
use super::{DnsError, count, local, notify};

/// Largest request taken, in octets: a question, an SOA and a signature need a tenth.
const MAX_REQUEST: usize = 4_096;
/// Connections that the system has set up and that are not accepted yet, at most.
const BACKLOG: u32 = 1_024;
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

/// Binds the sockets: UDP and TCP of each address, with the same port also where port 0 was asked for. For all addresses of
/// the machine there is one listener, and a datagram socket for each.
///
/// # Errors
/// [`DnsError::Listen`].
pub async fn bind(options: &DnsOptions, accept: Option<TlsAccept>) -> Result<Bound, DnsError> {
    let mut bound = Bound { udp: Vec::new(), tcp: Vec::new(), tls: Vec::new(), accept };
    for address in &options.listen {
        let wrong = |source| DnsError::Listen { address: *address, source };
        let (tcp, udp) = both(*address, options.limits.send_buffer, &bound.datagrams()).await.map_err(wrong)?;
        bound.tcp.push(tcp);
        bound.udp.extend(udp);
    }
    for address in &options.tls_listen {
        bound.tls.push(listener(*address, options.limits.send_buffer).map_err(|source| DnsError::Listen { address: *address, source })?);
    }
    Ok(bound)
}

/// A listener. Its connections have send buffers of this size: the system says that a peer has taken something only when a
/// third of the buffer is free, and buffers that it sizes itself grow to megabytes.
fn listener(address: SocketAddr, send_buffer: u32) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As `TcpListener::bind` does it.
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(send_buffer)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A listener and datagram sockets of the same port. A free port of the one may not be free for the other: another is tried.
async fn both(address: SocketAddr, send_buffer: u32, there: &[SocketAddr]) -> io::Result<(TcpListener, Vec<Arc<UdpSocket>>)> {
    let mut tries = if address.port() == 0 { 20 } else { 1 };
    loop {
        let tcp = listener(address, send_buffer)?;
        match local::sockets(tcp.local_addr()?, there).await {
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

    /// Where it takes datagrams.
    fn datagrams(&self) -> Vec<SocketAddr> {
        self.udp.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// Where it listens for TLS.
    pub fn tls_addresses(&self) -> Vec<SocketAddr> {
        self.tls.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// Serves, and notifies secondaries, until `stop` ends; then writes what is still to be kept of serials, and waits for
    /// what is being sent, `drain` at most.
    pub async fn serve(self, service: Arc<Service>, stop: impl Future<Output = ()>, drain: Duration) {
        let (stopping, stopped) = watch::channel(false);
        let room = Room::new(service.limits.connections, service.limits.per_source);
        let sources = self.addresses();
        let mut tasks = tokio::task::JoinSet::new();
        let anywhere: Vec<SocketAddr> = sources.iter().filter(|source| source.ip().is_unspecified()).copied().collect();
        if !anywhere.is_empty() {
            let (service, stopped) = (service.clone(), stopped.clone());
            let serve = {
                let stopped = stopped.clone();
                move |socket| datagrams(socket, service.clone(), stopped.clone())
            };
            tasks.spawn(local::follow(anywhere, self.datagrams(), serve, stopped));
        }
        for socket in self.udp {
            tasks.spawn(datagrams(socket, service.clone(), stopped.clone()));
        }
        for listener in self.tcp {
            tasks.spawn(connections(listener, None, service.clone(), room.clone(), stopped.clone()));
        }
        for listener in self.tls {
            tasks.spawn(connections(listener, self.accept.clone(), service.clone(), room.clone(), stopped.clone()));
        }
        tasks.spawn(count::run(service.clone(), stopped.clone()));
        tasks.spawn(notify::run(service.clone(), sources, stopped.clone()));
        stop.await;
        stopping.send_replace(true);
        service.shared.keeper.put_all(service.zones.unwritten()).await;
        let all = async { while tasks.join_next().await.is_some() {} };
        let _ = timeout(drain, all).await;
    }
}

async fn datagrams(socket: Arc<UdpSocket>, service: Arc<Service>, mut stopped: watch::Receiver<bool>) {
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
        let Some(share) = service.datagrams.take(source.ip()) else {
            service.say(source, "too many datagrams; one was dropped");
            service.metrics.count("dropped");
            continue;
        };
        let (socket, service, request) = (socket.clone(), service.clone(), buffer[..length].to_vec());
        tokio::spawn(async move {
            let _share = share;
            if let Reply::One(message) = service.answer(&request, source, Transport::Datagram).await {
                // The first two octets are the length that streams want. A sender that cannot be reached asks again.
                let _ = socket.send_to(&message[2..], source).await;
            }
        });
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
        let place = match room.enter(source.ip()) {
            Entry::Free(place) => place,
            Entry::InPlaceOf(whose, place) => {
                service.say(source, &format!("too many connections; one of {whose}, which waited for a request, made room for it"));
                service.metrics.count("made-room");
                place
            }
            Entry::Full => {
                service.say(source, "too many connections; one was closed");
                service.metrics.count("too-many-connections");
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let (service, stopped) = (service.clone(), stopped.clone());
        let accept = accept.as_ref().map(|accept| accept());
        open.spawn(async move {
            service.metrics.connections.inc();
            match accept {
                None => connection(stream, source, place, &service, stopped).await,
                Some(accept) => encrypted(stream, &accept, (source, place), &service, stopped).await,
            }
            service.metrics.connections.dec();
        });
    }
    while open.join_next().await.is_some() {}
}

/// One connection over TLS. Who offers protocols must offer `dot` (RFC 9103 section 7.1), or the handshake fails; who offers
/// none is served too, because Unbound (1.17 at least) transfers zones so.
async fn encrypted(
    stream: TcpStream,
    accept: &TlsAcceptor,
    (source, place): (SocketAddr, Place),
    service: &Arc<Service>,
    stopped: watch::Receiver<bool>,
) {
    let shaken = tokio::select! {
        () = place.taken() => return,
        shaken = timeout(service.limits.idle, accept.accept(stream)) => shaken,
    };
    match shaken {
        Ok(Ok(shaken)) => connection(shaken, source, place, service, stopped).await,
        Ok(Err(error)) => service.say(source, &format!("TLS could not be set up: {error}")),
        Err(_) => {}
    }
}

/// One connection to its end.
async fn connection(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    source: SocketAddr,
    mut place: Place,
    service: &Arc<Service>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut request = Vec::new();
    for _ in 0..service.limits.requests {
        place.waits();
        let whole = tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            () = place.taken() => return,
            whole = next_request(&mut stream, &mut request, source, service) => whole,
        };
        if !whole || !place.works() {
            return;
        }
        match service.answer(&request, source, Transport::Stream).await {
            Reply::Nothing => return,
            Reply::One(message) => {
                if !sent(&mut stream, &message, source, service, None).await {
                    return;
                }
            }
            Reply::Many(messages) => {
                if !transferred(&mut stream, messages, source, service).await {
                    return;
                }
            }
        }
    }
}

/// Sends the messages of a transfer; `false`: the connection is to be closed, because it is not whole.
async fn transferred(stream: &mut (impl AsyncWrite + Unpin), mut messages: Messages, source: SocketAddr, service: &Service) -> bool {
    let pace = messages.pace.take();
    let sending = async {
        while let Some(message) = messages.recv().await {
            let Ok(message) = message else { return false };
            if !sent(stream, &message, source, service, pace.as_deref()).await {
                return false;
            }
        }
        true
    };
    let ended = async {
        match &pace {
            Some(pace) => pace.ended().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        whole = sending => whole,
        () = ended => {
            service.say(source, "a transfer that moved too slowly while others waited for their turn was ended");
            service.metrics.count("too-slow");
            false
        }
    }
}

/// Reads the next request; `false`: there will be none.
async fn next_request(stream: &mut (impl AsyncRead + Unpin), request: &mut Vec<u8>, source: SocketAddr, service: &Service) -> bool {
    let Ok(Ok(length)) = timeout(service.limits.idle, stream.read_u16()).await else { return false };
    let length = usize::from(length);
    if length > MAX_REQUEST {
        service.say(source, "a request that is too large");
        service.metrics.count("malformed");
        return false;
    }
    request.resize(length, 0);
    matches!(timeout(service.limits.idle, stream.read_exact(request)).await, Ok(Ok(_)))
}

/// Sends a message; `false`: the peer takes nothing of it for too long, or is gone.
async fn sent(stream: &mut (impl AsyncWrite + Unpin), message: &[u8], source: SocketAddr, service: &Service, pace: Option<&Pace>) -> bool {
    let mut rest = message;
    let cut_off = loop {
        let moving = async {
            match rest {
                [] => stream.flush().await.map(|()| 0),
                rest => stream.write(rest).await,
            }
        };
        let done = match pace {
            Some(pace) => timeout(service.limits.stall, pace.waiting(moving)).await,
            None => timeout(service.limits.stall, moving).await,
        };
        match done {
            Ok(Ok(_)) if rest.is_empty() => return true,
            Ok(Ok(written)) if written > 0 => {
                rest = &rest[written..];
                if let Some(pace) = pace {
                    pace.moved(written);
                }
            }
            Ok(_) => break false,
            Err(_) => break true,
        }
    };
    if cut_off {
        service.say(source, "a peer that took nothing of what was sent to it was cut off");
        service.metrics.count("cut-off");
    }
    false
}
