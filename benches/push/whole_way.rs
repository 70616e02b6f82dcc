//! The whole way, through the built program: `bwld serve` with idle subscribers, an operator's publication over its API, and
//! `bwld follow` up to the moment at which a filter can read the change.
//!
//! The clock starts when the publisher's answer has been read: from then on the operator believes the change published. It
//! stops when the follower has renamed its new file into place. What was in the file is checked every time.
//!
//! After a write that was dear a follower pauses, for a second at most, and writes what comes meanwhile together. So changes
//! are measured both ways: each after a rest of more than a second, and one right after the other.

#[path = "../../tests/it/support.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
pub mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::fs::inotify;

use support::Place;

/// The operator's side of one kept-alive connection.
pub struct Operator {
    stream: BufReader<TcpStream>,
    token: String,
}

impl Operator {
    pub fn new(address: SocketAddr, token: &str) -> Operator {
        let stream = TcpStream::connect(address).expect("a listening daemon");
        stream.set_nodelay(true).expect("a socket");
        Operator { stream: BufReader::new(stream), token: token.trim().to_owned() }
    }

    /// Posts JSON and reads the whole answer, which must be one of success.
    pub fn post(&mut self, path: &str, json: &str) -> Vec<u8> {
        let (token, length) = (&self.token, json.len());
        let head = format!("POST /v1/admin{path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}");
        let request = format!("{head}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{json}");
        self.stream.get_mut().write_all(request.as_bytes()).expect("the daemon reads");
        let (mut line, mut length, mut status) = (String::new(), 0, String::new());
        loop {
            line.clear();
            self.stream.read_line(&mut line).expect("an answer");
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().expect("a number"),
                None if line.starts_with("HTTP/") => status.clone_from(&line),
                None if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("a whole answer");
        assert!(status.contains(" 20"), "{path}: {status}{}", String::from_utf8_lossy(&body));
        body
    }
}

/// Tells of every file that is renamed to `name` in `dir`: when, and its text.
fn watch(dir: &Path, name: &'static str) -> mpsc::Receiver<(Instant, String)> {
    let (sender, receiver) = mpsc::channel();
    let watched = inotify::init(inotify::CreateFlags::CLOEXEC).expect("inotify");
    inotify::add_watch(&watched, dir, inotify::WatchFlags::MOVED_TO).expect("a folder");
    let path = dir.join(name);
    std::thread::spawn(move || {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&watched, &mut buffer);
        while let Ok(event) = events.next() {
            if event.file_name().is_some_and(|file| file.to_bytes() == name.as_bytes()) {
                let at = Instant::now();
                let text = std::fs::read_to_string(&path).expect("a file that was renamed into place");
                if sender.send((at, text)).is_err() {
                    return;
                }
            }
        }
    });
    receiver
}

/// What it measured.
pub struct Way {
    /// From the acknowledgement to the file; zero when the follower was faster than the acknowledgement.
    pub acknowledged: Vec<Duration>,
    /// From the sending of the publication to the file.
    pub asked: Vec<Duration>,
}

/// A publisher of the lists `busy` and `quiet`, to which `idle` subscribers of `quiet` are connected by `connect`; a
/// follower of `busy`; and `rounds` changes with a rest before each. `connect` returns what keeps them connected.
pub fn measure<T>(rounds: usize, rest: Duration, connect: impl FnOnce(SocketAddr) -> T) -> Way {
    let place = Place::new();
    let publisher = place.serve();
    let url = publisher.address();
    let address: SocketAddr = url.strip_prefix("http://").and_then(|a| a.parse().ok()).expect("an address");
    let mut operator = Operator::new(address, &place.read("bwld-data/operator.token"));
    for list in ["busy", "quiet"] {
        operator.post("/lists", &format!(r#"{{"id":"{list}","colour":"black","title":"Bench"}}"#));
        let puts: Vec<String> = (0..1_000).map(|i| format!(r#"{{"rule":"{list}-{i}.example"}}"#)).collect();
        operator.post(&format!("/lists/{list}/changes"), &format!(r#"{{"put":[{}]}}"#, puts.join(",")));
        operator.post(&format!("/lists/{list}/publish"), "");
    }
    std::fs::create_dir_all(place.path("out")).expect("a folder");
    let files = watch(&place.path("out"), "busy.txt");
    let follower = place.follow(&[&url, "--trust", &publisher.greeted("fingerprint "), "--list", "busy", "--output", "out"]);
    let wait = |rule: &str| -> Instant {
        loop {
            let (at, text) = files.recv_timeout(Duration::from_secs(60)).expect("the change arrives");
            if text.lines().any(|line| line.split('\t').next() == Some(rule)) {
                return at;
            }
        }
    };
    wait("domain:busy-0.example");
    let idle = connect(address);
    // The first change also shows that the follower's stream is open.
    let mut way = Way { acknowledged: Vec::new(), asked: Vec::new() };
    for i in 0..=rounds {
        std::thread::sleep(rest);
        operator.post("/lists/busy/changes", &format!(r#"{{"put":[{{"rule":"change-{i}.example"}}]}}"#));
        let asked = Instant::now();
        operator.post("/lists/busy/publish", "");
        let acknowledged = Instant::now();
        let there = wait(&format!("domain:change-{i}.example"));
        if i > 0 {
            way.acknowledged.push(there.saturating_duration_since(acknowledged));
            way.asked.push(there.saturating_duration_since(asked));
        }
    }
    drop((idle, follower, publisher));
    way
}
