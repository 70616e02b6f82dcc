//! The built program under everything bad at once, over its real sockets: the right codes, one line a source and minute in
//! the log, and another secondary that notices nothing.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use domain::base::iana::{Rcode, TsigRcode};
use domain::base::{Message, Rtype};
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;

use super::wire::{key, sign, tsig_error};
use super::{Got, Record, SECRET, Secondary, question, records};
use crate::support::{DEADLINE, Daemon, Place};

const CONFIG: &str = r#"
[serve]
listen = "127.0.0.1:0"
shipped_lists = false
origin = "lists.example"

[dns]
listen = ["127.0.0.1:0"]
max_transfers = 8
idle_seconds = 120

[[dns.zone]]
name = "z.example"
list = "one"
allow = ["127.0.0.0/8"]

[[dns.zone]]
name = "keyed.example"
list = "one"
keys = ["isp-a"]

[[dns.key]]
name = "isp-a"
secret_file = "isp-a.secret"
"#;

/// Sources 127.0.LAZY.n read nothing: what the kernel takes for them is kept small.
const LAZY: u8 = 2;

/// Thousands of connections are thousands of descriptors; the usual limit is 1,024.
fn raise_limit_of_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).expect("up to the hard limit anybody may");
}

/// A connection from this address of loopback.
fn from(source: [u8; 4], to: SocketAddr) -> TcpStream {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
    let socket = TcpSocket::new_v4().expect("a socket");
    if source[2] == LAZY {
        socket.set_recv_buffer_size(4_096).expect("a socket");
    }
    socket.bind(SocketAddr::from((source, 0))).expect("loopback has room");
    let _inside = RUNTIME.enter();
    let stream = RUNTIME.block_on(socket.connect(to)).expect("it listens").into_std().expect("a socket");
    stream.set_nonblocking(false).expect("a socket");
    stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
    stream
}

fn send(stream: &mut TcpStream, request: &[u8]) {
    let length = u16::try_from(request.len()).expect("short").to_be_bytes();
    stream.write_all(&[&length[..], request].concat()).expect("it is open");
}

fn receive(stream: &mut TcpStream) -> Message<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).expect("an answer");
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes).expect("all of it");
    Message::from_octets(bytes).expect("a message")
}

/// What a secondary gets that asks once, over one connection.
fn transfer(secondary: &mut Secondary, to: SocketAddr) -> Got {
    let mut stream = from([127, 0, 0, 9], to);
    let (kind, serial) = if secondary.serial == 0 { (Rtype::AXFR, None) } else { (Rtype::IXFR, Some(secondary.serial)) };
    send(&mut stream, &question("z.example", kind, serial));
    let mut messages = vec![receive(&mut stream)];
    let first = records(&messages);
    let steps = matches!(first.get(1), Some(Record::Soa(_)));
    let ends = |message: &Message<Vec<u8>>| records(std::slice::from_ref(message)).iter().filter(|record| **record == first[0]).count();
    let mut missing = if steps { 3 } else { 2 } - ends(&messages[0]);
    while missing > 0 {
        messages.push(receive(&mut stream));
        missing -= ends(messages.last().expect("just now"));
    }
    secondary.take(&messages)
}

fn by_datagram(request: &[u8], to: SocketAddr) -> Message<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(DEADLINE)).expect("a socket");
    socket.send_to(request, to).expect("sent");
    let mut buffer = vec![0; 4096];
    let length = socket.recv(&mut buffer).expect("an answer");
    buffer.truncate(length);
    Message::from_octets(buffer).expect("a message")
}

fn by_stream(request: &[u8], to: SocketAddr) -> Message<Vec<u8>> {
    let mut stream = from([127, 0, 0, 1], to);
    send(&mut stream, request);
    receive(&mut stream)
}

fn served() -> (Place, Daemon, SocketAddr) {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    place.write("isp-a.secret", BASE64_STANDARD.encode(SECRET));
    std::fs::set_permissions(place.path("isp-a.secret"), std::fs::Permissions::from_mode(0o600)).expect("mode");
    place.write("bwld.toml", CONFIG);
    let daemon = place.serve_with(&[], &[]);
    place.run(&["list", "create", "one", "--colour", "black", "--title", "One"]).with_code(0);
    let lines: String = (0..5_000).map(|i| format!("subtree:n{i}.example\n")).collect();
    place.write("lines", lines);
    place.run(&["import", "lines", "--list", "one", "--publish", "--force", "max-added"]).with_code(0);
    let address = place.read("bwld-data/dns.address").trim().parse().expect("an address");
    (place, daemon, address)
}

/// How a request is sent, and its answer had.
type Ask = fn(&[u8], SocketAddr) -> Message<Vec<u8>>;

#[test]
fn every_bad_request_has_its_code_over_both_transports() {
    let (_place, mut daemon, to) = served();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let good = key("isp-a", &SECRET);
    let ways: [(Ask, u64); 2] = [(by_datagram, now), (by_stream, now - 10)];
    for (ask, now) in ways {
        let code = |request: &[u8]| ask(request, to).header().rcode();
        let signed = |kind, key: &_, at| ask(&sign("keyed.example", kind, key, at).0, to);
        assert_eq!(code(&question("z.example", Rtype::SOA, None)), Rcode::NOERROR);
        let mut two = question("z.example", Rtype::SOA, None);
        two[5] = 2;
        assert_eq!(code(&two), Rcode::FORMERR);
        assert_eq!(code(&question("z.example", Rtype::IXFR, None)), Rcode::FORMERR, "without a serial");
        assert_eq!(code(&question("nowhere.example", Rtype::IXFR, Some(1))), Rcode::NOTAUTH);
        assert_eq!(code(&question("nowhere.example", Rtype::SOA, None)), Rcode::REFUSED);
        assert_eq!(code(&question("keyed.example", Rtype::SOA, None)), Rcode::REFUSED, "unsigned");
        assert_eq!(signed(Rtype::SOA, &good, now).header().rcode(), Rcode::NOERROR);
        for (key, at, error) in [
            (&key("isp-a", &[9; 32]), now, TsigRcode::BADSIG),
            (&key("nobody", &SECRET), now, TsigRcode::BADKEY),
            (&good, now - 1_000, TsigRcode::BADTIME),
        ] {
            let answer = signed(Rtype::IXFR, key, at);
            assert_eq!((answer.header().rcode(), tsig_error(&answer)), (Rcode::NOTAUTH, Some(error)));
        }
        // The same request again, over another connection or from another socket.
        let (request, _) = sign("keyed.example", Rtype::SOA, &good, now - 1);
        assert_eq!(code(&request), Rcode::NOERROR);
        let replayed = ask(&request, to);
        assert_eq!((replayed.header().rcode(), tsig_error(&replayed)), (Rcode::NOTAUTH, Some(TsigRcode::BADTIME)));
    }
    quiet(&daemon.said(), 1);
}

/// That no source has more than two lines in the log (a minute may have ended meanwhile), and so many sources have one at least.
fn quiet(said: &str, sources: usize) {
    let mut lines: HashMap<IpAddr, usize> = HashMap::new();
    for line in said.lines().filter(|line| line.contains("dns: ")) {
        let source = line.split("source=").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("whose line it is");
        let source: SocketAddr = source.trim_matches('"').parse().expect("an address");
        *lines.entry(source.ip()).or_default() += 1;
    }
    assert!(lines.values().all(|count| *count <= 2), "{lines:?}\n{said}");
    assert!(lines.len() >= sources, "{lines:?}\n{said}");
}

#[test]
fn thousands_of_half_open_connections_and_storms_disturb_nobody() {
    raise_limit_of_files();
    let (place, mut daemon, to) = served();
    let mut secondary = Secondary::default();
    assert_eq!(transfer(&mut secondary, to), Got::Whole);

    // More than there are places, from a hundred sources: they send nothing, half a length, half a request.
    let mut half = Vec::new();
    for n in 0..2_000u16 {
        let mut stream = from([127, 0, 1, u8::try_from(n % 100).expect("few") + 1], to);
        let _ = stream.write_all([&[][..], &[0], &[0, 40, 1, 2, 3]][usize::from(n % 3)]);
        half.push(stream);
    }
    // Three sources ask for the whole zone again and again and read nothing of it: each a quarter of the turns, for as long as that lasts.
    let mut lazy = Vec::new();
    for n in 0..60u8 {
        let mut stream = from([127, 0, LAZY, n % 3 + 1], to);
        for _ in 0..20 {
            send(&mut stream, &question("z.example", Rtype::AXFR, None));
        }
        lazy.push(stream);
    }
    // Others send what nobody understands, or is not allowed, as fast as they can.
    let garbage = UdpSocket::bind("127.0.3.1:0").expect("a socket");
    let noise = [question("nowhere.example", Rtype::SOA, None), question("keyed.example", Rtype::SOA, None), vec![0xff; 300]];
    for n in 0..3_000 {
        let _ = garbage.send_to(&noise[n % noise.len()], to);
    }
    for (round, name) in ["a.example", "b.example", "c.example"].into_iter().enumerate() {
        place.run(&["add", "one", &format!("domain:{name}"), "--publish"]).with_code(0);
        assert_eq!(transfer(&mut secondary, to), Got::Step, "asked once");
        assert_eq!(secondary.zone.len(), 10_001 + round);
        let mut fresh = Secondary::default();
        assert_eq!(transfer(&mut fresh, to), Got::Whole);
        assert_eq!(fresh, secondary);
        let soa = by_datagram(&question("z.example", Rtype::SOA, None), to);
        assert_eq!(records(&[soa]), [Record::Soa(secondary.serial)]);
    }
    // Those whose places were taken were closed, the newer ones were not.
    half[0].set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
    assert_eq!(half[0].read(&mut [0; 8]).unwrap_or(0), 0, "the oldest is closed");
    let newest = half.last_mut().expect("two thousand");
    newest.set_read_timeout(Some(Duration::from_millis(1))).expect("a socket");
    assert!(newest.read(&mut [0; 8]).is_err(), "the newest waits on");
    let said = daemon.said();
    quiet(&said, 2);
    let room = said.lines().find(|line| line.contains("too many connections; one of 127.0.1.")).expect("whose place was taken");
    assert!(room.contains("made room") && !room.contains(":0 "), "who took it is a connection: {room}");
    assert!(daemon.stop().success());
}
