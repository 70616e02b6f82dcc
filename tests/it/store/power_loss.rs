//! The power goes away under a writer: a file system that is cut off without flushing what it holds in memory.
//!
//! ext4 in a file, on a loop device, shut down by its own ioctl (no flush of its log), mounted again. Needs root, loop devices,
//! mkfs.ext4 and python3 (for the ioctl); where they are missing the test says so, and the recorded disk of `faults` stands in,
//! which always runs. `BWLD_LONG=1` makes it 60 rounds.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use bwld::store::StoreOptions;

use super::made::*;

const FOLDER: &str = "BWLD_TEST_POWER_LOSS_FOLDER";

/// Mounts an image and lets go of it whatever happens.
struct Mounted {
    at: PathBuf,
    child: Option<Child>,
}

impl Mounted {
    fn new(image: &Path, at: &Path) -> Result<Mounted, String> {
        run(Command::new("mount").args(["-o", "loop"]).arg(image).arg(at))?;
        Ok(Mounted { at: at.into(), child: None })
    }

    /// FS_IOC_SHUTDOWN with NOLOGFLUSH: as if the power went away now.
    fn cut_off(&self) -> Result<(), String> {
        let call = "import fcntl,os,struct,sys; fcntl.ioctl(os.open(sys.argv[1],os.O_RDONLY),0x8004587D,struct.pack('I',2))";
        run(Command::new("python3").args(["-c", call]).arg(&self.at))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        // The loop device goes with the mount.
        if run(Command::new("umount").arg(&self.at)).is_err() {
            let _ = run(Command::new("umount").arg("-l").arg(&self.at));
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim())) }
}

/// The writer, run as a process of its own by the test below.
#[test]
#[ignore = "the process that the power is taken from"]
fn writer() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let (store, _) = open(Path::new(&folder), StoreOptions { flush_every: 5, ..SLED });
    if store.list(&id("a")).unwrap().is_none() {
        store.commit(&list("a")).unwrap();
    }
    let first = store.list(&id("a")).unwrap().unwrap().next_serial().unwrap().get();
    for n in first..first + 10_000 {
        publish(&store, "a", n, n - (n - 1) % 10).unwrap();
        let mut out = std::io::stdout();
        writeln!(out, "\nacknowledged {n}").and_then(|()| out.flush()).unwrap();
    }
}

/// Starts the writer and takes the power away behind its `after`th acknowledgement. Returns the last it had given then, and the last
/// it gave at all.
///
/// A machine without power gives none any more; this one runs on, and the kernel may answer an fsync that is under way in the moment of
/// the shutdown with success although it has given up the write (seen here once in some hundred rounds). So only those of before count.
fn round(image: &Path, at: &Path, after: u64) -> Result<(u64, u64), String> {
    let mut mounted = Mounted::new(image, at)?;
    let child = Command::new(std::env::current_exe().map_err(|e| e.to_string())?)
        .args(["--exact", "store::power_loss::writer", "--ignored", "--nocapture", "--test-threads=1"])
        .env(FOLDER, at.join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| e.to_string())?;
    let output = mounted.child.insert(child).stdout.take().expect("it was asked for");
    let (tell, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
    let (mut last, mut seen, mut before) = (0, 0, 0);
    loop {
        let line = match lines.recv_timeout(Duration::from_secs(120)) {
            Ok(line) => line,
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => return Err("the writer hangs".into()),
        };
        let Some(n) = line.strip_prefix("acknowledged ").and_then(|n| n.parse().ok()) else { continue };
        last = n;
        seen += 1;
        if seen == after {
            before = last;
            mounted.cut_off()?;
        }
    }
    let _ = reader.join();
    if seen < after { Err(format!("the writer ended by itself at {last}")) } else { Ok((before, last)) }
}

/// Mounts it again and checks that all that was acknowledged is there, whole, and nothing else by halves.
fn survived(image: &Path, at: &Path, (acknowledged, last): (u64, u64)) -> u64 {
    let _mounted = Mounted::new(image, at).unwrap();
    let (store, recovery) = open(&at.join("data"), SLED);
    assert_eq!(recovery.missing, []);
    let serials: BTreeSet<u64> = store.versions(&id("a"), None, 100_000).unwrap().iter().map(|v| v.serial.get()).collect();
    let newest = serials.last().copied().unwrap_or(0);
    assert!(newest >= acknowledged, "acknowledged {acknowledged}, found {newest}");
    assert!(newest <= last + 1, "one at most was under way: tried {last}, found {newest}");
    if newest < last {
        eprintln!("acknowledged in the moment of the shutdown and not there: {} to {last}; before it: {acknowledged}", newest + 1);
    }
    assert_eq!(serials, (1..=newest).collect());
    assert_eq!(store.check().unwrap().problems, [""; 0]);
    newest
}

#[test]
fn what_was_acknowledged_survives_a_file_system_that_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let (image, at) = (dir.path().join("image"), dir.path().join("mounted"));
    std::fs::create_dir(&at).unwrap();
    let prepared = (|| {
        if !rustix::process::geteuid().is_root() {
            return Err("not root".into());
        }
        run(Command::new("truncate").args(["-s", "96M"]).arg(&image))?;
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"]).arg(&image))?;
        let mounted = Mounted::new(&image, &at)?;
        mounted.cut_off() // once, to see whether this machine can
    })();
    if let Err(reason) = prepared {
        eprintln!("skipped: power loss on a real file system: {reason}");
        return;
    }
    let rounds = if std::env::var_os("BWLD_LONG").is_some() { 60 } else { 5 };
    let mut newest = 0;
    for n in 0..rounds {
        // Somewhere in the cycle of bases, segments and flushes.
        let acknowledged = round(&image, &at, 3 + n * 7 % 23).unwrap();
        assert!(acknowledged.0 > newest);
        newest = survived(&image, &at, acknowledged);
    }
    eprintln!("power loss: {rounds} rounds, {newest} versions, none lost");
}
