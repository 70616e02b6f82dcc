//! What push subscribers cost, and how soon they have a change: the question behind docs/BENCHMARKS.md, "push".
//!
//! First the whole way through the built program, from a publication over the operator's API to the follower's file. Then
//! the feed alone: its server is a process of its own (this program, started once more), so that its memory is not mixed
//! with that of its thousands of clients. Before both: subscribers beside reads of the operator's API. It asserts that everybody gets every change, and that an empty poll is small;
//! the times are only printed, beside their bars.
//!
//!     cargo bench --bench push              1,000 and 2,000 subscribers
//!     cargo bench --bench push -- beside    only the subscribers beside reads
//!     cargo bench --bench push -- --test    a few, quickly

#[path = "push/beside.rs"]
mod beside;
#[path = "../tests/it/publishing.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod publishing;
#[path = "push/whole_way.rs"]
mod whole_way;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bwld::feed::HubOptions;
use bwld::http::{App, HttpOptions, Readiness, RouteOptions, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use publishing::{World, additions};

const SERVER: &str = "BWLD_PUSH_SERVER";

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}

/// The child: publishes a version of the list named on each line of its input and answers with the time of the announcement.
fn server() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let world = World::with(HubOptions::default());
    for list in ["busy", "quiet"] {
        world.publish(list, &additions(list, 0..1_000));
    }
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    let app = App {
        hub: world.hub.clone(),
        readiness: Readiness::default(),
        clock: world.clock.clone(),
        admin: None,
        options: RouteOptions::default(),
    };
    runtime.spawn(serve(listener, app, HttpOptions::default(), std::future::pending()));
    for (i, line) in std::io::stdin().lines().enumerate() {
        let list = line.expect("a line");
        let version = world.next(&list, &[format!("+domain:change-{i}.example\tcat=test")]);
        world.catalog.set(version.clone());
        let at = now();
        world.hub.announce(&version.meta.id);
        println!("{} {}", version.head.serial, at.as_nanos());
    }
}

struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Server {
    fn start() -> Server {
        let program = std::env::current_exe().expect("this program");
        let mut child =
            Command::new(program).env(SERVER, "1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the server starts");
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line).expect("its address");
        Server { child, input, output, address: line.trim().parse().expect("an address") }
    }

    /// Publishes; gives the serial and the time of the announcement.
    fn publish(&mut self, list: &str) -> (u64, Duration) {
        writeln!(self.input, "{list}").expect("it reads");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        let (serial, at) = line.trim().split_once(' ').expect("serial and time");
        (serial.parse().expect("a serial"), Duration::from_nanos(at.parse().expect("nanoseconds")))
    }

    /// Resident memory in octets.
    fn resident(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).expect("Linux");
        statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("pages") * 4096
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Subscribes and tells of each head event: its serial, and when it was there.
async fn subscriber(address: SocketAddr, list: &'static str, serial: u64, seen: mpsc::UnboundedSender<(u64, Duration)>) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = format!("GET /v1/events?lists={list}:{serial} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    let (mut text, mut buffer) = (Vec::new(), [0u8; 4096]);
    let mut subscribed = false;
    loop {
        let Ok(count @ 1..) = stream.read(&mut buffer).await else { return };
        text.extend_from_slice(&buffer[..count]);
        while let Some(end) = text.windows(if subscribed { 2 } else { 4 }).position(|w| w == b"\n\n" || w == b"\r\n\r\n") {
            let block: Vec<u8> = text.drain(..end + if subscribed { 2 } else { 4 }).collect();
            if !subscribed {
                assert!(block.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&block));
                subscribed = true;
                let _ = seen.send((0, now()));
                continue;
            }
            let block = String::from_utf8(block).expect("text");
            // A comment; chunk sizes stand between the lines.
            if !block.contains("event: ") {
                continue;
            }
            assert!(block.contains("\"delta\":{"), "the change is inside");
            let id = block.lines().find_map(|line| line.strip_prefix("id: ")).expect("an id");
            let _ = seen.send((id.split_once(':').expect("a serial").1.parse().expect("a serial"), now()));
        }
    }
}

/// Waits for `count` events of this serial and gives their delays.
async fn all_have(seen: &mut mpsc::UnboundedReceiver<(u64, Duration)>, count: usize, serial: u64, since: Duration) -> Vec<Duration> {
    let mut delays = Vec::with_capacity(count);
    while delays.len() < count {
        let event = tokio::time::timeout(Duration::from_secs(30), seen.recv()).await.expect("every subscriber has the change");
        let (got, at) = event.expect("subscribers");
        if got == serial {
            delays.push(at.saturating_sub(since));
        }
    }
    delays
}

fn show(what: &str, mut delays: Vec<Duration>, bar: &str) {
    delays.sort();
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize];
    let bar = if bar.is_empty() { String::new() } else { format!(" (bar: {bar})") };
    println!("{what}: median {:.2?}, 99 % {:.2?}, last {:.2?}, {} times{bar}", at(0.5), at(0.99), at(1.0), delays.len());
}

/// The whole way, with `idle` subscribers connected.
fn whole_way(runtime: &tokio::runtime::Runtime, idle: usize, rounds: usize, rest: Duration) {
    let way = whole_way::measure(rounds, rest, |address| {
        let (quiet, mut seen) = mpsc::unbounded_channel();
        for _ in 0..idle {
            runtime.spawn(subscriber(address, "quiet", 1, quiet.clone()));
        }
        runtime.block_on(all_have(&mut seen, idle, 0, Duration::ZERO));
        seen
    });
    println!("{rounds} changes, {rest:?} after the one before arrived, {idle} idle subscribers:");
    show("from the acknowledged publication to the follower's file", way.acknowledged, "median 50 ms, 99 % 250 ms");
    show("from the sending of the publication to the same", way.asked, "");
}

/// Octets of the answer to a poll that brings nothing, header included.
async fn empty_poll(address: SocketAddr, path: &str, fields: &str) -> usize {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{fields}connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 304"), "{}", String::from_utf8_lossy(&answer));
    assert!(answer.len() <= 1_024, "an empty poll of {} octets", answer.len());
    answer.len()
}

/// The two polls that bring nothing.
async fn empty_polls(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(b"GET /v1/lists/quiet/head HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let tag = answer.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a tag").to_owned();
    let by_tag = empty_poll(address, "/v1/lists/quiet/head", &format!("if-none-match: {tag}\r\n")).await;
    let by_time = empty_poll(address, "/v1/lists/quiet/head?wait=1&after=1", "").await;
    println!("empty poll: {by_tag} octets of answer by tag, {by_time} when a long poll's time is over (bar: 1,024)");
}

async fn measure(idle: usize, all: usize, rounds: usize) {
    let mut server = Server::start();
    let (quiet, mut quiet_seen) = mpsc::unbounded_channel();
    empty_polls(server.address).await;
    let before = server.resident();
    for _ in 0..idle {
        tokio::spawn(subscriber(server.address, "quiet", 1, quiet.clone()));
    }
    all_have(&mut quiet_seen, idle, 0, Duration::ZERO).await;
    let after = server.resident();
    let each = after.saturating_sub(before) as f64 / 1024.0 / idle as f64;
    println!("{idle} idle subscribers: {each:.1} KiB each (resident {} -> {} KiB; bar: 39 KiB)", before / 1024, after / 1024);

    let (busy, mut busy_seen) = mpsc::unbounded_channel();
    tokio::spawn(subscriber(server.address, "busy", 1, busy.clone()));
    all_have(&mut busy_seen, 1, 0, Duration::ZERO).await;
    let mut delays = Vec::new();
    for _ in 0..rounds {
        let (serial, at) = server.publish("busy");
        delays.extend(all_have(&mut busy_seen, 1, serial, at).await);
    }
    show(&format!("1 of {} is sent a change", idle + 1), delays, "");

    for _ in idle..all {
        tokio::spawn(subscriber(server.address, "quiet", 1, quiet.clone()));
    }
    all_have(&mut quiet_seen, all - idle, 0, Duration::ZERO).await;
    let (mut delays, mut last) = (Vec::new(), Vec::new());
    for _ in 0..rounds.div_ceil(10) {
        let (serial, at) = server.publish("quiet");
        let round = all_have(&mut quiet_seen, all, serial, at).await;
        last.extend(round.iter().max());
        delays.extend(round);
    }
    show(&format!("all of {all} are sent a change"), delays, "");
    show(&format!("until the last of {all} has it"), last, "2 s");
    println!("resident with {all}, after {} changes to each: {} KiB", rounds.div_ceil(10), server.resident() / 1024);
}

fn main() {
    if std::env::var_os(SERVER).is_some() {
        return server();
    }
    let quick = std::env::args().any(|argument| argument == "--test");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    for (entries, subscribers, pairs, changes) in
        if quick { [(500, 20, 2, 2), (5_000, 20, 1, 2)] } else { [(10_000, 1_000, 10, 20), (1_000_000, 1_000, 10, 20)] }
    {
        beside::measure(&runtime, entries, subscribers, pairs, changes);
    }
    if std::env::args().any(|argument| argument == "beside") {
        return;
    }
    let (idle, all, rounds): (usize, usize, usize) = if quick { (20, 40, 10) } else { (1_000, 2_000, 200) };
    whole_way(&runtime, idle, if quick { 2 } else { 100 }, Duration::from_millis(1_100));
    whole_way(&runtime, idle, rounds, Duration::ZERO);
    runtime.block_on(measure(idle, all, rounds));
}
