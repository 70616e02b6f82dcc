//! Figures of each resolver: first transfer, memory, and how soon 100 changes count. Only on demand, since it takes minutes:
//! `BWLD_LONG=1 cargo test --release --test it peers::measure -- --nocapture --test-threads 1`; `BWLD_LONG_RULES` is how
//! many rules, 1,000,000 without it.

use std::time::{Duration, Instant};

use super::site::Site;
use super::{Answer, Program, bind, powerdns, unbound, with_a_network};

/// Publications of 100 changes each.
const ROUNDS: usize = 11;

/// Octets that loopback has carried.
fn carried() -> u64 {
    let text = std::fs::read_to_string("/proc/net/dev").expect("Linux");
    let line = text.lines().find_map(|l| l.trim_start().strip_prefix("lo:")).expect("loopback");
    line.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
}

/// Whether to measure at all.
fn asked() -> bool {
    let asked = std::env::var_os("BWLD_LONG").is_some();
    if !asked {
        println!("skipped: this measurement because it takes minutes; set BWLD_LONG=1");
    }
    asked
}

fn measure(name: &str, net: u8, start: fn(&Site) -> Program, blocked: fn(&Answer) -> bool) {
    let rules: usize = std::env::var("BWLD_LONG_RULES").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let site = Site::new(net);
    let mut lines: String = (0..rules - 1).map(|i| format!("n{i}.domain-{}.example\n", i % 9_973)).collect();
    lines.push_str("the-last.example\n");
    site.place.write("rules.txt", lines);
    let import = ["import", "rules.txt", "--list", "block", "--format", "domains"];
    site.place.run(&import).with_code(0);
    site.publish("block");

    let before = carried();
    let began = Instant::now();
    let mut resolver = start(&site);
    site.until(&mut resolver, "blocked after the first transfer", "the-last.example", blocked);
    let (first, octets) = (began.elapsed(), carried() - before);
    let memory = resolver.resident();

    let (mut waits, mut published): (Vec<Duration>, Vec<Duration>) = Default::default();
    let before = carried();
    for round in 0..ROUNDS {
        let names: Vec<String> = (0..100).map(|i| format!("domain:c{i}.round-{round}.example")).collect();
        // At any moment of the second, or who asks once a second is always caught at the same.
        std::thread::sleep(Duration::from_millis(1_000 + round as u64 * 370 % 1_000));
        site.stage(&["add", "block", "-"], &names.iter().map(String::as_str).collect::<Vec<_>>());
        let began = Instant::now();
        site.publish("block");
        published.push(began.elapsed());
        site.until(&mut resolver, "blocked once published", &format!("c99.round-{round}.example"), blocked);
        waits.push(began.elapsed());
    }
    let octets_each = (carried() - before) / ROUNDS as u64;
    waits.sort();
    published.sort();
    if std::env::var_os("BWLD_LONG_LOG").is_some() {
        println!("{}", resolver.log());
    }
    println!(
        "{name}: {rules} rules; first transfer {first:.2?}, {octets} octets over loopback; resident {memory} KiB after it, {} KiB at the \
             end; 100 changes from `bwld publish` to enforced: median {} ms, most {} ms, of which {} ms the command itself, {octets_each} octets with all questions",
        resolver.resident(),
        waits[ROUNDS / 2].as_millis(),
        waits[ROUNDS - 1].as_millis(),
        published[ROUNDS / 2].as_millis(),
    );
}

#[test]
fn named() {
    if asked() {
        with_a_network(&["named"], || measure("BIND", 61, bind::start, Answer::is_nxdomain));
    }
}

#[test]
fn unbound_() {
    if asked() {
        with_a_network(&["unbound"], || measure("Unbound", 62, unbound::start, Answer::is_nodata));
    }
}

#[test]
fn recursor() {
    if asked() {
        with_a_network(&["pdns_recursor"], || measure("PowerDNS Recursor", 63, powerdns::start, Answer::is_nxdomain));
    }
}
