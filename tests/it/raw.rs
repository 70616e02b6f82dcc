//! An HTTP/1.1 client that shows every octet, and a server to ask.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bwld::http::{App, HttpOptions, Readiness, RouteOptions, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::publishing::World;

/// Longest wait for anything in a test.
pub const SOON: Duration = Duration::from_secs(60);

/// A server over a world.
pub struct Server {
    pub address: SocketAddr,
    pub readiness: Readiness,
    shutdown: Option<oneshot::Sender<()>>,
    pub task: JoinHandle<()>,
}

impl Server {
    pub async fn start(world: &Arc<World>) -> Server {
        Self::with(world, HttpOptions::default()).await
    }

    pub async fn with(world: &Arc<World>, options: HttpOptions) -> Server {
        let app = App {
            hub: world.hub.clone(),
            readiness: Readiness::default(),
            clock: world.clock.clone(),
            admin: None,
            options: RouteOptions::default(),
        };
        Self::of(app, options).await
    }

    pub async fn of(app: App, options: HttpOptions) -> Server {
        let readiness = app.readiness.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (shutdown, asked) = oneshot::channel();
        let task = tokio::spawn(serve(listener, app, options, async {
            let _ = asked.await;
        }));
        Server { address, readiness, shutdown: Some(shutdown), task }
    }

    pub fn shut_down(&mut self) {
        let _ = self.shutdown.take().expect("once").send(());
    }

    pub async fn raw(&self) -> Raw {
        Raw { stream: TcpStream::connect(self.address).await.expect("a connection"), pending: Vec::new(), wire: 0 }
    }

    /// A connection whose receiver takes little, so that the sender soon waits.
    pub async fn narrow(&self) -> Raw {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4 << 10).expect("a small buffer");
        Raw { stream: socket.connect(self.address).await.expect("a connection"), pending: Vec::new(), wire: 0 }
    }

    /// GET on a connection of its own.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.raw().await.request("GET", path, headers, b"").await
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The code of a problem, which must be well formed.
    pub fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let json = self.json();
        assert_eq!(json["status"].as_u64(), Some(u64::from(self.status)));
        for field in ["type", "title", "detail"] {
            assert!(json[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {json}");
        }
        json["code"].as_str().expect("a code").to_owned()
    }
}

/// One connection.
pub struct Raw {
    pub stream: TcpStream,
    pending: Vec<u8>,
    /// Octets received.
    pub wire: usize,
}

impl Raw {
    pub async fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.expect("the server reads");
    }

    /// A request, and the answer to it.
    pub async fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.begin(method, path, headers, body).await;
        self.answer(method == "HEAD").await
    }

    /// Sends a request.
    pub async fn begin(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
        if !body.is_empty() {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        self.send(&[text.as_bytes(), body].concat()).await;
    }

    /// More octets; `None` at the end.
    pub async fn more(&mut self) -> Option<()> {
        let mut buffer = [0; 16 << 10];
        let read = tokio::time::timeout(SOON, self.stream.read(&mut buffer)).await.expect("octets in time");
        match read {
            Ok(0) | Err(_) => None,
            Ok(n) => {
                self.wire += n;
                self.pending.extend_from_slice(&buffer[..n]);
                Some(())
            }
        }
    }

    async fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.pending.windows(end.len()).position(|w| w == end) {
                let rest = self.pending.split_off(at + end.len());
                return std::mem::replace(&mut self.pending, rest);
            }
            self.more().await.expect("the answer goes on");
        }
    }

    async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.pending.len() < count {
            self.more().await.expect("the body goes on");
        }
        let rest = self.pending.split_off(count);
        std::mem::replace(&mut self.pending, rest)
    }

    /// Status and header.
    pub async fn head(&mut self) -> Answer {
        let head = String::from_utf8(self.until(b"\r\n\r\n").await).expect("text");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|s| s.parse().ok()).expect("a status");
        let headers = lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned())).collect();
        Answer { status, headers, body: Vec::new() }
    }

    pub async fn answer(&mut self, to_head: bool) -> Answer {
        let mut answer = self.head().await;
        if to_head || answer.status == 304 {
            return answer;
        }
        if answer.header("transfer-encoding") == "chunked" {
            while let Some(chunk) = self.chunk().await {
                answer.body.extend(chunk);
            }
        } else {
            let length = answer.header("content-length").parse().unwrap_or(0);
            answer.body = self.exactly(length).await;
        }
        answer
    }

    /// The next chunk of a chunked body; `None` after the last.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = String::from_utf8(self.until(b"\r\n").await).expect("text");
        let size = usize::from_str_radix(size.trim(), 16).expect("the size of a chunk");
        let chunk = self.exactly(size).await;
        self.until(b"\r\n").await;
        (size > 0).then_some(chunk)
    }

    /// Whether the server closes the connection, whatever it still sends.
    pub async fn closes(&mut self) -> bool {
        let end = async { while self.more().await.is_some() {} };
        tokio::time::timeout(SOON, end).await.is_ok()
    }
}
