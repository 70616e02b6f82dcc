//! Filters that read files: each with its recipe, asked for what is blocked and what is not, and again after a change that
//! reached it while it ran.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use domain::base::Rtype;

use crate::support::wait_for;

use super::fed::{Fed, open_up, origin, status};
use super::story::passes;
use super::{Program, World, ask, find, free_port, is_alone, recipe, with};

pub(super) const RULES: [&str; 3] = ["subtree:blocked.example", "domain:host.example", "prefix:site.example/bad/"];

pub(super) fn at(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Whether a resolver blocks a name. It is asked again where it says nothing: a program that reads its files again may lose a question.
#[track_caller]
fn blocks(program: &mut Program, server: SocketAddr, name: &str) -> bool {
    program.answer(name, || {
        let answer = ask(server, name, Rtype::A).filter(|answer| answer.rcode != "SERVFAIL" && answer.rcode != "REFUSED")?;
        let blocked = answer.is_nxdomain() || answer.records == ["A 0.0.0.0"];
        assert!(blocked || answer.records == ["A 198.18.0.1"], "{name}: {answer:?}");
        Some(blocked)
    })
}

/// Asks a resolver for what the rules say, publishes one more and asks again.
fn names(fed: &mut Fed, program: &mut Program, server: SocketAddr) {
    let before = [
        ("fine.example", false),
        ("blocked.example", true),
        ("www.blocked.example", true),
        ("host.example", true),
        ("www.host.example", false),
        ("notblocked.example", false),
        ("site.example", false),
    ];
    for (name, blocked) in before {
        assert_eq!(blocks(program, server, name), blocked, "{name}: {}", fed.said());
    }
    fed.publish(&["subtree:fine.example", "domain:one.example"]);
    let now = ["fine.example", "www.fine.example", "one.example"];
    program.until("the change", || now.iter().all(|name| ask(server, name, Rtype::A).is_some_and(|a| !passes(&a))));
    let after =
        now.map(|name| (name, true)).into_iter().chain([("other.example", false), ("www.one.example", false), ("blocked.example", true)]);
    for (name, blocked) in after {
        assert_eq!(blocks(program, server, name), blocked, "{name}: {}", fed.said());
    }
}

#[test]
fn dnsmasq() {
    with(&["dnsmasq", "pkill"], || {
        let world = World::start();
        let mut fed = Fed::new(&RULES);
        let (port, pid) = (free_port(), fed.text("dnsmasq.pid"));
        fed.follow(recipe("dnsmasq.toml").with("/run/dnsmasq/dnsmasq.pid", &pid));
        fed.wait_for_file("out/adult.servers");
        fed.wait_for_file("out/adult.hosts");
        recipe("dnsmasq.conf").with("/var/lib/bwld-follow/out", fed.text("out")).write(&fed.path("dnsmasq.conf"));
        fed.wait_for_reload();
        let mut program = Program::start(
            "dnsmasq",
            &[
                "--keep-in-foreground",
                &format!("--conf-file={}", fed.text("dnsmasq.conf")),
                &format!("--pid-file={pid}"),
                &format!("--port={port}"),
                &format!("--server=127.0.0.1#{}", world.address().port()),
                "--listen-address=127.0.0.1",
                "--bind-interfaces",
                "--no-resolv",
                "--no-hosts",
                "--user=root",
                "--log-facility=-",
            ],
        );
        names(&mut fed, &mut program, at(port));
    });
}

#[test]
fn unbound_by_include_file() {
    with(&["unbound", "unbound-control"], || {
        let world = World::start();
        let mut fed = Fed::new(&RULES);
        let (port, conf, control) = (free_port(), fed.text("unbound.conf"), fed.text("unbound.ctl"));
        fed.follow(recipe("unbound-include.toml").with("/etc/unbound/unbound.conf", &conf));
        fed.wait_for_file("out/adult.unbound.conf");
        let of_recipe = recipe("unbound-include.conf").with("/var/lib/bwld-follow/out", fed.text("out")).with("/run/unbound.ctl", &control);
        let base = format!(
            "server:\n    interface: 127.0.0.1@{port}\n    username: \"\"\n    chroot: \"\"\n    directory: \"{}\"\n    pidfile: \"\"\n    \
             use-syslog: no\n    do-daemonize: no\n    do-not-query-localhost: no\n    module-config: \"iterator\"\n    \
             outgoing-interface: 127.0.0.1\n    cache-max-ttl: 0\n\
             forward-zone:\n    name: \".\"\n    forward-addr: 127.0.0.1@{}\n\n{}    control-use-cert: no\n",
            fed.text(""),
            world.address().port(),
            of_recipe.text()
        );
        std::fs::write(&conf, base).expect("written");
        fed.wait_for_reload();
        let mut program = Program::start("unbound", &["-d", "-c", &conf]);
        names(&mut fed, &mut program, at(port));
    });
}

#[test]
fn squid() {
    with(&["squid"], || {
        let origin = origin();
        let mut fed = Fed::new(&RULES);
        let (port, conf) = (free_port(), fed.text("squid.conf"));
        fed.follow(recipe("squid.toml").with("/etc/squid/squid.conf", &conf));
        fed.wait_for_file("out/adult.domains");
        fed.wait_for_file("out/adult.urls");
        fed.wait_for_reload();
        let names = ["fine.example", "www.fine.example", "blocked.example", "www.blocked.example", "host.example", "www.host.example"];
        let hosts: String = names.iter().chain(&["site.example"]).map(|name| format!("127.0.0.1 {name}\n")).collect();
        fed.place().write("hosts", hosts);
        std::fs::create_dir(fed.path("squid")).expect("a folder");
        std::process::Command::new("chmod").arg("0777").arg(fed.path("squid")).status().expect("chmod");
        let (here, lists) = (fed.text("squid"), recipe("squid.conf").with("/var/lib/bwld-follow/out", fed.text("out")).text());
        let base = format!(
            "http_port 127.0.0.1:{port}\nhosts_file {}\ndns_nameservers 127.0.0.1\npid_filename {here}/pid\ncache_log {here}/cache.log\n\
             access_log none\nnetdb_filename none\ncache deny all\ncoredump_dir {here}\npinger_enable off\nvisible_hostname squid.test\nshutdown_lifetime 1 seconds\n\
             {lists}http_access allow all\n",
            fed.text("hosts")
        );
        std::fs::write(&conf, base).expect("written");
        let mut program = Program::start("squid", &["-N", "-f", &conf, "-d", "1"]);
        let origin = origin.port();
        let get = |host: &str, path: &str| {
            let target = format!("http://{host}:{origin}{path}");
            status(at(port), &target, &format!("{host}:{origin}"))
        };
        program.until("the first answers", || get("fine.example", "/") == Some(200) && get("blocked.example", "/") == Some(403));
        assert_eq!((get("www.blocked.example", "/"), get("host.example", "/x")), (Some(403), Some(403)));
        assert_eq!((get("www.host.example", "/"), get("www.fine.example", "/")), (Some(200), Some(200)));
        // A rule without a port is of ports 80 and 443.
        assert_eq!(get("site.example", "/bad/x"), Some(200), "the rule is not of this port");
        fed.publish(&["subtree:fine.example", &format!("prefix:site.example:{origin}/bad/")]);
        let now = [("fine.example", "/"), ("site.example", "/bad/x"), ("www.fine.example", "/"), ("site.example", "/good/")];
        program.until("the change", || now.map(|(host, path)| get(host, path)) == [Some(403), Some(403), Some(403), Some(200)]);
    });
}

/// What squidGuard says of an address; empty or OK: it may pass.
fn asked(conf: &str, urls: &[&str]) -> Vec<bool> {
    let program = find("squidGuard").expect("it was asked for");
    let mut child = Command::new(program).args(["-c", conf]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut input = child.stdin.take().expect("a pipe");
    for url in urls {
        writeln!(input, "{url} 127.0.0.1/- - GET").expect("it reads");
    }
    drop(input);
    let answers = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let blocked = answers.map(|line| line.contains("blocked.invalid")).collect();
    let _ = child.wait();
    blocked
}

#[test]
fn squidguard() {
    with(&["squidGuard"], || {
        let mut fed = Fed::new(&["subtree:blocked.example", "domain:host.example", "prefix:site.example/bad/"]);
        // Squid starts its helpers anew at reconfigure; here the test does.
        let outputs = recipe("squidGuard.toml").with("\"squid\", \"-f\", \"/etc/squid/squid.conf\", \"-k\", \"reconfigure\"", "\"true\"");
        fed.follow(outputs);
        fed.wait_for_file("out/adult.squidguard.domains");
        fed.wait_for_file("out/adult.squidguard.urls");
        std::fs::create_dir(fed.path("log")).expect("a folder");
        let conf = fed.text("squidGuard.conf");
        recipe("squidGuard.conf")
            .with("/var/lib/bwld-follow/out", fed.text("out"))
            .with("/var/log/squidguard", fed.text("log"))
            .write(&fed.path("squidGuard.conf"));
        let urls = [
            "http://blocked.example/",
            "http://www.blocked.example/x",
            "http://fine.example/",
            "http://host.example/",
            "http://site.example/bad/x",
            "http://site.example/good",
        ];
        // It cannot say one host alone: left out, not widened.
        assert_eq!(
            asked(&conf, &urls),
            [true, true, false, false, false, false],
            "{:?}",
            std::fs::read_to_string(fed.path("log/squidGuard.log"))
        );
        fed.publish(&["subtree:fine.example"]);
        wait_for("the change", || asked(&conf, &urls)[2]);
        assert_eq!(asked(&conf, &urls), [true, true, true, false, false, false]);
    });
}

/// What comes through a proxy.
fn through(proxy: SocketAddr, url: &str) -> String {
    let talk = || {
        let mut stream = TcpStream::connect_timeout(&proxy, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let host = url.split('/').nth(2).unwrap_or_default();
        write!(stream, "GET {url} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    talk().unwrap_or_default()
}

/// Debian's configuration with the lists of the recipe, free ports, and the origin as the proxy above it, so that no name is asked for.
fn e2guardian_of(fed: &Fed, port: u16, origin: SocketAddr) -> String {
    let read = |name: &str| std::fs::read_to_string(format!("/etc/e2guardian/{name}")).expect("Debian's configuration");
    let (here, out) = (fed.text("e2"), fed.text("out"));
    std::fs::create_dir(&here).expect("a folder");
    let ours = recipe("e2guardian.conf").with("/var/lib/bwld-follow/out", &out).text();
    let banned = ["sitelist = 'name=banned,", "urllist = 'name=banned,"];
    let group: String =
        read("e2guardianf1.conf").lines().filter(|l| !banned.iter().any(|b| l.starts_with(b))).map(|l| format!("{l}\n")).collect();
    std::fs::write(fed.path("e2guardianf1.conf"), format!("{group}{ours}")).expect("written");
    let set = ["filterports =", "filterip =", "httpworkers =", "nodaemon ="];
    let base: String =
        read("e2guardian.conf").lines().filter(|l| !set.iter().any(|s| l.starts_with(s))).map(|l| format!("{l}\n")).collect();
    let conf = fed.text("e2guardian.conf");
    let own = format!(
        "filterports = {port}\nfilterip = 127.0.0.1\nhttpworkers = 20\nnodaemon = on\npidfilename = '{here}/pid'\nloglocation = '{here}/log'\n\
         proxyip = 127.0.0.1\nproxyport = {}\ndaemonuser = 'root'\ndaemongroup = 'root'\n",
        origin.port()
    );
    std::fs::write(&conf, format!("{base}{own}")).expect("written");
    conf
}

#[test]
fn e2guardian() {
    with(&["e2guardian"], || {
        let origin = origin();
        let mut fed = Fed::new(&RULES);
        let port = free_port();
        let conf = fed.text("e2guardian.conf");
        fed.follow(recipe("e2guardian.toml").with("/etc/e2guardian/e2guardian.conf", &conf));
        fed.wait_for_file("out/adult.sites");
        fed.wait_for_file("out/adult.paths");
        e2guardian_of(&fed, port, origin);
        fed.wait_for_reload();
        let mut program = Program::start("e2guardian", &["-N", "-c", &conf]);
        let shows = |host: &str| through(at(port), &format!("http://{host}/")).contains("<p>origin</p>");
        let refuses = |host: &str| {
            let text = through(at(port), &format!("http://{host}/"));
            !text.is_empty() && !text.contains("<p>origin</p>")
        };
        program.until("the first answers", || shows("fine.example") && refuses("blocked.example"));
        assert!(refuses("www.blocked.example") && shows("www.host.example") && shows("notblocked.example"));
        // It takes a list whose time of change is within the second of its reading for the one that it has.
        let read = std::time::Instant::now();
        program.until("another second", || read.elapsed() > Duration::from_millis(1_100));
        fed.publish(&["subtree:fine.example"]);
        // A worker of before may still answer once.
        let all = || refuses("fine.example") && refuses("www.fine.example") && refuses("blocked.example") && shows("other.example");
        program.until("the change", all);
    });
}

#[test]
fn nft_in_a_network_of_its_own() {
    with(&["nft", "ip"], || {
        if !is_alone() {
            println!("skipped: rules of this machine are not for a test to change");
            return;
        }
        let ip = |args: &[&str]| assert!(Command::new(find("ip").expect("ip")).args(args).status().expect("it runs").success());
        for address in ["198.18.5.1/32", "198.18.6.1/32"] {
            ip(&["addr", "add", address, "dev", "lo"]);
        }
        let mut fed = Fed::new(&["cidr:198.18.5.0/24", "cidr:2001:db9::/32"]);
        let file = fed.text("out/adult.nft");
        fed.follow(recipe("nft.toml").with("/etc/nftables.d/adult.nft", &file));
        fed.wait_for_file("out/adult.nft");
        recipe("nft.rules").with("/etc/nftables.d/adult.nft", &file).write(&fed.path("rules.nft"));
        let nft = |args: &[&str]| Command::new(find("nft").expect("nft")).args(args).output().expect("it runs");
        let loaded = nft(&["-f", &fed.text("rules.nft")]);
        assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let reaches = |address: &str| {
            let address = SocketAddr::from((address.parse::<Ipv4Addr>().expect("an address"), port));
            TcpStream::connect_timeout(&address, Duration::from_secs(5)).is_ok()
        };
        assert!(!reaches("198.18.5.1") && reaches("198.18.6.1"));
        fed.publish(&["cidr:198.18.6.0/24"]);
        wait_for("the change", || !reaches("198.18.6.1"));
        assert!(!reaches("198.18.5.1") && reaches("127.0.0.1"));
        assert!(String::from_utf8_lossy(&nft(&["list", "set", "inet", "bwld", "v6-adult"]).stdout).contains("2001:db9::/32"));
    });
}

/// What Chromium shows of an address with the policy in this folder, which takes the place of the machine's for it alone.
fn shown(policies: &std::path::Path, profile: &std::path::Path, port: u16, host: &str, path: &str) -> String {
    let _ = std::fs::remove_dir_all(profile);
    // A name server on loopback in place of the machine's, so that no question is meant for the network.
    let script = "mount -t tmpfs none /etc/chromium && mkdir -p /etc/chromium/policies/managed && \
                  mount --bind \"$1\" /etc/chromium/policies/managed && echo nameserver 127.0.0.1 > /etc/chromium/resolv.conf && \
                  mount --bind /etc/chromium/resolv.conf /etc/resolv.conf && shift && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, "sh"]).arg(policies).arg("chromium").args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--timeout=20000",
        "--dump-dom",
    ]);
    command
        .arg(format!("--user-data-dir={}", profile.display()))
        // The origin as a proxy: then no name is asked for, and no way to the network is looked for.
        .arg(format!("--proxy-server=127.0.0.1:{port}"));
    let output = command.arg(format!("http://{host}{path}")).stdin(Stdio::null()).output().expect("unshare starts");
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        if output.stdout.is_empty() { String::from_utf8_lossy(&output.stderr) } else { "".into() }
    )
}

#[test]
fn chromium_by_policy_file() {
    with(&["chromium", "unshare", "ip"], || {
        if !is_alone() {
            println!("skipped: Chromium asks for hosts of its maker where it has a network");
            return;
        }
        // At its start Chromium looks whether there is a way to this address, without sending anything: there is none, and it is not counted.
        let route = ["-6", "route", "add", "blackhole", "2001:4860:4860::8888/128"];
        assert!(Command::new(find("ip").expect("ip")).args(route).status().expect("it runs").success());
        let port = origin().port();
        let mut fed = Fed::new(&RULES);
        std::fs::create_dir(fed.path("managed")).expect("a folder");
        open_up(&fed.path("managed"));
        fed.follow(recipe("chromium.toml").with("/etc/chromium/policies/managed", fed.text("managed")));
        fed.wait_for_file("managed/bwld.json");
        let (policies, profile) = (fed.path("managed"), fed.path("profile"));
        let blocked = |host: &str| {
            let text = shown(&policies, &profile, port, host, "/");
            assert!(text.contains("origin") || text.contains("BLOCKED_BY_ADMINISTRATOR") || text.contains("blocked"), "{host}: {text}");
            !text.contains("<p>origin</p>")
        };
        assert!(!blocked("fine.example"));
        assert!(blocked("www.blocked.example") && blocked("host.example") && !blocked("www.host.example"));
        fed.publish(&["domain:fine.example"]);
        wait_for("the change in the file", || {
            std::fs::read_to_string(policies.join("bwld.json")).is_ok_and(|t| t.contains(".fine.example"))
        });
        assert!(blocked("fine.example"));
    });
}
