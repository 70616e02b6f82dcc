//! Runs the built program: commands to their end, daemons until dropped. Everything in temporary folders, on port 0.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up; generous, because CI machines are slow.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// What a command said.
#[derive(Debug)]
pub struct Said {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// This exit code, or the test fails with everything that was said.
    #[track_caller]
    pub fn with_code(self, code: i32) -> Said {
        assert_eq!(self.code, code, "exit code\n--- out\n{}\n--- err\n{}", self.out, self.err);
        self
    }

    /// The output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}\n{}", self.out, self.err))
    }
}

/// A folder of its own and a shell in it without any settings from outside.
pub struct Place {
    dir: tempfile::TempDir,
    vars: Vec<(String, String)>,
}

impl Place {
    /// An empty folder.
    pub fn new() -> Place {
        Place { dir: tempfile::tempdir().expect("a temporary folder"), vars: Vec::new() }
    }

    /// Sets a variable for every command from here on.
    pub fn var(&mut self, name: &str, value: &str) {
        self.vars.push((name.into(), value.into()));
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file's text.
    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).expect("a writable folder");
    }

    /// The program with these arguments, not yet started.
    pub fn command(&self, args: &[&str]) -> Command {
        // Measurements name a program that was built with optimisation.
        let program = std::env::var_os("BWLD_TEST_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_bwld").into());
        let mut command = Command::new(program);
        command.args(args).current_dir(self.dir.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.dir.path());
        command.envs(self.vars.iter().map(|(k, v)| (k, v)));
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, args: &[&str]) -> Said {
        self.run_with_input(args, b"")
    }

    /// The same, with a standard input.
    pub fn run_with_input(&self, args: &[&str], input: &[u8]) -> Said {
        let mut child =
            self.command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let input = input.to_vec();
        // A command that fails early does not read its input: that is not the test's failure.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().expect("the program ends");
        writer.join().expect("the input was written");
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// Starts a publisher on a free port with the default data folder, without the lists that ship.
    pub fn serve(&self) -> Daemon {
        self.serve_with(&["--listen", "127.0.0.1:0"], &[("BWLD_SERVE_SHIPPED_LISTS", "false")])
    }

    /// Starts a publisher; returns when it has said where it listens.
    pub fn serve_with(&self, args: &[&str], vars: &[(&str, &str)]) -> Daemon {
        let mut command = self.command(&[&["serve"], args].concat());
        command.envs(vars.iter().copied());
        Daemon::start(command, "Ctrl-C stops.")
    }

    /// Starts a follower; returns when it has said its first line.
    pub fn follow(&self, args: &[&str]) -> Daemon {
        Daemon::start(self.command(&[&["follow"], args].concat()), "Ctrl-C stops.")
    }
}

/// A running daemon. Killed when dropped.
pub struct Daemon {
    child: Child,
    log: mpsc::Receiver<String>,
    /// What it said when it was ready.
    pub greeting: String,
}

impl Daemon {
    fn start(mut command: Command, ready: &str) -> Daemon {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let lines = forward(child.stdout.take().expect("a pipe"));
        let log = forward(child.stderr.take().expect("a pipe"));
        let mut daemon = Daemon { child, log, greeting: String::new() };
        let deadline = Instant::now() + DEADLINE;
        while !daemon.greeting.contains(ready) {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => daemon.greeting.push_str(&(line + "\n")),
                Err(e) => {
                    let said = daemon.said();
                    panic!("the daemon did not get ready ({e}); it said:\n{}\n{said}", daemon.greeting)
                }
            }
        }
        daemon
    }

    /// What it has logged since the last call.
    pub fn said(&mut self) -> String {
        std::thread::sleep(Duration::from_millis(10));
        self.log.try_iter().map(|line| line + "\n").collect()
    }

    /// The word behind `name` in what it said when it was ready.
    #[track_caller]
    pub fn greeted(&self, name: &str) -> String {
        let line = self.greeting.lines().find_map(|l| l.trim_start().strip_prefix(name));
        let word = line.and_then(|rest| rest.split_whitespace().next());
        word.unwrap_or_else(|| panic!("no \"{name}\" in {}", self.greeting)).to_owned()
    }

    /// `http://ADDRESS:PORT`.
    pub fn address(&self) -> String {
        self.greeted("address ")
    }

    /// Number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop and waits.
    pub fn stop(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        self.wait()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "the daemon does not end; it said:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn forward(pipe: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    // Reads on after nobody listens any more, so that the daemon never stalls on a full pipe.
    std::thread::spawn(move || BufReader::new(pipe).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    receiver
}

/// Waits until `holds`, at most [`DEADLINE`].
#[track_caller]
pub fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Does this on a thread of its own, and returns when it sleeps, as one does who waits for a lock, or has ended. What came of it comes
/// through the channel.
pub fn until_it_waits<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> mpsc::Receiver<T> {
    let (begin, begun) = mpsc::channel();
    let (done, out) = mpsc::channel();
    std::thread::spawn(move || {
        begin.send(fs::read_link("/proc/thread-self").expect("Linux")).expect("it is waited for");
        let _ = done.send(work());
    });
    let status = Path::new("/proc").join(begun.recv().expect("a thread")).join("stat");
    wait_for("the thread to wait", || {
        fs::read_to_string(&status).map_or(true, |text| text.rsplit(") ").next().is_some_and(|s| s.starts_with('S')))
    });
    out
}

/// GET without any client library: the body, whatever the status.
pub fn get(address: &str, path: &str) -> Vec<u8> {
    let host = address.strip_prefix("http://").expect("an http address");
    let mut stream = TcpStream::connect(host).expect("a listening daemon");
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let body = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a header") + 4;
    answer.split_off(body)
}

/// Permission bits of a file.
pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).permissions().mode() & 0o7777
}
