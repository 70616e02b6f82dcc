//! The second implementation, `tests/follow.py`, written from docs/PROTOCOL.md alone, against this publisher, and
//! `tests/vectors.py`, which reads the vectors with the same code.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bwld::feed::{Hub, HubOptions};
use bwld::http::{App, HttpOptions, Readiness, RouteOptions};
use bwld::list::{Colour, ListId};
use bwld::publisher::{NewList, PublishRequest, Publisher, PublisherOptions};
use bwld::store::{Catalog, FakeClock, IndexKind, RealDisk, Store, StoreOptions};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::publisher::{request, test};
use super::raw::Server;
use super::{signed, support};

const STORE: StoreOptions = StoreOptions { index: IndexKind::Memory, segment_size: 1 << 20, checkpoint_after: 1 << 40, flush_every: 512 };
const NOW: &str = "2026-11-24T12:00:00Z";
/// Seconds after which the script gives up.
const PATIENCE: &str = "100";

/// The follower, when it can run here. On CI it must.
fn script() -> Option<Command> {
    python("follow.py")
}

fn python(script: &str) -> Option<Command> {
    let asked = Command::new("python3").args(["-c", "import cryptography, zstandard"]).stderr(Stdio::null()).status();
    if asked.is_ok_and(|status| status.success()) {
        let mut command = Command::new("python3");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script)).env("PYTHONDONTWRITEBYTECODE", "1");
        return Some(command);
    }
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI must have python3 with cryptography and zstandard");
    eprintln!("skipped: needs python3 with the packages cryptography and zstandard");
    None
}

/// A publisher of the list `test` behind a server.
struct Desk {
    publisher: Publisher,
    address: SocketAddr,
    dir: tempfile::TempDir,
    _server: Server,
    _runtime: Runtime,
}

impl Desk {
    fn open() -> Desk {
        let dir = tempfile::tempdir().expect("a folder");
        let (store, _) = Store::open(&dir.path().join("store"), STORE, Arc::new(RealDisk), &mut |_| {}).expect("a store");
        let (store, catalog) = (Arc::new(store), Arc::new(Catalog::default()));
        let clock = Arc::new(FakeClock::at(signed::now()));
        let hub = Hub::new(catalog.clone(), store.artefacts().clone(), HubOptions::default());
        let told = hub.clone();
        let announce = Box::new(move |id: &ListId| told.announce(id));
        let options = PublisherOptions::new(signed::origin());
        let publisher = Publisher::open(store, catalog, options, signed::key("signing-1"), clock.clone(), announce).expect("a publisher");
        publisher.activate_keyset(&signed::note(&signed::keyset_1().to_text(), &["root-a", "root-b"]), "test").expect("a key set");
        let new = NewList {
            id: test(),
            colour: Colour::Black,
            title: "Test".into(),
            categories: Vec::new(),
            owner: String::new(),
            licence: String::new(),
            source: String::new(),
            review: String::new(),
        };
        publisher.create_list(new, "test").expect("a new list");
        let app = App { hub, readiness: Readiness::default(), clock, admin: None, options: RouteOptions::default() };
        let runtime = Runtime::new().expect("a runtime");
        let server = runtime.block_on(Server::of(app, HttpOptions::default()));
        Desk { publisher, address: server.address, dir, _server: server, _runtime: runtime }
    }

    /// With a first version large enough for several buckets.
    fn with_version() -> Desk {
        let desk = Desk::open();
        let lines: Vec<String> = (0..1_000).map(|i| format!("domain:a{i}.example")).collect();
        desk.publish(&lines.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
        desk
    }

    fn publish(&self, put: &[&str], remove: &[&str]) {
        self.publisher.stage(&test(), &request(put, remove), "test").expect("changes that fit");
        let ask = PublishRequest { reason: "why".into(), force: Vec::new(), dry_run: false };
        self.publisher.publish(&test(), &ask, "test").expect("a version");
    }

    /// Key set 2 takes effect; heads signed from here on name it.
    fn advance_keys(&self) {
        let note = signed::note(&signed::keyset_2().to_text(), &["root-a", "root-b"]);
        self.publisher.activate_keyset(&note, "test").expect("key set 2");
    }

    fn export(&self) -> String {
        let mut lines = Vec::new();
        self.publisher.export(&test(), &mut lines).expect("an export");
        String::from_utf8(lines).expect("text")
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// The script following from `address`, with what else it is told.
    fn follow(&self, mut script: Command, address: SocketAddr, more: &[&str]) -> Following {
        let trust = signed::keyset_1().fingerprint().to_string();
        script.args(["--url", &format!("http://{address}"), "--list", "test", "--trust", &trust, "--timeout", PATIENCE, "--now", NOW]);
        script.arg("--out").arg(self.out()).args(more);
        Following::start(script)
    }
}

/// The running script.
struct Following {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Following {
    fn start(mut script: Command) -> Following {
        let mut child = script.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("python3 starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        Following { child, lines }
    }

    /// The next version it accepts: serial, entries, how. Ends with the script at the latest.
    fn version(&mut self) -> (u64, u64, String) {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("text");
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?} {}", self.complaint()));
        let number = |name: &str| said[name].as_u64().expect("a number");
        (number("serial"), number("entries"), said["how"].as_str().expect("a word").to_owned())
    }

    fn complaint(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.take().expect("asked once").read_to_string(&mut text).expect("text");
        text
    }

    /// Its exit code and what it said about it.
    fn end(mut self) -> (i32, String) {
        let complaint = self.complaint();
        (self.child.wait().expect("a child").code().expect("a code"), complaint)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn version(serial: u64, entries: u64, how: &str) -> (u64, u64, String) {
    (serial, entries, how.to_owned())
}

/// A mirror that hands out whatever `bend` makes of an answer. Lives as long as the tests.
fn mirror(upstream: SocketAddr, bend: impl Fn(&str, Vec<u8>) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.expect("a connection");
            let asked = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect::<Vec<_>>();
            let path = asked.first().and_then(|line| line.split(' ').nth(1)).expect("a request").to_owned();
            // A stream of events has no end to wait for.
            let body = if path.starts_with("/v1/events") { Vec::new() } else { support::get(&format!("http://{upstream}"), &path) };
            let body = bend(&path, body);
            answer(stream, &body);
        }
    });
    address
}

fn answer(mut stream: TcpStream, body: &[u8]) {
    // A client that has seen enough may be gone.
    let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(body);
}

/// Replaces text in answers to paths that contain `part`.
fn bent(desk: &Desk, part: &'static str, from: &'static str, to: &'static str) -> SocketAddr {
    mirror(desk.address, move |path, body| {
        if !path.contains(part) {
            return body;
        }
        let text = String::from_utf8(body).expect("text");
        assert!(text.contains(from), "{path}: {text}");
        text.replacen(from, to, 1).into_bytes()
    })
}

#[test]
fn the_second_implementation_reads_every_vector_as_it_is_meant() {
    let Some(mut script) = python("vectors.py") else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/protocol");
    let output = script.arg(folder).output().expect("python3 starts");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let said: Value = serde_json::from_slice(&output.stdout).expect("a line of JSON");
    assert!(said["cases"].as_u64() > Some(100), "{said} {complaint}");
    assert_eq!(said["failed"].as_u64(), Some(0));
}

/// Three versions, each published when the one before has arrived.
fn follows_live(desk: &Desk, mut following: Following, how: &str) {
    assert_eq!(following.version(), version(1, 1_000, "snapshot"));
    assert_eq!(fs::read_to_string(desk.out()).expect("an output"), desk.export());
    desk.publish(&["domain:b.example\tcat=test", "subtree:c.example"], &["domain:a7.example"]);
    assert_eq!(following.version(), version(2, 1_001, how));
    assert_eq!(fs::read_to_string(desk.out()).expect("an output"), desk.export());
    desk.publish(&["domain:b.example\tcat=other", "prefix:d.example/x?y=%20", "cidr:2001:db8::/32"], &["domain:a8.example"]);
    assert_eq!(following.version(), version(3, 1_002, how));
    assert_eq!(following.end(), (0, String::new()));
    assert_eq!(fs::read_to_string(desk.out()).expect("an output"), desk.export());
}

#[test]
fn it_follows_by_asking_and_goes_on_where_it_was() {
    let Some(script) = script() else { return };
    let desk = Desk::with_version();
    let state = desk.dir.path().join("state");
    let state = state.to_str().expect("a path in text");
    follows_live(&desk, desk.follow(script, desk.address, &["--versions", "3", "--state", state]), "delta");
    // A key set and two versions later it is started again, goes along the chain, and gets one merged delta.
    desk.advance_keys();
    desk.publish(&["domain:e.example"], &[]);
    desk.publish(&["domain:f.example"], &["domain:e.example"]);
    let mut again = desk.follow(self::script().expect("as before"), desk.address, &["--versions", "1", "--state", state]);
    assert_eq!(again.version(), version(5, 1_003, "delta"));
    assert_eq!(again.end(), (0, String::new()));
    assert_eq!(fs::read_to_string(desk.out()).expect("an output"), desk.export());
}

#[test]
fn it_follows_by_events_with_the_deltas_in_them() {
    let Some(script) = script() else { return };
    let desk = Desk::with_version();
    follows_live(&desk, desk.follow(script, desk.address, &["--versions", "3", "--events"]), "event-delta");
}

#[test]
fn it_refuses_what_was_bent_on_the_way_and_keeps_what_it_had() {
    let Some(_) = script() else { return };
    let desk = Desk::with_version();
    let run = |address, more: &[&str]| desk.follow(script().expect("as before"), address, more).end();
    for (part, from, to, reason) in [
        ("/snapshot/", "domain:a77.example", "domain:a7x.example", "digest-mismatch"),
        ("/head", "entries 1000", "entries 1001", "bad-signature"),
        ("/keyset", "threshold 2", "threshold 1", "fingerprint-mismatch"),
    ] {
        let (code, complaint) = run(bent(&desk, part, from, to), &[]);
        assert!(code == 3 && complaint.contains(reason), "{code} {complaint}");
        assert!(!desk.out().exists(), "nothing is written before all checks have passed");
    }
    let other = signed::keyset_2().fingerprint().to_string();
    let (code, complaint) = run(desk.address, &["--trust", &other]);
    assert!(code == 3 && complaint.contains("fingerprint-mismatch"), "{code} {complaint}");

    let state = desk.dir.path().join("state");
    let state = state.to_str().expect("a path in text");
    assert_eq!(run(desk.address, &["--versions", "1", "--state", state]), (0, String::new()));
    let (old_head, old_lines) = (support::get(&format!("http://{}", desk.address), "/v1/lists/test/head"), desk.export());
    desk.publish(&["domain:b.example"], &[]);
    // A line that fits the content and is none of this version; and one that does not fit.
    for (from, to, reason) in
        [("+domain:b.example", "+domain:c.example", "root-mismatch"), ("+domain:b.example", "~domain:b.example", "fit")]
    {
        let (code, complaint) = run(bent(&desk, "/delta/", from, to), &["--state", state]);
        assert!(code == 3 && complaint.contains(reason), "{code} {complaint}");
        assert_eq!(fs::read_to_string(desk.out()).expect("an output"), old_lines);
    }
    // The same in an event, where a head that is genuine vouches for another delta.
    let delta = support::get(&format!("http://{}", desk.address), "/v1/lists/test/delta/1/2");
    let delta = String::from_utf8(delta).expect("text").replace("+domain:b.example", "+domain:c.example");
    let zstd = BASE64_STANDARD.encode(bwld::wire::compress(delta.as_bytes(), 3));
    let head = String::from_utf8(support::get(&format!("http://{}", desk.address), "/v1/lists/test/head")).expect("text");
    let event = serde_json::json!({"list": "test", "head": head, "delta": {"from": 1, "to": 2, "zstd": zstd}});
    let stream = format!("event: head\nid: test:2\ndata: {event}\n\n");
    let pusher = mirror(desk.address, move |path, body| if path.starts_with("/v1/events") { stream.clone().into() } else { body });
    let (code, complaint) = run(pusher, &["--state", state, "--events"]);
    assert!(code == 3 && complaint.contains("root-mismatch"), "{code} {complaint}");
    assert_eq!(fs::read_to_string(desk.out()).expect("an output"), old_lines);

    assert_eq!(run(desk.address, &["--versions", "1", "--state", state]), (0, String::new()));
    let back = mirror(desk.address, move |path, body| if path.contains("/head") { old_head.clone() } else { body });
    let (code, complaint) = run(back, &["--state", state]);
    assert!(code == 3 && complaint.contains("rollback"), "{code} {complaint}");
}

#[test]
fn it_says_stale_but_takes_what_is_genuine() {
    let Some(script) = script() else { return };
    let desk = Desk::with_version();
    let mut following = desk.follow(script, desk.address, &["--now", "2026-11-25T12:00:00Z"]);
    assert_eq!(following.version(), version(1, 1_000, "snapshot"));
    let (code, complaint) = following.end();
    assert!(code == 4 && complaint.contains("stale"), "{code} {complaint}");
    assert_eq!(fs::read_to_string(desk.out()).expect("an output"), desk.export());
}

#[test]
fn who_comes_late_finds_the_pinned_key_set_and_a_list_that_grew_at_once() {
    let Some(script) = script() else { return };
    let desk = Desk::open();
    desk.advance_keys();
    desk.publish(&["domain:first.example"], &[]);
    let lines: Vec<String> = (0..1_000).map(|i| format!("domain:a{i}.example")).collect();
    desk.publish(&lines.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    let mut following = desk.follow(script, desk.address, &["--versions", "1"]);
    assert_eq!(following.version(), version(2, 1_001, "snapshot"));
    assert_eq!(following.end(), (0, String::new()));
    assert_eq!(fs::read_to_string(desk.out()).expect("an output"), desk.export());
}
