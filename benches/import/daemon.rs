//! The built program: a daemon in a folder of its own, and the command that imports and publishes through it.

use std::io::{BufRead as _, BufReader};
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
    pub fn import_and_publish(&self, file: &Path) {
        let file = file.to_str().expect("a path of ours");
        self.run(&["import", file, "--list", "bench", "--format", "domains", "--publish"]);
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
