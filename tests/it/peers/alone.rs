//! A test in a network of its own: loopback and nothing else, every port free, and any attempt to leave is counted.
//!
//! Each such test runs once more in a process of its own, in new namespaces for network and processes: what it started
//! dies with it, however it ends. Where the machine allows no namespaces it runs as any other test, on free ports.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::program::find;

/// Set in the process that is alone.
const MARK: &str = "BWLD_TEST_ALONE";

/// Runs `test` with `programs` at hand and alone on loopback; it fails also when anything tried to reach the network.
///
/// `test` must be a closure written in the test function itself: its name is the test's.
pub fn with<F: FnOnce()>(programs: &[&str], test: F) {
    let absent: Vec<&str> = programs.iter().copied().filter(|p| find(p).is_none()).collect();
    if !absent.is_empty() {
        assert!(std::env::var_os("CI").is_none(), "CI must have {}: .ci/run installs it", absent.join(", "));
        println!("skipped: this test because {} is not installed", absent.join(", "));
        return;
    }
    if is_alone() {
        test();
        let strays = strays();
        // HAProxy looks for a route once at each start and reload, without a packet, also with nothing in its configuration.
        let allowed = if programs.contains(&"haproxy") { 4 } else { 0 };
        assert!(strays <= allowed, "{strays} packets or connections were meant for the network");
        return;
    }
    let Some(options) = namespaces() else {
        println!("this machine gives no namespaces: nothing keeps the programs from the network but their configuration");
        return test();
    };
    let name = name_of::<F>();
    let me = std::env::current_exe().expect("a running test has a file");
    let mut command = Command::new("unshare");
    command.args(*options).args(["sh", "-c", r#"ip link set lo up && "$@"; exit $?"#, "sh"]);
    command.arg(me).args(["--exact", &name, "--nocapture", "--include-ignored", "--test-threads", "1"]);
    let output = command.env(MARK, "1").stdin(Stdio::null()).output().expect("unshare starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    print!("{out}{err}");
    assert!(out.contains("1 passed") || !output.status.success(), "{name} is not the name of a test");
    assert!(output.status.success(), "{name} failed, see above ({})", output.status);
}

/// As [`with`], for what needs any port or address of loopback: it is skipped where there are no namespaces.
pub fn with_a_network<F: FnOnce()>(programs: &[&str], test: F) {
    if is_alone() || possible() {
        return with(programs, test);
    }
    assert!(std::env::var_os("CI").is_none(), "CI must allow network namespaces: run it as root, or allow users to make them");
    println!("skipped: this test because it needs a network namespace, which this machine does not allow");
}

/// Whether this process has loopback for itself.
pub fn is_alone() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Whether this machine gives a test a network of its own.
pub fn possible() -> bool {
    namespaces().is_some()
}

/// `peers::bind::follows` of the closure `it::peers::bind::follows::{{closure}}`.
fn name_of<F>() -> String {
    let name = std::any::type_name::<F>();
    let name = name.split_once("::").map_or(name, |(_, rest)| rest);
    name.split("::{{closure}}").next().expect("split gives at least one").to_owned()
}

/// The options with which `unshare` works here, if any do.
fn namespaces() -> Option<&'static &'static [&'static str]> {
    static FOUND: OnceLock<Option<&'static [&'static str]>> = OnceLock::new();
    let ways: [&[&str]; 2] = [
        &["--net", "--pid", "--fork", "--kill-child", "--mount-proc"],
        // Who is not root may be root of a space of his own.
        &["--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"],
    ];
    let found = FOUND.get_or_init(|| {
        let works = |options: &&[&str]| {
            let mut command = Command::new("unshare");
            command.args(*options).args(["ip", "link", "set", "lo", "up"]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
        };
        ways.into_iter().find(works)
    });
    found.as_ref()
}

/// How often somebody in here meant to reach an address that is not loopback.
fn strays() -> u64 {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let v4 = read("/proc/net/snmp");
    let mut ip = v4.lines().filter_map(|l| l.strip_prefix("Ip: "));
    let (names, counts) = (ip.next().unwrap_or_default(), ip.next().unwrap_or_default());
    let v4 = names.split(' ').zip(counts.split(' ')).find(|(name, _)| *name == "OutNoRoutes").map(|(_, n)| n.to_owned());
    let v6 = read("/proc/net/snmp6");
    let v6 = v6.lines().find_map(|l| l.strip_prefix("Ip6OutNoRoutes")).map(|n| n.trim().to_owned());
    [v4, v6].into_iter().flatten().filter_map(|n| n.parse::<u64>().ok()).sum()
}
