//! The same zone served by BIND, to the same client.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Kept(Child);

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn there(program: &str) -> bool {
    Command::new(program).arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn dig(address: SocketAddr, zone: &str, into: Stdio) -> Duration {
    let port = address.port().to_string();
    let start = Instant::now();
    let arguments = ["@127.0.0.1", "-p", &port, "+time=600", "+tries=1", zone, "AXFR"];
    let status = Command::new("dig").args(arguments).stdout(into).status().expect("dig runs");
    assert!(status.success());
    start.elapsed()
}

/// The median of five transfers each to `dig`, by turns: ours and BIND's, which has the zone from our transfer.
pub fn compare(dir: &Path, zone: &str, ours: SocketAddr, test: bool) -> Option<(Duration, Duration)> {
    if !there("named") || !there("dig") {
        return None;
    }
    let text = dir.join("zone.text");
    dig(ours, zone, File::create(&text).expect("room").into());
    let mut file = File::create(dir.join("zone.db")).map(std::io::BufWriter::new).expect("room");
    let mut starts = 0;
    for line in BufReader::new(File::open(&text).expect("it was written")).lines().map_while(Result::ok) {
        // The SOA at the end is the one at the beginning once more.
        starts += usize::from(line.contains("\tSOA\t"));
        if !line.starts_with(';') && starts < 2 {
            writeln!(file, "{line}").expect("room");
        }
    }
    file.flush().expect("room");
    drop(file);
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let shown = dir.display();
    let config = format!(
        "options {{ directory \"{shown}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none; \
         session-keyfile none; recursion no; notify no; dnssec-validation no; allow-transfer {{ 127.0.0.1; }}; }};\n\
         controls {{ }};\nzone \"{zone}\" {{ type primary; file \"{shown}/zone.db\"; check-names ignore; check-integrity no; }};\n"
    );
    fs::write(dir.join("named.conf"), config).expect("room");
    let mut command = Command::new("named");
    command.args(["-g", "-n", "2", "-c"]).arg(dir.join("named.conf")).stdin(Stdio::null()).stdout(Stdio::null());
    let log = File::create(dir.join("named.log")).expect("room");
    let _named = Kept(command.stderr(log).spawn().expect("named starts"));
    let theirs = SocketAddr::from(([127, 0, 0, 1], port));
    let deadline = Instant::now() + Duration::from_secs(300);
    let ready = || fs::read_to_string(dir.join("named.log")).is_ok_and(|log| log.contains("all zones loaded"));
    while !ready() || TcpStream::connect(theirs).is_err() {
        assert!(Instant::now() < deadline, "named does not come up: {}", fs::read_to_string(dir.join("named.log")).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(100));
    }
    let rounds = if test { 1 } else { 5 };
    let (mut a, mut b): (Vec<Duration>, Vec<Duration>) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        a.push(dig(ours, zone, Stdio::null()));
        b.push(dig(theirs, zone, Stdio::null()));
    }
    a.sort_unstable();
    b.sort_unstable();
    Some((a[rounds / 2], b[rounds / 2]))
}
