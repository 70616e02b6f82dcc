//! A daemon, followers, and a proxy between them that counts.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

const DEADLINE: Duration = Duration::from_secs(120);

/// How many processors there are.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A child that ends with its owner.
struct Kept(Child);

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A daemon with an empty data folder, and who asks it.
pub struct World {
    runtime: Runtime,
    dir: tempfile::TempDir,
    http: reqwest::Client,
    address: String,
    token: String,
    fingerprint: String,
    _daemon: Kept,
}

fn program(dir: &std::path::Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bwld"));
    command.args(args).current_dir(dir).env_clear().env("BWLD_SERVE_SHIPPED_LISTS", "false");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

impl World {
    pub fn start() -> World {
        // An error means that it is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let dir = tempfile::tempdir().expect("a folder");
        let mut daemon = Kept(program(dir.path(), &["serve", "--listen", "127.0.0.1:0"]).spawn().expect("the daemon starts"));
        let lines = BufReader::new(daemon.0.stdout.take().expect("a pipe")).lines();
        let greeting: Vec<String> = lines.map_while(Result::ok).take_while(|l| !l.contains("Ctrl-C")).collect();
        let word = |name: &str| {
            let line = greeting.iter().find_map(|l| l.trim_start().strip_prefix(name)).expect("it is in the greeting");
            line.split_whitespace().next().expect("a word").to_owned()
        };
        let token = std::fs::read_to_string(dir.path().join("bwld-data/operator.token")).expect("a token").trim().to_owned();
        World {
            runtime,
            http: reqwest::Client::new(),
            address: word("address "),
            fingerprint: word("fingerprint "),
            token,
            dir,
            _daemon: daemon,
        }
    }

    fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Value {
        self.runtime.block_on(async {
            let request = self.http.post(format!("{}{path}", self.address)).bearer_auth(&self.token).body(body);
            let answer = request.send().await.expect("the daemon answers");
            let status = answer.status();
            let text = answer.text().await.expect("a body");
            assert!(status.is_success(), "{path}: {status}: {text}");
            serde_json::from_str(&text).expect("JSON")
        })
    }

    /// A new list with these rules, and two followers that have it.
    pub fn list(&self, name: &str, rules: &BTreeSet<String>) -> List<'_> {
        let new = json!({"id": name, "colour": "black", "title": name});
        self.post("/v1/admin/lists", new.to_string());
        let proxy = |world: &World| world.runtime.block_on(Counter::start(world.address.trim_start_matches("http://").to_owned()));
        let (push, pull) = (proxy(self), proxy(self));
        let mut list = List { world: self, name: name.to_owned(), push, pull, serial: 0, _follower: None };
        list.put(rules).expect("a first version");
        let follow = format!("push-{name}");
        let args = ["follow", &list.push.address, "--trust", &self.fingerprint, "--list", name, "--dir", &follow];
        list._follower = Some(Kept(program(self.dir.path(), &args).spawn().expect("the follower starts")));
        list.wait_for_push();
        list.pull();
        list.settle();
        list
    }
}

/// What a version cost to bring to a follower, in octets of both directions.
pub struct Cost {
    pub push: u64,
    pub pull: u64,
}

/// A list that is followed.
pub struct List<'w> {
    world: &'w World,
    name: String,
    push: Counter,
    pull: Counter,
    serial: u64,
    _follower: Option<Kept>,
}

impl List<'_> {
    // Protected names that a history lists are left out, as the publisher does unless it is told to be strict.
    /// Publishes these rules as the next version and waits until both followers have it; `None` if nothing changed.
    pub fn publish(&self, rules: &BTreeSet<String>) -> Option<Cost> {
        let (push, pull) = (self.push.octets(), self.pull.octets());
        let serial = self.put_rules(rules)?;
        self.wait_for(serial);
        self.pull();
        Some(Cost { push: self.push.octets() - push, pull: self.pull.octets() - pull })
    }

    fn put(&mut self, rules: &BTreeSet<String>) -> Option<()> {
        self.serial = self.put_rules(rules)?;
        Some(())
    }

    fn put_rules(&self, rules: &BTreeSet<String>) -> Option<u64> {
        let mut body = String::new();
        for rule in rules {
            body.push_str(rule);
            body.push('\n');
        }
        let report = self.world.post(&format!("/v1/admin/lists/{}/import?mode=replace&format=bwld", self.name), body);
        assert_eq!(report["done"], true, "{report}");
        let publish = json!({"force": ["max-added", "max-removed"]}).to_string();
        let report = self.world.post(&format!("/v1/admin/lists/{}/publish", self.name), publish);
        report["version"]["serial"].as_u64()
    }

    fn wait_for_push(&self) {
        self.wait_for(self.serial);
    }

    fn wait_for(&self, serial: u64) {
        let status: PathBuf = self.world.dir.path().join(format!("push-{}/status.json", self.name));
        let deadline = Instant::now() + DEADLINE;
        loop {
            let text = std::fs::read(&status).unwrap_or_default();
            let value: Value = serde_json::from_slice(&text).unwrap_or_default();
            if value["lists"][0]["serial"] == serial && value["lists"][0]["mode"] == "push" {
                return;
            }
            assert!(Instant::now() < deadline, "the follower of {} does not get serial {serial}: {value}", self.name);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until the follower has made the one question that belongs to its start and not to any revision: it comes when
    /// the stream has brought nothing for two seconds.
    fn settle(&self) {
        let mut before = self.push.octets();
        loop {
            std::thread::sleep(Duration::from_secs(4));
            let now = self.push.octets();
            if now == before {
                return;
            }
            before = now;
        }
    }

    fn pull(&self) {
        let dir = format!("pull-{}", self.name);
        let args = ["pull", &self.pull.address, "--trust", &self.world.fingerprint, "--list", &self.name, "--dir", &dir];
        let status = program(self.world.dir.path(), &args).stdout(Stdio::null()).status().expect("pull runs");
        assert!(status.success(), "pull: {status}");
    }
}

/// A proxy that counts what passes.
struct Counter {
    address: String,
    octets: Arc<AtomicU64>,
}

impl Counter {
    async fn start(to: String) -> Counter {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let octets = Arc::new(AtomicU64::new(0));
        let counted = octets.clone();
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                let to = TcpStream::connect(&to).await.expect("the daemon listens");
                let (from_read, from_write) = from.into_split();
                let (to_read, to_write) = to.into_split();
                tokio::spawn(pass(from_read, to_write, counted.clone()));
                tokio::spawn(pass(to_read, from_write, counted.clone()));
            }
        });
        Counter { address, octets }
    }

    fn octets(&self) -> u64 {
        self.octets.load(Ordering::SeqCst)
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, octets: Arc<AtomicU64>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(n) = from.read(&mut buffer).await {
        if n == 0 || to.write_all(&buffer[..n]).await.is_err() {
            break;
        }
        octets.fetch_add(n as u64, Ordering::SeqCst);
    }
    let _ = to.shutdown().await;
}
