//! Subscribers beside administration: how soon 1,000 of them have a change, with and without 500 reads a second of the operator's
//! API, in rounds by turns, through the built program.
//!
//! A reader keeps its pace whatever the daemon does: a request that is late is sent as soon as the one before was answered. A fifth
//! each: the lists, a page of entries, a search (half of them find nothing, and so go over everything), an entry under administration,
//! a page of the audit chain. The readers' own work is done on the same processors.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::whole_way::Operator;
use super::whole_way::support::Place;
use super::{all_have, now, subscriber};

/// Connections of readers, and what each asks a second.
const READERS: u64 = 10;
const EACH: u64 = 50;
const LIST: &str = "busy";

/// What is asked, over and over.
struct Asked {
    paths: Vec<String>,
    token: String,
    answered: AtomicU64,
}

impl Asked {
    fn new(reference: &str, token: &str) -> Asked {
        let text = |text: &str| format!("entries?list={LIST}&text={text}");
        let mut paths = Vec::new();
        for search in [text("name-77"), text("no-such-name"), text("example"), text("nowhere")] {
            let others = ["lists".to_owned(), format!("entries?list={LIST}&limit=50"), format!("lists/{LIST}/cases/{reference}")];
            paths.extend(others.into_iter().chain([search, "audit?limit=50".into()]));
        }
        Asked { paths, token: token.trim().to_owned(), answered: AtomicU64::new(0) }
    }
}

/// One reader, for ever: asks at its pace.
async fn reader(address: SocketAddr, asked: Arc<Asked>, first: u64) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / EACH));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut buffer = Vec::with_capacity(64 << 10);
    // Each begins at another place, so that they do not ask the same at the same time.
    for path in asked.paths.iter().cycle().skip(first as usize * 7) {
        ticks.tick().await;
        let head = format!("GET /v1/admin/{path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\r\n", asked.token);
        stream.write_all(head.as_bytes()).await.expect("the daemon reads");
        buffer.clear();
        let mut whole = usize::MAX;
        while buffer.len() < whole {
            assert!(stream.read_buf(&mut buffer).await.expect("an answer") > 0, "{path}: a whole answer");
            if whole == usize::MAX
                && let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n")
            {
                let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
                assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
                whole = end + 4 + length.parse::<usize>().expect("a number");
            }
        }
        asked.answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// A publisher with a list of so many entries and one case.
fn publisher(entries: u64) -> (Place, super::whole_way::support::Daemon, SocketAddr, Operator, Arc<Asked>) {
    let place = Place::new();
    let daemon = place.serve();
    let url = daemon.address();
    let address: SocketAddr = url.strip_prefix("http://").and_then(|a| a.parse().ok()).expect("an address");
    let token = place.read("bwld-data/operator.token");
    let mut operator = Operator::new(address, &token);
    operator.post("/lists", &format!(r#"{{"id":"{LIST}","colour":"black","title":"Bench"}}"#));
    let lines: String = (0..entries).map(|n| format!("domain:name-{n:07}.example\tcat=test\n")).collect();
    place.write("entries.txt", lines);
    place.run(&["import", "entries.txt", "--list", LIST, "--format", "bwld", "--publish", "--server", &url]).with_code(0);
    let case = operator.post(&format!("/lists/{LIST}/cases"), r#"{"words":{"rule":"case.example","reasons":{"en":"A reason"}}}"#);
    let case: serde_json::Value = serde_json::from_slice(&case).expect("JSON");
    let asked = Arc::new(Asked::new(case["reference"].as_str().expect("a reference"), &token));
    (place, daemon, address, operator, asked)
}

fn median(delays: &mut [Duration]) -> Duration {
    delays.sort_unstable();
    delays[delays.len() / 2]
}

/// `pairs` rounds without and with readers, `changes` publications in each.
pub fn measure(runtime: &Runtime, entries: u64, subscribers: usize, pairs: usize, changes: usize) {
    let (_place, _daemon, address, mut operator, asked) = publisher(entries);
    let (seen, mut events) = mpsc::unbounded_channel();
    for _ in 0..subscribers {
        runtime.spawn(subscriber(address, LIST, 1, seen.clone()));
    }
    runtime.block_on(all_have(&mut events, subscribers, 0, Duration::ZERO));
    let (mut alone, mut beside, mut serial) = (Vec::<Vec<Duration>>::new(), Vec::new(), 1);
    let (mut ratios, mut read, mut reading) = (Vec::new(), 0, Duration::ZERO);
    for round in 0..pairs * 2 {
        let with = round % 2 == 1;
        let readers: Vec<_> = (0..if with { READERS } else { 0 }).map(|n| runtime.spawn(reader(address, asked.clone(), n))).collect();
        // Past the connecting and the first burst.
        std::thread::sleep(Duration::from_millis(200));
        let (begin, before) = (Instant::now(), asked.answered.load(Ordering::Relaxed));
        let mut delays = Vec::new();
        for _ in 0..changes {
            std::thread::sleep(Duration::from_millis(100));
            serial += 1;
            operator.post(&format!("/lists/{LIST}/changes"), &format!(r#"{{"put":[{{"rule":"change-{serial}.example"}}]}}"#));
            let sent = now();
            operator.post(&format!("/lists/{LIST}/publish"), "");
            delays.extend(runtime.block_on(all_have(&mut events, subscribers, serial, sent)));
        }
        if with {
            read += asked.answered.load(Ordering::Relaxed) - before;
            reading += begin.elapsed();
            let without = alone.last_mut().expect("the round before was without");
            ratios.push(median(&mut delays).as_secs_f64() / median(without).as_secs_f64());
            beside.push(delays);
        } else {
            alone.push(delays);
        }
        for reader in readers {
            reader.abort();
            // A panic of a reader is one of the bench.
            assert!(runtime.block_on(reader).is_err_and(|error| error.is_cancelled()), "the readers go on");
        }
    }
    let (mut alone, mut beside) = (alone.concat(), beside.concat());
    let ratio = median(&mut beside).as_secs_f64() / median(&mut alone).as_secs_f64();
    ratios.sort_unstable_by(f64::total_cmp);
    println!("{subscribers} subscribers of a list of {entries} entries, from the sending of a publication:");
    super::show("  alone", alone, "");
    super::show("  beside the readers", beside, "");
    println!(
        "  {:.0} reads a second; median {ratio:.2} times that without (bar: 1.2); of each pair of rounds, median {:.2}",
        read as f64 / reading.as_secs_f64(),
        ratios[ratios.len() / 2]
    );
}
