//! Runs what README.md shows: its marked console blocks, one after the other, in an empty folder, with the built program.
//!
//! A block is marked by the comment line before it. `<!-- run -->`: each line behind `$ ` is given to the shell and must
//! succeed; the lines below it must be what it prints, where `...` stands for any lines and `…` for any text in
//! a line. `<!-- run: background -->`: a
//! daemon, started and left running. `<!-- not run -->`: needs another machine, or this test. A block without a mark is a
//! mistake. `cargo run --release --` is the built program, and the address is that of the daemon started here.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long the daemon may take to publish the shipped lists on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);
/// The address README.md speaks of.
const ADDRESS: &str = "127.0.0.1:7080";

#[derive(PartialEq, Eq, Debug)]
enum Mark {
    Run,
    Background,
    NotRun,
}

/// One command and what it must print.
#[derive(PartialEq, Eq, Debug)]
struct Step {
    command: String,
    expected: Vec<String>,
}

fn blocks(text: &str) -> Vec<(Mark, Vec<Step>)> {
    let mut found = Vec::new();
    let mut before = "";
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == "```console" {
            let mark = match before {
                "<!-- run -->" => Mark::Run,
                "<!-- run: background -->" => Mark::Background,
                "<!-- not run -->" => Mark::NotRun,
                other => panic!("README.md: a console block behind {other:?}, which is no mark"),
            };
            let mut steps: Vec<Step> = Vec::new();
            for line in lines.by_ref().take_while(|l| *l != "```") {
                match (line.strip_prefix("$ "), steps.last_mut()) {
                    (Some(command), _) => steps.push(Step { command: command.to_owned(), expected: Vec::new() }),
                    (None, Some(step)) => step.expected.push(line.to_owned()),
                    (None, None) => panic!("README.md: a console block begins with output: {line}"),
                }
            }
            found.push((mark, steps));
        }
        before = line;
    }
    found
}

/// Whether a line is what is expected; `…` stands for any text.
fn line_fits(line: &str, expected: &str) -> bool {
    match expected.split_once('…') {
        None => line == expected,
        Some((head, tail)) => line
            .strip_prefix(head)
            .is_some_and(|rest| rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| line_fits(&rest[at..], tail))),
    }
}

/// Whether `printed` is what `expected` says; a line `...` stands for any number of lines.
fn fits(printed: &[&str], expected: &[String]) -> bool {
    match expected.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == "..." => (0..=printed.len()).any(|skipped| fits(&printed[skipped..], rest)),
        Some((first, rest)) => printed.split_first().is_some_and(|(line, more)| line_fits(line, first) && fits(more, rest)),
    }
}

/// A daemon that ends with the test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Reader {
    folder: tempfile::TempDir,
    address: Option<String>,
}

impl Reader {
    fn new() -> Reader {
        let folder = tempfile::tempdir().expect("a folder");
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).expect("a folder for the program");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_bwld"), bin.join("bwld")).expect("a link to the program");
        fs::create_dir(folder.path().join("work")).expect("an empty folder");
        Reader { folder, address: None }
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    fn shell(&self, command: &str) -> Command {
        let mut text = command.replace("cargo run --release --", "exec bwld");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("sh");
        shell
            .env_clear()
            .env("PATH", format!("{}:{path}", self.folder.path().join("bin").display()))
            .env("HOME", self.folder.path())
            .env("LC_ALL", "C")
            .current_dir(self.work())
            .stdin(Stdio::null());
        match &self.address {
            Some(address) => {
                text = text.replace(ADDRESS, address);
                shell.env("BWLD_SERVER", format!("http://{address}"));
            }
            None => {
                shell.env("BWLD_SERVE_LISTEN", "127.0.0.1:0");
            }
        }
        shell.args(["-euc", &text]);
        shell
    }

    /// Starts a daemon and waits until it listens.
    fn start(&mut self, step: &Step) -> Daemon {
        let log = self.folder.path().join("daemon.log");
        let out = File::create(&log).expect("a log");
        let err = out.try_clone().expect("the same log");
        let mut daemon = Daemon(self.shell(&step.command).stdout(out).stderr(err).spawn().expect("a daemon"));
        let began = Instant::now();
        loop {
            if let Some(address) = listening(&self.work()) {
                self.address = Some(address);
                return daemon;
            }
            let ended = daemon.0.try_wait().expect("its state");
            if ended.is_some() || began.elapsed() > DEADLINE {
                let mut said = String::new();
                File::open(&log).and_then(|mut f| f.read_to_string(&mut said)).expect("its log");
                panic!("`{}` does not listen ({ended:?}):\n{said}", step.command);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn run(&self, step: &Step) {
        let output = self.shell(&step.command).output().expect("a shell");
        let printed = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`{}`: {}\n{printed}{complaint}", step.command, output.status);
        let lines: Vec<&str> = printed.lines().collect();
        assert!(
            fits(&lines, &step.expected),
            "`{}` prints\n{printed}and not, as README.md says,\n{}",
            step.command,
            step.expected.join("\n")
        );
    }
}

/// The address the daemon wrote, once it answers there.
fn listening(work: &Path) -> Option<String> {
    let address = fs::read_to_string(work.join("bwld-data/address")).ok()?.trim().to_owned();
    let bare = address.trim_start_matches("http://").trim_end_matches('/').to_owned();
    std::net::TcpStream::connect(&bare).ok()?;
    Some(bare)
}

#[test]
fn the_commands_of_the_readme_do_what_it_says() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("README.md");
    let blocks = blocks(&text);
    assert!(blocks.iter().filter(|(mark, _)| *mark == Mark::Run).count() >= 3, "README.md shows its commands");
    let mut reader = Reader::new();
    let mut daemons = Vec::new();
    for (mark, steps) in &blocks {
        for step in steps {
            match mark {
                Mark::Background => daemons.push(reader.start(step)),
                Mark::Run => reader.run(step),
                Mark::NotRun => {}
            }
        }
    }
    assert_eq!(daemons.len(), 1, "README.md starts the publisher");
}

#[test]
fn the_test_command_is_in_the_readme_and_ends_the_ci_script() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("README.md");
    let commands: Vec<String> = blocks(&text).into_iter().flat_map(|(_, steps)| steps).map(|s| s.command).collect();
    assert_eq!(commands[..2], ["cargo run --release -- serve", "cargo test"], "the two commands come first");
    let script = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/run")).expect(".ci/run");
    assert_eq!(script.lines().last(), Some("cargo test"));
}

#[test]
fn blocks_and_expectations_are_read() {
    let text = "x\n<!-- run -->\n```console\n$ a b\none\n...\n$ c\n```\n";
    let step =
        |command: &str, expected: &[&str]| Step { command: command.into(), expected: expected.iter().map(|l| (*l).to_owned()).collect() };
    assert_eq!(blocks(text), [(Mark::Run, vec![step("a b", &["one", "..."]), step("c", &[])])]);
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(fits(&["one", "two", "three"], &lines("one\n...")));
    assert!(fits(&["one"], &lines("one\n...")));
    assert!(fits(&["one", "two", "three"], &lines("...\nthree")));
    assert!(fits(&["one two three"], &lines("one … three")));
    assert!(!fits(&["one two"], &lines("one … three")));
    assert!(!fits(&["one", "two"], &lines("one")));
    assert!(!fits(&["one"], &lines("one\ntwo")));
}
