//! A program of somebody else: found, started, listened to, ended.

use std::io::{BufRead as _, BufReader, Read};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::DEADLINE;

/// Where the program is: on `PATH` or where Debian puts what only root runs.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(sbin).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// A port of 127.0.0.1 that is free for TCP and UDP.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Below those that the kernel gives to connections going out: one of them could take it before the program has it.
    let begin = std::process::id() as u16;
    let ports = (0..10_000).map(|_| 20_000 + begin.wrapping_mul(37).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000);
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok() && UdpSocket::bind(("127.0.0.1", *port)).is_ok();
    ports.into_iter().find(free).expect("a free port")
}

/// A running program. Killed when dropped.
pub struct Program {
    name: String,
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Program {
    /// Starts `program` with these arguments; what it says is kept.
    #[track_caller]
    pub fn start(program: &str, args: &[&str]) -> Program {
        let mut command = Command::new(find(program).unwrap_or_else(|| panic!("{program} is not installed")));
        command.args(args);
        Program::start_command(command)
    }

    /// The same for a command with an environment or a folder of its own.
    #[track_caller]
    pub fn start_command(mut command: Command) -> Program {
        let name = Path::new(command.get_program()).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{name} does not start: {e}"));
        let log = Arc::new(Mutex::new(String::new()));
        keep(child.stdout.take().expect("a pipe"), log.clone());
        keep(child.stderr.take().expect("a pipe"), log.clone());
        Program { name, child, log }
    }

    /// Waits until `holds`; fails with the program's log after [`DEADLINE`] or when the program ends meanwhile.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !holds() {
            let ended = self.child.try_wait().expect("a child");
            if ended.is_some() || Instant::now() > deadline {
                // What it said last is still on its way through the pipe.
                std::thread::sleep(Duration::from_millis(50));
                let how = ended.map_or("runs".to_owned(), |s| format!("ended with {s}"));
                panic!("waited in vain for: {what}; {} {how}; its log:\n{}", self.name, self.log());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks until there is an answer, as [`Program::until`] waits.
    #[track_caller]
    pub fn answer<T>(&mut self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let mut answer = None;
        self.until(what, || {
            answer = ask();
            answer.is_some()
        });
        answer.expect("waited for")
    }

    /// Waits until its log holds `text`.
    #[track_caller]
    pub fn says(&mut self, text: &str) {
        let log = self.log.clone();
        self.until(&format!("\"{text}\" in the log"), || log.lock().expect("no panic while it is held").contains(text));
    }

    /// What it has said until now, standard output and error together.
    pub fn log(&self) -> String {
        self.log.lock().expect("no panic while it is held").clone()
    }

    /// Process id; with a launcher in between, the launcher's.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in KiB, of this process alone.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("a process has memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Sends the signal by which most programs read their files again.
    #[allow(dead_code)] // for the filters by file
    pub fn hang_up(&self) {
        self.signal(rustix::process::Signal::HUP);
    }

    /// Sends any signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Asks it to stop and waits.
    #[track_caller]
    pub fn stop(mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "{} does not end; its log:\n{}", self.name, self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("--- log of {}\n{}---", self.name, self.log());
        }
    }
}

/// Reads on to the end, so that the program never stalls on a full pipe.
fn keep(pipe: impl Read + Send + 'static, log: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(pipe).split(b'\n').map_while(Result::ok);
        lines.by_ref().for_each(|line| {
            let mut log = log.lock().expect("no panic while it is held");
            log.push_str(&String::from_utf8_lossy(&line));
            log.push('\n');
        });
    });
}
