//! A publisher with the configuration of the recipes, and around it what a resolver needs: addresses, keys, the world.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::base::Rtype;

use super::{Answer, Program, Recipe, World, ask, is_alone, recipe};
use crate::support::{Daemon, Place, get, wait_for};

/// Lists `block` and `allow` published by DNS, in a network of its own: the publisher is 127.0.NET.1, the world 127.0.NET.2, the resolver 127.0.NET.53.
pub struct Site {
    pub place: Place,
    net: u8,
    pub world: World,
    daemon: Option<Daemon>,
    secret: String,
}

/// Transfers that the publisher has sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sent {
    pub increments: u64,
    pub whole: u64,
}

impl Site {
    /// Both lists have one entry, serial 1.
    pub fn new(net: u8) -> Site {
        let place = Place::new();
        // An address of an interface: some programs listen on no other.
        let address = format!("127.0.{net}.53/8");
        let added = Command::new("ip").args(["address", "add", &address, "dev", "lo"]).status().expect("ip");
        assert!(is_alone() && added.success(), "a network of its own has room for {address}");
        let world = World::at(SocketAddr::from(([127, 0, net, 2], 53)));
        let secret = BASE64_STANDARD.encode([net; 32]);
        let mut site = Site { place, net, world, daemon: None, secret };
        site.place.write("isp-a.secret", &site.secret);
        site.certificate();
        // Unbound transfers over TCP from the address of the route, whatever its outgoing-interface: here 127.0.0.1.
        let allowed = format!("allow = [\"{}\"", site.resolver().ip());
        let config = site.own(recipe("bwld.toml")).with("/etc/bwld/", site.folder());
        site.place.write("bwld.toml", config.with(&allowed, format!("{allowed}, \"127.0.0.1\"")).text());
        site.start();
        for (list, colour) in [("block", "black"), ("allow", "white")] {
            site.place.run(&["list", "create", list, "--colour", colour, "--title", list]).with_code(0);
        }
        site.stage(&["add", "block", "--cat", "gambling", "-"], &["subtree:bets.example"]);
        site.add("block", &["domain:first.example", "subtree:under.example"]);
        site.add("allow", &["domain:good.under.example"]);
        site
    }

    /// The publisher's certificate for lists.example.org and its key, and what vouches for it.
    fn certificate(&self) {
        let made = rcgen::generate_simple_self_signed(["lists.example.org".to_owned()]).expect("a certificate");
        self.place.write("transfer.pem", made.cert.pem());
        self.place.write("ca.pem", made.cert.pem());
        self.place.write("transfer.key", made.signing_key.serialize_pem());
        for secret in ["transfer.key", "isp-a.secret"] {
            fs::set_permissions(self.place.path(secret), fs::Permissions::from_mode(0o600)).expect("mode");
        }
    }

    /// Puts the test's addresses into a recipe.
    #[track_caller]
    pub fn own(&self, recipe: Recipe) -> Recipe {
        let recipe = if recipe.has("192.0.2.53") { recipe.with("192.0.2.53", self.resolver().ip()) } else { recipe };
        recipe.with("192.0.2.1", self.publisher())
    }

    /// The same, and the secret.
    #[track_caller]
    pub fn own_signed(&self, recipe: Recipe) -> Recipe {
        self.signed(self.own(recipe))
    }

    /// The secret alone.
    #[track_caller]
    pub fn signed(&self, recipe: Recipe) -> Recipe {
        recipe.with("SECRET", &self.secret)
    }

    /// The folder of everything, with a slash at its end.
    pub fn folder(&self) -> String {
        format!("{}/", self.place.path("").display()).replace("//", "/")
    }

    pub fn publisher(&self) -> IpAddr {
        Ipv4Addr::new(127, 0, self.net, 1).into()
    }

    pub fn resolver(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, self.net, 53], 53))
    }

    /// Starts the publisher, anew after [`Site::stop`].
    pub fn start(&mut self) {
        let args = ["--config", "bwld.toml", "--listen", "127.0.0.1:0", "--origin", "example.org"];
        self.daemon = Some(self.place.serve_with(&args, &[("BWLD_SERVE_SHIPPED_LISTS", "false")]));
    }

    /// Stops the publisher.
    pub fn stop(&mut self) {
        assert!(self.daemon.take().expect("it runs").stop().success());
    }

    /// What the publisher has logged since the last call.
    pub fn said(&mut self) -> String {
        self.daemon.as_mut().expect("it runs").said()
    }

    /// A counter of the publisher since its start; 0 while it has counted nothing of that.
    #[track_caller]
    pub fn counted(&self, metric: &str) -> u64 {
        let text = get(&self.daemon.as_ref().expect("it runs").address(), "/metrics");
        let text = String::from_utf8(text).expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' ')?.parse().ok());
        line.unwrap_or_default()
    }

    /// How many increments and how many whole zones were sent, as the publisher counts them.
    #[track_caller]
    pub fn sent(&self) -> Sent {
        let count = |what: &str| self.counted(&format!("bwld_dns_requests_total{{outcome=\"{what}\"}}"));
        Sent { increments: count("ixfr"), whole: count("axfr") }
    }

    /// Waits until the publisher has counted its zones: it does so again only after minutes, and until then an increment is measured by that.
    #[track_caller]
    pub fn wait_for_counts(&self) {
        let of = |zone| self.counted(&format!("bwld_dns_records{{zone=\"{zone}.example.org.\"}}"));
        wait_for("the records of the zones", || of("block.rpz") > 0 && of("block.open") > 0);
    }

    /// Starts the publisher anew with another configuration.
    pub fn start_with(&mut self, change: impl FnOnce(String) -> String) {
        self.stop();
        self.place.write("bwld.toml", change(self.place.read("bwld.toml")));
        self.start();
    }

    /// Publishes rules.
    #[track_caller]
    pub fn add(&self, list: &str, rules: &[&str]) {
        self.stage(&["add", list, "-"], rules);
        self.publish(list);
    }

    /// Publishes that these rules are no longer on the list.
    #[track_caller]
    pub fn remove(&self, list: &str, rules: &[&str]) {
        self.stage(&["remove", list, "-"], rules);
        self.publish(list);
    }

    #[track_caller]
    pub fn stage(&self, command: &[&str], rules: &[&str]) {
        self.place.run_with_input(command, (rules.join("\n") + "\n").as_bytes()).with_code(0);
    }

    /// Publishes what is staged.
    #[track_caller]
    pub fn publish(&self, list: &str) {
        self.place.run(&["publish", list, "--reason", "a test", "--force", "max-added", "--force", "max-removed"]).with_code(0);
    }

    /// Asks the resolver for the addresses of a name until the answer is as it should be.
    #[track_caller]
    pub fn until(&self, resolver: &mut Program, what: &str, name: &str, right: impl Fn(&Answer) -> bool) -> Duration {
        let start = Instant::now();
        let mut last = None;
        resolver.until(&format!("{name}: {what}"), || {
            last = ask(self.resolver(), name, Rtype::A);
            last.as_ref().is_some_and(&right)
        });
        start.elapsed()
    }

    /// Asks for a name that is on no list until the resolver answers.
    #[track_caller]
    pub fn ready(&self, resolver: &mut Program) {
        self.until(resolver, "an answer from the world", "free.example", |a| a.records == ["A 198.18.0.1"]);
    }

    /// A command of this machine to its end; its output.
    #[track_caller]
    pub fn shell(&self, script: &str) -> (bool, String) {
        let mut command = Command::new("sh");
        let output = command.args(["-c", script]).current_dir(self.place.path("")).output().expect("a shell");
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }
}
