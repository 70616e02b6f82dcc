//! Zones: octets of an increment, a whole transfer beside BIND's, memory of a zone, and two hundred secondaries.
//!
//! It asserts that the answers are right; times are only printed, beside their bars.
//!
//!     cargo bench --bench dns              a million rules
//!     cargo bench --bench dns -- --test    few, quickly

#[path = "dns/bind.rs"]
mod bind;
mod house;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bwld::dns::{DnsOptions, Limits, Service, ZoneOptions};
use bwld::feed::{Hub, HubOptions};
use bwld::list::Origin;
use bwld::publisher::{ImportMode, Publisher};
use bwld::store::{Catalog, Store, SystemClock};
use domain::base::iana::{Class, Rcode};
use domain::base::{Message, MessageBuilder, Name, Rtype, Serial, Ttl};
use domain::rdata::Soa;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

const ZONE: &str = "bench.rpz.lists.example.org";
const SECONDARIES: usize = 200;

struct Bench {
    publisher: Publisher,
    catalog: Arc<Catalog>,
    hub: Arc<Hub>,
    store: Arc<Store>,
    names: Vec<String>,
    dir: tempfile::TempDir,
    next: usize,
}

impl Bench {
    /// A list of as many names, each line ending so.
    fn new(count: usize, kind: &str, attributes: &str) -> Bench {
        let dir = tempfile::tempdir().expect("a folder");
        let (publisher, store, catalog) = house::publisher(&dir.path().join("data"));
        let hub = Hub::new(catalog.clone(), store.artefacts().clone(), HubOptions::default());
        let (corpus, ..) = house::corpus(dir.path(), Some(count as u64 + 5_000));
        let text = std::fs::read_to_string(corpus).expect("the corpus");
        // Spread over the whole list, as what comes and goes is.
        let (mut names, mut kept): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        for (at, name) in text.lines().filter(|name| !name.contains('*')).enumerate() {
            if at % (count / 4_000).max(2) == 0 { names.push(name.to_owned()) } else { kept.push(name.to_owned()) }
        }
        let mut bench = Bench { publisher, catalog, hub, store, names, dir, next: 0 };
        bench.import(&kept, kind, attributes);
        bench
    }

    fn import(&mut self, names: &[String], kind: &str, attributes: &str) {
        let mut text = String::new();
        for name in names {
            let _ = writeln!(text, "{kind}:{name}{attributes}");
        }
        let path = self.dir.path().join("lines.txt");
        std::fs::write(&path, text).expect("room");
        house::import(&self.publisher, &path, ImportMode::Merge);
        house::publish(&self.publisher);
        self.hub.announce(&house::list());
    }

    /// A version that adds `add` names and removes as many of those added before; octets of its delta, uncompressed.
    fn change(&mut self, add: usize, kind: &str, attributes: &str) -> u64 {
        use bwld::publisher::{ChangeRequest, PutEntry};
        let some = |names: &[String]| names.iter().map(|name| format!("{kind}:{name}")).collect::<Vec<_>>();
        let new = some(&self.names[self.next..self.next + add]);
        let old = some(&self.names[self.next.saturating_sub(add)..self.next]);
        self.next += add;
        let attributes = format!("{kind}:a.example{attributes}").parse::<bwld::list::Entry>().map(|e| e.attributes()).unwrap_or_default();
        let put = new.into_iter().map(|rule| PutEntry { rule, attributes: attributes.clone() }).collect();
        self.publisher.stage(&house::list(), &ChangeRequest { put, remove: old, dry_run: false }, "bench").expect("stages");
        house::publish(&self.publisher);
        self.hub.announce(&house::list());
        let list = self.catalog.get(&house::list()).expect("published");
        list.deltas.last().expect("a delta").size
    }

    fn serial(&self) -> u32 {
        u32::try_from(self.catalog.get(&house::list()).expect("published").head.serial.get()).expect("few")
    }
}

fn options(notify: Vec<(SocketAddr, Option<String>)>) -> DnsOptions {
    let origin: Origin = "lists.example.org".parse().expect("an origin");
    let limits = Limits { per_source: 1_000, ..Limits::default() };
    let zone = ZoneOptions { name: ZONE.into(), lists: vec![house::list()], notify, ..ZoneOptions::default() };
    let listen = vec!["127.0.0.1:0".parse().expect("an address")];
    DnsOptions { listen, tls_listen: vec![], origin, zones: vec![zone], keys: vec![], catalog: None, refresh: 60, limits }
}

/// Serves on a free port, until the runtime ends.
fn serve(runtime: &tokio::runtime::Runtime, bench: &Bench, options: &DnsOptions) -> SocketAddr {
    let service = Service::new(options, bench.hub.clone(), bench.store.clone(), Arc::new(SystemClock)).expect("options that are right");
    let bound = runtime.block_on(bwld::dns::bind(options, None)).expect("a port");
    let address = bound.addresses()[0];
    runtime.spawn(bound.serve(service, std::future::pending(), Duration::from_secs(1)));
    address
}

fn request(kind: Rtype, serial: Option<u32>) -> Vec<u8> {
    let name: Name<Vec<u8>> = ZONE.parse().expect("a name");
    let mut message = MessageBuilder::new_stream_vec().question();
    message.push((&name, kind)).expect("room");
    let mut message = message.authority();
    if let Some(serial) = serial {
        let zero = Ttl::ZERO;
        message
            .push((&name, Class::IN, zero, Soa::new(Name::root_ref(), Name::root_ref(), Serial(serial), zero, zero, zero, zero)))
            .expect("room");
    }
    message.finish().into_target()
}

/// Octets and records of a transfer, lengths before the messages included. Looks at records by their counts only.
async fn transfer(address: SocketAddr, request: &[u8]) -> (u64, u64) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request).await.expect("sent");
    let (mut octets, mut records) = (0, 0);
    let mut bytes = Vec::new();
    loop {
        let Ok(Ok(length)) = tokio::time::timeout(Duration::from_secs(60), stream.read_u16()).await else { panic!("no end") };
        bytes.resize(usize::from(length), 0);
        stream.read_exact(&mut bytes).await.expect("whole messages");
        octets += 2 + u64::from(length);
        let message = Message::from_slice(&bytes).expect("a message");
        assert_eq!(message.header().rcode(), Rcode::NOERROR);
        records += u64::from(message.header_counts().ancount());
        let soa = message.answer().ok().and_then(|a| a.last()).and_then(Result::ok).is_some_and(|r| r.rtype() == Rtype::SOA);
        // An increment of few messages has SOAs inside, but none at the end of a message that is not the last.
        if soa && records > 1 {
            return (octets, records);
        }
    }
}

fn increments(test: bool) {
    println!("octets of an increment for 100 changes (50 come, 50 go) against our own delta, uncompressed; bar 1.3");
    let count = if test { 4_000 } else { 200_000 };
    for (kind, attributes) in
        [("domain", ""), ("subtree", ""), ("domain", "\tcat=adult\tref=Ab12Cd34"), ("subtree", "\tcat=adult\tref=Ab12Cd34")]
    {
        let mut bench = Bench::new(count, kind, attributes);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let address = serve(&runtime, &bench, &options(vec![]));
        bench.change(50, kind, attributes);
        let before = bench.serial();
        let delta = bench.change(50, kind, attributes);
        let (octets, records) = runtime.block_on(transfer(address, &request(Rtype::IXFR, Some(before))));
        let each = if kind == "subtree" { 200 } else { 100 };
        assert_eq!(records, each + 4);
        let ratio = octets as f64 / delta as f64;
        println!("  {kind:8} {:32} delta {delta:6}  increment {octets:6}  ratio {ratio:.2}", attributes.trim().replace('\t', " "));
    }
}

fn whole(test: bool) {
    let count = if test { 4_000 } else { 1_000_000 };
    for kind in ["domain", "subtree"] {
        let bench = Bench::new(count, kind, "\tcat=adult");
        let entries = bench.catalog.get(&house::list()).expect("published").head.entries;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let address = serve(&runtime, &bench, &options(vec![]));
        let _ = house::forget_peak();
        let before = house::peak();
        let axfr = request(Rtype::AXFR, None);
        let start = Instant::now();
        let (octets, records) = runtime.block_on(transfer(address, &axfr));
        let ours = start.elapsed();
        assert_eq!(records, entries * if kind == "subtree" { 2 } else { 1 } + 3);
        let more = house::peak().saturating_sub(before);
        println!(
            "{entries} rules, {kind}: {records} records, {:.1} MB, {:.2} s to a client that only counts",
            octets as f64 / 1e6,
            ours.as_secs_f64()
        );
        println!("  memory while it is sent: {:.2} octets a rule (bar 16)", more as f64 / entries as f64);
        match bind::compare(Path::new(bench.dir.path()), ZONE, address, test) {
            Some((ours, theirs)) => println!(
                "  to dig: ours {:.2} s, BIND's {:.2} s, ratio {:.2} (bar 1)",
                ours.as_secs_f64(),
                theirs.as_secs_f64(),
                ours.as_secs_f64() / theirs.as_secs_f64()
            ),
            None => println!("  skipped beside BIND: named or dig is not there"),
        }
    }
}

fn secondaries(test: bool) {
    let mut bench = Bench::new(if test { 4_000 } else { 200_000 }, "subtree", "");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut sockets = Vec::new();
    for _ in 0..SECONDARIES {
        sockets.push(runtime.block_on(UdpSocket::bind("127.0.0.1:0")).expect("a port"));
    }
    let notify = sockets.iter().map(|socket| (socket.local_addr().expect("an address"), None)).collect();
    bench.change(50, "subtree", "");
    let address = serve(&runtime, &bench, &options(notify));
    let told = async |socket: &UdpSocket| {
        let mut buffer = [0; 2_048];
        let (length, from) = socket.recv_from(&mut buffer).await.expect("a notification");
        let message = Message::from_slice(&buffer[..length]).expect("a message");
        let answer = MessageBuilder::new_vec().start_answer(message, Rcode::NOERROR).expect("room").finish();
        socket.send_to(&answer, from).await.expect("sent");
    };
    runtime.block_on(async { futures_util::future::join_all(sockets.iter().map(told)).await });
    let before = bench.serial();
    let start = Instant::now();
    bench.change(50, "subtree", "");
    let each = async |socket: &UdpSocket| {
        told(socket).await;
        transfer(address, &request(Rtype::IXFR, Some(before))).await
    };
    let all = runtime.block_on(async { futures_util::future::join_all(sockets.iter().map(each)).await });
    assert!(all.iter().all(|(_, records)| *records == 204));
    println!(
        "{SECONDARIES} secondaries notified of 100 changes and served: {:.3} s from before the publication (bar 5)",
        start.elapsed().as_secs_f64()
    );
}

fn main() {
    let test = std::env::args().any(|argument| argument == "--test");
    increments(test);
    whole(test);
    secondaries(test);
}
