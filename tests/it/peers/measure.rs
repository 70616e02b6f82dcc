//! Figures of each resolver: first transfer, memory, and how soon 100 changes count. Only on demand, since it takes minutes:
//! `BWLD_LONG=1 cargo test --test it peers::measure -- --nocapture --test-threads 1`; `BWLD_LONG_RULES` is how many rules,
//! 1,000,000 without it; `BWLD_TEST_PROGRAM` names the program to run, such as `target/release/bwld`, which decides the figures.

use std::time::{Duration, Instant};

use domain::base::Rtype;

use super::site::Site;
use super::{Answer, Program, ask, bind, names, powerdns, recipe, unbound, with_a_network};

/// Publications of 100 changes each, and as many of one.
const ROUNDS: usize = 11;

/// One of the resolvers.
struct Measured {
    name: &'static str,
    net: u8,
    /// Other settings of the publisher.
    settings: Option<fn(String) -> String>,
    start: fn(&Site) -> Program,
    /// What runs beside it.
    beside: fn(&Site) -> Vec<Program>,
    blocked: fn(&Answer) -> bool,
}

/// Whether to measure at all.
fn asked() -> bool {
    let asked = std::env::var_os("BWLD_LONG").is_some();
    if !asked {
        println!("skipped: this measurement because it takes minutes; set BWLD_LONG=1");
    }
    asked
}

/// A resolver that takes the whole list as one zone, with nothing beside it.
fn one_zone(name: &'static str, net: u8, start: fn(&Site) -> Program, blocked: fn(&Answer) -> bool) -> Measured {
    Measured { name, net, settings: None, start, beside: |_| Vec::new(), blocked }
}

/// Parts of the list for BIND.
const PARTS: usize = 16;

/// What the publisher is told besides: the list in parts.
fn parts(settings: String) -> String {
    settings
        + &format!(
            "\n[[dns.zone]]\nname = \"large.example.org\"\nlist = \"block\"\nparts = {PARTS}\nkeys = [\"isp-a\"]\nnotify = [\"127.0.66.53 isp-a\"]\n"
        )
}

/// named with a zone for each part in place of the whole list.
fn named_of_parts(site: &Site) -> Program {
    let names: Vec<String> = (0..PARTS).map(|n| format!("{n}.large.example.org")).collect();
    let policy: String = names.iter().map(|name| format!("    zone \"{name}\";\n")).collect();
    let zone = |name: &String| {
        let (publisher, folder) = (site.publisher(), site.folder());
        format!("zone \"{name}\" {{ type secondary; primaries {{ {publisher} key \"isp-a\"; }}; file \"{folder}{name}\"; }};\n")
    };
    let others = site.own_signed(recipe("bind-zones.conf")).with("/var/cache/bind/", site.folder()).text();
    let zones = others + &names.iter().map(zone).collect::<String>();
    bind::run(site, &bind::options_with("    zone \"block.rpz.example.org\";\n", &policy), &zones)
}

fn transferred(site: &Site) -> u64 {
    site.counted("bwld_dns_transferred_bytes_total")
}

/// Milliseconds from `bwld publish` until each of these names is blocked, sorted.
fn until_blocked(site: &Site, resolver: &mut Program, blocked: fn(&Answer) -> bool, rules: &[String]) -> Vec<u128> {
    site.stage(&["add", "block", "-"], &rules.iter().map(String::as_str).collect::<Vec<_>>());
    let began = Instant::now();
    site.publish("block");
    let mut waits = Vec::new();
    let mut pending: Vec<&str> = rules.iter().filter_map(|rule| rule.strip_prefix("domain:")).collect();
    resolver.until("blocked once published", || {
        pending.retain(|name| {
            let done = ask(site.resolver(), name, Rtype::A).is_some_and(|answer| blocked(&answer));
            if done {
                waits.push(began.elapsed().as_millis());
            }
            !done
        });
        pending.is_empty()
    });
    waits
}

/// One of the names of the list.
fn name(i: usize) -> String {
    format!("n{i}.domain-{}.example", i % 9_973)
}

fn middle(mut of: Vec<u128>) -> u128 {
    of.sort_unstable();
    of[of.len() / 2]
}

fn measure(measured: &Measured) {
    let rules: usize = std::env::var("BWLD_LONG_RULES").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let mut site = Site::new(measured.net);
    if let Some(settings) = measured.settings {
        site.start_with(settings);
    }
    let mut lines: String = (0..rules - 1).map(|i| name(i) + "\n").collect();
    lines.push_str("the-last.example\n");
    site.place.write("rules.txt", lines);
    site.place.run(&["import", "rules.txt", "--list", "block", "--format", "domains"]).with_code(0);
    site.publish("block");

    let began = Instant::now();
    let mut resolver = (measured.start)(&site);
    let _beside = (measured.beside)(&site);
    site.until(&mut resolver, "blocked after the first transfer", "the-last.example", measured.blocked);
    // Of a list in parts each of them, not only that of the last name.
    for i in (0..rules - 1).step_by((rules / 200).max(1)) {
        site.until(&mut resolver, "blocked after the first transfer", &name(i), measured.blocked);
    }
    let (first, octets, memory) = (began.elapsed(), transferred(&site), resolver.resident());
    let (before, sent) = (transferred(&site), site.sent());

    let (mut hundred, mut last, mut one) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..2 * ROUNDS {
        let count = if round % 2 == 0 { 100 } else { 1 };
        let rules: Vec<String> = (0..count).map(|i| format!("domain:c{i}.round-{round}.example")).collect();
        // At any moment of the second, or who asks once a second is always caught at the same.
        std::thread::sleep(Duration::from_millis(1_000 + round as u64 * 370 % 1_000));
        let waits = until_blocked(&site, &mut resolver, measured.blocked, &rules);
        if count == 100 {
            last.extend(waits.last());
            hundred.extend(waits);
        } else {
            one.extend(waits);
        }
    }
    let each = (transferred(&site) - before) / (2 * ROUNDS as u64);
    if std::env::var_os("BWLD_LONG_LOG").is_some() {
        println!("{}", resolver.log());
    }
    println!(
        "{}: {rules} rules; first transfer {first:.2?}, {octets} octets; resident {memory} KiB after it, {} KiB at the end; from `bwld \
         publish` to enforced: each of 100 names median {} ms, the last of them median {} ms, at most {} ms; one name median {} ms, at most \
         {} ms; {each} octets a version on average; then sent {:?}, before {sent:?}",
        measured.name,
        resolver.resident(),
        middle(hundred),
        middle(last.clone()),
        last.iter().max().expect("rounds"),
        middle(one.clone()),
        one.iter().max().expect("rounds"),
        site.sent(),
    );
}

#[test]
fn named() {
    if asked() {
        let measured = one_zone("BIND", 61, bind::start, Answer::is_nxdomain);
        with_a_network(&["named"], || measure(&measured));
    }
}

#[test]
fn named_in_parts() {
    if asked() {
        let measured = Measured { settings: Some(parts), ..one_zone("BIND, in parts", 66, named_of_parts, Answer::is_nxdomain) };
        with_a_network(&["named"], || measure(&measured));
    }
}

#[test]
fn unbound_() {
    if asked() {
        let measured = one_zone("Unbound", 62, unbound::start, Answer::is_nodata);
        with_a_network(&["unbound"], || measure(&measured));
    }
}

#[test]
fn recursor() {
    if asked() {
        let measured = one_zone("PowerDNS Recursor", 63, powerdns::start, Answer::is_nxdomain);
        with_a_network(&["pdns_recursor"], || measure(&measured));
    }
}

#[test]
fn kresd() {
    if asked() {
        let measured = Measured { beside: names::follow, ..one_zone("Knot Resolver", 64, names::kresd, Answer::is_nxdomain) };
        with_a_network(&["kresd", "kdig"], || measure(&measured));
    }
}

#[test]
fn dnsdist() {
    if asked() {
        let measured = Measured { beside: names::follow, ..one_zone("dnsdist", 65, names::dnsdist, Answer::is_nxdomain) };
        with_a_network(&["dnsdist", "kdig"], || measure(&measured));
    }
}
