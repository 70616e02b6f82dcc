//! A publisher and a follower of it that feeds a filter by file, with the outputs of a recipe.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::{Daemon, Place};

use super::recipe::Recipe;

/// A published list `adult`, and soon a follower of it.
pub struct Fed {
    place: Place,
    publisher: Daemon,
    follower: Option<Daemon>,
}

impl Fed {
    /// Publishes these rules.
    pub fn new(rules: &[&str]) -> Fed {
        let mut place = Place::new();
        let sbin = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        place.var("PATH", &sbin);
        // Programs that give up root read what is in it.
        std::fs::create_dir(place.path("out")).expect("a folder");
        open_up(&place.path(""));
        let publisher = place.serve();
        place.run(&["list", "create", "adult", "--colour", "black", "--title", "Test"]).with_code(0);
        let fed = Fed { place, publisher, follower: None };
        fed.publish(rules);
        fed
    }

    /// Adds rules and publishes.
    pub fn publish(&self, rules: &[&str]) {
        self.place.run(&[&["add", "adult"], rules, &["--publish"]].concat()).with_code(0);
    }

    /// A path in the test's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path(name)
    }

    /// The same as text.
    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Starts the follower with these outputs, written below `out` of the test's folder.
    pub fn follow(&mut self, outputs: Recipe) {
        let here = self.text("out");
        let outputs = outputs.text().replace("/var/lib/bwld-follow/out", &here);
        let settings = format!(
            "[follow]\nurls = [\"{}\"]\ntrust = \"{}\"\nlists = [\"adult\"]\ndata = \"{}\"\n\n{outputs}",
            self.publisher.address(),
            self.publisher.greeted("fingerprint "),
            self.text("follow"),
        );
        self.place.write("bwld.toml", settings);
        self.follower = Some(self.place.follow(&[]));
    }

    /// What the follower has said since the last time.
    pub fn said(&mut self) -> String {
        self.follower.as_mut().map(Daemon::said).unwrap_or_default()
    }

    /// Waits until the reload command of every output has run once: a program that is told to read again while it is still starting may
    /// end (Squid does), or read the new file late.
    pub fn wait_for_reload(&self) {
        crate::support::wait_for("the first reload", || {
            let status = self.place.run(&["status", "--json"]).out;
            let status: serde_json::Value = serde_json::from_str(&status).unwrap_or_default();
            let outputs = status["outputs"].as_array().cloned().unwrap_or_default();
            !outputs.is_empty() && outputs.iter().all(|output| !output["reloaded"].is_null() || !output["reload_error"].is_null())
        });
    }

    /// Waits until this file is there.
    pub fn wait_for_file(&mut self, name: &str) {
        let path = self.path(name);
        crate::support::wait_for(&format!("{}", path.display()), || path.exists());
    }
}

/// Lets everybody look into a folder.
pub fn open_up(dir: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).expect("mode");
}

/// A web server in threads that answers everything with 200.
pub fn origin() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
                    line.clear();
                }
                let _ = stream.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 14\r\nConnection: close\r\n\r\n<p>origin</p>\n",
                );
            });
        }
    });
    address
}

/// The status that `server` answers a GET of `target` with, for this host; `None` if it does not answer.
pub fn status(server: SocketAddr, target: &str, host: &str) -> Option<u16> {
    let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    answer.split(' ').nth(1)?.parse().ok()
}
