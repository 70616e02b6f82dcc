//! The built program: a daemon in a folder of its own, and the command that imports and publishes through it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running publisher with one empty list, `bench`.
pub struct Daemon {
    child: Child,
    address: String,
    dir: tempfile::TempDir,
}

impl Daemon {
    /// Starts it; returns when it listens and the list is there.
    pub fn start() -> Daemon {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut serve = command(dir.path());
        serve.args(["serve", "--listen", "127.0.0.1:0"]).env("BWLD_SERVE_SHIPPED_LISTS", "false");
        let mut child = serve.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let mut address = None;
        for line in &mut lines {
            address = address.or_else(|| line.trim_start().strip_prefix("address ").map(|rest| rest.trim().to_owned()));
            if line.contains("Ctrl-C stops.") {
                break;
            }
        }
        // Reads on, so that the daemon never stalls on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let daemon = Daemon { child, address: address.expect("it says where it listens"), dir };
        daemon.run(&["list", "create", "bench", "--colour", "black", "--title", "Bench"]);
        daemon
    }

    /// `bwld import FILE --publish`, to its end.
    pub fn import_and_publish(&self, file: &Path, format: &str) {
        let file = file.to_str().expect("a path of ours");
        self.run(&["import", file, "--list", "bench", "--format", format, "--publish"]);
    }

    /// `bwld import FILE`, which stages, to its end.
    pub fn import(&self, file: &Path) {
        let file = file.to_str().expect("a path of ours");
        self.run(&["import", file, "--list", "bench", "--format", "domains"]);
    }

    /// The same as any other client would: the file as the body of one request, until it is answered.
    pub fn post(&self, file: &Path) {
        let mut input = File::open(file).expect("the corpus");
        let length = input.metadata().expect("just opened").len();
        let mut stream = self.connect();
        let path = "/v1/admin/lists/bench/import?format=domains&scope=exact&mode=merge";
        let head = self.head("POST", path);
        write!(stream, "{head}content-length: {length}\r\nconnection: close\r\n\r\n").expect("the daemon reads");
        std::io::copy(&mut input, &mut stream).expect("the daemon reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"done\":true"), "{answer}");
    }

    fn connect(&self) -> TcpStream {
        let address = self.address.strip_prefix("http://").expect("an address of HTTP");
        let stream = TcpStream::connect(address).expect("a listening daemon");
        stream.set_nodelay(true).expect("a socket");
        stream
    }

    fn head(&self, method: &str, path: &str) -> String {
        let token = std::fs::read_to_string(self.dir.path().join("bwld-data/operator.token")).expect("a token");
        format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n", token.trim())
    }

    /// Asks the operator's API over one connection that is kept: the body of the answer.
    pub fn asking(&self) -> impl FnMut(&str) -> Vec<u8> {
        let (mut stream, head) = (BufReader::new(self.connect()), self.head("GET", "/v1/admin/PATH"));
        move |path| {
            write!(stream.get_mut(), "{}\r\n", head.replace("PATH", path)).expect("the daemon reads");
            let (mut line, mut length) = (String::new(), 0);
            stream.read_line(&mut line).expect("an answer");
            assert!(line.contains(" 200 "), "{path}: {line}");
            while line.trim_end() != "" {
                line.clear();
                stream.read_line(&mut line).expect("a whole answer");
                if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                    length = value.trim_end().parse().expect("a number");
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).expect("a whole answer");
            body
        }
    }

    /// Entries of the list's newest version.
    pub fn entries(&self) -> u64 {
        let shown: serde_json::Value = serde_json::from_slice(&self.run(&["list", "show", "bench", "--json"])).expect("JSON");
        shown["entries"].as_u64().unwrap_or_else(|| panic!("no number of entries in {shown}"))
    }

    /// The daemon's peak resident memory so far, in octets.
    pub fn peak(&self) -> u64 {
        super::house::peak_of(&self.child.id().to_string())
    }

    fn run(&self, args: &[&str]) -> Vec<u8> {
        let output = command(self.dir.path()).args(args).env("BWLD_SERVER", &self.address).output().expect("the program starts");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program in this folder, without settings from outside.
fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bwld"));
    command.current_dir(dir).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", dir);
    command
}
